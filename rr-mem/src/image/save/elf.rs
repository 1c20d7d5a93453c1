//! An ELF core of guest memory: one PT_NOTE, then a PT_LOAD for each range,
//! at its guest-physical address (p_paddr), as `dump-guest-memory` writes it.
//! System V ABI, "ELF Header", "Program Header" and "Note Section".

use std::io;

use super::sparse::Sparse;
use crate::{
    addr::{PAGE, RangeSet},
    image::CoreNote,
    regs::Arch,
};

/// More program headers than the ELF header can count: section 0 has the number.
const PN_XNUM: u64 = 0xffff;

/// The sizes of one class of ELF.
struct Class {
    wide: bool,
    header: u64,
    segment: u64,
    section: u64,
}

impl Class {
    /// 32 bits where architecture and addresses fit, as QEMU has it.
    fn of(arch: Arch, holds: &RangeSet) -> Self {
        let narrow = arch.pointer_bytes() == 4
            && holds.iter().all(|(_, last)| last <= u64::from(u32::MAX))
            && holds.count() < 1 << 31;
        match narrow {
            true => Self { wide: false, header: 52, segment: 32, section: 40 },
            false => Self { wide: true, header: 64, segment: 56, section: 64 },
        }
    }

    /// An address or offset.
    fn word(&self, out: &mut Vec<u8>, value: u64) {
        out.extend(&value.to_le_bytes()[..if self.wide { 8 } else { 4 }]);
    }

    fn file_header(&self, arch: Arch, segments: u64) -> Vec<u8> {
        let many = segments >= PN_XNUM;
        let class = if self.wide { 2 } else { 1 };
        let mut out = vec![0x7f, b'E', b'L', b'F', class, 1, 1];
        out.resize(16, 0);
        // ET_CORE, machine, version.
        out.extend(4u16.to_le_bytes());
        out.extend(arch.elf_machine().to_le_bytes());
        out.extend(1u32.to_le_bytes());
        let sections = if many { self.header + segments * self.segment } else { 0 };
        for value in [0, self.header, sections] {
            self.word(&mut out, value);
        }
        out.extend(0u32.to_le_bytes());
        let section = if many { self.section } else { 0 };
        let halves =
            [self.header, self.segment, segments.min(PN_XNUM), section, u64::from(many), 0];
        halves.iter().for_each(|half| out.extend((*half as u16).to_le_bytes()));
        out
    }

    fn segment(&self, out: &mut Vec<u8>, kind: u32, [offset, gpa, len]: [u64; 3]) {
        out.extend(kind.to_le_bytes());
        if self.wide {
            out.extend(0u32.to_le_bytes());
        }
        for value in [offset, 0, gpa, len, len] {
            self.word(out, value);
        }
        if self.wide {
            self.word(out, 0);
        } else {
            out.extend([0; 8]);
        }
    }

    /// Section 0, whose sh_info counts the segments.
    fn section(&self, out: &mut Vec<u8>, segments: u64) {
        // Name, type, flags, address, offset, size, link; behind it alignment and entry size.
        out.extend([0; 8]);
        (0..4).for_each(|_| self.word(out, 0));
        out.extend(0u32.to_le_bytes());
        out.extend((segments as u32).to_le_bytes());
        (0..2).for_each(|_| self.word(out, 0));
    }
}

pub(super) fn write(
    out: &mut Sparse<'_>,
    arch: Arch,
    notes: &[CoreNote],
    holds: &RangeSet,
) -> io::Result<()> {
    let class = Class::of(arch, holds);
    let segments = holds.iter().len() as u64 + 1;
    let section = if segments >= PN_XNUM { class.section } else { 0 };
    let notes = note_bytes(notes);
    let notes_at = class.header + segments * class.segment + section;
    let places = places(notes_at + notes.len() as u64, holds);
    let mut head = class.file_header(arch, segments);
    class.segment(&mut head, 4, [notes_at, 0, notes.len() as u64]);
    for ((first, last), place) in holds.iter().zip(&places) {
        class.segment(&mut head, 1, [*place, first, last - first + 1]);
    }
    if section > 0 {
        class.section(&mut head, segments);
    }
    out.bytes(&head)?;
    out.bytes(&notes)?;
    for ((first, last), place) in holds.iter().zip(places) {
        out.go(place)?;
        out.copy(first, last)?;
    }
    Ok(())
}

/// Where each range goes: pages begin at pages of the file, so that zeros can
/// be holes; what is smaller is packed.
fn places(mut end: u64, holds: &RangeSet) -> Vec<u64> {
    let place = |(first, last): (u64, u64)| {
        let align = if last - first + 1 >= PAGE { PAGE } else { 8 };
        let ahead = first.wrapping_sub(end) % align;
        let start = end + ahead;
        end = start + (last - first + 1);
        start
    };
    holds.iter().map(place).collect()
}

/// Names and contents are padded to 4 bytes each.
fn note_bytes(notes: &[CoreNote]) -> Vec<u8> {
    let mut out = Vec::new();
    for note in notes {
        out.extend((note.owner.len() as u32 + 1).to_le_bytes());
        out.extend((note.contents.len() as u32).to_le_bytes());
        out.extend(note.kind.to_le_bytes());
        out.extend(&note.owner);
        out.resize((out.len() + 1).next_multiple_of(4), 0);
        out.extend(&note.contents);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}
