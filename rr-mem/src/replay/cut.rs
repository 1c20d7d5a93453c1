//! A part of a log as a log of its own.

use std::io::{self, Write};

use super::{
    Entry, Log, LogFormat,
    panda::{self, Callsite},
    qemu,
};

/// Writes entries as a log that readers take. It has no snapshot to start from,
/// so it can be read but not replayed.
#[derive(Debug)]
pub struct Cut<W> {
    out: W,
    format: LogFormat,
    end_mark: Option<u8>,
    instructions: u64,
    entries: u64,
    ended: bool,
}

impl<W: Write + io::Seek> Cut<W> {
    /// Starts a log of the same format as `log`.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(mut out: W, log: &Log) -> io::Result<Self> {
        let (format, end_mark) = match log {
            Log::Panda(_) => (LogFormat::Panda, None),
            Log::Qemu(log) => (super::EventLog::format(log), Some(log.ids().end())),
        };
        match format {
            LogFormat::Panda => out.write_all(&[0; panda::HEADER])?,
            LogFormat::Qemu(version) => {
                out.write_all(&version.number().to_be_bytes())?;
                out.write_all(&[0; qemu::HEADER - 4])?;
            }
        }
        Ok(Self { out, format, end_mark, instructions: 0, entries: 0, ended: false })
    }

    /// Adds an entry. Before the first of a replay log come the instructions
    /// before it.
    ///
    /// # Errors
    /// The writer's.
    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        if self.entries == 0 && self.format != LogFormat::Panda {
            self.executed(entry.instructions)?;
        }
        self.entries += 1;
        self.instructions = entry.instructions;
        self.ended = entry.is_end();
        self.out.write_all(entry.raw)
    }

    /// So many instructions, as events.
    fn executed(&mut self, mut instructions: u64) -> io::Result<()> {
        while instructions > 0 {
            let count = u32::try_from(instructions).unwrap_or(u32::MAX).min(i32::MAX as u32);
            self.out.write_all(&[0])?;
            self.out.write_all(&count.to_be_bytes())?;
            instructions -= u64::from(count);
        }
        Ok(())
    }

    /// Ends the log: with the mark at its end, and with its header.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<u64> {
        match self.end_mark {
            None => {
                if !self.ended {
                    self.out.write_all(&self.instructions.to_le_bytes())?;
                    self.out.write_all(&[panda::END_OF_LOG, Callsite::END_OF_LOG.0])?;
                }
                self.out.rewind()?;
                self.out.write_all(&self.instructions.to_le_bytes())?;
            }
            Some(mark) if !self.ended => self.out.write_all(&[mark])?,
            Some(_) => {}
        }
        self.out.flush()?;
        Ok(self.entries)
    }
}
