//! `rr-mem log disk` and `rr-mem log packets`.

use std::{fs::File, io::BufWriter, io::Write};

use rr_mem::{
    replay::{
        Entry, Event,
        packets::{Packet, write_head, write_packet},
        panda::{self, Call},
        qemu::{self, Async},
    },
    report::log::LogRow,
};
use serde::Serialize;

use super::{
    between, each, open,
    places::{self, Regions},
};
use crate::{
    cli::log::{Disk, Packets},
    output::{Outcome, Output, failed},
};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

pub fn disk(args: &Disk, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut log = open(&args.file.log)?;
    let regions = Regions::of(&args.source, output)?;
    let mut found = false;
    let outcome =
        each(&args.file.log, &mut log, &mut between(None, None)?, output, |entry, output| {
            let Some(text) = of_disk(entry) else { return Ok(()) };
            found = true;
            let places = regions.words(entry);
            if output.json {
                return output.row(&LogRow { places, ..LogRow::from(entry) });
            }
            let mut line = format!("{:>12} {text}", entry.instructions).into_bytes();
            places::append(&mut line, &places);
            output.line(String::from_utf8_lossy(&line))
        })?;
    let empty = if found { Outcome::Answered } else { Outcome::Negative };
    Ok(outcome.max(empty))
}

fn of_disk(entry: &Entry) -> Option<String> {
    match entry.event() {
        Event::Panda(_, panda::Event::SkippedCall(Call::HdTransfer(moved))) => Some(format!(
            "{:<11} {:>18} -> {:>18} {:>8} bytes",
            moved.way,
            format!("{:#x}", moved.source),
            format!("{:#x}", moved.destination),
            moved.bytes
        )),
        Event::Qemu(qemu::Event::Async { what: Async::Block(id), .. }) => {
            Some(format!("request {id} ended"))
        }
        _ => None,
    }
}

#[derive(Serialize)]
struct Row {
    instr: u64,
    from_guest: bool,
    length: usize,
    destination: Option<String>,
    source: Option<String>,
    ether_type: Option<String>,
    data: String,
}

impl Row {
    fn new(entry: &Entry, packet: &Packet) -> Self {
        let head = packet.data.get(..ETHERNET);
        let address = |bytes: &[u8]| {
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
        };
        Self {
            instr: entry.instructions,
            from_guest: packet.from_guest,
            length: packet.data.len(),
            destination: head.map(|head| address(&head[..6])),
            source: head.map(|head| address(&head[6..12])),
            ether_type: head
                .map(|head| format!("{:#06x}", u16::from_be_bytes([head[12], head[13]]))),
            data: packet.data.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

pub fn packets(args: &Packets, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut log = open(&args.file.log)?;
    let mut capture = args.pcap.as_ref().map(|path| Capture::new(path)).transpose()?;
    let mut found = false;
    let outcome =
        each(&args.file.log, &mut log, &mut between(None, None)?, output, |entry, output| {
            let Some(packet) = Packet::of(entry) else { return Ok(()) };
            found = true;
            match &mut capture {
                Some(capture) => capture.add(entry.instructions, &packet),
                None => show(&Row::new(entry, &packet), output),
            }
        })?;
    if let Some(capture) = capture {
        capture.finish()?;
    }
    let empty = if found { Outcome::Answered } else { Outcome::Negative };
    Ok(outcome.max(empty))
}

/// A capture file that is being written.
struct Capture {
    path: std::path::PathBuf,
    out: BufWriter<File>,
}

impl Capture {
    fn new(path: &std::path::Path) -> anyhow::Result<Self> {
        let refused = |error| failed(format!("{}: {error}", path.display()), "check the path");
        let mut out = BufWriter::new(File::create(path).map_err(refused)?);
        write_head(&mut out).map_err(refused)?;
        Ok(Self { path: path.into(), out })
    }

    fn refused(&self, error: std::io::Error) -> anyhow::Error {
        failed(format!("{}: {error}", self.path.display()), "check the disk")
    }

    fn add(&mut self, instructions: u64, packet: &Packet) -> anyhow::Result<()> {
        write_packet(&mut self.out, instructions, packet.data).map_err(|error| self.refused(error))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.out.flush().map_err(|error| self.refused(error))
    }
}

fn show(row: &Row, output: &mut Output) -> anyhow::Result<()> {
    if output.json {
        return output.row(row);
    }
    let way = if row.from_guest { '>' } else { '<' };
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    output.line(format_args!(
        "{:>12} {way} {:>5} bytes  {} -> {}  {}",
        row.instr,
        row.length,
        word(&row.source),
        word(&row.destination),
        word(&row.ether_type)
    ))
}
