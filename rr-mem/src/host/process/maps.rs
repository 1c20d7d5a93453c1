//! The lines of `/proc/PID/maps`: "proc_pid_maps(5)".

use std::{
    fs::File,
    io::{self, Read},
};

use crate::{addr::Hva, host::Area};

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    /// What everybody may know of it.
    pub area: Area,
    /// Writes are the process's own (flag `p`).
    pub private: bool,
    /// Byte of the file that is mapped at the start.
    pub offset: u64,
    /// The file; 0 for none.
    pub inode: u64,
}

impl Mapping {
    /// Memory that no file and no other process is behind: what the process
    /// has not touched reads as zero.
    pub fn is_anonymous(&self) -> bool {
        let special = self.area.name.starts_with("[v");
        self.private && self.inode == 0 && self.area.readable && !special
    }

    /// One past the last address.
    pub fn end(&self) -> u64 {
        self.area.start.0.saturating_add(self.area.len)
    }
}

/// The text of the file, `limit` bytes at most.
pub(super) fn read(pid: u32, limit: u64) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(super::folder(pid).join("maps"))?.take(limit).read_to_end(&mut text)?;
    Ok(text)
}

/// All lines that make sense, lowest address first.
pub(super) fn parse(text: &[u8]) -> Vec<Mapping> {
    let mut mappings: Vec<_> = text.split(|byte| *byte == b'\n').filter_map(line).collect();
    mappings.sort_by_key(|mapping| mapping.area.start);
    mappings
}

/// `START-END PERMS OFFSET DEVICE INODE   NAME`.
fn line(bytes: &[u8]) -> Option<Mapping> {
    let text = String::from_utf8_lossy(bytes);
    let mut words = text.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let permissions = words.next()?.as_bytes();
    let offset = hex(words.next()?)?;
    let _device = words.next()?;
    let inode = words.next()?.parse().ok()?;
    let (start, end) = (hex(start)?, hex(end)?);
    let len = end.checked_sub(start).filter(|len| *len > 0)?;
    let area = Area {
        start: Hva(start),
        len,
        readable: permissions.first() == Some(&b'r'),
        writable: permissions.get(1) == Some(&b'w'),
        name: words.next().unwrap_or_default().trim_start_matches(' ').to_owned(),
    };
    Some(Mapping { area, private: permissions.get(3) == Some(&b'p'), offset, inode })
}

fn hex(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXE: &str = "55b512ae1000-55b512ae3000 r-xp 00002000 fe:00 247282                     /opt/a b (deleted)";

    #[test]
    fn a_line_holds_range_rights_offset_and_name() {
        let [mapping] = &parse(EXE.as_bytes())[..] else { panic!("one line") };
        assert_eq!((mapping.area.start.0, mapping.area.len), (0x55b5_12ae_1000, 0x2000));
        assert_eq!((mapping.offset, mapping.inode), (0x2000, 247_282));
        assert_eq!(mapping.area.name, "/opt/a b (deleted)");
        assert!(mapping.area.readable && !mapping.area.writable && !mapping.is_anonymous());
    }

    #[test]
    fn only_private_readable_memory_without_a_file_is_anonymous() {
        let anonymous = |text: &str| parse(text.as_bytes())[0].is_anonymous();
        assert!(anonymous("1000-2000 rw-p 00000000 00:00 0 "));
        assert!(anonymous("1000-2000 rw-p 00000000 00:00 0 [heap]"));
        assert!(!anonymous("1000-2000 rw-s 00000000 00:00 0 "));
        assert!(!anonymous("1000-2000 ---p 00000000 00:00 0 "));
        assert!(!anonymous("1000-2000 r--p 00000000 00:00 0 [vvar]"));
        assert!(!anonymous("1000-2000 rw-p 00000000 00:01 7 /memfd:x (deleted)"));
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let text = [
            "",
            "-",
            "zz-yy r--p 0 0 0",
            "2000-1000 r--p 00000000 00:00 0",
            "1000-1000 r--p 00000000 00:00 0",
            "1000-2000",
            "1000-2000 r--p 00000000 00:00 x",
            "10000000000000000-2 r--p 00000000 00:00 0",
            "\u{fffd}\0-\0",
        ];
        assert_eq!(parse(text.join("\n").as_bytes()), []);
        assert_eq!(parse(b"\xff\xfe-1 r--p"), []);
        assert_eq!(parse(b"1000-2000  00000000 00:00 0").len(), 1, "no rights at all");
    }

    #[test]
    fn the_lowest_address_comes_first() {
        let text = b"3000-4000 r--p 0 0 0\n1000-2000 r--p 0 0 0\n";
        let starts: Vec<_> = parse(text).iter().map(|mapping| mapping.area.start.0).collect();
        assert_eq!(starts, [0x1000, 0x3000]);
    }
}
