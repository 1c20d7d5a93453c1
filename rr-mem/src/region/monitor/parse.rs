//! Reading the text of `info mtree -f` into a map.
//!
//! The text names regions and does not identify them. Lines with the same name,
//! priority and sort (RAM or ROM, ROM device, RAM device, others) are taken as
//! parts of one region. RAM blocks are named after their regions and get
//! offsets in the order of the text. The tree is made up, and renders to what
//! the text says.

use std::collections::HashMap;

use thiserror::Error;

use super::Style;
use crate::{
    addr::Gpa,
    advice::Advice,
    region::{
        AddressSpace, BlockId, FlatRange, FlatView, MapError, MemoryRegion, RamBlock, RegionId,
        RegionMap, WHOLE_SPACE,
    },
};

/// A map read from text, and whose text it was.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlatText {
    /// The map; [`super::flat_blocks`] prints the text again.
    pub map: RegionMap,
    /// Whose layout the text has.
    pub style: Style,
}

/// Which of the monitor's texts this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// `info mtree`.
    Tree,
    /// `info mtree -f`.
    Flat(Style),
}

impl Form {
    /// The form of a text: flat, if any block of it is.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let forms = || text.lines().filter_map(Self::of_line);
        forms().find(|form| *form != Self::Tree).or_else(|| forms().next())
    }

    fn of_line(line: &str) -> Option<Self> {
        let starts = |head| line.starts_with(head);
        if starts("FlatView #") {
            Some(Self::Flat(Style::Qemu72))
        } else if starts(OLD_HEADER) {
            Some(Self::Flat(Style::Qemu29))
        } else if starts("address-space: ") || starts("memory-region: ") {
            Some(Self::Tree)
        } else {
            None
        }
    }
}

/// Why a text could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The text of `info mtree`.
    #[error(
        "this is the tree of `info mtree`, which does not say what hides what: no address can be found in it"
    )]
    TreeForm,
    /// A line that is not what it must be.
    #[error("line {line}: expected {expected}")]
    Expected {
        /// The line, the first is 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// Text that makes no map.
    #[error(transparent)]
    Map(#[from] MapError),
}

crate::advice::explain!(ParseError);

impl ParseError {
    /// A short stable name for scripts.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TreeForm => "tree_form",
            Self::Expected { .. } => "expected",
            Self::Map(error) => error.kind(),
        }
    }

    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::TreeForm => Advice::Say("give the text of `info mtree -f`"),
            _ => Advice::Say("give the whole text of `info mtree -f`, without -d"),
        }
    }
}

const OLD_HEADER: &str = "address-space (flat view):";
const HEADER: &str = "a line `FlatView #N` or `address-space (flat view): NAME`";
const RANGE: &str = "a range `  START-END (prio N, TYPE): NAME @OFFSET` in hex";
const EMPTY: &str = "`  No rendered FlatView`, for nothing is rendered without a root";
const ORDER: &str = "a range that starts after the end of the one before";
const SPACE: &str = "a line ` AS \"NAME\", root: NAME` or ` Root memory region: NAME`";

/// Reads the text of `info mtree -f`, of any QEMU or PANDA.
///
/// Skipped: the monitor's banner and prompt, carriage returns, blocks of `info
/// mtree`, the mark ` KVM` of ranges, and owners (`-o`).
///
/// # Errors
/// [`ParseError::TreeForm`] for the text of `info mtree`, else the first line
/// that is not as QEMU prints it.
pub fn parse(text: &str) -> Result<FlatText, ParseError> {
    let expected = ParseError::Expected { line: text.lines().count().max(1), expected: HEADER };
    let style = match Form::of(text).ok_or(expected)? {
        Form::Tree => return Err(ParseError::TreeForm),
        Form::Flat(style) => style,
    };
    let mut map = Builder::default();
    for block in blocks(text) {
        match (style, Form::of_line(block[0].1)) {
            (Style::Qemu29, Some(Form::Flat(Style::Qemu29))) => map.old_block(&block)?,
            (Style::Qemu72, Some(Form::Flat(Style::Qemu72))) => map.new_block(&block)?,
            _ => {}
        }
    }
    map.place_blocks();
    let map = RegionMap::new(map.regions, map.blocks, map.spaces)?;
    Ok(FlatText { map, style })
}

