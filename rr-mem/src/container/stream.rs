//! Compressed files as streams, for contents that are read once, front to back:
//! gzip and zstd, found by magic, and the log in PANDA's rr2 archives.
//!
//! An rr2 archive is a gzip'ed pax tar that starts with a member `RRv2` and has
//! the log as `nondetlog` (PANDA, panda_rr2.c).

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use sha1::{Digest, Sha1};

use super::MOST_LAYERS;
use crate::memory::MappedFile;

/// Bytes of a block of a tar archive; more than any magic.
const BLOCK: usize = 512;
/// The first member of an rr2 archive.
const RR2: &str = "RRv2";
/// The member that is the log.
const LOG: &str = "nondetlog";
/// The member that is the snapshot.
pub(super) const SNAPSHOT: &str = "snapshot";
/// No pax header is larger.
const MOST_PAX: u64 = 64 << 10;
/// No list of digests is larger.
const MOST_SUMS: u64 = 1 << 20;

/// What a reader is here.
pub type Reader = Box<dyn Read + Send>;

/// A file that may be compressed.
pub enum Unwrapped {
    /// It is not: mapped.
    Plain(MappedFile),
    /// Its contents, or the log of an rr2 archive.
    Packed(Reader),
    /// An rr2 archive without a log.
    NoLog,
}

/// Opens the file at `path`.
///
/// # Errors
/// The operating system's, and the decoder's on the first bytes.
pub fn open(path: &Path) -> io::Result<Unwrapped> {
    let mut file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return layers(Box::new(file))
            .map(|found| found.map_or(Unwrapped::NoLog, Unwrapped::Packed));
    }
    let mut start = [0; 4];
    let len = read_full(&mut file, &mut start)?;
    let file = File::open(path)?;
    match Packing::of(&start[..len]) {
        None => MappedFile::map(&file).map(Unwrapped::Plain),
        Some(_) => {
            layers(Box::new(file)).map(|found| found.map_or(Unwrapped::NoLog, Unwrapped::Packed))
        }
    }
}

/// Takes the layers of compression off a stream.
///
/// # Errors
/// The reader's, the decoder's on the first bytes, or that an rr2 archive holds
/// no log.
pub fn unpack(reader: Reader) -> io::Result<Reader> {
    layers(reader)?.ok_or_else(|| io::Error::other("the rr2 archive holds no nondetlog"))
}

/// The contents; none when they are an archive without a log.
fn layers(mut reader: Reader) -> io::Result<Option<Reader>> {
    for _ in 0..=MOST_LAYERS {
        let (start, whole) = peek(reader)?;
        if is_rr2(&start) {
            return member(whole, LOG);
        }
        reader = match Packing::of(&start) {
            None => return Ok(Some(whole)),
            Some(packing) => packing.unpack(whole)?,
        };
    }
    Err(io::Error::other("more layers of compression than is reasonable"))
}

/// The first bytes of a stream, and all of it.
fn peek(mut reader: Reader) -> io::Result<(Vec<u8>, Reader)> {
    let mut start = vec![0; BLOCK];
    let len = read_full(&mut reader, &mut start)?;
    start.truncate(len);
    Ok((start.clone(), Box::new(io::Cursor::new(start).chain(reader))))
}

fn read_full(reader: &mut impl Read, dst: &mut [u8]) -> io::Result<usize> {
    super::read_full(reader, dst)
}

#[derive(Clone, Copy)]
enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    fn of(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    fn unpack(self, reader: Reader) -> io::Result<Reader> {
        let reader = BufReader::with_capacity(1 << 17, reader);
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(reader)?),
        })
    }
}

pub(super) fn is_rr2(start: &[u8]) -> bool {
    header(start).is_some_and(|header| name_of(header) == RR2)
}

/// A block as the header of a member of a tar archive.
fn header(block: &[u8]) -> Option<&tar::Header> {
    let header = tar::Header::from_byte_slice(block.get(..BLOCK)?.first_chunk::<BLOCK>()?);
    (header.as_ustar().is_some() || header.as_gnu().is_some()).then_some(header)
}

fn name_of(header: &tar::Header) -> String {
    let path = String::from_utf8_lossy(&header.path_bytes()).into_owned();
    path.strip_prefix("./").map_or(path.clone(), str::to_owned)
}

