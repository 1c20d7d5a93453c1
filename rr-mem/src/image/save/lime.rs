//! The header of a range in a LiME dump: LiME's documentation, "LiME Memory
//! Range Header Version 1 Specification".

pub(crate) const MAGIC: u32 = 0x4c69_4d45;
pub(crate) const VERSION: u32 = 1;

/// Little-endian magic, version, first and last address, 8 bytes reserved.
pub(super) fn header(first: u64, last: u64) -> [u8; 32] {
    let mut header = [0; 32];
    header[..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&first.to_le_bytes());
    header[16..24].copy_from_slice(&last.to_le_bytes());
    header
}
