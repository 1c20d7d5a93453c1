//! Rows about addresses, from the library's answers.

use super::{
    IfAsked,
    declared::{
        AliasRow, ConvertRow, ErrorRow, FaultRow, FindRow, HitRow, MappingRow, PieceRow, RightsRow,
        RootRow, RwxRow, SliceRow, StepRow, V2pRow,
    },
};
use crate::{
    addr::{Gpa, Gva, Hex, PAGE},
    advice::{Explain, Face},
    guest::{Guest, Missing, Place, search::Hit},
    memory::{Memory, ReadError},
    mmu::{
        Alias, Fault, Level, Mapping, Mmu, Progression, Query, Rights, RootCandidate, Rwx, Step,
        TableUnreadable, WalkError,
    },
    region::Section,
    regs::Regs,
    save::{Converted, Sliced},
    watch::Watched,
};

impl Copy for RwxRow {}

impl Copy for RightsRow {}

impl From<Rwx> for RwxRow {
    fn from(Rwx { r, w, x }: Rwx) -> Self {
        Self { r, w, x }
    }
}

impl RightsRow {
    /// Rights that are known.
    #[must_use]
    pub fn known(rights: Rights) -> Option<Self> {
        let row = Self { kernel: rights.kernel.into(), user: rights.user.into() };
        (!rights.unknown).then_some(row)
    }
}

impl From<&Fault> for FaultRow {
    fn from(fault: &Fault) -> Self {
        Self {
            kind: fault.kind.name(),
            level: fault.entry.map(|step| step.level.entry_name()),
            entry: fault.entry.map(|step| Hex(step.raw)),
            at: fault.entry.map(|step| step.at),
            status: fault.status.map(Hex),
            sentence: fault.to_string(),
        }
    }
}

impl ErrorRow {
    /// A failure at `address` while doing `step`; `face` words the hint.
    #[must_use]
    pub fn new(error: &dyn Explain, address: Option<u64>, step: &str, face: &dyn Face) -> Self {
        Self {
            kind: error.kind(),
            address: address.map(Hex),
            step: step.to_owned(),
            hint: error.advice().words(face),
            sentence: error.to_string(),
        }
    }

    /// A table that could not be read.
    #[must_use]
    pub fn table(error: &TableUnreadable, face: &dyn Face) -> Self {
        let step = format!("reading the {} entry at {}", error.level, error.at);
        let row = Self::new(&error.source, Some(error.source.addr), &step, face);
        Self { sentence: error.to_string(), ..row }
    }

    /// Memory that could not be read.
    #[must_use]
    pub fn read(error: &ReadError, face: &dyn Face) -> Self {
        Self::new(error, Some(error.addr), "reading guest memory", face)
    }

    /// What the source lacks.
    #[must_use]
    pub fn missing(missing: Missing, face: &dyn Face) -> Self {
        Self::new(&missing, None, "looking for what the source holds", face)
    }
}

impl V2pRow {
    /// Asks `guest` for `gva`; `face` words hints.
    ///
    /// # Errors
    /// When the guest lacks registers or memory altogether.
    pub fn new<M: Memory>(
        guest: &Guest<M>,
        gva: Gva,
        query: Query,
        face: &dyn Face,
    ) -> Result<Self, Missing> {
        let walk = match guest.walk(gva, query) {
            Err(missing) if missing.is_of_addresses() => {
                return Ok(Self {
                    error: Some(ErrorRow::missing(missing, face)),
                    ..Self::unknown(guest, gva)
                });
            }
            walk => walk?,
        };
        let mmu = guest.mmu()?;
        let mut row = Self::unknown(guest, gva);
        row.steps = walk.steps.iter().map(|step| StepRow::new(guest, mmu, step)).collect();
        match &walk.result {
            Ok(found) => {
                row.gpa = Some(found.gpa);
                row.page_size = Some(found.page_size);
                row.rights = RightsRow::known(found.rights);
                row.encrypted = IfAsked(mmu.encrypts(found));
                row.place(guest.place(found.gpa));
            }
            Err(WalkError::Fault(fault)) => row.fault = Some(fault.into()),
            Err(WalkError::Unreadable(error)) => row.error = Some(ErrorRow::table(error, face)),
        }
        Ok(row)
    }

    fn unknown<M>(guest: &Guest<M>, gva: Gva) -> Self {
        Self {
            gva,
            gpa: None,
            page_size: None,
            rights: None,
            encrypted: IfAsked(None),
            region: None,
            offset: None,
            ram_block: None,
            host: None,
            fault: None,
            error: None,
            steps: Vec::new(),
            symbol: IfAsked(None),
            remarks: Vec::new(),
            mode: guest.mmu().ok().map(Mmu::mode),
            arch: guest.regs().map(Regs::arch),
        }
    }

