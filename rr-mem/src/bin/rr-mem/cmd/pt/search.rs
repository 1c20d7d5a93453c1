//! `--find-string` and `--find-bytes`: what is mapped, searched in the order of
//! virtual addresses, across page borders.

use memchr::memmem::Finder;
use rr_mem::{
    addr::{Address, Gpa, Gva, PAGE, hex},
    guest::Guest,
    memory::{ReadCause, ReadError},
    mmu::{Mapping, Merge, Progression, VirtualSpace},
};
use serde::Serialize;

use super::Wanted;
use crate::{
    output::{Outcome, Output, Progress},
    source::Opened,
};

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

/// A place where the bytes are.
#[derive(Serialize)]
struct Row {
    gva: Gva,
    gpa: Option<Gpa>,
    /// How many there are, each `stride` bytes behind the one before.
    count: u64,
    #[serde(with = "hex")]
    stride: u64,
}

pub fn run(
    opened: &Opened,
    space: &VirtualSpace,
    wanted: &Wanted,
    needle: &[u8],
    output: &mut Output,
) -> anyhow::Result<Outcome> {
    let mut search = Search {
        guest: &opened.guest,
        held: &opened.held,
        finder: Finder::new(needle),
        window: Vec::new(),
        end: None,
        found: 0,
        absent: None,
        absent_bytes: 0,
        searched: 0,
        stride: 0,
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
    /// Where memory is held: first address, length.
    held: &'a [(Gpa, u64)],
    finder: Finder<'a>,
    /// The last bytes of what was searched, then those being searched.
    window: Vec<u8>,
    /// The address behind the window, if it is to be continued there.
    end: Option<u64>,
    found: u64,
    absent: Option<ReadError>,
    absent_bytes: u64,
    searched: u64,
    /// Bytes between repetitions of what is being searched.
    stride: u64,
    progress: Progress,
    output: &'a mut Output,
}

impl Search<'_> {
    fn mapping(&mut self, mapping: &Mapping) -> anyhow::Result<()> {
        match mapping.progression {
            Progression::Same(unit) => self.same(mapping, unit),
            _ => self.piece(mapping.gva, mapping.last, mapping.gpa, 1),
        }
    }

    /// Units that all show the same bytes: some are searched one by one, then
    /// one for all others, since what begins or ends in it does so in each.
    fn same(&mut self, mapping: &Mapping, unit: u64) -> anyhow::Result<()> {
        let mut one_by_one = (self.finder.needle().len() as u64).div_ceil(unit) + 1;
        self.stride = unit;
        let mut next = Some(mapping.gva);
        while let Some(gva) = next.filter(|gva| *gva <= mapping.last) {
            let gpa = mapping.gpa_of(gva).unwrap_or(mapping.gpa);
            let last = Gva((gva.0 | (unit - 1)).min(mapping.last.0));
            let whole = (mapping.last.0 - gva.0) / unit;
            let times = if one_by_one == 0 && whole > 1 { whole } else { 1 };
            self.piece(gva, last, gpa, times)?;
            one_by_one = one_by_one.saturating_sub(1);
            let repeated = last.0.saturating_add((times - 1) * unit);
            next = repeated.checked_add(1).map(Gva);
            // The window holds what lies right before `next`, too.
            self.end = self.end.and(next.map(|gva| gva.0));
        }
        Ok(())
    }

    /// Searches the bytes from `gpa` on, which are those at `gva..=last`, and
    /// `times - 1` times more behind.
    fn piece(&mut self, gva: Gva, last: Gva, gpa: Gpa, times: u64) -> anyhow::Result<()> {
        let mut at = Some(gva);
        while let Some(here) = at.filter(|at| *at <= last) {
            let from = Gpa(gpa.0.saturating_add(here.0 - gva.0));
            let len = (last.0 - here.0).min(CHUNK - 1) + 1;
            let kept = self.keep_tail(here.0);
            self.window.resize(kept + len as usize, 0);
            let result = self.guest.read_physical(from, &mut self.window[kept..]);
            let read =
                result.as_ref().map_or_else(|error| error.addr.wrapping_sub(from.0), |()| len);
            self.window.truncate(kept + read.min(len) as usize);
            self.look(here, kept, times)?;
            at = here.checked_add(read);
            self.end = at.map(|at| at.0);
            if let (Err(error), Some(stopped)) = (result, at) {
                let hole = self.hole(Gpa(error.addr)).min((last.0 - stopped.0).saturating_add(1));
                self.lost(error, hole);
                self.end = None;
                at = stopped.checked_add(hole);
            }
            self.searched += len;
            self.progress.set(self.searched);
        }
        Ok(())
    }

    /// Bytes from `gpa` on that cannot be read, as far as is known: up to the
    /// next block of memory, or to the next page in one.
    fn hole(&self, gpa: Gpa) -> u64 {
        let behind = self.held.partition_point(|&(start, _)| start <= gpa);
        let before = self.held[..behind].last();
        if before.is_some_and(|&(start, len)| gpa.0 - start.0 < len) {
            return PAGE - gpa.0 % PAGE;
        }
        self.held.get(behind).map_or(u64::MAX, |&(start, _)| start.0 - gpa.0)
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

    fn look(&mut self, gva: Gva, kept: usize, times: u64) -> anyhow::Result<()> {
        let mut from = 0;
        while let Some(offset) = self.finder.find(&self.window[from..]) {
            let at = from + offset;
            let place = Gva(gva.0.wrapping_add(at as u64).wrapping_sub(kept as u64));
            self.found += 1;
            self.show(place, times)?;
            from = at + 1;
        }
        Ok(())
    }

    fn show(&mut self, gva: Gva, count: u64) -> anyhow::Result<()> {
        let mmu = self.guest.mmu().ok();
        let memory = self.guest.memory().ok();
        let gpa = mmu.zip(memory).and_then(|(mmu, memory)| mmu.translate(memory, gva).ok());
        let gpa = gpa.map(|found| found.gpa);
        let stride = if count > 1 { self.stride } else { 0 };
        if self.output.json {
            return self.output.row(&Row { gva, gpa, count, stride });
        }
        let gpa = gpa.map_or("unknown".into(), |gpa| gpa.to_string());
        let times = match count {
            1 => String::new(),
            _ => format!("  {count} times, every {stride:#x}"),
        };
        self.output.line(format_args!("{gva} -> {gpa}{times}"))
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
