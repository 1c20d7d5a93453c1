//! Logs, read in every way.

use std::io::Cursor;

use rr_mem::{
    memory::MappedFile,
    replay::{
        Entry, EventLog, Log, check::Check, diff::diff, digest::LogDigest, packets::Packet, stat::Stat,
    },
    report::log::{
        LogRow,
        compat::Compat,
        line::{Data, line},
    },
};

/// Reads a log as a file and as a stream, and holds both to the same.
pub fn read(bytes: Vec<u8>) {
    let open = || Log::from_file(MappedFile::from_vec(bytes.clone()));
    let Ok(mut mapped) = open() else { return };
    let mut stream = Log::from_reader(Box::new(Cursor::new(bytes.clone()))).expect("opens as well");
    let (mut check, mut stat, mut digest) = (Check::default(), Stat::default(), LogDigest::default());
    let mut compat = Compat::default();
    let mut text = Vec::new();
    let mut end = None;
    loop {
        let (one, other) = match (mapped.next_entry(), stream.next_entry()) {
            (Ok(Some(one)), Ok(Some(other))) => (one, other),
            (one, other) => {
                assert_eq!(one.map_err(|e| e.to_string()), other.map_err(|e| e.to_string()));
                break;
            }
        };
        assert_eq!(one, other);
        assert_eq!(one.offset, end.unwrap_or(one.offset), "no byte is left out");
        end = Some(one.offset + one.raw.len() as u64);
        check.add(&one);
        stat.add(&one);
        digest.add(&one);
        text.clear();
        compat.entry(&mut text, &one);
        line(&mut text, &one, Data { hex: true, ascii: true });
        let _ = (LogRow::from(&one), Packet::of(&one), one.fields());
        assert!(one.key().index() < rr_mem::replay::Key::CLASSES * rr_mem::replay::Key::CALLSITES);
    }
    assert!(end.unwrap_or_default() <= bytes.len() as u64);
    let _ = (check.findings(&mapped, None), stat.counts(), stat.histogram());
    let (Ok(mut one), Ok(mut other)) = (open(), open()) else { return };
    assert!(diff(&mut one, &mut other, &|_: &Entry| String::new()).0.equal());
}
