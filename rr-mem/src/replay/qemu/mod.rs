//! QEMU's replay logs (`-icount ...,rr=record,rrfile=FILE`), versions 0xe0200a
//! (5.2 to 7.0), 0xe0200b and 0xe0200c (7.1 to 10.0): docs/devel/replay.rst,
//! "Replay log format", and replay/*.c.
//!
//! Big-endian: u32 version (0 until a recording ends), u64 reserved, then events
//! of a u8 number and what belongs to it. Instruction counts come as events of
//! their own: so many since the last. The numbers behind the causes of a
//! shutdown depend on how many causes the release knows, which the version does
//! not tell: [`Ids`] is what fits the log.
//!
//! Not here: the snapshot that a replay starts from, and which device an id is.

mod fit;
mod names;

use super::{
    Entry, EventLog, Fields, Format, Key, LogError, LogErrorKind, OpenError, Window,
    cursor::{Cursor, Stop},
};

/// Bytes before the first event.
pub const HEADER: usize = 12;
/// Bytes of a stream by which the numbering is decided.
const DECIDED_BY: usize = 4 << 20;
/// [`Key::callsite`] of events without one.
const NO_CALLSITE: u8 = 63;
/// [`Key::class`] of interrupts.
pub(super) const INTERRUPT: u8 = 1;
/// [`Key::class`] of the end mark.
pub(super) const END: u8 = 27;

/// The version in a log's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

impl Version {
    /// Of QEMU 7.1 to 10.0.
    pub const LATEST: Self = Self(0xe0_200c);
    const FIRST: u32 = 0xe0_200a;

    /// A version that we know.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number >= Self::FIRST && number <= Self::LATEST.0 { Some(Self(number)) } else { None }
    }

    /// The number in the header.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Asynchronous events have numbers of their own.
    const fn joined(self) -> bool {
        self.0 >= 0xe0_200c
    }

    /// Asynchronous events say at which checkpoint they were queued.
    const fn at_checkpoints(self) -> bool {
        self.0 == Self::FIRST
    }

    /// Causes of a shutdown that the releases with this version know.
    const fn usual_causes(self) -> u8 {
        if self.joined() { 11 } else { 10 }
    }
}

/// The numbers of a log's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    version: Version,
    causes: u8,
}

/// Bytes of the counts in audio events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AudioWidth {
    Narrow,
    Wide,
}

impl AudioWidth {
    const fn bytes(self) -> usize {
        match self {
            Self::Narrow => 4,
            Self::Wide => 8,
        }
    }
}

/// What an event's number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    Instruction,
    Interrupt,
    Exception,
    /// Kind and checkpoint are in the event.
    AnyAsync,
    Async(u8),
    Shutdown(u8),
    CharWrite,
    CharReadAll,
    CharReadAllError,
    AudioOut,
    AudioIn,
    Random,
    Clock(u8),
    Checkpoint(u8),
    End,
}

impl Ids {
    const fn new(version: Version, causes: u8) -> Self {
        Self { version, causes }
    }

    /// How many causes of a shutdown the log's release knows.
    #[must_use]
    pub const fn causes(self) -> u8 {
        self.causes
    }

    const fn shutdown(self) -> u8 {
        if self.version.joined() { 3 + names::ASYNC.len() as u8 } else { 4 }
    }

    /// The number of the end mark.
    #[must_use]
    pub const fn end(self) -> u8 {
        self.shutdown() + self.causes + 1 + 6 + 2 + names::CHECKPOINTS.len() as u8
    }

    #[inline]
    fn get(self, number: u8) -> Option<Id> {
        let shutdown = self.shutdown();
        Some(match number {
            0 => Id::Instruction,
            1 => Id::Interrupt,
            2 => Id::Exception,
            _ if number < shutdown && !self.version.joined() => Id::AnyAsync,
            _ if number < shutdown => Id::Async(number - 3),
            _ if number - shutdown <= self.causes => Id::Shutdown(number - shutdown),
            _ => return Self::behind_shutdown(number - shutdown - self.causes - 1),
        })
    }

    const fn behind_shutdown(number: u8) -> Option<Id> {
        Some(match number {
            0 => Id::CharWrite,
            1 => Id::CharReadAll,
            2 => Id::CharReadAllError,
            3 => Id::AudioOut,
            4 => Id::AudioIn,
            5 => Id::Random,
            6 | 7 => Id::Clock(number - 6),
            8..=16 => Id::Checkpoint(number - 8),
            17 => Id::End,
            _ => return None,
        })
    }
}

