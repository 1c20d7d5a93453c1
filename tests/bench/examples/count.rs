use rr_mem::{
    addr::{Gpa, Gva},
    image,
    memory::MappedFile,
    mmu::*,
    regs::*,
};
use rr_mem_bench::*;
fn main() {
    let what = std::env::args().nth(1).unwrap();
    let truth = Generated::new(2026);
    let addrs: Vec<Gva> = {
        let mut a = truth.addresses(1);
        Random(3).shuffle(&mut a);
        a.into_iter().map(|x| Gva(x.0)).collect()
    };
    let image = image::from_file(MappedFile::from_vec(truth.ram.clone()), Gpa(0)).unwrap();
    let memory = &image.memory;
    let mmu = Mmu::new(&Regs::X86(X86Regs { cr3: CR3, ..X86Regs::long_mode() }));
    let mut sum = 0u64;
    let reps = if cfg!(debug_assertions) {
        1
    } else {
        std::env::args().nth(2).map_or(1, |x| x.parse().unwrap())
    };
    let mut best = f64::MAX;
    for _ in 0..reps {
        let t = std::time::Instant::now();
        match what.as_str() {
            "single" => {
                for &a in &addrs {
                    sum ^= mmu.translate(memory, a).unwrap().gpa.0;
                }
            }
            "naive" => {
                for &a in &addrs {
                    sum ^= naive_walk(memory.source().bytes(), a.0).unwrap();
                }
            }
            "batch" => mmu.ask_batch(memory, &addrs, Ask::Presence, |_, x| sum ^= x.unwrap().gpa.0),
            "space" => {
                sum ^= Space::new(&mmu, memory, SpaceLimits::default()).tables() as u64;
            }
            "map" => {
                sum ^= Space::new(&mmu, memory, SpaceLimits::default())
                    .mappings(Merge::Physical)
                    .count() as u64;
            }
            "p2v" => {
                sum ^= Space::new(&mmu, memory, SpaceLimits::default())
                    .aliases()
                    .of(Gpa(0x1000), 100)
                    .0
                    .len() as u64;
            }
            _ => {}
        }
        best = best.min(t.elapsed().as_nanos() as f64);
    }
    println!("{what} {sum:x} best {:.1} ns/addr, {:.3} ms", best / 20000.0, best / 1e6);
}
