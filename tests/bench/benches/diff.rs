//! What comparing two moments costs: the bytes of two mapped images, beside
//! merely reading them on all cores and on one; and their page tables.
#![allow(missing_docs, clippy::unwrap_used)]

use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rr_mem::{
    addr::Gva,
    guest::diff,
    mmu::{Mmu, SpaceLimits, VirtualSpace},
    regs::{Regs, X86Regs},
};
use rr_mem_bench::{
    CR3, Generated,
    moments::{Moments, image},
};

const SEED: u64 = 6;

fn bytes(criterion: &mut Criterion) {
    let moments = Moments::new(SEED);
    let mut group = criterion.benchmark_group("diff");
    group.throughput(Throughput::Bytes(Moments::BYTES)).sample_size(10);
    group.bench_function("pages", |b| b.iter(|| moments.diff()));
    group.bench_function("memcmp, all cores", |b| b.iter(|| moments.memcmp()));
    group.bench_function("memcmp, one thread", |b| b.iter(|| moments.one_thread()));
    group.finish();
}

fn tables(criterion: &mut Criterion) {
    let regs = Regs::X86(X86Regs { cr3: CR3, ..X86Regs::long_mode() });
    let space = |seed| {
        let (_file, memory) = image(&Generated::new(seed).ram, 1);
        VirtualSpace::new(&Mmu::new(&regs).expect("modelled"), &memory, SpaceLimits::default())
    };
    let (old, new) = (space(SEED), space(SEED + 1));
    let count = || {
        let mut found = 0;
        let _ = diff::mappings(&old, &new, Gva(0)..=Gva(u64::MAX), |_| {
            found += 1;
            ControlFlow::Continue(())
        });
        found
    };
    assert!(count() > 20_000);
    criterion.bench_function("diff/40,000 mappings", |b| b.iter(count));
}

criterion_group!(benches, bytes, tables);
criterion_main!(benches);
