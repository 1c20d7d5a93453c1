//! Where known machine types of QEMU place their main RAM.
//!
//! From QEMU 7.2's `info mtree -f` with RAM sizes around each limit; PANDA's
//! machines are the same. A raw image of RAM is one block: this says which of
//! its bytes is at which guest physical address. The ranges are RAM's own:
//! on a PC devices and ROM may hide parts of the first MiB.
//!
//! Not here: memory hotplug, NUMA backends, `max-ram-below-4g`, the hole that
//! PCs with an AMD CPU have below 1 TiB, and the video RAM, flash and other
//! blocks that a machine has besides.

use serde::Serialize;
use thiserror::Error;

use crate::addr::{Gpa, hex};

const GIB: u64 = 1 << 30;

/// Where RAM that does not fit below the devices of a PC goes on.
const ABOVE_4G: Gpa = Gpa(4 * GIB);

/// A piece of main RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
pub struct UnknownMachine {
    /// What was asked for.
    pub name: String,
}

/// The machine types that [`place`] knows; versions such as
/// `pc-i440fx-7.2`, `pc-q35-7.2` and `virt-7.2` are known too.
pub const NAMES: [&str; 5] = ["pc", "q35", "virt", "vexpress-a9", "vexpress-a15"];

/// How a machine lays out its RAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// All from one address on.
    From(Gpa),
    /// All from 0 on below `limit` bytes, else `below` bytes there and the
    /// rest at 4 GiB.
    Split { limit: u64, below: u64 },
}

fn layout(name: &str) -> Option<Layout> {
    let versions = |family: &str| name.strip_prefix(family).is_some_and(is_version);
    let pc = Layout::Split { limit: 0xe000_0000, below: 0xc000_0000 };
    let q35 = Layout::Split { limit: 0xb000_0000, below: 0x8000_0000 };
    match name {
        "pc" => Some(pc),
        "q35" => Some(q35),
        "virt" => Some(Layout::From(Gpa(GIB))),
        "vexpress-a9" => Some(Layout::From(Gpa(0x6000_0000))),
        "vexpress-a15" => Some(Layout::From(Gpa(0x8000_0000))),
        _ if versions("pc-i440fx-") => Some(pc),
        _ if versions("pc-q35-") => Some(q35),
        _ if versions("virt-") => Some(Layout::From(Gpa(GIB))),
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
    let layout = layout(name).ok_or_else(|| UnknownMachine { name: name.to_owned() })?;
    let (first, below) = match layout {
        Layout::From(gpa) => (gpa, ram_size),
        Layout::Split { limit, below } if ram_size >= limit => (Gpa(0), below),
        Layout::Split { .. } => (Gpa(0), ram_size),
    };
    let low = Placement { gpa: first, len: below, ram_offset: 0 };
    let high = Placement { gpa: ABOVE_4G, len: ram_size - below, ram_offset: below };
    Ok([low, high].into_iter().filter(|piece| piece.len > 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// First and last address and RAM offset, as in `info mtree -f`.
    type Piece = (u64, u64, u64);

    fn pieces(name: &str, mib: u64) -> Vec<Piece> {
        let placed = place(name, mib * MIB).expect("a known machine");
        placed.iter().map(|p| (p.gpa.0, p.gpa.0 + p.len - 1, p.ram_offset)).collect()
    }

    /// What QEMU 7.2.22 answered to `info mtree -f` with `-m` of so many MiB.
    fn facts(name: &str, facts: &[(u64, &[Piece])]) {
        for &(mib, expected) in facts {
            assert_eq!(pieces(name, mib), expected, "{name} -m {mib}");
        }
    }

    #[test]
    fn pc_splits_from_3584_mib_on() {
        const BELOW: Piece = (0, 0xbfff_ffff, 0);
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
        const BELOW: Piece = (0, 0x7fff_ffff, 0);
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
    }

    #[test]
    fn unknown_machines_are_an_error_that_lists_the_known() {
        for name in ["", "microvm", "pc-", "virt-x.y", "virt-", "pc-q35-7"] {
            let error = place(name, 1).expect_err("not known");
            assert!(
                error.to_string().ends_with("known are pc, q35, virt, vexpress-a9, vexpress-a15")
            );
        }
        assert!(NAMES.iter().all(|name| place(name, 1).is_ok()));
    }

    #[test]
    fn no_ram_has_no_place() {
        assert_eq!(place("pc", 0), Ok(Vec::new()));
    }
}
