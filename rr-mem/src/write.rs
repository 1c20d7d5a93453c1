//! Changes the guest memory of a running emulator: a plan checks every byte,
//! then the bytes are written, then they are read again.
//!
//! Only RAM can be changed. The guest's page rights do not count, as in a
//! debugger. Not here: what QEMU does beside a store. QEMU is not told: TCG
//! keeps code that it has translated, and neither a migration nor a screen
//! takes note of the page.

use std::sync::Arc;

use thiserror::Error;

use crate::{
    addr::{Address, Gpa, GuestAddress, Hva, PAGE},
    advice::{Advice, Part, Setting},
    guest::{Guest, GuestReadError},
    host::{Areas, Host, process::Process},
    memory::{Memory, ReadError},
    region::{FlatRange, MemoryRegion},
};

/// More is not written at once.
pub const MOST_BYTES: usize = 64 << 20;

/// Bytes that lie in one piece in the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenRun {
    /// The first byte's guest physical address.
    pub gpa: Gpa,
    /// The same byte in the emulator's process.
    pub hva: Hva,
    /// Bytes.
    pub len: usize,
}

/// Why bytes were not written. With [`WriteError::Host`] and
/// [`WriteError::Differs`] some may have been.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A virtual address leads nowhere.
    #[error("{0}")]
    Virtual(#[from] GuestReadError),
    /// What lies at the address cannot be written.
    #[error("gpa {gpa}: {why}")]
    Refused {
        /// The first such address.
        gpa: Gpa,
        /// Why.
        why: Refusal,
    },
    /// Too many bytes.
    #[error("{0} bytes are more than the {MOST_BYTES} that are written at once")]
    TooLong(usize),
    /// The operating system refused.
    #[error("gpa {gpa}: could not write hva {hva}: {why}")]
    Host {
        /// The first address that was not written.
        gpa: Gpa,
        /// The same in the emulator's process.
        hva: Hva,
        /// Its words.
        why: Arc<str>,
    },
    /// What was written could not be read again.
    #[error("written, but not verified: {0}")]
    Unverified(ReadError),
    /// Read again, the bytes are others.
    #[error("gpa {0}: written, but it holds another byte now")]
    Differs(Gpa),
}

/// Why an address cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nothing is there.
    #[error("no memory is there")]
    Nothing,
    /// The address space ends.
    #[error("the address space ends before it")]
    End,
    /// A device, by its region's name.
    #[error("it belongs to device {0}")]
    Device(Arc<str>),
    /// The guest may not write it either.
    #[error("{0} is read-only")]
    ReadOnly(Arc<str>),
    /// The emulator has no memory there.
    #[error("{0} has no memory in the emulator there")]
    NoHost(Arc<str>),
}

crate::advice::explain!(WriteError);

impl WriteError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Virtual(_) => "virtual",
            Self::Refused { .. } => "refused",
            Self::TooLong(_) => "too_long",
            Self::Host { .. } => "host",
            Self::Unverified(_) => "unverified",
            Self::Differs(_) => "differs",
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Virtual(_) => Advice::Say("`rr-mem v2p -v` shows the walk; nothing was written"),
            Self::Refused { .. } => Advice::Say("only RAM is written; nothing was written"),
            Self::TooLong(_) => Advice::Say("write it in parts; nothing was written"),
            Self::Host { .. } | Self::Unverified(_) => Advice::Say(
                "check that the emulator still runs; the bytes before this one may be written",
            ),
            Self::Differs(_) => Advice::Parts(&[
                Part::Say("the guest runs and has written there too: give "),
                Part::Name(Setting::Freeze),
            ]),
        }
    }
}

/// Where `len` bytes from `target` on lie in `host`, in their order. Every one
/// of them can be written.
///
/// # Errors
/// Names the first address that cannot be written.
pub fn plan<M: Memory>(
    guest: &Guest<M>,
    host: &impl Host,
    target: GuestAddress,
    len: usize,
) -> Result<Vec<WrittenRun>, WriteError> {
    if len > MOST_BYTES {
        return Err(WriteError::TooLong(len));
    }
    let mut pieces: Vec<WrittenRun> = Vec::new();
    let mut done = 0;
    while done < len {
        let (gpa, most) = locate(guest, target, done as u64)?;
        let most = most.min((len - done) as u64);
        let piece = piece(guest, host.areas(), gpa, most)
            .map_err(|why| WriteError::Refused { gpa, why })?;
        done += piece.len;
        pieces.push(piece);
    }
    Ok(pieces)
}

