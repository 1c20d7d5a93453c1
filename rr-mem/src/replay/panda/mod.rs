//! PANDA's nondet logs (`NAME-rr-nondet.log`, and `nondetlog` in an rr2
//! archive), as PANDA's QEMU 2.9.1 writes them: rr_log.c, "RECORD", and the
//! argument structs of rr_log.h in the ABI of x86-64.
//!
//! A u64, the final count of guest instructions (0 until a recording ends), then
//! packed little-endian entries up to the end of the file: u64 instruction
//! count, u8 kind, u8 callsite, and by kind a value, or a call's number, its
//! struct (with padding and stale host pointers) and its data.
//!
//! Not here: what the addresses lead to. The address of CPU_MEM_UNMAP is an
//! offset within a region that the log does not name.

mod names;

use super::{
    Coding, Entry, EventLog, Fields, Key, LogError, LogErrorKind, LogFormat, OpenError, Shared,
    Window,
    cursor::{Cursor, Stop},
};

/// Bytes before the first entry.
pub const HEADER: usize = 8;
/// Bytes of an entry before its value.
const HEAD: usize = 10;
/// Numbers of kinds.
pub(super) const INTERRUPT_REQUEST: u8 = 4;
const SKIPPED_CALL: u8 = 6;
pub(super) const END_OF_LOG: u8 = 7;
/// Bytes that a batch takes, about.
const BATCH: usize = 4 << 20;
/// [`Key::class`] of the first call.
const CALLS_FROM: u8 = 16;

/// Where in the emulator an entry came from: its number in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Callsite(pub u8);

impl Callsite {
    /// Between the calls of a device and its timers.
    pub const MAIN_LOOP_WAIT: Self = Self(6);
    /// Of the mark at the end.
    pub const END_OF_LOG: Self = Self(17);

    /// PANDA's name without `RR_CALLSITE_`.
    #[inline]
    #[must_use]
    pub fn name(self) -> &'static str {
        names::CALLSITES.get(usize::from(self.0)).copied().unwrap_or("UNKNOWN")
    }
}

/// What a nondet log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A byte that the CPU read.
    Input1(u8),
    /// Two bytes that the CPU read.
    Input2(u16),
    /// Four bytes that the CPU read.
    Input4(u32),
    /// Eight bytes that the CPU read.
    Input8(u64),
    /// The interrupts that are asked for have changed.
    InterruptRequest(i32),
    /// The CPU loop was asked to exit.
    ExitRequest(u16),
    /// A device did something; replay does it in its place.
    SkippedCall(Call<'a>),
    /// The recording ended here.
    EndOfLog,
    /// PowerPC: its pending interrupts.
    PendingInterrupts(u32),
    /// PowerPC: its exception.
    Exception(i32),
}

/// What a device did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call<'a> {
    /// A device wrote to guest memory.
    CpuMemRw {
        /// In the address space; an offset in the region where ROM was written.
        addr: u64,
        /// What was written.
        data: &'a [u8],
    },
    /// A memory region came or went.
    MemRegionChange(RegionChange<'a>),
    /// Memory that a device had mapped was written.
    CpuMemUnmap {
        /// Offset within the region, which is not in the log.
        addr: u64,
        /// What is there now.
        data: &'a [u8],
    },
    /// A disk moved data.
    HdTransfer(Transfer),
    /// A network card moved data within itself or to and from memory.
    NetTransfer(Transfer),
    /// A packet passed.
    HandlePacket {
        /// 0 to the guest, 1 from it.
        direction: u8,
        /// From the Ethernet header on.
        data: &'a [u8],
    },
    /// The serial port got a byte.
    SerialReceive(Serial),
    /// The guest read a byte from it.
    SerialRead(Serial),
    /// The serial port sent a byte.
    SerialSend(Serial),
    /// The guest wrote a byte to it.
    SerialWrite(Serial),
    /// A debugger changed a register.
    CpuRegWrite {
        /// Which CPU.
        cpu: i32,
        /// Its number in gdb's numbering.
        register: i32,
        /// The new value in the guest's byte order.
        data: &'a [u8],
    },
}

/// A memory region that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionChange<'a> {
    /// Guest-physical address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// 0 I/O, 1 RAM, 2 unknown.
    pub kind: u32,
    /// It came.
    pub added: bool,
    /// QEMU's name of it, as bytes.
    pub name: &'a [u8],
}

impl RegionChange<'_> {
    /// What kind of region.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self.kind {
            0 => "I/O",
            1 => "RAM",
            _ => "unknown",
        }
    }
}

