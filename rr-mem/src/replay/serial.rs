//! What went over a serial line, in lines.

use super::{
    Entry, Event,
    panda::{self, Call},
    qemu::{self, Async},
};

/// No line is longer, in bytes.
const MOST: usize = 4096;

/// The bytes of an entry that went over a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SerialBytes<'a> {
    /// Whether the guest sent them.
    pub from_guest: bool,
    bytes: Bytes<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes<'a> {
    One([u8; 1]),
    Many(&'a [u8]),
}

impl<'a> SerialBytes<'a> {
    /// Those of an entry, if it is about any.
    #[must_use]
    pub fn of(entry: &Entry<'a>) -> Option<Self> {
        let one = |from_guest, byte| Some(Self { from_guest, bytes: Bytes::One([byte]) });
        match entry.event() {
            Event::Panda(_, panda::Event::SkippedCall(Call::SerialSend(sent))) => {
                one(true, sent.value)
            }
            Event::Panda(_, panda::Event::SkippedCall(Call::SerialReceive(got))) => {
                one(false, got.value)
            }
            Event::Qemu(qemu::Event::Async { what: Async::CharRead { data, .. }, .. }) => {
                Some(Self { from_guest: false, bytes: Bytes::Many(data) })
            }
            _ => None,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::One(byte) => byte,
            Bytes::Many(bytes) => bytes,
        }
    }
}

/// Bytes in one direction, up to a newline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SerialLine {
    /// The instruction count of the first.
    pub instructions: u64,
    /// Whether the guest sent them.
    pub from_guest: bool,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Makes lines of bytes.
#[derive(Clone, Debug, Default)]
pub struct SerialLines(Option<SerialLine>);

impl SerialLines {
    /// Adds the bytes that went over at an instruction count: the lines that are
    /// whole now. A line ends at a newline or where the direction changes.
    pub fn add(&mut self, instructions: u64, sent: &SerialBytes<'_>) -> Vec<SerialLine> {
        let from_guest = sent.from_guest;
        let mut whole = Vec::new();
        for &byte in sent.bytes() {
            let ends =
                |line: &mut SerialLine| line.from_guest != from_guest || line.bytes.len() >= MOST;
            whole.extend(self.0.take_if(ends));
            let line =
                self.0.get_or_insert(SerialLine { instructions, from_guest, bytes: Vec::new() });
            line.bytes.push(byte);
            if byte == b'\n' {
                whole.extend(self.0.take());
            }
        }
        whole
    }

    /// The last line, which has no newline.
    #[must_use]
    pub fn finish(self) -> Option<SerialLine> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_a_newline_or_where_the_direction_changes() {
        let mut lines = SerialLines::default();
        let sent = |from_guest, bytes| SerialBytes { from_guest, bytes: Bytes::Many(bytes) };
        let line = |instructions, from_guest, bytes: &[u8]| SerialLine {
            instructions,
            from_guest,
            bytes: bytes.to_vec(),
        };
        assert_eq!(lines.add(1, &sent(true, b"ab")), []);
        assert_eq!(lines.add(2, &sent(true, b"c\nd")), [line(1, true, b"abc\n")]);
        assert_eq!(
            lines.add(3, &sent(false, b"x\n")),
            [line(2, true, b"d"), line(3, false, b"x\n")]
        );
        assert_eq!(lines.finish(), None);
    }
}
