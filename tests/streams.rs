//! Migration streams. PANDA's snapshots answer as PANDA did, from the file
//! alone. Streams that are cut, strange or hostile never answer wrongly. The
//! small streams are written here, without the reader's layouts.

use std::{fs, io::Read, ops::ControlFlow, path::PathBuf};

use rr_mem::{
    addr::{Gpa, Gva},
    guest::Guest,
    image::{self, Image, ImageError, ImageMemory, OpenOptions, savevm::Stream},
    memory::{ImageBytes, MappedFile, Memory, ReadCause},
    mmu::{AccessKind, Query, WalkError},
    regs::{Arch, Regs},
};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

fn snapshot(name: &str) -> Vec<u8> {
    let file = fs::File::open(data(&format!("streams/{name}-rr-snp.zst"))).expect("is there");
    let mut bytes = Vec::new();
    zstd::Decoder::new(file).and_then(|mut reader| reader.read_to_end(&mut bytes)).expect("whole");
    bytes
}

fn open(bytes: &[u8]) -> Result<Image, ImageError> {
    open_on(bytes, None)
}

fn open_on(bytes: &[u8], machine: Option<&str>) -> Result<Image, ImageError> {
    let options = OpenOptions::default().machine(machine);
    image::from_file(MappedFile::from_vec(bytes.to_vec()), &options)
}

fn hex(value: &Value) -> u64 {
    let text = value.as_str().expect("a hex string");
    u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a hex string")
}

/// A snapshot, and what PANDA said at the same moment.
struct Truth {
    truth: Value,
    guest: Guest<ImageMemory>,
    regs: Regs,
    ram: &'static str,
}

impl Truth {
    fn new(name: &str, machine: &str, ram: &'static str) -> Self {
        let text = fs::read_to_string(data(&format!("truth/{machine}/truth.json")));
        let truth = serde_json::from_str(&text.expect("is there")).expect("is JSON");
        let image = open(&snapshot(name)).expect("a snapshot opens");
        assert_eq!((image.notes.len(), image.cpus.len()), (0, 1));
        let cpu = image.cpus[0];
        let guest = Guest::new(Some(image.memory), Some(cpu), None).expect("no regions");
        Self { truth, guest, regs: cpu.with_usual_values().0.regs, ram }
    }

    /// Every translation, and the bytes where it leads into main RAM: how many
    /// were mapped, not mapped, and compared.
    fn compare(&self, query: Query) -> (usize, usize, usize) {
        let (mut mapped, mut unmapped, mut compared) = (0, 0, 0);
        for entry in self.truth["v2p"].as_array().expect("a list") {
            let gva = Gva(hex(&entry["gva"]));
            let found = match self.guest.walk(gva, query).expect("all is there").result {
                Ok(found) => Some(found.gpa),
                Err(WalkError::Fault(_)) => None,
                Err(WalkError::Unreadable(error)) => panic!("{gva}: {error}"),
            };
            let wanted = (!entry["gpa"].is_null()).then(|| Gpa(hex(&entry["gpa"])));
            assert_eq!(found, wanted, "{gva} ({})", entry["why"]);
            mapped += usize::from(wanted.is_some());
            unmapped += usize::from(wanted.is_none());
            compared += wanted.map_or(0, |gpa| self.compare_bytes(gpa, &entry["section"]));
        }
        for entry in self.truth["gpa"].as_array().expect("a list") {
            compared += self.compare_bytes(Gpa(hex(&entry["gpa"])), &entry["section"]);
        }
        (mapped, unmapped, compared)
    }

    fn compare_bytes(&self, gpa: Gpa, section: &Value) -> usize {
        if section["name"] != self.ram {
            return 0;
        }
        let text = section["bytes16"].as_str().expect("a sample");
        let byte = |i: usize| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex");
        let in_page = (4096 - (gpa.0 % 4096) as usize).min(text.len() / 2);
        let mut read = vec![0; in_page];
        self.guest.read_physical(gpa, &mut read).expect("RAM is in the file");
        assert_eq!(read, (0..in_page).map(byte).collect::<Vec<_>>(), "{gpa}");
        1
    }
}

const CURRENT: Query = Query::access(AccessKind::Read, false);

#[test]
fn an_x86_64_snapshot_alone_answers_as_panda() {
    let truth = Truth::new("x64-gtkern", "x86_64", "pc.ram");
    let Regs::X86(regs) = truth.regs else { panic!("an x86 CPU") };
    let cr = &truth.truth["regs"]["cr"];
    assert_eq!([regs.cr0, regs.cr3, regs.cr4], [0, 3, 4].map(|n| hex(&cr[n])));
    assert_eq!((regs.efer, regs.cpl, regs.a20), (hex(&truth.truth["regs"]["efer"]), 0, true));
    assert_eq!(truth.compare(Query::Presence), (79, 77, 81));
}

