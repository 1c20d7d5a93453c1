//! Record/replay logs of the library: real recordings of PANDA against its own
//! rr_print, and logs written here by the formats' descriptions alone: whole,
//! cut at every byte, or damaged.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
};

use proptest::prelude::*;
use rr_mem::{
    container::stream,
    memory::MappedFile,
    replay::{
        Entry, Event, EventLog, Log, LogErrorKind, LogFormat,
        check::Check,
        cut::Cut,
        diff::{Difference, diff},
        digest::LogDigest,
        panda::{self, Call},
        qemu,
        stat::Stat,
    },
    report::log::compat::Compat,
};

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data/logs").join(name)
}

fn unpacked(name: &str) -> Vec<u8> {
    let file = fs::File::open(data(name)).expect("is there");
    zstd::decode_all(file).expect("is whole")
}

fn log_of(bytes: &[u8]) -> Log {
    Log::from_file(MappedFile::from_vec(bytes.to_vec())).expect("a log")
}

/// An entry's place, count and bytes.
type Found = (u64, u64, Vec<u8>);

/// Every entry, and the error that ended them.
fn entries(log: &mut Log) -> (Vec<Found>, Option<LogErrorKind>) {
    let mut found = Vec::new();
    loop {
        match log.next_entry() {
            Ok(Some(entry)) => {
                assert_eq!(entry.index, found.len() as u64);
                found.push((entry.offset, entry.instructions, entry.raw.to_vec()));
            }
            Ok(None) => return (found, None),
            Err(error) => {
                assert_eq!(error.entry, found.len() as u64);
                assert!(log.next_entry().expect("no second error").is_none());
                return (found, Some(error.kind));
            }
        }
    }
}

fn compat(name: &str, log: &mut Log, size: u64) -> Vec<u8> {
    let mut text = Vec::new();
    let mut compat = Compat::default();
    let Log::Panda(panda) = &*log else { panic!("a log of PANDA") };
    Compat::header(&mut text, name.as_bytes(), size, panda.header());
    while let Some(entry) = log.next_entry().expect("is whole") {
        compat.entry(&mut text, &entry);
    }
    text
}

#[test]
fn compat_is_what_rr_print_printed_byte_for_byte() {
    for name in [
        "a64c-gtkern",
        "i686-io",
        "pae-gtkern",
        "short-gtkern",
        "tinycomplete",
        "tinyv1",
        "x64-gtkern",
        "x64-io",
    ] {
        let bytes = unpacked(&format!("{name}-rr-nondet.log.zst"));
        let wanted = unpacked(&format!("{name}.rr_print.txt.zst"));
        let file = format!("{name}-rr-nondet.log");
        let printed = compat(&file, &mut log_of(&bytes), bytes.len() as u64);
        assert!(printed == wanted, "{name} from a file");
        let mut log = Log::open(&data(&format!("{name}-rr-nondet.log.zst"))).expect("a log");
        assert!(compat(&file, &mut log, bytes.len() as u64) == wanted, "{name} from a stream");
    }
}

#[test]
fn the_log_of_an_rr2_archive_is_found_and_its_digests_are_right() {
    let wanted = unpacked("tiny.rr2.rr_print.txt.zst");
    let mut log = Log::open(&data("tiny.rr2")).expect("a log");
    assert!(compat("tiny.rr2", &mut log, 227_511) == wanted);
    let sums = stream::verify(&data("tiny.rr2")).expect("is whole").expect("an archive");
    let listed: Vec<_> = sums.iter().filter(|sum| sum.listed.is_some()).collect();
    assert_eq!(listed.len(), 4);
    assert!(listed.iter().all(|sum| sum.is_right()), "{listed:?}");
}

