//! A page cache in front of memory that is slow to read.

use std::{cell::RefCell, collections::HashMap};

use super::{Memory, ReadError};
use crate::addr::{Address, PAGE};

/// Keeps up to `capacity` pages of 4096 bytes. It is for one thread: some
/// sources must not be called from another.
///
/// A page that cannot be read whole is not kept: each read asks the source.
#[derive(Debug)]
pub struct PageCache<M, A> {
    source: M,
    capacity: usize,
    pages: RefCell<HashMap<A, Box<[u8; PAGE as usize]>>>,
}

impl<A: Address + std::hash::Hash, M: Memory<A>> PageCache<M, A> {
    /// A cache of at most `capacity` pages over `source`.
    #[must_use]
    pub fn new(source: M, capacity: usize) -> Self {
        Self { source, capacity: capacity.max(1), pages: RefCell::default() }
    }

    /// Forgets every page: call it when the source may have changed.
    pub fn clear(&self) {
        self.pages.borrow_mut().clear();
    }

    fn read_in_page(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError> {
        let offset = (addr.raw() % PAGE) as usize;
        let page = A::from_raw(addr.raw() - offset as u64);
        if let Some(bytes) = self.pages.borrow().get(&page) {
            dst.copy_from_slice(&bytes[offset..offset + dst.len()]);
            return Ok(());
        }
        let mut bytes = Box::new([0; PAGE as usize]);
        if self.source.read(page, &mut bytes[..]).is_err() {
            return self.source.read(addr, dst);
        }
        dst.copy_from_slice(&bytes[offset..offset + dst.len()]);
        self.keep(page, bytes);
        Ok(())
    }

    fn keep(&self, page: A, bytes: Box<[u8; PAGE as usize]>) {
        let mut pages = self.pages.borrow_mut();
        if pages.len() >= self.capacity {
            pages.clear();
        }
        pages.insert(page, bytes);
    }
}

impl<A: Address + std::hash::Hash, M: Memory<A>> Memory<A> for PageCache<M, A> {
    fn read(&self, addr: A, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            let here = A::from_raw(addr.raw().wrapping_add(done as u64));
            let in_page = (PAGE - here.raw() % PAGE) as usize;
            let len = in_page.min(dst.len() - done);
            self.read_in_page(here, &mut dst[done..done + len])?;
            done += len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        addr::Gpa,
        memory::{Counter, SliceMemory},
    };

    #[test]
    fn a_page_is_read_once_until_the_cache_is_cleared() {
        let bytes = vec![7; 3 * 4096];
        let counter = Counter::new(SliceMemory::new(Gpa(0), &bytes));
        let cache = PageCache::new(&counter, 8);
        let mut dst = [0; 100];
        cache.read(Gpa(4090), &mut dst).expect("both pages are there");
        cache.read(Gpa(4000), &mut dst).expect("both pages are there");
        assert_eq!((counter.reads(), dst), (2, [7; 100]));
        cache.clear();
        cache.read(Gpa(0), &mut dst).expect("the page is there");
        assert_eq!(counter.reads(), 3);
    }

    #[test]
    fn a_partly_readable_page_gives_its_readable_bytes() {
        let bytes = [5; 10];
        let cache = PageCache::new(SliceMemory::new(Gpa(0), &bytes), 8);
        let mut dst = [0; 4];
        assert!(cache.read(Gpa(2), &mut dst).is_ok());
        let error = cache.read(Gpa(8), &mut dst).expect_err("ends in a hole");
        assert_eq!((error.addr, &dst[..2]), (10, &[5, 5][..]));
    }
}
