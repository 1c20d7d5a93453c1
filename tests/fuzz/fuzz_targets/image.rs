//! Any file as an image of guest memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    addr::{Gpa, Gva},
    image::{self, OpenOptions},
    memory::{MappedFile, Memory},
    mmu::Mmu,
};

/// Compressed files may hold a terabyte: their decoders are not ours, and have
/// fuzzers of their own.
const COMPRESSED: [&[u8]; 3] =
    [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd], &[0x04, 0x22, 0x4d, 0x18]];

fuzz_target!(|input: (u64, &[u8])| {
    let (ram_base, bytes) = input;
    if COMPRESSED.iter().any(|magic| bytes.starts_with(magic)) {
        return;
    }
    let file = MappedFile::from_vec(bytes.to_vec());
    let options = OpenOptions::default().ram_base(Gpa(ram_base)).snapshot(Some("1"));
    let Ok(image) = image::from_file(file, &options) else { return };
    let ranges = image.memory.ranges();
    assert!(ranges.windows(2).all(|pair| pair[0].gpa.0 + (pair[0].len - 1) < pair[1].gpa.0));
    for range in ranges {
        let last = range.gpa.0 + (range.len - 1);
        for at in [range.gpa.0.wrapping_sub(1), range.gpa.0, last, last.wrapping_sub(3)] {
            agree(&image.memory, Gpa(at));
        }
    }
    for cpu in &image.cpus {
        let Ok(mmu) = Mmu::new(&cpu.regs) else { continue };
        for gva in [0, 1 << 20, 0xc000_0000, 0xffff_8000_0000_0000, u64::MAX] {
            let _ = mmu.translate(&image.memory, Gva(gva));
        }
    }
    for space in image.regions.iter().flat_map(|map| map.address_spaces()) {
        let _ = image.regions.as_ref().map(|map| map.view(space));
    }
});

/// A slice and a read of the same bytes.
fn agree(memory: &impl Memory, at: Gpa) {
    let mut read = [0; 8];
    let result = memory.read(at, &mut read);
    if let Some(slice) = memory.slice(at, read.len()) {
        assert_eq!((slice, &result), (&read[..], &Ok(())));
    }
    if let Err(error) = result {
        assert!(error.addr.wrapping_sub(at.0) < read.len() as u64);
    }
}
