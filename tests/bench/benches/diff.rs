//! What comparing two moments costs: the bytes of two mapped images, beside a
//! plain comparison of the same bytes by one thread, and their page tables.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{hint::black_box, io::Write, ops::ControlFlow};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rr_mem::{
    addr::{Gpa, Gva, RangeSet},
    guest::diff,
    image::{self, ImageMemory},
    mmu::{Mmu, Space, SpaceLimits},
    regs::{Regs, X86Regs},
};
use rr_mem_bench::{CR3, Generated, RAM};
use tempfile::NamedTempFile;

const SEED: u64 = 6;
/// How often the guest's RAM is in an image.
const COPIES: u64 = 16;

fn image(ram: &[u8]) -> (NamedTempFile, ImageMemory) {
    let mut file = NamedTempFile::new().unwrap();
    (0..COPIES).for_each(|_| file.write_all(ram).unwrap());
    let memory = image::open(file.path(), Gpa(0), &mut |_| {}).unwrap().memory;
    (file, memory)
}

fn bytes(criterion: &mut Criterion) {
    let old = Generated::new(SEED).ram;
    let mut new = old.clone();
    (0..RAM).step_by(1 << 16).for_each(|at| new[at as usize] ^= 1);
    let ((_old, a), (_new, b)) = (image(&old), image(&new));
    let all: RangeSet = std::iter::once(0..=RAM * COPIES - 1).collect();
    let found = diff::pages(&a, &b, &all, &|_| {});
    assert_eq!(found.pages.len() as u64, (COPIES * RAM) >> 16);
    let mut group = criterion.benchmark_group("diff");
    group.throughput(Throughput::Bytes(2 * RAM * COPIES)).sample_size(10);
    group.bench_function("pages", |b_| b_.iter(|| diff::pages(&a, &b, &all, &|_| {}).pages.len()));
    let (left, right) = (a.source().file().bytes(), b.source().file().bytes());
    group.bench_function("memcmp, one thread", |b| {
        b.iter(|| {
            left.chunks(4096).zip(right.chunks(4096)).filter(|(l, r)| black_box(l) != r).count()
        })
    });
    group.finish();
}

fn tables(criterion: &mut Criterion) {
    let regs = Regs::X86(X86Regs { cr3: CR3, ..X86Regs::long_mode() });
    let space = |seed| {
        let (_file, memory) = image(&Generated::new(seed).ram);
        Space::new(&Mmu::new(&regs), &memory, SpaceLimits::default())
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
