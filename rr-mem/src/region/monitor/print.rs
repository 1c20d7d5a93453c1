//! Printing: each block equals one of the monitor's, byte for byte.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write,
    hash::Hash,
};

use super::{Style, kind, range_kind};
use crate::region::{
    AddressSpace, FlatRange, FlatView, MAX_DEPTH, MemoryRegion, RegionId, RegionMap, RenderError,
};

/// Lines of a tree, before a map is called hostile.
const MAX_LINES: usize = 1 << 20;

/// What `info mtree` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeOptions {
    /// Disabled regions too (`-D`); what is in them is always shown.
    pub disabled: bool,
}

impl TreeOptions {
    /// With or without disabled regions.
    #[must_use]
    pub const fn disabled(disabled: bool) -> Self {
        Self { disabled }
    }
}

/// The blocks of `info mtree`: one for all address spaces that share a root,
/// then one for each region that an alias shows. Each ends with an empty line.
///
/// # Errors
/// When the text would be beyond all reason.
pub fn tree_blocks(map: &RegionMap, options: TreeOptions) -> Result<Vec<String>, RenderError> {
    let mut tree = Tree { map, options, targets: Vec::new(), queued: HashSet::new(), lines: 0 };
    let mut blocks = Vec::new();
    for (root, spaces) in by_key(map.address_spaces(), |_, space| space.root) {
        blocks.push(tree.space_block(root, &spaces)?);
    }
    let mut next = 0;
    while let Some(&target) = tree.targets.get(next) {
        blocks.push(tree.target_block(target)?);
        next += 1;
    }
    Ok(blocks)
}

/// Groups in the order in which their first members come.
fn by_key<K: Eq + Hash + Copy>(
    spaces: &[AddressSpace],
    key: impl Fn(usize, &AddressSpace) -> K,
) -> Vec<(K, Vec<&AddressSpace>)> {
    let mut groups: Vec<(K, Vec<&AddressSpace>)> = Vec::new();
    let mut places = HashMap::new();
    for (number, space) in spaces.iter().enumerate() {
        let key = key(number, space);
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, group)) => group.push(space),
            None => groups.push((key, vec![space])),
        }
    }
    groups
}

/// The last byte's distance from the first; 0 for no bytes, as QEMU has it.
fn extent(size: u128) -> u64 {
    size.saturating_sub(1) as u64
}

struct Tree<'a> {
    map: &'a RegionMap,
    options: TreeOptions,
    /// Regions that aliases show, in the order in which they were met.
    targets: Vec<RegionId>,
    queued: HashSet<RegionId>,
    lines: usize,
}

impl Tree<'_> {
    fn space_block(
        &mut self,
        root: Option<RegionId>,
        spaces: &[&AddressSpace],
    ) -> Result<String, RenderError> {
        let mut names: Vec<&str> = spaces.iter().map(|space| space.name.as_str()).collect();
        names.sort_unstable();
        let mut text = String::new();
        for name in names {
            let _ = writeln!(text, "address-space: {name}");
        }
        if let Some(root) = root {
            self.region(&mut text, root, 1, 0, root)?;
        }
        text.push('\n');
        Ok(text)
    }

    fn target_block(&mut self, target: RegionId) -> Result<String, RenderError> {
        let mut text = format!("memory-region: {}\n", self.map.region(target).display_name());
        self.region(&mut text, target, 1, 0, target)?;
        text.push('\n');
        Ok(text)
    }

    /// `id` and all in it, below a container that starts at `base`.
    fn region(
        &mut self,
        text: &mut String,
        id: RegionId,
        level: usize,
        base: u64,
        root: RegionId,
    ) -> Result<(), RenderError> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(RenderError::TooLong { root });
        }
        let map = self.map;
        let region = map.region(id);
        if let Some(alias) = region.alias.filter(|&alias| self.queued.insert(alias)) {
            self.targets.push(alias);
        }
        self.line(text, region, level, base);
        for child in print_order(map, region) {
            self.region(text, child, level + 1, base.wrapping_add(region.addr), root)?;
        }
        Ok(())
    }

    fn line(&self, text: &mut String, region: &MemoryRegion, level: usize, base: u64) {
        let start = base.wrapping_add(region.addr);
        let end = start.wrapping_add(extent(region.size));
        if start < base || end < start {
            text.push_str("[DETECTED OVERFLOW!] ");
        }
        if !region.enabled && !self.options.disabled {
            return;
        }
        let (indent, shown) = ("  ".repeat(level), self.shown(region));
        let nonvolatile = if region.nonvolatile { "nv-" } else { "" };
        let (priority, kind) = (region.priority, self.kind_behind(region));
        let off = if region.enabled { "" } else { " [disabled]" };
        let _ = writeln!(
            text,
            "{indent}{start:016x}-{end:016x} (prio {priority}, {nonvolatile}{kind}): {shown}{off}{}",
            owner(region)
        );
    }

    /// The name; of an alias also what it shows.
    fn shown(&self, region: &MemoryRegion) -> String {
        let Some(alias) = region.alias else { return region.display_name().to_owned() };
        let first = region.alias_offset;
        let last = first.wrapping_add(extent(region.size));
        let (name, target) = (region.display_name(), self.map.region(alias).display_name());
        format!("alias {name} @{target} {first:016x}-{last:016x}")
    }

    /// The kind of the region at the end of a chain of aliases.
    fn kind_behind(&self, region: &MemoryRegion) -> &'static str {
        let next = |region: &&MemoryRegion| region.alias.map(|alias| self.map.region(alias));
        let chain = std::iter::successors(Some(region), next);
        // A longer chain may be a circle, which has no end.
        chain.take(MAX_DEPTH).last().map_or("i/o", kind)
    }
}

