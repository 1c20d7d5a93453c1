//! makedumpfile's flattened form: the writes that make up a file, in their
//! order, so that a dump can go through a pipe. makedumpfile's IMPLEMENTATION,
//! "Flattened format"; numbers are big-endian.

use std::{
    io::{self, Seek, SeekFrom, Write},
    ops::ControlFlow,
};

use crate::{container::MOST_UNPACKED, memory::MappedFile};

/// The first header's room.
const HEADER: usize = 4096;
/// Offset and size before each piece.
const PIECE: usize = 16;

pub(super) fn is_flat(bytes: &[u8]) -> bool {
    bytes.starts_with(b"makedumpfile\0")
}

/// The file that the writes make up, in an unlinked temporary one.
pub(super) fn in_order(bytes: &[u8]) -> io::Result<MappedFile> {
    let mut out = tempfile::tempfile()?;
    let mut rest = bytes.get(HEADER..).unwrap_or_default();
    while let ControlFlow::Continue(((offset, data), behind)) = piece(rest)? {
        out.seek(SeekFrom::Start(offset))?;
        out.write_all(data)?;
        rest = behind;
    }
    MappedFile::map(&out)
}

/// A piece and where it goes, and what is behind it.
type Chunk<'a> = ((u64, &'a [u8]), &'a [u8]);

/// The next piece; a break at the end mark. A file that is cut ends in the last
/// piece that is there.
fn piece(bytes: &[u8]) -> io::Result<ControlFlow<(), Chunk<'_>>> {
    let Some((header, rest)) = bytes.split_first_chunk::<PIECE>() else {
        return Ok(ControlFlow::Break(()));
    };
    let number = |at: usize| header[at..].first_chunk().copied().map(i64::from_be_bytes);
    let (Some(offset), Some(size)) = (number(0), number(8)) else {
        return Ok(ControlFlow::Break(()));
    };
    if offset == -1 {
        return Ok(ControlFlow::Break(()));
    }
    let bad = || io::Error::other("a piece of the flattened file has no place");
    let (offset, size) = (u64::try_from(offset), u64::try_from(size));
    let (offset, size) = (offset.map_err(|_| bad())?, size.map_err(|_| bad())?);
    if offset.checked_add(size).is_none_or(|end| end > MOST_UNPACKED) {
        return Err(bad());
    }
    let (data, behind) = rest.split_at(rest.len().min(size as usize));
    Ok(ControlFlow::Continue(((offset, data), behind)))
}