    fn place(&mut self, place: Option<Place<'_>>) {
        if let Some(place) = place {
            self.region = Some(place.region.to_owned());
            self.offset = Some(Hex(place.offset));
            self.ram_block = place.ram_block.map(str::to_owned);
            self.host = place.host;
        }
    }
}

impl StepRow {
    fn new<M>(guest: &Guest<M>, mmu: &Mmu, step: &Step) -> Self {
        let region = step.level == Level::Region;
        Self {
            level: step.level.entry_name(),
            index: step.index,
            at: step.at,
            // The registers of a region are in no memory.
            host: guest.place(step.at).filter(|_| !region).and_then(|place| place.host),
            entry: Hex(step.raw),
            flags: mmu.flags(step),
            size: mmu.entry_bytes(),
        }
    }
}

impl AliasRow {
    /// `alias` as one of `gpa`'s.
    #[must_use]
    pub fn new(gpa: Gpa, alias: &Alias) -> Self {
        Self {
            gpa,
            gva: Some(alias.gva),
            count: alias.count,
            stride: Hex(alias.stride),
            page_size: Some(alias.page_size),
            rights: RightsRow::known(alias.rights),
        }
    }

    /// The row of an address that nothing maps.
    #[must_use]
    pub fn unmapped(gpa: Gpa) -> Self {
        Self { gpa, gva: None, count: 0, stride: Hex(0), page_size: None, rights: None }
    }
}

impl FindRow {
    /// What `section`, found for `gpa`, says.
    #[must_use]
    pub fn new<M>(guest: &Guest<M>, gpa: Gpa, section: Option<&Section>) -> Self {
        let place = section.and_then(|section| guest.place(section.offset_within_address_space));
        Self {
            gpa,
            region: place.map(|place| place.region.to_owned()),
            offset_within_region: section.map(|section| Hex(section.offset_within_region)),
            offset_within_address_space: section
                .map(|section| Hex(section.offset_within_address_space.0)),
            size: section.map(|section| Hex(section.size)),
            readonly: section.map(|section| section.readonly),
            nonvolatile: section.map(|section| section.nonvolatile),
            ram_block: place.and_then(|place| place.ram_block.map(str::to_owned)),
            host: place.and_then(|place| place.host),
        }
    }
}

impl From<&Mapping> for MappingRow {
    fn from(mapping: &Mapping) -> Self {
        let (gpa_step, every) = match mapping.progression {
            Progression::Linear => (Some(mapping.page_size), None),
            Progression::Same(unit) => (Some(0), Some(Hex(unit))),
            Progression::Scattered => (None, None),
        };
        Self {
            gva: mapping.gva,
            last: mapping.last,
            length: Hex(mapping.len()),
            gpa: gpa_step.map(|_| mapping.gpa),
            gpa_step: gpa_step.map(Hex),
            page_size: mapping.page_size,
            rights: RightsRow::known(mapping.rights),
            every,
        }
    }
}

impl From<&Watched> for PieceRow {
    fn from(&Watched { address, gpa, hva, len }: &Watched) -> Self {
        Self { address: Hex(address.raw()), gpa, host: hva, length: len }
    }
}

impl From<&RootCandidate> for RootRow {
    fn from(root: &RootCandidate) -> Self {
        Self {
            root: root.root,
            register: root.register.name(),
            mode: root.mode,
            tcr: root.regs.tcr().map(Hex),
            kernel_pages: root.kernel_pages,
            user_pages: root.user_pages,
            shared_by: root.shared_by,
            pair: root.pair,
        }
    }
}

impl From<Hit> for HitRow {
    fn from(Hit { gva, gpa, count, stride }: Hit) -> Self {
        Self { gva, gpa, count, stride: Hex(stride) }
    }
}

impl From<&Sliced> for SliceRow {
    fn from(sliced: &Sliced) -> Self {
        Self {
            table_pages: sliced.table_pages,
            data_pages: sliced.data_pages,
            cpus: sliced.cpus,
            file_bytes: Hex(sliced.file_bytes),
        }
    }
}

impl From<&Converted> for ConvertRow {
    fn from(converted: &Converted) -> Self {
        Self {
            ranges: converted.written.iter().len(),
            bytes: Hex(converted.written.count()),
            absent_pages: converted.absent.blocks(PAGE),
            file_bytes: Hex(converted.file_bytes),
        }
    }
}
