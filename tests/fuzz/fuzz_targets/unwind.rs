//! Any bytes as an ELF image of code that a program made, as that program's
//! stack, and as its list of such images.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    addr::Hva,
    debuginfo::{jit, symbols},
    host::unwind::{self, StackRegisters},
    memory::SliceMemory,
};

/// Frames that are followed, at most.
const MOST: usize = 64;

fuzz_target!(|input: (u64, u16, u16, &[u8])| {
    let (pc, sp, fp, bytes) = input;
    let memory = SliceMemory::new(Hva(0), bytes);
    let at = StackRegisters { pc, sp: sp.into(), fp: fp.into() };
    let mut images = vec![bytes.to_vec()];
    images.extend(jit::images(&memory, Hva(0)).unwrap_or_default());
    let frames = unwind::frames(&[], &images, &memory, at);
    assert!(frames.len() <= MOST);
    for frame in frames {
        if let Some((_, behind)) = symbols::function(bytes, frame) {
            assert!(behind <= frame);
        }
    }
});