/// What a replay log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// So many instructions were executed since the last event.
    Instruction(u32),
    /// The CPU took an interrupt.
    Interrupt,
    /// The CPU took an exception.
    Exception,
    /// Something that the outside did.
    Async {
        /// The checkpoint at which it was queued (0xe0200a).
        checkpoint: Option<u8>,
        /// What.
        what: Async<'a>,
    },
    /// The machine was asked to shut down: the number of the cause.
    Shutdown(u8),
    /// A character device took output.
    CharWrite {
        /// What the write returned.
        result: i32,
        /// Bytes that it took.
        offset: u32,
    },
    /// A character device was read as a whole.
    CharReadAll(&'a [u8]),
    /// The same, and it failed.
    CharReadAllError(i32),
    /// Samples played.
    AudioOut(u64),
    /// Samples recorded.
    AudioIn {
        /// How many.
        recorded: u64,
        /// Where writing goes on.
        position: u64,
        /// 16 bytes each, left and right.
        samples: &'a [u8],
    },
    /// Random numbers of the host.
    Random {
        /// What the call returned.
        result: i32,
        /// The bytes.
        data: &'a [u8],
    },
    /// A clock was read.
    Clock {
        /// 0 the host's, 1 the virtual one in real time.
        clock: u8,
        /// In ns.
        value: u64,
    },
    /// The recording and the replay meet here: the checkpoint's number.
    Checkpoint(u8),
    /// The end of the recording.
    End,
}

/// Something that the outside did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Async<'a> {
    /// A bottom half: its id.
    Bh(u64),
    /// A bottom half that runs once: its id.
    BhOneshot(u64),
    /// A key, button or pointer.
    Input(Input),
    /// The end of such events that belong together.
    InputSync,
    /// Bytes for a character device.
    CharRead {
        /// The device's number.
        device: u8,
        /// The bytes.
        data: &'a [u8],
    },
    /// A disk request ended: its id.
    Block(u64),
    /// A packet for the guest.
    Net {
        /// The card's number.
        device: u8,
        /// QEMU's flags of it.
        flags: u32,
        /// From the Ethernet header on.
        data: &'a [u8],
    },
}

/// A key, button or pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key {
        /// A number (true) or a QKeyCode.
        number: bool,
        /// Which.
        code: u64,
        /// Pressed.
        down: bool,
    },
    /// A mouse button.
    Button {
        /// Which.
        button: u32,
        /// Pressed.
        down: bool,
    },
    /// A pointer moved by so much.
    Rel {
        /// 0 X, 1 Y.
        axis: u32,
        /// How far.
        value: i64,
    },
    /// A pointer moved to.
    Abs {
        /// 0 X, 1 Y.
        axis: u32,
        /// Where.
        value: i64,
    },
    /// A finger (10.0).
    MultiTouch {
        /// QEMU's InputMultiTouchType.
        kind: u32,
        /// Which finger.
        slot: u64,
        /// Which touch.
        tracking: u64,
        /// 0 X, 1 Y.
        axis: u32,
        /// Where.
        value: i64,
    },
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u32::from_be_bytes(chunk.copied().unwrap_or_default())
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u64::from_be_bytes(chunk.copied().unwrap_or_default())
}

/// `at` bytes and what the u32 that ends them counts.
fn with_array(bytes: &[u8], at: usize) -> Result<u64, Stop> {
    need(bytes, at as u64)?;
    Ok(at as u64 + u64::from(u32_at(bytes, at - 4)))
}

fn need(bytes: &[u8], len: u64) -> Result<(), Stop> {
    if (bytes.len() as u64) < len { Err(Stop::Short(len)) } else { Ok(()) }
}

