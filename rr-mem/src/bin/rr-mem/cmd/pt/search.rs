//! `--find-string` and `--find-bytes`: what is mapped, searched in the order of
//! virtual addresses, across page borders.

use memchr::memmem::Finder;
use rr_mem::{
    addr::{Gpa, Gva},
    guest::Guest,
    memory::{ReadCause, ReadError},
    mmu::{Mapping, Merge, Physical, Space},
};
use serde::Serialize;

use super::Wanted;
use crate::output::{Outcome, Output, Progress};

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;
const PAGE: u64 = 4096;

/// A place where the bytes are.
#[derive(Serialize)]
struct Row {
    gva: Gva,
    gpa: Option<Gpa>,
}

pub fn run(
    guest: &Guest,
    space: &Space,
    wanted: &Wanted,
    needle: &[u8],
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let mut search = Search {
        guest,
        finder: Finder::new(needle),
        window: Vec::new(),
        end: None,
        found: 0,
        absent: None,
        absent_bytes: 0,
        searched: 0,
        progress: Progress::new("searching"),
        output,
    };
    for mapping in space.mappings(Merge::Physical) {
        if let Some(part) = wanted.part(&mapping) {
            search.mapping(&part)?;
        }
    }
    search.finish()
}

struct Search<'a> {
    guest: &'a Guest,
    finder: Finder<'a>,
    /// The last bytes of what was searched, then those being searched.
    window: Vec<u8>,
    /// The address behind the window, if it is to be continued there.
    end: Option<u64>,
    found: u64,
    absent: Option<ReadError>,
    absent_bytes: u64,
    searched: u64,
    progress: Progress,
    output: &'a mut Output,
}

impl Search<'_> {
    fn mapping(&mut self, mapping: &Mapping) -> anyhow::Result<()> {
        let last = match mapping.physical {
            // Pages that all show the same bytes: the first two tell all that
            // one would find in the others.
            Physical::Same(unit) => {
                let enough = unit.saturating_mul(2) + self.finder.needle().len() as u64;
                Gva(mapping.last.0.min(mapping.gva.0.saturating_add(enough - 1)))
            }
            _ => mapping.last,
        };
        let mut gva = mapping.gva;
        loop {
            let left = last.0 - gva.0;
            let len = left.min(CHUNK - 1 - gva.0 % CHUNK) + 1;
            self.chunk(mapping, gva, len)?;
            match gva.0.checked_add(len) {
                Some(next) if next <= last.0 => gva = Gva(next),
                _ => break,
            }
        }
        if last != mapping.last {
            self.end = None;
        }
        Ok(())
    }

    fn chunk(&mut self, mapping: &Mapping, gva: Gva, len: u64) -> anyhow::Result<()> {
        let mut at = gva.0;
        let mut left = len;
        while left > 0 {
            let gpa = mapping.gpa_of(Gva(at)).unwrap_or(mapping.gpa);
            let contiguous = match mapping.physical {
                Physical::Same(unit) => left.min(unit - (at - mapping.gva.0) % unit),
                _ => left,
            };
            let kept = self.keep_tail(at);
            self.window.resize(kept + contiguous as usize, 0);
            let result = self.guest.read_physical(gpa, &mut self.window[kept..]);
            let read = match &result {
                Ok(()) => contiguous,
                Err(error) => error.addr.wrapping_sub(gpa.0).min(contiguous),
            };
            self.window.truncate(kept + read as usize);
            self.look(Gva(at), kept)?;
            self.end = Some(at.wrapping_add(read));
            let mut done = read;
            if let Err(error) = result {
                // On to the next page: nothing smaller comes back.
                let skipped = (PAGE - at.wrapping_add(read) % PAGE).min(contiguous - read);
                self.lost(error, skipped);
                done += skipped;
                self.end = None;
            }
            at = at.wrapping_add(done);
            left -= done;
        }
        self.searched += len;
        self.progress.set(self.searched);
        Ok(())
    }

    /// Keeps what a match that goes on at `at` may begin with.
    fn keep_tail(&mut self, at: u64) -> usize {
        let keep = match self.end {
            Some(end) if end == at => self.window.len().min(self.finder.needle().len() - 1),
            _ => 0,
        };
        let start = self.window.len() - keep;
        self.window.drain(..start);
        keep
    }

    fn look(&mut self, gva: Gva, kept: usize) -> anyhow::Result<()> {
        let mut from = 0;
        while let Some(offset) = self.finder.find(&self.window[from..]) {
            let at = from + offset;
            let place = Gva(gva.0.wrapping_add(at as u64).wrapping_sub(kept as u64));
            self.found += 1;
            self.show(place)?;
            from = at + 1;
        }
        Ok(())
    }

    fn show(&mut self, gva: Gva) -> anyhow::Result<()> {
        let mmu = self.guest.mmu().ok();
        let memory = self.guest.memory().ok();
        let gpa = mmu.zip(memory).and_then(|(mmu, memory)| mmu.translate(memory, gva).ok());
        let gpa = gpa.map(|found| found.gpa);
        if self.output.json {
            return self.output.row(&Row { gva, gpa });
        }
        let gpa = gpa.map_or("unknown".into(), |gpa| gpa.to_string());
        self.output.line(format_args!("{gva} -> {gpa}"))
    }

    /// Devices are not searched; pages that the source leaves out are said.
    fn lost(&mut self, error: ReadError, bytes: u64) {
        if !matches!(error.cause, ReadCause::Hole | ReadCause::Device(_)) {
            self.absent_bytes += bytes;
            self.absent.get_or_insert(error);
        }
    }

    fn finish(self) -> anyhow::Result<Outcome> {
        drop(self.progress);
        if let Some(error) = &self.absent {
            let what = format!("{:#x} mapped bytes were not searched: {error}", self.absent_bytes);
            self.output.complain(what, error.hint())?;
            return Ok(Outcome::Unreadable);
        }
        Ok(if self.found > 0 { Outcome::Answered } else { Outcome::Negative })
    }
}
