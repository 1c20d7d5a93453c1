//! Any bytes as a kernel's symbols, ELF file or System.map.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rr_mem::{addr::Gva, symbols::Symbols};

fuzz_target!(|input: (u64, &[u8])| {
    let (gva, bytes) = input;
    let Ok(symbols) = Symbols::of(bytes, Path::new("System.map")) else { return };
    let Some((name, behind)) = symbols.at(Gva(gva)) else { return };
    assert!(behind <= gva);
    let start = symbols.address(name).expect("what is named has an address");
    // The first of several that bear the name.
    assert!(start.0 <= gva - behind);
});