#[test]
fn a_pae_snapshot_alone_answers_as_panda() {
    let truth = Truth::new("pae-gtkern", "i386-pae", "pc.ram");
    let Regs::X86(regs) = truth.regs else { panic!("an x86 CPU") };
    let cr = &truth.truth["regs"]["cr"];
    assert_eq!([regs.cr0, regs.cr3, regs.cr4], [0, 3, 4].map(|n| hex(&cr[n])));
    assert_eq!(truth.compare(Query::Presence), (90, 34, 88));
}

/// The snapshot holds DACR, which truth.json does not: user pages are mapped,
/// but not for the domains in force.
#[test]
fn a_short_descriptor_snapshot_alone_answers_as_panda() {
    let truth = Truth::new("short-gtkern", "arm-short", "vexpress.highmem");
    let Regs::Arm(regs) = truth.regs else { panic!("an ARM CPU") };
    let of = |name: &str| hex(&truth.truth["regs"][name][1]);
    let wanted = ["ttbr0_el", "ttbr1_el", "tcr_el", "sctlr_el"].map(of);
    assert_eq!([regs.ttbr0, regs.ttbr1, regs.tcr, regs.sctlr], wanted);
    assert_eq!((regs.dacr, regs.el), (0x51, 1));
    assert_eq!(truth.compare(CURRENT), (68, 39, 35));
}

fn stream(bytes: &[u8]) -> Stream {
    Stream::open(MappedFile::from_vec(bytes.to_vec()), false, &mut |_| {}).expect("opens")
}

/// Fields of a device, as (path, number).
fn fields(stream: &Stream, device: &str) -> Vec<(String, Option<u64>)> {
    let mut found = Vec::new();
    let result = stream.fields(&mut |field| {
        if field.device == device {
            found.push((field.path.to_owned(), field.number()));
        }
        ControlFlow::Continue(())
    });
    result.expect("the description fits");
    found
}

#[test]
fn every_section_of_a_complete_snapshot_is_as_it_is_described() {
    let stream = stream(&snapshot("tinycomplete"));
    assert_eq!(stream.machine(), Some("pc-i440fx-2.9"));
    let mut devices: Vec<(String, u32)> = Vec::new();
    let visited = stream.fields(&mut |field| {
        let device = (field.device.to_owned(), field.instance);
        if devices.last() != Some(&device) {
            devices.push(device);
        }
        ControlFlow::Continue(())
    });
    visited.expect("the description fits to the end");
    assert_eq!(devices.len(), 28);
    for (name, instance) in [("i8259", 1), ("0000:00:01.3/piix4_pm", 0), ("globalstate", 0)] {
        assert!(devices.contains(&(name.to_owned(), instance)), "{name}");
    }
    let cpu = fields(&stream, "cpu");
    assert!(cpu.contains(&("env.cr[0]".into(), Some(0x6000_0010))));
    assert!(cpu.contains(&("env.segs[1].selector".into(), Some(0xf000))));
}

#[test]
fn units_of_1_kb_are_told_apart_from_pages() {
    let bytes = snapshot("tinyarm");
    let image = open(&bytes).expect("opens");
    // Without its description too.
    let again = open(&bytes[..bytes.len() - 10]).expect("RAM is whole");
    assert!(again.cpus.is_empty());
    assert_eq!(image.memory.held(), again.memory.held());
    let (mut seen, mut here, mut there) = (0, [0; 1 << 16], [0; 1 << 16]);
    for gpa in
        image.memory.held().iter().flat_map(|(gpa, len)| (gpa.0..gpa.0 + len).step_by(1 << 16))
    {
        image.memory.read(Gpa(gpa), &mut here).expect("RAM is whole");
        again.memory.read(Gpa(gpa), &mut there).expect("RAM is whole");
        assert_eq!(here, there, "{gpa:#x}");
        seen += here.iter().filter(|&&byte| byte != 0).count();
    }
    // The machine had just been reset: flash, SRAM, video RAM and RAM are all zero.
    assert_eq!(seen, 0, "bytes that are not zero");
    let ImageBytes::Paged(paged) = image.memory.source() else { panic!("pages") };
    assert_eq!((paged.page_size(), paged.index().len()), (1024, 0xb81_0000 / 1024));
}

