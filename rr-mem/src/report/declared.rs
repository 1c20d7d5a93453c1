//! The rows. Struct, JSON keys, Python class, stub and the table in the
//! documentation come from this one declaration.

use super::declare::{Bytes, Found, IfAsked, Named, row_structs};
use crate::{
    addr::{Gpa, Gva, Hex, Hva},
    regs::Arch,
};

/// Hands every row to the macro `$with`. A row is `struct Name as Class { fields }
/// beside { fields that JSON leaves out }`; a row without class is not given to
/// Python. After `whole` stands the class of a row that may hold no answer.
#[doc(hidden)]
#[macro_export]
macro_rules! declared_rows {
    ($with:ident) => {
        $with! {
            /// Where a guest virtual address leads.
            struct V2pRow as Translation, whole Walk {
                /// The address asked for.
                gva: Gva,
                /// Its guest physical address.
                gpa: Found<Gpa>,
                /// Bytes of the page.
                page_size: Found<u64>,
                /// Effective rights; null where nobody knows what decides them.
                rights: Option<RightsRow>,
                /// Whether the guest encrypts the page, where an encryption bit is known.
                encrypted: IfAsked<bool>,
                /// The region's name.
                region: Option<String>,
                /// The byte in the region.
                offset: Option<Hex<u64>>,
                /// The RAM block behind the region.
                ram_block: Option<String>,
                /// The byte in the emulator's process.
                host: Option<Hva>,
                /// Why it is not mapped, or the access faults.
                fault: Option<FaultRow>,
                /// Why no answer could be given.
                error: Option<ErrorRow>,
                /// Every table entry read.
                steps: Vec<StepRow>,
                /// The name of the address, where symbols were given.
                symbol: IfAsked<String>,
                /// What is worth saying of this answer; in JSON, of the source too.
                remarks: Vec<RemarkRow>,
            } beside {
                /// The paging mode, where it is known.
                mode: Option<&'static str>,
                /// The architecture of the CPU's mode, where it is known.
                arch: Option<Arch>,
            }

            /// What may make an answer wrong, what was assumed, where else to look.
            struct RemarkRow {
                /// Its short stable name.
                kind: &'static str,
                /// It in words.
                text: String,
                /// What the user can do; may be empty.
                hint: String,
            }

            /// Effective rights; null where nobody knows what decides them.
            struct RightsRow as Rights {
                /// The supervisor; EL1 or the regime's own level.
                kernel: RwxRow,
                /// CPL 3; EL0.
                user: RwxRow,
            }

            /// What one privilege may do.
            struct RwxRow as Rwx {
                /// Read.
                r: bool,
                /// Write.
                w: bool,
                /// Execute.
                x: bool,
            }

            /// The guest's answer that an address is not mapped, or that an access
            /// to it faults.
            struct FaultRow as Fault {
                /// Its short stable name.
                kind: &'static str,
                /// The structure of the entry that decided, by the manual's name.
                level: Option<&'static str>,
                /// The entry's raw value.
                entry: Option<Hex<u64>>,
                /// The entry's guest physical address.
                at: Option<Gpa>,
                /// Of an access: the #PF error code, or the ARM fault status.
                status: Option<Hex<u32>>,
            } beside {
                /// It in words.
                sentence: String,
            }

            /// A failure of ours: it says nothing about the guest.
            struct ErrorRow as Failure {
                /// Its short stable name.
                kind: &'static str,
                /// The address that could not be read.
                address: Option<Hex<u64>>,
                /// What was being done.
                step: String,
                /// What the user can do.
                hint: String,
                /// It in words.
                sentence: String,
            }

            /// A table entry read on a walk.
            struct StepRow as Step {
                /// The structure, by the manual's name of its entries.
                level: &'static str,
                /// The entry's index in its table.
                index: u64,
                /// The entry's guest physical address.
                at: Gpa,
                /// The entry in the emulator's process.
                host: Option<Hva>,
                /// Its raw value.
                entry: Hex<u64>,
                /// Its decoded flags, by the manual's names.
                flags: Vec<&'static str>,
            } beside {
                /// Bytes of the entry: 4 or 8.
                size: u64,
            }

            /// Virtual addresses of a physical one: `count`, each `stride` bytes
            /// behind the one before.
            struct AliasRow as Alias {
                /// The physical address asked for.
                gpa: Gpa,
                /// The first virtual address that maps it.
                gva: Found<Gva>,
                /// How many there are.
                count: u64,
                /// Bytes from one to the next.
                stride: Hex<u64>,
                /// Bytes of the page.
                page_size: Found<u64>,
                /// Effective rights; null where nobody knows what decides them.
                rights: Option<RightsRow>,
            }

            /// What `memory_region_find` returns.
            struct FindRow as Section {
                /// The address asked for.
                gpa: Gpa,
                /// The region's name.
                region: Found<String>,
                /// The first byte found, in the region.
                offset_within_region: Found<Hex<u64>>,
                /// The first byte found, in the address space.
                offset_within_address_space: Found<Hex<u64>>,
                /// Bytes of the range from there on.
                size: Found<Hex<u128>>,
                /// Writes do not change it.
                readonly: Found<bool>,
                /// Persistent memory.
                nonvolatile: Found<bool>,
                /// The RAM block behind the region.
                ram_block: Option<String>,
                /// The byte in the emulator's process.
                host: Option<Hva>,
            }

            /// A run of mappings.
            struct MappingRow as Mapping {
                /// The first address.
                gva: Gva,
                /// The last address, included.
                last: Gva,
                /// Bytes.
                length: Hex<u128>,
                /// The physical address of the first byte, unless the pages map
                /// anything.
                gpa: Option<Gpa>,
                /// How far `gpa` advances per page: the page size, 0 when all pages
                /// map the same one, unknown when they map anything.
                gpa_step: Option<Hex<u64>>,
                /// Bytes of a page (of the first one, where sizes differ).
                page_size: u64,
                /// Effective rights; null where nobody knows what decides them.
                rights: Option<RightsRow>,
            } beside {
                /// Where all pages map the same bytes: how many bytes.
                every: Option<Hex<u64>>,
            }

            /// A plausible table base.
            struct RootRow as Root {
                /// The table's address, as CR3 or TTBR holds it.
                root: Gpa,
                /// The register that holds it: CR3, TTBR0 or TTBR1.
                register: &'static str,
                /// The mode that it was tried in.
                mode: &'static str,
                /// ARM: the TCR, or TTBCR, that it was tried with.
                tcr: Option<Hex<u64>>,
                /// Pages that it maps in the kernel half.
                kernel_pages: u64,
                /// Pages that it maps in the user half.
                user_pages: u64,
                /// Listed tables with the same kernel half, this one included.
                shared_by: usize,
                /// The other table of a KPTI pair.
                pair: Option<Gpa>,
            }

            /// The paging registers of one CPU.
            struct RegsRow as Registers {
                /// Its number in the source.
                cpu: usize,
                /// The architecture of its mode.
                arch: &'static str,
                /// The paging mode; unknown where what decides it is not known.
                mode: Option<&'static str>,
                /// Paging registers by name; unknown where nobody knows the value.
                registers: Named<Option<Hex<u64>>>,
            }

            /// A CPU of the emulator.
            struct CpuRow as Cpu {
                /// Its number.
                cpu: u64,
                /// The architecture of its mode.
                arch: &'static str,
                /// The paging mode; unknown of an architecture that no walker models.
                mode: Option<&'static str>,
                /// Runs with user privilege.
                user_mode: Option<bool>,
                /// Waits for an interrupt.
                halted: bool,
                /// Stopped by the emulator.
                stopped: bool,
                /// The program counter.
                pc: Option<Hex<u64>>,
                /// Its thread in the emulator.
                thread: u64,
                /// Its `CPUState` in the emulator.
                state: Hva,
                /// What runs it: tcg, kvm, kvm (stale).
                accelerator: &'static str,
                /// The address space that it uses.
                address_space: Option<String>,
                /// SMM, the secure world, a nested guest.
                world: Option<&'static str>,
                /// Guest instructions so far, where they are counted.
                instructions: Option<u64>,
                /// Paging registers by name.
                registers: Named<Hex<u64>>,
            }

            /// A RAM block.
            struct RamRow as RamBlock {
                /// QEMU's `idstr`.
                name: String,
                /// The first byte in the emulator's process.
                host: Option<Hva>,
                /// The first byte in QEMU's `ram_addr_t` space.
                offset: Hex<u64>,
                /// Bytes that the guest sees now.
                used_length: Hex<u64>,
                /// Bytes that the block may grow to.
                max_length: Hex<u64>,
                /// Bytes that the host has memory for now.
                resident: Option<Hex<u64>>,
                /// Bytes that the core holds, of an emulator's core.
                in_core: Option<Hex<u64>>,
                /// Bytes in a host page of the block.
                page_size: u64,
                /// The emulator's descriptor of the file that it is mapped from.
                fd: Option<u32>,
                /// What the host has mapped there; empty for anonymous memory.
                backing: Option<String>,
            }

            /// What a pointer of the emulator leads to.
            struct WhereRow as Where {
                /// The pointer.
                hva: Hva,
                /// What the host has mapped there; empty for anonymous memory,
                /// unknown for nothing, or what nobody knows.
                area: Option<String>,
                /// The RAM block that it is in.
                ram_block: Option<String>,
                /// The byte of the RAM block.
                offset_in_block: Option<Hex<u64>>,
                /// Where the guest sees it.
                places: Vec<WherePlace>,
            } beside {
                /// Whether anything is mapped there, where that is known.
                mapped: Option<bool>,
            }

            /// Where the guest sees a byte of its RAM.
            struct WherePlace as Place {
                /// Its guest physical address.
                gpa: Gpa,
                /// The region's name.
                region: String,
                /// The byte of the region.
                offset: Hex<u64>,
                /// Its guest virtual addresses, where paging is known.
                gvas: Option<Vec<AliasRow>>,
                /// There are more than were asked for.
                more: bool,
            }

            /// A range of the guest's physical address space.
            struct FlatRangeRow as FlatRange {
                /// The first address.
                gpa: Gpa,
                /// Bytes.
                size: Hex<u128>,
                /// The region's name.
                region: String,
                /// The byte of the region at `gpa`.
                offset: Hex<u64>,
                /// The monitor's word for what it is: ram, rom, romd, ramd, i/o.
                kind: &'static str,
            }

            /// A memory region.
            struct RegionRow as Region {
                /// Its place in the list of regions.
                number: usize,
                /// QEMU's name; not unique.
                name: Option<String>,
                /// Offset in the container.
                addr: Hex<u64>,
                /// Bytes.
                size: Hex<u128>,
                /// The monitor's word for what it is: ram, rom, romd, ramd, i/o.
                kind: &'static str,
                /// Against its siblings: the higher hides the lower.
                priority: i32,
                /// A disabled region is not there.
                enabled: bool,
                /// The device that made it.
                owner: Option<String>,
                /// The region that it is in, by number.
                container: Option<u32>,
                /// The region that is seen through it, by number.
                alias: Option<u32>,
                /// The first byte of that region that is seen.
                alias_offset: Hex<u64>,
                /// The RAM block behind it.
                ram_block: Option<String>,
            }

            /// Bytes that one watchpoint register of the host's processor covers.
            struct PieceRow as Piece {
                /// The first byte's address as it was asked for, virtual or
                /// physical.
                address: Hex<u64>,
                /// Its guest physical address.
                gpa: Gpa,
                /// The same byte in the emulator's process.
                host: Hva,
                /// Bytes: 1, 2, 4 or 8.
                length: usize,
            }

            /// A line of values, as `x` shows them.
            struct XRow as Line {
                /// The address of the first value.
                addr: Hex<u64>,
                /// The name of the address, where symbols were given.
                symbol: IfAsked<String>,
                /// The values.
                values: Vec<String>,
            }

            /// Bytes of guest memory.
            struct ReadRow {
                /// The address of the first.
                addr: Hex<u64>,
                /// How many.
                length: Hex<u64>,
                /// Two hexadecimal digits a byte, lowest address first.
                data: Bytes,
            }

            /// Where reading ended early: the last row of `x` and `read`.
            struct StopRow {
                /// The first address that could not be read.
                addr: Hex<u64>,
                /// Why it is not mapped.
                fault: Option<FaultRow>,
                /// Why its bytes cannot be had.
                error: Option<ErrorRow>,
            }

            /// Bytes that were written.
            struct WrittenRow {
                /// The guest physical address of the first.
                gpa: Gpa,
                /// The same byte in the emulator's process.
                host: Hva,
                /// How many.
                bytes: usize,
            }

            /// A field of a device's state.
            struct StateRow {
                /// The device.
                device: String,
                /// Which of the devices of that name.
                instance: u32,
                /// The field in it.
                field: String,
                /// Its type by QEMU's name.
                r#type: String,
                /// Its first byte in the stream.
                offset: Hex<u64>,
                /// A number as `0x..`, anything else as the hex digits of its bytes.
                value: String,
            }

            /// A place where bytes were found in mapped memory.
            struct HitRow as Hit {
                /// The virtual address.
                gva: Gva,
                /// Its guest physical address.
                gpa: Option<Gpa>,
                /// How many there are, each `stride` bytes behind the one before.
                count: u64,
                /// Bytes from one to the next.
                stride: Hex<u64>,
            }

            /// What a slice holds.
            struct SliceRow as Slice {
                /// Pages with bytes of tables.
                table_pages: u64,
                /// Pages that were asked for.
                data_pages: u64,
                /// CPUs.
                cpus: usize,
                /// Bytes of the file.
                file_bytes: Hex<u64>,
            }

            /// What a converted file holds.
            struct ConvertRow {
                /// Ranges of memory.
                ranges: usize,
                /// Bytes of them.
                bytes: Hex<u128>,
                /// Pages that the guest has and the source lacks.
                absent_pages: u64,
                /// Bytes of the file.
                file_bytes: Hex<u64>,
            }

            /// A paging register that has another value.
            struct RegisterChange as RegisterChange {
                /// The CPU.
                cpu: u64,
                /// Its name.
                register: &'static str,
                /// What it was.
                before: Hex<u64>,
                /// What it is.
                after: Hex<u64>,
            }

            /// Memory that only one of two moments has.
            struct MemoryChange as MemoryChange {
                /// The first address.
                gpa: Gpa,
                /// The last, included.
                last: Gpa,
                /// `added` or `removed`.
                change: &'static str,
            }

            /// A page whose bytes have changed.
            struct PageChange as PageChange {
                /// Its address.
                gpa: Gpa,
                /// The region.
                region: Option<String>,
                /// The page in the region.
                offset: Option<Hex<u64>>,
                /// How many bytes differ.
                bytes: u64,
                /// The first of them, in the page.
                first: Hex<u64>,
                /// Virtual addresses that map it, lowest first.
                gvas: Vec<AliasRow>,
                /// Whether there are more.
                more: bool,
            }

            /// A range of virtual addresses that is mapped in another way.
            struct MappingChange as MappingChange {
                /// `mapped`, `unmapped`, `remapped` or `rights`.
                change: &'static str,
                /// The first address.
                gva: Gva,
                /// The last, included.
                last: Gva,
                /// What it mapped.
                before: Option<MappedTo>,
                /// What it maps.
                after: Option<MappedTo>,
            }

            /// What a range maps.
            struct MappedTo as MappedTo {
                /// The physical address behind its first byte.
                gpa: Gpa,
                /// Whether every page maps the same one.
                repeats: bool,
                /// Bytes of a page.
                page_size: u64,
                /// Effective rights; null where nobody knows what decides them.
                rights: Option<RightsRow>,
            }

            /// An emulator that runs.
            struct PsRow as Emulator {
                /// Its process.
                pid: u32,
                /// The program.
                binary: String,
                /// The machine's type, by the command line.
                machine: Option<String>,
                /// Where the offsets of its structs come from.
                layout: Option<String>,
                /// Bytes of RAM.
                ram: Option<Hex<u64>>,
                /// How many CPUs it has.
                cpus: Option<usize>,
                /// The architecture of the first.
                arch: Option<&'static str>,
                /// The paging mode of the first.
                mode: Option<&'static str>,
                /// Why it could not be read.
                error: Option<String>,
                /// What the user can do.
                hint: Option<String>,
            }
        }
    };
}

declared_rows!(row_structs);
