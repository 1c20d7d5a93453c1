//! Any bytes as a nondet log of PANDA.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem_fuzz::log;

fuzz_target!(|bytes: &[u8]| {
    // Nothing that a replay log starts with.
    let header = [0x11, 0x22, 0x33, 0x44, 0, 0, 0, 0];
    log::read([&header, bytes].concat());
});
