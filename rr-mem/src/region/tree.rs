//! The tree of regions: what a map must hold to be one, the way up from a
//! region, and where QEMU starts to render.

use std::borrow::Cow;

use thiserror::Error;

use super::{
    AddressSpace, FlatView, MAX_DEPTH, MemoryRegion, RegionId, RegionMap, RenderError, Section,
    WHOLE_SPACE,
};
use crate::addr::Gpa;

/// Why lists of regions are no map.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MapError {
    /// A number that leads nowhere.
    #[error("{holder} has {what} {index}, but there are only {len}")]
    NoSuch {
        /// Who holds the number.
        holder: String,
        /// Its name in JSON.
        what: &'static str,
        /// The number.
        index: u32,
        /// How many there are.
        len: usize,
    },
    /// A region larger than an address space.
    #[error("{region} has size {size:#x}, more than an address space of 64 bits holds")]
    TooLarge {
        /// The region.
        region: RegionId,
        /// Its size.
        size: u128,
    },
    /// A subregion that names another container, or is listed twice, or is
    /// not listed.
    #[error("{region} and its container do not agree that it is a subregion once")]
    Container {
        /// The subregion.
        region: RegionId,
    },
    /// Containers that go round in a circle or nest too deep.
    #[error("{region} is in more than {MAX_DEPTH} containers, or in itself")]
    TooDeep {
        /// The region.
        region: RegionId,
    },
}

impl MapError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NoSuch { .. } => "no_such",
            Self::TooLarge { .. } => "too_large",
            Self::Container { .. } => "container",
            Self::TooDeep { .. } => "too_deep",
        }
    }
}

/// `index` must be below `len`.
fn in_list(
    holder: &impl ToString,
    what: &'static str,
    index: Option<u32>,
    len: usize,
) -> Result<(), MapError> {
    match index {
        Some(index) if index as usize >= len => {
            Err(MapError::NoSuch { holder: holder.to_string(), what, index, len })
        }
        _ => Ok(()),
    }
}

