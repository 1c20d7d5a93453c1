//! One line an entry, with everything that the log says of it.

use std::fmt::{self, Write};

use super::{decimal, hex, hex_bytes, signed};
use crate::replay::{
    Entry, Event, Fields,
    panda::{self, Call, RegionChange, Serial, Transfer},
    qemu::{self, Async, Input},
};

/// Bytes of data that a line shows unless all are asked for.
const SHOWN: usize = 16;
/// Columns of index, instruction count, kind and callsite.
const COLUMNS: [usize; 4] = [8, 12, 18, 27];

/// How data are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// All bytes in hex.
    pub hex: bool,
    /// All bytes as text, with escapes.
    pub ascii: bool,
}

/// Appends the line of an entry, without its end.
pub fn line(out: &mut Vec<u8>, entry: &Entry, data: Data) {
    let fields = entry.fields();
    right(out, COLUMNS[0], |out| decimal(out, entry.index));
    right(out, COLUMNS[1] + 1, |out| decimal(out, entry.instructions));
    out.extend_from_slice(b"  ");
    left(out, COLUMNS[2], |out| kind(out, &fields));
    left(out, COLUMNS[3], |out| {
        out.extend_from_slice(fields.callsite.unwrap_or_default().as_bytes());
    });
    match entry.event() {
        Event::Panda(_, event) => panda_details(out, &event),
        Event::Qemu(event) => qemu_details(out, &event),
    }
    if let Some(payload) = fields.payload.filter(|_| shows_data(entry)) {
        show(out, payload, data);
    }
    let end = out.trim_ascii_end().len();
    out.truncate(end);
}

/// The line of an entry as text.
#[must_use]
pub fn words(entry: &Entry) -> String {
    let mut text = Vec::new();
    line(&mut text, entry, Data::default());
    String::from_utf8_lossy(&text).into_owned()
}

/// A region's name is shown as a name.
fn shows_data(entry: &Entry) -> bool {
    !matches!(entry.event(), Event::Panda(_, panda::Event::SkippedCall(Call::MemRegionChange(_))))
}

fn kind(out: &mut Vec<u8>, fields: &Fields) {
    let skipped = fields.kind == "SKIPPED_CALL";
    if !skipped {
        out.extend_from_slice(fields.kind.as_bytes());
    }
    if let Some(call) = fields.call {
        out.extend_from_slice(if skipped { b"" } else { b" " });
        out.extend_from_slice(call.as_bytes());
    }
}

fn right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(out.len() - start);
    out.extend(std::iter::repeat_n(b' ', missing));
    out[start..].rotate_right(missing);
}

fn left(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(out.len() - start);
    out.extend(std::iter::repeat_n(b' ', missing + 1));
}

/// A value in hex and in decimal.
fn value(out: &mut Vec<u8>, value: u64) {
    hex(out, value);
    out.extend_from_slice(b" (");
    decimal(out, value);
    out.push(b')');
}

fn both(out: &mut Vec<u8>, value: i32) {
    hex(out, (value as u32).into());
    out.extend_from_slice(b" (");
    signed(out, value);
    out.push(b')');
}

fn text(out: &mut Vec<u8>, arguments: fmt::Arguments) {
    struct Into<'a>(&'a mut Vec<u8>);
    impl Write for Into<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
    let _ = Into(out).write_fmt(arguments);
}

fn range(out: &mut Vec<u8>, start: u64, len: u64) {
    hex(out, start);
    out.push(b'+');
    hex(out, len);
}

fn panda_details(out: &mut Vec<u8>, event: &panda::Event) {
    match *event {
        panda::Event::Input1(input) => value(out, input.into()),
        panda::Event::Input2(input) => value(out, input.into()),
        panda::Event::Input4(input) => value(out, input.into()),
        panda::Event::Input8(input) => value(out, input),
        panda::Event::InterruptRequest(input) | panda::Event::Exception(input) => {
            both(out, input);
        }
        panda::Event::ExitRequest(input) => value(out, input.into()),
        panda::Event::PendingInterrupts(input) => value(out, input.into()),
        panda::Event::EndOfLog => {}
        panda::Event::SkippedCall(call) => call_details(out, &call),
    }
}

