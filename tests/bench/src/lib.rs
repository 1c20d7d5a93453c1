//! The guest that the benches ask about, made from scratch: x86-64 with four
//! levels of tables, 64 MB of RAM, 20,000 pages of 4 KB mapped in 200 clusters
//! all over both halves of the address space.
//!
//! Intel SDM volume 3, "4-Level Paging". Nothing here is taken from rr-mem: the
//! tables are written and walked by the manual alone, so that rr-mem's answers
//! can be checked.

pub mod moments;

use std::collections::BTreeMap;

/// Bytes of RAM.
pub const RAM: u64 = 64 << 20;
/// Bytes of a page, and of a table.
pub const PAGE: u64 = 4096;
/// Clusters of mapped pages; every other one is the kernel's.
pub const CLUSTERS: u64 = 200;
/// Pages of a cluster, in a row.
pub const CLUSTER_PAGES: u64 = 100;
/// Where the first table is.
pub const CR3: u64 = 0x1000;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 51:12.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const KERNEL_HALF: u64 = 0xffff_8000_0000_0000;

/// A guest's memory, and what its tables map.
#[derive(Debug)]
pub struct Generated {
    /// All of RAM, from physical address 0 on.
    pub ram: Vec<u8>,
    /// The physical address of every mapped page, by its virtual one. Some
    /// physical pages have several.
    pub pages: BTreeMap<u64, u64>,
    /// The end of the tables so far.
    tables_end: u64,
}

impl Generated {
    /// The guest of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let ram = vec![0; RAM as usize];
        let mut guest = Self { ram, pages: BTreeMap::new(), tables_end: CR3 + PAGE };
        let mut random = Random(seed);
        for cluster in 0..CLUSTERS {
            guest.add_cluster(cluster % 2 == 1, &mut random);
        }
        guest
    }

    fn add_cluster(&mut self, kernel: bool, random: &mut Random) {
        let half = if kernel { KERNEL_HALF } else { 0 };
        let base = half + random.below((1 << 35) - CLUSTER_PAGES) * PAGE;
        let data = if random.below(2) == 0 { WRITABLE | NO_EXECUTE } else { 0 };
        let owner = if kernel { 0 } else { USER };
        for page in 0..CLUSTER_PAGES {
            let gpa = random.below(RAM / PAGE) * PAGE;
            self.map(base + page * PAGE, gpa, data | owner);
        }
    }

    fn map(&mut self, gva: u64, gpa: u64, rights: u64) {
        let mut table = CR3;
        for shift in [39, 30, 21] {
            table = self.table_below(entry_address(table, gva, shift));
        }
        self.put(entry_address(table, gva, 12), gpa | rights | PRESENT);
        self.pages.insert(gva, gpa);
    }

    /// The table that the entry at `at` points to, a new one if none.
    fn table_below(&mut self, at: u64) -> u64 {
        let entry = word(&self.ram, at).unwrap_or(0);
        if entry & PRESENT != 0 {
            return entry & ADDRESS;
        }
        let table = self.tables_end;
        self.tables_end += PAGE;
        self.put(at, table | PRESENT | WRITABLE | USER);
        table
    }

    fn put(&mut self, at: u64, entry: u64) {
        self.ram[at as usize..][..8].copy_from_slice(&entry.to_le_bytes());
    }

    /// An address in every mapped page, with the physical one behind it; in
    /// the order of the pages.
    #[must_use]
    pub fn addresses(&self, seed: u64) -> Vec<(u64, u64)> {
        let mut random = Random(seed);
        let inside = self.pages.iter().map(|(gva, gpa)| (gva, gpa, random.below(PAGE)));
        inside.map(|(gva, gpa, offset)| (gva + offset, gpa + offset)).collect()
    }
}

/// The walk that nothing can be faster than: four loads from a slice, and no
/// question but whether the address is mapped.
#[inline]
#[must_use]
pub fn naive_walk(ram: &[u8], gva: u64) -> Option<u64> {
    let mut table = CR3;
    for shift in [39, 30, 21, 12] {
        let entry = word(ram, entry_address(table, gva, shift))?;
        if entry & PRESENT == 0 {
            return None;
        }
        let base = entry & ADDRESS;
        if shift == 12 || shift < 39 && entry & LARGE != 0 {
            let inside = (1 << shift) - 1;
            return Some(base & !inside | gva & inside);
        }
        table = base;
    }
    None
}

#[inline]
fn entry_address(table: u64, gva: u64, shift: u32) -> u64 {
    table + (gva >> shift & 0x1ff) * 8
}

#[inline]
fn word(ram: &[u8], at: u64) -> Option<u64> {
    ram.get(at as usize..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// SplitMix64: the same numbers on every machine, from any seed.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((u128::from(mixed ^ mixed >> 31) * u128::from(end)) >> 64) as u64
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
