//! Two images of 1 GB that differ in every sixteenth page, and what merely
//! reading them costs.
#![allow(clippy::unwrap_used)]

use std::{hint::black_box, io::Write};

use rayon::prelude::*;
use rr_mem::{
    addr::RangeSet,
    guest::diff,
    image::{self, ImageMemory, OpenOptions},
};
use tempfile::NamedTempFile;

use crate::{Generated, PAGE, RAM};

/// How often the generated RAM is in an image.
const COPIES: u64 = 16;
/// What a thread takes at a time.
const CHUNK: usize = 1 << 20;

/// Two moments of a guest.
pub struct Moments {
    older: (NamedTempFile, ImageMemory),
    newer: (NamedTempFile, ImageMemory),
}

/// RAM in a mapped file, so many times.
pub fn image(ram: &[u8], copies: u64) -> (NamedTempFile, ImageMemory) {
    let mut file = NamedTempFile::new().unwrap();
    (0..copies).for_each(|_| file.write_all(ram).unwrap());
    let memory = image::open(file.path(), &OpenOptions::default(), &mut |_| {}).unwrap().memory;
    (file, memory)
}

impl Moments {
    /// Bytes of both.
    pub const BYTES: u64 = 2 * RAM * COPIES;

    /// Made from this seed.
    pub fn new(seed: u64) -> Self {
        let old = Generated::new(seed).ram;
        let mut new = old.clone();
        (0..RAM).step_by(1 << 16).for_each(|at| new[at as usize] ^= 1);
        let moments = Self { older: image(&old, COPIES), newer: image(&new, COPIES) };
        assert_eq!(moments.diff() as u64, (COPIES * RAM) >> 16);
        assert_eq!((moments.memcmp(), moments.one_thread()), (moments.diff(), moments.diff()));
        moments
    }

    fn bytes(&self) -> (&[u8], &[u8]) {
        (self.older.1.source().file().bytes(), self.newer.1.source().file().bytes())
    }

    fn chunks(&self) -> impl ParallelIterator<Item = (&[u8], &[u8])> {
        let (older, newer) = self.bytes();
        older.par_chunks(CHUNK).zip(newer.par_chunks(CHUNK))
    }

    /// How many pages rr-mem finds to differ.
    pub fn diff(&self) -> usize {
        let all: RangeSet = std::iter::once(0..=RAM * COPIES - 1).collect();
        diff::pages(&self.older.1, &self.newer.1, &all, &|_| {}).pages.len()
    }

    /// The same by memcmp alone, on all cores: as fast as they read memory.
    pub fn memcmp(&self) -> usize {
        self.chunks().map(|(older, newer)| pages_that_differ(older, newer)).sum()
    }

    /// The same by one thread.
    pub fn one_thread(&self) -> usize {
        let (older, newer) = self.bytes();
        pages_that_differ(older, newer)
    }
}

fn pages_that_differ(older: &[u8], newer: &[u8]) -> usize {
    let pages = older.chunks(PAGE as usize).zip(newer.chunks(PAGE as usize));
    pages.filter(|(older, newer)| black_box(older) != newer).count()
}
