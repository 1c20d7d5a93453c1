//! What it costs to read a nondet log of 160 MB, made by repeating a real one of
//! small entries (18 bytes on average): counting them, and printing them as
//! rr_print does.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{fs, hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rr_mem::{
    memory::MappedFile,
    replay::{Entry, EventLog, Log, stat::Stat},
    report::log::compat::Compat,
};

/// Bytes of the log, about.
const BYTES: usize = 160_000_000;
/// Text is thrown away in pieces of this size.
const PIECE: usize = 1 << 18;
/// Bytes of the header, and of the mark at the end.
const HEADER: usize = 8;
const END: usize = 10;

/// The real log again and again, with counts that go on.
fn repeated() -> Vec<u8> {
    let real = concat!(env!("CARGO_MANIFEST_DIR"), "/../data/logs/x64-gtkern-rr-nondet.log.zst");
    let real = zstd::decode_all(fs::File::open(real).unwrap()).unwrap();
    let total = u64::from_le_bytes(*real.first_chunk().unwrap());
    let mut starts = Vec::new();
    let mut log = Log::from_file(MappedFile::from_vec(real.clone())).unwrap();
    while let Some(entry) = log.next_entry().unwrap() {
        starts.push((entry.offset as usize - HEADER, entry.instructions));
    }
    let mut body = real[HEADER..real.len() - END].to_vec();
    starts.retain(|(at, _)| *at < body.len());
    let times = BYTES / body.len();
    let mut all = (total * times as u64).to_le_bytes().to_vec();
    for time in 0..times as u64 {
        for (at, count) in starts.iter().copied() {
            body[at..at + 8].copy_from_slice(&(count + time * total).to_le_bytes());
        }
        all.extend_from_slice(&body);
    }
    all.extend_from_slice(&(total * times as u64).to_le_bytes());
    all.extend_from_slice(&real[real.len() - 2..]);
    all
}

fn stat(file: &MappedFile) -> u64 {
    let mut log = Log::from_file(file.clone()).unwrap();
    let mut stat = Stat::default();
    loop {
        log.batch(|entry| {
            stat.add(entry);
            true
        });
        match log.next_entry().unwrap() {
            Some(entry) => stat.add(&entry),
            None => return stat.entries(),
        }
    }
}

fn compat(file: &MappedFile) -> usize {
    let mut log = Log::from_file(file.clone()).unwrap();
    let mut compat = Compat::default();
    let mut text = Vec::with_capacity(2 * PIECE);
    let mut printed = 0;
    let mut print = |entry: &Entry| {
        compat.entry(&mut text, entry);
        if text.len() >= PIECE {
            printed += black_box(&text).len();
            text.clear();
        }
        true
    };
    loop {
        log.batch(&mut print);
        match log.next_entry().unwrap() {
            Some(entry) => print(&entry),
            None => break,
        };
    }
    printed + text.len()
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big-rr-nondet.log");
    fs::write(&path, repeated()).unwrap();
    let file = MappedFile::open(&path).unwrap();
    let mut group = criterion.benchmark_group("log of 160 MB");
    group.sample_size(10).measurement_time(Duration::from_secs(8));
    group.throughput(Throughput::Bytes(file.bytes().len() as u64));
    group.bench_function("stat", |bencher| bencher.iter(|| stat(&file)));
    group.bench_function("print --compat", |bencher| bencher.iter(|| compat(&file)));
    group.finish();
}

criterion_group!(log, benches);
criterion_main!(log);
