//! The table of cases (`tests/data/doors.json`), through the library's own door. The
//! program, Python and gdb run the same table (`tests/oracle`): the same answer, the
//! same kind of error, the same remarks.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::*;
use crate::{
    addr::{Gpa, Gva},
    advice::Explain,
    guest::Missing,
    mmu::{Query, WalkError},
    regs::Arch,
};

fn hex(value: &Value) -> u64 {
    let text = value.as_str().expect("a hex string");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a hex string")
}

/// The file that the table describes: words of 64 bits in so many bytes of zeros.
fn image(table: &Value, folder: &std::path::Path) -> PathBuf {
    let file = &table["image"];
    let mut bytes = vec![0; hex(&file["bytes"]) as usize];
    for (at, word) in file["words"].as_object().expect("an object") {
        let at = hex(&at.clone().into()) as usize;
        bytes[at..at + 8].copy_from_slice(&hex(word).to_le_bytes());
    }
    let path = folder.join("ram.bin");
    fs::write(&path, bytes).expect("a temporary file");
    path
}

/// An ELF core around the bytes of a file, at physical address 0: System V ABI, "ELF
/// Header", "Program Header".
fn core(image: &std::path::Path, machine: u64) -> PathBuf {
    let bytes = fs::read(image).expect("was written");
    let mut core = b"\x7fELF\x02\x01\x01".to_vec();
    core.resize(16, 0);
    let halves = |core: &mut Vec<u8>, halves: &[u16]| {
        core.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
    };
    let words = |core: &mut Vec<u8>, words: &[u64]| {
        core.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    };
    halves(&mut core, &[4, machine as u16, 1, 0]);
    words(&mut core, &[0, 64, 0]);
    halves(&mut core, &[0, 0, 64, 56, 1, 0, 0, 0]);
    let len = bytes.len() as u64;
    words(&mut core, &[1 | 7 << 32, 120, 0, 0, len, len, 0]);
    let path = image.with_extension(format!("{machine:x}.elf"));
    fs::write(&path, [core, bytes].concat()).expect("a temporary file");
    path
}

fn source(case: &Value, image: &std::path::Path) -> Result<Source, SourceError> {
    let machine = case.get("machine").map(hex);
    let image = &machine.map_or_else(|| image.to_owned(), |machine| core(image, machine));
    let regions = case["regions"].as_str().map(RegionText::parse).transpose()?;
    Ok(match case["source"].as_str().expect("a kind of source") {
        "sample" => Source::Sample,
        "regions" => Source::Regions(regions.expect("a text")),
        "image" => Source::Image(ImageFile::new(image).regions(regions)),
        other => panic!("no source is called {other}"),
    })
}

fn asked(case: &Value) -> Result<Asked, SourceError> {
    let arch = case["arch"].as_str().map(|name| name.parse::<Arch>().expect("is one"));
    let asked = Asked::cpu(case["cpu"].as_u64().unwrap_or(0)).with_arch(arch);
    let mut registers = case["registers"].as_object().into_iter().flatten();
    registers.try_fold(asked, |asked, (name, value)| asked.with_named(name, hex(value)))
}

/// What a case answers, as the table says it.
fn answer(case: &Value, image: &std::path::Path) -> Result<(String, Vec<&'static str>), String> {
    let opened = source(case, image)
        .and_then(|source| open(source, &asked(case)?, &mut |_| {}))
        .map_err(|error| error.kind().to_owned())?;
    let remarks = opened.remarks.iter().map(Remark::kind).collect();
    let missing = |missing: Missing| missing.kind().to_owned();
    let found = if let Some(gpa) = case.get("find") {
        let gpa = Gpa(hex(gpa));
        let found = opened.guest.find(gpa, 1).map_err(missing)?;
        found.map_or("none".to_owned(), |_| {
            opened.guest.place(gpa).map_or(String::new(), |place| place.region.to_owned())
        })
    } else {
        let walk = opened.guest.walk(Gva(hex(&case["v2p"])), Query::Presence).map_err(missing)?;
        match walk.result {
            Ok(found) => format!("{:#x}", found.gpa),
            Err(WalkError::Fault(fault)) => fault.kind.name().to_owned(),
            Err(WalkError::Unreadable(table)) => table.source.kind().to_owned(),
        }
    };
    Ok((found, remarks))
}

#[test]
fn every_case_of_the_table_is_answered() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/doors.json");
    let table: Value =
        serde_json::from_str(&fs::read_to_string(path).expect("is there")).expect("is JSON");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let image = image(&table, folder.path());
    let cases = table["cases"].as_array().expect("a list");
    assert!(cases.len() >= 15);
    for case in cases {
        let name = case["name"].as_str().expect("a name");
        let found = answer(case, &image);
        let wanted = |key: &str| case[key].as_str().map(str::to_owned);
        match (&found, wanted("answer"), wanted("error")) {
            (Ok((found, remarks)), Some(wanted), None) => {
                assert_eq!(*found, wanted, "{name}");
                let said: Vec<_> = case["remarks"].as_array().into_iter().flatten().collect();
                for kind in said {
                    let kind = kind.as_str().expect("a kind");
                    assert!(remarks.contains(&kind), "{name}: {remarks:?} lacks {kind}");
                }
                assert_eq!(
                    remarks.contains(&"assumed"),
                    case["remarks"].to_string().contains("assumed"),
                    "{name}: {remarks:?}"
                );
            }
            (Err(kind), None, Some(wanted)) => assert_eq!(*kind, wanted, "{name}"),
            _ => panic!("{name}: {found:?}"),
        }
    }
}