#[test]
fn a_register_write_is_an_entry_where_rr_print_gives_up() {
    let mut log = Log::open(&data("x64-gdbreg-rr-nondet.log.zst")).expect("a log");
    let mut writes = Vec::new();
    let mut count = 0;
    while let Some(entry) = log.next_entry().expect("is whole") {
        count += 1;
        if let Event::Panda(
            _,
            panda::Event::SkippedCall(Call::CpuRegWrite { cpu, register, data }),
        ) = entry.event()
        {
            writes.push((cpu, register, data.to_vec()));
        }
    }
    assert_eq!(count, 1504);
    let value = |low| vec![low, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(writes, [(0, 1, value(1)), (0, 1, value(0))]);
}

#[test]
fn a_killed_recording_gives_every_whole_entry_then_says_where_it_ends() {
    let mut log = Log::open(&data("i686-killed-rr-nondet.log.zst")).expect("a log");
    let mut check = Check::default();
    let error = loop {
        match log.next_entry() {
            Ok(Some(entry)) => check.add(&entry),
            Ok(None) => panic!("the last entry is cut"),
            Err(error) => break error,
        }
    };
    assert_eq!((error.entry, error.offset, error.instructions), (8335, 0x2afe8, 3_460_651));
    assert!(matches!(error.kind, LogErrorKind::Cut { needs: 27, has: 24 }), "{error}");
    let findings = check.findings(&log, Some(&error));
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["header", "cut", "end"]);
}

#[test]
fn a_cut_log_is_whole_again() {
    let mut log = Log::open(&data("i686-killed-rr-nondet.log.zst")).expect("a log");
    let mut file = tempfile::tempfile().expect("a file");
    let mut cut = Cut::new(&mut file, &log).expect("writes");
    while let Ok(Some(entry)) = log.next_entry() {
        cut.add(&entry).expect("writes");
    }
    assert_eq!(cut.finish().expect("writes"), 8335);
    let mut log = Log::from_file(MappedFile::map(&file).expect("maps")).expect("a log");
    let (found, error) = entries(&mut log);
    assert_eq!((found.len(), error.is_none()), (8336, true));
    assert_eq!(log.total_instructions(), Some(3_460_651));
}

/// Writes PANDA's format from its description; shares nothing with the reader.
mod panda_writer {
    pub fn head(out: &mut Vec<u8>, instructions: u64, kind: u8, callsite: u8) {
        out.extend(instructions.to_le_bytes());
        out.extend([kind, callsite]);
    }

    /// A call: its struct has `pointer` where a host pointer is, and `padding`.
    pub fn mem_rw(out: &mut Vec<u8>, at: u64, addr: u64, data: &[u8], pointer: u64, padding: u32) {
        head(out, at, 6, 6);
        out.push(0);
        out.extend(addr.to_le_bytes());
        out.extend(pointer.to_le_bytes());
        out.extend((data.len() as u32).to_le_bytes());
        out.extend(padding.to_le_bytes());
        out.extend(data);
    }

    pub fn log(total: u64, body: &[u8]) -> Vec<u8> {
        [&total.to_le_bytes(), body].concat()
    }
}

#[derive(Clone, Debug)]
enum Written {
    Input(u8, u64),
    Interrupt(i32),
    MemRw(u64, Vec<u8>),
    Serial(u8, u8),
    Packet(u8, Vec<u8>),
    Register(i32, Vec<u8>),
}

impl Written {
    fn write(&self, out: &mut Vec<u8>, at: u64) {
        match self {
            Self::Input(kind, value) => {
                panda_writer::head(out, at, *kind, 12);
                out.extend(&value.to_le_bytes()[..1 << kind]);
            }
            Self::Interrupt(value) => {
                panda_writer::head(out, at, 4, 0);
                out.extend(value.to_le_bytes());
            }
            Self::MemRw(addr, data) => panda_writer::mem_rw(out, at, *addr, data, 0x7fff_1234, 9),
            Self::Serial(call, value) => {
                panda_writer::head(out, at, 6, 16);
                out.push(*call);
                out.extend([0xaa; 8]);
                out.extend([*value, 0, 0, 0, 0, 0, 0, 0]);
            }
            Self::Packet(direction, data) => {
                panda_writer::head(out, at, 6, 5);
                out.push(5);
                out.extend([0xbb; 8]);
                out.extend((data.len() as u32).to_le_bytes());
                out.extend([*direction, 0, 0, 0]);
                out.extend(data);
            }
            Self::Register(register, data) => {
                panda_writer::head(out, at, 6, 6);
                out.push(10);
                out.extend([0; 16]);
                out.extend(register.to_le_bytes());
                out.extend((data.len() as i32).to_le_bytes());
                out.extend(data);
            }
        }
    }

