//! The lines of `/proc/PID/maps`: "proc_pid_maps(5)"; and those of gdb's
//! `info proc mappings` ("Process Information" of the gdb manual).

use std::collections::HashSet;

use super::Area;
use crate::addr::Hva;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostMapping {
    /// What everybody may know of it.
    pub area: Area,
    /// Writes are the process's own (flag `p`).
    pub private: bool,
    /// Byte of the file that is mapped at the start.
    pub offset: u64,
    /// The file; 0 for none.
    pub inode: u64,
    /// May be executed, or not known.
    pub executable: bool,
}

impl HostMapping {
    /// Private memory without a file: untouched parts read as zero.
    #[cfg(target_os = "linux")]
    pub fn is_anonymous(&self) -> bool {
        let special = self.name().starts_with("[v");
        self.private && self.inode == 0 && self.area.readable && !special
    }

    /// What is mapped; empty for anonymous memory.
    pub fn name(&self) -> &str {
        self.area.name.as_deref().unwrap_or_default()
    }

    /// One past the last address.
    #[cfg(target_os = "linux")]
    pub fn end(&self) -> u64 {
        self.area.start.0.saturating_add(self.area.len)
    }
}

/// All lines that make sense, lowest address first.
pub(super) fn parse(text: &[u8]) -> Vec<HostMapping> {
    let mut mappings: Vec<_> = text
        .split(|byte| *byte == b'\n')
        .filter_map(|bytes| line(bytes).or_else(|| gdb_line(bytes)))
        .collect();
    mappings.sort_by_key(|mapping| mapping.area.start);
    mappings
}

/// The first mapping of each loaded file. A file that is only read, as a
/// debugger reads symbols, has no executable mapping and is left out.
pub(super) fn loaded(mappings: &[HostMapping]) -> Vec<&HostMapping> {
    let key = |mapping: &&HostMapping| (mapping.name().to_owned(), mapping.inode);
    let named = || mappings.iter().filter(|mapping| mapping.name().starts_with('/'));
    let executable = named().filter(|mapping| mapping.executable);
    let mut missing: HashSet<_> = executable.map(|mapping| key(&mapping)).collect();
    named().filter(|mapping| missing.remove(&key(mapping))).collect()
}

/// `START-END PERMS OFFSET DEVICE INODE   NAME`.
fn line(bytes: &[u8]) -> Option<HostMapping> {
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
        name: Some(words.next().unwrap_or_default().trim_start_matches(' ').to_owned()),
    };
    let (executable, private) =
        (permissions.get(2) == Some(&b'x'), permissions.get(3) == Some(&b'p'));
    Some(HostMapping { area, private, offset, inode, executable })
}

/// `START END SIZE OFFSET [PERMS] [NAME]`, the numbers with `0x`. Of a core gdb
/// shows no permissions: what it lists is readable.
fn gdb_line(bytes: &[u8]) -> Option<HostMapping> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    let [start, end, _size, offset] =
        [(); 4].map(|()| word(&mut rest).strip_prefix("0x").and_then(hex));
    let (start, offset) = (start?, offset?);
    let len = end?.checked_sub(start).filter(|len| *len > 0)?;
    let mut name = rest.trim();
    let is_rights = |word: &str| word.len() == 4 && word.bytes().all(|b| b"rwxps-".contains(&b));
    let rights = name.split(' ').next().filter(|word| is_rights(word)).unwrap_or_default();
    name = name[rights.len()..].trim_start();
    let area = Area {
        start: Hva(start),
        len,
        readable: rights.is_empty() || rights.starts_with('r'),
        writable: rights.as_bytes().get(1) == Some(&b'w'),
        name: Some(name.to_owned()),
    };
    let executable = rights.is_empty() || rights.as_bytes().get(2) == Some(&b'x');
    Some(HostMapping { area, private: rights.ends_with('p'), offset, inode: 0, executable })
}

/// The next word, taken off `rest`.
fn word<'a>(rest: &mut &'a str) -> &'a str {
    let text = rest.trim_start();
    let (word, behind) = text.split_at(text.find(' ').unwrap_or(text.len()));
    *rest = behind;
    word
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
        assert_eq!(mapping.name(), "/opt/a b (deleted)");
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
    fn a_file_without_code_in_memory_is_not_loaded() {
        let text = "1000-2000 r--p 00000000 00:01 7 /read\n\
                    3000-4000 r--p 00000000 00:01 8 /loaded\n\
                    4000-5000 r-xp 00001000 00:01 8 /loaded\n\
                    6000-7000 r-xp 00000000 00:00 0 [vdso]\n\
                    0x8000 0x9000 0x1000 0x0 /rights/not/known\n";
        let mappings = parse(text.as_bytes());
        let found: Vec<_> = loaded(&mappings)
            .iter()
            .map(|mapping| (mapping.name(), mapping.area.start.0))
            .collect();
        assert_eq!(found, [("/loaded", 0x3000), ("/rights/not/known", 0x8000)]);
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
    fn gdbs_lines_hold_the_same_with_and_without_rights() {
        let text = "process 7\nMapped address spaces:\n\n  Start Addr  End Addr  Size  Offset  Perms  objfile\n\
              0x1000     0x3000     0x2000        0x10  r-xp   /opt/a b\n\
              0x4000     0x5000     0x1000        0x0  rw-p   \n\
              0x6000     0x7000     0x1000        0x0 /opt/c\n";
        let found = parse(text.as_bytes());
        let names: Vec<_> = found.iter().map(|one| one.name()).collect();
        assert_eq!(names, ["/opt/a b", "", "/opt/c"]);
        assert_eq!(
            (found[0].area.start.0, found[0].area.len, found[0].offset),
            (0x1000, 0x2000, 0x10)
        );
        assert!(found[0].area.readable && !found[0].area.writable && found[1].area.writable);
    }

    #[test]
    fn the_lowest_address_comes_first() {
        let text = b"3000-4000 r--p 0 0 0\n1000-2000 r--p 0 0 0\n";
        let starts: Vec<_> = parse(text).iter().map(|mapping| mapping.area.start.0).collect();
        assert_eq!(starts, [0x1000, 0x3000]);
    }
}
