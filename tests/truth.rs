//! The recorded answers of PANDA itself (`tests/data/truth`): every translation,
//! region, offset and byte sample of six machines.

use std::{fs, path::PathBuf};

use rr_mem::{
    addr::{Gpa, Gva},
    guest::Guest,
    image::{self, ImageMemory, OpenOptions},
    mmu::{AccessKind, Query, WalkError},
    region::{RegionMap, monitor},
    regs::{Arch, Regs},
};
use serde_json::Value;

struct Machine {
    truth: Value,
    guest: Guest<ImageMemory>,
    /// The name of main RAM's region: all that `ram.bin` holds.
    ram: &'static str,
}

fn file(machine: &str, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/truth").join(machine).join(name)
}

fn hex(value: &Value) -> u64 {
    let text = value.as_str().expect("a hex string");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a hex string")
}

fn regions(machine: &str) -> RegionMap {
    let text = fs::read_to_string(file(machine, "info-mtree-f.txt")).expect("is there");
    monitor::parse(&text).expect("PANDA's text").map
}

fn machine(name: &str, ram: &'static str, regs: impl Fn(&Value) -> Regs) -> Machine {
    let text = fs::read_to_string(file(name, "truth.json")).expect("is there");
    let truth: Value = serde_json::from_str(&text).expect("is JSON");
    let options = OpenOptions::default().ram_base(Gpa(hex(&truth["ram_base"])));
    let image = image::open(&file(name, "ram.bin.zst"), &options, &mut |_| {}).expect("opens");
    assert_eq!(image.memory.ranges()[0].len, hex(&truth["ram_size"]));
    let regs = regs(&truth["regs"]);
    let guest =
        Guest::new(Some(image.memory), Some(regs.into()), Some(regions(name))).expect("renders");
    Machine { truth, guest, ram }
}

fn x86(regs: &Value, arch: Arch) -> Regs {
    let mut out = Regs::defaults(arch);
    for (name, n) in [("cr0", 0), ("cr3", 3), ("cr4", 4)] {
        out.set_named(name, hex(&regs["cr"][n])).expect("a register");
    }
    out.set_named("efer", hex(&regs["efer"])).expect("a register");
    out
}

fn arm(regs: &Value, arch: Arch) -> Regs {
    let mut out = Regs::defaults(arch);
    for (name, key) in
        [("ttbr0", "ttbr0_el"), ("ttbr1", "ttbr1_el"), ("tcr", "tcr_el"), ("sctlr", "sctlr_el")]
    {
        out.set_named(name, hex(&regs[key][1])).expect("a register");
    }
    out
}

/// What QEMU's debug walk of ARM asks: a read with the CPU's current privilege.
const CURRENT: Query = Query::access(AccessKind::Read, false);

impl Machine {
    fn entries(&self, key: &str) -> &[Value] {
        self.truth[key].as_array().expect("a list")
    }

    fn translate(&self, gva: Gva, query: Query) -> Option<Gpa> {
        let walk = self.guest.walk(gva, query).expect("registers and memory are there");
        match walk.result {
            Ok(found) => Some(found.gpa),
            Err(WalkError::Fault(_)) => None,
            Err(WalkError::Unreadable(error)) => panic!("{gva}: {error}"),
        }
    }

    /// Compares every translation; how many were mapped and how many not.
    fn compare_v2p(&self, query: Query) -> (usize, usize) {
        let (mut mapped, mut unmapped) = (0, 0);
        for entry in self.entries("v2p") {
            let gva = Gva(hex(&entry["gva"]));
            let wanted = (!entry["gpa"].is_null()).then(|| Gpa(hex(&entry["gpa"])));
            assert_eq!(self.translate(gva, query), wanted, "{gva} ({})", entry["why"]);
            match wanted {
                Some(gpa) => {
                    mapped += 1;
                    self.compare_section(gpa, &entry["section"]);
                }
                None => unmapped += 1,
            }
        }
        (mapped, unmapped)
    }

    /// `memory_region_find` of the fixed physical addresses; how many were in
    /// a region and how many in none.
    fn compare_gpa(&self) -> (usize, usize) {
        let entries = self.entries("gpa");
        for entry in entries {
            self.compare_section(Gpa(hex(&entry["gpa"])), &entry["section"]);
        }
        let none = entries.iter().filter(|entry| entry["section"].is_null()).count();
        (entries.len() - none, none)
    }