/// A line and its number.
type Line<'a> = (usize, &'a str);

/// A block's lines, the header first.
type Block<'a> = Vec<Line<'a>>;

/// The blocks, without what is ahead of the first, empty lines and prompts.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let lines = (1..).zip(text.lines());
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with("(qemu)"));
    let mut blocks: Vec<Block> = Vec::new();
    for (number, line) in lines {
        match (Form::of_line(line), blocks.last_mut()) {
            (None, Some(block)) => block.push((number, line)),
            (Some(_), _) => blocks.push(vec![(number, line)]),
            (None, None) => {}
        }
    }
    blocks
}

/// What makes two lines parts of one region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    priority: i32,
    sort: Sort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Sort {
    Ram,
    RomDevice,
    RamDevice,
    Io,
}

/// A range as it stands in a line.
struct RangeLine<'a> {
    start: u64,
    last: u64,
    priority: i32,
    nonvolatile: bool,
    readonly: bool,
    sort: Sort,
    name: &'a str,
    offset: u64,
}

impl<'a> RangeLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (start, rest) = line.strip_prefix("  ")?.split_once('-')?;
        let (last, rest) = rest.split_once(" (prio ")?;
        let (priority, rest) = rest.split_once(", ")?;
        let (kind, name) = rest.split_once("): ")?;
        let (name, offset) = name_and_offset(name);
        let plain = kind.strip_prefix("nv-");
        let (sort, readonly) = sort(plain.unwrap_or(kind))?;
        Some(Self {
            start: address(start)?,
            last: address(last)?,
            priority: priority.parse().ok()?,
            nonvolatile: plain.is_some(),
            readonly,
            sort,
            name,
            offset,
        })
    }

    fn key(&self) -> Key {
        Key { name: self.name.to_owned(), priority: self.priority, sort: self.sort }
    }

    fn size(&self) -> u128 {
        u128::from(self.last - self.start) + 1
    }
}

/// Sixteen hex digits, or fewer.
fn address(digits: &str) -> Option<u64> {
    let hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// Takes ` @OFFSET` and what may follow it from the end of a range's name.
fn name_and_offset(text: &str) -> (&str, u64) {
    let text = without_marks(text);
    let split = text.rsplit_once(" @").filter(|(_, digits)| digits.len() == 16);
    let offset = split.and_then(|(name, digits)| Some((name, address(digits)?)));
    offset.unwrap_or((text, 0))
}

/// Cuts off the owner that `-o` adds, and the mark of KVM, one for each
/// address space.
fn without_marks(mut text: &str) -> &str {
    while let Some(shorter) = text.strip_suffix(" KVM") {
        text = shorter;
    }
    for owner in [" owner:{", " parent:{"] {
        text = text.split_once(owner).map_or(text, |(name, _)| name);
    }
    text.strip_suffix(" orphan").unwrap_or(text)
}

/// What a type says: the sort of region, and whether it is read-only.
fn sort(kind: &str) -> Option<(Sort, bool)> {
    match kind {
        "ram" => Some((Sort::Ram, false)),
        "rom" => Some((Sort::Ram, true)),
        "romd" => Some((Sort::RomDevice, false)),
        "ramd" => Some((Sort::RamDevice, false)),
        "i/o" => Some((Sort::Io, false)),
        _ => None,
    }
}

/// A line ` AS "NAME", root: NAME, alias NAME`.
struct SpaceLine<'a> {
    name: &'a str,
    root: &'a str,
    alias: Option<&'a str>,
}

impl<'a> SpaceLine<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, root) = line.strip_prefix(" AS \"")?.split_once("\", root: ")?;
        let (root, alias) = match root.split_once(", alias ") {
            Some((root, alias)) => (root, Some(alias)),
            None => (root, None),
        };
        Some(Self { name, root, alias })
    }
}