/// Data that a device moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transfer {
    /// The name of the way, such as `HD_TO_RAM`.
    pub way: &'static str,
    /// From: a host pointer for an IOB.
    pub source: u64,
    /// To: a host pointer for an IOB.
    pub destination: u64,
    /// Bytes.
    pub bytes: u32,
}

impl Transfer {
    /// Whether the source is a buffer in the emulator.
    #[must_use]
    pub fn from_host(&self) -> bool {
        self.way.starts_with("IOB")
    }

    /// Whether the destination is a buffer in the emulator.
    #[must_use]
    pub fn to_host(&self) -> bool {
        self.way.ends_with("IOB")
    }

    /// The guest-physical address of the side that is RAM.
    #[must_use]
    pub fn guest_address(&self) -> Option<u64> {
        if self.way.starts_with("RAM") {
            Some(self.source)
        } else {
            self.way.ends_with("RAM").then_some(self.destination)
        }
    }
}

/// A byte through a serial port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Serial {
    /// Host pointer into the queue.
    pub fifo: u64,
    /// I/O port of the access, where the guest made one.
    pub port: Option<u32>,
    /// The byte.
    pub value: u8,
}

/// How the struct of a call is laid out: bytes, and where the length of its
/// data is.
#[derive(Clone, Copy)]
struct EntryShape {
    bytes: usize,
    length: Length,
}

#[derive(Clone, Copy)]
enum Length {
    None,
    U32(usize),
    I32(usize),
    U64(usize),
}

/// By number of the call.
const SHAPES: [EntryShape; 11] = [
    EntryShape { bytes: 24, length: Length::U32(16) },
    EntryShape { bytes: 40, length: Length::U32(24) },
    EntryShape { bytes: 24, length: Length::U64(16) },
    EntryShape { bytes: 32, length: Length::None },
    EntryShape { bytes: 32, length: Length::None },
    EntryShape { bytes: 16, length: Length::U32(8) },
    EntryShape { bytes: 16, length: Length::None },
    EntryShape { bytes: 16, length: Length::None },
    EntryShape { bytes: 16, length: Length::None },
    EntryShape { bytes: 16, length: Length::None },
    EntryShape { bytes: 24, length: Length::I32(20) },
];

/// Bytes of the value, by kind; a call's comes from its shape.
const VALUE_BYTES: [usize; 10] = [1, 2, 4, 8, 4, 2, 1, 0, 4, 4];

/// Bytes of the entry at the start of `bytes`.
#[inline]
fn measure(bytes: &[u8]) -> Result<usize, Stop> {
    let Some(&[kind, callsite]) = bytes.get(8..10).and_then(|two| two.first_chunk()) else {
        return Err(Stop::Short(HEAD as u64));
    };
    if usize::from(callsite) >= names::CALLSITES.len() {
        let known = usize::from(kind) < VALUE_BYTES.len();
        let wrong = if known { LogErrorKind::Callsite(callsite) } else { LogErrorKind::Kind(kind) };
        return Err(Stop::Bad(wrong));
    }
    if kind == SKIPPED_CALL {
        return measure_call(bytes);
    }
    match VALUE_BYTES.get(usize::from(kind)) {
        Some(len) if HEAD + len <= bytes.len() => Ok(HEAD + len),
        Some(len) => Err(Stop::Short((HEAD + len) as u64)),
        None => Err(Stop::Bad(LogErrorKind::Kind(kind))),
    }
}

fn measure_call(bytes: &[u8]) -> Result<usize, Stop> {
    let Some(&call) = bytes.get(HEAD) else { return Err(Stop::Short(HEAD as u64 + 1)) };
    let Some(shape) = SHAPES.get(usize::from(call)) else {
        return Err(Stop::Bad(LogErrorKind::Call(call)));
    };
    let end = HEAD + 1 + shape.bytes;
    let Some(head) = bytes.get(HEAD + 1..end) else { return Err(Stop::Short(end as u64)) };
    let data = match shape.length {
        Length::None => 0,
        Length::U32(at) => u64::from(u32_at(head, at)),
        Length::U64(at) => u64_at(head, at),
        Length::I32(at) => {
            let len = u32_at(head, at) as i32;
            u64::try_from(len).map_err(|_| Stop::Bad(LogErrorKind::Length(len.into())))?
        }
    };
    let all = (end as u64).saturating_add(data);
    if all > bytes.len() as u64 { Err(Stop::Short(all)) } else { Ok(all as usize) }
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u32::from_le_bytes(chunk.copied().unwrap_or_default())
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u64::from_le_bytes(chunk.copied().unwrap_or_default())
}

