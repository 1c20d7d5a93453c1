//! Any file as the core of a process, with any file as its executable.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    addr::Hva,
    debuginfo::DebugSearch,
    host::{Host, core::Core},
    memory::{MappedFile, Memory, ReadCause},
    qemu::{self, Offsets},
};

fuzz_target!(|input: (bool, &[u8], &[u8])| {
    let (given, executable, core) = input;
    let executable = MappedFile::from_vec(executable.to_vec());
    let files = if given { vec![executable.clone()] } else { Vec::new() };
    let file = MappedFile::from_vec(core.to_vec());
    let Ok(core) = Core::from_file(file, &files, &|_| Some(executable.clone())) else { return };
    let areas = core.areas();
    assert!(areas.windows(2).all(|pair| pair[0].start <= pair[1].start));
    for area in areas {
        let last = area.start.0 + (area.len - 1);
        for at in [area.start.0.wrapping_sub(1), area.start.0, last, last.saturating_sub(3)] {
            agree(core.memory(), Hva(at));
        }
        assert!(core.memory().held(area.start, area.len) <= area.len);
    }
    // No files of this machine, no cache.
    let search = DebugSearch { debug_file: None, folders: Vec::new(), cache: None, unit: None };
    let _ = qemu::read(&core, &Offsets::Found(search));
});

/// A slice and a read of the same bytes.
fn agree(memory: &impl Memory<Hva>, at: Hva) {
    let mut read = [0; 8];
    let result = memory.read(at, &mut read);
    if let Some(slice) = memory.slice(at, read.len()) {
        assert_eq!((slice, &result), (&read[..], &Ok(())));
    }
    if let Err(error) = result {
        assert!(matches!(error.cause, ReadCause::NotInCore | ReadCause::Hole));
        assert!(error.addr.wrapping_sub(at.0) < read.len() as u64);
    }
}
