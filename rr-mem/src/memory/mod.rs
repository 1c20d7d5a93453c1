//! Bytes of one address space: the only seam between walks and sources.
//!
//! A file, a process, a core or a debugger's inferior all come in as a
//! [`Memory`]; nothing here knows an architecture or an emulator.

mod cache;
mod counter;
mod file;
mod overlay;
mod paged;
mod recorder;
mod slice;
#[cfg(test)]
mod sparse;

use std::{fmt, sync::Arc};

pub use cache::PageCache;
pub use counter::Counter;
#[doc(hidden)]
pub use file::FileIdentity;
pub use file::MappedFile;
pub(crate) use file::write_whole;
pub use overlay::Overlay;
#[doc(hidden)]
pub use paged::{ImageBytes, Page, PageIndex, PagedFile, Unpack};
pub use recorder::Recorder;
pub use slice::SliceMemory;
#[cfg(test)]
pub(crate) use sparse::SparseMemory;

use crate::addr::{Address, AddressKind, Gpa, PAGE};
use crate::advice::{Advice, Part, Setting};

/// What pages full of zeros are sliced from.
pub(crate) static ZEROES: [u8; PAGE as usize] = [0; PAGE as usize];

/// Bytes of one address space, addressed by `A`.
pub trait Memory<A: Address = Gpa> {
    /// Fills `dst` with the bytes from `addr` on.
    ///
    /// # Errors
    /// When a byte cannot be had: the error's address is the first such byte,
    /// and everything in `dst` before it has been filled.
    fn read(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError>;

    /// The bytes themselves where they lie in one piece in our own address
    /// space; `None` says nothing about whether they can be read.
    #[inline]
    fn slice(&self, addr: A, len: usize) -> Option<&[u8]> {
        let _ = (addr, len);
        None
    }

    /// A little-endian 32-bit word.
    ///
    /// # Errors
    /// As [`Memory::read`].
    #[inline]
    fn read_u32(&self, addr: A) -> Result<u32, ReadError> {
        read_array(self, addr).map(u32::from_le_bytes)
    }

    /// A little-endian 64-bit word.
    ///
    /// # Errors
    /// As [`Memory::read`].
    #[inline]
    fn read_u64(&self, addr: A) -> Result<u64, ReadError> {
        read_array(self, addr).map(u64::from_le_bytes)
    }
}

/// `N` bytes from `addr` on.
#[inline]
fn read_array<const N: usize, A: Address, M: Memory<A> + ?Sized>(
    memory: &M,
    addr: A,
) -> Result<[u8; N], ReadError> {
    match memory.slice(addr, N).and_then(<[u8]>::first_chunk) {
        Some(found) => Ok(*found),
        None => read_copy(memory, addr),
    }
}

/// As [`read_array`], where the bytes do not lie in one piece.
#[cold]
fn read_copy<const N: usize, A: Address, M: Memory<A> + ?Sized>(
    memory: &M,
    addr: A,
) -> Result<[u8; N], ReadError> {
    let mut bytes = [0; N];
    memory.read(addr, &mut bytes)?;
    Ok(bytes)
}

macro_rules! forward_memory {
    ($($pointer:ty),*) => {$(
        impl<A: Address, M: Memory<A> + ?Sized> Memory<A> for $pointer {
            #[inline]
            fn read(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError> {
                (**self).read(addr, dst)
            }
            #[inline]
            fn slice(&self, addr: A, len: usize) -> Option<&[u8]> {
                (**self).slice(addr, len)
            }
        }
    )*};
}
forward_memory!(&M, Box<M>, Arc<M>);

/// A failure of ours: the bytes at an address cannot be had. It says nothing
/// about the guest; "not mapped" is a fault, never this.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadError {
    /// The space of `addr`.
    pub address_kind: AddressKind,
    /// The first byte that could not be read.
    pub addr: u64,
    /// Why.
    pub cause: ReadCause,
}

/// Why bytes cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadCause {
    /// No memory is at this address.
    Hole,
    /// Memory is at this address, but the source does not hold its bytes.
    Absent,
    /// The source is an emulator's core, which leaves these bytes out.
    NotInCore,
    /// The address belongs to a device: reading could have side effects.
    Device(Arc<str>),
    /// The operating system refused.
    Io(Arc<str>),
    /// The source is a guest without memory.
    NoMemory,
    /// No memory is at this address, but there is at the one without this bit, as if
    /// it was that of memory encryption.
    EncryptionBit(u8),
    /// The guest encrypts the page: its bytes are no data.
    Encrypted,
}

crate::advice::explain!(ReadError);

impl ReadError {
    /// A failure at `addr`.
    #[must_use]
    pub fn new<A: Address>(addr: A, cause: ReadCause) -> Self {
        Self { address_kind: A::KIND, addr: addr.raw(), cause }
    }

    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.cause {
            ReadCause::Hole => "hole",
            ReadCause::Absent => "absent",
            ReadCause::NotInCore => "not_in_core",
            ReadCause::Device(_) => "device",
            ReadCause::Io(_) => "io",
            ReadCause::NoMemory => "no_memory",
            ReadCause::EncryptionBit(_) => "encryption_bit",
            ReadCause::Encrypted => "encrypted",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self.cause {
            ReadCause::Hole => Advice::Parts(&[
                Part::Say("check "),
                Part::Name(Setting::RamBase),
                Part::Say(" and that the image is of this guest"),
            ]),
            ReadCause::Absent => Advice::Say(
                "give a source that holds this page; a slice or a filtered dump leaves pages out",
            ),
            ReadCause::NotInCore if self.address_kind == AddressKind::Hva => Advice::Parts(&[
                Part::Say("give the emulator's executable and libraries with "),
                Part::Name(Setting::Executable),
                Part::Say("; of a core that is cut or filtered, take another"),
            ]),
            ReadCause::NotInCore => Advice::Say(
                "take the core again, whole and with guest RAM (without dump-guest-core=off; core(5) has the filter); the kernel leaves out RAM that nobody wrote to, gcore does not",
            ),
            ReadCause::Device(_) => {
                Advice::Say("only RAM and ROM can be read without side effects")
            }
            ReadCause::Io(_) => Advice::Say("check that the file is complete and readable"),
            ReadCause::NoMemory => {
                Advice::Parts(&[Part::Say("give guest memory with "), Part::Name(Setting::Image)])
            }
            ReadCause::EncryptionBit(_) => Advice::Parts(&[
                Part::Say("give the number of that bit with "),
                Part::Name(Setting::Register("encryption_bit")),
            ]),
            ReadCause::Encrypted => Advice::Say(
                "if the memory was saved decrypted, read the guest physical address: its bytes are shown as they are",
            ),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not read {} {:#x}: ", self.address_kind, self.addr)?;
        match &self.cause {
            ReadCause::Hole => f.write_str("the source has no memory there"),
            ReadCause::Absent => f.write_str("the source leaves this page out"),
            ReadCause::NotInCore if self.address_kind == AddressKind::Hva => {
                f.write_str("these bytes are not in the core")
            }
            ReadCause::NotInCore => f.write_str("this RAM is not in the core"),
            ReadCause::Device(name) => write!(f, "it belongs to device {name}"),
            ReadCause::Io(error) => f.write_str(error),
            ReadCause::NoMemory => f.write_str("the source holds no guest memory"),
            ReadCause::EncryptionBit(bit) => {
                write!(
                    f,
                    "the source has no memory there; bit {bit} looks like that of memory encryption"
                )
            }
            ReadCause::Encrypted => f.write_str("the guest encrypts this page"),
        }
    }
}

impl std::error::Error for ReadError {}