/// Bytes of the event at the start of `bytes`.
#[inline]
fn measure(bytes: &[u8], ids: Ids, audio: AudioWidth) -> Result<usize, Stop> {
    let Some(&number) = bytes.first() else { return Err(Stop::Short(1)) };
    let Some(id) = ids.get(number) else { return Err(Stop::Bad(LogErrorKind::Kind(number))) };
    let len = match id {
        Id::Instruction | Id::CharReadAllError => 5,
        Id::Interrupt | Id::Exception | Id::Shutdown(_) | Id::Checkpoint(_) | Id::End => 1,
        Id::AnyAsync => measure_async(bytes, ids.version)?,
        Id::Async(kind) => measure_kind(bytes, 1, kind)?,
        Id::CharWrite | Id::Clock(_) => 9,
        Id::CharReadAll => with_array(bytes, 5)?,
        Id::AudioOut => 1 + audio.bytes() as u64,
        Id::AudioIn => measure_audio_in(bytes, audio)?,
        Id::Random => with_array(bytes, 9)?,
    };
    need(bytes, len)?;
    Ok(len as usize)
}

fn measure_async(bytes: &[u8], version: Version) -> Result<u64, Stop> {
    let at = if version.at_checkpoints() { 3 } else { 2 };
    need(bytes, at as u64)?;
    measure_kind(bytes, at, bytes[at - 1])
}

/// Bytes of an asynchronous event whose payload starts at `at`.
fn measure_kind(bytes: &[u8], at: usize, kind: u8) -> Result<u64, Stop> {
    let fixed = at as u64;
    match kind {
        0 | 1 | 5 => Ok(fixed + 8),
        2 => measure_input(bytes, at),
        3 => Ok(fixed),
        4 => with_array(bytes, at + 5),
        6 => with_array(bytes, at + 9),
        kind => Err(Stop::Bad(LogErrorKind::Call(kind))),
    }
}

fn measure_input(bytes: &[u8], at: usize) -> Result<u64, Stop> {
    need(bytes, at as u64 + 8)?;
    let kind = u32_at(bytes, at);
    let len = match (kind, u32_at(bytes, at + 4)) {
        (0, 0) => 8 + 9,
        (0, 1) => 8 + 5,
        (0, other) => return Err(Stop::Bad(LogErrorKind::Input(other))),
        (1, _) => 8 + 1,
        (2 | 3, _) => 8 + 8,
        (4, _) => 8 + 8 + 8 + 4 + 8,
        _ => return Err(Stop::Bad(LogErrorKind::Input(kind))),
    };
    Ok(at as u64 + len)
}

fn measure_audio_in(bytes: &[u8], audio: AudioWidth) -> Result<u64, Stop> {
    let head = 1 + 2 * audio.bytes();
    need(bytes, head as u64)?;
    let recorded = match audio {
        AudioWidth::Narrow => u32_at(bytes, 1).into(),
        AudioWidth::Wide => u64_at(bytes, 1),
    };
    Ok(recorded.saturating_mul(16).saturating_add(head as u64))
}

/// How the events of a log are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Coding {
    ids: Ids,
    audio: AudioWidth,
}

impl Coding {
    #[inline]
    pub fn decode(self, raw: &[u8]) -> Event<'_> {
        decode(raw, self.ids, self.audio)
    }

    #[inline]
    pub fn key(self, raw: &[u8]) -> Key {
        let event = self.decode(raw);
        Key { class: event.class(), callsite: event.callsite() }
    }
}

/// The event of whole bytes.
#[inline]
fn decode(raw: &[u8], ids: Ids, audio: AudioWidth) -> Event<'_> {
    let id = raw.first().and_then(|&number| ids.get(number)).unwrap_or(Id::End);
    let from = |at: usize| raw.get(at..).unwrap_or_default();
    match id {
        Id::Instruction => Event::Instruction(u32_at(raw, 1)),
        Id::Interrupt => Event::Interrupt,
        Id::Exception => Event::Exception,
        Id::AnyAsync => decode_async(raw, ids.version),
        Id::Async(kind) => Event::Async { checkpoint: None, what: decode_kind(from(1), kind) },
        Id::Shutdown(cause) => Event::Shutdown(cause),
        Id::CharWrite => Event::CharWrite { result: u32_at(raw, 1) as i32, offset: u32_at(raw, 5) },
        Id::CharReadAll => Event::CharReadAll(from(5)),
        Id::CharReadAllError => Event::CharReadAllError(u32_at(raw, 1) as i32),
        Id::AudioOut | Id::AudioIn => decode_audio(raw, id, audio),
        Id::Random => Event::Random { result: u32_at(raw, 1) as i32, data: from(9) },
        Id::Clock(clock) => Event::Clock { clock, value: u64_at(raw, 1) },
        Id::Checkpoint(number) => Event::Checkpoint(number),
        Id::End => Event::End,
    }
}