    fn is(&self, event: &panda::Event) -> bool {
        match (self, event) {
            (Self::Input(0, a), panda::Event::Input1(b)) => *a as u8 == *b,
            (Self::Input(1, a), panda::Event::Input2(b)) => *a as u16 == *b,
            (Self::Input(2, a), panda::Event::Input4(b)) => *a as u32 == *b,
            (Self::Input(_, a), panda::Event::Input8(b)) => a == b,
            (Self::Interrupt(a), panda::Event::InterruptRequest(b)) => a == b,
            (
                Self::MemRw(addr, a),
                panda::Event::SkippedCall(Call::CpuMemRw { addr: at, data }),
            ) => addr == at && a == data,
            (Self::Serial(6, a), panda::Event::SkippedCall(Call::SerialReceive(b)))
            | (Self::Serial(8, a), panda::Event::SkippedCall(Call::SerialSend(b))) => *a == b.value,
            (
                Self::Packet(way, a),
                panda::Event::SkippedCall(Call::HandlePacket { direction, data }),
            ) => way == direction && a == data,
            (
                Self::Register(a, bytes),
                panda::Event::SkippedCall(Call::CpuRegWrite { register, data, .. }),
            ) => a == register && bytes == data,
            _ => false,
        }
    }
}

fn written() -> impl Strategy<Value = Written> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (0u8..4, any::<u64>()).prop_map(|(kind, value)| Written::Input(kind, value)),
        any::<i32>().prop_map(Written::Interrupt),
        (any::<u64>(), bytes()).prop_map(|(addr, data)| Written::MemRw(addr, data)),
        (prop_oneof![Just(6u8), Just(8)], any::<u8>())
            .prop_map(|(call, value)| Written::Serial(call, value)),
        (0u8..2, bytes()).prop_map(|(way, data)| Written::Packet(way, data)),
        (any::<i32>(), bytes()).prop_map(|(register, data)| Written::Register(register, data)),
    ]
}

proptest! {
    #[test]
    fn what_was_written_is_read_and_a_cut_anywhere_gives_every_whole_entry(
        list in prop::collection::vec((0u64..1000, written()), 1..12),
        stream in any::<bool>(),
    ) {
        let mut body = Vec::new();
        let mut ends = Vec::new();
        for (at, entry) in &list {
            entry.write(&mut body, *at);
            ends.push(body.len());
        }
        let bytes = panda_writer::log(77, &body);
        let mut log = open_either(&bytes, stream);
        for (at, wrote) in &list {
            let entry = log.next_entry().expect("whole").expect("there");
            prop_assert_eq!(entry.instructions, *at);
            let Event::Panda(_, event) = entry.event() else { panic!("a log of PANDA") };
            prop_assert!(wrote.is(&event), "{wrote:?} {event:?}");
        }
        prop_assert!(log.next_entry().expect("whole").is_none());
        for cut in 0..body.len() {
            let whole = ends.iter().filter(|&&end| end <= cut).count();
            let (found, error) = entries(&mut open_either(&bytes[..8 + cut], stream));
            prop_assert_eq!(found.len(), whole);
            prop_assert_eq!(error.is_none(), cut == 0 || ends.contains(&cut));
        }
    }

    #[test]
    fn no_bytes_are_read_past_their_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let Ok(mut log) = Log::from_file(MappedFile::from_vec(bytes.clone())) else { return Ok(()) };
        let (found, _) = entries(&mut log);
        let sum: usize = found.iter().map(|(_, _, raw)| raw.len()).sum();
        prop_assert!(sum <= bytes.len());
    }
}

fn open_either(bytes: &[u8], stream: bool) -> Log {
    match stream {
        true => Log::from_reader(Box::new(std::io::Cursor::new(bytes.to_vec()))).expect("a log"),
        false => log_of(bytes),
    }
}

