//! What a probe of the divergence search costs: the digest of a guest's RAM,
//! mapped and read from another process, beside merely reading it on all cores.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use rr_mem::{
    addr::{Gpa, Hva},
    diverge::{Digest, Ignored, Snapshot},
    host::{Host, process::Process},
    memory::{Memory, ReadError, SliceMemory},
};

const BYTES: usize = 512 << 20;
/// What a core reads at a time.
const PIECE: usize = 1 << 20;

/// RAM at `base` in a process, as an emulator has it.
struct Outside<'a> {
    process: &'a Process,
    base: u64,
}

impl Memory for Outside<'_> {
    fn read(&self, gpa: Gpa, into: &mut [u8]) -> Result<(), ReadError> {
        self.process.memory().read(Hva(self.base + gpa.0), into)
    }
}

fn snapshot<'a>(memory: Box<dyn Memory + Sync + 'a>) -> Snapshot<'a> {
    let ram = [0..=BYTES as u64 - 1].into_iter().collect();
    Snapshot { cpus: Vec::new(), ram, regions: None, memory }
}

fn digests(criterion: &mut Criterion) {
    let bytes: Vec<u8> = (0..BYTES as u64 / 8)
        .flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect();
    let process = Process::open(std::process::id()).unwrap();
    let base = bytes.as_ptr() as u64;
    let mapped = snapshot(Box::new(SliceMemory::new(Gpa(0), &bytes)));
    let outside = snapshot(Box::new(Outside { process: &process, base }));
    let ignored = Ignored::default();
    assert!(Digest::of(&mapped, &ignored).agrees_with(&Digest::of(&outside, &ignored)));
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(10);
    group.bench_function("mapped", |b| b.iter(|| Digest::of(&mapped, &ignored)));
    group.bench_function("of a process", |b| b.iter(|| Digest::of(&outside, &ignored)));
    group.bench_function("reading alone, all cores", |b| {
        b.iter(|| {
            let pieces = bytes.par_chunks(PIECE);
            pieces
                .map(|piece| piece.iter().map(|byte| u64::from(*byte)).sum::<u64>())
                .map(black_box)
                .sum::<u64>()
        });
    });
    group.finish();
}

criterion_group!(benches, digests);
criterion_main!(benches);
