//! What a QEMU's struct offsets cost: from DWARF, and from the cache.
//! `RR_MEM_ELF` names a program with debug info; by default one as large as a
//! QEMU is made of the fixture's structs.
#![allow(clippy::print_stderr)]
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use criterion::{Criterion, criterion_group, criterion_main};
use rr_mem::{
    debuginfo::{Cache, DebugSearch, Program},
    memory::MappedFile,
    qemu::layouts,
};
use tempfile::TempDir;

/// Units of the program that is made, and types that each has besides.
const UNITS: usize = 400;
const TYPES: usize = 1000;

/// A library of some 40 MB: in every unit a thousand structs and the fixture's.
fn made(folder: &Path) -> PathBuf {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/../oracle/fixtures/structs.c");
    let one = |i| {
        format!(
            "struct s{i} {{ struct s{i} *next; int a[{i} + 1]; union {{ long b; char c[8]; }}; }};\n\
             typedef struct s{i} t{i}; t{i} *v{i};\n"
        )
    };
    let types: String = (0..TYPES).map(one).collect();
    fs::write(folder.join("unit.c"), format!("#include \"{fixture}\"\n{types}")).unwrap();
    let gcc = |args: &[&str]| {
        assert!(Command::new("gcc").args(args).current_dir(folder).status().unwrap().success());
    };
    gcc(&["-c", "-g", "-fPIC", "-fvisibility=hidden", "-DUNIT=x", "-o", "0.o", "unit.c"]);
    // The same unit again, without its symbols: names clash, DWARF does not.
    let copies: Vec<String> = (1..UNITS).map(|i| format!("{i}.o")).collect();
    for copy in &copies {
        fs::copy(folder.join("0.o"), folder.join(copy)).unwrap();
    }
    let mut link = vec!["-shared", "-nostdlib", "-Wl,--allow-multiple-definition"];
    link.extend(["-o", "library.so", "0.o"]);
    link.extend(copies.iter().map(String::as_str));
    gcc(&link);
    folder.join("library.so")
}

fn all(criterion: &mut Criterion) {
    let folder = TempDir::new().unwrap();
    let given = env::var_os("RR_MEM_ELF").map(PathBuf::from);
    let path = given.unwrap_or_else(|| made(folder.path()));
    let cache = Cache::at(folder.path().join("cache"));
    let cold = DebugSearch { cache: None, ..DebugSearch::default() };
    let cached = DebugSearch { cache: Some(cache), ..DebugSearch::default() };
    let ask = |search: &DebugSearch| {
        let file = MappedFile::open(&path).unwrap();
        search.layout(Program { path: &path, file: &file }, &layouts::wanted()).unwrap()
    };
    assert_eq!(ask(&cached), ask(&cold));
    assert_eq!(ask(&cached), ask(&cold));
    eprintln!("{}: {} bytes", path.display(), fs::metadata(&path).unwrap().len());
    let mut group = criterion.benchmark_group("layout");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    group.bench_function("from DWARF", |b| b.iter(|| ask(&cold)));
    group.bench_function("from the cache", |b| b.iter(|| ask(&cached)));
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