fn decode_audio(raw: &[u8], id: Id, audio: AudioWidth) -> Event<'_> {
    let count = |at| match audio {
        AudioWidth::Narrow => u64::from(u32_at(raw, at)),
        AudioWidth::Wide => u64_at(raw, at),
    };
    if id == Id::AudioOut {
        return Event::AudioOut(count(1));
    }
    let samples = raw.get(1 + 2 * audio.bytes()..).unwrap_or_default();
    Event::AudioIn { recorded: count(1), position: count(1 + audio.bytes()), samples }
}

fn decode_async(raw: &[u8], version: Version) -> Event<'_> {
    let at = if version.at_checkpoints() { 3 } else { 2 };
    let byte = |at: usize| raw.get(at).copied().unwrap_or_default();
    let checkpoint = version.at_checkpoints().then(|| byte(1));
    let payload = raw.get(at..).unwrap_or_default();
    Event::Async { checkpoint, what: decode_kind(payload, byte(at - 1)) }
}

fn decode_kind(payload: &[u8], kind: u8) -> Async<'_> {
    let device = payload.first().copied().unwrap_or_default();
    let data = |at: usize| payload.get(at..).unwrap_or_default();
    match kind {
        0 => Async::Bh(u64_at(payload, 0)),
        1 => Async::BhOneshot(u64_at(payload, 0)),
        2 => Async::Input(decode_input(payload)),
        4 => Async::CharRead { device, data: data(5) },
        5 => Async::Block(u64_at(payload, 0)),
        6 => Async::Net { device, flags: u32_at(payload, 1), data: data(9) },
        _ => Async::InputSync,
    }
}

fn decode_input(payload: &[u8]) -> Input {
    let second = u32_at(payload, 4);
    let down = |at: usize| payload.get(at).is_some_and(|&down| down != 0);
    match (u32_at(payload, 0), second) {
        (0, 0) => Input::Key { number: true, code: u64_at(payload, 8), down: down(16) },
        (0, _) => Input::Key { number: false, code: u32_at(payload, 8).into(), down: down(12) },
        (1, button) => Input::Button { button, down: down(8) },
        (2, axis) => Input::Rel { axis, value: u64_at(payload, 8) as i64 },
        (3, axis) => Input::Abs { axis, value: u64_at(payload, 8) as i64 },
        (_, kind) => Input::MultiTouch {
            kind,
            slot: u64_at(payload, 8),
            tracking: u64_at(payload, 16),
            axis: u32_at(payload, 24),
            value: u64_at(payload, 28) as i64,
        },
    }
}

impl Input {
    /// What kind of device event.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        names::INPUTS[match self {
            Self::Key { .. } => 0,
            Self::Button { .. } => 1,
            Self::Rel { .. } => 2,
            Self::Abs { .. } => 3,
            Self::MultiTouch { .. } => 4,
        }]
    }

    const fn value(&self) -> u64 {
        match *self {
            Self::Key { code, .. } => code,
            Self::Button { button, .. } => button as u64,
            Self::Rel { value, .. } | Self::Abs { value, .. } | Self::MultiTouch { value, .. } => {
                value as u64
            }
        }
    }
}

impl<'a> Async<'a> {
    const fn number(&self) -> u8 {
        match self {
            Self::Bh(_) => 0,
            Self::BhOneshot(_) => 1,
            Self::Input(_) => 2,
            Self::InputSync => 3,
            Self::CharRead { .. } => 4,
            Self::Block(_) => 5,
            Self::Net { .. } => 6,
        }
    }

    fn fields(&self, fields: Fields<'a>) -> Fields<'a> {
        let (value, payload) = match *self {
            Self::Bh(id) | Self::BhOneshot(id) | Self::Block(id) => (Some(id), None),
            Self::Input(input) => (Some(input.value()), None),
            Self::InputSync => (None, None),
            Self::CharRead { device, data } => (Some(device.into()), Some(data)),
            Self::Net { device, data, .. } => (Some(device.into()), Some(data)),
        };
        let length = payload.map(|data| data.len() as u64);
        let call = Some(names::ASYNC[usize::from(self.number())]);
        Fields { kind: "ASYNC", call, length, value, payload, ..fields }
    }
}

impl<'a> Event<'a> {
    /// As a small number: kind, and what it is of.
    const fn class(&self) -> u8 {
        match self {
            Self::Instruction(_) => 0,
            Self::Interrupt => INTERRUPT,
            Self::Exception => 2,
            Self::Async { what, .. } => 3 + what.number(),
            Self::CharWrite { .. } => 10,
            Self::CharReadAll(_) => 11,
            Self::CharReadAllError(_) => 12,
            Self::AudioOut(_) => 13,
            Self::AudioIn { .. } => 14,
            Self::Random { .. } => 15,
            Self::Clock { clock, .. } => 16 + *clock,
            Self::Checkpoint(number) => 18 + *number,
            Self::End => END,
            Self::Shutdown(cause) => 28 + *cause,
        }
    }

