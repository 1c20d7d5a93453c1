//! What steers a walk of x86, and what a walk here makes of it: Intel SDM volume 3,
//! "Control Registers", "Extended Feature Enable Register"; AMD64 Architecture
//! Programmer's Manual volume 2 (24593), "Extended Feature Enable Register (EFER)",
//! "Secure Virtual Machine".

use crate::{
    mmu::gate::Control,
    regs::{Register, X86Regs},
};

const CR0: Register = Register::Cr0;
const CR3: Register = Register::Cr3;
const CR4: Register = Register::Cr4;
const EFER: Register = Register::Efer;

type C = Control<X86Regs>;

pub(in crate::mmu) static CONTROLS: [C; 50] = [
    C::modelled(CR0, (31, 31), "PG", "paging is on"),
    C::modelled(CR0, (16, 16), "WP", "supervisor writes honour read-only pages"),
    C::modelled(CR0, (0, 0), "PE", "protected mode; without it PG is 0"),
    C::harmless(CR0, (5, 1), "NE, ET, TS, EM, MP", "the floating-point unit"),
    C::harmless(CR0, (18, 18), "AM", "alignment checks"),
    C::harmless(CR0, (30, 29), "CD, NW", "caches"),
    C::harmless(CR0, (15, 6), "reserved", "the CPU ignores them"),
    C::harmless(CR0, (17, 17), "reserved", "the CPU ignores it"),
    C::harmless(CR0, (28, 19), "reserved", "the CPU ignores them"),
    C::harmless(CR0, (63, 32), "reserved", "the CPU has none; debuggers extend the sign"),
    C::harmless(CR3, (11, 0), "PCID, PCD, PWT", "address spaces and caches"),
    C::modelled(CR3, (51, 12), "base", "the first table; with PAE bits 31:5"),
    C::refused(CR3, (60, 52), "reserved", "a first table above 52 bits", X86Regs::in_long_mode),
    C::modelled(CR3, (62, 61), "LAM_U48, LAM_U57", "user addresses with ignored bits"),
    C::refused(CR3, (63, 63), "reserved", "a bit that CR3 never holds", X86Regs::in_long_mode),
    C::modelled(CR4, (4, 4), "PSE", "4 MB pages"),
    C::modelled(CR4, (5, 5), "PAE", "8-byte entries"),
    C::modelled(CR4, (12, 12), "LA57", "five levels"),
    C::modelled(CR4, (20, 20), "SMEP", "the supervisor executes no user page"),
    C::modelled(CR4, (21, 21), "SMAP", "the supervisor touches no user page while AC is 0"),
    C::harmless(CR4, (3, 0), "DE, TSD, PVI, VME", "no part in paging"),
    C::harmless(CR4, (6, 6), "MCE", "machine checks"),
    C::harmless(CR4, (7, 7), "PGE", "how long the TLB keeps a page"),
    C::harmless(CR4, (11, 8), "UMIP, OSXMMEXCPT, OSFXSR, PCE", "instructions"),
    C::harmless(CR4, (13, 13), "VMXE", "a hypervisor may run here; its guests are another matter"),
    C::harmless(CR4, (14, 14), "SMXE", "instructions"),
    C::harmless(CR4, (16, 16), "FSGSBASE", "instructions"),
    C::harmless(CR4, (17, 17), "PCIDE", "CR3's low bits name an address space"),
    C::harmless(CR4, (18, 18), "OSXSAVE", "instructions"),
    C::harmless(CR4, (19, 19), "KL", "instructions"),
    C::modelled(CR4, (22, 22), "PKE", "protection keys of user pages"),
    C::harmless(CR4, (23, 23), "CET", "ordinary accesses are checked as without shadow stacks"),
    C::modelled(CR4, (24, 24), "PKS", "protection keys of supervisor pages"),
    C::harmless(CR4, (25, 25), "UINTR", "interrupts"),
    C::modelled(CR4, (27, 27), "LASS", "linear address-space separation"),
    C::modelled(CR4, (28, 28), "LAM_SUP", "supervisor addresses with ignored bits"),
    C::harmless(CR4, (32, 32), "FRED", "how events are delivered"),
    C::harmless(EFER, (0, 0), "SCE", "instructions"),
    C::harmless(EFER, (7, 1), "reserved", "read as zero"),
    C::modelled(EFER, (8, 8), "LME", "long mode, with CR0.PG"),
    C::modelled(EFER, (10, 10), "LMA", "long mode"),
    C::modelled(EFER, (11, 11), "NXE", "bit 63 of an entry is XD"),
    C::harmless(EFER, (12, 12), "SVME", "a hypervisor may run here"),
    C::harmless(EFER, (13, 13), "LMSLE", "segment limits, checked before a linear address is made"),
    C::harmless(EFER, (14, 14), "FFXSR", "instructions"),
    C::harmless(EFER, (15, 15), "TCE", "how long the TLB keeps a page"),
    C::harmless(EFER, (18, 17), "INTWB, MCOMMIT", "instructions"),
    C::refused(
        EFER,
        (20, 20),
        "UAIE",
        "upper address bits that are ignored",
        X86Regs::in_long_mode,
    ),
    C::harmless(EFER, (21, 21), "AIBRSE", "branch prediction"),
    C::refused(
        Register::NestedPaging,
        (0, 0),
        "NESTED_PAGING",
        "nested paging, EPT or NPT",
        |_| true,
    ),
];
