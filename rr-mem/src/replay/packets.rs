//! Packets of a log, and the capture file that holds them: libpcap's format with
//! nanoseconds (pcap-savefile(5)), link type Ethernet. One guest instruction is
//! one nanosecond: a recording has no other clock.

use std::io::{self, Write};

use super::{
    Entry, Event,
    panda::{self, Call},
    qemu::{self, Async},
};

/// The magic number of captures with nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;
/// Bytes of a packet that readers take (MAXIMUM_SNAPLEN).
const MOST: usize = 262_144;

/// A packet that passed the network card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// It came from the guest.
    pub from_guest: bool,
    /// From the Ethernet header on.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The packet that an entry is about. Replay logs hold those for the guest
    /// only.
    #[must_use]
    pub fn of(entry: &Entry<'a>) -> Option<Self> {
        match entry.event() {
            Event::Panda(_, panda::Event::SkippedCall(Call::HandlePacket { direction, data })) => {
                Some(Self { from_guest: direction != 0, data })
            }
            Event::Qemu(qemu::Event::Async { what: Async::Net { data, .. }, .. }) => {
                Some(Self { from_guest: false, data })
            }
            _ => None,
        }
    }
}

/// Writes the head of a capture file.
///
/// # Errors
/// The writer's.
pub fn write_head(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&MAGIC.to_le_bytes())?;
    out.write_all(&[2, 0, 4, 0])?;
    out.write_all(&[0; 8])?;
    out.write_all(&(MOST as u32).to_le_bytes())?;
    out.write_all(&ETHERNET.to_le_bytes())
}

/// Writes a packet at an instruction count. Seconds beyond 32 bits start anew.
///
/// # Errors
/// The writer's.
pub fn write_packet(out: &mut impl Write, instructions: u64, data: &[u8]) -> io::Result<()> {
    let kept = &data[..data.len().min(MOST)];
    let seconds = (instructions / 1_000_000_000) as u32;
    let nanoseconds = (instructions % 1_000_000_000) as u32;
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    for word in [seconds, nanoseconds, kept.len() as u32, len] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(kept)
}
