//! Any JSON as a region map: everything that can be asked of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    addr::Gpa,
    region::{
        FlatView, RegionId, RegionMap,
        monitor::{Style, TreeOptions, flat_blocks, tree_blocks},
    },
};

fuzz_target!(|json: &[u8]| {
    let Ok(map) = serde_json::from_slice::<RegionMap>(json) else { return };
    let text = serde_json::to_vec(&map).expect("a map is JSON");
    assert_eq!(serde_json::from_slice::<RegionMap>(&text).expect("it was a map"), map);
    for space in map.address_spaces() {
        if let Ok(view) = map.view(space) {
            check(&view);
        }
    }
    for id in (0..map.regions().len().min(8) as u32).map(RegionId) {
        let _ = map.find(id, 0, 0);
        let _ = map.find(id, u64::MAX, u64::MAX);
    }
    for disabled in [false, true] {
        let _ = tree_blocks(&map, TreeOptions::disabled(disabled));
    }
    for style in [Style::Qemu29, Style::Qemu72] {
        let _ = flat_blocks(&map, style);
    }
});

/// Every range is found where it says it is.
fn check(view: &FlatView) {
    for range in view.ranges() {
        assert_eq!(view.at(range.start), Some(range));
        assert_eq!(view.at(range.last()), Some(range));
        let found = view.find(range.start, u64::MAX).expect("the range itself");
        assert_eq!((found.region, found.offset_within_address_space), (range.region, range.start));
    }
    let _ = (view.find(Gpa(0), u64::MAX), view.find(Gpa(u64::MAX), u64::MAX));
}
