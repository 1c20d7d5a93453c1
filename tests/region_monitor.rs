//! The monitor's text against real monitors: QEMU 7.2 (with the lossless map
//! of the same process) and PANDA.

use std::{collections::BTreeSet, fs, path::PathBuf};

use rr_mem::{
    addr::Gpa,
    advice::Advice,
    region::{
        RegionMap,
        monitor::{Form, ParseError, Style, TreeOptions, flat_blocks, parse, tree_blocks},
    },
};

/// Machines with a lossless map: name of the files in `tests/data/mtree`.
const MACHINES: [&str; 6] = ["pc", "q35", "q35-devices", "virt", "virt-secure", "vexpress-a15"];

/// PANDA's machines in `tests/data/truth`.
const PANDA: [&str; 6] = ["aarch64", "arm-lpae", "arm-short", "i386", "i386-pae", "x86_64"];

fn data(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn map(machine: &str) -> RegionMap {
    serde_json::from_str(&data(&format!("mtree/{machine}.json"))).expect("a map")
}

/// Blocks end with an empty line.
fn blocks(text: &str) -> Vec<String> {
    text.split_inclusive("\n\n").map(str::to_owned).collect()
}

/// Blocks without their number, which follows the order, which is a hash's.
fn unnumbered(blocks: &[String]) -> BTreeSet<String> {
    let strip = |block: &String| match block.strip_prefix("FlatView #") {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned(),
        None => block.clone(),
    };
    blocks.iter().map(strip).collect()
}

#[test]
fn the_json_form_is_the_one_that_the_oracle_writes() {
    let mut written: serde_json::Value =
        serde_json::from_str(&data("mtree/pc.json")).expect("JSON");
    for block in written["ram_blocks"].as_array_mut().expect("a list") {
        // Hosts were taken out of the file.
        block["host"] = serde_json::Value::Null;
    }
    assert_eq!(serde_json::to_value(map("pc")).expect("serialises"), written);
}

#[test]
fn rendering_gives_the_flat_views_that_qemu_had() {
    for machine in MACHINES {
        let map = map(machine);
        for space in map.address_spaces() {
            let rendered = space.root.and_then(|root| map.view_root(root));
            let rendered = rendered.map(|root| map.render(root).expect("renders"));
            assert_eq!(rendered.as_ref().or(Some(&Default::default())), space.flat.as_ref());
            let whole = map.render(space.root.expect("a root")).expect("renders");
            assert_eq!(Some(&whole), space.flat.as_ref(), "{machine}, {}", space.name);
        }
    }
}

#[test]
fn flat_views_print_as_the_monitor_prints_them() {
    for machine in MACHINES {
        let printed = flat_blocks(&map(machine), Style::Qemu72).expect("prints");
        let monitor = blocks(&data(&format!("mtree/{machine}.flat.txt")));
        assert_eq!(unnumbered(&printed), unnumbered(&monitor), "{machine}");
        assert_eq!(printed.len(), monitor.len());
    }
}

#[test]
fn trees_print_as_the_monitor_prints_them() {
    for machine in MACHINES {
        for (kind, disabled) in [("tree", false), ("disabled", true)] {
            let printed =
                tree_blocks(&map(machine), TreeOptions::disabled(disabled)).expect("prints");
            let monitor = blocks(&data(&format!("mtree/{machine}.{kind}.txt")));
            let set = |blocks: &[String]| blocks.iter().cloned().collect::<BTreeSet<_>>();
            assert_eq!(set(&printed), set(&monitor), "{machine}, {kind}");
            assert_eq!(printed.len(), monitor.len());
        }
    }
}

#[test]
fn text_of_flat_views_is_the_same_after_reading_and_printing() {
    let new = MACHINES.map(|machine| (format!("mtree/{machine}.flat.txt"), Style::Qemu72));
    let old = PANDA.map(|machine| (format!("truth/{machine}/info-mtree-f.txt"), Style::Qemu29));
    for (path, style) in new.into_iter().chain(old) {
        let text = data(&path);
        let read = parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(read.style, style);
        assert_eq!(flat_blocks(&read.map, style).expect("prints").concat(), text, "{path}");
    }
}

#[test]
fn maps_read_from_text_render_to_what_the_text_says() {
    for machine in MACHINES {
        let read = parse(&data(&format!("mtree/{machine}.flat.txt"))).expect("reads").map;
        for space in read.address_spaces() {
            let rendered = read.render(space.root.expect("a root")).expect("renders");
            assert_eq!(Some(&rendered), space.flat.as_ref(), "{machine}, {}", space.name);
        }
    }
}

/// What `memory_region_find` would say, with the region's name.
type Found = Option<(String, u64, u128, bool)>;

fn find(map: &RegionMap, gpa: u64) -> Found {
    let space = map.address_space("memory").expect("a space");
    let section = map.find(space.root.expect("a root"), gpa, 1).expect("renders")?;
    let name = map.region(section.region).display_name().to_owned();
    Some((name, section.offset_within_region, section.size, section.readonly))
}

#[test]
fn find_agrees_between_the_map_and_the_text() {
    for machine in MACHINES.into_iter().filter(|&machine| machine != "virt-secure") {
        let (exact, text) = (map(machine), data(&format!("mtree/{machine}.flat.txt")));
        let read = parse(&text).expect("reads").map;
        let flat = exact.address_space("memory").and_then(|space| space.flat.as_ref());
        let edges = flat.expect("a view").ranges().iter().flat_map(|range| {
            let (start, last) = (range.start.0, range.last().0);
            [start.wrapping_sub(1), start, last, last.wrapping_add(1)]
        });
        for gpa in edges {
            assert_eq!(find(&exact, gpa), find(&read, gpa), "{machine}, {gpa:#x}");
        }
    }
}

#[test]
fn find_climbs_out_of_an_address_space_whose_root_is_contained() {
    // With `-M virt,secure=on` the root of `memory` is a subregion of the root
    // of `cpu-secure-memory-0`: memory_region_find(system) sees the flash that
    // only the secure world has.
    let map = map("virt-secure");
    let flash = Some(("virt.flash0".to_owned(), 0x1000, 1, false));
    assert_eq!(find(&map, 0x1000), flash);
    let space = map.address_space("memory").expect("a space");
    assert_eq!(map.view(space).expect("recorded").find(Gpa(0x1000), 1), None);
}

#[test]
fn regions_of_one_name_and_sort_are_one_with_one_ram_block() {
    let map = parse(&data("truth/i386/info-mtree-f.txt")).expect("reads").map;
    let flat = map.address_space("memory").and_then(|space| space.flat.clone()).expect("a view");
    let id = |gpa| flat.at(Gpa(gpa)).expect("is there").region;
    assert_eq!((id(0), id(0x10_0000)), (id(0xc_0000), id(0xc_1000)));
    let ram = map.region(id(0));
    assert_eq!((ram.display_name(), ram.size, ram.readonly), ("pc.ram", 0x600_0000, false));
    let block = map.block(ram.ram_block.expect("a block"));
    assert_eq!((block.name.as_str(), block.used_length), ("pc.ram", 0x600_0000));
    assert!(map.region(id(0xffff_fff0)).readonly);
}

fn number(hex: &serde_json::Value) -> u64 {
    let digits = hex.as_str().and_then(|hex| hex.strip_prefix("0x")).expect("hex");
    u64::from_str_radix(digits, 16).expect("hex")
}

#[test]
fn find_in_pandas_text_answers_what_pandas_memory_region_find_answered() {
    let mut asked = 0;
    for machine in PANDA {
        let map = parse(&data(&format!("truth/{machine}/info-mtree-f.txt"))).expect("reads").map;
        let view =
            map.address_space("memory").and_then(|space| space.flat.as_ref()).expect("a view");
        let truth = data(&format!("truth/{machine}/truth.json"));
        let truth: serde_json::Value = serde_json::from_str(&truth).expect("JSON");
        let lists = ["gpa", "v2p"].map(|list| truth[list].as_array().expect("a list"));
        for entry in lists.into_iter().flatten().filter(|entry| !entry["gpa"].is_null()) {
            let found = view.find(Gpa(number(&entry["gpa"])), 1);
            let section = &entry["section"];
            assert_eq!(found.is_none(), section.is_null(), "{machine}: {entry}");
            asked += 1;
            let Some(found) = found else { continue };
            let region = map.region(found.region);
            assert_eq!(region.display_name(), section["name"], "{machine}: {entry}");
            assert_eq!(found.offset_within_region, number(&section["offset_within_region"]));
            let within = number(&section["offset_within_address_space"]);
            assert_eq!(found.offset_within_address_space, Gpa(within));
            assert_eq!(found.readonly, section["readonly"], "{machine}: {entry}");
            assert_eq!(
                (region.ram, region.rom_device),
                (section["ram"] == true, section["rom_device"] == true)
            );
            assert_eq!(region.ram_block.is_some(), !section["ram_block"].is_null());
        }
    }
    assert!(asked > 500, "{asked}");
}

#[test]
fn the_tree_form_is_recognised_and_refused() {
    for path in ["mtree/pc.tree.txt", "truth/x86_64/info-mtree.txt"] {
        let text = data(path);
        assert_eq!(Form::of(&text), Some(Form::Tree));
        let error = parse(&text).expect_err("cannot be read");
        assert_eq!(
            (error.kind(), error.advice()),
            ("tree_form", Advice::Say("give the text of `info mtree -f`"))
        );
    }
}

#[test]
fn echoes_prompts_and_carriage_returns_are_passed_over() {
    let text = data("mtree/virt.flat.txt");
    let tree = data("mtree/virt.tree.txt");
    let session = format!(
        "QEMU 7.2.22 monitor - type 'help' for more information\n(qemu) info mtree\n{tree}\
         (qemu) info mtree -f\n{text}(qemu) quit\n"
    );
    let read = parse(&session.replace('\n', "\r\n")).expect("reads");
    assert_eq!(flat_blocks(&read.map, read.style).expect("prints").concat(), text);
}

#[test]
fn owners_and_kvm_marks_are_no_part_of_the_name() {
    let line = "  0000000000000000-000000000000ffff (prio 0, ram): a b @0000000000001000";
    let text = format!("address-space (flat view): memory\n{line}\n\n");
    for mark in [" KVM", " KVM KVM", " owner:{dev id=x} parent:{obj path=/a b}", " orphan KVM"] {
        let read = parse(&text.replace(line, &format!("{line}{mark}"))).expect("reads");
        assert_eq!(flat_blocks(&read.map, read.style).expect("prints").concat(), text, "{mark}");
    }
}

#[test]
fn errors_name_the_line_and_what_was_expected() {
    let head = "FlatView #0\n AS \"memory\", root: system\n Root memory region: system\n";
    let range = "  0000000000000000-00000000000000ff (prio 0, ram): a\n";
    let cases = [
        (String::new(), 1, "FlatView #N"),
        ("hello\nworld\n".into(), 2, "FlatView #N"),
        ("FlatView #0\n AS memory\n".into(), 2, "AS \"NAME\""),
        ("FlatView #0\n".into(), 1, "Root memory region"),
        ("FlatView #0\n AS \"a\", root: b\n".into(), 2, "Root memory region"),
        (format!("{head}  hello\n"), 4, "(prio N, TYPE)"),
        (format!("{head}{}", range.replace("ram", "rum")), 4, "(prio N, TYPE)"),
        (format!("{head}{}", range.replace("00ff", "+0ff")), 4, "(prio N, TYPE)"),
        (format!("{head}{range}{range}"), 5, "starts after the end"),
        (format!("{head}{}", range.replace("0000-", "0fff-")), 4, "starts after the end"),
        (format!("{}{range}", head.replace("n: system", "n: (none)")), 4, "No rendered"),
    ];
    for (text, number, part) in cases {
        match parse(&text) {
            Err(ParseError::Expected { line, expected }) => {
                assert!(line == number && expected.contains(part), "{text}: {line}: {expected}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}
