//! Rows of the questions about a log that have one kind of answer.

use std::fmt::{self, Display, Formatter};

use super::{
    declared::{FindingRow, HashRow, PacketRow, SerialRow},
    line::Escaped,
};
use crate::bits::hex_digits;
use crate::replay::{
    Entry, Event,
    check::Finding,
    digest::DigestAt,
    packets::Packet,
    panda::{self, Call, Transfer},
    qemu::{self, Async},
    serial::SerialLine,
};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

impl From<SerialLine> for SerialRow {
    fn from(line: SerialLine) -> Self {
        Self {
            instr: line.instructions,
            direction: if line.from_guest { "out" } else { "in" },
            text: line.bytes.escape_ascii().to_string(),
            escaped: Escaped(&line.bytes).to_string(),
        }
    }
}

impl Display for SerialRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = if self.direction == "out" { '>' } else { '<' };
        write!(f, "{:>12} {sign} {}", self.instr, self.escaped)
    }
}

impl PacketRow {
    /// The packet of an entry.
    #[must_use]
    pub fn new(entry: &Entry, packet: &Packet) -> Self {
        let head = packet.data.get(..ETHERNET);
        let address = |bytes: &[u8]| {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        };
        let ether_type = |head: &[u8]| format!("{:#06x}", u16::from_be_bytes([head[12], head[13]]));
        Self {
            instr: entry.instructions,
            from_guest: packet.from_guest,
            length: packet.data.len(),
            destination: head.map(|head| address(&head[..6])),
            source: head.map(|head| address(&head[6..12])),
            ether_type: head.map(ether_type),
            data: hex_digits(packet.data),
        }
    }
}

impl Display for PacketRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let way = if self.from_guest { '>' } else { '<' };
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        write!(
            f,
            "{:>12} {way} {:>5} bytes  {} -> {}  {}",
            self.instr,
            self.length,
            word(&self.source),
            word(&self.destination),
            word(&self.ether_type)
        )
    }
}

/// What an entry says of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskEvent {
    /// Bytes were moved.
    Moved(Transfer),
    /// The request of this number ended.
    Ended(u64),
}

impl DiskEvent {
    /// That of an entry, if it is about a disk.
    #[must_use]
    pub fn of(entry: &Entry) -> Option<Self> {
        match entry.event() {
            Event::Panda(_, panda::Event::SkippedCall(Call::HdTransfer(moved))) => {
                Some(Self::Moved(moved))
            }
            Event::Qemu(qemu::Event::Async { what: Async::Block(id), .. }) => Some(Self::Ended(id)),
            _ => None,
        }
    }
}

impl Display for DiskEvent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved(moved) => write!(
                f,
                "{:<11} {:>18} -> {:>18} {:>8} bytes",
                moved.way,
                format!("{:#x}", moved.source),
                format!("{:#x}", moved.destination),
                moved.bytes
            ),
            Self::Ended(id) => write!(f, "request {id} ended"),
        }
    }
}

impl From<DigestAt> for HashRow {
    fn from(DigestAt { instructions, entries, digest }: DigestAt) -> Self {
        Self { instr: instructions, entries, digest }
    }
}

impl Display for HashRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12} {:>10} {}", self.instr, self.entries, self.digest)
    }
}

impl From<Finding> for FindingRow {
    fn from(Finding { name, what, why }: Finding) -> Self {
        Self { finding: name, what, why }
    }
}

impl Display for FindingRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.finding, self.what, self.why)
    }
}
