//! What an opened image holds.

use crate::{
    addr::{FileOffset, Gpa, ImageOffset},
    memory::ImageBytes,
    region::{
        RegionMap,
        monitor::Style,
        physical::{Backing, PhysicalMemory},
    },
    regs::{Arch, Cpu, OtherArch},
};

/// Guest memory in a mapped file.
pub type ImageMemory = PhysicalMemory<ImageOffset, ImageBytes>;

impl ImageMemory {
    /// Where the byte at `gpa` is in the file, after any compression was taken
    /// off. `None` if the file does not hold the byte as it is.
    #[must_use]
    pub fn file_offset(&self, gpa: Gpa) -> Option<FileOffset> {
        self.source().file_offset(self.locate(gpa)?.0)
    }

    /// The runs of guest-physical memory whose bytes the file has: first
    /// address, length.
    #[must_use]
    pub fn held(&self) -> Vec<(Gpa, u64)> {
        let mut held = Vec::new();
        for range in self.ranges() {
            let Backing::At(start) = range.backing else { continue };
            let mut done = 0;
            while done < range.len {
                let here = ImageOffset(start.0.saturating_add(done));
                let (has, len) = self.source().run(here, range.len - done);
                held.extend(has.then_some((Gpa(range.gpa.0 + done), len)));
                done += len.max(1);
            }
        }
        held
    }
}

/// An opened image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Image {
    /// The format's name.
    pub format: &'static str,
    /// No format was found: it was taken for raw RAM.
    pub raw: bool,
    /// The guest's architecture, where the file says.
    pub arch: Option<Arch>,
    /// Its architecture, where the file says and no walker models it.
    pub other: Option<OtherArch>,
    /// Registers per CPU, where the file holds them.
    pub cpus: Vec<Cpu>,
    /// Whether each of them is in system management mode, where the file says.
    pub in_smm: Vec<bool>,
    /// Blocks of guest-physical memory.
    pub memory: ImageMemory,
    /// The region map, where the file holds one.
    pub regions: Option<RegionMap>,
    /// The place in the map of the address space that physical addresses belong
    /// to; by default the one called `memory`.
    pub address_space: Option<usize>,
    /// Whose text the region map was read from, if from a text.
    pub style: Option<Style>,
    /// What other programs noted in an ELF core or a kdump: general registers,
    /// the kernel's own description.
    pub core_notes: Vec<CoreNote>,
    /// What had to be assumed, a sentence each.
    pub notes: Vec<String>,
}

impl Image {
    /// An image of which nothing but the memory is known.
    #[must_use]
    pub fn new(format: &'static str, memory: ImageMemory) -> Self {
        Self {
            format,
            raw: false,
            arch: None,
            other: None,
            cpus: Vec::new(),
            in_smm: Vec::new(),
            memory,
            regions: None,
            address_space: None,
            style: None,
            core_notes: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// A note of an ELF core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreNote {
    /// Whose it is.
    pub owner: Vec<u8>,
    /// Which of the owner's.
    pub kind: u32,
    /// What it says.
    pub contents: Vec<u8>,
}
