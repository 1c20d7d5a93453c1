//! Guests written to files: slices, which hold what some questions stand on, and
//! all of the memory in another format.
//!
//! A file takes its place when it is whole. What cannot be read is left out and
//! answered, never written as zeros unless that is asked for.

mod convert;
mod file;
mod slice;

pub use convert::{ConvertAsked, ConvertError, Converted, FileKind, convert};
pub use file::NewFileError;
pub use slice::{Shortfall, SliceAsked, SliceFileError, Sliced, slice};

use crate::{
    addr::RangeSet,
    guest::Missing,
    image::{CoreNote, Description},
    region::RegionMap,
    regs::{Arch, Cpu, Regs},
    source::Opened,
};

/// CPUs that have another number in a file: their numbers in the source, and in
/// the file.
#[must_use]
pub fn renumbered(opened: &Opened) -> Vec<(u64, u64)> {
    let numbers = opened.cpus.iter().map(|(number, _)| *number).zip(0..);
    numbers.filter(|(number, place)| number != place).collect()
}

/// What an ELF core says beside memory; `writer` is what made it. It has no word for
/// an architecture that no walker models.
fn describe(opened: &Opened, writer: String) -> Result<Description, Missing> {
    if let Some(other) = opened.other {
        return Err(Missing::Walker(other));
    }
    let cpus: Vec<Cpu> = opened.cpus.iter().map(|(_, cpu)| *cpu).collect();
    let mut description = Description::new(arch(opened), writer).with_cpus(&cpus);
    // Where the emulator had its blocks is nothing that a file has.
    description.regions = opened.guest.regions().ok().map(RegionMap::without_hosts);
    description.address_space = opened.address_space;
    description.style = opened.style;
    Ok(description)
}

/// The architecture of the chosen CPU, in the mode that it is in.
fn arch(opened: &Opened) -> Arch {
    match (opened.cpu.regs, opened.arch) {
        // A dump of a 64-bit guest stays one whatever its CPU does.
        (Regs::X86(_), Some(arch @ (Arch::X86_64 | Arch::I386))) => arch,
        (regs, _) => regs.arch(),
    }
}

/// The notes of a core that leaves out what of the guest's memory is not in
/// `holds`.
fn notes(
    opened: &Opened,
    description: &Description,
    others: &[CoreNote],
    holds: &RangeSet,
) -> Vec<CoreNote> {
    let absent = opened.coverage.memory.without(holds);
    let own = description.clone().with_absent(&absent).note();
    others.iter().cloned().chain([own]).collect()
}
