//! The rows, one struct per command.

use serde::{Serialize, Serializer};

use crate::{
    addr::{Gpa, Gva, Hva, hex},
    guest::{Guest, Missing, Place},
    image::ImageError,
    memory::{Memory, ReadError},
    mmu::{
        Alias, Fault, Mapping, Mmu, Progression, Query, Rights, RootCandidate, Rwx, Step,
        TableUnreadable, WalkError,
    },
    region::Section,
    regs::{Arch, Regs},
};

/// Where a guest virtual address leads.
#[derive(Clone, Debug, Serialize)]
pub struct V2pRow {
    /// The address asked for.
    pub gva: Gva,
    /// Its guest physical address.
    pub gpa: Option<Gpa>,
    /// Bytes of the page.
    pub page_size: Option<u64>,
    /// Effective rights.
    pub rights: Option<RightsRow>,
    /// The region's name.
    pub region: Option<String>,
    /// The byte in the region.
    #[serde(serialize_with = "optional_hex")]
    pub offset: Option<u64>,
    /// The RAM block behind the region.
    pub ram_block: Option<String>,
    /// The byte in the emulator's process.
    pub host: Option<Hva>,
    /// Why it is not mapped, or the access faults.
    pub fault: Option<FaultRow>,
    /// Why no answer could be given.
    pub error: Option<ErrorRow>,
    /// Every table entry read.
    pub steps: Vec<StepRow>,
    /// The architecture of the CPU.
    #[serde(skip)]
    pub arch: Option<Arch>,
}

/// Effective rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RightsRow {
    /// The supervisor; EL1 or the regime's own level.
    pub kernel: RwxRow,
    /// CPL 3; EL0.
    pub user: RwxRow,
}

/// What one privilege may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub struct RwxRow {
    pub r: bool,
    pub w: bool,
    pub x: bool,
}

/// See [`Fault`].
#[derive(Clone, Debug, Serialize)]
pub struct FaultRow {
    /// Its short stable name.
    pub kind: &'static str,
    /// The structure of the entry that decided.
    pub level: Option<&'static str>,
    /// The entry's raw value.
    #[serde(serialize_with = "optional_hex")]
    pub entry: Option<u64>,
    /// The entry's guest physical address.
    pub at: Option<Gpa>,
    /// The #PF error code or the ARM fault status, of an access.
    #[serde(serialize_with = "optional_hex")]
    pub status: Option<u32>,
    /// A sentence.
    #[serde(skip)]
    pub text: String,
}

/// A failure of ours.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorRow {
    /// Its short stable name.
    pub kind: &'static str,
    /// The address that could not be read.
    #[serde(serialize_with = "optional_hex")]
    pub address: Option<u64>,
    /// What was being done.
    pub step: String,
    /// What the user can do.
    pub hint: String,
    /// A sentence.
    #[serde(skip)]
    pub text: String,
}

/// A table entry read on a walk.
#[derive(Clone, Debug, Serialize)]
pub struct StepRow {
    /// The structure, by the manual's name of its entries.
    pub level: &'static str,
    /// The entry's index.
    pub index: u64,
    /// The entry's guest physical address.
    pub at: Gpa,
    /// The entry in the emulator's process.
    pub host: Option<Hva>,
    /// Its raw value.
    #[serde(with = "hex")]
    pub entry: u64,
    /// Its decoded flags.
    pub flags: Vec<&'static str>,
}

/// A virtual address of a physical one.
#[derive(Clone, Debug, Serialize)]
pub struct AliasRow {
    /// The address asked for.
    pub gpa: Gpa,
    /// A virtual address that maps it; none does when unknown.
    pub gva: Option<Gva>,
    /// How many there are, each `stride` bytes behind the one before.
    pub count: u64,
    /// See `count`.
    #[serde(with = "hex")]
    pub stride: u64,
    /// Bytes of the page.
    pub page_size: Option<u64>,
    /// Effective rights.
    pub rights: Option<RightsRow>,
}

