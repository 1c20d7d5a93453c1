//! Where a debugger must watch the emulator to see guest bytes change. Each
//! piece fits one watchpoint register of the host's processor: 1, 2, 4 or 8
//! bytes, naturally aligned. Intel SDM volume 3, "Debug Registers"; the x86 has
//! four.
//!
//! Not here: who sets watchpoints, and what they miss. Writes by the host's
//! kernel and, under KVM, by the guest itself trigger none.

use std::sync::Arc;

use thiserror::Error;

use crate::{
    addr::{Gpa, GuestAddress, Hva},
    advice::Advice,
    guest::{Guest, GuestReadError},
    memory::{Memory, ReadCause, ReadError},
};

/// Watchpoint registers of a processor.
pub const REGISTERS: usize = 4;
/// The most bytes that a register covers.
const REGISTER_BYTES: usize = 8;

/// Bytes that one watchpoint covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watched {
    /// The first byte's address, virtual or physical as it was asked for.
    pub address: GuestAddress,
    /// Its guest physical address.
    pub gpa: Gpa,
    /// The same byte in the emulator's process.
    pub hva: Hva,
    /// Bytes: 1, 2, 4 or 8.
    pub len: usize,
}

/// Why bytes cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// A virtual address leads nowhere.
    #[error("{0}")]
    Virtual(#[from] GuestReadError),
    /// No RAM of the emulator is behind an address.
    #[error("{0}")]
    NoRam(ReadError),
    /// The emulator's address of guest RAM is not known.
    #[error("where the emulator has gpa {0} is not known")]
    NoHost(Gpa),
    /// No bytes, or more than all registers cover.
    #[error("{0} bytes cannot be watched: 1 to {most} can", most = REGISTERS * REGISTER_BYTES)]
    Length(usize),
    /// More pieces than registers.
    #[error(
        "{len} bytes from {address} on take {pieces} watchpoints, and the processor has {REGISTERS}: each covers up to 8 aligned bytes of one page"
    )]
    TooMany {
        /// The first address.
        address: GuestAddress,
        /// Bytes asked for.
        len: usize,
        /// What they take.
        pieces: usize,
    },
}

crate::advice::explain!(WatchError);

impl WatchError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Virtual(_) => "virtual",
            Self::NoRam(error) => error.kind(),
            Self::NoHost(_) => "no_host",
            Self::Length(_) => "length",
            Self::TooMany { .. } => "too_many",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Virtual(_) => Advice::Say("watch the entry that would map it"),
            Self::NoRam(_) => Advice::Say("only RAM and ROM can be watched"),
            Self::NoHost(_) => Advice::Say("take an emulator's process, not an image"),
            Self::Length(_) | Self::TooMany { .. } => Advice::Say("watch fewer bytes"),
        }
    }
}

/// The pieces that cover `len` bytes of guest memory.
///
/// # Errors
/// Names the first address that cannot be watched, or says how many pieces
/// there would have to be.
pub fn plan<M: Memory>(
    guest: &Guest<M>,
    target: GuestAddress,
    len: usize,
) -> Result<Vec<Watched>, WatchError> {
    if len == 0 || len > REGISTERS * REGISTER_BYTES {
        return Err(WatchError::Length(len));
    }
    let bytes: Vec<Watched> =
        (0..len as u64).map(|offset| byte(guest, target, offset)).collect::<Result<_, _>>()?;
    let mut pieces = Vec::new();
    let mut rest = &bytes[..];
    while let Some(first) = rest.first() {
        let len = aligned(rest);
        pieces.push(Watched { len, ..*first });
        rest = &rest[len..];
    }
    match pieces.len() {
        0..=REGISTERS => Ok(pieces),
        pieces => Err(WatchError::TooMany { address: bytes[0].address, len, pieces }),
    }
}

/// The byte `offset` bytes behind a target.
fn byte<M: Memory>(
    guest: &Guest<M>,
    target: GuestAddress,
    offset: u64,
) -> Result<Watched, WatchError> {
    let end = || WatchError::NoRam(ReadError::new(Gpa(target.raw()), ReadCause::Hole));
    let address = target.checked_add(offset).ok_or_else(end)?;
    let gpa = match address {
        GuestAddress::Virtual(gva) => guest.physical(gva)?,
        GuestAddress::Physical(gpa) => gpa,
    };
    Ok(Watched { address, gpa, hva: host(guest, gpa)?, len: 1 })
}

/// Where the emulator has a byte of guest RAM.
fn host<M>(guest: &Guest<M>, gpa: Gpa) -> Result<Hva, WatchError> {
    let no_ram = |cause| WatchError::NoRam(ReadError::new(gpa, cause));
    let range = guest.flat_view().ok().and_then(|view| view.at(gpa));
    let (Some(range), Ok(map)) = (range, guest.regions()) else {
        return Err(no_ram(ReadCause::Hole));
    };
    let region = map.region(range.region);
    if !region.reads_like_memory() {
        return Err(no_ram(ReadCause::Device(Arc::from(region.display_name()))));
    }
    guest.place(gpa).and_then(|place| place.host).ok_or(WatchError::NoHost(gpa))
}

/// Of bytes in their order, how many the first register can cover.
fn aligned(bytes: &[Watched]) -> usize {
    let first = bytes[0].hva.0;
    let in_one_piece = |len: usize| {
        let follows = |(i, byte): (usize, &Watched)| byte.hva.0 == first.wrapping_add(i as u64);
        bytes.get(..len).is_some_and(|part| part.iter().enumerate().all(follows))
    };
    let fits = |len: &usize| first.is_multiple_of(*len as u64) && in_one_piece(*len);
    [8, 4, 2].into_iter().find(fits).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{addr::Gva, guest::Guest, sample};

    fn bytes(runs: &[(u64, usize)]) -> Vec<Watched> {
        let run = |&(start, len): &(u64, usize)| (0..len as u64).map(move |i| start + i);
        let piece = |hva| Watched { address: Gva(0).into(), gpa: Gpa(0), hva: Hva(hva), len: 1 };
        runs.iter().flat_map(run).map(piece).collect()
    }

    #[test]
    fn a_register_covers_aligned_bytes_that_lie_in_one_piece() {
        assert_eq!(aligned(&bytes(&[(0x1000, 16)])), 8);
        assert_eq!(aligned(&bytes(&[(0x1004, 16)])), 4);
        assert_eq!(aligned(&bytes(&[(0x1001, 16)])), 1);
        assert_eq!(aligned(&bytes(&[(0x1000, 7)])), 4);
        assert_eq!(aligned(&bytes(&[(0x1ff8, 6), (0x9000, 6)])), 4);
    }

    #[test]
    fn what_no_emulator_has_as_ram_is_refused() {
        let image = sample::open().expect("is built in");
        let cpu = image.cpus.first().copied();
        let guest = Guest::new(Some(image.memory), cpu, image.regions).expect("a guest");
        let kind = |target, len| plan(&guest, target, len).map_err(|error| error.kind());
        assert_eq!(kind(GuestAddress::Physical(Gpa(0x1000)), 4), Err("no_host"));
        assert_eq!(kind(GuestAddress::Physical(Gpa(0xfee0_0000)), 4), Err("device"));
        assert_eq!(kind(GuestAddress::Physical(Gpa(u64::MAX)), 2), Err("hole"));
        assert_eq!(kind(GuestAddress::Virtual(Gva(0x10)), 4), Err("virtual"));
        assert_eq!(kind(GuestAddress::Physical(Gpa(0x1000)), 0), Err("length"));
        assert_eq!(kind(GuestAddress::Physical(Gpa(0x1000)), 33), Err("length"));
    }
}
