//! Emulators whose memory changes while it is read, and emulators that lie. The
//! emulator is a fixture.

#[path = "emulator/fixture.rs"]
mod fixture;

use proptest::{collection::vec, prelude::*, sample::select};
use rr_mem::{
    addr::Gpa,
    debuginfo::Layout,
    host::Host,
    memory::Memory,
    qemu::{self, Machine, Offsets, QemuError, Wrong},
    region::{
        monitor::{Style, TreeOptions, flat_blocks, tree_blocks},
        physical::{Backing, PhysicalMemory},
    },
    report::CpuRow,
};

use fixture::{BASE, Contents, DEVICE, Emulator, MACHINE, PLACES, RAM_LEN, STRUCTS, VIEWS};

/// No more reads are needed for whatever lies in so little memory.
const MOST_READS: usize = 2_000_000;

fn read(emulator: &Emulator) -> Result<Machine, QemuError> {
    qemu::read(emulator, &Offsets::Given(emulator.layout().clone()))
}

/// First address, byte of the RAM and length of every range.
fn ranges(machine: &Machine) -> Vec<(u64, u64, u128)> {
    let view = machine.map.address_spaces()[0].flat.as_ref().expect("is read");
    let each = view.ranges().iter();
    each.map(|range| (range.start.0, range.offset_in_region, range.size)).collect()
}

fn views() -> [Vec<(u64, u64, u128)>; 2] {
    let half = RAM_LEN / 2;
    let halves = [(0x10_0000, 0, half.into()), (0x20_0000, half, half.into())];
    [vec![(0, 0, RAM_LEN.into())], halves.to_vec()]
}

#[test]
fn the_fixture_is_a_healthy_emulator() {
    let emulator = Emulator::new(|_, _| {});
    let machine = read(&emulator).expect("is healthy");
    assert_eq!(ranges(&machine), views()[0]);
    assert_eq!((machine.cpus.len(), machine.cpus[0].thread), (1, 7));
    assert!(emulator.reads() > 10 && emulator.reads() < 1000);
}

#[test]
fn a_device_is_named_by_its_way_from_the_root() {
    let emulator = Emulator::new(|_, _| {});
    let mut machine = read(&emulator).expect("is healthy");
    machine.name_owners(&emulator).expect("is healthy");
    let owners: Vec<_> =
        machine.map.regions().iter().map(|region| region.owner.as_deref()).collect();
    assert_eq!(owners, [Some("owner:{dev path=/dimm0}"), Some("orphan")]);
}

#[test]
fn an_object_that_hides_memory_is_named_where_qemu_has_such() {
    let hidden = Emulator::new(|contents, reads| {
        let layout = Emulator::new(|_, _| {}).layout().clone();
        if reads == 0 {
            contents.set(&layout, ("MachineState", "cgs"), MACHINE, DEVICE);
        }
    });
    assert_eq!(read(&hidden).expect("is healthy").confidential.as_deref(), Some("device"));
    // Before 6.0 a machine had no such member.
    let mut layout = hidden.layout().clone();
    layout.structs.get_mut("MachineState").expect("is known").fields.clear();
    let old = qemu::read(&hidden, &Offsets::Given(layout)).expect("is healthy");
    assert_eq!(old.confidential, None);
}

/// QEMU gives the address space another view and reuses the memory of the old.
fn replace(contents: &Contents, layout: &Layout) {
    contents.switch(layout, 1);
    contents.put((VIEWS[0] - BASE) as usize, &[0xa5; 0x400]);
}

#[test]
fn a_map_that_changes_at_any_moment_is_answered_as_before_or_after() {
    let layout = Emulator::new(|_, _| {}).layout().clone();
    let calm = Emulator::new(|_, _| {});
    read(&calm).expect("is healthy");
    let mut after = 0;
    for moment in 0..calm.reads() {
        let layout = layout.clone();
        let emulator = Emulator::new(move |contents, reads| {
            if reads == moment {
                replace(contents, &layout);
            }
        });
        let found = ranges(&read(&emulator).expect("it changes only once"));
        assert!(views().contains(&found), "{moment}: {found:?}");
        after += usize::from(found == views()[1]);
    }
    assert!(after > 0 && after <= calm.reads());
}

#[test]
fn a_map_that_never_stays_is_torn_and_never_answered() {
    let range = (VIEWS[0] - BASE) as usize + 0x100;
    let emulator =
        Emulator::new(move |contents, reads| contents.put(range + 8, &reads.to_le_bytes()));
    let Err(QemuError::NoLayout(misfits)) = read(&emulator) else { panic!("there is no answer") };
    assert_eq!(misfits.len(), 1);
    assert_eq!(misfits[0].why, Wrong::Torn);
    assert!(emulator.reads() < MOST_READS);
}

/// Everything that is done with an answer.
fn use_it(emulator: &Emulator, machine: &mut Machine) {
    let _ = machine.name_owners(emulator);
    let _ = flat_blocks(&machine.map, Style::default());
    let _ = tree_blocks(&machine.map, TreeOptions::default());
    for cpu in &machine.cpus {
        assert!(!CpuRow::new(cpu, &machine.map).registers.is_empty());
    }
    let Some(space) = machine.map.address_spaces().first() else { return };
    let Ok(view) = machine.map.view(space) else { return };
    let host = |block| machine.map.block(block).host.map(Backing::At);
    let memory = PhysicalMemory::of_view(&machine.map, &view, emulator.memory(), host);
    for range in view.ranges().iter().take(100) {
        let _ = memory.read(range.start, &mut [0; 64]);
        let _ = memory.read(Gpa(range.last().0), &mut [0; 64]);
    }
}

/// What is written over an emulator's structs: pointers to its structs, which
/// make circles and mix kinds; plausible lengths; nonsense.
fn value() -> impl Strategy<Value = u64> {
    let near = (select(PLACES.to_vec()), 0..0x400u64).prop_map(|(place, more)| place + more);
    prop_oneof![3 => select(PLACES.to_vec()), 2 => near, 2 => 0..0x1_0001u64, 1 => any::<u64>()]
}

/// Where: mostly among the first members of a struct.
fn offset() -> impl Strategy<Value = usize> {
    let near = (select(PLACES.to_vec()), 0..0x60usize)
        .prop_map(|(place, word)| (place - BASE) as usize + word * 8);
    prop_oneof![4 => near, 1 => 0..STRUCTS]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn damaged_structs_are_answered_or_refused_without_end_or_panic(
        damage in vec((offset(), value()), 1..6),
    ) {
        let mut emulator = Emulator::new(move |contents, reads| {
            if reads == 0 {
                for (offset, value) in &damage {
                    contents.put(*offset, &value.to_le_bytes());
                }
            }
        });
        emulator.changes = false;
        if let Ok(mut machine) = read(&emulator) {
            use_it(&emulator, &mut machine);
        }
        prop_assert!(emulator.reads() < MOST_READS);
    }
}
