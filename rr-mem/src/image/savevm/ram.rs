//! The section `ram`: blocks, then a record a page. QEMU, migration/ram.c.
//!
//! A record is an u64: the address in the block, and flags in the bits below
//! the page size. Not here: XBZRLE, compression and multifd, which no savevm
//! or file migration needs.

use std::collections::HashMap;

use super::{
    Block, Broken,
    cursor::{Cursor, Cut},
};
use crate::{
    addr::FileOffset,
    memory::{Page, PageIndex},
};

/// RAM_SAVE_FLAG_*.
const ZERO: u64 = 0x02;
const MEM_SIZE: u64 = 0x04;
const PAGE: u64 = 0x08;
const EOS: u64 = 0x10;
const CONTINUE: u64 = 0x20;
const XBZRLE: u64 = 0x40;
const HOOK: u64 = 0x80;
const COMPRESS_PAGE: u64 = 0x100;
const MULTIFD_FLUSH: u64 = 0x200;

/// No index has more pages: 1 TB of 4 KB pages.
const MOST_PAGES: u64 = 1 << 28;
/// Progress is told each so many bytes.
const PIECE: usize = 16 << 20;

/// What the stream's capabilities change in this section.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Capabilities {
    /// Pages lie at fixed places of the file.
    pub mapped_ram: bool,
    /// Shared blocks are left out, and all blocks have an address.
    pub ignore_shared: bool,
}

/// What was read so far.
#[derive(Debug)]
pub(super) struct Ram {
    pub blocks: Vec<Block>,
    pub index: PageIndex,
    pub shift: u32,
    capabilities: Capabilities,
    names: HashMap<Vec<u8>, usize>,
    /// The block of the last record.
    last: Option<usize>,
}

impl Ram {
    pub fn new(shift: u32, capabilities: Capabilities) -> Self {
        Self {
            blocks: Vec::new(),
            index: PageIndex::new(0),
            shift,
            capabilities,
            names: HashMap::new(),
            last: None,
        }
    }

    const fn page_size(&self) -> u64 {
        1 << self.shift
    }

    /// Reads records up to the end of the section; `progress` hears where.
    pub fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Broken> {
        let mut told = cursor.at();
        loop {
            let at = cursor.at();
            if at - told >= PIECE {
                told = at;
                progress(at as u64);
            }
            let record = cursor.u64()?;
            let flags = record & (self.page_size() - 1);
            match flags & !CONTINUE {
                PAGE | ZERO => self.page(record - flags, flags, cursor, at)?,
                EOS => return Ok(()),
                MEM_SIZE => self.block_list(record - flags, cursor)?,
                MULTIFD_FLUSH if self.capabilities.mapped_ram => {}
                other => return Err(refused(other, at)),
            }
        }
    }

    #[inline]
    fn page(
        &mut self,
        addr: u64,
        flags: u64,
        cursor: &mut Cursor<'_>,
        at: usize,
    ) -> Result<(), Broken> {
        if flags & CONTINUE == 0 {
            let name = cursor.name()?;
            self.last = self.names.get(name).copied();
        }
        let block = self.last.and_then(|last| self.blocks.get(last));
        let Some(block) = block.filter(|block| addr < block.len) else {
            return Err(Broken::damaged("a page is in no RAM block", at));
        };
        let number = (block.first >> self.shift) + (addr >> self.shift);
        let page = match flags & ZERO {
            0 => {
                let start = cursor.at() as u64;
                // A page that is cut is there as far as it goes.
                self.index.set(number as usize, Page::At(FileOffset(start)));
                return Ok(cursor.take(1 << self.shift).map(drop)?);
            }
            _ => Page::Fill(cursor.u8()?),
        };
        self.index.set(number as usize, page);
        Ok(())
    }

