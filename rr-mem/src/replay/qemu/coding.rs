//! The bytes of events: how long they are, and what they say.

use super::{
    super::{Key, LogErrorKind, cursor::Stop},
    event::{Async, Event, Input},
    ids::{AudioWidth, Id, Ids, Version},
};

#[inline]
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u32::from_be_bytes(chunk.copied().unwrap_or_default())
}

#[inline]
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
    u64::from_be_bytes(chunk.copied().unwrap_or_default())
}

/// `at` bytes and what the u32 that ends them counts.
pub(super) fn with_array(bytes: &[u8], at: usize) -> Result<u64, Stop> {
    need(bytes, at as u64)?;
    Ok(at as u64 + u64::from(u32_at(bytes, at - 4)))
}

pub(super) fn need(bytes: &[u8], len: u64) -> Result<(), Stop> {
    if (bytes.len() as u64) < len { Err(Stop::Short(len)) } else { Ok(()) }
}

/// Bytes of the event at the start of `bytes`.
#[inline]
pub(super) fn measure(bytes: &[u8], ids: Ids, audio: AudioWidth) -> Result<usize, Stop> {
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
pub(in crate::replay) struct Coding {
    pub(super) ids: Ids,
    pub(super) audio: AudioWidth,
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