#[test]
fn a_length_that_the_log_does_not_hold_is_never_allocated() {
    let mut body = Vec::new();
    panda_writer::head(&mut body, 1, 6, 6);
    body.push(2);
    body.extend([0; 16]);
    body.extend(u64::MAX.to_le_bytes());
    for stream in [false, true] {
        let mut log = open_either(&panda_writer::log(1, &body), stream);
        let error = log.next_entry().expect_err("no memory is so large");
        assert!(matches!(error.kind, LogErrorKind::Cut { needs: u64::MAX, .. }), "{error}");
    }
}

#[test]
fn what_no_recorder_writes_is_said() {
    let one = |kind, callsite, more: &[u8]| {
        let mut body = Vec::new();
        panda_writer::head(&mut body, 5, 0, 12);
        body.push(1);
        panda_writer::head(&mut body, 6, kind, callsite);
        body.extend(more);
        log_of(&panda_writer::log(6, &body))
    };
    let error = |mut log: Log| {
        log.next_entry().expect("the first is whole");
        log.next_entry().expect_err("the second is not").to_string()
    };
    assert_eq!(
        error(one(10, 0, &[])),
        "unknown kind of entry 10: entry 1 at offset 0x13, after instruction 5"
    );
    assert!(error(one(0, 44, &[0])).starts_with("unknown callsite 44"));
    assert!(error(one(6, 6, &[11])).starts_with("unknown skipped call 11"));
    let mut register = vec![10];
    register.extend([0; 20]);
    register.extend((-1i32).to_le_bytes());
    assert!(error(one(6, 6, &register)).starts_with("negative length -1"));
}

#[test]
fn host_pointers_and_padding_never_matter() {
    let with = |pointer, padding, byte| {
        let mut body = Vec::new();
        panda_writer::mem_rw(&mut body, 3, 0x1000, &[1, byte], pointer, padding);
        log_of(&panda_writer::log(3, &body))
    };
    let (same, _) = diff(&mut with(1, 2, 3), &mut with(4, 5, 3), &|_: &Entry| String::new());
    assert!(same.equal() && same.same == 1);
    let (other, _) = diff(&mut with(1, 2, 3), &mut with(1, 2, 4), &|_: &Entry| String::new());
    assert_eq!(other.first.expect("differs").difference, Difference::Value);
    let digest = |mut log: Log| {
        let mut digest = LogDigest::default();
        digest.add(&log.next_entry().expect("whole").expect("there"));
        digest.hex()
    };
    assert_eq!(digest(with(1, 2, 3)), digest(with(4, 5, 3)));
    assert_ne!(digest(with(1, 2, 3)), digest(with(1, 2, 4)));
}

#[test]
fn an_entry_that_is_left_out_is_the_only_difference() {
    let bytes = unpacked("x64-gtkern-rr-nondet.log.zst");
    let (all, _) = entries(&mut log_of(&bytes));
    let (offset, instructions, raw) = &all[500];
    let mut without = bytes.clone();
    without.drain(*offset as usize..*offset as usize + raw.len());
    let words = |entry: &Entry| entry.index.to_string();
    let (found, errors) = diff(&mut log_of(&bytes), &mut log_of(&without), &words);
    assert!(errors.iter().all(Option::is_none));
    assert_eq!((found.only_a, found.only_b), (1, 0));
    let first = found.first.expect("differs");
    assert_eq!((first.instructions, first.difference), (*instructions, Difference::OnlyA));
}

#[test]
fn counts_that_go_back_and_lost_interrupts_are_found() {
    let mut body = Vec::new();
    for (at, kind, value) in [(9, 4, 0u32), (5, 4, 2), (7, 2, 1)] {
        panda_writer::head(&mut body, at, kind, 0);
        body.extend(value.to_le_bytes());
    }
    panda_writer::head(&mut body, 7, 7, 17);
    let mut log = log_of(&panda_writer::log(8, &body));
    let (mut check, mut stat) = (Check::default(), Stat::default());
    while let Some(entry) = log.next_entry().expect("whole") {
        check.add(&entry);
        stat.add(&entry);
    }
    let findings = check.findings(&log, None);
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(names, ["header", "first-interrupt", "backwards"]);
    assert_eq!((stat.backwards, stat.interrupts(), stat.first, stat.last), (1, 2, 5, 9));
}