    #[inline]
    pub(super) const fn payload(&self) -> Option<&'a [u8]> {
        match self {
            Self::Async {
                what: Async::CharRead { data, .. } | Async::Net { data, .. }, ..
            }
            | Self::CharReadAll(data)
            | Self::AudioIn { samples: data, .. }
            | Self::Random { data, .. } => Some(data),
            _ => None,
        }
    }

    const fn callsite(&self) -> u8 {
        match self {
            Self::Async { checkpoint: Some(checkpoint), .. } => *checkpoint,
            _ => NO_CALLSITE,
        }
    }

    /// The columns.
    pub(super) fn fields(&self) -> Fields<'a> {
        let of = |kind, value| Fields { kind, value, ..Fields::default() };
        let named = |kind, name: Option<&&'static str>, value| Fields {
            call: Some(name.copied().unwrap_or("UNKNOWN")),
            ..of(kind, value)
        };
        let with = |kind, value, data: &'a [u8]| Fields {
            length: Some(data.len() as u64),
            payload: Some(data),
            ..of(kind, value)
        };
        match *self {
            Self::Instruction(count) => of("INSTRUCTION", Some(count.into())),
            Self::Interrupt => of("INTERRUPT", None),
            Self::Exception => of("EXCEPTION", None),
            Self::Async { checkpoint, what } => {
                let name = |number| names::CHECKPOINTS.get(usize::from(number)).copied();
                let callsite = checkpoint.map(|number| name(number).unwrap_or("UNKNOWN"));
                what.fields(Fields { callsite, ..Fields::default() })
            }
            Self::Shutdown(cause) => {
                named("SHUTDOWN", names::CAUSES.get(usize::from(cause)), Some(cause.into()))
            }
            Self::CharWrite { result, offset } => {
                let value = Some(u64::from(result as u32));
                Fields { length: Some(offset.into()), ..of("CHAR_WRITE", value) }
            }
            Self::CharReadAll(data) => with("CHAR_READ_ALL", None, data),
            Self::CharReadAllError(result) => {
                of("CHAR_READ_ALL_ERROR", Some((result as u32).into()))
            }
            Self::AudioOut(played) => of("AUDIO_OUT", Some(played)),
            Self::AudioIn { recorded, samples, .. } => with("AUDIO_IN", Some(recorded), samples),
            Self::Random { result, data } => with("RANDOM", Some((result as u32).into()), data),
            Self::Clock { clock, value } => {
                named("CLOCK", names::CLOCKS.get(usize::from(clock)), Some(value))
            }
            Self::Checkpoint(number) => {
                named("CHECKPOINT", names::CHECKPOINTS.get(usize::from(number)), None)
            }
            Self::End => of("END", None),
        }
    }
}

/// Every name of a kind, callsite or call.
pub(super) fn all_names() -> Vec<&'static str> {
    let lists: [&[&str]; 5] =
        [&KINDS, &names::ASYNC, &names::CAUSES, &names::CLOCKS, &names::CHECKPOINTS];
    lists.concat()
}

/// Names of the kinds.
const KINDS: [&str; 14] = [
    "INSTRUCTION",
    "INTERRUPT",
    "EXCEPTION",
    "ASYNC",
    "SHUTDOWN",
    "CHAR_WRITE",
    "CHAR_READ_ALL",
    "CHAR_READ_ALL_ERROR",
    "AUDIO_OUT",
    "AUDIO_IN",
    "RANDOM",
    "CLOCK",
    "CHECKPOINT",
    "END",
];

