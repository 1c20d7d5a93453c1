//! Rendering and guest-physical reads against slow models of another design:
//! they ask for one byte at a time, from the top.

use proptest::prelude::*;
use rr_mem::{
    addr::{FileOffset, Gpa},
    memory::{Memory, ReadCause, SliceMemory},
    region::{
        AddressSpace, FlatRange, FlatView, MemoryRegion, RegionId, RegionMap,
        monitor::{Style, TreeOptions, flat_blocks, parse, tree_blocks},
        physical::{Backing, PhysicalMemory, PhysicalRange},
    },
};

/// Addresses that models look at, from 0.
const SPACE: u64 = 96;

/// What the model says of one address: region, its byte, read-only, nonvolatile.
type Byte = (RegionId, u64, bool, bool);

/// What region `id` shows at its own byte `offset`; `fuel` bounds aliases.
fn shown(map: &RegionMap, id: RegionId, offset: i128, fuel: u32) -> Option<Byte> {
    let region = map.region(id);
    let inside = offset >= 0 && offset < region.size as i128;
    if !region.enabled || !inside || fuel == 0 {
        return None;
    }
    let answer = match region.alias {
        Some(alias) => shown(map, alias, offset + i128::from(region.alias_offset), fuel - 1),
        None => region
            .subregions
            .iter()
            .find_map(|&child| {
                shown(map, child, offset - i128::from(map.region(child).addr), fuel - 1)
            })
            .or_else(|| region.terminates.then_some((id, offset as u64, false, false))),
    };
    answer.map(|(id, offset, readonly, nonvolatile)| {
        (id, offset, readonly || region.readonly, nonvolatile || region.nonvolatile)
    })
}

fn byte_of(range: &FlatRange, gpa: u64) -> Byte {
    let offset = range.offset_in_region + (gpa - range.start.0);
    (range.region, offset, range.readonly, range.nonvolatile)
}

/// How a generated region is made; numbers choose among the regions before it.
#[derive(Clone, Debug)]
struct Seed {
    place: (u64, u128),
    priority: i32,
    flags: [bool; 6],
    container: prop::sample::Index,
    alias: Option<prop::sample::Index>,
    alias_offset: u64,
}

fn seed() -> impl Strategy<Value = Seed> {
    let flags = [0.9, 0.6, 0.2, 0.2, 0.9, 0.5].map(prop::bool::weighted);
    let alias = prop::option::weighted(0.3, any::<prop::sample::Index>());
    let place = (0..SPACE, 0..SPACE as u128);
    let container = any::<prop::sample::Index>();
    (place, -2..3_i32, flags, container, alias, 0..16_u64).prop_map(
        |(place, priority, flags, container, alias, alias_offset)| Seed {
            place,
            priority,
            flags,
            container,
            alias,
            alias_offset,
        },
    )
}

/// Region 0 is the root. Each other region is put into an earlier one, or
/// stands alone. Aliases lead to any region; those that close a circle are made
/// only with `circles`.
fn build(seeds: &[Seed], circles: bool) -> RegionMap {
    let mut regions: Vec<MemoryRegion> =
        vec![MemoryRegion { size: 1 << 64, ..MemoryRegion::default() }];
    for seed in seeds {
        let id = RegionId(regions.len() as u32);
        let [enabled, terminates, readonly, nonvolatile, contained, ram] = seed.flags;
        let container = RegionId(seed.container.index(regions.len()) as u32);
        let container = contained.then_some(container);
        if let Some(RegionId(container)) = container {
            insert(&mut regions, container as usize, id, seed.priority);
        }
        regions.push(MemoryRegion {
            name: Some(format!("r{}", id.0)),
            addr: seed.place.0,
            size: seed.place.1,
            priority: seed.priority,
            enabled,
            terminates,
            ram,
            readonly,
            nonvolatile,
            container,
            alias_offset: seed.alias_offset,
            ..MemoryRegion::default()
        });
    }
    for (id, seed) in (1..).map(RegionId).zip(seeds) {
        let Some(alias) = seed.alias else { continue };
        let alias = RegionId(alias.index(regions.len()) as u32);
        if circles || !reaches(&regions, alias, id) {
            let region = &mut regions[id.0 as usize];
            (region.alias, region.terminates) = (Some(alias), false);
        }
    }
    let root = Some(RegionId(0));
    let space = AddressSpace { name: "memory".into(), root, flat: None };
    RegionMap::new(regions, Vec::new(), vec![space]).expect("a tree")
}

/// As QEMU does: before the first that has no higher priority.
fn insert(regions: &mut [MemoryRegion], container: usize, id: RegionId, priority: i32) {
    let children = &regions[container].subregions;
    let place = children
        .iter()
        .position(|child| priority >= regions[child.0 as usize].priority)
        .unwrap_or(children.len());
    regions[container].subregions.insert(place, id);
}

/// Whether `to` is seen somewhere below `from`, in a map without circles.
fn reaches(regions: &[MemoryRegion], from: RegionId, to: RegionId) -> bool {
    let region = &regions[from.0 as usize];
    let mut next = region.subregions.iter().chain(&region.alias);
    from == to || next.any(|&next| reaches(regions, next, to))
}