/// What `memory_region_find` returns.
#[derive(Clone, Debug, Serialize)]
pub struct FindRow {
    /// The address asked for.
    pub gpa: Gpa,
    /// The region's name.
    pub region: Option<String>,
    /// The first byte found, in the region.
    #[serde(serialize_with = "optional_hex")]
    pub offset_within_region: Option<u64>,
    /// The first byte found, in the address space.
    #[serde(serialize_with = "optional_hex")]
    pub offset_within_address_space: Option<u64>,
    /// Bytes of the range from there on.
    #[serde(serialize_with = "optional_hex")]
    pub size: Option<u128>,
    /// Writes do not change it.
    pub readonly: Option<bool>,
    /// Persistent memory.
    pub nonvolatile: Option<bool>,
    /// The RAM block behind the region.
    pub ram_block: Option<String>,
    /// The byte in the emulator's process.
    pub host: Option<Hva>,
}

/// A run of mappings.
#[derive(Clone, Debug, Serialize)]
pub struct MappingRow {
    /// The first address.
    pub gva: Gva,
    /// The last address, included.
    pub last: Gva,
    /// Bytes.
    #[serde(with = "hex")]
    pub length: u128,
    /// The physical address of the first byte, unless the pages map anything.
    pub gpa: Option<Gpa>,
    /// How far `gpa` advances per page: the page size, 0 when all pages map
    /// the same one, unknown when they map anything.
    #[serde(serialize_with = "optional_hex")]
    pub gpa_step: Option<u64>,
    /// Bytes of a page (of the first one, where sizes differ).
    pub page_size: u64,
    /// Effective rights.
    pub rights: RightsRow,
}

/// A plausible table base.
#[derive(Clone, Debug, Serialize)]
pub struct RootRow {
    /// The table's address, as CR3 or TTBR holds it.
    pub root: Gpa,
    /// The register that holds it: CR3, TTBR0 or TTBR1.
    pub register: &'static str,
    /// The mode that it was tried in.
    pub mode: &'static str,
    /// ARM: the TCR, or TTBCR, that it was tried with.
    #[serde(serialize_with = "optional_hex")]
    pub tcr: Option<u64>,
    /// Pages that it maps in the kernel half.
    pub kernel_pages: u64,
    /// Pages that it maps in the user half.
    pub user_pages: u64,
    /// Listed tables with the same kernel half, this one included.
    pub shared_by: usize,
    /// The other table of a KPTI pair.
    pub pair: Option<Gpa>,
}

pub(super) fn optional_hex<T: std::fmt::LowerHex, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => hex::serialize(value, serializer),
        None => serializer.serialize_none(),
    }
}

impl From<Rwx> for RwxRow {
    fn from(Rwx { r, w, x }: Rwx) -> Self {
        Self { r, w, x }
    }
}

impl From<Rights> for RightsRow {
    fn from(rights: Rights) -> Self {
        Self { kernel: rights.kernel.into(), user: rights.user.into() }
    }
}

impl From<&Fault> for FaultRow {
    fn from(fault: &Fault) -> Self {
        Self {
            kind: fault.kind.name(),
            level: fault.entry.map(|step| step.level.entry_name()),
            entry: fault.entry.map(|step| step.raw),
            at: fault.entry.map(|step| step.at),
            status: fault.status,
            text: fault.to_string(),
        }
    }
}

impl From<&TableUnreadable> for ErrorRow {
    fn from(error: &TableUnreadable) -> Self {
        Self {
            step: format!("reading the {} entry at {}", error.level, error.at),
            text: error.to_string(),
            ..(&error.source).into()
        }
    }
}

impl From<&ReadError> for ErrorRow {
    fn from(error: &ReadError) -> Self {
        Self {
            kind: error.kind(),
            address: Some(error.addr),
            step: "reading guest memory".into(),
            hint: error.hint().into(),
            text: error.to_string(),
        }
    }
}

impl From<Missing> for ErrorRow {
    fn from(missing: Missing) -> Self {
        Self {
            kind: missing.kind(),
            address: None,
            step: "looking for what the source holds".into(),
            hint: missing.hint().into(),
            text: missing.to_string(),
        }
    }
}

