//! `rr-mem log print`.

use std::{collections::VecDeque, os::unix::ffi::OsStrExt};

use rr_mem::{
    replay::{Entry, EventLog, Log},
    report::log::{
        LogRow,
        compat::Compat,
        line::{Data, line},
        places,
    },
};

use super::{PIECE, each, open, open_sized, places::Regions};
use crate::{
    cli::log::Print,
    output::{Outcome, Output, usage},
};

pub fn run(args: &Print, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = args.filters.filter()?;
    let mut log = if args.compat { open_sized(&args.file.log)? } else { open(&args.file.log)? };
    let regions = Regions::of(&args.source, output)?;
    if args.compat && regions.is_given() {
        return Err(usage("rr_print knows no regions", "leave --compat out, or the source"));
    }
    let mut printer = Printer::new(args, &log, regions, output.json)?;
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, output| {
        printer.print(entry);
        if printer.text.len() >= PIECE {
            printer.flush(output)?;
        }
        Ok(())
    });
    printer.end(output)?;
    outcome
}

/// How entries are printed.
enum Style {
    Compat(Compat),
    Line(Data),
    Json,
}

struct Printer {
    style: Style,
    regions: Regions,
    text: Vec<u8>,
    /// With --tail: the last lines, and how many are kept.
    tail: Option<(VecDeque<Vec<u8>>, usize)>,
}

impl Printer {
    fn new(args: &Print, log: &Log, regions: Regions, json: bool) -> anyhow::Result<Self> {
        let mut text = Vec::with_capacity(2 * PIECE);
        let style = match (args.compat, log) {
            (false, _) if json => Style::Json,
            (false, _) => Style::Line(Data { hex: args.hex, ascii: args.ascii }),
            (true, Log::Panda(log)) => {
                let name = args.file.log.as_os_str().as_bytes();
                Compat::header(&mut text, name, log.size().unwrap_or_default(), log.header());
                Style::Compat(Compat::default())
            }
            (true, _) => {
                return Err(usage("rr_print reads PANDA's logs only", "leave --compat out"));
            }
        };
        let tail = args.tail.map(|most| (VecDeque::new(), most));
        Ok(Self { style, regions, text, tail })
    }

    #[inline]
    fn print(&mut self, entry: &Entry) {
        let start = self.text.len();
        match &mut self.style {
            Style::Compat(compat) => compat.entry(&mut self.text, entry),
            Style::Line(data) => {
                line(&mut self.text, entry, *data);
                places::append(&mut self.text, &self.regions.words(entry));
                self.text.push(b'\n');
            }
            Style::Json => {
                let row = LogRow::from(entry).at(self.regions.words(entry));
                // A vector takes all.
                let _ = serde_json::to_writer(&mut self.text, &row);
                self.text.push(b'\n');
            }
        }
        if let Some((last, most)) = &mut self.tail {
            last.push_back(self.text.split_off(start));
            if last.len() > *most {
                last.pop_front();
            }
        }
    }

    fn flush(&mut self, output: &mut Output) -> anyhow::Result<()> {
        output.raw(&self.text)?;
        self.text.clear();
        Ok(())
    }

    fn end(&mut self, output: &mut Output) -> anyhow::Result<()> {
        if let Some((last, _)) = self.tail.take() {
            last.iter().for_each(|line| self.text.extend_from_slice(line));
        }
        self.flush(output)
    }
}