/// How many events at the start of a log are whole, up to `most`.
pub(super) fn fit(start: &[u8], version: Version, most: usize) -> usize {
    let Some(events) = start.get(HEADER..) else { return 0 };
    let ids = fit::ids(events, version, false);
    let mut rest = events;
    for found in 0..most {
        match fit::measure_any(rest, ids) {
            Ok(len) => rest = &rest[len..],
            Err(Stop::Short(_)) if !rest.is_empty() => return found + 1,
            Err(_) => return found,
        }
    }
    most
}

/// A replay log.
#[derive(Debug)]
pub struct Log {
    cursor: Cursor,
    version: Version,
    header: u32,
    ids: Ids,
    audio: Option<AudioWidth>,
    /// By the entry that the log is at.
    executed: u32,
    ended: bool,
}

impl Log {
    pub(super) fn new(mut window: Window, version: Version) -> Result<Self, OpenError> {
        window.fill(DECIDED_BY)?;
        let start = window.rest();
        let header = u32_at(start, 0);
        let events = start.get(HEADER..).ok_or(OpenError::Short(start.len()))?;
        let whole = window.len().is_some() || start.len() < DECIDED_BY;
        let ids = fit::ids(events, version, whole);
        window.skip(HEADER);
        let cursor = Cursor::new(window);
        Ok(Self { cursor, version, header, ids, audio: None, executed: 0, ended: false })
    }

    /// The version in the header; 0 when the recording never ended.
    #[must_use]
    pub const fn header(&self) -> u32 {
        self.header
    }

    /// The numbering that fits the log.
    #[must_use]
    pub const fn ids(&self) -> Ids {
        self.ids
    }

    /// Bytes of the next event, all of which are in the window.
    fn measure(&mut self) -> Result<Option<usize>, LogError> {
        if self.ended {
            return self.cursor.end().map(|()| None);
        }
        let (ids, known) = (self.ids, self.audio);
        let width = |rest: &[u8]| known.or_else(|| width_of(rest, ids));
        let len = self
            .cursor
            .measure(|rest| measure(rest, ids, width(rest).unwrap_or(AudioWidth::Narrow)))?;
        self.audio = width(self.cursor.window.rest());
        Ok(len)
    }

    /// Whether the next event can be read without reading on and without an
    /// error.
    fn is_whole(&self) -> bool {
        let rest = self.cursor.window.rest();
        let width = self.audio.or_else(|| width_of(rest, self.ids)).unwrap_or(AudioWidth::Narrow);
        !self.cursor.failed && !self.ended && measure(rest, self.ids, width).is_ok()
    }
}

/// What fits, where the first event of `rest` is one of audio.
#[inline]
fn width_of(rest: &[u8], ids: Ids) -> Option<AudioWidth> {
    let id = rest.first().and_then(|&number| ids.get(number));
    matches!(id, Some(Id::AudioOut | Id::AudioIn)).then(|| fit::audio_width(rest, ids))
}

impl EventLog for Log {
    fn format(&self) -> Format {
        Format::Qemu(self.version)
    }

    #[inline]
    fn advance(&mut self) -> Result<bool, LogError> {
        if self.cursor.failed {
            return Ok(false);
        }
        let before = self.cursor.instructions;
        self.cursor.instructions = before.saturating_add(self.executed.into());
        self.executed = 0;
        let Some(len) = self.measure()? else { return Ok(false) };
        let raw = self.cursor.window.rest();
        match raw.first().and_then(|&number| self.ids.get(number)) {
            Some(Id::Instruction) => self.executed = u32_at(raw, 1),
            Some(Id::End) => self.ended = true,
            _ => {}
        }
        self.cursor.pass(len);
        Ok(true)
    }

    #[inline]
    fn entry(&self) -> Entry<'_> {
        let audio = self.audio.unwrap_or(AudioWidth::Narrow);
        self.cursor.entry(super::Coding::Qemu(Coding { ids: self.ids, audio }))
    }

    #[inline]
    fn batch(&mut self, mut take: impl FnMut(&Entry<'_>) -> bool) {
        while self.is_whole() && matches!(self.advance(), Ok(true)) {
            if !take(&self.entry()) {
                break;
            }
        }
    }

    fn total_instructions(&self) -> Option<u64> {
        None
    }

    fn size(&self) -> Option<u64> {
        self.cursor.window.len()
    }

    fn seek(&mut self, offset: u64, index: u64, instructions: u64) -> bool {
        let moved = self.cursor.seek(offset, index, instructions);
        if moved {
            (self.ended, self.executed) = (false, 0);
        }
        moved
    }
}
