//! Migration streams of QEMU, version 3: what `migrate` and `savevm` write, and
//! PANDA's NAME-rr-snp. QEMU, docs/devel/migration/main.rst, "Stream structure".
//!
//! Everything is big-endian: `QEVM` and the version; the configuration, which
//! names the machine; the section `ram`; a section for each device; a JSON
//! description of all but RAM. RAM is read by its own rules: a stream that has
//! no description, or is cut, still gives its RAM.
//!
//! Not here: where RAM blocks lie in guest-physical memory, which the stream
//! does not say (`machine` does).

mod arm;
mod cpu;
mod cursor;
mod description;
mod kept;
mod mpu;
mod ram;
mod state;

use std::{ops::ControlFlow, sync::Arc};

pub use state::StateField;

use self::{
    cursor::Cursor,
    description::Description,
    ram::{Capabilities, Ram},
    state::{FOOTER, SECTION_FULL, SUBSECTION},
};
use super::{Image, ImageError, ImageMemory, OpenOptions};
use crate::{
    addr::ImageOffset,
    advice::Advice,
    machine::{self, PlaceError, Shadow, Shown},
    memory::{ImageBytes, MappedFile, Memory, PagedFile},
    region::{
        BlockId, RegionMap,
        physical::{Backing, PhysicalMemory, PhysicalRange},
    },
    regs::Cpu,
};

const FORMAT: &str = "migration stream";
const MAGIC: &[u8] = b"QEVM";
/// The only version since 2006.
const VERSION: u32 = 3;

/// QEMU_VM_*.
const EOF: u8 = 0x00;
const SECTION_START: u8 = 0x01;
const SECTION_PART: u8 = 0x02;
const SECTION_END: u8 = 0x03;
const CONFIGURATION: u8 = 0x07;
const COMMAND: u8 = 0x08;

/// Page sizes of guests, as shifts, in the order in which they are tried where
/// the stream does not say.
const SHIFTS: [u32; 4] = [12, 10, 14, 16];

pub(super) fn is_stream(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// A RAM block of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub len: u64,
    /// Where its pages start in the row of all pages, in bytes.
    first: u64,
}

/// Why a stream could not be read further.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Broken {
    /// It ends too early.
    Cut,
    /// It cannot be right.
    Damaged { what: String, at: u64 },
    /// What we do not read.
    Refused(&'static str),
    /// Its pages have another size than was tried.
    PageSize(u64),
}

impl Broken {
    fn damaged(what: impl Into<String>, at: usize) -> Self {
        Self::Damaged { what: what.into(), at: at as u64 }
    }

    fn into_error(self, len: usize) -> ImageError {
        match self {
            Self::Cut => damaged("it ends where something should be", len as u64),
            Self::Damaged { what, at } => damaged(what, at),
            Self::PageSize(size) => damaged(format!("pages of {size:#x} bytes"), 0),
            Self::Refused(what) => ImageError::Unsupported {
                format: FORMAT,
                what,
                advice: Advice::Say(
                    "migrate to a file without these capabilities: migrate_set_capability NAME off",
                ),
            },
        }
    }
}

fn damaged(what: impl Into<String>, offset: u64) -> ImageError {
    ImageError::Damaged { format: FORMAT, what: what.into(), offset }
}

/// What stands before the first section.
#[derive(Clone, Debug, Default)]
struct Configuration {
    machine: Option<String>,
    page_bits: Option<u32>,
    capabilities: Capabilities,
}

/// The sections up to the last of RAM.
#[derive(Debug)]
struct Front {
    ram: Ram,
    /// Where the sections of the devices start; none where RAM is cut.
    devices: Option<u64>,
}

/// An opened stream.
#[derive(Debug)]
pub struct Stream {
    machine: Option<String>,
    blocks: Vec<Block>,
    paged: PagedFile,
    devices: Option<u64>,
    description: Option<Description>,
}

