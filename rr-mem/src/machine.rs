//! Where known machine types of QEMU place their RAM blocks.
//!
//! From QEMU 7.2's `info mtree -f` with RAM sizes around each limit; PANDA's
//! machines are the same. [`place`] is about main RAM alone, and its ranges are
//! RAM's own: on a PC devices and ROM may hide parts of the first MiB.
//! `place_blocks` is about all blocks that lie at fixed addresses.
//!
//! Not here: memory hotplug, NUMA backends, `max-ram-below-4g`, the hole that
//! PCs with an AMD CPU have below 1 TiB, and what the guest places, such as
//! video RAM behind a PCI BAR.

use serde::Serialize;
use thiserror::Error;

use crate::addr::{Gpa, hex};

const GIB: u64 = 1 << 30;

/// Where RAM that does not fit below the devices of a PC goes on.
const ABOVE_4G: Gpa = Gpa(4 * GIB);

/// A piece of main RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Placement {
    /// Its first guest physical address.
    pub gpa: Gpa,
    /// Bytes.
    #[serde(with = "hex")]
    pub len: u64,
    /// The byte of the RAM block that is at `gpa`.
    #[serde(with = "hex")]
    pub ram_offset: u64,
}

/// A machine type that we do not know.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no machine type {name:?} is known; known are {}", NAMES.join(", "))]
#[non_exhaustive]
pub struct UnknownMachine {
    /// What was asked for.
    pub name: String,
}

/// The machine types that [`place`] knows; versions such as
/// `pc-i440fx-7.2`, `pc-q35-7.2` and `virt-7.2` are known too.
pub const NAMES: [&str; 7] =
    ["pc", "q35", "virt", "vexpress-a9", "vexpress-a15", "versatilepb", "versatileab"];

/// How a machine lays out its RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RamPlan {
    /// All from one address on.
    From(Gpa),
    /// All from 0 on below `limit` bytes, else `below` bytes there and the
    /// rest at 4 GiB.
    Split { limit: u64, below: u64 },
}

fn plan(name: &str) -> Option<RamPlan> {
    let versions = |family: &str| name.strip_prefix(family).is_some_and(is_version);
    let pc = RamPlan::Split { limit: 0xe000_0000, below: 0xc000_0000 };
    let q35 = RamPlan::Split { limit: 0xb000_0000, below: 0x8000_0000 };
    match name {
        "pc" => Some(pc),
        "q35" => Some(q35),
        "virt" => Some(RamPlan::From(Gpa(GIB))),
        "vexpress-a9" => Some(RamPlan::From(Gpa(0x6000_0000))),
        "vexpress-a15" => Some(RamPlan::From(Gpa(0x8000_0000))),
        "versatilepb" | "versatileab" => Some(RamPlan::From(Gpa(0))),
        _ if versions("pc-i440fx-") => Some(pc),
        _ if versions("pc-q35-") => Some(q35),
        _ if versions("virt-") => Some(RamPlan::From(Gpa(GIB))),
        _ => None,
    }
}

/// Digits with a point, as in `7.2`.
fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor))
}

/// The pieces of `ram_size` bytes of main RAM on machine type `name`, by
/// address; none for no RAM.
///
/// # Errors
/// When the machine type is not known.
pub fn place(name: &str, ram_size: u64) -> Result<Vec<Placement>, UnknownMachine> {
    let plan = plan(name).ok_or_else(|| UnknownMachine { name: name.to_owned() })?;
    let (first, below) = match plan {
        RamPlan::From(gpa) => (gpa, ram_size),
        RamPlan::Split { limit, below } if ram_size >= limit => (Gpa(0), below),
        RamPlan::Split { .. } => (Gpa(0), ram_size),
    };
    let low = Placement { gpa: first, len: below, ram_offset: 0 };
    let high = Placement { gpa: ABOVE_4G, len: ram_size - below, ram_offset: below };
    Ok([low, high].into_iter().filter(|piece| piece.len > 0).collect())
}

