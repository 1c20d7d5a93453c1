//! Any file as a program with debug info.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    debuginfo::{Program, DebugSearch, symbols},
    memory::MappedFile,
    qemu::layouts,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = symbols::find(bytes, ["address_space_memory", "main"]);
    let file = MappedFile::from_vec(bytes.to_vec());
    let program = Program { path: Path::new("/nowhere/program"), file: &file };
    let search = DebugSearch { debug_file: None, folders: Vec::new(), cache: None, unit: None };
    match search.layout(program, &layouts::wanted()) {
        Ok(layout) => assert!(!layout.structs.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty() && !error.advice().to_string().is_empty()),
    }
});
