//! Reads the entries of a log that a filter takes, and says how the log ended.

use super::{
    Entry, EventLog, Log, LogError,
    filter::LogFilter,
    index::{Index, KeptIndex},
    stat::Backwards,
};

/// How the reading of a log went.
#[derive(Debug, Default)]
pub struct Reading {
    /// What the end of the log shows; `None` where only a part was read.
    pub ending: Option<Ending>,
    /// What ended the reading before the log's end.
    pub error: Option<LogError>,
}

/// What the end of a log shows, beyond its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The instruction count of the last entry.
    pub last: u64,
    /// The first count that is lower than the one before it.
    pub backwards: Option<Backwards>,
    /// Whether the last entry is the mark at the end.
    pub ended: bool,
    /// How many entries there are.
    pub entries: u64,
}

impl Ending {
    /// Looks at the next entry.
    #[inline(always)]
    pub fn see(&mut self, entry: &Entry) {
        if entry.instructions < self.last && self.backwards.is_none() {
            let (from, to) = (self.last, entry.instructions);
            self.backwards = Some(Backwards { index: entry.index, from, to });
        }
        self.last = entry.instructions;
        self.ended = entry.is_end();
        self.entries = entry.index + 1;
    }

    /// What is unusual of a log, whether or not it was read to its end.
    #[must_use]
    pub fn remarks(&self, log: &Log) -> Vec<String> {
        let header =
            (log.header() == 0).then(|| "the header is 0: the recording never ended".to_owned());
        let backwards = self.backwards.map(|Backwards { index, from, to }| {
            format!("the instruction count goes back from {from} to {to} at entry {index}")
        });
        header.into_iter().chain(backwards).collect()
    }

    /// That a log which was read to its end has no end mark.
    #[must_use]
    pub fn without_mark(&self) -> Option<String> {
        let text = || format!("the log has no end mark behind its {} entries", self.entries);
        (!self.ended).then(text)
    }
}

/// Calls `take` for every entry that the filter takes. If a range of instructions
/// is asked of a large file that has an index, only that part is read. Indexes
/// are in `kept`.
///
/// # Errors
/// Those of `take`, which end the reading.
pub fn read<E>(
    log: &mut Log,
    filter: &mut LogFilter,
    kept: Option<&KeptIndex>,
    mut take: impl FnMut(&Entry) -> Result<(), E>,
) -> Result<Reading, E> {
    if let Some(index) = kept.and_then(KeptIndex::get) {
        return read_indexed(&index, log, filter, &mut take);
    }
    let mut made = kept.map(|_| Index::default());
    let mut ending = Ending::default();
    let mut result = Ok(());
    let mut see = |entry: &Entry| {
        ending.see(entry);
        if let Some(index) = &mut made {
            index.add(entry);
        }
        if result.is_ok() && filter.takes(entry) {
            result = take(entry);
        }
        result.is_ok()
    };
    let error = loop {
        log.batch(&mut see);
        match log.advance() {
            Ok(true) if see(&log.entry()) => {}
            Ok(_) => break None,
            Err(error) => break Some(error),
        }
    };
    result?;
    if let (Some(kept), Some(index), None) = (kept, made, &error) {
        // Without one the next question takes as long as this.
        let _ = kept.put(&index);
    }
    Ok(Reading { ending: Some(ending), error })
}

fn read_indexed<E>(
    index: &Index,
    log: &mut Log,
    filter: &mut LogFilter,
    take: &mut impl FnMut(&Entry) -> Result<(), E>,
) -> Result<Reading, E> {
    for (block, end) in index.blocks(filter.instructions().clone()) {
        log.seek(block.offset, block.index, block.instructions);
        loop {
            match log.next_entry() {
                Ok(Some(entry)) if entry.offset < end => {
                    if filter.takes(&entry) {
                        take(&entry)?;
                    }
                }
                Ok(_) => break,
                Err(error) => return Ok(Reading { ending: None, error: Some(error) }),
            }
        }
    }
    Ok(Reading::default())
}