/// Main RAM of a PC.
pub const PC_RAM: &str = "pc.ram";
/// Main RAM by family of machines.
const MAIN: [&str; 4] = [PC_RAM, "mach-virt.ram", "vexpress.highmem", "versatile.ram"];
const PC_BIOS: &str = "pc.bios";
const PC_ROM: &str = "pc.rom";
/// The end of the part of its video RAM's name that all VGA devices share.
const VGA: &str = "vga.vram";
/// The most of the firmware that is also below 1 MiB.
const ISA_BIOS: u64 = 0x2_0000;
const MIB: u64 = 1 << 20;

/// What a piece of guest-physical memory shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shown {
    /// A block, by its number, from byte `offset` on.
    Block {
        /// Its number in the list given.
        number: usize,
        /// The byte at the piece's start.
        offset: u64,
    },
    /// A device, by its region's name.
    Device(&'static str),
}

/// A piece of guest-physical memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// Its first address.
    pub gpa: Gpa,
    /// Bytes.
    pub len: u64,
    /// What is there.
    pub shown: Shown,
}

/// The registers PAM0 to PAM6 of a PC's host bridge: which parts of the memory
/// from 0xc0000 to 1 MiB are read from RAM, and which from ROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shadow(pub [u8; 7]);

impl Shadow {
    /// All from ROM, as after reset.
    pub const PCI: Self = Self([0; 7]);
    /// All from RAM, as firmware leaves it.
    pub const RAM: Self = Self([0x33; 7]);

    /// The 13 parts: first address, length, whether they are read from RAM.
    fn parts(self) -> impl Iterator<Item = (u64, u64, bool)> {
        let reads = move |n: usize| self.0[1 + n / 2] >> (4 * (n % 2)) & 1 != 0;
        let small = (0..12).map(move |n| (0xc_0000 + n as u64 * 0x4000, 0x4000, reads(n)));
        small.chain([(0xf_0000, 0x1_0000, self.0[0] >> 4 & 1 != 0)])
    }
}

/// Why blocks cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The machine type is not known.
    #[error(transparent)]
    Machine(#[from] UnknownMachine),
    /// None of the blocks is the main RAM of that machine.
    #[error("none of the RAM blocks is main RAM of machine type {0:?}")]
    NoMain(String),
    /// A region map names none of the blocks.
    #[error("the memory-region map names none of the RAM blocks")]
    NoBlocks,
}

/// What is where on machine type `name` with these blocks (name, bytes), in the
/// order of their precedence: where pieces overlap, the first one counts. Flash
/// is taken to be readable, which it is except while it is being written.
///
/// # Errors
/// When the machine type is not known, or has no such main RAM.
pub(crate) fn place_blocks(
    name: &str,
    blocks: &[(&str, u64)],
    shadow: Shadow,
) -> Result<Vec<Placed>, PlaceError> {
    let known = Blocks(blocks);
    let plan = plan(name).ok_or_else(|| UnknownMachine { name: name.to_owned() })?;
    let main = MAIN.iter().find_map(|main| known.find(main));
    let (number, len) = main.ok_or_else(|| PlaceError::NoMain(name.to_owned()))?;
    let ram = place(name, len)?.into_iter().map(|Placement { gpa, len, ram_offset }| Placed {
        gpa,
        len,
        shown: Shown::Block { number, offset: ram_offset },
    });
    let mut pieces = match plan {
        RamPlan::Split { .. } => known.of_pc(number, len, shadow),
        RamPlan::From(_) => known.of_board(name),
    };
    pieces.extend(ram);
    Ok(pieces)
}