#[test]
fn statistics_add_up() {
    let bytes = unpacked("x64-io-rr-nondet.log.zst");
    let mut log = log_of(&bytes);
    let mut stat = Stat::default();
    while let Some(entry) = log.next_entry().expect("whole") {
        stat.add(&entry);
    }
    assert_eq!((stat.entries(), stat.bytes()), (15_736, bytes.len() as u64 - 8));
    let counts = stat.counts();
    assert_eq!(counts.iter().map(|count| count.entries).sum::<u64>(), stat.entries());
    assert_eq!(counts.iter().map(|count| count.bytes).sum::<u64>(), stat.bytes());
    let (width, bars) = stat.histogram();
    assert_eq!(bars.iter().sum::<u64>(), stat.entries());
    assert!(stat.last < width * bars.len() as u64);
}

/// Writes QEMU's format from its description; shares nothing with the reader.
mod qemu_writer {
    /// The numbers of 0xe0200c with so many causes of a shutdown.
    pub struct Writer {
        pub bytes: Vec<u8>,
        behind: u8,
    }

    impl Writer {
        pub fn new(version: u32, causes: u8) -> Self {
            let mut bytes = version.to_be_bytes().to_vec();
            bytes.extend([0; 8]);
            let shutdown = if version == 0xe0_200c { 10 } else { 4 };
            Self { bytes, behind: shutdown + causes + 1 }
        }

        pub fn put(&mut self, bytes: &[u8]) -> &mut Self {
            self.bytes.extend(bytes);
            self
        }

        pub fn instructions(&mut self, count: u32) -> &mut Self {
            self.put(&[0]).put(&count.to_be_bytes())
        }

        pub fn char_write(&mut self) -> &mut Self {
            let id = self.behind;
            self.put(&[id, 0, 0, 0, 1, 0, 0, 0, 1])
        }

        /// The host's clock.
        pub fn clock(&mut self, value: u64) -> &mut Self {
            let id = self.behind + 6;
            self.put(&[id]).put(&value.to_be_bytes())
        }

        pub fn checkpoint(&mut self, number: u8) -> &mut Self {
            let id = self.behind + 8 + number;
            self.put(&[id])
        }

        pub fn audio_in(&mut self, wide: bool, samples: u32) -> &mut Self {
            let id = self.behind + 4;
            self.put(&[id]);
            for count in [samples, 7] {
                match wide {
                    true => self.put(&u64::from(count).to_be_bytes()),
                    false => self.put(&count.to_be_bytes()),
                };
            }
            self.put(&vec![0xfe; samples as usize * 16])
        }

        pub fn end(&mut self) -> &mut Self {
            let id = self.behind + 17;
            self.put(&[id])
        }
    }
}

fn typical(version: u32, causes: u8) -> Vec<u8> {
    let mut log = qemu_writer::Writer::new(version, causes);
    log.checkpoint(7).checkpoint(8).instructions(100).char_write().clock(1 << 60);
    for _ in 0..20 {
        log.checkpoint(0).checkpoint(1).instructions(1000).checkpoint(4).clock(1 << 60);
    }
    log.end();
    log.bytes
}

#[test]
fn the_number_of_shutdown_causes_is_what_fits_the_log() {
    for version in [0xe0_200a, 0xe0_200b, 0xe0_200c] {
        for causes in 9..=12 {
            let bytes = typical(version, causes);
            for stream in [false, true] {
                let mut log = open_either(&bytes, stream);
                let Log::Qemu(inner) = &log else { panic!("a log of QEMU") };
                assert_eq!(inner.ids().causes(), causes, "{version:#x}");
                let wanted = qemu::Version::new(version).expect("is known");
                assert_eq!(log.format(), LogFormat::Qemu(wanted));
                let (found, error) = entries(&mut log);
                assert_eq!((found.len(), error.is_none()), (106, true));
                assert_eq!(found.last().map(|(_, instructions, _)| *instructions), Some(20_100));
            }
        }
    }
}