/// A stream cut at every place: bytes that can still be read are those of the
/// whole stream.
#[test]
fn a_cut_stream_answers_rightly_or_not_at_all() {
    for name in ["tinycomplete", "tinyarm", "x64-gtkern"] {
        let bytes = snapshot(name);
        let whole = open(&bytes).expect("opens");
        let places = (1..60).map(|n| bytes.len() * n / 60).chain(bytes.len() - 40..bytes.len());
        for len in places {
            let Ok(image) = open(&bytes[..len]) else { continue };
            assert!(!image.notes.is_empty(), "{name} cut to {len}");
            agree(&whole.memory, &image.memory, &format!("{name} cut to {len}"));
            for (cpu, whole) in image.cpus.iter().zip(&whole.cpus) {
                assert_eq!(cpu, whole, "{name} cut to {len}");
            }
        }
    }
}

/// What `part` has, `whole` has too.
fn agree(whole: &ImageMemory, part: &ImageMemory, what: &str) {
    let (mut here, mut there) = (vec![0; 512], vec![0; 512]);
    for (start, len) in part.held() {
        for offset in (0..len).step_by((len as usize / 40).next_multiple_of(512)) {
            let gpa = Gpa(start.0 + offset);
            if part.read(gpa, &mut here).is_ok() {
                whole.read(gpa, &mut there).expect("the whole has more");
                assert_eq!(here, there, "{what}: {gpa}");
            }
        }
    }
}

/// A stream of machine type `machine` with one block of `pages` 4 KB pages.
struct Writer(Vec<u8>);

impl Writer {
    fn new(machine: &str, block: &str, pages: u64) -> Self {
        let mut out = Self(b"QEVM\0\0\0\x03\x07".to_vec());
        out.number(machine.len() as u32);
        out.0.extend(machine.as_bytes());
        out.0.extend(b"\x01\0\0\0\x02\x03ram\0\0\0\0\0\0\0\x04");
        out.word((pages * 4096) | 0x04);
        out.name(block);
        out.word(pages * 4096);
        out.word(0x10);
        out.0.extend(b"\x7e\0\0\0\x02\x03\0\0\0\x02");
        out
    }

    fn number(&mut self, number: u32) {
        self.0.extend(number.to_be_bytes());
    }

    fn word(&mut self, word: u64) {
        self.0.extend(word.to_be_bytes());
    }

    fn name(&mut self, name: &str) {
        self.0.push(name.len() as u8);
        self.0.extend(name.as_bytes());
    }

    fn plain(mut self, page: u64, block: Option<&str>, byte: u8) -> Self {
        self.word((page * 4096) | 0x08 | if block.is_none() { 0x20 } else { 0 });
        block.iter().for_each(|block| self.name(block));
        self.0.extend([byte; 4096]);
        self
    }

    fn fill(mut self, page: u64, block: Option<&str>, byte: u8) -> Self {
        self.word((page * 4096) | 0x02 | if block.is_none() { 0x20 } else { 0 });
        block.iter().for_each(|block| self.name(block));
        self.0.push(byte);
        self
    }

    fn record(mut self, word: u64) -> Self {
        self.word(word);
        self
    }

    /// The end of RAM, and of the stream; no description.
    fn end(mut self) -> Vec<u8> {
        self.word(0x10);
        self.0.extend(b"\x7e\0\0\0\x02\0");
        self.0
    }
}

fn byte_at(image: &Image, gpa: u64) -> Result<u8, ReadCause> {
    let mut byte = [0];
    image.memory.read(Gpa(gpa), &mut byte).map_err(|error| error.cause)?;
    Ok(byte[0])
}

#[test]
fn records_of_all_kinds_are_read_and_the_last_of_a_page_counts() {
    let writer = Writer::new("virt-7.2", "mach-virt.ram", 6)
        .plain(0, Some("mach-virt.ram"), 1)
        .fill(1, None, 2)
        .fill(2, None, 0)
        .plain(3, None, 3)
        .plain(4, None, 9)
        .fill(4, None, 4);
    let image = open(&writer.end()).expect("opens");
    let bytes = (0..6).map(|page| byte_at(&image, 0x4000_0000 + page * 4096 + 7));
    assert_eq!(
        bytes.collect::<Vec<_>>(),
        [Ok(1), Ok(2), Ok(0), Ok(3), Ok(4), Err(ReadCause::Absent)]
    );
    assert!(image.cpus.is_empty() && image.notes.len() == 1, "{:?}", image.notes);
    assert_eq!(image.memory.held(), [(Gpa(0x4000_0000), 5 * 4096)]);
}

