//! Bytes in mapped memory, found in the order of virtual addresses, across page
//! borders. Devices are not searched.

use memchr::memmem::Finder;

use super::Guest;
use crate::{
    addr::{Address, Gpa, Gva, PAGE},
    memory::{Memory, ReadCause, ReadError},
    mmu::{Mapping, Progression},
};

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;

/// A place where the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hit {
    /// The virtual address.
    pub gva: Gva,
    /// Its guest physical address.
    pub gpa: Option<Gpa>,
    /// How many there are, each `stride` bytes behind the one before.
    pub count: u64,
    /// Bytes from one to the next.
    pub stride: u64,
}

/// How a search went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Searched {
    /// Places that were found.
    pub hits: u64,
    /// Mapped bytes that the source leaves out.
    pub absent_bytes: u64,
    /// Why the first of them could not be read.
    pub absent: Option<ReadError>,
}

/// What is searched for, and where memory is.
#[derive(Clone, Copy, Debug)]
pub struct Searching<'a> {
    /// The bytes; of none, nothing is found.
    pub needle: &'a [u8],
    /// Where the source holds memory, lowest first: first address, length. Gaps
    /// are skipped at once; if this is empty, page by page.
    pub held: &'a [(Gpa, u64)],
}

/// Hears how a search gets on.
pub trait SearchObserver {
    /// Why it does not want to hear more.
    type Error;

    /// A place was found.
    ///
    /// # Errors
    /// Those that end the search.
    fn found(&mut self, hit: Hit) -> Result<(), Self::Error>;

    /// So many bytes were searched.
    fn searched(&mut self, bytes: u64) {
        let _ = bytes;
    }
}

impl<M: Memory> Guest<M> {
    /// Searches what `mappings` map, which are in the order of their addresses.
    ///
    /// # Errors
    /// Those of `observer`.
    pub fn search<O: SearchObserver>(
        &self,
        mappings: impl IntoIterator<Item = Mapping>,
        searching: Searching<'_>,
        observer: &mut O,
    ) -> Result<Searched, O::Error> {
        if searching.needle.is_empty() {
            return Ok(Searched::default());
        }
        let mut search = Search {
            guest: self,
            held: searching.held,
            finder: Finder::new(searching.needle),
            window: Vec::new(),
            end: None,
            result: Searched::default(),
            bytes: 0,
            stride: 0,
            observer,
        };
        mappings.into_iter().try_for_each(|mapping| search.mapping(&mapping))?;
        Ok(search.result)
    }
}

struct Search<'a, M, O> {
    guest: &'a Guest<M>,
    held: &'a [(Gpa, u64)],
    finder: Finder<'a>,
    /// The last bytes of what was searched, then those being searched.
    window: Vec<u8>,
    /// The address behind the window, if it is to be continued there.
    end: Option<u64>,
    result: Searched,
    bytes: u64,
    /// Bytes between repetitions of what is being searched.
    stride: u64,
    observer: &'a mut O,
}

impl<M: Memory, O: SearchObserver> Search<'_, M, O> {
    fn mapping(&mut self, mapping: &Mapping) -> Result<(), O::Error> {
        match mapping.progression {
            Progression::Same(unit) => self.same(mapping, unit),
            _ => self.piece(mapping.gva, mapping.last, mapping.gpa, 1),
        }
    }

    /// Units that all show the same bytes. Some are searched one by one; then
    /// one is searched for all others, because a match in it is a match in
    /// each.
    fn same(&mut self, mapping: &Mapping, unit: u64) -> Result<(), O::Error> {
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

    /// Searches the bytes from `gpa` on, which are mapped at `gva..=last` and
    /// `times - 1` times more behind.
    fn piece(&mut self, gva: Gva, last: Gva, gpa: Gpa, times: u64) -> Result<(), O::Error> {
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
            self.bytes += len;
            self.observer.searched(self.bytes);
        }
        Ok(())
    }

    /// How many bytes from `gpa` on surely cannot be read: up to the next block
    /// of memory, or to the next page inside a block.
    fn hole(&self, gpa: Gpa) -> u64 {
        let in_page = PAGE - gpa.0 % PAGE;
        if self.held.is_empty() {
            return in_page;
        }
        let behind = self.held.partition_point(|&(start, _)| start <= gpa);
        let before = self.held[..behind].last();
        if before.is_some_and(|&(start, len)| gpa.0 - start.0 < len) {
            return in_page;
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

    fn look(&mut self, gva: Gva, kept: usize, times: u64) -> Result<(), O::Error> {
        let mut from = 0;
        while let Some(offset) = self.finder.find(&self.window[from..]) {
            let at = from + offset;
            let place = Gva(gva.0.wrapping_add(at as u64).wrapping_sub(kept as u64));
            self.result.hits += 1;
            let hit = self.hit(place, times);
            self.observer.found(hit)?;
            from = at + 1;
        }
        Ok(())
    }

    fn hit(&self, gva: Gva, count: u64) -> Hit {
        let paging = self.guest.mmu().ok().zip(self.guest.memory().ok());
        let found = paging.and_then(|(mmu, memory)| mmu.translate(memory, gva).ok());
        let stride = if count > 1 { self.stride } else { 0 };
        Hit { gva, gpa: found.map(|found| found.gpa), count, stride }
    }

    /// Remembers pages that the source leaves out.
    fn lost(&mut self, error: ReadError, bytes: u64) {
        if !matches!(error.cause, ReadCause::Hole | ReadCause::Device(_)) {
            self.result.absent_bytes += bytes;
            self.result.absent.get_or_insert(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        mmu::{Merge, SpaceLimits},
        sample,
    };

    struct Hits(Vec<Gva>);

    impl SearchObserver for Hits {
        type Error = ();

        fn found(&mut self, hit: Hit) -> Result<(), ()> {
            self.0.push(hit.gva);
            if self.0.len() < 3 { Ok(()) } else { Err(()) }
        }
    }

    #[test]
    fn nothing_is_found_of_no_bytes_and_an_observer_ends_the_search() {
        let image = sample::open().expect("is built in");
        let cpu = image.cpus.first().copied();
        let guest = Guest::new(Some(image.memory), cpu, image.regions).expect("a guest");
        let space = guest.space(Gva(0)..=Gva(u64::MAX), SpaceLimits::default()).expect("is paged");
        let search = |needle| {
            let mut hits = Hits(Vec::new());
            let searching = Searching { needle, held: &[] };
            let found = guest.search(space.mappings(Merge::Physical), searching, &mut hits);
            (found.map(|found| found.hits), hits.0.len())
        };
        assert_eq!(search(b""), (Ok(0), 0));
        assert_eq!(search(b"init"), (Err(()), 3));
    }
}
