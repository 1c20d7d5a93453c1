//! The program on a running, stripped QEMU, from its start to its end; and
//! what gdb takes to attach to the same one and read a word.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};

const QEMU: &str = "qemu-system-x86_64";

/// Ends with the bench.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Emulator {
    /// A machine that runs nothing: its CPU stands at the first instruction.
    fn new() -> Self {
        let arguments = "-S -nodefaults -display none -M pc -m 96".split(' ');
        Self(Command::new(QEMU).args(arguments).spawn().expect("QEMU is installed"))
    }

    fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

/// The program beside the bench: `cargo build --release` makes it.
fn program() -> PathBuf {
    let bench = env::current_exe().unwrap();
    let program = bench.parent().and_then(Path::parent).unwrap().join("rr-mem");
    assert!(program.exists(), "run `cargo build --release` first");
    program
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

fn all(criterion: &mut Criterion) {
    let (emulator, program) = (Emulator::new(), program());
    let pid = emulator.pid();
    let v2p = || {
        let mut command = Command::new(&program);
        command.args(["v2p", "--pid", &pid, "0xfff0"]);
        command
    };
    // It takes a moment until the machine is made.
    assert!((0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        succeeds(&mut v2p())
    }));
    let mut group = criterion.benchmark_group("a running QEMU");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.bench_function("rr-mem v2p --pid", |b| b.iter(|| assert!(succeeds(&mut v2p()))));
    group.bench_function("gdb, attach and read a word", |b| {
        b.iter(|| {
            let commands = ["-batch", "-nx", "-p", &pid, "-ex", "x/gx &address_space_memory"];
            assert!(succeeds(Command::new("gdb").args(commands)));
        });
    });
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