/// What a whole entry says.
#[inline(always)]
pub(super) fn event(raw: &[u8]) -> super::Event<'_> {
    let callsite = Callsite(raw.get(9).copied().unwrap_or_default());
    super::Event::Panda(callsite, decode(raw))
}

/// Kind and call as one number: that of the kind, or that of the call behind
/// all kinds.
#[inline]
pub(super) fn key(raw: &[u8]) -> Key {
    let Some(&[kind, callsite]) = raw.get(8..HEAD).and_then(|two| two.first_chunk()) else {
        return Key { class: END_OF_LOG, callsite: Callsite::END_OF_LOG.0 };
    };
    let call = raw.get(HEAD).filter(|_| kind == SKIPPED_CALL);
    Key { class: call.map_or(kind, |call| CALLS_FROM + call), callsite }
}

/// The data of a call.
#[inline]
pub(super) fn payload(raw: &[u8]) -> Option<&[u8]> {
    if raw.get(8) != Some(&SKIPPED_CALL) {
        return None;
    }
    let shape = SHAPES.get(usize::from(*raw.get(HEAD)?))?;
    match shape.length {
        Length::None => None,
        _ => raw.get(HEAD + 1 + shape.bytes..),
    }
}

/// The event of a whole entry.
#[inline(always)]
fn decode(raw: &[u8]) -> Event<'_> {
    let value = raw.get(HEAD..).unwrap_or_default();
    match raw.get(8).copied().unwrap_or_default() {
        0 => Event::Input1(value.first().copied().unwrap_or_default()),
        1 => Event::Input2(u16_at(value)),
        2 => Event::Input4(u32_at(value, 0)),
        3 => Event::Input8(u64_at(value, 0)),
        4 => Event::InterruptRequest(u32_at(value, 0) as i32),
        5 => Event::ExitRequest(u16_at(value)),
        SKIPPED_CALL => decode_call(value),
        END_OF_LOG => Event::EndOfLog,
        8 => Event::PendingInterrupts(u32_at(value, 0)),
        _ => Event::Exception(u32_at(value, 0) as i32),
    }
}

fn u16_at(bytes: &[u8]) -> u16 {
    u16::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default())
}

/// The call at the start of `value`: its number, its struct, its data.
fn decode_call(value: &[u8]) -> Event<'_> {
    let call = value.first().copied().unwrap_or_default();
    let bytes = SHAPES.get(usize::from(call)).map_or(0, |shape| shape.bytes);
    let args = value.get(1..).unwrap_or_default();
    let (args, data) = args.split_at_checked(bytes).unwrap_or_default();
    Event::SkippedCall(match call {
        0 => Call::CpuMemRw { addr: u64_at(args, 0), data },
        1 => Call::MemRegionChange(RegionChange {
            start: u64_at(args, 0),
            size: u64_at(args, 8),
            kind: u32_at(args, 28),
            added: args.get(32).is_some_and(|&added| added != 0),
            name: data,
        }),
        2 => Call::CpuMemUnmap { addr: u64_at(args, 0), data },
        3 => Call::HdTransfer(transfer(args, &names::HD_TRANSFERS)),
        4 => Call::NetTransfer(transfer(args, &names::NET_TRANSFERS)),
        5 => Call::HandlePacket { direction: args.get(12).copied().unwrap_or_default(), data },
        6 => Call::SerialReceive(serial(args)),
        7 => Call::SerialRead(serial_access(args)),
        8 => Call::SerialSend(serial(args)),
        9 => Call::SerialWrite(serial_access(args)),
        _ => Call::CpuRegWrite {
            cpu: u32_at(args, 0) as i32,
            register: u32_at(args, 16) as i32,
            data,
        },
    })
}

fn transfer(args: &[u8], ways: &[&'static str]) -> Transfer {
    let way = ways.get(u32_at(args, 0) as usize).copied();
    Transfer {
        way: way.unwrap_or("UNKNOWN"),
        source: u64_at(args, 8),
        destination: u64_at(args, 16),
        bytes: u32_at(args, 24),
    }
}

fn serial(args: &[u8]) -> Serial {
    let value = args.get(8).copied().unwrap_or_default();
    Serial { fifo: u64_at(args, 0), port: None, value }
}

fn serial_access(args: &[u8]) -> Serial {
    let value = args.get(12).copied().unwrap_or_default();
    Serial { fifo: u64_at(args, 0), port: Some(u32_at(args, 8)), value }
}

/// Which bytes of a call's struct are no host pointer and no padding: from
/// and to.
const fn meaning(call: u8) -> &'static [[usize; 2]] {
    match call {
        0 => &[[0, 8], [16, 20]],
        1 => &[[0, 16], [24, 33]],
        2 => &[[0, 8], [16, 24]],
        3 | 4 => &[[0, 4], [8, 28]],
        5 => &[[8, 13]],
        6 | 8 => &[[8, 9]],
        7 | 9 => &[[8, 13]],
        _ => &[[0, 4], [16, 24]],
    }
}