#[test]
fn asynchronous_events_of_every_version_are_read() {
    let char_read = [&[3, 0, 0, 0, 2][..], b"ok"].concat();
    for (version, head) in [(0xe0_200a, &[3, 7, 4][..]), (0xe0_200b, &[3, 4]), (0xe0_200c, &[7])] {
        let mut log = qemu_writer::Writer::new(version, 10);
        log.checkpoint(7).instructions(5).put(head).put(&char_read).clock(9).char_write().end();
        let mut log = log_of(&log.bytes);
        let mut read = None;
        while let Some(entry) = log.next_entry().expect("is whole") {
            if let Event::Qemu(qemu::Event::Async { checkpoint, what }) = entry.event() {
                read = Some((entry.instructions, checkpoint, format!("{what:?}")));
            }
        }
        let (instructions, checkpoint, what) = read.expect("is there");
        assert_eq!((instructions, checkpoint), (5, (version == 0xe0_200a).then_some(7)));
        assert_eq!(what, "CharRead { device: 3, data: [111, 107] }");
    }
}

#[test]
fn the_width_of_audio_counts_is_what_fits() {
    for wide in [false, true] {
        let mut log = qemu_writer::Writer::new(0xe0_200c, 11);
        log.checkpoint(7).instructions(1).clock(3).char_write();
        log.audio_in(wide, 2).instructions(1).checkpoint(4).clock(5).end();
        let mut log = log_of(&log.bytes);
        let mut seen = None;
        while let Some(entry) = log.next_entry().expect("is whole") {
            if let Event::Qemu(qemu::Event::AudioIn { recorded, position, samples }) = entry.event()
            {
                seen = Some((recorded, position, samples.len()));
            }
        }
        assert_eq!(seen, Some((2, 7, 32)), "{wide}");
    }
}

#[test]
fn a_killed_replay_log_is_known_without_its_version() {
    let mut bytes = typical(0xe0_200c, 11);
    bytes[..4].fill(0);
    bytes.truncate(bytes.len() - 3);
    let mut log = log_of(&bytes);
    assert!(matches!(&log, Log::Qemu(log) if log.header() == 0));
    let (found, error) = entries(&mut log);
    assert_eq!(found.len(), 104);
    assert!(matches!(error, Some(LogErrorKind::Cut { needs: 9, has: 7 })), "{error:?}");
}

#[test]
fn bytes_behind_the_end_of_a_replay_log_are_said() {
    let mut bytes = typical(0xe0_200c, 11);
    bytes.push(0xff);
    let (_, error) = entries(&mut log_of(&bytes));
    assert!(matches!(error, Some(LogErrorKind::Behind)), "{error:?}");
}

#[test]
fn a_stream_that_breaks_behind_the_end_mark_is_said() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the checksum is wrong"))
        }
    }
    // More than is looked at when it is opened: one instruction, a million times.
    let mut bytes = typical(0xe0_200c, 11);
    bytes.splice(12..12, [0, 0, 0, 0, 1].repeat(1_000_000));
    let mut log = Log::from_reader(Box::new(io::Cursor::new(bytes).chain(Broken))).expect("a log");
    while log.advance().is_ok_and(|more| more) && !log.entry().is_end() {}
    assert!(log.entry().is_end(), "every entry is whole");
    let error = log.advance().expect_err("what follows cannot be read");
    assert!(matches!(error.kind, LogErrorKind::Read(_)), "{error}");
}

#[test]
fn what_is_no_log_is_refused() {
    for bytes in [&b""[..], b"\x7fELF", &[0xff; 4000], b"# A text\nof two lines\n"] {
        assert!(Log::from_file(MappedFile::from_vec(bytes.to_vec())).is_err(), "{bytes:?}");
    }
    let later = [0, 0xe0, 0x20, 0x0d, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    let error = Log::from_file(MappedFile::from_vec(later.to_vec())).expect_err("too new");
    assert!(error.to_string().contains("unknown version 0xe0200d"), "{error}");
}
