//! What the events of a replay log say.

use super::{super::Fields, names};

/// [`Key::callsite`] of events without one.
const NO_CALLSITE: u8 = 63;
/// [`Key::class`] of interrupts.
pub(in crate::replay) const INTERRUPT: u8 = 1;
/// [`Key::class`] of the end mark.
pub(in crate::replay) const END: u8 = 27;

/// What a replay log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
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
#[non_exhaustive]
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
    pub(super) const fn class(&self) -> u8 {
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
    pub(in crate::replay) const fn payload(&self) -> Option<&'a [u8]> {
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

    pub(super) const fn callsite(&self) -> u8 {
        match self {
            Self::Async { checkpoint: Some(checkpoint), .. } => *checkpoint,
            _ => NO_CALLSITE,
        }
    }

    /// The columns.
    pub(in crate::replay) fn fields(&self) -> Fields<'a> {
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
pub(in crate::replay) fn all_names() -> Vec<&'static str> {
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
