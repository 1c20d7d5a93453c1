//! An emulator whose structs are overwritten anyhow. The emulator is a fixture.
#![no_main]

#[path = "../../emulator/fixture.rs"]
mod fixture;

use fixture::{Emulator, STRUCTS, VIEWS};
use libfuzzer_sys::fuzz_target;
use rr_mem::{
    qemu::{self, Offsets},
    region::monitor::{Style, TreeOptions, flat_blocks, tree_blocks},
    report::CpuRow,
};

/// No more reads are needed for whatever lies in so little memory.
const MOST_READS: usize = 4_000_000;

/// Before which read, where and what; and which view the memory has then.
type Damage = Vec<(u16, u32, u64, Option<bool>)>;

fuzz_target!(|damage: Damage| {
    let layout = Emulator::new(|_, _| {}).layout().clone();
    let offsets = Offsets::Given(layout.clone());
    let emulator = Emulator::new(move |contents, reads| {
        for (_, offset, value, view) in damage.iter().filter(|one| usize::from(one.0) == reads) {
            contents.put(*offset as usize % STRUCTS, &value.to_le_bytes());
            if let Some(view) = view {
                contents.switch(&layout, usize::from(*view) % VIEWS.len());
            }
        }
    });
    if let Ok(mut machine) = qemu::read(&emulator, &offsets) {
        let _ = machine.name_owners(&emulator);
        let _ = flat_blocks(&machine.map, Style::default());
        let _ = tree_blocks(&machine.map, TreeOptions::default());
        for cpu in &machine.cpus {
            assert!(!CpuRow::new(cpu, &machine.map).registers.is_empty());
        }
    }
    assert!(emulator.reads() < MOST_READS);
});
