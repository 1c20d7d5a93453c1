//! A source that is open: for one question, or for several.

use std::sync::Arc;

#[cfg(target_os = "linux")]
use super::running;
use super::{
    Asked, Before, Coverage, Emulator, ImageFile, NoSuchSpace, Opened, PhysicalReader, RegionText,
    Remark, Source, SourceError, Which,
    choose::{self, Chosen, Known},
};
use crate::{
    guest::{AnyMemory, Guest, Missing},
    host::{AnyHost, HostKind, core::Core},
    image::{self, CoreNote, Image, ImageMemory},
    qemu::{Offsets, VirtualCpu, Wrong},
    region::{RegionMap, RenderError, monitor::Style},
    regs::{Arch, Cpu, OtherArch},
    sample,
};

/// An open source.
#[derive(Debug)]
pub struct Attached {
    kind: Kind,
    /// Said by the source itself, whichever CPU is asked for.
    remarks: Vec<Remark>,
}

enum Kind {
    Image(ImageParts),
    Emulator(Box<Emulator<AnyHost>>),
    /// Without a CPU, of an architecture that no walker models.
    Plain {
        cpu: Box<Result<Cpu, OtherArch>>,
        memory: PhysicalReader,
        regions: Option<RegionText>,
    },
    Regions(RegionText),
}

/// An image, its memory to be shared by several guests.
struct ImageParts {
    arch: Option<Arch>,
    other: Option<OtherArch>,
    cpus: Vec<Cpu>,
    in_smm: Vec<bool>,
    memory: Arc<ImageMemory>,
    coverage: Arc<Coverage>,
    map: Option<RegionMap>,
    tree: Option<String>,
    address_space: Option<usize>,
    style: Option<Style>,
    core_notes: Vec<CoreNote>,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Image(_) => "Image",
            Self::Emulator(_) => "Emulator",
            Self::Plain { .. } => "Plain",
            Self::Regions(_) => "Regions",
        })
    }
}

/// What a guest is made of, from any kind of source.
struct Parts {
    known: Known,
    memory: Option<AnyMemory>,
    map: Option<RegionMap>,
    address_space: Option<usize>,
    tree: bool,
    coverage: Arc<Coverage>,
    core_notes: Vec<CoreNote>,
    style: Option<Style>,
    remarks: Vec<Remark>,
}

