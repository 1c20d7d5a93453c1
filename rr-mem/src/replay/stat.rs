//! What a log holds, in numbers.

use super::{Entry, Key};

/// Bars of the histogram.
const BARS: usize = 64;
/// How many of the largest gaps and payloads are kept.
const KEPT: usize = 5;

/// Entries of one kind, call and callsite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub entries: u64,
    /// Bytes of the log that they take.
    pub bytes: u64,
    /// Names of kind, call and callsite.
    pub names: (&'static str, Option<&'static str>, Option<&'static str>),
    interrupt: bool,
}

/// Something large, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Large {
    /// Instructions without an entry, or bytes.
    pub size: u64,
    /// The entry: that behind the gap.
    pub index: u64,
    /// Its instruction count.
    pub instructions: u64,
}

/// An instruction count that is lower than the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backwards {
    /// The entry.
    pub index: u64,
    /// The count before it.
    pub from: u64,
    /// Its own.
    pub to: u64,
}

/// The numbers of a log.
#[derive(Clone, Debug)]
pub struct Stat {
    counts: Vec<Count>,
    /// The lowest instruction count of an entry.
    pub first: u64,
    /// The highest.
    pub last: u64,
    /// The largest runs of instructions without an entry.
    pub gaps: Vec<Large>,
    /// The largest payloads.
    pub payloads: Vec<Large>,
    /// How often a count goes back.
    pub backwards: u64,
    /// The first time.
    pub first_backwards: Option<Backwards>,
    /// Whether the last entry is the mark at the end.
    pub ended: bool,
    previous: Option<u64>,
    bars: [u64; BARS],
    /// Instructions of a bar are 2 to the power of this.
    shift: u32,
}

impl Default for Stat {
    fn default() -> Self {
        Self {
            counts: vec![Count::default(); Key::CLASSES * Key::CALLSITES],
            first: u64::MAX,
            last: 0,
            gaps: Vec::new(),
            payloads: Vec::new(),
            backwards: 0,
            first_backwards: None,
            ended: false,
            previous: None,
            bars: [0; BARS],
            shift: 0,
        }
    }
}

impl Count {
    #[cold]
    fn name(&mut self, entry: &Entry) {
        let fields = entry.fields();
        self.names = (fields.kind, fields.call, fields.callsite);
        self.interrupt = entry.is_interrupt();
    }
}

impl Stat {
    /// Entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.counts.iter().map(|count| count.entries).sum()
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.counts.iter().map(|count| count.bytes).sum()
    }

    /// Interrupts, or changes of what interrupts are asked for.
    #[must_use]
    pub fn interrupts(&self) -> u64 {
        let interrupts = self.counts.iter().filter(|count| count.interrupt);
        interrupts.map(|count| count.entries).sum()
    }

    /// Counts an entry.
    #[inline]
    pub fn add(&mut self, entry: &Entry) {
        let count = &mut self.counts[entry.key().index()];
        if count.entries == 0 {
            count.name(entry);
        }
        count.entries += 1;
        count.bytes += entry.raw.len() as u64;
        self.ended = entry.is_end();
        self.first = self.first.min(entry.instructions);
        self.last = self.last.max(entry.instructions);
        self.add_time(entry);
        if let Some(payload) = entry.payload() {
            add(&mut self.payloads, payload.len() as u64, entry);
        }
    }

    #[inline]
    fn add_time(&mut self, entry: &Entry) {
        let now = entry.instructions;
        while now >> self.shift >= BARS as u64 {
            self.halve();
        }
        self.bars[(now >> self.shift) as usize % BARS] += 1;
        let before = self.previous.replace(now).unwrap_or_default();
        if now < before {
            self.backwards += 1;
            let seen = Backwards { index: entry.index, from: before, to: now };
            self.first_backwards.get_or_insert(seen);
        } else {
            add(&mut self.gaps, now - before, entry);
        }
    }

    fn halve(&mut self) {
        for bar in 0..BARS {
            let pair = self.bars.get(bar * 2..bar * 2 + 2).map_or(0, |pair| pair.iter().sum());
            self.bars[bar] = pair;
        }
        self.shift += 1;
    }

    /// Entries by kind, call and callsite; the most bytes first.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        let mut found: Vec<_> =
            self.counts.iter().filter(|count| count.entries > 0).copied().collect();
        found.sort_by_key(|count| (std::cmp::Reverse(count.bytes), count.names));
        found
    }

    /// Entries over time, from instruction 0 on: instructions of a bar, and
    /// entries in each up to the last.
    #[must_use]
    pub fn histogram(&self) -> (u64, &[u64]) {
        let last = (self.last >> self.shift) as usize % BARS;
        (1 << self.shift, &self.bars[..=last])
    }
}

/// Adds to a list of the largest few, if it is one.
#[inline]
fn add(list: &mut Vec<Large>, size: u64, entry: &Entry) {
    let least = if list.len() < KEPT { 0 } else { list.last().map_or(0, |least| least.size) };
    if size > least {
        keep(list, Large { size, index: entry.index, instructions: entry.instructions });
    }
}

#[cold]
fn keep(list: &mut Vec<Large>, large: Large) {
    list.push(large);
    list.sort_by_key(|large| (std::cmp::Reverse(large.size), large.index));
    list.truncate(KEPT);
}