#[test]
fn only_plain_pages_have_an_offset_in_the_file() {
    let bytes = Writer::new("virt-7.2", "mach-virt.ram", 2)
        .plain(0, Some("mach-virt.ram"), 0x5a)
        .fill(1, None, 7)
        .end();
    let image = open(&bytes).expect("opens");
    let offset = image.memory.file_offset(Gpa(0x4000_0010)).expect("a plain page").0 as usize;
    let start = bytes.iter().position(|&byte| byte == 0x5a).expect("is there");
    assert!(bytes[start..].starts_with(&[0x5a; 4096]) && offset == start + 0x10);
    assert_eq!(image.memory.file_offset(Gpa(0x4000_1000)), None);
}

#[test]
fn an_unknown_machine_is_an_error_with_the_blocks_unless_another_is_named() {
    let bytes = Writer::new("raspi2", "pc.ram", 16).fill(3, Some("pc.ram"), 5).end();
    let error = open(&bytes).expect_err("not known");
    assert_eq!(error.kind(), "placement");
    assert!(error.to_string().ends_with("the blocks are pc.ram (0x10000)"), "{error}");
    let image = open_on(&bytes, Some("pc")).expect("is known");
    assert_eq!(byte_at(&image, 0x3000), Ok(5));
    let error = open_on(&bytes, Some("virt")).map(drop);
    assert!(error.is_ok(), "the main RAM is what the machine has");
}

#[test]
fn what_cannot_be_unpacked_is_refused_by_name() {
    for (flags, name) in [(0x40, "XBZRLE"), (0x100, "compress"), (0x200, "multifd"), (0x80, "RDMA")]
    {
        let bytes = Writer::new("virt-7.2", "mach-virt.ram", 1).record(flags).end();
        let error = open(&bytes).expect_err("refused");
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.advice().to_string().contains("migrate_set_capability"));
    }
}

#[test]
fn damage_is_an_error_with_its_place() {
    let good = || Writer::new("virt-7.2", "mach-virt.ram", 1);
    for bytes in [
        good().record(0x1000 | 0x28).end(),
        good().fill(0, Some("other"), 0).end(),
        good().fill(1, Some("mach-virt.ram"), 0).end(),
        b"QEVM\0\0\0\x02".to_vec(),
        b"QEVM\0\0\0\x03\x99".to_vec(),
    ] {
        assert_eq!(open(&bytes).expect_err("damaged").kind(), "damaged");
    }
}

#[test]
fn sizes_that_a_small_file_claims_cost_nothing() {
    let bytes = Writer::new("virt-7.2", "mach-virt.ram", 1 << 50).end();
    assert!(open(&bytes).is_err(), "4 EB of RAM");
    let bytes = Writer::new("virt-7.2", "mach-virt.ram", 1 << 26).end();
    let image = open(&bytes).expect("256 GB of RAM, none of it there");
    assert_eq!(byte_at(&image, 0x4000_0000), Err(ReadCause::Absent));
}

#[test]
fn the_snapshot_of_an_rr2_archive_is_taken_as_it_is() {
    let path = data("logs/tiny.rr2");
    let image = image::open(&path, &OpenOptions::default(), &mut |_| {}).expect("opens");
    assert_eq!((image.format, image.cpus.len()), ("migration stream", 1));
    let stream = image::open_stream(&path, &OpenOptions::default(), &mut |_| {}).expect("opens");
    let pc_ram = stream.blocks().iter().find(|block| block.name == "pc.ram").expect("a pc");
    assert!(pc_ram.len > 0 && stream.machine() == Some("pc-i440fx-2.9"));
    assert!(fields(&stream, "cpu").iter().any(|(path, _)| path == "env.cr[3]"));
}