impl RegionMap {
    /// Every region with its number.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (RegionId, &MemoryRegion)> {
        (0..).map(RegionId).zip(self.regions())
    }

    pub(super) fn check(&self) -> Result<(), MapError> {
        self.check_regions()?;
        self.check_spaces()?;
        self.check_containers()?;
        self.check_depth()
    }

    fn check_regions(&self) -> Result<(), MapError> {
        let regions = self.regions().len();
        let number = |id: RegionId| id.0;
        for (id, region) in self.numbered() {
            in_list(&id, "container", region.container.map(number), regions)?;
            in_list(&id, "alias", region.alias.map(number), regions)?;
            let block = region.ram_block.map(|block| block.0);
            in_list(&id, "ram_block", block, self.ram_blocks().len())?;
            for child in &region.subregions {
                in_list(&id, "subregion", Some(child.0), regions)?;
            }
            if region.size > WHOLE_SPACE {
                return Err(MapError::TooLarge { region: id, size: region.size });
            }
        }
        Ok(())
    }

    fn check_spaces(&self) -> Result<(), MapError> {
        let regions = self.regions().len();
        for space in self.address_spaces() {
            let holder = format!("address space {:?}", space.name);
            in_list(&holder, "root", space.root.map(|root| root.0), regions)?;
            let ranges = space.flat.iter().flat_map(FlatView::ranges);
            for range in ranges {
                in_list(&holder, "flat range of region", Some(range.region.0), regions)?;
            }
        }
        Ok(())
    }

    /// Each region is listed by its container, once, and by no other.
    fn check_containers(&self) -> Result<(), MapError> {
        let mut listed = vec![false; self.regions().len()];
        for (id, region) in self.numbered() {
            for &child in &region.subregions {
                let again = std::mem::replace(&mut listed[child.0 as usize], true);
                if again || self.region(child).container != Some(id) {
                    return Err(MapError::Container { region: child });
                }
            }
        }
        let unlisted = self
            .numbered()
            .find(|(id, region)| region.container.is_some() && !listed[id.0 as usize]);
        unlisted.map_or(Ok(()), |(region, _)| Err(MapError::Container { region }))
    }

    fn check_depth(&self) -> Result<(), MapError> {
        let too_deep = |&id: &RegionId| self.climb(id).nth(MAX_DEPTH).is_some();
        let mut all = self.numbered().map(|(id, _)| id);
        all.find(too_deep).map_or(Ok(()), |region| Err(MapError::TooDeep { region }))
    }

    /// `id`, its container, that one's container, up to the top.
    fn climb(&self, id: RegionId) -> impl Iterator<Item = RegionId> {
        std::iter::successors(Some(id), |&id| self.region(id).container)
    }

    /// The outermost container of a region (the region itself, without one),
    /// and the address in it of the region's byte `addr`. Wraps as QEMU's
    /// addresses do.
    #[must_use]
    pub fn to_root(&self, region: RegionId, addr: u64) -> (RegionId, u64) {
        self.climb(region)
            .fold((region, addr), |(_, sum), id| (id, sum.wrapping_add(self.region(id).addr)))
    }

    /// The region that QEMU renders for an address space with root `region`.
    /// QEMU skips whole aliases and only children, so that address spaces share
    /// flat views. `None` when nothing is enabled.
    #[must_use]
    pub fn view_root(&self, region: RegionId) -> Option<RegionId> {
        let mut at = region;
        for _ in 0..MAX_DEPTH {
            match self.step_down(at)? {
                next if next == at => break,
                next => at = next,
            }
        }
        Some(at)
    }

    /// The region that shows all that `id` shows; `id` when there is no such,
    /// `None` when `id` shows nothing.
    fn step_down(&self, id: RegionId) -> Option<RegionId> {
        let region = self.region(id);
        if !region.enabled {
            return None;
        }
        if let Some(alias) = region.alias {
            let whole = region.alias_offset == 0 && region.size >= self.region(alias).size;
            return Some(if whole { alias } else { id });
        }
        if region.terminates {
            return Some(id);
        }
        let mut enabled =
            region.subregions.iter().copied().filter(|&child| self.region(child).enabled);
        let only = enabled.next()?;
        let child = self.region(only);
        let whole = enabled.next().is_none() && child.addr == 0 && region.size >= child.size;
        Some(if whole { only } else { id })
    }

    /// The flat view of an address space: the one that QEMU had, or else one
    /// rendered by its rules.
    ///
    /// # Errors
    /// As [`RegionMap::render`].
    pub fn view<'a>(&self, space: &'a AddressSpace) -> Result<Cow<'a, FlatView>, RenderError> {
        if let Some(flat) = &space.flat {
            return Ok(Cow::Borrowed(flat));
        }
        let root = space.root.and_then(|root| self.view_root(root));
        root.map_or(Ok(FlatView::default()), |root| self.render(root)).map(Cow::Owned)
    }

    /// What QEMU's `memory_region_find(region, addr, size)` answers: the first
    /// range in `addr..addr + size` of the address space that `region` is in.
    ///
    /// The root of an address space may itself be in a container (`system` is
    /// in `secure-memory` with `-M virt,secure=on`): for what a CPU sees, use
    /// [`RegionMap::view`] of its address space and [`FlatView::find`].
    ///
    /// Where no address space has that root, QEMU finds nothing; we render the
    /// root. A size of 0 is taken as 1, see [`FlatView::find`].
    ///
    /// # Errors
    /// As [`RegionMap::render`].
    pub fn find(
        &self,
        region: RegionId,
        addr: u64,
        size: u64,
    ) -> Result<Option<Section>, RenderError> {
        let (root, addr) = self.to_root(region, addr);
        let space = self.address_spaces().iter().find(|space| space.root == Some(root));
        let view = match space {
            Some(space) => self.view(space)?,
            None => Cow::Owned(self.render(root)?),
        };
        Ok(view.find(Gpa(addr), size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::BlockId;

    fn container(size: u128, subregions: &[u32]) -> MemoryRegion {
        let subregions = subregions.iter().copied().map(RegionId).collect();
        MemoryRegion { size, subregions, ..MemoryRegion::default() }
    }

    fn leaf(container: u32, addr: u64, size: u128) -> MemoryRegion {
        let container = Some(RegionId(container));
        MemoryRegion { container, addr, size, terminates: true, ..MemoryRegion::default() }
    }

    fn check(regions: Vec<MemoryRegion>) -> Result<RegionMap, MapError> {
        RegionMap::new(regions, Vec::new(), Vec::new())
    }

    #[test]
    fn a_number_that_leads_nowhere_is_an_error() {
        let no_child = check(vec![container(1, &[7])]).expect_err("no region 7");
        assert_eq!(no_child.to_string(), "region 0 has subregion 7, but there are only 1");
        let block = MemoryRegion { ram_block: Some(BlockId(0)), ..MemoryRegion::default() };
        assert_eq!(check(vec![block]).expect_err("no block").kind(), "no_such");
        let space = AddressSpace { root: Some(RegionId(0)), ..AddressSpace::default() };
        let error = RegionMap::new(Vec::new(), Vec::new(), vec![space]).expect_err("no root");
        assert_eq!(error.kind(), "no_such");
    }

    #[test]
    fn a_region_must_be_listed_once_and_by_its_container() {
        let twice = vec![container(1, &[1, 1]), leaf(0, 0, 1)];
        let foreign = vec![container(1, &[2]), container(1, &[]), leaf(1, 0, 1)];
        let unlisted = vec![container(1, &[]), leaf(0, 0, 1)];
        for lists in [twice, foreign, unlisted] {
            assert_eq!(check(lists).expect_err("no tree").kind(), "container");
        }
    }

    #[test]
    fn containers_in_a_circle_are_an_error() {
        let mut a = container(1, &[1]);
        let mut b = container(1, &[0]);
        (a.container, b.container) = (Some(RegionId(1)), Some(RegionId(0)));
        assert_eq!(check(vec![a, b]).expect_err("a circle").kind(), "too_deep");
    }

    #[test]
    fn a_region_is_no_larger_than_an_address_space() {
        assert!(check(vec![container(WHOLE_SPACE, &[])]).is_ok());
        let error = check(vec![container(WHOLE_SPACE + 1, &[])]).expect_err("too large");
        assert_eq!(error.kind(), "too_large");
    }

    #[test]
    fn the_way_up_adds_addresses_and_wraps() {
        let mut middle = container(0x1000, &[2]);
        (middle.container, middle.addr) = (Some(RegionId(0)), u64::MAX);
        let map = check(vec![container(0x1000, &[1]), middle, leaf(1, 0x10, 1)]).expect("a tree");
        assert_eq!(map.to_root(RegionId(2), 3), (RegionId(0), 0x12));
    }

    #[test]
    fn find_takes_the_recorded_view_of_the_root_or_renders_it() {
        let regions = vec![container(0x1000, &[1]), leaf(0, 0x100, 0x10)];
        let root = Some(RegionId(0));
        let empty = FlatView::default();
        let known = AddressSpace { name: "known".into(), root, flat: Some(empty) };
        let map = RegionMap::new(regions.clone(), Vec::new(), vec![known]).expect("a tree");
        assert_eq!(map.find(RegionId(1), 4, 1), Ok(None));
        let map = check(regions).expect("a tree");
        let found = map.find(RegionId(1), 4, 1).expect("renders").expect("is there");
        assert_eq!((found.region, found.offset_within_region), (RegionId(1), 4));
        assert_eq!(found.offset_within_address_space, Gpa(0x104));
    }

    #[test]
    fn views_start_below_whole_aliases_and_only_children() {
        let alias = |to, size, offset| MemoryRegion {
            alias: Some(RegionId(to)),
            size,
            alias_offset: offset,
            ..MemoryRegion::default()
        };
        let off = MemoryRegion { enabled: false, ..leaf(0, 0, 8) };
        let mut whole = alias(3, 8, 0);
        whole.container = Some(RegionId(0));
        let target = MemoryRegion { terminates: true, size: 8, ..MemoryRegion::default() };
        let part = alias(3, 4, 0);
        let shifted = alias(3, 8, 1);
        let map = check(vec![
            container(8, &[1, 2]),
            off,
            whole,
            target,
            part,
            shifted,
            container(8, &[]),
        ])
        .expect("a map");
        let root = |id| map.view_root(RegionId(id)).map(|id| id.0);
        assert_eq!([0, 1, 2, 4, 5, 6].map(root), [Some(3), None, Some(3), Some(4), Some(5), None]);
    }

    #[test]
    fn aliases_in_a_circle_do_not_hang_the_search_for_the_root() {
        let alias =
            |to| MemoryRegion { alias: Some(RegionId(to)), size: 8, ..MemoryRegion::default() };
        let map = check(vec![alias(1), alias(0)]).expect("aliases may");
        assert!(map.view_root(RegionId(0)).is_some());
    }
}