fn maps(circles: bool) -> impl Strategy<Value = RegionMap> {
    prop::collection::vec(seed(), 1..14).prop_map(move |seeds| build(&seeds, circles))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn rendering_equals_a_painter_of_single_bytes(map in maps(false)) {
        for root in (0..map.regions().len() as u32).map(RegionId) {
            let base = i128::from(map.region(root).addr);
            let view = map.render(root).expect("no circles");
            for gpa in 0..2 * SPACE {
                let flat = view.at(Gpa(gpa)).map(|range| byte_of(range, gpa));
                prop_assert_eq!(flat, shown(&map, root, i128::from(gpa) - base, 64), "{}", gpa);
            }
        }
    }

    #[test]
    fn rendered_neighbours_never_go_on_in_each_other(map in maps(false)) {
        let view = map.render(RegionId(0)).expect("no circles");
        for pair in view.ranges().windows(2) {
            let next = byte_of(&pair[1], pair[1].start.0);
            prop_assert!(u128::from(pair[1].start.0) >= pair[0].end());
            if u128::from(pair[1].start.0) == pair[0].end() {
                prop_assert_ne!(byte_of(&pair[0], pair[1].start.0), next);
            }
        }
    }

    #[test]
    fn the_root_that_qemu_renders_shows_what_the_address_space_shows(map in maps(false)) {
        let root = map.view_root(RegionId(0));
        let flat = root.map(|root| map.render(root).expect("no circles")).unwrap_or_default();
        let whole = map.render(RegionId(0)).expect("no circles");
        // A region that is a whole alias's target may have an offset of its own, which
        // QEMU adds once more to the root of a view (`generate_memory_topology`).
        let added = root.map_or(0, |root| map.region(root).addr);
        if added == 0 {
            prop_assert_eq!(&flat, &whole);
        }
        for gpa in 0..2 * SPACE {
            let rooted = flat.at(Gpa(gpa + added)).map(|range| byte_of(range, gpa + added));
            let seen = whole.at(Gpa(gpa)).map(|range| byte_of(range, gpa));
            prop_assert_eq!(rooted, seen, "{}", gpa);
        }
    }

    #[test]
    fn find_equals_a_search_byte_by_byte(map in maps(false), gpa in 0..SPACE, size in 0..SPACE) {
        let view = map.render(RegionId(0)).expect("no circles");
        let found = view.find(Gpa(gpa), size);
        let first = (gpa..gpa + size.max(1)).find(|&gpa| view.at(Gpa(gpa)).is_some());
        prop_assert_eq!(found.map(|found| found.offset_within_address_space), first.map(Gpa));
        if let (Some(found), Some(first)) = (found, first) {
            let range = view.at(Gpa(first)).expect("is there");
            let byte = (found.region, found.offset_within_region, found.readonly, found.nonvolatile);
            prop_assert_eq!(byte, byte_of(range, first));
            let end = u128::from(gpa + size.max(1)).min(range.end());
            prop_assert_eq!(found.size, end - u128::from(first));
        }
    }

    #[test]
    fn json_loses_nothing(map in maps(true)) {
        let json = serde_json::to_string(&map).expect("serialises");
        prop_assert_eq!(serde_json::from_str::<RegionMap>(&json).expect("parses"), map);
    }

    #[test]
    fn printed_flat_views_read_back_to_the_same_text(map in maps(false), old in any::<bool>()) {
        let style = if old { Style::Qemu29 } else { Style::Qemu72 };
        let text = flat_blocks(&map, style).expect("prints").concat();
        let read = parse(&text).expect("reads");
        prop_assert_eq!(read.style, style);
        prop_assert_eq!(flat_blocks(&read.map, style).expect("prints").concat(), text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(FlatView #0|address-space \\(flat view\\):| AS \"|\", root: |, alias | Root memory region: |  [0-9a-f]{1,16}-[0-9a-f]{1,17}| \\(prio |-?[0-9]+, |ram|nv-|i/o|\\): | @[0-9a-f]{16}|\\PC| |\n){0,40}") {
        if let Ok(read) = parse(&text) {
            prop_assert!(flat_blocks(&read.map, read.style).is_ok());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn aliases_in_circles_are_survived(map in maps(true)) {
        for root in (0..map.regions().len() as u32).map(RegionId) {
            if let Err(error) = map.render(root) {
                prop_assert!(["too_deep", "too_long"].contains(&error.kind()));
            }
            let _ = map.view_root(root);
        }
        let all = TreeOptions::disabled(true);
        prop_assert!(tree_blocks(&map, all).is_ok());
    }
}

/// Where the source of the physical model starts.
const SOURCE_BASE: u64 = 1000;

fn backing() -> impl Strategy<Value = Backing<FileOffset>> {
    prop_oneof![
        4 => (SOURCE_BASE..SOURCE_BASE + 64).prop_map(|at| Backing::At(FileOffset(at))),
        1 => Just(Backing::Zero),
        1 => Just(Backing::Absent),
        1 => Just(Backing::Device("uart".into())),
    ]
}

fn layers() -> impl Strategy<Value = Vec<PhysicalRange<FileOffset>>> {
    let range = (0..SPACE, 0..24_u64, backing()).prop_map(|(start, len, backing)| PhysicalRange {
        gpa: Gpa(start),
        len,
        backing,
    });
    prop::collection::vec(range, 0..8)
}

fn holds(range: &PhysicalRange<FileOffset>, gpa: u64) -> bool {
    gpa.checked_sub(range.gpa.0).is_some_and(|inside| inside < range.len)
}

/// One byte of the layers, by looking at each in turn.
fn byte(layers: &[PhysicalRange<FileOffset>], source: &[u8], gpa: u64) -> Result<u8, ReadCause> {
    let range = layers.iter().find(|range| holds(range, gpa)).ok_or(ReadCause::Hole)?;
    match &range.backing {
        Backing::At(at) => {
            let place = at.0 - SOURCE_BASE + (gpa - range.gpa.0);
            source.get(place as usize).copied().ok_or(ReadCause::Absent)
        }
        Backing::Zero => Ok(0),
        Backing::Absent => Err(ReadCause::Absent),
        Backing::Device(name) => Err(ReadCause::Device(name.clone())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn physical_reads_equal_bytes_read_one_by_one(
        layers in layers(),
        source in prop::collection::vec(any::<u8>(), 64),
        gpa in 0..SPACE + 16,
        len in 0..48_usize,
    ) {
        let memory = SliceMemory::new(FileOffset(SOURCE_BASE), &source);
        let memory = PhysicalMemory::new(layers.clone(), memory).expect("inside the space");
        let bytes: Vec<_> = (gpa..gpa + len as u64).map(|gpa| byte(&layers, &source, gpa)).collect();
        let readable: Vec<u8> = bytes.iter().map_while(|byte| byte.clone().ok()).collect();
        let mut dst = vec![0xee; len];
        let answer = memory.read(Gpa(gpa), &mut dst);
        prop_assert_eq!(&dst[..readable.len()], &readable[..]);
        prop_assert!(dst[readable.len()..].iter().all(|&byte| byte == 0xee));
        let failure = bytes.iter().zip(gpa..).find_map(|(byte, gpa)| Some((gpa, byte.clone().err()?)));
        prop_assert_eq!(answer.err().map(|error| (error.addr, error.cause)), failure);
        if let Some(slice) = memory.slice(Gpa(gpa), len) {
            prop_assert_eq!(slice, &readable[..]);
        }
    }

    #[test]
    fn located_bytes_are_the_ones_that_are_read(layers in layers(), gpa in 0..SPACE) {
        let memory = PhysicalMemory::new(layers.clone(), ()).expect("inside the space");
        let located = memory.locate(Gpa(gpa));
        let owner = layers.iter().find(|range| holds(range, gpa));
        let at = owner.and_then(|range| match &range.backing {
            Backing::At(at) => Some(FileOffset(at.0 + gpa - range.gpa.0)),
            _ => None,
        });
        prop_assert_eq!(located.map(|(at, _)| at), at);
        if let Some((at, left)) = located {
            let end = memory.locate(Gpa(gpa + left - 1)).map(|(at, _)| at);
            prop_assert_eq!(end, Some(FileOffset(at.0 + left - 1)));
        }
    }
}

#[test]
fn alias_bombs_end_in_an_error() {
    // Each container shows the one before it twice, 40 times over.
    let mut regions = vec![MemoryRegion { size: 1, terminates: true, ..MemoryRegion::default() }];
    for level in 0..40_u32 {
        let id = regions.len() as u32;
        let (below, container) = (Some(RegionId(id.saturating_sub(3))), Some(RegionId(id)));
        let below = if level == 0 { Some(RegionId(0)) } else { below };
        let size = 1 << 32;
        let subregions = vec![RegionId(id + 1), RegionId(id + 2)];
        regions.push(MemoryRegion { size, subregions, ..MemoryRegion::default() });
        for half in 0..2 {
            let addr = half << level.min(31);
            regions.push(MemoryRegion {
                addr,
                size,
                alias: below,
                container,
                ..MemoryRegion::default()
            });
        }
    }
    let top = RegionId(regions.len() as u32 - 3);
    let map = RegionMap::new(regions, Vec::new(), Vec::new()).expect("a tree");
    assert_eq!(map.render(top).expect_err("too much").kind(), "too_long");
}

#[test]
fn an_alias_of_its_own_container_ends_in_an_error() {
    let root = MemoryRegion { size: 8, subregions: vec![RegionId(1)], ..MemoryRegion::default() };
    let (container, alias) = (Some(RegionId(0)), Some(RegionId(0)));
    let child = MemoryRegion { size: 8, container, alias, ..MemoryRegion::default() };
    let map = RegionMap::new(vec![root, child], Vec::new(), Vec::new()).expect("a tree");
    assert_eq!(map.render(RegionId(0)).expect_err("a circle").kind(), "too_deep");
}

#[test]
fn the_default_view_is_empty() {
    assert_eq!(RegionMap::default().address_spaces().len(), 0);
    assert!(FlatView::default().ranges().is_empty());
}