/// A qcow2 image of 64 KB clusters with a 1 MB disk: snapshots of these names,
/// whose state is `state`, in clusters that are not in order.
fn qcow2(names: &[&str], state: &[u8]) -> Vec<u8> {
    const CLUSTER: u64 = 0x1_0000;
    let clusters: Vec<_> = state.chunks(CLUSTER as usize).collect();
    let (l1, l2, data) = (CLUSTER, 2 * CLUSTER, 3 * CLUSTER);
    let place = |n: usize| data + (clusters.len() - 1 - n) as u64 * CLUSTER;
    let mut out = vec![0; (data as usize) + clusters.len() * CLUSTER as usize];
    let put = |out: &mut Vec<u8>, at: u64, bytes: &[u8]| {
        out[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
    };
    put(&mut out, 0, b"QFI\xfb\0\0\0\x03");
    put(&mut out, 20, &16u32.to_be_bytes());
    put(&mut out, 24, &(1u64 << 20).to_be_bytes());
    put(&mut out, 60, &(names.len() as u32).to_be_bytes());
    put(&mut out, 64, &512u64.to_be_bytes());
    let mut at = 512;
    for (number, name) in (1..).zip(names) {
        put(&mut out, at, &l1.to_be_bytes());
        put(&mut out, at + 8, &2u32.to_be_bytes());
        put(&mut out, at + 13, &[1, 0, name.len() as u8]);
        put(&mut out, at + 36, &16u32.to_be_bytes());
        put(&mut out, at + 40, &(state.len() as u64).to_be_bytes());
        put(&mut out, at + 48, &(1u64 << 20).to_be_bytes());
        put(&mut out, at + 56, format!("{number}{name}").as_bytes());
        at = (at + 57 + name.len() as u64).next_multiple_of(8);
    }
    // The second table of the first level: behind the end of the disk.
    put(&mut out, l1 + 8, &(l2 | 1 << 63).to_be_bytes());
    for (n, bytes) in clusters.iter().enumerate() {
        put(&mut out, l2 + 8 * n as u64, &(place(n) | 1 << 63).to_be_bytes());
        put(&mut out, place(n), bytes);
    }
    out
}

fn open_snapshot(bytes: &[u8], snapshot: Option<&str>) -> Result<Image, ImageError> {
    let options = OpenOptions::default().snapshot(snapshot);
    image::from_file(MappedFile::from_vec(bytes.to_vec()), &options)
}

#[test]
fn a_snapshot_of_a_disk_image_is_found_by_name_or_number() {
    let state = snapshot("tinycomplete");
    let disk = qcow2(&["clean", "moment"], &state);
    let whole = open(&state).expect("opens");
    for name in ["clean", "moment", "2"] {
        let image = open_snapshot(&disk, Some(name)).expect("opens");
        assert_eq!((image.cpus, image.notes.len()), (whole.cpus.clone(), 0));
        assert_eq!(image.memory.held(), whole.memory.held());
        agree(&whole.memory, &image.memory, name);
    }
}

#[test]
fn without_the_name_of_a_snapshot_the_names_are_listed() {
    let disk = qcow2(&["clean", "moment"], &snapshot("tinycomplete"));
    for name in [None, Some("moments")] {
        let error = open_snapshot(&disk, name).expect_err("which one");
        assert!(error.to_string().ends_with("are clean, moment"), "{error}");
        assert!(error.advice().to_string().contains("the snapshot's name"));
    }
    let none = open_snapshot(&qcow2(&[], b""), None).expect_err("none");
    assert!(none.to_string().ends_with("are none"), "{none}");
}

#[test]
fn clusters_of_a_disk_image_that_are_not_plain_are_refused_or_damaged() {
    let good = qcow2(&["moment"], &snapshot("tinycomplete"));
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        open_snapshot(&bytes, Some("moment")).expect_err("changed").to_string()
    };
    assert!(open(&|bytes| bytes[0x2_0000] |= 0x40).contains("compressed clusters"));
    assert!(open(&|bytes| bytes[0x2_0000..0x2_0008].fill(0)).contains("is not there"));
    assert!(open(&|bytes| bytes[0x1_0008..0x1_0010].fill(0)).contains("is not there"));
    assert!(open(&|bytes| bytes[79] |= 0x10).contains("extended L2 entries"));
    assert!(open(&|bytes| bytes[79] |= 4).contains("an external data file"));
    assert!(open(&|bytes| bytes[35] = 1).contains("encryption"));
    assert!(open(&|bytes| bytes[23] = 40).contains("cluster size"));
    assert!(open(&|bytes| bytes[512 + 40] = 1).contains("larger than the image"));
}

#[test]
fn a_cut_disk_image_is_an_error() {
    let good = qcow2(&["moment"], &snapshot("tinycomplete"));
    for len in (0..good.len()).step_by(good.len() / 50).skip(1) {
        let error = open_snapshot(&good[..len], Some("moment")).expect_err("cut");
        assert_eq!(error.kind(), "container", "cut to {len}");
    }
}

#[test]
fn the_architecture_is_that_of_the_first_cpu() {
    let arch = |name| open(&snapshot(name)).expect("opens").arch;
    assert_eq!(arch("x64-gtkern"), Some(Arch::X86_64));
    assert_eq!(arch("pae-gtkern"), Some(Arch::I386));
    assert_eq!(arch("short-gtkern"), Some(Arch::Arm));
}
