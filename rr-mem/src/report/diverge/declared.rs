//! The rows of a divergence: struct, JSON keys and documentation.

use crate::{
    addr::{Gpa, Hex},
    report::{AliasRow, declare::row_structs},
};

row_structs! {
    /// What a search for the point at which two executions part has found. They are
    /// equal behind `last_equal_instr` instructions and differ behind `instr`.
    struct DivergeRow {
        /// Whether they part.
        found: bool,
        /// The first instruction count at which they differ.
        instr: Option<u64>,
        /// The last at which they were equal.
        last_equal_instr: Option<u64>,
        /// The CPU that ran the instruction between the two.
        cpu: Option<u64>,
        /// Its linear address.
        guest_pc: Option<Hex<u64>>,
        /// Its name.
        symbol: Option<String>,
        /// Registers that differ.
        registers: Vec<RegisterPairRow>,
        /// Bytes that differ.
        bytes: Vec<BytesRow>,
        /// How many bytes differ in all.
        bytes_differing: u64,
        /// In how many pages.
        pages_differing: u64,
        /// The first write that differs.
        writer: Option<WriterRow>,
        /// The entries of the logs around `instr`.
        log_entries: LogEntries,
        /// Where the logs differ first.
        log_difference: Option<LogDifferenceRow>,
        /// At how many points they were compared.
        probes: usize,
        /// The first of them.
        from: u64,
        /// The last.
        to: u64,
        /// Pages that could not be read at the worst point.
        unread_pages: usize,
        /// Who ended before its time, and why.
        ended: Option<String>,
        /// What did not go as it should, though the answers stand.
        remarks: Vec<String>,
    }

    /// A register that differs.
    struct RegisterPairRow {
        /// The CPU.
        cpu: u64,
        /// Its name.
        register: String,
        /// What the first execution has.
        a: Option<String>,
        /// What the second has.
        b: Option<String>,
    }

    /// Neighbouring bytes that differ.
    struct BytesRow {
        /// The address of the first.
        gpa: Gpa,
        /// The region.
        region: Option<String>,
        /// The byte in the region.
        offset: Option<Hex<u64>>,
        /// Virtual addresses that map the first of them, of the CPU that ran.
        gvas: Vec<AliasRow>,
        /// What the first execution has.
        a: String,
        /// What the second has.
        b: String,
    }

    /// The first write that differs.
    struct WriterRow {
        /// The instruction count behind it.
        instr: u64,
        /// The last at which memory was equal.
        last_equal_instr: u64,
        /// The CPU that wrote.
        cpu: Option<u64>,
        /// The linear address of its instruction.
        guest_pc: Option<Hex<u64>>,
        /// Its name.
        symbol: Option<String>,
        /// What was written.
        bytes: Vec<BytesRow>,
        /// Whether a second run came to the same.
        confirmed: bool,
        /// The emulator's code in the first execution, where it is known.
        host_a: Vec<String>,
        /// That in the second.
        host_b: Vec<String>,
    }

    /// Entries of both logs.
    struct LogEntries {
        /// Of the first execution.
        a: Vec<String>,
        /// Of the second.
        b: Vec<String>,
    }

    /// Where two logs differ first.
    struct LogDifferenceRow {
        /// The instruction count.
        instr: u64,
        /// The entry of the first log; nothing where it ends.
        a: Option<String>,
        /// That of the second.
        b: Option<String>,
    }
}