/// See [`Entry::shared`].
pub(super) fn shared(raw: &[u8]) -> Shared<'_> {
    let all = Shared { head: [0; 64], head_len: 0, payload: raw };
    let (Some(&kind), Some(&call)) = (raw.get(8), raw.get(HEAD)) else { return all };
    let Some(shape) = SHAPES.get(usize::from(call)).filter(|_| kind == SKIPPED_CALL) else {
        return all;
    };
    let start = HEAD + 1;
    let (Some(args), Some(payload)) =
        (raw.get(start..start + shape.bytes), raw.get(start + shape.bytes..))
    else {
        return all;
    };
    let mut head = [0; 64];
    head[..start].copy_from_slice(&raw[..start]);
    for &[from, to] in meaning(call) {
        head[start + from..start + to].copy_from_slice(&args[from..to]);
    }
    if let Event::SkippedCall(Call::HdTransfer(moved) | Call::NetTransfer(moved)) = decode(raw) {
        let pointer = |at: usize| start + at..start + at + 8;
        if moved.from_host() {
            head[pointer(8)].fill(0);
        }
        if moved.to_host() {
            head[pointer(16)].fill(0);
        }
    }
    Shared { head, head_len: start + shape.bytes, payload }
}

impl<'a> Event<'a> {
    /// The number of the kind in the log.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Input1(_) => 0,
            Self::Input2(_) => 1,
            Self::Input4(_) => 2,
            Self::Input8(_) => 3,
            Self::InterruptRequest(_) => INTERRUPT_REQUEST,
            Self::ExitRequest(_) => 5,
            Self::SkippedCall(_) => SKIPPED_CALL,
            Self::EndOfLog => END_OF_LOG,
            Self::PendingInterrupts(_) => 8,
            Self::Exception(_) => 9,
        }
    }

    /// PANDA's name of the kind, without `RR_`.
    #[inline]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        names::KINDS[self.number() as usize]
    }

    /// The columns.
    #[inline]
    pub(super) fn fields(&self, callsite: Callsite) -> Fields<'a> {
        let fields =
            Fields { kind: self.name(), callsite: Some(callsite.name()), ..Fields::default() };
        let value = match *self {
            Self::Input1(value) => Some(value.into()),
            Self::Input2(value) | Self::ExitRequest(value) => Some(value.into()),
            Self::Input4(value) | Self::PendingInterrupts(value) => Some(value.into()),
            Self::Input8(value) => Some(value),
            Self::InterruptRequest(value) | Self::Exception(value) => Some((value as u32).into()),
            Self::SkippedCall(call) => return call.fields(fields),
            Self::EndOfLog => None,
        };
        Fields { value, ..fields }
    }
}