impl Attached {
    pub(super) fn new(
        source: Source,
        before: Before<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, SourceError> {
        match source {
            Source::Sample => {
                let image = sample::open();
                let image = image.map_err(|error| SourceError::Image {
                    path: "the sample".into(),
                    error: Box::new(error),
                })?;
                Ok(Self::of_image(image, None))
            }
            Source::Image(file) => open_image(file, progress),
            Source::Regions(text) => Ok(Self::of(Kind::Regions(text), Vec::new())),
            Source::Emulator(which, offsets) => {
                let (emulator, remarks) = open_emulator(which, &offsets, before, progress)?;
                Ok(Self::of(Kind::Emulator(Box::new(emulator)), remarks))
            }
            Source::Plain { cpu, memory, regions } => {
                let cpu = Box::new(Ok(cpu));
                Ok(Self::of(Kind::Plain { cpu, memory, regions }, Vec::new()))
            }
            Source::Other { arch, memory, regions } => {
                let cpu = Box::new(Err(arch));
                Ok(Self::of(Kind::Plain { cpu, memory, regions }, Vec::new()))
            }
        }
    }

    fn of(kind: Kind, remarks: Vec<Remark>) -> Self {
        Self { kind, remarks }
    }

    fn of_image(image: Image, regions: Option<RegionText>) -> Self {
        let blocks = image.memory.ranges().len();
        let bytes =
            image.memory.ranges().iter().fold(0, |sum: u64, range| sum.saturating_add(range.len));
        let said = image.notes.iter().cloned().map(Remark::File);
        let format = Remark::Format { name: image.format, blocks, bytes };
        let raw = image.raw.then(|| image.memory.ranges().first()).flatten();
        let raw = raw.map(|range| Remark::Raw { base: range.gpa, bytes });
        let remarks = said.chain(raw.or(Some(format))).collect();
        let Image { arch, other, cpus, in_smm, memory, core_notes, .. } = image;
        let tree = regions.as_ref().and_then(RegionText::tree).map(str::to_owned);
        // A map that is given counts instead of the file's, and is the guest's own.
        let (map, address_space, style) = match regions {
            Some(RegionText::Flat { map, style }) => (Some(*map), None, Some(style)),
            _ => (image.regions, image.address_space, image.style),
        };
        let coverage = Arc::new(Coverage::of_image(&memory));
        let memory = Arc::new(memory);
        let parts = ImageParts {
            arch,
            other,
            cpus,
            in_smm,
            memory,
            coverage,
            map,
            tree,
            address_space,
            style,
            core_notes,
        };
        Self::of(Kind::Image(parts), remarks)
    }

    /// The emulator, if it is one.
    #[must_use]
    pub fn emulator(&self) -> Option<&Emulator<AnyHost>> {
        match &self.kind {
            Kind::Emulator(emulator) => Some(emulator),
            _ => None,
        }
    }

    /// Reads which device made each region, as `info mtree -o` shows it. Only
    /// for an emulator.
    ///
    /// # Errors
    /// When objects are not as they must be.
    pub fn name_owners(&mut self) -> Result<(), Wrong> {
        match &mut self.kind {
            Kind::Emulator(emulator) => emulator.machine.name_owners(&emulator.host),
            _ => Ok(()),
        }
    }

    /// The text of a region tree, which can be shown but not searched.
    #[must_use]
    pub fn tree_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Image(image) => image.tree.as_deref(),
            Kind::Regions(text) => text.tree(),
            Kind::Plain { regions, .. } => regions.as_ref().and_then(RegionText::tree),
            Kind::Emulator(_) => None,
        }
    }

    /// What is worth saying of the source, whichever CPU is asked for.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// What kind of source it is.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.kind {
            Kind::Image(_) => "image",
            Kind::Emulator(emulator) => match emulator.host.kind() {
                #[cfg(target_os = "linux")]
                HostKind::Process(_) => "process",
                HostKind::Core(_) => "core",
                HostKind::Given(_) => "host",
            },
            Kind::Plain { .. } => "registers",
            Kind::Regions(_) => "regions",
        }
    }

    /// The guest as one of the CPUs sees it.
    ///
    /// # Errors
    /// When there is no such CPU or address space, or it has no such register.
    pub fn seen(self: &Arc<Self>, asked: &Asked) -> Result<Opened, SourceError> {
        let mut parts = self.parts(asked)?;
        if let (Some(wanted), None) = (&asked.address_space, self.emulator()) {
            parts.address_space = Some(named(parts.map.as_ref(), wanted)?);
        }
        let chosen = choose::cpu(&parts.known, asked)?;
        let (arch, other) = (asked.arch.or(parts.known.arch), parts.known.other);
        let cpus = choose::all(parts.known, &chosen, asked);
        // Registers of another architecture would walk what are none of its tables.
        let own = Some(chosen.cpu).filter(|_| chosen.other.is_none());
        let guest = match (parts.map, parts.address_space) {
            (Some(map), Some(space)) => Guest::in_space(parts.memory, own, map, space),
            (map, _) => Guest::new(parts.memory, own, map),
        };
        let regions_missing = if parts.tree { Missing::FlatView } else { Missing::Regions };
        let guest = guest?.with_regions_missing(regions_missing).with_walker_missing(chosen.other);
        let mut remarks = self.remarks.clone();
        remarks.extend(parts.remarks);
        remarks.extend(of_other(other, &chosen));
        remarks.extend(of_cpu(&guest, &chosen));
        // The notes are of the architecture that the source names.
        let core_notes = if chosen.in_source { parts.core_notes } else { Vec::new() };
        let cpu = guest.cpu().copied().unwrap_or(chosen.cpu);
        Ok(Opened {
            guest,
            number: asked.cpu,
            cpus,
            coverage: parts.coverage,
            remarks,
            arch,
            other: chosen.other,
            cpu,
            mode_known: chosen.mode_known,
            address_space: parts.address_space,
            core_notes,
            style: parts.style,
            source: Arc::clone(self),
        })
    }

    fn parts(&self, asked: &Asked) -> Result<Parts, SourceError> {
        match &self.kind {
            Kind::Image(image) => Ok(of_image(image, asked)),
            Kind::Emulator(emulator) => of_emulator(emulator, asked),
            Kind::Plain { cpu, memory, regions } => Ok(of_plain(**cpu, memory, regions.as_ref())),
            Kind::Regions(text) => Ok(of_text(text)),
        }
    }
}

