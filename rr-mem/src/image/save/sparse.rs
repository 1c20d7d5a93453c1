//! A file in which blocks of zeros take no room.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};

use crate::{
    addr::{Gpa, PAGE, RangeSet},
    memory::Memory,
};

/// Bytes copied at once.
const CHUNK: u64 = 1 << 20;

/// A file that guest memory is copied to.
pub(super) struct Sparse<'a> {
    file: &'a mut File,
    at: u64,
    memory: &'a dyn Memory,
    buffer: Vec<u8>,
    unread: Vec<(u64, u64)>,
    copied: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<'a> Sparse<'a> {
    pub fn new(
        file: &'a mut File,
        memory: &'a dyn Memory,
        progress: &'a mut dyn FnMut(u64),
    ) -> Self {
        let (buffer, unread) = (Vec::new(), Vec::new());
        Self { file, at: 0, memory, buffer, unread, copied: 0, progress }
    }

    /// Goes to a place behind what was written.
    pub fn go(&mut self, at: u64) -> io::Result<()> {
        self.at = at;
        self.file.seek(SeekFrom::Start(at)).map(drop)
    }

    /// Writes these bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    /// Copies guest memory; room is left for what cannot be read.
    pub fn copy(&mut self, first: u64, last: u64) -> io::Result<()> {
        let mut next = Some(first);
        while let Some(from) = next.filter(|from| *from <= last) {
            let to = last.min(from | (CHUNK - 1));
            self.chunk(from, to)?;
            next = to.checked_add(1);
            (self.progress)(self.copied);
        }
        Ok(())
    }

    fn chunk(&mut self, from: u64, to: u64) -> io::Result<()> {
        let len = to - from + 1;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(len as usize, 0);
        let mut done = 0;
        while done < len {
            let rest = &mut buffer[done as usize..];
            let Err(error) = self.memory.read(Gpa(from + done), rest) else { break };
            let bad = error.addr.clamp(from + done, to);
            let page = (bad & !(PAGE - 1)).max(from)..=(bad | (PAGE - 1)).min(to);
            buffer[(page.start() - from) as usize..=(page.end() - from) as usize].fill(0);
            self.unread.push((*page.start(), *page.end()));
            done = page.end() - from + 1;
        }
        self.sparse(&buffer)?;
        self.copied += len;
        self.buffer = buffer;
        Ok(())
    }

    /// Writes what is not zero, in whole blocks of the file.
    fn sparse(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (zeros, behind) = rest.split_at(self.run(rest, true));
            self.go(self.at + zeros.len() as u64)?;
            let (data, behind) = behind.split_at(self.run(behind, false));
            self.bytes(data)?;
            rest = behind;
        }
        Ok(())
    }

    /// How many of the first bytes lie in blocks that are zero, or are not.
    fn run(&self, bytes: &[u8], zeros: bool) -> usize {
        let mut len = 0;
        while len < bytes.len() {
            let to_border = (PAGE - (self.at + len as u64) % PAGE) as usize;
            let end = bytes.len().min(len + to_border);
            if bytes[len..end].iter().all(|byte| *byte == 0) != zeros {
                break;
            }
            len = end;
        }
        len
    }

    /// Gives the file its length: what could not be read.
    pub fn finish(self) -> io::Result<RangeSet> {
        self.file.set_len(self.at)?;
        Ok(self.unread.into_iter().map(|(first, last)| first..=last).collect())
    }
}
