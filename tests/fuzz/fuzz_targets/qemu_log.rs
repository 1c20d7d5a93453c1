//! Any bytes as a replay log of QEMU, of every version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem_fuzz::log;

fuzz_target!(|input: (u8, &[u8])| {
    let (version, bytes) = input;
    let header = [0, 0xe0, 0x20, 0x0a + version % 3, 0, 0, 0, 0, 0, 0, 0, 0];
    log::read([&header, bytes].concat());
});
