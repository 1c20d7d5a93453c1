//! Rendering a tree of regions into a flat view: "Visibility" and "Overlapping
//! regions and priority" of QEMU's "The memory API".

use thiserror::Error;

use super::{
    FlatRange, FlatView, MAX_DEPTH, MemoryRegion, RegionId, RegionMap, WHOLE_SPACE, paint::Painter,
};
use crate::addr::Gpa;

/// Regions entered and ranges looked at, before a map is called hostile. A
/// large machine takes some ten thousand.
const MAX_STEPS: usize = 1 << 22;

/// Why a tree could not be rendered or printed; QEMU never has such a one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RenderError {
    /// Aliases that go round in a circle.
    #[error(
        "{region} is seen through more than {MAX_DEPTH} regions; its aliases may form a circle"
    )]
    TooDeep {
        /// Where the limit was met.
        region: RegionId,
    },
    /// Aliases of aliases that multiply.
    #[error("the regions below {root} take more than {MAX_STEPS} steps to render")]
    TooLong {
        /// The top of the tree.
        root: RegionId,
    },
}

impl RenderError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooDeep { .. } => "too_deep",
            Self::TooLong { .. } => "too_long",
        }
    }
}

/// What a region is seen through.
#[derive(Clone, Copy)]
struct Sight {
    /// Where the container's byte 0 would be.
    base: i128,
    /// First address that can be seen.
    start: i128,
    /// Address after the last.
    end: i128,
    readonly: bool,
    nonvolatile: bool,
    depth: usize,
}

impl Sight {
    const WHOLE: Self = Self {
        base: 0,
        start: 0,
        end: WHOLE_SPACE as i128,
        readonly: false,
        nonvolatile: false,
        depth: 0,
    };

    /// What can be seen inside `region`; `None` when it is out of sight.
    fn into_region(self, region: &MemoryRegion) -> Option<Self> {
        let base = self.base + i128::from(region.addr);
        let start = self.start.max(base);
        let end = self.end.min(base + region.size as i128);
        let readonly = self.readonly || region.readonly;
        let nonvolatile = self.nonvolatile || region.nonvolatile;
        let inside = Self { base, start, end, readonly, nonvolatile, depth: self.depth + 1 };
        (region.enabled && start < end).then_some(inside)
    }

    /// The sight of `target` through an alias that shows it from `offset` on.
    /// The target's own place in its container does not count.
    fn through_alias(self, offset: u64, target: &MemoryRegion) -> Self {
        Self { base: self.base - i128::from(target.addr) - i128::from(offset), ..self }
    }

    /// The range of `region` that fills a gap which starts at `start`.
    fn range(&self, id: RegionId, region: &MemoryRegion, start: u64) -> FlatRange {
        FlatRange {
            region: id,
            start: Gpa(start),
            size: 0,
            offset_in_region: (i128::from(start) - self.base) as u64,
            readonly: self.readonly,
            nonvolatile: self.nonvolatile,
            romd_mode: region.romd_mode,
        }
    }
}

struct Renderer<'a> {
    map: &'a RegionMap,
    root: RegionId,
    painter: Painter<FlatRange>,
    steps: usize,
}

impl Renderer<'_> {
    fn count(&mut self, steps: usize) -> Result<(), RenderError> {
        self.steps += steps;
        if self.steps > MAX_STEPS {
            return Err(RenderError::TooLong { root: self.root });
        }
        Ok(())
    }

    /// Whatever can be seen of `id` goes into gaps that regions before it left.
    fn region(&mut self, id: RegionId, sight: Sight) -> Result<(), RenderError> {
        self.count(1)?;
        let map = self.map;
        let region = map.region(id);
        let Some(sight) = sight.into_region(region) else { return Ok(()) };
        if sight.depth > MAX_DEPTH {
            return Err(RenderError::TooDeep { region: id });
        }
        if let Some(alias) = region.alias {
            return self.region(alias, sight.through_alias(region.alias_offset, map.region(alias)));
        }
        for &child in &region.subregions {
            self.region(child, sight)?;
        }
        if region.terminates { self.paint(id, region, &sight) } else { Ok(()) }
    }

    fn paint(
        &mut self,
        id: RegionId,
        region: &MemoryRegion,
        sight: &Sight,
    ) -> Result<(), RenderError> {
        let (first, last) = (sight.start as u64, (sight.end - 1) as u64);
        let seen = self.painter.fill(first, last, |start| sight.range(id, region, start));
        self.count(seen)
    }

    /// The painted ranges, with those joined that go on in the next.
    fn finish(self) -> FlatView {
        let mut ranges: Vec<FlatRange> = Vec::new();
        for (start, last, range) in self.painter.into_pieces() {
            let next = FlatRange { size: u128::from(last - start) + 1, ..range };
            match ranges.last_mut() {
                Some(before) if before.goes_on_in(&next) => before.size += next.size,
                _ => ranges.push(next),
            }
        }
        FlatView::of_sorted(ranges)
    }
}

impl RegionMap {
    /// The flat view of the tree below `root`, by QEMU's rules. Subregions come
    /// before their container, in the order of its list. What was placed first
    /// stays. Disabled regions are left out. Read-only and nonvolatile hold for
    /// all that is seen through a region. Ranges that continue each other are
    /// one.
    ///
    /// # Errors
    /// When aliases form a circle, or multiply beyond all reason: the work is
    /// bounded.
    pub fn render(&self, root: RegionId) -> Result<FlatView, RenderError> {
        let mut renderer = Renderer { map: self, root, painter: Painter::new(), steps: 0 };
        renderer.region(root, Sight::WHOLE)?;
        Ok(renderer.finish())
    }
}