/// The physical address `offset` bytes behind a target, and for how many bytes
/// the next ones follow it.
fn locate<M: Memory>(
    guest: &Guest<M>,
    target: GuestAddress,
    offset: u64,
) -> Result<(Gpa, u64), WriteError> {
    let end = || WriteError::Refused { gpa: Gpa(target.raw()), why: Refusal::End };
    match target.checked_add(offset).ok_or_else(end)? {
        GuestAddress::Virtual(gva) => Ok((guest.physical(gva)?, PAGE - gva.0 % PAGE)),
        GuestAddress::Physical(gpa) => Ok((gpa, u64::MAX)),
    }
}

/// As many of `most` bytes from `gpa` on as lie in one piece.
fn piece<M>(guest: &Guest<M>, areas: &Areas, gpa: Gpa, most: u64) -> Result<WrittenRun, Refusal> {
    let (map, view) = (guest.regions(), guest.flat_view());
    let (map, view) = map.and_then(|map| Ok((map, view?))).map_err(|_| Refusal::Nothing)?;
    let range = view.at(gpa).ok_or(Refusal::Nothing)?;
    let region = map.region(range.region);
    writable(region, range)?;
    let nowhere = || Refusal::NoHost(region.display_name().into());
    let block = map.block(region.ram_block.ok_or_else(nowhere)?);
    let inside = gpa.0 - range.start.0;
    let offset = range.offset_in_region.checked_add(inside).ok_or_else(nowhere)?;
    let in_block = block.used_length.checked_sub(offset).filter(|left| *left > 0);
    let hva = block.host.and_then(|host| host.checked_add(offset)).ok_or_else(nowhere)?;
    let in_range = u64::try_from(range.size - u128::from(inside)).unwrap_or(u64::MAX);
    let in_area = writable_bytes(areas, hva);
    let len = most.min(in_range).min(in_block.ok_or_else(nowhere)?).min(in_area);
    if len == 0 { Err(nowhere()) } else { Ok(WrittenRun { gpa, hva, len: len as usize }) }
}

fn writable(region: &MemoryRegion, range: &FlatRange) -> Result<(), Refusal> {
    let name = || region.display_name().into();
    if !region.reads_like_memory() {
        return Err(Refusal::Device(name()));
    }
    let rom = range.readonly || region.readonly || region.rom_device || !region.ram;
    if rom { Err(Refusal::ReadOnly(name())) } else { Ok(()) }
}

/// For how many bytes from `hva` on the process may write its memory.
fn writable_bytes(areas: &Areas, hva: Hva) -> u64 {
    let area = areas.at(hva).filter(|area| area.writable);
    area.and_then(|area| area.left_at(hva)).unwrap_or(0)
}

/// Writes `bytes` to the pieces of a plan for as many, and reads them again.
///
/// # Errors
/// When the process cannot be written, or holds other bytes afterwards.
pub fn write(process: &Process, pieces: &[WrittenRun], bytes: &[u8]) -> Result<(), WriteError> {
    each(pieces, bytes, |piece, part| store(process, piece, part))?;
    each(pieces, bytes, |piece, part| verify(process, piece, part))
}

/// Each piece with its part of `bytes`.
fn each(
    pieces: &[WrittenRun],
    bytes: &[u8],
    act: impl Fn(&WrittenRun, &[u8]) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let mut rest = bytes;
    for piece in pieces {
        let (part, after) = rest.split_at_checked(piece.len).unwrap_or((rest, &[]));
        act(piece, part)?;
        rest = after;
    }
    Ok(())
}

fn store(process: &Process, piece: &WrittenRun, bytes: &[u8]) -> Result<(), WriteError> {
    process.write(piece.hva, bytes).map_err(|(done, error)| WriteError::Host {
        gpa: Gpa(piece.gpa.0 + done as u64),
        hva: Hva(piece.hva.0 + done as u64),
        why: error.to_string().into(),
    })
}

fn verify(process: &Process, piece: &WrittenRun, bytes: &[u8]) -> Result<(), WriteError> {
    let mut now = vec![0; bytes.len()];
    process.memory().read(piece.hva, &mut now).map_err(WriteError::Unverified)?;
    match now.iter().zip(bytes).position(|(now, then)| now != then) {
        Some(at) => Err(WriteError::Differs(Gpa(piece.gpa.0 + at as u64))),
        None => Ok(()),
    }
}