impl Stream {
    /// Reads where everything is; `progress` hears the bytes seen so far. The
    /// index of a large file is kept in the user's cache folder if `keep`.
    ///
    /// # Errors
    /// When it is no stream, damaged, or has pages that we do not unpack.
    pub fn open(
        file: MappedFile,
        keep: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Self, ImageError> {
        let bytes = file.bytes();
        let len = bytes.len();
        let mut cursor = Cursor::new(bytes, 0);
        let configuration = configuration(&mut cursor).map_err(|broken| broken.into_error(len))?;
        let description = description::find(bytes);
        let kept = keep.then(|| kept::get(&file)).flatten();
        let front = match kept {
            Some(front) => front,
            None => {
                let page_size = description.as_ref().and_then(|found| found.page_size);
                let front = front(cursor, &configuration, page_size, progress)
                    .map_err(|broken| broken.into_error(len))?;
                if keep {
                    kept::put(&file, &front);
                }
                front
            }
        };
        let Front { ram, devices } = front;
        let paged = PagedFile::new(file, ram.index, ram.shift);
        let machine = configuration.machine;
        Ok(Self { machine, blocks: ram.blocks, paged, devices, description })
    }

    /// The machine type, where the stream says.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        self.machine.as_deref()
    }

    /// The RAM blocks.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Whether the stream names its fields.
    #[must_use]
    pub const fn has_description(&self) -> bool {
        self.description.is_some()
    }

