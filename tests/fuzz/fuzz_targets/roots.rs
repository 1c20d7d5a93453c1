//! Looking for first tables in any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rr_mem::{
    addr::Gpa,
    memory::SliceMemory,
    mmu::{Mmu, find_roots},
};
use rr_mem_fuzz::AnyRegs;

fuzz_target!(|input: (AnyRegs, u16, &[u8])| {
    let (AnyRegs(regs), base, bytes) = input;
    let base = Gpa(u64::from(base));
    let memory = SliceMemory::new(base, bytes);
    let ranges = [(base, bytes.len() as u64)];
    let roots = find_roots(&[regs], &memory, &ranges, &mut |_| {}).candidates;
    let end = base.0 + bytes.len() as u64;
    assert!(roots.iter().all(|root| (base.0..end).contains(&root.root.0)));
    assert!(roots.iter().all(|root| root.mode == Mmu::new(&regs).expect("modelled").mode()));
    assert!(roots.is_sorted_by(|a, b| a.shared_by >= b.shared_by));
});
