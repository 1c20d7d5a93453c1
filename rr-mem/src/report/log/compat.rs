//! Nondet logs in the words of PANDA's rr_print, byte for byte, and in its style
//! where rr_print itself gives up (CPU_REG_WRITE).
//!
//! It prints to a buffer, without a search or an allocation for an entry: the
//! words behind a value depend on the callsite only.

use super::{MOST_DIGITS, PAIRS, decimal, signed};
use crate::replay::{
    Entry, Event,
    panda::{self, Call, Callsite},
};

/// Longer than any callsite's words.
const MOST: usize = 64;

/// Prints entries as rr_print does.
#[derive(Debug)]
pub struct Compat {
    /// By callsite.
    from: Vec<From>,
    count: Count,
}

/// The last count in decimal, without its four lowest digits: counts grow in
/// small steps, so few digits change.
#[derive(Debug)]
struct Count {
    high: u64,
    digits: [u8; MOST_DIGITS],
    len: usize,
}

impl Count {
    #[inline]
    fn write(&mut self, out: &mut Vec<u8>, count: u64) {
        let high = count / 10_000;
        if high == 0 {
            return decimal(out, count);
        }
        if high != self.high {
            self.change(high);
        }
        let end = out.len() + self.len;
        out.extend_from_slice(&self.digits);
        out.truncate(end);
        let low = (count % 10_000) as usize;
        out.extend_from_slice(&PAIRS[low / 100]);
        out.extend_from_slice(&PAIRS[low % 100]);
    }

    #[cold]
    fn change(&mut self, high: u64) {
        let mut digits = Vec::new();
        decimal(&mut digits, high);
        self.high = high;
        self.len = digits.len();
        self.digits[..digits.len()].copy_from_slice(&digits);
    }
}

/// ` from RR_CALLSITE_NAME`, in a size that is copied at once.
#[derive(Debug)]
struct From {
    words: [u8; MOST],
    len: usize,
}

impl From {
    fn new(callsite: u8) -> Self {
        let text = format!(" from RR_CALLSITE_{}", Callsite(callsite).name());
        let mut words = [0; MOST];
        let len = text.len().min(MOST);
        words[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { words, len }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.len;
        out.extend_from_slice(&self.words);
        out.truncate(end);
    }
}

impl Default for Compat {
    fn default() -> Self {
        let count = Count { high: 0, digits: [0; MOST_DIGITS], len: 0 };
        Self { from: (0..=u8::MAX).map(From::new).collect(), count }
    }
}

impl Compat {
    /// Appends the lines before the first entry: the log as it was named, its
    /// bytes, and the instructions that its header gives.
    pub fn header(out: &mut Vec<u8>, name: &[u8], size: u64, instructions: u64) {
        out.extend_from_slice(b"opened ");
        out.extend_from_slice(name);
        out.extend_from_slice(b" for read.  len=");
        decimal(out, size);
        out.extend_from_slice(b" bytes.\nRR Log with ");
        decimal(out, instructions);
        out.extend_from_slice(b" instructions\n");
    }

    /// Appends the lines of an entry; those of replay logs have none.
    #[inline]
    pub fn entry(&mut self, out: &mut Vec<u8>, entry: &Entry) {
        let Event::Panda(callsite, event) = entry.event() else { return };
        out.extend_from_slice(b"{guest_instr_count=");
        self.count.write(out, entry.instructions);
        let from = &self.from[usize::from(callsite.0)];
        use panda::Event as Is;
        match event {
            Is::Input1(value) => valued(out, b"}\n\tRR_INPUT_1 ", value.into(), from),
            Is::Input2(value) => valued(out, b"}\n\tRR_INPUT_2 ", value.into(), from),
            Is::Input4(value) => with_sign(out, b"}\n\tRR_INPUT_4 ", value as i32, from),
            Is::Input8(value) => valued(out, b"}\n\tRR_INPUT_8 ", value, from),
            Is::InterruptRequest(value) => {
                with_sign(out, b"}\n\tRR_INTERRUPT_REQUEST_", value, from);
            }
            Is::ExitRequest(value) => valued(out, b"}\n\tRR_EXIT_REQUEST_", value.into(), from),
            Is::PendingInterrupts(value) => {
                with_sign(out, b"}\n\tRR_PENDING_INTERRUPTS_", value as i32, from);
            }
            Is::Exception(value) => with_sign(out, b"}\n\tRR_EXCEPTION_", value, from),
            Is::EndOfLog => out.extend_from_slice(b"}\n\tRR_END_OF_LOG\n"),
            Is::SkippedCall(call) => skipped(out, &call, from),
        }
    }
}

#[inline]
fn valued<const N: usize>(out: &mut Vec<u8>, words: &[u8; N], value: u64, from: &From) {
    out.extend_from_slice(words);
    decimal(out, value);
    from.write(out);
    out.push(b'\n');
}

#[inline]
fn with_sign<const N: usize>(out: &mut Vec<u8>, words: &[u8; N], value: i32, from: &From) {
    out.extend_from_slice(words);
    signed(out, value);
    from.write(out);
    out.push(b'\n');
}

fn skipped(out: &mut Vec<u8>, call: &Call, from: &From) {
    out.extend_from_slice(b"}\n");
    if let Call::HdTransfer(moved) = call {
        out.extend_from_slice(b"This is a HD transfer. Source: ");
        super::hex(out, moved.source);
        out.extend_from_slice(b", Dest: ");
        super::hex(out, moved.destination);
        out.extend_from_slice(b", Len: ");
        signed(out, moved.bytes as i32);
        out.push(b'\n');
    }
    out.extend_from_slice(b"\tRR_SKIPPED_CALL_(RR_CALL_");
    out.extend_from_slice(call.name().as_bytes());
    out.push(b')');
    from.write(out);
    out.push(b' ');
    signed(out, counted(call) as i32);
    out.extend_from_slice(b" bytes\n");
}

/// What rr_print takes for the bytes of a call.
fn counted(call: &Call) -> usize {
    match call {
        Call::NetTransfer(_) | Call::HandlePacket { .. } => 0,
        other => other.struct_bytes() + other.data().map_or(0, <[u8]>::len),
    }
}
