//! Digests of a log, so that two sites can compare recordings without
//! exchanging them.

use sha2::{Digest as _, Sha256};

use super::Entry;
use crate::bits::hex_digits;

/// The SHA-256 of everything so far that two recordings can share: the bytes of
/// entries with host pointers and padding as zeros.
#[derive(Clone, Debug, Default)]
pub struct LogDigest {
    hasher: Sha256,
    entries: u64,
}

impl LogDigest {
    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry) {
        let shared = entry.shared();
        self.hasher.update(shared.head());
        self.hasher.update(shared.payload);
        self.entries += 1;
    }

    /// Entries so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// The digest so far, in hex.
    #[must_use]
    pub fn hex(&self) -> String {
        let bytes = self.hasher.clone().finalize();
        hex_digits(&bytes)
    }
}

/// A digest at an instruction count.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DigestAt {
    /// The instruction count.
    pub instructions: u64,
    /// Entries up to there.
    pub entries: u64,
    /// The digest of them, in hex.
    pub digest: String,
}

/// Digests at every so many instructions, and at the end.
#[derive(Clone, Debug)]
pub struct Digests {
    every: u64,
    next: u64,
    last: u64,
    digest: LogDigest,
}

impl Digests {
    /// At multiples of `every`, which is not 0; of `u64::MAX`, at the end alone.
    #[must_use]
    pub fn every(every: u64) -> Self {
        Self { every, next: every, last: 0, digest: LogDigest::default() }
    }

    /// Adds an entry. Returns the digest before it if it passes a multiple; if
    /// it passes several, that of the last.
    pub fn add(&mut self, entry: &Entry) -> Option<DigestAt> {
        let passed = entry.instructions >= self.next;
        let before = passed.then(|| {
            let multiple = entry.instructions - entry.instructions % self.every;
            self.next = multiple.saturating_add(self.every);
            self.at(multiple)
        });
        self.last = entry.instructions;
        self.digest.add(entry);
        before
    }

    /// The digest of all entries.
    #[must_use]
    pub fn end(&self) -> DigestAt {
        self.at(self.last)
    }

    fn at(&self, instructions: u64) -> DigestAt {
        DigestAt { instructions, entries: self.digest.entries(), digest: self.digest.hex() }
    }
}