/// What `-o` adds, where it is known.
fn owner(region: &MemoryRegion) -> String {
    region.owner.as_ref().map_or_else(String::new, |owner| format!(" {owner}"))
}

/// By address; at the same address the higher priority first.
fn print_order(map: &RegionMap, region: &MemoryRegion) -> Vec<RegionId> {
    let mut children = region.subregions.clone();
    children.sort_by_key(|&id| {
        let child = map.region(id);
        (child.addr, -i64::from(child.priority))
    });
    children
}

/// The blocks of `info mtree -f`, each with the empty line at its end: in 7.2
/// one for all address spaces that share a view, in 2.9 one for each.
///
/// # Errors
/// When a view is not recorded and cannot be rendered, see
/// [`RegionMap::render`].
pub fn flat_blocks(map: &RegionMap, style: Style) -> Result<Vec<String>, RenderError> {
    match style {
        Style::Qemu29 => map.address_spaces().iter().map(|space| old_block(map, space)).collect(),
        Style::Qemu72 => views(map)
            .into_iter()
            .enumerate()
            .map(|(number, (key, spaces))| new_block(map, number, key, &spaces))
            .collect(),
    }
}

/// What address spaces with one view have in common: the region that is
/// rendered for them. One without a root shares with none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum ViewKey {
    Root(Option<RegionId>),
    Alone(usize),
}

fn views(map: &RegionMap) -> Vec<(ViewKey, Vec<&AddressSpace>)> {
    by_key(map.address_spaces(), |number, space| match space.root {
        Some(root) => ViewKey::Root(map.view_root(root)),
        None => ViewKey::Alone(number),
    })
}

fn name(map: &RegionMap, region: Option<RegionId>) -> &str {
    region.map_or("(none)", |id| map.region(id).display_name())
}

fn old_block(map: &RegionMap, space: &AddressSpace) -> Result<String, RenderError> {
    let mut text = format!("address-space (flat view): {}\n", space.name);
    let view = map.view(space)?;
    if view.ranges().is_empty() {
        let _ = writeln!(text, "  No rendered FlatView for address space '{}'", space.name);
    }
    ranges(&mut text, map, &view);
    text.push('\n');
    Ok(text)
}

fn new_block(
    map: &RegionMap,
    number: usize,
    key: ViewKey,
    spaces: &[&AddressSpace],
) -> Result<String, RenderError> {
    let mut text = format!("FlatView #{number}\n");
    for space in spaces {
        space_line(&mut text, map, space);
    }
    let root = if let ViewKey::Root(root) = key { root } else { None };
    let _ = writeln!(text, " Root memory region: {}", name(map, root));
    let view = spaces.first().map(|space| map.view(space)).transpose()?.unwrap_or_default();
    if view.ranges().is_empty() {
        text.push_str("  No rendered FlatView\n");
    }
    ranges(&mut text, map, &view);
    text.push('\n');
    Ok(text)
}

fn space_line(text: &mut String, map: &RegionMap, space: &AddressSpace) {
    let _ = write!(text, " AS \"{}\", root: {}", space.name, name(map, space.root));
    let alias = space.root.and_then(|root| map.region(root).alias);
    if alias.is_some() {
        let _ = write!(text, ", alias {}", name(map, alias));
    }
    text.push('\n');
}

fn ranges(text: &mut String, map: &RegionMap, view: &FlatView) {
    for range in view.ranges() {
        range_line(text, map, range);
    }
}

fn range_line(text: &mut String, map: &RegionMap, range: &FlatRange) {
    let region = map.region(range.region);
    let (start, last, priority) = (range.start, range.last(), region.priority);
    let nonvolatile = if range.nonvolatile { "nv-" } else { "" };
    let (kind, name) = (range_kind(map, range), region.display_name());
    let _ =
        write!(text, "  {start:016x}-{last:016x} (prio {priority}, {nonvolatile}{kind}): {name}");
    if range.offset_in_region != 0 {
        let _ = write!(text, " @{:016x}", range.offset_in_region);
    }
    let _ = writeln!(text, "{}", owner(region));
}