/// The place of an address space in a map that does not come from an emulator.
fn named(map: Option<&RegionMap>, wanted: &str) -> Result<usize, NoSuchSpace> {
    let names = map.into_iter().flat_map(RegionMap::address_spaces);
    let known: Vec<_> = names.map(|space| space.name.clone()).collect();
    let found = known.iter().position(|name| name == wanted);
    found.ok_or_else(|| NoSuchSpace { wanted: wanted.to_owned(), known })
}

/// What to say of a guest that no walker models.
fn of_other(other: Option<OtherArch>, chosen: &Chosen) -> Option<Remark> {
    let taken = chosen.cpu.regs.arch();
    other.map(|guest| match chosen.other {
        Some(_) => Remark::NoWalker(guest),
        None => Remark::ArchGiven { guest, taken },
    })
}

/// What was assumed of the CPU.
fn of_cpu(guest: &Guest, chosen: &Chosen) -> Vec<Remark> {
    let asked_of_memory = chosen.arch_guessed && guest.memory().is_ok();
    let guessed = asked_of_memory.then(|| Remark::ArchGuessed(chosen.cpu.regs.arch()));
    // Without paging, and without tables, nothing is assumed that matters.
    let matters = guest.mmu().is_ok() && chosen.cpu.regs.paging_is_on();
    let counts = |register| matters && chosen.cpu.is_remarkable(register);
    let assumed = guest.assumed().iter().filter(|one| counts(one.register));
    let assumed = assumed.map(|one| Remark::Assumed { register: one.register, value: one.value });
    guessed.into_iter().chain(assumed).collect()
}

fn of_image(image: &ImageParts, asked: &Asked) -> Parts {
    let number = usize::try_from(asked.cpu).unwrap_or(usize::MAX);
    let in_smm = image.in_smm.get(number).is_some_and(|in_smm| *in_smm);
    Parts {
        known: Known {
            arch: image.arch,
            other: image.other,
            cpus: (0..).zip(image.cpus.iter().copied()).collect(),
        },
        memory: Some(Box::new(Arc::clone(&image.memory))),
        map: image.map.clone(),
        address_space: image.address_space,
        tree: image.tree.is_some(),
        coverage: Arc::clone(&image.coverage),
        core_notes: image.core_notes.clone(),
        style: image.style,
        remarks: in_smm.then_some(Remark::Smm).into_iter().collect(),
    }
}

fn of_text(text: &RegionText) -> Parts {
    Parts {
        known: Known { arch: None, other: None, cpus: Vec::new() },
        memory: None,
        map: text.map().cloned(),
        address_space: None,
        tree: text.tree().is_some(),
        coverage: Arc::default(),
        core_notes: Vec::new(),
        style: text.style(),
        remarks: Vec::new(),
    }
}

