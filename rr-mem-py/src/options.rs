//! What the constructors of a guest take.

use std::{fs, path::PathBuf};

use pyo3::{prelude::*, types::PyDict};
use rr_mem::{
    addr::Gpa,
    debuginfo::Search,
    qemu::Offsets,
    region::{
        FlatRange, RegionMap, monitor,
        physical::{Backing, PhysicalMemory, PhysicalRange},
    },
    regs::{Arch, Regs},
};

use crate::error::{Bridge, SourceError, raise, usage};

/// Where struct offsets come from.
pub fn offsets(layout: Option<PathBuf>, debug_file: Option<PathBuf>) -> PyResult<Offsets> {
    let Some(path) = layout else {
        return Ok(Offsets::Found(Search { debug_file, ..Search::default() }));
    };
    serde_json::from_str(&text(&path)?).map(Offsets::Given).map_err(|error| {
        let what = format!("{}: {error}", path.display());
        usage(what, "it is a JSON file of struct offsets; `rr-mem layout ELF` makes one")
    })
}

/// The region map in the text of the monitor's `info mtree -f`.
pub fn region_map(text: &str) -> PyResult<RegionMap> {
    monitor::parse(text).map(|flat| flat.map).map_err(|error| error.bridge())
}

/// Registers by name over those of a CPU, or the usual ones of `arch`.
pub fn registers(
    arch: Option<&str>,
    own: Option<&Regs>,
    given: &Bound<'_, PyDict>,
) -> PyResult<Regs> {
    let arch = arch.map(str::parse::<Arch>).transpose();
    let arch = arch.map_err(|error| usage(error, "i386, x86_64, arm, aarch64"))?;
    let none = || usage("the source holds no registers to begin with", "give arch, too");
    let mut regs = arch.map(Regs::defaults).or(own.copied()).ok_or_else(none)?;
    for (name, value) in given {
        let name: String = name.extract()?;
        if !regs.set(&name, value.extract()?) {
            let what = format!("{} has no register {name} that steers paging", regs.arch());
            return Err(usage(what, "names are the manual's, in lower case"));
        }
    }
    Ok(regs)
}

/// The RAM and ROM that the CPUs' address space shows.
pub fn physical_ranges(map: &RegionMap) -> PyResult<PhysicalMemory<Gpa, ()>> {
    let space = map.address_space("memory").or(map.address_spaces().first());
    let view = space.map(|space| map.view(space)).transpose().map_err(|error| error.bridge())?;
    let view = view.unwrap_or_default();
    let like_memory = |range: &&FlatRange| map.region(range.region).reads_like_memory();
    let whole = |range: &FlatRange| PhysicalRange {
        gpa: range.start,
        len: u64::try_from(range.size).unwrap_or(u64::MAX),
        backing: Backing::At(range.start),
    };
    let ranges = view.ranges().iter().filter(like_memory).map(whole).collect();
    PhysicalMemory::new(ranges, ())
        .map_err(|error| usage(error, "check the text of `info mtree -f`"))
}

fn text(path: &PathBuf) -> PyResult<String> {
    fs::read_to_string(path).map_err(|error| {
        raise::<SourceError>(format!("{}: {error}", path.display()), "io", "check the path")
    })
}
