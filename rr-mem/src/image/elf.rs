//! ELF cores of a guest, as `dump-guest-memory` and rr-mem's slices are: one
//! PT_LOAD per block of guest-physical memory (p_paddr), registers in notes.
//! System V ABI, "Program Header" and "Note Section".

use object::{
    Endianness,
    elf::{ET_CORE, FileHeader32, FileHeader64, PT_LOAD},
    read::elf::{FileHeader, ProgramHeader},
};

use super::{Image, ImageError, note::Notes};
use crate::{
    addr::{Gpa, ImageOffset},
    advice::{
        Advice,
        Part::{Name, Say},
        Setting,
    },
    memory::{ImageBytes, MappedFile},
    region::physical::{Backing, PhysicalMemory, PhysicalRange},
    regs::{Arch, OtherArch},
};

const FORMAT: &str = "ELF core";
const ELFCLASS32: u8 = 1;
/// No machine.
const EM_NONE: u16 = 0;
/// Note types of Linux's own cores.
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;

type Ranges = Vec<PhysicalRange<ImageOffset>>;

pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

pub(super) fn open(file: MappedFile) -> Result<Image, ImageError> {
    let contents = match file.bytes().get(4) {
        Some(&ELFCLASS32) => Contents::read::<FileHeader32<Endianness>>(file.bytes()),
        _ => Contents::read::<FileHeader64<Endianness>>(file.bytes()),
    }?;
    contents.into_image(file)
}

fn damaged(what: impl ToString, offset: u64) -> ImageError {
    ImageError::Damaged { format: FORMAT, what: what.to_string(), offset }
}

fn not_a_guest(what: &'static str, advice: Advice) -> ImageError {
    ImageError::NotAnImage { what, advice }
}

/// What the headers and notes say.
struct Contents {
    arch: Option<Arch>,
    other: Option<OtherArch>,
    ranges: Ranges,
    registers: Notes,
    notes: Vec<String>,
}

impl Contents {
    fn read<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Self, ImageError> {
        let header = H::parse(bytes).map_err(|error| damaged(error, 0))?;
        let endian = header.endian().map_err(|error| damaged(error, 4))?;
        if header.e_type(endian) != ET_CORE {
            return Err(not_a_guest(
                "an ELF executable or object",
                Advice::Say("give the dump that dump-guest-memory wrote"),
            ));
        }
        let segments = header
            .program_headers(endian, bytes)
            .map_err(|error| damaged(error, header.e_phoff(endian).into()))?;
        let machine = header.e_machine(endian);
        let arch = Arch::ALL.iter().copied().find(|arch| arch.elf_machine() == machine.0);
        let other = (arch.is_none() && machine.0 != EM_NONE)
            .then(|| OtherArch::of_elf(machine.0, header.is_type_64()));
        let registers = Notes::new(arch);
        let mut contents = Self { arch, other, ranges: Vec::new(), registers, notes: Vec::new() };
        for segment in segments {
            contents.notes_of(segment, endian, bytes)?;
        }
        for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
            contents.load(segment, endian, bytes.len() as u64);
        }
        Ok(contents)
    }

    /// Bytes of p_memsz beyond p_filesz are not in the file. In a guest's dump
    /// they do not mean zeros.
    fn load<P: ProgramHeader<Endian = Endianness>>(
        &mut self,
        segment: &P,
        endian: Endianness,
        file_len: u64,
    ) {
        let (offset, in_file) = segment.file_range(endian);
        let memory: u64 = segment.p_memsz(endian).into();
        let gpa: u64 = segment.p_paddr(endian).into();
        // A dump with paging maps what is no RAM to nowhere: -1 in either class.
        if in_file == 0 && matches!(offset, u64::MAX | 0xffff_ffff) {
            return;
        }
        let end = offset.checked_add(in_file);
        if end.is_none_or(|end| end > file_len) {
            let missing = end.map_or(in_file, |end| end - file_len);
            self.notes.push(format!(
                "the file is cut: {missing:#x} bytes of the block at {gpa:#x} are missing"
            ));
        }
        let here = in_file.min(file_len.saturating_sub(offset));
        self.push(gpa, here, Backing::At(ImageOffset(offset)));
        self.push(gpa.saturating_add(here), memory.max(in_file) - here, Backing::Absent);
    }

    fn push(&mut self, gpa: u64, len: u64, backing: Backing<ImageOffset>) {
        if len > 0 {
            self.ranges.push(PhysicalRange { gpa: Gpa(gpa), len, backing });
        }
    }

    fn notes_of<P: ProgramHeader<Endian = Endianness>>(
        &mut self,
        segment: &P,
        endian: Endianness,
        bytes: &[u8],
    ) -> Result<(), ImageError> {
        let offset = segment.p_offset(endian).into();
        let Some(mut notes) =
            segment.notes(endian, bytes).map_err(|error| damaged(error, offset))?
        else {
            return Ok(());
        };
        while let Some(note) = notes.next().map_err(|error| damaged(error, offset))? {
            self.note(note.name(), note.n_type(endian).0, note.desc(), offset)?;
        }
        Ok(())
    }

    fn note(
        &mut self,
        owner: &[u8],
        kind: u32,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), ImageError> {
        if owner == b"CORE" && matches!(kind, NT_AUXV | NT_FILE) {
            return Err(not_a_guest(
                "the core of a process, such as the emulator itself",
                Advice::Parts(&[
                    Say("give an emulator's own core with "),
                    Name(Setting::Core),
                    Say("; "),
                    Name(Setting::Image),
                    Say(" wants the guest's memory"),
                ]),
            ));
        }
        self.registers.take(owner, kind, bytes).map_err(|what| damaged(what, offset))
    }

    fn into_image(mut self, file: MappedFile) -> Result<Image, ImageError> {
        for (gpa, len) in self.registers.absent() {
            self.push(gpa.0, len, Backing::Absent);
        }
        let memory = PhysicalMemory::new(self.ranges, ImageBytes::Flat(file))
            .map_err(|source| ImageError::Blocks { format: FORMAT, source })?;
        let mut image = Image::new(FORMAT, memory);
        (image.arch, image.other, image.notes) = (self.arch, self.other, self.notes);
        self.registers.give(&mut image).map_err(|what| damaged(what, 0))?;
        Ok(image)
    }
}
