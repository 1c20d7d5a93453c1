//! The memory map of a process.

use std::ops::Deref;

use crate::addr::{Address, Hva};

/// A mapped range of host addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Area {
    /// The first address.
    pub start: Hva,
    /// Bytes.
    pub len: u64,
    /// May be read.
    pub readable: bool,
    /// May be written.
    pub writable: bool,
    /// What is mapped there, as the kernel names it: empty for anonymous memory,
    /// `None` where that is not known.
    pub name: Option<String>,
}

/// What a process has mapped, lowest address first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Areas(Vec<Area>);

impl Area {
    /// Bytes from `address` to the area's end; `None` of an address outside.
    #[must_use]
    pub fn left_at(&self, address: Hva) -> Option<u64> {
        let inside = address.raw().checked_sub(self.start.raw())?;
        self.len.checked_sub(inside).filter(|left| *left > 0)
    }
}

impl Areas {
    /// The area that `address` is in.
    #[must_use]
    pub fn at(&self, address: Hva) -> Option<&Area> {
        let after = self.0.partition_point(|area| area.start <= address);
        self.0[..after].last().filter(|area| area.left_at(address).is_some())
    }
}

impl FromIterator<Area> for Areas {
    fn from_iter<I: IntoIterator<Item = Area>>(areas: I) -> Self {
        let mut areas = Vec::from_iter(areas);
        areas.sort_by_key(|area| area.start);
        Self(areas)
    }
}

impl Deref for Areas {
    type Target = [Area];

    fn deref(&self) -> &[Area] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Areas {
    type Item = &'a Area;
    type IntoIter = std::slice::Iter<'a, Area>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(start: u64, len: u64) -> Area {
        Area { start: Hva(start), len, readable: true, writable: true, name: None }
    }

    #[test]
    fn an_address_is_in_the_area_that_begins_before_it_and_ends_after_it() {
        let areas: Areas = [area(0x3000, 0x1000), area(0x1000, 0x1000)].into_iter().collect();
        let start = |address| areas.at(Hva(address)).map(|area| area.start.0);
        assert_eq!(
            (start(0xfff), start(0x1000), start(0x1fff)),
            (None, Some(0x1000), Some(0x1000))
        );
        assert_eq!((start(0x2000), start(0x3fff), start(u64::MAX)), (None, Some(0x3000), None));
        assert_eq!(areas[0].left_at(Hva(0x1ffe)), Some(2));
    }
}
