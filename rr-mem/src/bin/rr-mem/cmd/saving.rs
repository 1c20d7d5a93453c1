//! What commands that write a file of guest memory share.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rr_mem::{
    addr::{PAGE, RangeSet},
    image::{
        CoreNote, Description,
        save::{self, FileFormat},
    },
    memory::Memory,
    region::RegionMap,
    regs::{Arch, Cpu, Regs},
};
use tempfile::NamedTempFile;

use crate::{
    output::{Progress, failed, note, usage},
    source::Opened,
};

/// A file that takes its place when it is complete.
pub struct Target {
    path: PathBuf,
    file: NamedTempFile,
}

impl Target {
    /// Beside `path`, whose file stays as it is until then.
    pub fn new(path: &Path) -> anyhow::Result<Self> {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(usage(
                format!("{} is no regular file", path.display()),
                "give -o a file: its blocks of zeros become holes",
            ));
        }
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".rr-mem-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .map_err(|error| cannot_write(&path, &error))?;
        Ok(Self { path, file })
    }

    /// Writes guest memory: what was written.
    pub fn save(
        &mut self,
        format: &FileFormat<'_>,
        memory: &dyn Memory,
        wanted: &RangeSet,
    ) -> anyhow::Result<RangeSet> {
        let mut progress = Progress::new("writing");
        let file: &mut File = self.file.as_file_mut();
        save::save(file, format, memory, wanted, &mut |bytes| progress.set(bytes))
            .map_err(|error| cannot_write(&self.path, &error))
    }

    /// Puts the file in its place: its length.
    pub fn finish(self) -> anyhow::Result<u64> {
        let Self { path, file } = self;
        let file = file.persist(&path).map_err(|error| cannot_write(&path, &error.error))?;
        Ok(file.metadata().map_err(|error| cannot_write(&path, &error))?.len())
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> anyhow::Error {
    failed(format!("could not write {}: {error}", path.display()), "check its path and its disk")
}

/// What an ELF core says beside memory.
pub fn describe(opened: &Opened, version: &str) -> Description {
    let cpus: Vec<Cpu> = opened.cpus.iter().map(|(_, cpu)| *cpu).collect();
    for ((number, _), place) in opened.cpus.iter().zip(0..) {
        if *number != place {
            note(format!("CPU {number} of the source is CPU {place} of the file"));
        }
    }
    let mut description = Description::new(arch(opened), version.to_owned()).with_cpus(&cpus);
    // Where the emulator had its blocks is nothing that a file has.
    description.regions = opened.guest.regions().ok().map(RegionMap::without_hosts);
    description.address_space = opened.address_space;
    description.style = opened.style;
    description
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
pub fn notes(
    opened: &Opened,
    description: &Description,
    others: &[CoreNote],
    holds: &RangeSet,
) -> Vec<CoreNote> {
    let absent = opened.coverage.memory.without(holds);
    let own = description.clone().with_absent(&absent).note();
    others.iter().cloned().chain([own]).collect()
}

/// Where the guest has memory, whether or not the source holds it or knows.
pub fn memory(opened: &Opened) -> RangeSet {
    let (Ok(map), Ok(view)) = (opened.guest.regions(), opened.guest.flat_view()) else {
        return opened.coverage.memory.clone();
    };
    let memory = view.ranges().iter().filter(|range| map.region(range.region).reads_like_memory());
    let by_map: RangeSet = memory.map(|range| range.start.0..=range.last().0).collect();
    opened.coverage.memory.or(&by_map)
}

/// Says how much is left out, and where it begins.
pub fn left_out(what: &str, ranges: &RangeSet) {
    if let Some((first, _)) = ranges.iter().next() {
        let (pages, bytes) = (ranges.blocks(PAGE), ranges.count());
        note(format!("{what}: {pages} pages ({bytes:#x} bytes), the first at {first:#x}"));
    }
}