/// A map in the making.
#[derive(Default)]
struct Builder {
    regions: Vec<MemoryRegion>,
    blocks: Vec<RamBlock>,
    spaces: Vec<AddressSpace>,
    known: HashMap<Key, RegionId>,
}

impl Builder {
    /// `address-space (flat view): NAME`, then ranges.
    fn old_block(&mut self, block: &[Line]) -> Result<(), ParseError> {
        let Some(((_, header), lines)) = block.split_first() else { return Ok(()) };
        let name = header.trim_start_matches(OLD_HEADER);
        let name = name.strip_prefix(' ').unwrap_or(name).to_owned();
        let flat = Some(self.view(lines)?);
        self.spaces.push(AddressSpace { name, root: None, flat });
        Ok(())
    }

    /// `FlatView #N`, the address spaces, the root, then ranges.
    fn new_block(&mut self, block: &[Line]) -> Result<(), ParseError> {
        let head = block.iter().skip(1).take_while(|(_, line)| line.starts_with(" AS "));
        let spaces = head.map(space_line).collect::<Result<Vec<_>, _>>()?;
        let place = 1 + spaces.len();
        let last = block.last().map_or(0, |(number, _)| *number);
        let root = block
            .get(place)
            .map(|&(number, line)| (number, line.strip_prefix(" Root memory region: ")));
        let (number, root) = root.unwrap_or((last, None));
        let root = root.ok_or(ParseError::Expected { line: number, expected: SPACE })?;
        let lines = &block[place + 1..];
        let flat = self.view(lines)?;
        if root == "(none)" && !flat.ranges().is_empty() {
            return Err(ParseError::Expected { line: number + 1, expected: EMPTY });
        }
        let root = (root != "(none)").then(|| (root, self.view_root(root, &flat)));
        for space in spaces {
            let root = Some(self.space_root(&space, root));
            let (name, flat) = (space.name.to_owned(), Some(flat.clone()));
            self.spaces.push(AddressSpace { name, root, flat });
        }
        Ok(())
    }

    /// The ranges of a block.
    fn view(&mut self, lines: &[Line]) -> Result<FlatView, ParseError> {
        let mut ranges: Vec<FlatRange> = Vec::new();
        let lines = lines.iter().filter(|(_, line)| !line.starts_with("  No rendered FlatView"));
        for &(line, text) in lines {
            let expected = |expected| ParseError::Expected { line, expected };
            let parsed = RangeLine::parse(text).ok_or(expected(RANGE))?;
            let free = ranges.last().map_or(0, FlatRange::end);
            if parsed.last < parsed.start || u128::from(parsed.start) < free {
                return Err(expected(ORDER));
            }
            ranges.push(self.range(&parsed));
        }
        Ok(FlatView::of_sorted(ranges))
    }

    /// A range of the region that the line names.
    fn range(&mut self, line: &RangeLine) -> FlatRange {
        let region = self.region(line);
        self.widen(region, u128::from(line.offset) + line.size());
        FlatRange {
            region,
            start: Gpa(line.start),
            size: line.size(),
            offset_in_region: line.offset,
            readonly: line.readonly,
            nonvolatile: line.nonvolatile,
            romd_mode: true,
        }
    }

    fn region(&mut self, line: &RangeLine) -> RegionId {
        let id = match self.known.get(&line.key()) {
            Some(&id) => id,
            None => self.new_region(line),
        };
        let region = &mut self.regions[id.0 as usize];
        region.readonly &= line.readonly;
        region.nonvolatile &= line.nonvolatile;
        id
    }

    /// Read-only and nonvolatile until a line says otherwise.
    fn new_region(&mut self, line: &RangeLine) -> RegionId {
        let ram_block = (line.sort != Sort::Io).then(|| self.new_block_of(line.name));
        let id = self.add(MemoryRegion {
            name: Some(line.name.to_owned()),
            priority: line.priority,
            terminates: true,
            ram: matches!(line.sort, Sort::Ram | Sort::RamDevice),
            rom_device: line.sort == Sort::RomDevice,
            // QEMU's default, which nothing but a ROM device ever changes.
            romd_mode: true,
            ram_device: line.sort == Sort::RamDevice,
            readonly: true,
            nonvolatile: true,
            ram_block,
            ..MemoryRegion::default()
        });
        self.known.insert(line.key(), id);
        id
    }

