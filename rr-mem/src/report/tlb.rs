//! The monitor's `info tlb` lines: address, physical address, and a letter for
//! each flag of the last entry. The monitor has them for x86 only; for ARM the
//! letters stand for what is closest: X for XN or UXN, G for nG clear, P for a
//! block, A for the access flag, U for what EL0 may read, W for what EL1 may
//! write.

use crate::{
    addr::Gva,
    mmu::{Translation, Walk},
};

/// The line for the page that `walk` found around `gva`, whose entry has `flags`
/// by the manual's names.
#[must_use]
pub fn line(gva: Gva, walk: &Walk, flags: &[&str]) -> Option<String> {
    let found = walk.result.as_ref().ok()?;
    let letters: String = LETTERS
        .iter()
        .map(|(letter, x86, arm)| {
            let set = match flags.contains(&"PRESENT") {
                true => flags.contains(x86),
                false => arm.iter().any(|&wanted| is(wanted, found, flags)),
            };
            if set { *letter } else { '-' }
        })
        .collect();
    let inside = found.page_size - 1;
    let (page, physical) = (gva.0 & !inside, found.gpa.0 & !inside);
    Some(format!("{page:016x}: {physical:016x} {letters}"))
}

/// Letter, x86 flag, ARM flags.
const LETTERS: [(char, &str, &[&str]); 9] = [
    ('X', "NX", &["UXN", "XN"]),
    ('G', "GLOBAL", &["!nG"]),
    ('P', "PSE", &["BLOCK", "SECTION", "SUPERSECTION"]),
    ('D', "DIRTY", &[]),
    ('A', "ACCESSED", &["AF"]),
    ('C', "PCD", &[]),
    ('T', "PWT", &[]),
    ('U', "USER", &["user"]),
    ('W', "RW", &["writable"]),
];

fn is(wanted: &str, found: &Translation, flags: &[&str]) -> bool {
    match wanted {
        "user" => found.rights.user.r,
        "writable" => found.rights.kernel.w,
        _ => match wanted.strip_prefix('!') {
            Some(clear) => !flags.contains(&clear),
            None => flags.contains(&wanted),
        },
    }
}