    /// Shows `visit` every field of every device, until `visit` breaks off.
    ///
    /// # Errors
    /// When the description does not fit the stream. Fields visited
    /// before that are right.
    pub fn fields(
        &self,
        visit: &mut dyn FnMut(&StateField<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        let bytes = self.paged.file().bytes();
        let (Some(start), Some(description)) = (self.devices, &self.description) else {
            return Err(damaged("it has no description of its fields", bytes.len() as u64));
        };
        state::walk(bytes, start, description, visit)
            .map_err(|broken| broken.into_error(bytes.len()))
    }

    fn cpus(&self) -> Vec<(Cpu, bool)> {
        match (self.devices, &self.description) {
            (Some(start), Some(description)) => {
                cpu::read(self.paged.file().bytes(), start, description)
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn into_image(self, options: &OpenOptions<'_>) -> Result<Image, ImageError> {
        let (cpus, in_smm): (Vec<Cpu>, _) = self.cpus().into_iter().unzip();
        let other = self.description.as_ref().and_then(cpu::other);
        let notes = self.notes();
        let arch = cpus.first().map(|cpu| cpu.regs.arch());
        let memory = match options.regions {
            Some(map) => self.seen_by(map),
            None => self.placed(options.machine),
        }?;
        Ok(Image { arch, other, cpus, in_smm, notes, ..Image::new(FORMAT, memory) })
    }

    fn notes(&self) -> Vec<String> {
        let note = match (self.devices, &self.description) {
            (None, _) => "the stream is cut: pages and registers behind its end are missing",
            (_, None) => "the stream does not describe its fields: no register is known",
            _ => return Vec::new(),
        };
        vec![note.into()]
    }

    /// Memory as the rules of a machine type place the blocks.
    fn placed(self, machine: Option<&str>) -> Result<ImageMemory, ImageError> {
        let name = machine.or(self.machine.as_deref()).unwrap_or_default();
        let blocks: Vec<_> =
            self.blocks.iter().map(|Block { name, len, .. }| (name.as_str(), *len)).collect();
        let placed = machine::place_blocks(name, &blocks, self.shadow())
            .map_err(|source| ImageError::Placement { source, blocks: self.listed() })?;
        let ranges = placed.into_iter().map(|piece| PhysicalRange {
            gpa: piece.gpa,
            len: piece.len,
            backing: match piece.shown {
                Shown::Block { number, offset } => self.backing(number).skip(offset),
                Shown::Device(name) => Backing::Device(name.into()),
            },
        });
        let ranges = ranges.collect();
        PhysicalMemory::new(ranges, self.into_bytes())
            .map_err(|source| ImageError::Blocks { format: FORMAT, source })
    }

    /// Memory as a region map shows it, with the blocks that it names.
    fn seen_by(self, map: &RegionMap) -> Result<ImageMemory, ImageError> {
        let refused = |what: String| damaged(what, 0);
        let space = map.address_space("memory").or(map.address_spaces().first());
        let space = space.ok_or_else(|| refused("the region map has no address space".into()))?;
        let view = map.view(space).map_err(|error| refused(error.to_string()))?;
        let known: Vec<_> = map.ram_blocks().iter().map(|block| self.named(&block.name)).collect();
        if known.iter().all(Option::is_none) {
            return Err(ImageError::Placement {
                source: PlaceError::NoBlocks,
                blocks: self.listed(),
            });
        }
        let backing = |id: BlockId| known.get(id.0 as usize).copied().flatten();
        let backings: Vec<_> = (0..self.blocks.len()).map(|number| self.backing(number)).collect();
        let backing = |id| backing(id).and_then(|number: usize| backings.get(number).cloned());
        Ok(PhysicalMemory::of_view(map, &view, self.into_bytes(), backing))
    }

    /// The block of a region: blocks of devices have the device before a `/`.
    fn named(&self, region: &str) -> Option<usize> {
        let exact = self.blocks.iter().position(|block| block.name == region);
        let of_device = |block: &Block| block.name.rsplit('/').next() == Some(region);
        exact.or_else(|| self.blocks.iter().position(of_device))
    }

    fn backing(&self, number: usize) -> Backing<ImageOffset> {
        Backing::At(ImageOffset(self.blocks[number].first))
    }

    fn into_bytes(self) -> ImageBytes {
        ImageBytes::Paged(Arc::new(self.paged))
    }

    /// Names and sizes of the blocks, for people.
    fn listed(&self) -> String {
        let block = |Block { name, len, .. }: &Block| format!("{name} ({len:#x})");
        self.blocks.iter().map(block).collect::<Vec<_>>().join(", ")
    }

    /// What a PC's chipset says of the memory below 1 MiB.
    fn shadow(&self) -> Shadow {
        self.pam().unwrap_or_else(|| if self.is_shadowed() { Shadow::RAM } else { Shadow::PCI })
    }

    /// The registers PAM0 to PAM6 in the PCI configuration space of the host
    /// bridge. Intel 440FX and Q35 datasheets, "PAM - Programmable Attribute
    /// Map Registers".
    fn pam(&self) -> Option<Shadow> {
        const BRIDGES: [(&str, usize); 2] = [("I440FX", 0x59), ("mch", 0x90)];
        let mut found = None;
        let mut visit = |field: &StateField<'_>| {
            let of = |(name, _): &&(&str, usize)| field.device.ends_with(name);
            let bridge = BRIDGES.iter().find(of).filter(|_| field.kind == "pci config");
            let registers = bridge.and_then(|(_, at)| field.bytes.get(*at..)?.first_chunk());
            found = registers.copied().map(Shadow);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let _ = self.fields(&mut visit);
        found
    }

    /// Without the chipset's state: firmware copies itself into the RAM below
    /// its own address, and until then the RAM at the reset vector is zero.
    fn is_shadowed(&self) -> bool {
        const RESET: u64 = 0xf_fff0;
        let mut vector = [0; 16];
        let start = self.named(machine::PC_RAM).map(|number| self.blocks[number].first + RESET);
        let read = start.map(|start| self.paged.read(ImageOffset(start), &mut vector));
        !matches!(read, Some(Ok(()))) || vector != [0; 16]
    }
}

/// Reads up to the first section.
fn configuration(cursor: &mut Cursor<'_>) -> Result<Configuration, Broken> {
    cursor.take(MAGIC.len())?;
    let version = cursor.u32()?;
    if version != VERSION {
        return Err(Broken::damaged(format!("the stream has version {version}, not 3"), 4));
    }
    let mut found = Configuration::default();
    if cursor.peek() != Some(CONFIGURATION) {
        return Ok(found);
    }
    cursor.u8()?;
    let len = cursor.u32()?;
    let name = cursor.take(len as usize)?;
    found.machine = Some(String::from_utf8_lossy(name).into_owned());
    while cursor.peek() == Some(SUBSECTION) {
        found.subsection(cursor)?;
    }
    Ok(found)
}

impl Configuration {
    fn subsection(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Broken> {
        let at = cursor.at();
        cursor.u8()?;
        let name = cursor.name()?;
        cursor.u32()?;
        match name {
            b"configuration/target-page-bits" => self.page_bits = Some(cursor.u32()?),
            b"configuration/uuid" => drop(cursor.take(16)?),
            b"configuration/capabilities" => {
                for _ in 0..cursor.u32()? {
                    self.capability(cursor.name()?);
                }
            }
            other => {
                let name = String::from_utf8_lossy(other);
                return Err(Broken::damaged(format!("unknown part {name:?}"), at));
            }
        }
        Ok(())
    }

    fn capability(&mut self, name: &[u8]) {
        match name {
            b"mapped-ram" => self.capabilities.mapped_ram = true,
            b"x-ignore-shared" => self.capabilities.ignore_shared = true,
            _ => {}
        }
    }
}

/// Reads RAM, with the page size that the stream names, or else the first that
/// fits. If none fits, the error is that of the size that got furthest.
fn front(
    cursor: Cursor<'_>,
    configuration: &Configuration,
    page_size: Option<u64>,
    progress: &mut dyn FnMut(u64),
) -> Result<Front, Broken> {
    let named = page_size.filter(|size| size.is_power_of_two()).map(u64::trailing_zeros);
    let named = configuration.page_bits.or(named).filter(|bits| (8..=20).contains(bits));
    let shifts = named.map_or(SHIFTS.to_vec(), |shift| vec![shift]);
    let mut first = None;
    for shift in shifts {
        let ram = Ram::new(shift, configuration.capabilities);
        match sections(cursor, ram, progress) {
            Err(broken @ (Broken::Damaged { .. } | Broken::PageSize(_))) => {
                first.get_or_insert(broken);
            }
            other => return other,
        }
    }
    Err(first.unwrap_or(Broken::Cut))
}

/// Reads the sections of RAM. Where they are cut, what was read counts.
fn sections(
    mut cursor: Cursor<'_>,
    mut ram: Ram,
    progress: &mut dyn FnMut(u64),
) -> Result<Front, Broken> {
    match ram_sections(&mut cursor, &mut ram, progress) {
        Ok(devices) => Ok(Front { ram, devices: Some(devices) }),
        Err(Broken::Cut) if !ram.blocks.is_empty() => Ok(Front { ram, devices: None }),
        Err(broken) => Err(broken),
    }
}

/// Where the sections of the devices start.
fn ram_sections(
    cursor: &mut Cursor<'_>,
    ram: &mut Ram,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, Broken> {
    let mut number = None;
    loop {
        let at = cursor.at();
        match cursor.u8()? {
            COMMAND => {
                cursor.u16()?;
                let len = cursor.u16()?;
                cursor.take(len.into())?;
                continue;
            }
            SECTION_START => number = Some(ram_header(cursor, at)?),
            part @ (SECTION_PART | SECTION_END) => {
                if number != Some(cursor.u32()?) {
                    return Err(Broken::damaged("a section is continued that is not RAM", at));
                }
                if part == SECTION_END {
                    ram.read(cursor, progress)?;
                    footer(cursor, number)?;
                    return Ok(cursor.at() as u64);
                }
            }
            SECTION_FULL | EOF => {
                return Err(Broken::damaged("the devices come before the end of RAM", at));
            }
            other => return Err(Broken::damaged(format!("unknown section {other:#x}"), at)),
        }
        ram.read(cursor, progress)?;
        footer(cursor, number)?;
    }
}

/// The rest of the header of the section of RAM: its number.
fn ram_header(cursor: &mut Cursor<'_>, at: usize) -> Result<u32, Broken> {
    let number = cursor.u32()?;
    let name = cursor.name()?;
    let (_instance, version) = (cursor.u32()?, cursor.u32()?);
    match (name, version) {
        (b"ram", 4) => Ok(number),
        (b"ram", version) => {
            Err(Broken::damaged(format!("section ram has version {version}, not 4"), at))
        }
        (name, _) => {
            let name = String::from_utf8_lossy(name);
            Err(Broken::damaged(format!("section {name:?} comes before RAM"), at))
        }
    }
}

/// What ends a section, unless its machine is older than footers.
fn footer(cursor: &mut Cursor<'_>, number: Option<u32>) -> Result<(), Broken> {
    if cursor.peek() != Some(FOOTER) {
        return Ok(());
    }
    let at = cursor.at();
    cursor.u8()?;
    match number == Some(cursor.u32()?) {
        true => Ok(()),
        false => Err(Broken::damaged("a section does not end with its own number", at)),
    }
}
