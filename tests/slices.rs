//! Slices of booted guests (`tests/data/slices`): the monitor's answers, out of
//! the slice alone.

use std::{fs, path::PathBuf};

use rr_mem::{
    addr::{Gpa, Gva},
    guest::Guest,
    image::{self, ImageMemory, OpenOptions},
    mmu::{AccessKind, Query, WalkError},
    regs::Regs,
};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/slices")
}

fn hex(value: &Value) -> u64 {
    let text = value.as_str().expect("a hex string");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a hex string")
}

fn open(name: &str) -> (Guest<ImageMemory>, Value) {
    let path = folder().join(format!("{name}.elf.zst"));
    let image = image::open(&path, &OpenOptions::default(), &mut |_| {}).expect("a slice opens");
    let regs = image.cpus[0].regs;
    let guest = Guest::new(Some(image.memory), Some(regs.into()), image.regions).expect("renders");
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("is there");
    (guest, serde_json::from_str(&text).expect("is JSON"))
}

/// On x86 the monitor ignores rights; on ARM it asks for a read by the current
/// mode.
fn question(regs: &Regs) -> Query {
    match regs {
        Regs::X86(_) => Query::Presence,
        _ => Query::access(AccessKind::Read, regs.in_user_mode()),
    }
}

fn compare(name: &str) {
    let (guest, truth) = open(name);
    let query = question(guest.regs().expect("in the slice"));
    let (mut mapped, mut unmapped) = (0, 0);
    for entry in truth["answers"].as_array().expect("a list") {
        let gva = Gva(hex(&entry["gva"]));
        let wanted = (!entry["gpa"].is_null()).then(|| Gpa(hex(&entry["gpa"])));
        let walk = guest.walk(gva, query).expect("registers and memory are there");
        let found = match walk.result {
            Ok(found) => Some(found.gpa),
            Err(WalkError::Fault(_)) => None,
            Err(WalkError::Unreadable(error)) => panic!("{name} {gva}: {error}"),
        };
        assert_eq!(found, wanted, "{name} {gva}");
        *(if wanted.is_some() { &mut mapped } else { &mut unmapped }) += 1;
    }
    assert!(mapped >= 100 && unmapped >= 20, "{name}: {mapped} mapped, {unmapped} not");
    for text in truth["data"].as_array().expect("a list") {
        let wanted = text["text"].as_str().expect("a text").as_bytes();
        let mut read = vec![0; wanted.len()];
        guest.read_virtual(Gva(hex(&text["gva"])), &mut read).expect("a kept page");
        assert_eq!(read, wanted, "{name}");
    }
}

macro_rules! slices {
    ($($test:ident $name:literal),* $(,)?) => {$(
        #[test]
        fn $test() {
            compare($name);
        }
    )*};
}

slices! {
    x86_64_4_level "x86_64-4level",
    x86_64_5_level "x86_64-5level",
    i386_without_pae "i386",
    i386_pae "i386-pae",
    arm_short_descriptors "arm-short",
    arm_lpae "arm-lpae",
    aarch64_cortex_a57 "aarch64-a57",
    aarch64_newest_features "aarch64-max",
}

#[test]
fn a_page_that_the_slice_leaves_out_is_an_error_not_zeros() {
    let (guest, truth) = open("x86_64-4level");
    let kept: Vec<_> =
        truth["data"].as_array().expect("a list").iter().map(|d| hex(&d["gva"]) >> 12).collect();
    let left_out = truth["answers"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|entry| !entry["gpa"].is_null() && !kept.contains(&(hex(&entry["gva"]) >> 12)));
    let gva = Gva(hex(&left_out.expect("most pages are left out")["gva"]));
    let error = guest.read_virtual(gva, &mut [0; 8]).expect_err("no bytes are kept");
    assert_eq!(error.at, gva.into());
}
