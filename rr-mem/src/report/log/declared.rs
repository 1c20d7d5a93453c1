//! The rows of the questions about logs: struct, JSON keys and documentation.

use crate::{addr::Hex, report::declare::row_structs};

row_structs! {
    /// The numbers of a log.
    struct StatRow {
        /// What kind of log it is.
        format: String,
        /// Entries.
        entries: u64,
        /// Bytes of them.
        bytes: u64,
        /// The instructions that the header gives.
        header_instr: Option<u64>,
        /// The lowest instruction count.
        first_instr: u64,
        /// The highest.
        last_instr: u64,
        /// Whether the last entry is the mark at the end.
        ended: bool,
        /// How often the count goes back.
        backwards: u64,
        /// Interrupts, or changes of them.
        interrupts: u64,
        /// By kind, call and callsite.
        kinds: Vec<CountRow>,
        /// The largest runs of instructions without an entry.
        gaps: Vec<LargeRow>,
        /// The largest payloads.
        payloads: Vec<LargeRow>,
        /// Instructions that a bar of the histogram stands for.
        bar_instr: u64,
        /// Entries in each bar.
        bars: Vec<u64>,
    }

    /// Entries of one kind, call and callsite.
    struct CountRow {
        /// The kind.
        kind: &'static str,
        /// The call.
        call: Option<&'static str>,
        /// The callsite.
        callsite: Option<&'static str>,
        /// How many.
        entries: u64,
        /// Bytes of them.
        bytes: u64,
    }

    /// Something large, and where.
    struct LargeRow {
        /// Instructions without an entry, or bytes.
        size: u64,
        /// The entry: the one behind a gap.
        index: u64,
        /// Its instruction count.
        instr: u64,
    }

    /// What two logs differ in.
    struct LogDiffRow {
        /// Whether they do not.
        equal: bool,
        /// Entries that are the same.
        same: u64,
        /// Entries that only the first has.
        only_a: u64,
        /// Entries that only the second has.
        only_b: u64,
        /// Entries that both have, with other values.
        values: u64,
        /// The instruction count of the first difference.
        instr: Option<u64>,
        /// What it is: `only in A`, `only in B` or `value`.
        difference: Option<&'static str>,
        /// Entries before it, which are the same.
        before: Vec<String>,
        /// The entry of the first log.
        a: Option<String>,
        /// That of the second.
        b: Option<String>,
    } beside {
        /// The same by kind, call and callsite.
        by_kind: Vec<KindDifferenceRow>,
    }

    /// What two logs differ in, of one kind, call and callsite.
    struct KindDifferenceRow {
        /// Their names.
        kind: String,
        /// Entries that only the first has.
        only_a: u64,
        /// Entries that only the second has.
        only_b: u64,
        /// Entries that both have, with other values.
        values: u64,
    }

    /// Something that makes a replay fail.
    struct FindingRow {
        /// Its short stable name.
        finding: &'static str,
        /// What was seen, and where.
        what: String,
        /// What it means.
        why: &'static str,
    }

    /// A region that came or went.
    struct RegionChangeRow {
        /// The instruction count.
        instr: u64,
        /// Whether it came.
        added: bool,
        /// Its first address.
        start: Hex<u64>,
        /// Bytes.
        size: Hex<u64>,
        /// What it is.
        region_kind: &'static str,
        /// Its name, with escapes.
        name: String,
    }

    /// A line that went over a serial line.
    struct SerialRow {
        /// The instruction count of its first byte.
        instr: u64,
        /// `out` of what the guest sent, `in` of what it got.
        direction: &'static str,
        /// The bytes, with escapes.
        text: String,
    } beside {
        /// The bytes as text for people.
        escaped: String,
    }

    /// A network packet.
    struct PacketRow {
        /// The instruction count.
        instr: u64,
        /// Whether the guest sent it.
        from_guest: bool,
        /// Bytes.
        length: usize,
        /// The Ethernet address that it goes to.
        destination: Option<String>,
        /// The Ethernet address that it comes from.
        source: Option<String>,
        /// What kind of packet.
        ether_type: Option<String>,
        /// Its bytes, two hexadecimal digits each.
        data: String,
    }

    /// A digest of a log up to some point.
    struct HashRow {
        /// The instruction count.
        instr: u64,
        /// Entries up to there.
        entries: u64,
        /// SHA-256 in hex.
        digest: String,
    }
}