impl<'a> Call<'a> {
    /// The number of the call in the log.
    #[inline]
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::CpuMemRw { .. } => 0,
            Self::MemRegionChange(_) => 1,
            Self::CpuMemUnmap { .. } => 2,
            Self::HdTransfer(_) => 3,
            Self::NetTransfer(_) => 4,
            Self::HandlePacket { .. } => 5,
            Self::SerialReceive(_) => 6,
            Self::SerialRead(_) => 7,
            Self::SerialSend(_) => 8,
            Self::SerialWrite(_) => 9,
            Self::CpuRegWrite { .. } => 10,
        }
    }

    /// PANDA's name of the call, without `RR_CALL_`.
    #[inline]
    #[must_use]
    pub const fn name(&self) -> &'static str {
        names::CALLS[self.number() as usize]
    }

    /// Bytes of the struct that the log holds.
    #[must_use]
    pub const fn struct_bytes(&self) -> usize {
        SHAPES[self.number() as usize].bytes
    }

    /// The data behind the struct.
    #[inline]
    #[must_use]
    pub const fn data(&self) -> Option<&'a [u8]> {
        match self {
            Self::CpuMemRw { data, .. }
            | Self::CpuMemUnmap { data, .. }
            | Self::HandlePacket { data, .. }
            | Self::CpuRegWrite { data, .. } => Some(data),
            Self::MemRegionChange(change) => Some(change.name),
            _ => None,
        }
    }

    fn fields(&self, fields: Fields<'a>) -> Fields<'a> {
        let data = self.data();
        let (address, length, value) = match self {
            Self::CpuMemRw { addr, data } | Self::CpuMemUnmap { addr, data } => {
                (Some(*addr), Some(data.len() as u64), None)
            }
            Self::MemRegionChange(change) => {
                (Some(change.start), Some(change.size), Some(change.added.into()))
            }
            Self::HdTransfer(moved) | Self::NetTransfer(moved) => {
                (moved.guest_address(), Some(moved.bytes.into()), None)
            }
            Self::HandlePacket { direction, data } => {
                (None, Some(data.len() as u64), Some((*direction).into()))
            }
            Self::SerialReceive(serial)
            | Self::SerialRead(serial)
            | Self::SerialSend(serial)
            | Self::SerialWrite(serial) => {
                (serial.port.map(u64::from), None, Some(serial.value.into()))
            }
            Self::CpuRegWrite { register, data, .. } => {
                (None, Some(data.len() as u64), Some((*register as u32).into()))
            }
        };
        Fields { call: Some(self.name()), address, length, value, payload: data, ..fields }
    }
}

/// Every name of a kind, callsite or call.
pub(super) fn all_names() -> Vec<&'static str> {
    [&names::KINDS[..], &names::CALLSITES, &names::CALLS].concat()
}

/// How many entries at the start of a log are whole, up to `most`; 0 when what
/// is there is none.
pub(super) fn fit(start: &[u8], most: usize) -> usize {
    let mut rest = start.get(HEADER..).unwrap_or_default();
    for found in 0..most {
        match measure(rest) {
            Ok(len) => rest = &rest[len..],
            // A long entry may go on behind what is looked at.
            Err(Stop::Short(_)) => return found.max(usize::from(!rest.is_empty())),
            Err(Stop::Bad(_)) => return found,
        }
    }
    most
}

/// A nondet log.
#[derive(Debug)]
pub struct Log {
    cursor: Cursor,
    total: u64,
}

impl Log {
    pub(super) fn new(mut window: Window) -> Result<Self, OpenError> {
        let header = window.rest().first_chunk().copied();
        let total = header.map(u64::from_le_bytes).ok_or(OpenError::Short(window.rest().len()))?;
        window.skip(HEADER);
        Ok(Self { cursor: Cursor::new(window), total })
    }

    /// The header: the instructions of the whole recording, 0 when it never
    /// ended.
    #[must_use]
    pub const fn header(&self) -> u64 {
        self.total
    }
}

impl EventLog for Log {
    fn format(&self) -> LogFormat {
        LogFormat::Panda
    }

    #[inline]
    fn advance(&mut self) -> Result<bool, LogError> {
        if self.cursor.failed {
            return Ok(false);
        }
        let Some(len) = self.cursor.measure(measure)? else { return Ok(false) };
        self.cursor.instructions = u64_at(self.cursor.window.rest(), 0);
        self.cursor.pass(len);
        Ok(true)
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        self.cursor.entry(Coding::Panda)
    }

    #[inline]
    fn batch(&mut self, mut take: impl FnMut(&Entry<'_>) -> bool) {
        let cursor = &mut self.cursor;
        let (rest, base) = (cursor.window.rest(), cursor.window.offset());
        let (mut at, mut index) = (0, cursor.index);
        let (mut instructions, mut last) = (cursor.instructions, cursor.len);
        while at < BATCH && !cursor.failed {
            let bytes = &rest[at..];
            let Ok(len) = measure(bytes) else { break };
            let raw = &bytes[..len];
            instructions = u64_at(raw, 0);
            let offset = base + at as u64;
            let entry = Entry { index, offset, instructions, raw, coding: Coding::Panda };
            (at, index, last) = (at + len, index + 1, len);
            if !take(&entry) {
                break;
            }
        }
        (cursor.index, cursor.instructions, cursor.len) = (index, instructions, last);
        cursor.window.skip(at);
    }

    fn total_instructions(&self) -> Option<u64> {
        (self.total != 0).then_some(self.total)
    }

    fn size(&self) -> Option<u64> {
        self.cursor.window.len()
    }

    fn seek(&mut self, offset: u64, index: u64, instructions: u64) -> bool {
        self.cursor.seek(offset, index, instructions)
    }
}
