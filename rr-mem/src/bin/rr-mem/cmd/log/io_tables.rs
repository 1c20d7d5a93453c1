//! `rr-mem log disk` and `rr-mem log packets`.

use std::{fs::File, io::BufWriter, io::Write};

use rr_mem::{
    replay::packets::{Packet, write_head, write_packet},
    report::log::{DiskEvent, LogRow, PacketRow, places},
};

use super::{between, each, found_any, open, places::Regions};
use crate::{
    cli::log::{Disk, Packets},
    output::{Outcome, Output, failed},
};

pub fn disk(args: &Disk, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut log = open(&args.file.log)?;
    let regions = Regions::of(&args.source, output)?;
    let mut found = false;
    let outcome =
        each(&args.file.log, &mut log, &mut between(None, None)?, output, |entry, output| {
            let Some(event) = DiskEvent::of(entry) else { return Ok(()) };
            found = true;
            let places = regions.words(entry);
            if output.json {
                return output.row(&LogRow::from(entry).at(places));
            }
            let mut line = format!("{:>12} {event}", entry.instructions).into_bytes();
            places::append(&mut line, &places);
            output.line(String::from_utf8_lossy(&line))
        })?;
    Ok(outcome.max(found_any(found)))
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
                None => output.answer(&PacketRow::new(entry, &packet)),
            }
        })?;
    if let Some(capture) = capture {
        capture.finish()?;
    }
    Ok(outcome.max(found_any(found)))
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
