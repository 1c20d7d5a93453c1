//! Any bytes as a migration stream: its fields, its memory on every machine.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    image::{self, OpenOptions, savevm::Stream},
    machine,
    memory::{MappedFile, Memory},
};

fuzz_target!(|bytes: &[u8]| {
    let file = || MappedFile::from_vec(bytes.to_vec());
    let Ok(stream) = Stream::open(file(), false, &mut |_| {}) else { return };
    let mut end = 0;
    let _ = stream.fields(&mut |field| {
        let start = field.offset as usize;
        assert!(start >= end && bytes[start..].starts_with(field.bytes));
        end = start + field.bytes.len();
        ControlFlow::Continue(())
    });
    for name in machine::NAMES {
        let options = OpenOptions::default().machine(Some(name));
        let Ok(image) = image::from_file(file(), &options) else { continue };
        for (gpa, len) in image.memory.held().into_iter().take(64) {
            let mut read = [0; 8];
            let len = len.min(8) as usize;
            let result = image.memory.read(gpa, &mut read[..len]);
            if let Some(slice) = image.memory.slice(gpa, len) {
                assert_eq!((slice, result), (&read[..len], Ok(())));
            }
        }
    }
});