    fn compare_section(&self, gpa: Gpa, wanted: &Value) {
        let found = self.guest.find(gpa, 1).expect("a region map is there");
        let Some(found) = found else {
            assert!(wanted.is_null(), "{gpa}: {wanted}");
            return;
        };
        let place = self.guest.place(gpa).expect("what find finds has a place");
        assert_eq!(place.region, wanted["name"], "{gpa}");
        assert_eq!(found.offset_within_region, hex(&wanted["offset_within_region"]), "{gpa}");
        assert_eq!(
            found.offset_within_address_space.0,
            hex(&wanted["offset_within_address_space"]),
            "{gpa}"
        );
        assert_eq!(found.readonly, wanted["readonly"], "{gpa}");
        if place.region == self.ram {
            self.compare_bytes(gpa, wanted);
        }
    }

    /// The 16 bytes there, up to the end of the page.
    fn compare_bytes(&self, gpa: Gpa, wanted: &Value) {
        let text = wanted["bytes16"].as_str().expect("a sample");
        let bytes: Vec<u8> = (0..text.len() / 2)
            .map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex"))
            .collect();
        let in_page = (4096 - (gpa.0 % 4096) as usize).min(bytes.len());
        let mut read = vec![0; in_page];
        self.guest.read_physical(gpa, &mut read).expect("RAM is in the file");
        assert_eq!(read, bytes[..in_page], "{gpa}");
    }
}

#[test]
fn x86_64_answers_as_panda() {
    let machine = machine("x86_64", "pc.ram", |regs| x86(regs, Arch::X86_64));
    assert_eq!(machine.compare_v2p(Query::Presence), (79, 77));
    assert_eq!(machine.compare_gpa(), (14, 1));
}

#[test]
fn i386_answers_as_panda() {
    let machine = machine("i386", "pc.ram", |regs| x86(regs, Arch::I386));
    assert_eq!(machine.compare_v2p(Query::Presence), (94, 33));
    assert_eq!(machine.compare_gpa(), (10, 0));
}

#[test]
fn i386_pae_answers_as_panda() {
    let machine = machine("i386-pae", "pc.ram", |regs| x86(regs, Arch::I386));
    assert_eq!(machine.compare_v2p(Query::Presence), (90, 34));
    assert_eq!(machine.compare_gpa(), (10, 0));
}

#[test]
fn aarch64_answers_as_panda() {
    let machine = machine("aarch64", "mach-virt.ram", |regs| arm(regs, Arch::Aarch64));
    assert_eq!(machine.compare_v2p(CURRENT), (67, 45));
    assert_eq!(machine.compare_gpa(), (12, 5));
}

/// The level 1 table of TTBR0 has four entries and is aligned to 32 bytes only.
#[test]
fn arm_lpae_answers_as_panda() {
    let machine = machine("arm-lpae", "vexpress.highmem", |regs| arm(regs, Arch::Arm));
    assert_eq!(machine.compare_v2p(CURRENT), (70, 36));
    assert_eq!(machine.compare_gpa(), (14, 4));
}

/// DACR is not in the file. Linux had closed the domain of user pages (1) and
/// left the kernel's (0) and I/O's (2) clients: 0x51. QEMU's walk honours
/// domains (Arm ARM, "Domains, Short-descriptor format only").
#[test]
fn arm_short_answers_as_panda_with_the_user_domain_closed() {
    let machine = machine("arm-short", "vexpress.highmem", |regs| {
        let mut regs = arm(regs, Arch::Arm);
        regs.set_named("dacr", 0x51).expect("a register");
        regs
    });
    assert_eq!(machine.compare_v2p(CURRENT), (68, 39));
    assert_eq!(machine.compare_gpa(), (14, 4));
    let hidden = machine.entries("v2p").iter().filter(|entry| {
        let gva = Gva(hex(&entry["gva"]));
        entry["gpa"].is_null() && machine.translate(gva, Query::Presence).is_some()
    });
    assert_eq!(hidden.count(), 16, "mapped, but not for the CPU's current domains");
}