fn of_plain(
    cpu: Result<Cpu, OtherArch>,
    memory: &PhysicalReader,
    regions: Option<&RegionText>,
) -> Parts {
    Parts {
        known: Known {
            arch: cpu.ok().map(|cpu| cpu.regs.arch()),
            other: cpu.err(),
            cpus: cpu.into_iter().map(|cpu| (0, cpu)).collect(),
        },
        memory: Some(Box::new(Arc::clone(memory))),
        map: regions.and_then(RegionText::map).cloned(),
        address_space: None,
        tree: regions.is_some_and(|text| text.tree().is_some()),
        coverage: Arc::default(),
        core_notes: Vec::new(),
        style: regions.and_then(RegionText::style),
        remarks: Vec::new(),
    }
}

fn of_emulator(emulator: &Emulator<AnyHost>, asked: &Asked) -> Result<Parts, SourceError> {
    let machine = &emulator.machine;
    let cpu = machine.cpu(asked.cpu);
    let space = emulator.space(asked.address_space.as_deref(), cpu)?;
    let memory = emulator.memory(space)?;
    let coverage = Arc::new(Coverage::of_view(&memory));
    let mut remarks = emulator.remarks(cpu);
    let name = machine.map.address_spaces().get(space).map(|space| space.name.clone());
    remarks.extend(name.map(Remark::AddressSpace));
    let arch = cpu.and_then(|cpu| cpu.regs).map(|regs| regs.arch());
    let known = |cpu: &VirtualCpu| Some((cpu.index, cpu.cpu()?));
    Ok(Parts {
        known: Known {
            arch,
            other: machine.other,
            cpus: machine.cpus.iter().filter_map(known).collect(),
        },
        memory: Some(Box::new(memory)),
        map: Some(machine.map.clone()),
        address_space: Some(space),
        tree: false,
        coverage,
        core_notes: arch.map(|arch| emulator.core_notes(arch)).unwrap_or_default(),
        style: None,
        remarks,
    })
}

fn open_image(file: ImageFile, progress: &mut dyn FnMut(u64)) -> Result<Attached, SourceError> {
    let ImageFile { path, ram_base, machine, snapshot, regions } = file;
    let options = image::OpenOptions::default()
        .ram_base(ram_base)
        .machine(machine.as_deref())
        .regions(regions.as_ref().and_then(RegionText::map))
        .snapshot(snapshot.as_deref());
    let image = image::open(&path, &options, progress);
    let image = image.map_err(|error| SourceError::Image { path, error: Box::new(error) })?;
    Ok(Attached::of_image(image, regions))
}

/// The emulator, and what is worth saying of it.
pub(super) fn open_emulator(
    which: Which,
    offsets: &Offsets,
    before: Before<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<(Emulator<AnyHost>, Vec<Remark>), SourceError> {
    let by_socket = which.is_by_socket();
    let host = open_host(which, before, progress)?;
    let mut remarks = Vec::new();
    if let HostKind::Core(core) = host.kind() {
        remarks.extend(core.remarks().iter().map(|said| Remark::File(said.to_string())));
    }
    let emulator = match Emulator::attach(host, offsets) {
        Ok(emulator) => emulator,
        Err(unread) => {
            return Err(SourceError::unread(&unread.host, unread.error, by_socket, remarks));
        }
    };
    remarks.extend(emulator.told());
    Ok((emulator, remarks))
}

#[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
fn open_host(
    which: Which,
    before: Before<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<AnyHost, SourceError> {
    match which {
        #[cfg(target_os = "linux")]
        Which::Process(pid) => running::open(pid, before),
        #[cfg(target_os = "linux")]
        Which::Only => running::open(running::only_one()?, before),
        #[cfg(target_os = "linux")]
        Which::Socket(path) => running::open(running::server(path)?, before),
        Which::Core { path, exe } => match Core::open(&path, &exe, progress) {
            Ok(core) => Ok(core.into()),
            Err(error) => Err(SourceError::Core { path, error: Box::new(error) }),
        },
        Which::Host(given) => Ok((*given).into()),
    }
}

impl From<RenderError> for SourceError {
    fn from(error: RenderError) -> Self {
        Self::Regions(error)
    }
}
