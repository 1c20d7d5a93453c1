//! Pages and how they are packed.

use crate::memory::Unpack;

/// Bytes of a page_desc.
pub(super) const DESCRIPTOR: u64 = 24;
const ZLIB: u32 = 1;
const LZO: u32 = 2;
const SNAPPY: u32 = 4;
const ZSTD: u32 = 0x20;

/// Where a page is, and how it is packed.
pub(super) struct Descriptor {
    pub offset: u64,
    pub size: u32,
    flags: u32,
}

impl Descriptor {
    /// The one at a place in the file.
    pub fn read(bytes: &[u8], at: u64) -> Option<Self> {
        let bytes = bytes.get(usize::try_from(at).ok()?..)?.first_chunk::<16>()?;
        let word = |at: usize| bytes[at..].first_chunk().copied().map(u32::from_le_bytes);
        let offset = u64::from_le_bytes(*bytes.first_chunk()?);
        Some(Self { offset, size: word(8)?, flags: word(12)? })
    }

    pub const fn packed(&self) -> bool {
        self.flags & (ZLIB | LZO | SNAPPY | ZSTD) != 0
    }
}

/// Unpacks each page by its descriptor.
#[derive(Debug)]
pub(super) struct Pages;

impl Unpack for Pages {
    fn unpack(&self, file: &[u8], entry: u64, page: &mut [u8]) -> Result<(), String> {
        let cut = || "its descriptor leads out of the file".to_owned();
        let descriptor = Descriptor::read(file, entry).ok_or_else(cut)?;
        let packed = file.get(descriptor.offset as usize..);
        let packed =
            packed.and_then(|rest| rest.get(..descriptor.size as usize)).ok_or_else(cut)?;
        let (name, unpacked) = match descriptor.flags & (ZLIB | LZO | SNAPPY | ZSTD) {
            ZLIB => ("zlib", zlib(packed, page)),
            LZO => ("lzo", lzokay::decompress::decompress(packed, page).map_err(text)),
            SNAPPY => ("snappy", snap::raw::Decoder::new().decompress(packed, page).map_err(text)),
            ZSTD => ("zstd", zstd::bulk::decompress_to_buffer(packed, page).map_err(text)),
            _ => return Err(format!("it is packed in an unknown way ({:#x})", descriptor.flags)),
        };
        match unpacked {
            Ok(len) if len == page.len() => Ok(()),
            Ok(len) => Err(format!("its {name} data unpacks to {len} bytes")),
            Err(error) => Err(format!("its {name} data is damaged: {error}")),
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

fn zlib(packed: &[u8], page: &mut [u8]) -> Result<usize, String> {
    let mut decoder = flate2::Decompress::new(true);
    let status = decoder.decompress(packed, page, flate2::FlushDecompress::Finish).map_err(text)?;
    match status {
        flate2::Status::StreamEnd => Ok(decoder.total_out() as usize),
        _ => Err("it does not end".to_owned()),
    }
}
