//! Where the pages of large streams are, kept in the user's cache folder. An
//! entry is for one state of a file: a changed file is read again. A damaged
//! entry counts as none.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use super::{
    Block, Front,
    cursor::{Cursor, Cut},
    ram::{Capabilities, Ram},
};
use crate::{
    debuginfo::Cache,
    memory::{FileIdentity, MappedFile, PageIndex},
};

/// Starts the form that is kept, and changes with it.
const MAGIC: &[u8; 8] = b"rrmemsv1";
/// Smaller files are read as fast.
const SMALL: usize = 64 << 20;

fn path(file: &MappedFile) -> Option<PathBuf> {
    let FileIdentity { device, inode, size, changed: (seconds, nanos) } = file.identity()?;
    let name = format!("pages-{device:x}-{inode:x}-{size:x}-{seconds:x}-{nanos:x}");
    (file.bytes().len() >= SMALL).then(|| Some(Cache::of_user()?.folder().join(name)))?
}

pub(super) fn get(file: &MappedFile) -> Option<Front> {
    let kept = fs::read(path(file)?).ok()?;
    from_bytes(&kept, file.bytes().len() as u64)
}

/// Keeps it whole, or not at all; a cache that cannot be written is none.
pub(super) fn put(file: &MappedFile, front: &Front) {
    let Some(path) = path(file) else { return };
    let write = || -> io::Result<()> {
        let folder = path.parent().ok_or(io::ErrorKind::NotFound)?;
        fs::create_dir_all(folder)?;
        let mut kept = tempfile::NamedTempFile::new_in(folder)?;
        kept.write_all(&to_bytes(front))?;
        kept.persist(&path)?;
        Ok(())
    };
    let _ = write();
}

fn to_bytes(front: &Front) -> Vec<u8> {
    let Front { ram, devices } = front;
    let mut bytes = MAGIC.to_vec();
    bytes.extend(ram.shift.to_be_bytes());
    bytes.extend(devices.unwrap_or(0).to_be_bytes());
    bytes.extend((ram.blocks.len() as u32).to_be_bytes());
    for Block { name, len, first } in &ram.blocks {
        bytes.extend((name.len() as u32).to_be_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend(len.to_be_bytes());
        bytes.extend(first.to_be_bytes());
    }
    bytes.extend(ram.index.words().iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend(sum(&bytes).to_be_bytes());
    bytes
}

fn sum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn from_bytes(bytes: &[u8], size: u64) -> Option<Front> {
    let (body, kept) = bytes.split_last_chunk::<4>()?;
    if sum(body) != u32::from_be_bytes(*kept) || !body.starts_with(MAGIC) {
        return None;
    }
    let mut cursor = Cursor::new(body, MAGIC.len());
    let front = parse(&mut cursor).ok()?;
    front.devices.is_none_or(|devices| devices <= size).then_some(front)
}

fn parse(cursor: &mut Cursor<'_>) -> Result<Front, Cut> {
    let shift = cursor.u32()?;
    let devices = Some(cursor.u64()?).filter(|&devices| devices > 0);
    let mut ram = Ram::new(shift, Capabilities::default());
    for _ in 0..cursor.u32()? {
        let len = cursor.u32()?;
        let name = String::from_utf8_lossy(cursor.take(len as usize)?).into_owned();
        ram.blocks.push(Block { name, len: cursor.u64()?, first: cursor.u64()? });
    }
    let words = cursor.rest().as_chunks().0.iter().map(|word| u64::from_be_bytes(*word));
    ram.index = PageIndex::from_words(words.collect());
    Ok(Front { ram, devices })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{addr::FileOffset, memory::Page};

    fn front() -> Front {
        let mut ram = Ram::new(12, Capabilities::default());
        ram.blocks.push(Block { name: "pc.ram".into(), len: 0x3000, first: 0 });
        ram.index = PageIndex::new(3);
        ram.index.set(1, Page::At(FileOffset(77)));
        Front { ram, devices: Some(99) }
    }

    #[test]
    fn what_is_kept_comes_back() {
        let back = from_bytes(&to_bytes(&front()), 100).expect("whole");
        assert_eq!(
            (back.ram.blocks, back.devices, back.ram.shift),
            (front().ram.blocks, Some(99), 12)
        );
        assert_eq!(back.ram.index.words(), front().ram.index.words());
    }

    #[test]
    fn what_is_damaged_or_of_another_file_is_none() {
        let whole = to_bytes(&front());
        assert!(from_bytes(&whole, 98).is_none(), "the devices start behind the file");
        assert!(from_bytes(&whole[..whole.len() - 1], 100).is_none());
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert!(from_bytes(&bytes, 100).is_none(), "{at}");
        }
    }
}
