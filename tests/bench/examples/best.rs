//! The fastest of many rounds of each question, for machines whose cores are
//! shared: others can slow a round down, but never speed it up.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::{hint::black_box, time::Instant};

use rr_mem::{
    addr::{Gpa, Gva},
    image::{self, ImageMemory, OpenOptions},
    memory::MappedFile,
    mmu::{Merge, Mmu, Query, SpaceLimits, VirtualSpace},
    regs::{Regs, X86Regs},
};
use rr_mem_bench::{CR3, Generated, PAGE, RAM, Random, moments::Moments, naive_walk};

const ROUNDS: usize = 500;

/// Prints what the fastest round took: in all, and for each of `items`.
fn best(name: &str, items: usize, mut round: impl FnMut()) {
    let took = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        round();
        start.elapsed().as_nanos()
    });
    let fastest = took.min().unwrap() as f64;
    println!("{name:24} {:9.3} ms {:8.1} ns each", fastest / 1e6, fastest / items as f64);
}

/// Prints the fastest of some rounds of comparing two images and of merely
/// reading them, in turn.
fn comparing() {
    const ROUNDS: usize = 60;
    let moments = Moments::new(2026);
    let took = |question: &dyn Fn() -> usize| {
        let start = Instant::now();
        black_box(question());
        start.elapsed().as_secs_f64() * 1e3
    };
    let rounds = (0..ROUNDS).map(|_| [took(&|| moments.diff()), took(&|| moments.memcmp())]);
    let [diff, read] =
        rounds.reduce(|best, round| [best[0].min(round[0]), best[1].min(round[1])]).unwrap();
    let gigabytes = Moments::BYTES as f64 / read / 1e6;
    println!(
        "diff of 2 x 1 GB          {diff:9.3} ms, {:.2} times memcmp on all cores ({gigabytes:.1} GB/s)",
        diff / read
    );
}

fn batch(mmu: &Mmu, memory: &ImageMemory, gvas: &[Gva]) {
    mmu.query_batch(memory, gvas, Query::Presence, |_, answer| {
        let _ = black_box(answer);
    });
}

fn main() {
    let truth = Generated::new(2026);
    let sorted: Vec<Gva> = truth.addresses(2026).iter().map(|(gva, _)| Gva(*gva)).collect();
    let (user, kernel) = sorted.split_at(sorted.len() / 2);
    let halves: Vec<Gva> = user.iter().zip(kernel).flat_map(|(a, b)| [*a, *b]).collect();
    let mut random = sorted.clone();
    Random(2026).shuffle(&mut random);
    let file = MappedFile::from_vec(truth.ram);
    let memory = &image::from_file(file, &OpenOptions::default()).unwrap().memory;
    let mmu =
        &Mmu::new(&Regs::X86(X86Regs { cr3: CR3, ..X86Regs::long_mode() })).expect("modelled");
    let space = || VirtualSpace::new(mmu, memory, SpaceLimits::default());
    let len = random.len();

    best("naive walk", len, || {
        for gva in &random {
            black_box(naive_walk(memory.source().file().bytes(), gva.0));
        }
    });
    best("Mmu::translate", len, || {
        for gva in &random {
            let _ = black_box(mmu.translate(memory, *gva));
        }
    });
    best("batch, random", len, || batch(mmu, memory, &random));
    best("batch, sorted", len, || batch(mmu, memory, &sorted));
    best("batch, user and kernel", len, || batch(mmu, memory, &halves));
    best("whole map", len, || {
        black_box(space().mappings(Merge::Physical).map(black_box).count());
    });
    best("p2v, the first time", 1, || {
        black_box(space().aliases().of(Gpa(0x1000), 100));
    });
    let space = space();
    let index = space.aliases();
    best("p2v, from the index", len, || {
        for page in 0..len as u64 {
            black_box(index.of(Gpa(page * PAGE % RAM), 100));
        }
    });
    comparing();
}