/// The contents of a member of a tar archive, as a stream.
pub(super) fn member<'a>(
    mut archive: Box<dyn Read + Send + 'a>,
    wanted: &str,
) -> io::Result<Option<Box<dyn Read + Send + 'a>>> {
    let mut pax_size = None;
    loop {
        let mut block = [0; BLOCK];
        if read_full(&mut archive, &mut block)? < BLOCK {
            return Ok(None);
        }
        let Some(header) = header(&block) else { return Ok(None) };
        let size = match pax_size.take() {
            Some(size) => size,
            None => header.entry_size()?,
        };
        if header.entry_type().is_pax_local_extensions() {
            pax_size = size_in_pax(&mut archive, size)?;
        } else if header.entry_type().is_file() && name_of(header) == wanted {
            return Ok(Some(Box::new(archive.take(size))));
        } else {
            pass_over(&mut archive, padded(size))?;
        }
    }
}

const fn padded(size: u64) -> u64 {
    size.saturating_add(BLOCK as u64 - 1) / BLOCK as u64 * BLOCK as u64
}

fn pass_over(archive: &mut impl Read, bytes: u64) -> io::Result<()> {
    io::copy(&mut archive.take(bytes), &mut io::sink()).map(drop)
}

/// The size that a pax header gives for the member behind it.
fn size_in_pax(archive: &mut impl Read, size: u64) -> io::Result<Option<u64>> {
    if size > MOST_PAX {
        return Err(io::Error::other("a pax header of the archive is too large"));
    }
    let mut text = Vec::new();
    archive.take(padded(size)).read_to_end(&mut text)?;
    text.truncate(size as usize);
    let mut found = tar::PaxExtensions::new(&text).flatten();
    let size = found.find(|record| record.key() == Ok("size"));
    Ok(size.and_then(|record| record.value().ok()?.parse().ok()))
}

/// A member of an rr2 archive, and its digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// The member.
    pub name: String,
    /// What the archive's own list says, in hex.
    pub listed: Option<String>,
    /// What the bytes give, in hex; none when the member is not there.
    pub found: Option<String>,
}

impl Sum {
    /// Whether it is as it was recorded.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.listed.is_some() && self.listed == self.found
    }
}

/// Computes the SHA-1 of each member of an rr2 archive, and compares it with
/// the list in member `sha1`. `None` for other files.
///
/// # Errors
/// When the file cannot be read or unpacked.
pub fn verify(path: &Path) -> io::Result<Option<Vec<Sum>>> {
    let mut reader: Reader = Box::new(File::open(path)?);
    for _ in 0..=MOST_LAYERS {
        let (start, whole) = peek(reader)?;
        if is_rr2(&start) {
            return sums(whole).map(Some);
        }
        reader = match Packing::of(&start) {
            None => return Ok(None),
            Some(packing) => packing.unpack(whole)?,
        };
    }
    Ok(None)
}

fn sums(archive: Reader) -> io::Result<Vec<Sum>> {
    let mut list = String::new();
    let mut found = Vec::new();
    for member in tar::Archive::new(archive).entries()? {
        let mut member = member?;
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        if name == "sha1" {
            member.take(MOST_SUMS).read_to_string(&mut list)?;
            continue;
        }
        found.push((name, digest(&mut member)?));
    }
    Ok(compare(&list, found))
}

fn digest(reader: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha1::new();
    let mut piece = vec![0; 1 << 16];
    loop {
        match reader.read(&mut piece)? {
            0 => break,
            len => hasher.update(&piece[..len]),
        }
    }
    Ok(crate::bits::hex_digits(&hasher.finalize()))
}

fn compare(list: &str, mut found: Vec<(String, String)>) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for (name, listed) in list.lines().filter_map(|line| line.split_once(": ")) {
        let at = found.iter().position(|(other, _)| other == name);
        let found = at.map(|at| found.remove(at).1);
        sums.push(Sum { name: name.into(), listed: Some(listed.trim().into()), found });
    }
    let unlisted = |(name, sum)| Sum { name, listed: None, found: Some(sum) };
    sums.extend(found.into_iter().map(unlisted));
    sums
}