impl From<&ImageError> for ErrorRow {
    fn from(error: &ImageError) -> Self {
        Self {
            kind: error.kind(),
            address: None,
            step: "opening the image".into(),
            hint: error.hint().into(),
            text: error.to_string(),
        }
    }
}

impl V2pRow {
    /// Asks `guest` for `gva`.
    ///
    /// # Errors
    /// When the guest lacks registers or memory altogether.
    pub fn new<M: Memory>(guest: &Guest<M>, gva: Gva, query: Query) -> Result<Self, Missing> {
        let walk = match guest.walk(gva, query) {
            Err(missing @ Missing::Table(_)) => {
                return Ok(Self { error: Some(missing.into()), ..Self::unknown(gva, Vec::new()) });
            }
            walk => walk?,
        };
        let mmu = guest.mmu()?;
        let steps = walk.steps.iter().map(|step| StepRow::new(guest, mmu, step)).collect();
        let mut row = Self::unknown(gva, steps);
        row.arch = guest.regs().map(Regs::arch);
        match &walk.result {
            Ok(found) => {
                row.gpa = Some(found.gpa);
                row.page_size = Some(found.page_size);
                row.rights = Some(found.rights.into());
                row.place(guest.place(found.gpa));
            }
            Err(WalkError::Fault(fault)) => row.fault = Some(fault.into()),
            Err(WalkError::Unreadable(error)) => row.error = Some((&**error).into()),
        }
        Ok(row)
    }

    fn unknown(gva: Gva, steps: Vec<StepRow>) -> Self {
        Self {
            gva,
            gpa: None,
            page_size: None,
            rights: None,
            region: None,
            offset: None,
            ram_block: None,
            host: None,
            fault: None,
            error: None,
            steps,
            arch: None,
        }
    }

    fn place(&mut self, place: Option<Place<'_>>) {
        if let Some(place) = place {
            self.region = Some(place.region.to_owned());
            self.offset = Some(place.offset);
            self.ram_block = place.ram_block.map(str::to_owned);
            self.host = place.host;
        }
    }
}

impl StepRow {
    fn new<M>(guest: &Guest<M>, mmu: &Mmu, step: &Step) -> Self {
        Self {
            level: step.level.entry_name(),
            index: step.index,
            at: step.at,
            host: guest.place(step.at).and_then(|place| place.host),
            entry: step.raw,
            flags: mmu.flags(step),
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
            stride: alias.stride,
            page_size: Some(alias.page_size),
            rights: Some(alias.rights.into()),
        }
    }

    /// The row of an address that nothing maps.
    #[must_use]
    pub fn unmapped(gpa: Gpa) -> Self {
        Self { gpa, gva: None, count: 0, stride: 0, page_size: None, rights: None }
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
            offset_within_region: section.map(|section| section.offset_within_region),
            offset_within_address_space: section
                .map(|section| section.offset_within_address_space.0),
            size: section.map(|section| section.size),
            readonly: section.map(|section| section.readonly),
            nonvolatile: section.map(|section| section.nonvolatile),
            ram_block: place.and_then(|place| place.ram_block.map(str::to_owned)),
            host: place.and_then(|place| place.host),
        }
    }
}

impl From<&Mapping> for MappingRow {
    fn from(mapping: &Mapping) -> Self {
        let gpa_step = match mapping.progression {
            Progression::Linear => Some(mapping.page_size),
            Progression::Same(_) => Some(0),
            Progression::Scattered => None,
        };
        Self {
            gva: mapping.gva,
            last: mapping.last,
            length: mapping.len(),
            gpa: gpa_step.map(|_| mapping.gpa),
            gpa_step,
            page_size: mapping.page_size,
            rights: mapping.rights.into(),
        }
    }
}

impl From<&RootCandidate> for RootRow {
    fn from(root: &RootCandidate) -> Self {
        Self {
            root: root.root,
            register: root.register,
            mode: root.mode,
            tcr: root.regs.tcr(),
            kernel_pages: root.kernel_pages,
            user_pages: root.user_pages,
            shared_by: root.shared_by,
            pair: root.pair,
        }
    }
}