    fn new_block_of(&mut self, name: &str) -> BlockId {
        self.blocks.push(RamBlock { name: name.to_owned(), ..RamBlock::default() });
        BlockId((self.blocks.len() - 1) as u32)
    }

    /// A region, and its RAM block, reach as far as any line says.
    fn widen(&mut self, id: RegionId, size: u128) {
        let region = &mut self.regions[id.0 as usize];
        region.size = region.size.max(size.min(WHOLE_SPACE));
        if let Some(block) = region.ram_block {
            let length = u64::try_from(region.size).unwrap_or(u64::MAX);
            let block = &mut self.blocks[block.0 as usize];
            (block.used_length, block.max_length) = (length, length);
        }
    }

    /// Blocks follow each other in QEMU's `ram_addr_t` space.
    fn place_blocks(&mut self) {
        let mut next: u64 = 0;
        for block in &mut self.blocks {
            block.offset = next;
            next = next.saturating_add(block.max_length);
        }
    }

    fn add(&mut self, region: MemoryRegion) -> RegionId {
        self.regions.push(region);
        RegionId((self.regions.len() - 1) as u32)
    }

    fn add_below(&mut self, container: RegionId, region: MemoryRegion) {
        let id = self.add(MemoryRegion { container: Some(container), ..region });
        self.regions[container.0 as usize].subregions.push(id);
    }

    fn container(&mut self, name: &str) -> RegionId {
        let name = Some(name.to_owned());
        self.add(MemoryRegion { name, size: WHOLE_SPACE, ..MemoryRegion::default() })
    }

    /// A container named `name` that renders to `view`, by aliases.
    fn view_root(&mut self, name: &str, view: &FlatView) -> RegionId {
        let root = self.container(name);
        for range in view.ranges() {
            let alias = self.alias_of_range(range);
            self.add_below(root, alias);
        }
        // Two children of no size keep QEMU's rule (`RegionMap::view_root`)
        // from looking below a root that has one child or none.
        for _ in view.ranges().len()..2 {
            self.add_below(root, MemoryRegion::default());
            self.add_below(root, MemoryRegion::default());
        }
        root
    }

    fn alias_of_range(&self, range: &FlatRange) -> MemoryRegion {
        MemoryRegion {
            addr: range.start.0,
            size: range.size,
            alias: Some(range.region),
            alias_offset: range.offset_in_region,
            readonly: range.readonly,
            nonvolatile: range.nonvolatile,
            ..MemoryRegion::default()
        }
    }

    /// The root of an address space whose view starts at `view`: the same
    /// region where the names say so, else one that leads there.
    fn space_root(&mut self, space: &SpaceLine, view: Option<(&str, RegionId)>) -> RegionId {
        match (space.alias, view) {
            (None, Some((name, id))) if name == space.root => id,
            (None, Some((_, id))) => self.holder(space.root, id),
            (None, None) => self.container(space.root),
            (Some(alias), view) => {
                let alias = match view {
                    Some((name, id)) if name == alias => id,
                    Some((_, id)) => self.holder(alias, id),
                    None => self.container(alias),
                };
                let root = self.container(space.root);
                self.regions[root.0 as usize].alias = Some(alias);
                root
            }
        }
    }

    /// A container with nothing but an alias of the whole of `shown`.
    fn holder(&mut self, name: &str, shown: RegionId) -> RegionId {
        let holder = self.container(name);
        let alias =
            MemoryRegion { size: WHOLE_SPACE, alias: Some(shown), ..MemoryRegion::default() };
        self.add_below(holder, alias);
        holder
    }
}

fn space_line<'a>(&(line, text): &Line<'a>) -> Result<SpaceLine<'a>, ParseError> {
    SpaceLine::parse(text).ok_or(ParseError::Expected { line, expected: SPACE })
}