fn call_details(out: &mut Vec<u8>, call: &Call) {
    match call {
        Call::CpuMemRw { addr, data } => range(out, *addr, data.len() as u64),
        Call::CpuMemUnmap { addr, data } => {
            out.extend_from_slice(b"offset ");
            range(out, *addr, data.len() as u64);
        }
        Call::MemRegionChange(change) => region(out, change),
        Call::HdTransfer(moved) | Call::NetTransfer(moved) => transfer(out, moved),
        Call::HandlePacket { direction, data } => {
            let way = if *direction == 0 { "to the guest" } else { "from the guest" };
            text(out, format_args!("{way} {} bytes", data.len()));
        }
        Call::SerialReceive(byte)
        | Call::SerialRead(byte)
        | Call::SerialSend(byte)
        | Call::SerialWrite(byte) => serial(out, byte),
        Call::CpuRegWrite { cpu, register, data } => {
            text(out, format_args!("cpu {cpu} register {register} {} bytes", data.len()));
        }
    }
}

fn region(out: &mut Vec<u8>, change: &RegionChange) {
    out.extend_from_slice(if change.added { b"added " } else { b"removed " });
    range(out, change.start, change.size);
    text(out, format_args!(" {} {}", change.kind_name(), Escaped(change.name)));
}

fn transfer(out: &mut Vec<u8>, moved: &Transfer) {
    let side = |host| if host { "host " } else { "" };
    let (from, to) = (side(moved.from_host()), side(moved.to_host()));
    text(
        out,
        format_args!(
            "{} {from}{:#x} -> {to}{:#x} {} bytes",
            moved.way, moved.source, moved.destination, moved.bytes
        ),
    );
}

fn serial(out: &mut Vec<u8>, byte: &Serial) {
    value(out, byte.value.into());
    text(out, format_args!(" {}", Escaped(&[byte.value])));
    if let Some(port) = byte.port {
        text(out, format_args!(" port {port:#x}"));
    }
}

fn qemu_details(out: &mut Vec<u8>, event: &qemu::Event) {
    match *event {
        qemu::Event::Instruction(count) => text(out, format_args!("+{count}")),
        qemu::Event::Async { what, .. } => async_details(out, &what),
        qemu::Event::CharWrite { result, offset } => {
            text(out, format_args!("result {result} offset {offset}"));
        }
        qemu::Event::CharReadAllError(result) => text(out, format_args!("result {result}")),
        qemu::Event::AudioOut(played) => text(out, format_args!("{played} samples")),
        qemu::Event::AudioIn { recorded, position, .. } => {
            text(out, format_args!("{recorded} samples to {position}"));
        }
        qemu::Event::Random { result, data } => {
            text(out, format_args!("result {result} {} bytes", data.len()));
        }
        qemu::Event::Clock { value: ns, .. } => value(out, ns),
        qemu::Event::CharReadAll(data) => text(out, format_args!("{} bytes", data.len())),
        qemu::Event::Interrupt
        | qemu::Event::Exception
        | qemu::Event::Shutdown(_)
        | qemu::Event::Checkpoint(_)
        | qemu::Event::End => {}
    }
}

fn async_details(out: &mut Vec<u8>, what: &Async) {
    match what {
        Async::Bh(id) | Async::BhOneshot(id) | Async::Block(id) => {
            text(out, format_args!("id {id}"));
        }
        Async::InputSync => {}
        Async::CharRead { device, data } => {
            text(out, format_args!("device {device} {} bytes", data.len()));
        }
        Async::Net { device, flags, data } => {
            text(out, format_args!("device {device} flags {flags:#x} {} bytes", data.len()));
        }
        Async::Input(input) => input_details(out, input),
    }
}

fn input_details(out: &mut Vec<u8>, input: &Input) {
    let name = input.name();
    let state = |down| if down { "down" } else { "up" };
    match *input {
        Input::Key { number, code, down } => {
            let what = if number { "number" } else { "qcode" };
            text(out, format_args!("{name} {what} {code} {}", state(down)));
        }
        Input::Button { button, down } => {
            text(out, format_args!("{name} {button} {}", state(down)));
        }
        Input::Rel { axis, value } | Input::Abs { axis, value } => {
            text(out, format_args!("{name} axis {axis} {value}"));
        }
        Input::MultiTouch { kind, slot, tracking, axis, value } => text(
            out,
            format_args!("{name} {kind} slot {slot} tracking {tracking} axis {axis} {value}"),
        ),
    }
}

fn show(out: &mut Vec<u8>, payload: &[u8], data: Data) {
    if payload.is_empty() {
        return;
    }
    out.push(b' ');
    if data.hex || !data.ascii {
        let shown = if data.hex { payload } else { &payload[..payload.len().min(SHOWN)] };
        hex_bytes(out, shown);
        out.extend_from_slice(if shown.len() < payload.len() { b"..." } else { b"" });
    }
    if data.ascii {
        out.extend_from_slice(if data.hex { b" " } else { b"" });
        text(out, format_args!("{}", Escaped(payload)));
    }
}

/// Bytes as text in quotes; what is not printable ASCII is escaped.
#[derive(Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
