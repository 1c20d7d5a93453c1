//! What a migration stream costs beside raw RAM: the pass that finds its pages,
//! and random translations through its index.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{hint::black_box, io::Write};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rr_mem::{
    addr::Gva,
    image::{self, Image, ImageMemory, OpenOptions},
    memory::MappedFile,
    mmu::Mmu,
    regs::{Regs, X86Regs},
};
use rr_mem_bench::{CR3, Generated, PAGE, RAM, Random};
use tempfile::NamedTempFile;

const SEED: u64 = 6;
/// How often the guest's RAM is in the stream.
const COPIES: u64 = 16;
const BLOCK: &[u8] = b"\x06pc.ram";

/// QEMU documentation, "Migration": the configuration section, the list of RAM
/// blocks, one record a page, the end.
fn stream(ram: &[u8]) -> NamedTempFile {
    let len = RAM * COPIES;
    let mut out = b"QEVM\0\0\0\x03\x07\0\0\0\x0dpc-i440fx-7.2".to_vec();
    out.extend(b"\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04");
    out.extend((len | 0x04).to_be_bytes());
    out.extend([BLOCK, &len.to_be_bytes(), &0x10u64.to_be_bytes()].concat());
    out.extend(b"\x7e\0\0\0\x02\x03\0\0\0\x02");
    let mut file = NamedTempFile::new().unwrap();
    for (at, page) in (0..len).step_by(PAGE as usize).zip(ram.chunks(PAGE as usize).cycle()) {
        let (same, name) = if at == 0 { (0, BLOCK) } else { (0x20, &[][..]) };
        out.extend((at | 0x08 | same).to_be_bytes());
        out.extend([name, page].concat());
        if out.len() > 1 << 20 {
            file.write_all(&out).unwrap();
            out.clear();
        }
    }
    out.extend([&0x10u64.to_be_bytes()[..], b"\x7e\0\0\0\x02\0"].concat());
    file.write_all(&out).unwrap();
    file
}

fn open(file: &NamedTempFile) -> Image {
    let mapped = MappedFile::open(file.path()).unwrap();
    image::from_file(mapped, &OpenOptions::default()).unwrap()
}

fn sum(mmu: &Mmu, memory: &ImageMemory, addresses: &[Gva]) -> u64 {
    addresses.iter().map(|gva| mmu.translate(memory, *gva).unwrap().gpa.0).sum()
}

fn streams(criterion: &mut Criterion) {
    let truth = Generated::new(SEED);
    let file = stream(&truth.ram);
    let streamed = open(&file).memory;
    let mut random: Vec<(u64, u64)> = truth.addresses(SEED);
    Random(SEED).shuffle(&mut random);
    let raw =
        image::from_file(MappedFile::from_vec(truth.ram), &OpenOptions::default()).unwrap().memory;
    let mmu = Mmu::new(&Regs::X86(X86Regs { cr3: CR3, ..X86Regs::long_mode() })).expect("modelled");
    let addresses: Vec<Gva> = random.iter().map(|(gva, _)| Gva(*gva)).collect();
    let right = random.iter().map(|(_, gpa)| gpa).sum::<u64>();
    assert_eq!([sum(&mmu, &raw, &addresses), sum(&mmu, &streamed, &addresses)], [right; 2]);

    let mut group = criterion.benchmark_group("stream");
    group.throughput(Throughput::Bytes(RAM * COPIES)).sample_size(10);
    group.bench_function("open and index", |b| {
        b.iter(|| black_box(open(&file).memory.ranges().len()))
    });
    group.throughput(Throughput::Elements(addresses.len() as u64));
    group.bench_function("v2p, raw RAM", |b| b.iter(|| sum(&mmu, &raw, &addresses)));
    group.bench_function("v2p, stream", |b| b.iter(|| sum(&mmu, &streamed, &addresses)));
    group.finish();
}

criterion_group!(benches, streams);
criterion_main!(benches);
