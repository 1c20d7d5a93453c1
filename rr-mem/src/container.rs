//! What wraps other files: gzip, zstd and lz4, found by magic; the snapshot in
//! rr2 archives; snapshots in qcow2 images. Knows nothing of the contents.
//!
//! Contents are unpacked once, into an unlinked temporary file that keeps long
//! runs of zeros as holes, and mapped from there.

pub mod qcow2;
pub mod stream;

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use lz4_flex::frame::FrameDecoder;
use thiserror::Error;

use self::qcow2::Qcow2Error;
use crate::memory::MappedFile;

/// The most that a compressed file may hold, in bytes: 1 TB. A few kilobytes
/// can claim to be more than any disk holds.
pub const MOST_UNPACKED: u64 = 1 << 40;

/// Layers of compression that are taken off.
const MOST_LAYERS: usize = 3;

/// Below this size the contents stay in memory.
const SMALL: usize = 8 << 20;

/// What unpacking leaves free on the disk of the temporary folder, in bytes.
const LEFT_FREE: u64 = 256 << 20;

/// Unpacking is done, and reported, in pieces of this size.
const PIECE: usize = 1 << 20;

/// Why a file could not be opened or unpacked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The operating system refused, or the file changed under us.
    #[error("could not open the file: {0}")]
    Open(#[source] io::Error),
    /// The compressed data is damaged or cut.
    #[error("could not unpack the {format} data after {unpacked} bytes: {source}")]
    Unpack {
        /// The compression.
        format: &'static str,
        /// Bytes that came out before.
        unpacked: u64,
        /// The decoder's or the disk's words.
        source: io::Error,
    },
    /// There is more than [`MOST_UNPACKED`], or more layers than we take off.
    #[error("the {0} data unpacks to more than is reasonable")]
    Bomb(&'static str),
    /// An rr2 archive without a snapshot.
    #[error("the rr2 archive holds no snapshot")]
    NoSnapshot,
    /// A disk image that gives no state.
    #[error(transparent)]
    Qcow2(#[from] Qcow2Error),
}

/// Opens the file at `path`, unpacked; `progress` hears the bytes unpacked so far.
///
/// # Errors
/// When the file cannot be opened, or what wraps its contents is damaged.
pub fn open(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<MappedFile, ContainerError> {
    unpack(MappedFile::open(path).map_err(ContainerError::Open)?, progress)
}

/// Takes every layer of compression off `file`, and the snapshot out of an rr2
/// archive.
///
/// # Errors
/// As [`open`].
pub fn unpack(
    mut file: MappedFile,
    progress: &mut dyn FnMut(u64),
) -> Result<MappedFile, ContainerError> {
    for _ in 0..MOST_LAYERS {
        if stream::is_rr2(file.bytes()) {
            return snapshot(file.bytes(), progress);
        }
        let Some(compression) = Compression::of(file.bytes()) else { return Ok(file) };
        file = compression.unpack(file.bytes(), progress)?;
    }
    match Compression::of(file.bytes()) {
        None => Ok(file),
        Some(compression) => Err(ContainerError::Bomb(compression.name())),
    }
}

#[derive(Clone, Copy)]
enum Compression {
    Gzip,
    Zstd,
    Lz4,
}

impl Compression {
    /// By magic: RFC 1952 section "Member header and trailer", RFC 8878
    /// section "Zstandard Frames", LZ4 Frame Format Description section "General
    /// Structure of LZ4 Frame format".
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }

    fn reader<'a>(self, bytes: &'a [u8]) -> io::Result<Box<dyn Read + 'a>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
            Self::Zstd => Box::new(zstd::Decoder::with_buffer(bytes)?),
            Self::Lz4 => Box::new(Lz4Frames::new(bytes)),
        })
    }

    fn unpack(
        self,
        bytes: &[u8],
        progress: &mut dyn FnMut(u64),
    ) -> Result<MappedFile, ContainerError> {
        let failed = |source| ContainerError::Unpack { format: self.name(), unpacked: 0, source };
        let mut reader = self.reader(bytes).map_err(failed)?;
        copy(&mut reader, self.name(), progress)
    }
}

/// The member of an rr2 archive that is a migration stream.
fn snapshot(archive: &[u8], progress: &mut dyn FnMut(u64)) -> Result<MappedFile, ContainerError> {
    const FORMAT: &str = "rr2";
    let failed = |source| ContainerError::Unpack { format: FORMAT, unpacked: 0, source };
    let member = stream::member(Box::new(archive), stream::SNAPSHOT).map_err(failed)?;
    copy(&mut member.ok_or(ContainerError::NoSnapshot)?, FORMAT, progress)
}

/// Everything that `reader` gives, mapped.
fn copy(
    reader: &mut dyn Read,
    format: &'static str,
    progress: &mut dyn FnMut(u64),
) -> Result<MappedFile, ContainerError> {
    let mut out = Unpacked::new(LEFT_FREE);
    let failed = |unpacked, source| ContainerError::Unpack { format, unpacked, source };
    let mut piece = vec![0; PIECE];
    loop {
        let done = out.len;
        let len = read_full(reader, &mut piece).map_err(|error| failed(done, error))?;
        if len == 0 {
            return out.finish().map_err(|error| failed(done, error));
        }
        out.push(&piece[..len]).map_err(|error| failed(done, error))?;
        if out.len > MOST_UNPACKED {
            return Err(ContainerError::Bomb(format));
        }
        progress(out.len);
    }
}

/// LZ4 frames, one behind the other; none at the end.
struct Lz4Frames<'a>(Option<FrameDecoder<Whole<'a>>>);

