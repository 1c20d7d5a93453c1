//! Answers as frozen objects; `str()` of one is the command line's text.

use pyo3::prelude::*;
use rr_mem::{
    mmu::{Mapping as LibraryMapping, Mmu, Progression},
    qemu::VirtualCpu,
    region::{
        FlatRange as LibraryRange, MemoryRegion, RamBlock as LibraryBlock, RegionMap,
        Section as Found, monitor,
    },
    report::{AliasRow, CpuRow, FindRow, RamRow, StepRow, V2pRow, WherePlace, WhereRow},
    watch,
};

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[pyclass(frozen, get_all, module = "rr_mem")]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
                /// The command line's text.
                pub text: String,
            }

            #[pymethods]
            impl $name {
                fn __str__(&self) -> &str {
                    &self.text
                }

                fn __repr__(&self) -> String {
                    format!("<{} {}>", stringify!($name), self.text.trim())
                }
            }
        )*

        /// Adds the classes to the module.
        pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
            $(module.add_class::<$name>()?;)*
            Ok(())
        }
    };
}

rows! {
    /// Where a guest virtual address leads.
    Translation {
        /// The address asked for.
        gva: u64,
        /// Its guest physical address.
        gpa: u64,
        /// Bytes of the page.
        page_size: u64,
        /// Effective rights, such as "kernel r-x user ---".
        rights: String,
        /// The region's name.
        region: Option<String>,
        /// The byte in the region.
        offset: Option<u64>,
        /// The RAM block behind the region.
        ram_block: Option<String>,
        /// The byte in the emulator.
        host: Option<u64>,
    }

    /// A table entry read on a walk.
    Step {
        /// The manual's name of the entry.
        level: &'static str,
        /// The entry's index in its table.
        index: u64,
        /// The entry's guest physical address.
        at: u64,
        /// Bytes of the entry: 4 or 8.
        size: u64,
        /// The entry in the emulator.
        host: Option<u64>,
        /// Its raw value.
        entry: u64,
        /// Its decoded flags, by the manual's names.
        flags: Vec<&'static str>,
    }

    /// A walk through the tables, whatever it found.
    Walk {
        /// The address asked for.
        gva: u64,
        /// The paging mode.
        mode: &'static str,
        /// Every table entry read.
        steps: Vec<Py<Step>>,
        /// Where it leads; `None` when it is not mapped or not known.
        translation: Option<Py<Translation>>,
        /// Why it is not mapped: a short stable name.
        fault: Option<&'static str>,
        /// Why no answer could be given.
        error: Option<String>,
    }

    /// Virtual addresses of a physical one: `count`, each `stride` bytes behind
    /// the one before.
    Alias {
        /// The physical address.
        gpa: u64,
        /// The first virtual address.
        gva: u64,
        /// How many.
        count: u64,
        /// Bytes from one to the next.
        stride: u64,
        /// Bytes of the page.
        page_size: u64,
        /// Effective rights.
        rights: String,
    }

    /// What `memory_region_find` returns.
    Section {
        /// The address asked for.
        gpa: u64,
        /// The region's name.
        region: String,
        /// The byte found, in the region.
        offset_within_region: u64,
        /// The byte found, in the address space.
        offset_within_address_space: u64,
        /// Bytes from there on.
        size: u128,
        /// Writes do not change it.
        readonly: bool,
        /// The RAM block behind the region.
        ram_block: Option<String>,
        /// The byte in the emulator.
        host: Option<u64>,
    }

    /// A run of mappings.
    Mapping {
        /// The first address.
        gva: u64,
        /// The last address, included.
        last: u64,
        /// The physical address of the first byte, unless the pages map anything.
        gpa: Option<u64>,
        /// Bytes of a page.
        page_size: u64,
        /// Effective rights.
        rights: String,
    }

    /// A CPU of the guest.
    Cpu {
        /// Its number.
        cpu: u64,
        /// The architecture of its mode.
        arch: &'static str,
        /// The paging mode.
        mode: &'static str,
        /// The program counter.
        pc: u64,
        /// Its thread in the emulator.
        thread: u64,
        /// Runs with user privilege.
        user_mode: bool,
        /// Waits for an interrupt.
        halted: bool,
        /// What runs it: tcg, kvm, kvm (stale).
        accelerator: &'static str,
        /// The address space that it uses.
        address_space: Option<String>,
        /// Paging registers: (name, value).
        registers: Vec<(&'static str, u64)>,
    }

    /// A RAM block.
    RamBlock {
        /// QEMU's `idstr`.
        name: String,
        /// The first byte in the emulator.
        host: Option<u64>,
        /// Bytes that the guest sees.
        used_length: u64,
        /// Bytes that the block may grow to.
        max_length: u64,
        /// Bytes of a host page of it.
        page_size: u64,
    }

    /// A range of the guest's physical address space.
    FlatRange {
        /// The first address.
        gpa: u64,
        /// Bytes.
        size: u128,
        /// The region's name.
        region: String,
        /// The byte of the region at `gpa`.
        offset: u64,
        /// The monitor's word for what it is: ram, rom, romd, ramd, i/o.
        kind: &'static str,
    }

    /// A memory region.
    Region {
        /// Its place in `regions`.
        number: usize,
        /// QEMU's name; not unique.
        name: Option<String>,
        /// Offset in the container.
        addr: u64,
        /// Bytes.
        size: u128,
        /// The monitor's word for what it is: ram, rom, romd, ramd, i/o.
        kind: &'static str,
        /// Against its siblings: the higher hides the lower.
        priority: i32,
        /// A disabled region is not there.
        enabled: bool,
        /// The device that made it.
        owner: Option<String>,
        /// The region that it is in, by number.
        container: Option<u32>,
        /// The region that is seen through it, by number.
        alias: Option<u32>,
        /// The first byte of that region that is seen.
        alias_offset: u64,
        /// The RAM block behind it.
        ram_block: Option<String>,
    }

    /// Bytes that one watchpoint register of the host's processor covers.
    Piece {
        /// The first byte's address as it was asked for, virtual or physical.
        address: u64,
        /// Its guest physical address.
        gpa: u64,
        /// The same byte in the emulator.
        host: u64,
        /// Bytes: 1, 2, 4 or 8.
        length: usize,
    }

    /// Where the guest sees a byte of its RAM.
    Place {
        /// Its guest physical address.
        gpa: u64,
        /// The region's name.
        region: String,
        /// The byte of the region.
        offset: u64,
        /// Its virtual addresses.
        aliases: Vec<Py<Alias>>,
        /// There are more than were asked for.
        more: bool,
    }

    /// What a pointer of the emulator leads to.
    Where {
        /// The pointer.
        hva: u64,
        /// What the host has mapped there.
        area: Option<String>,
        /// The RAM block that it is in.
        ram_block: Option<String>,
        /// The byte of the RAM block.
        offset: Option<u64>,
        /// Where the guest sees it.
        places: Vec<Py<Place>>,
    }

    /// Guest memory as `x` shows it.
    Listing {
        /// The address behind what was shown.
        next: u64,
        /// The address of the last value.
        last: Option<u64>,
        /// The last value's bytes; empty after strings.
        contents: Vec<u8>,
        /// What stopped it early: an exception that was not raised.
        error: Option<Py<PyAny>>,
        /// The format that was used, for the next listing.
        format: String,
    }
}

impl Translation {
    /// Of a row that has one.
    pub fn new(row: &V2pRow) -> Option<Self> {
        Some(Self {
            gva: row.gva.0,
            gpa: row.gpa?.0,
            page_size: row.page_size?,
            rights: row.rights?.to_string(),
            region: row.region.clone(),
            offset: row.offset,
            ram_block: row.ram_block.clone(),
            host: row.host.map(|host| host.0),
            text: row.to_string(),
        })
    }
}

impl Step {
    fn new(row: &StepRow, size: u64) -> Self {
        Self {
            size,
            level: row.level,
            index: row.index,
            at: row.at.0,
            host: row.host.map(|host| host.0),
            entry: row.entry,
            flags: row.flags.clone(),
            text: row.to_string(),
        }
    }
}

impl Walk {
    /// Of a row, by this paging.
    pub fn new(py: Python<'_>, row: &V2pRow, mmu: &Mmu) -> PyResult<Self> {
        let size = mmu.entry_bytes();
        let steps: PyResult<_> =
            row.steps.iter().map(|step| Py::new(py, Step::new(step, size))).collect();
        Ok(Self {
            gva: row.gva.0,
            mode: mmu.mode(),
            steps: steps?,
            translation: Translation::new(row).map(|found| Py::new(py, found)).transpose()?,
            fault: row.fault.as_ref().map(|fault| fault.kind),
            error: row.error.as_ref().map(|error| error.text.clone()),
            text: row.to_string(),
        })
    }
}

impl Alias {
    /// Of a row that has one.
    pub fn new(row: &AliasRow) -> Option<Self> {
        Some(Self {
            gpa: row.gpa.0,
            gva: row.gva?.0,
            count: row.count,
            stride: row.stride,
            page_size: row.page_size?,
            rights: row.rights?.to_string(),
            text: row.to_string(),
        })
    }
}

impl Section {
    /// Of what was found.
    pub fn new(row: FindRow, found: &Found) -> Self {
        Self {
            gpa: row.gpa.0,
            text: row.to_string(),
            region: row.region.unwrap_or_default(),
            offset_within_region: found.offset_within_region,
            offset_within_address_space: found.offset_within_address_space.0,
            size: found.size,
            readonly: found.readonly,
            ram_block: row.ram_block,
            host: row.host.map(|host| host.0),
        }
    }
}

impl From<&LibraryMapping> for Mapping {
    fn from(run: &LibraryMapping) -> Self {
        let LibraryMapping { gva, last, gpa, page_size, rights, .. } = *run;
        let scattered = matches!(run.progression, Progression::Scattered);
        let physical = if scattered { String::new() } else { format!("  -> {gpa}") };
        let size = rr_mem::report::size(page_size);
        Self {
            gva: gva.0,
            last: last.0,
            gpa: (!scattered).then_some(gpa.0),
            page_size,
            rights: rights.to_string(),
            text: format!("{gva:#018x}-{last:#018x}  {rights}  {size:>3}{physical}"),
        }
    }
}

impl Cpu {
    /// Of a CPU whose address spaces are those of `map`.
    pub fn new(cpu: &VirtualCpu, map: &RegionMap) -> Self {
        let row = CpuRow::new(cpu, map);
        Self {
            text: row.to_string(),
            cpu: row.cpu,
            arch: row.arch,
            mode: row.mode,
            pc: row.pc,
            thread: row.thread,
            user_mode: row.user_mode,
            halted: row.halted,
            accelerator: row.accelerator,
            address_space: row.address_space,
            registers: row.registers,
        }
    }
}

impl Region {
    /// Of region `number` of `map`.
    pub fn new(map: &RegionMap, number: usize, region: &MemoryRegion) -> Self {
        let kind = monitor::kind(region);
        let MemoryRegion { addr, size, priority, .. } = *region;
        Self {
            text: format!("{addr:#018x}  {size:#x} bytes  {kind}: {}", region.display_name()),
            number,
            name: region.name.clone(),
            addr,
            size,
            kind,
            priority,
            enabled: region.enabled,
            owner: region.owner.clone(),
            container: region.container.map(|id| id.0),
            alias: region.alias.map(|id| id.0),
            alias_offset: region.alias_offset,
            ram_block: region.ram_block.map(|id| map.block(id).name.clone()),
        }
    }
}

impl From<&watch::Watched> for Piece {
    fn from(piece: &watch::Watched) -> Self {
        let watch::Watched { address, gpa, hva, len } = *piece;
        Self {
            text: format!("{address}  gpa {gpa}  host {hva}  {len} bytes"),
            address: address.raw(),
            gpa: gpa.0,
            host: hva.0,
            length: len,
        }
    }
}

impl RamBlock {
    /// Of a block, with what the host tells of it.
    pub fn new(block: &LibraryBlock, row: &RamRow) -> Self {
        Self {
            name: block.name.clone(),
            host: block.host.map(|host| host.0),
            used_length: block.used_length,
            max_length: block.max_length,
            page_size: block.page_size,
            text: row.to_string(),
        }
    }
}

impl FlatRange {
    /// Of a range of a view of `map`.
    pub fn new(map: &RegionMap, range: &LibraryRange) -> Self {
        let region = map.region(range.region).display_name().to_owned();
        let kind = monitor::range_kind(map, range);
        let (first, last, offset) = (range.start, range.last(), range.offset_in_region);
        Self {
            text: format!("{first:#018x}-{last:#018x}  {kind}: {region}+{offset:#x}"),
            gpa: first.0,
            size: range.size,
            region,
            offset,
            kind,
        }
    }
}

impl Where {
    /// Of a row.
    pub fn new(py: Python<'_>, row: WhereRow) -> PyResult<Self> {
        let text = row.to_string();
        let places: PyResult<_> =
            row.places.iter().map(|at| Py::new(py, Place::new(py, at)?)).collect();
        Ok(Self {
            hva: row.hva.0,
            area: row.area,
            ram_block: row.ram_block,
            offset: row.offset_in_block,
            places: places?,
            text,
        })
    }
}

impl Place {
    fn new(py: Python<'_>, place: &WherePlace) -> PyResult<Self> {
        let aliases =
            place.gvas.iter().flatten().filter_map(Alias::new).map(|alias| Py::new(py, alias));
        Ok(Self {
            gpa: place.gpa.0,
            region: place.region.clone(),
            offset: place.offset,
            aliases: aliases.collect::<PyResult<_>>()?,
            more: place.more,
            text: place.to_string(),
        })
    }
}