    fn block_list(&mut self, total: u64, cursor: &mut Cursor<'_>) -> Result<(), Broken> {
        let start = cursor.at();
        let mut left = total;
        let mut mapped = Vec::new();
        while left > 0 {
            let at = cursor.at();
            let (name, len) = (cursor.name()?, cursor.u64()?);
            if self.capabilities.ignore_shared {
                cursor.u64()?;
            }
            left = left
                .checked_sub(len)
                .ok_or_else(|| Broken::damaged("the RAM blocks are larger than their sum", at))?;
            self.add(name, len, at)?;
            if self.capabilities.mapped_ram {
                mapped.push(self.mapped(len, cursor)?);
            }
        }
        if !self.index.is_empty() {
            return Err(Broken::damaged("the RAM blocks are listed twice", start));
        }
        self.index = PageIndex::new((self.end() >> self.shift) as usize);
        (0..).zip(mapped).try_for_each(|(number, mapped)| self.mapped_pages(number, mapped, cursor))
    }

    /// Where the next block starts in the row of pages.
    fn end(&self) -> u64 {
        let end = |block: &Block| block.first + block.len.next_multiple_of(self.page_size());
        self.blocks.last().map_or(0, end)
    }

    /// Adds a block behind the others.
    fn add(&mut self, name: &[u8], len: u64, at: usize) -> Result<(), Broken> {
        let first = self.end();
        let most = MOST_PAGES << self.shift;
        if len > most || first + len > most {
            return Err(Broken::damaged("the RAM blocks are larger than is reasonable", at));
        }
        if self.names.insert(name.to_vec(), self.blocks.len()).is_some() {
            return Err(Broken::damaged("two RAM blocks have one name", at));
        }
        let name = String::from_utf8_lossy(name).into_owned();
        self.blocks.push(Block { name, len, first });
        Ok(())
    }

    /// The header of a block whose pages lie in the file in order; goes to
    /// their end. QEMU, docs/devel/migration/mapped-ram.rst.
    fn mapped(&self, len: u64, cursor: &mut Cursor<'_>) -> Result<Mapped, Broken> {
        let at = cursor.at();
        let (version, page_size) = (cursor.u32()?, cursor.u64()?);
        let mapped = Mapped { bitmap: cursor.u64()?, pages: cursor.u64()? };
        if version != 1 {
            return Err(Broken::damaged(format!("mapped-ram has version {version}, not 1"), at));
        }
        if page_size != self.page_size() {
            return Err(Broken::PageSize(page_size));
        }
        cursor.go_to(mapped.pages.saturating_add(len))?;
        Ok(mapped)
    }

    /// Pages in the bitmap are in the file, the others are zeros.
    fn mapped_pages(
        &mut self,
        number: usize,
        mapped: Mapped,
        cursor: &Cursor<'_>,
    ) -> Result<(), Broken> {
        let Block { len, first, .. } = self.blocks[number];
        let (first, count) = (first >> self.shift, len.div_ceil(self.page_size()));
        let mut words = *cursor;
        words.go_to(mapped.bitmap)?;
        for start in (0..count).step_by(64) {
            let word = words.u64()?.swap_bytes();
            for page in start..count.min(start + 64) {
                let offset = FileOffset(mapped.pages + (page << self.shift));
                let there = word >> (page - start) & 1 != 0;
                let found = if there { Page::At(offset) } else { Page::Fill(0) };
                self.index.set((first + page) as usize, found);
            }
        }
        Ok(())
    }
}

/// Where a block of mapped-ram has its bitmap and its pages in the file.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    bitmap: u64,
    pages: u64,
}

fn refused(flags: u64, at: usize) -> Broken {
    match flags {
        XBZRLE => Broken::Refused("XBZRLE-compressed pages"),
        COMPRESS_PAGE => Broken::Refused("pages packed by the capability compress"),
        MULTIFD_FLUSH => Broken::Refused("pages in the channels of multifd"),
        HOOK => Broken::Refused("pages sent by RDMA"),
        other => Broken::damaged(format!("a page record has flags {other:#x}"), at),
    }
}

impl From<Cut> for Broken {
    fn from(Cut: Cut) -> Self {
        Self::Cut
    }
}