/// RAM blocks: name, bytes.
struct Blocks<'a>(&'a [(&'a str, u64)]);

impl Blocks<'_> {
    fn find(&self, name: &str) -> Option<(usize, u64)> {
        let number = self.0.iter().position(|(other, _)| *other == name)?;
        Some((number, self.0[number].1))
    }

    /// All of a block, if there is such.
    fn at(&self, gpa: u64, name: &str) -> Option<Placed> {
        let (number, len) = self.find(name)?;
        Some(Placed { gpa: Gpa(gpa), len, shown: Shown::Block { number, offset: 0 } })
    }

    /// Everything but main RAM, `ram`, which hides parts of the first MiB.
    fn of_pc(&self, ram: usize, ram_len: u64, shadow: Shadow) -> Vec<Placed> {
        let mut pieces = Vec::new();
        if self.0.iter().any(|(name, _)| name.ends_with(VGA)) {
            let shown = Shown::Device("vga-lowmem");
            pieces.push(Placed { gpa: Gpa(0xa_0000), len: 0x2_0000, shown });
        }
        pieces.extend(
            shadow.parts().filter(|(gpa, len, reads)| *reads && gpa + len <= ram_len).map(
                |(gpa, len, _)| Placed {
                    gpa: Gpa(gpa),
                    len,
                    shown: Shown::Block { number: ram, offset: gpa },
                },
            ),
        );
        pieces.extend(self.at(0xc_0000, PC_ROM));
        if let Some((number, len)) = self.find(PC_BIOS) {
            let low = len.min(ISA_BIOS);
            let shown = |offset| Shown::Block { number, offset };
            pieces.push(Placed { gpa: Gpa(MIB - low), len: low, shown: shown(len - low) });
            let start = ABOVE_4G.0.saturating_sub(len);
            pieces.push(Placed { gpa: Gpa(start), len, shown: shown(0) });
        }
        pieces
    }

    /// Flash, static and video RAM of ARM's boards.
    fn of_board(&self, name: &str) -> Vec<Placed> {
        const VIRT: &[(u64, &str)] = &[(0, "virt.flash0"), (0x400_0000, "virt.flash1")];
        const A9: &[(u64, &str)] = &[
            (0, "vexpress.flash0"),
            (0x4000_0000, "vexpress.flash0"),
            (0x4400_0000, "vexpress.flash1"),
            (0x4800_0000, "vexpress.sram"),
            (0x4c00_0000, "vexpress.vram"),
        ];
        const A15: &[(u64, &str)] = &[
            (0, "vexpress.flash0"),
            (0x800_0000, "vexpress.flash0"),
            (0xc00_0000, "vexpress.flash1"),
            (0x1400_0000, "vexpress.sram"),
            (0x1800_0000, "vexpress.vram"),
            (0x2e00_0000, "vexpress.a15sram"),
        ];
        const VERSATILE: &[(u64, &str)] = &[(0x3400_0000, "versatile.flash")];
        let fixed = match name {
            "versatilepb" | "versatileab" => VERSATILE,
            "vexpress-a9" => A9,
            "vexpress-a15" => A15,
            _ => VIRT,
        };
        fixed.iter().filter_map(|(gpa, name)| self.at(*gpa, name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First and last address and RAM offset, as in `info mtree -f`.
    type Fact = (u64, u64, u64);

    fn pieces(name: &str, mib: u64) -> Vec<Fact> {
        let placed = place(name, mib * MIB).expect("a known machine");
        placed.iter().map(|p| (p.gpa.0, p.gpa.0 + p.len - 1, p.ram_offset)).collect()
    }

    /// What QEMU 7.2.22 answered to `info mtree -f` with `-m` of so many MiB.
    fn facts(name: &str, facts: &[(u64, &[Fact])]) {
        for &(mib, expected) in facts {
            assert_eq!(pieces(name, mib), expected, "{name} -m {mib}");
        }
    }

    #[test]
    fn pc_splits_from_3584_mib_on() {
        const BELOW: Fact = (0, 0xbfff_ffff, 0);
        let split = |name| {
            facts(
                name,
                &[
                    (128, &[(0, 0x7ff_ffff, 0)]),
                    (3000, &[(0, 0xbb7f_ffff, 0)]),
                    (3073, &[(0, 0xc00f_ffff, 0)]),
                    (3500, &[(0, 0xdabf_ffff, 0)]),
                    (3583, &[(0, 0xdfef_ffff, 0)]),
                    (3584, &[BELOW, (0x1_0000_0000, 0x1_1fff_ffff, 0xc000_0000)]),
                    (4096, &[BELOW, (0x1_0000_0000, 0x1_3fff_ffff, 0xc000_0000)]),
                    (6000, &[BELOW, (0x1_0000_0000, 0x1_b6ff_ffff, 0xc000_0000)]),
                ],
            );
        };
        ["pc", "pc-i440fx-7.2", "pc-i440fx-2.9"].into_iter().for_each(split);
    }

    #[test]
    fn q35_splits_from_2816_mib_on() {
        const BELOW: Fact = (0, 0x7fff_ffff, 0);
        facts(
            "q35",
            &[
                (2815, &[(0, 0xafef_ffff, 0)]),
                (2816, &[BELOW, (0x1_0000_0000, 0x1_2fff_ffff, 0x8000_0000)]),
                (3000, &[BELOW, (0x1_0000_0000, 0x1_3b7f_ffff, 0x8000_0000)]),
                (3500, &[BELOW, (0x1_0000_0000, 0x1_5abf_ffff, 0x8000_0000)]),
                (4096, &[BELOW, (0x1_0000_0000, 0x1_7fff_ffff, 0x8000_0000)]),
                (6000, &[BELOW, (0x1_0000_0000, 0x1_f6ff_ffff, 0x8000_0000)]),
            ],
        );
        assert_eq!(pieces("pc-q35-8.0", 6000), pieces("q35", 6000));
    }

    #[test]
    fn arm_machines_place_all_ram_in_one_piece() {
        facts(
            "virt",
            &[
                (128, &[(0x4000_0000, 0x47ff_ffff, 0)]),
                (3000, &[(0x4000_0000, 0xfb7f_ffff, 0)]),
                (6000, &[(0x4000_0000, 0x1_b6ff_ffff, 0)]),
            ],
        );
        facts(
            "vexpress-a15",
            &[
                (128, &[(0x8000_0000, 0x87ff_ffff, 0)]),
                (3000, &[(0x8000_0000, 0x1_3b7f_ffff, 0)]),
                (6000, &[(0x8000_0000, 0x1_f6ff_ffff, 0)]),
            ],
        );
        facts("vexpress-a9", &[(128, &[(0x6000_0000, 0x67ff_ffff, 0)])]);
        facts("versatilepb", &[(16, &[(0, 0xff_ffff, 0)]), (256, &[(0, 0xfff_ffff, 0)])]);
    }

    /// Address, length, block and offset in it; none of a device.
    type Shows = (u64, u64, Option<(usize, u64)>);

    fn shown(name: &str, blocks: &[(&str, u64)], shadow: Shadow) -> Vec<Shows> {
        let placed = place_blocks(name, blocks, shadow).expect("a known machine");
        let block = |shown| match shown {
            Shown::Block { number, offset } => Some((number, offset)),
            Shown::Device(_) => None,
        };
        placed.iter().map(|piece| (piece.gpa.0, piece.len, block(piece.shown))).collect()
    }

    const PC: [(&str, u64); 3] = [("pc.ram", 2 * MIB), ("pc.bios", 0x4_0000), ("pc.rom", 0x2_0000)];

    /// As `info mtree -f` of a pc at its reset: pc.rom, then the end of pc.bios.
    #[test]
    fn at_reset_a_pc_shows_its_rom_below_1_mib_and_below_4_gib() {
        assert_eq!(
            shown("pc", &PC, Shadow::PCI),
            [
                (0xc_0000, 0x2_0000, Some((2, 0))),
                (0xe_0000, 0x2_0000, Some((1, 0x2_0000))),
                (0xfffc_0000, 0x4_0000, Some((1, 0))),
                (0, 2 * MIB, Some((0, 0))),
            ]
        );
    }

    /// Intel 440FX datasheet, "PAM - Programmable Attribute Map Registers":
    /// PAM0 bits 7:4 are of 0xf0000, PAM1 bits 3:0 of 0xc0000, 7:4 of 0xc4000.
    #[test]
    fn pam_registers_choose_between_rom_and_ram() {
        let first = |registers| shown("pc", &PC, Shadow(registers))[0];
        assert_eq!(first([0x10, 0, 0, 0, 0, 0, 0]), (0xf_0000, 0x1_0000, Some((0, 0xf_0000))));
        assert_eq!(first([0, 0x01, 0, 0, 0, 0, 0]), (0xc_0000, 0x4000, Some((0, 0xc_0000))));
        assert_eq!(first([0, 0x30, 0, 0, 0, 0, 0]), (0xc_4000, 0x4000, Some((0, 0xc_4000))));
        assert_eq!(first([0, 0, 0, 0, 0, 0, 0x10]), (0xe_c000, 0x4000, Some((0, 0xe_c000))));
        assert_eq!(shown("q35", &PC, Shadow([0x02, 0x22, 0, 0, 0, 0, 0])).len(), 4, "written only");
        assert_eq!(shown("pc", &PC, Shadow::RAM).len(), 13 + 4);
    }

    #[test]
    fn a_vga_hides_the_ram_behind_its_window() {
        let blocks = [PC[0], ("0000:00:02.0/vga.vram", MIB)];
        assert_eq!(shown("pc", &blocks, Shadow::PCI)[0], (0xa_0000, 0x2_0000, None));
    }

    /// As `info mtree -f` of QEMU 7.2.22 has them.
    #[test]
    fn boards_have_flash_and_static_ram_at_fixed_addresses() {
        let flash = ("vexpress.flash0", 0x400_0000);
        let blocks = [("vexpress.highmem", MIB), flash, ("vexpress.sram", 0x200_0000)];
        let starts =
            |name| shown(name, &blocks, Shadow::PCI).iter().map(|p| p.0).collect::<Vec<_>>();
        assert_eq!(starts("vexpress-a15"), [0, 0x800_0000, 0x1400_0000, 0x8000_0000]);
        assert_eq!(starts("vexpress-a9"), [0, 0x4000_0000, 0x4800_0000, 0x6000_0000]);
        let blocks = [("versatile.flash", MIB), ("versatile.ram", MIB)];
        let wanted = [(0x3400_0000, MIB, Some((0, 0))), (0, MIB, Some((1, 0)))];
        assert_eq!(shown("versatilepb", &blocks, Shadow::PCI), wanted);
        let blocks = [("virt.flash1", MIB), ("mach-virt.ram", MIB)];
        let wanted = [(0x400_0000, MIB, Some((0, 0))), (GIB, MIB, Some((1, 0)))];
        assert_eq!(shown("virt-7.2", &blocks, Shadow::PCI), wanted);
    }

    #[test]
    fn without_main_ram_nothing_is_placed() {
        let error = place_blocks("pc", &PC[1..], Shadow::RAM).expect_err("no RAM");
        assert_eq!(error, PlaceError::NoMain("pc".into()));
        assert!(place_blocks("raspi2b", &PC, Shadow::RAM).is_err());
    }

    #[test]
    fn unknown_machines_are_an_error_that_lists_the_known() {
        for name in ["", "microvm", "pc-", "virt-x.y", "virt-", "pc-q35-7"] {
            let error = place(name, 1).expect_err("not known");
            assert!(error.to_string().ends_with(&NAMES.join(", ")));
        }
        assert!(NAMES.iter().all(|name| place(name, 1).is_ok()));
    }

    #[test]
    fn no_ram_has_no_place() {
        assert_eq!(place("pc", 0), Ok(Vec::new()));
    }
}