impl<'a> Lz4Frames<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self((!bytes.is_empty()).then(|| FrameDecoder::new(Whole(bytes))))
    }
}

impl Read for Lz4Frames<'_> {
    fn read(&mut self, dst: &mut [u8]) -> io::Result<usize> {
        while let Some(frame) = &mut self.0 {
            let len = frame.read(dst)?;
            if len > 0 || dst.is_empty() {
                return Ok(len);
            }
            *self = Self::new(frame.get_ref().0);
        }
        Ok(0)
    }
}

/// A reader whose end is an error: otherwise the decoder takes the end of the
/// data for the end of the frame.
struct Whole<'a>(&'a [u8]);

impl Read for Whole<'_> {
    fn read(&mut self, dst: &mut [u8]) -> io::Result<usize> {
        match self.0.read(dst)? {
            0 if !dst.is_empty() => Err(io::Error::other("the data end within a frame")),
            len => Ok(len),
        }
    }
}

/// Fills `piece` as far as the reader goes.
fn read_full(reader: &mut dyn Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < piece.len() {
        match reader.read(&mut piece[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// Where unpacked bytes go: memory first, a sparse temporary file when large.
struct Unpacked {
    len: u64,
    small: Vec<u8>,
    file: Option<File>,
    left_free: u64,
}

impl Unpacked {
    fn new(left_free: u64) -> Self {
        Self { len: 0, small: Vec::new(), file: None, left_free }
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += bytes.len() as u64;
        if self.file.is_none() {
            self.small.extend_from_slice(bytes);
            if self.small.len() > SMALL {
                let mut file = tempfile::tempfile()?;
                file.write_all(&self.small)?;
                self.small = Vec::new();
                self.file = Some(file);
            }
            return Ok(());
        }
        match &mut self.file {
            Some(file) if bytes.iter().all(|&byte| byte == 0) => {
                file.seek(SeekFrom::Current(bytes.len() as i64)).map(drop)
            }
            Some(file) if free(file)? < self.left_free => {
                let text = "the disk of the temporary folder is nearly full";
                Err(io::Error::new(io::ErrorKind::StorageFull, text))
            }
            Some(file) => file.write_all(bytes),
            None => Ok(()),
        }
    }

    fn finish(self) -> io::Result<MappedFile> {
        match self.file {
            None => Ok(MappedFile::from_vec(self.small)),
            Some(file) => {
                file.set_len(self.len)?;
                MappedFile::map(&file)
            }
        }
    }
}

/// Bytes that are free for users on the disk that holds `file`.
#[cfg(target_os = "linux")]
fn free(file: &File) -> io::Result<u64> {
    let disk = nix::sys::statvfs::fstatvfs(file)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// Elsewhere a full disk is an error when it is full.
#[cfg(not(target_os = "linux"))]
fn free(_file: &File) -> io::Result<u64> {
    Ok(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).expect("memory takes all")
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).expect("memory takes all");
        encoder.finish().expect("memory takes all")
    }

    fn unpacked(bytes: Vec<u8>) -> Result<MappedFile, ContainerError> {
        unpack(MappedFile::from_vec(bytes), &mut |_| {})
    }

    #[test]
    fn layers_of_gzip_zstd_and_lz4_are_taken_off() {
        let file = unpacked(zstd(&gzip(&lz4(b"inside")))).expect("all are whole");
        assert_eq!(file.bytes(), b"inside");
        assert_eq!(unpacked(b"plain".to_vec()).expect("nothing to do").bytes(), b"plain");
    }

    #[test]
    fn large_contents_with_zeros_come_out_whole() {
        let mut bytes = vec![0; SMALL + 3 * PIECE + 17];
        bytes[SMALL + PIECE + 5] = 7;
        *bytes.last_mut().expect("not empty") = 9;
        assert!(unpacked(zstd(&bytes)).expect("whole").bytes() == bytes);
        bytes.extend(vec![0; PIECE]);
        assert!(unpacked(gzip(&bytes)).expect("whole").bytes() == bytes, "zeros at the end");
    }

    #[test]
    fn cut_data_is_an_error_that_says_how_far_it_got() {
        let mut packed = gzip(&vec![1; 100_000]);
        packed.truncate(packed.len() / 2);
        let error = unpacked(packed).expect_err("cut");
        assert!(error.to_string().starts_with("could not unpack the gzip data after"), "{error}");
    }

    #[test]
    fn a_disk_is_never_filled_up() {
        let mut out = Unpacked::new(u64::MAX);
        out.push(&vec![1; SMALL + 1]).expect("the first of it is small");
        out.push(&[0; 8]).expect("zeros take no space");
        let error = out.push(&[1; 8]).expect_err("no disk is that large");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn lz4_frames_are_joined_and_an_end_between_blocks_is_noticed() {
        let (first, second) = (vec![7; 200_000], vec![8; 10]);
        let mut packed = lz4(&first);
        packed.extend(lz4(&second));
        assert!(
            unpacked(packed).expect("both are whole").bytes() == [first.clone(), second].concat()
        );
        let mut packed = lz4(&first);
        packed.truncate(packed.len() - 4);
        let error = unpacked(packed).expect_err("without its end mark");
        assert!(error.to_string().starts_with("could not unpack the lz4 data"), "{error}");
    }

    #[test]
    fn endless_layers_are_refused() {
        let packed = (0..5).fold(b"x".to_vec(), |bytes, _| zstd(&bytes));
        assert!(matches!(unpacked(packed), Err(ContainerError::Bomb("zstd"))));
    }
}
