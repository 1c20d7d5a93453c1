//! Where the entries of a range of instruction counts are, so that a question
//! about a part of a large log reads only that part.
//!
//! A log is divided into blocks of about a megabyte; of each the lowest and the
//! highest count are kept, so that logs whose counts go back are answered right.

mod kept;

use std::ops::RangeInclusive;

use super::Entry;

pub use kept::KeptIndex;

/// Bytes of the log in a block, at least.
const BLOCK: u64 = 1 << 20;
/// Starts the form that is kept, and changes with it.
const MAGIC: &[u8; 8] = b"rrmemix1";
/// Numbers of a block in that form.
const NUMBERS: usize = 5;

/// A run of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexBlock {
    /// The byte of the log at which its first entry starts.
    pub offset: u64,
    /// The index of that entry.
    pub index: u64,
    /// The instruction count of that entry.
    pub instructions: u64,
    /// The lowest count in it.
    pub least: u64,
    /// The highest.
    pub most: u64,
}

/// The blocks of a whole log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    blocks: Vec<IndexBlock>,
    /// Where the last block ends.
    end: u64,
}

impl Index {
    /// Adds the next entry.
    #[inline]
    pub fn add(&mut self, entry: &Entry) {
        self.end = entry.offset + entry.raw.len() as u64;
        let now = entry.instructions;
        match self.blocks.last_mut() {
            Some(block) if entry.offset - block.offset < BLOCK => {
                block.least = block.least.min(now);
                block.most = block.most.max(now);
            }
            _ => self.blocks.push(IndexBlock {
                offset: entry.offset,
                index: entry.index,
                instructions: now,
                least: now,
                most: now,
            }),
        }
    }

    /// The blocks that may have entries with these counts, and where each ends.
    pub fn blocks(
        &self,
        wanted: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (IndexBlock, u64)> + '_ {
        let ends = self.blocks.iter().skip(1).map(|block| block.offset).chain([self.end]);
        let meets =
            move |block: &IndexBlock| block.least <= *wanted.end() && block.most >= *wanted.start();
        self.blocks.iter().copied().zip(ends).filter(move |(block, _)| meets(block))
    }

    /// A form to keep.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.end.to_le_bytes());
        for IndexBlock { offset, index, instructions, least, most } in &self.blocks {
            for number in [offset, index, instructions, least, most] {
                bytes.extend(number.to_le_bytes());
            }
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        bytes.extend(crc.sum().to_le_bytes());
        bytes
    }

    /// What was kept of a log of `size` bytes; none when it is damaged.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], size: u64) -> Option<Self> {
        let (body, sum) = bytes.split_last_chunk::<4>()?;
        let mut crc = flate2::Crc::new();
        crc.update(body);
        if crc.sum() != u32::from_le_bytes(*sum) {
            return None;
        }
        let (numbers, rest) = body.strip_prefix(MAGIC)?.as_chunks::<8>();
        let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        let (&end, numbers) = numbers.split_first()?;
        let (blocks, more) = numbers.as_chunks::<NUMBERS>();
        let block = |&[offset, index, instructions, least, most]: &[u64; NUMBERS]| IndexBlock {
            offset,
            index,
            instructions,
            least,
            most,
        };
        let index = Self { blocks: blocks.iter().map(block).collect(), end };
        let sorted = index.blocks.windows(2).all(|pair| pair[0].offset < pair[1].offset);
        let inside = index.blocks.last().is_none_or(|block| block.offset < end) && end <= size;
        (rest.is_empty() && more.is_empty() && sorted && inside).then_some(index)
    }
}
