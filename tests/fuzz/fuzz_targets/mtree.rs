//! Any text as the monitor's `info mtree -f`. If it is read, the result prints
//! to a text that reads and prints the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::region::{
    RegionMap,
    monitor::{FlatText, TreeOptions, flat_blocks, parse, tree_blocks},
};

fuzz_target!(|text: &str| {
    let Ok(FlatText { map, style, .. }) = parse(text) else { return };
    let print = |map: &RegionMap| flat_blocks(map, style).expect("its views are known").concat();
    let printed = print(&map);
    if printed.is_empty() {
        return;
    }
    let again = parse(&printed).expect("printed text can be read");
    assert_eq!(again.style, style);
    assert_eq!(print(&again.map), printed);
    for space in map.address_spaces() {
        let rendered = space.root.map(|root| map.render(root).expect("a tree of two levels"));
        let flat = map.view(space).expect("known");
        assert_eq!(rendered.unwrap_or_default(), *flat, "{}", space.name);
    }
    let _ = tree_blocks(&map, TreeOptions::default());
});
