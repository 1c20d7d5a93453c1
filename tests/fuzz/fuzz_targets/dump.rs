//! Any bytes as a dump of each format, and what is written of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    addr::{Gpa, RangeSet},
    image::{
        self, OpenOptions,
        save::{self, FileFormat},
    },
    memory::{MappedFile, Memory},
    regs::Arch,
};

const MAGICS: [&[u8]; 6] =
    [b"\x7fELF\x02\x01\x01", b"EMiL\x01\0\0\0", b"KDUMP   \x06\0\0\0", b"makedumpfile\0\0\0\0", b"PAGEDU64", b"PAGEDUMP"];
/// What is written and read again at most.
const MOST: u128 = 1 << 22;

fuzz_target!(|input: (u8, &[u8])| {
    let (which, bytes) = input;
    let mut bytes = bytes.to_vec();
    let magic = MAGICS.get(usize::from(which)).copied().unwrap_or_default();
    let Some(start) = bytes.get_mut(..magic.len()) else { return };
    start.copy_from_slice(magic);
    // Compressed files have a target of their own.
    if magic.is_empty() && !bytes.starts_with(b"\x7fELF") {
        return;
    }
    let Ok(image) = image::from_file(MappedFile::from_vec(bytes), &OpenOptions::default()) else { return };
    for range in image.memory.ranges().iter().take(1000) {
        for gpa in [range.gpa.0, range.gpa.0 + (range.len - 1)] {
            let _ = image.memory.read(Gpa(gpa), &mut [0; 8]);
        }
    }
    let held: RangeSet =
        image.memory.held().iter().map(|(gpa, len)| gpa.0..=gpa.0 + (len - 1)).collect();
    if held.count() > MOST {
        return;
    }
    let mut file = tempfile::tempfile().expect("a temporary folder");
    let notes = |_: &RangeSet| Vec::new();
    let format = FileFormat::Elf(Arch::X86_64, &notes);
    let written =
        save::save(&mut file, &format, &image.memory, &held, &mut |_| {}).expect("a disk");
    let again = image::from_file(MappedFile::map(&file).expect("maps"), &OpenOptions::default()).expect("is ours");
    for (first, last) in written.iter() {
        let len = (last - first + 1).min(4096) as usize;
        let (mut old, mut new) = (vec![0; len], vec![1; len]);
        image.memory.read(Gpa(first), &mut old).expect("was read before");
        again.memory.read(Gpa(first), &mut new).expect("was written");
        assert_eq!(old, new);
    }
});
