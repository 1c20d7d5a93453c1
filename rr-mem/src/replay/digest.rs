//! Digests of a log, so that two sites can compare recordings without
//! exchanging them.

use sha2::{Digest as _, Sha256};

use super::Entry;

/// The SHA-256 of everything so far that two recordings can share: the bytes of
/// entries with host pointers and padding as zeros.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    hasher: Sha256,
    entries: u64,
}

impl Digest {
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
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
