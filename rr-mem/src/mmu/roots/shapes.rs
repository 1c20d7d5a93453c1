//! Which kinds of first tables there are: from control registers, known or
//! usual, to the entries that map the kernel's half.

use std::ops::Range;

use crate::{
    addr::{Gpa, Gva},
    mmu::walk::{Paging, Span, Start, Table},
    regs::{Arch, ArmRegs, Register, Regs, X86Regs},
};

/// No scanned guest has more than 64 TB of physical addresses: an entry that
/// leads further is not one of a table.
const PHYS_BITS: u8 = 46;

/// TCR_EL1 of the usual AArch64 kernels, T0SZ = T1SZ and TG0 = TG1: TxSZ, TG0,
/// TG1, IPS, DS ("TCR_EL1, Translation Control Register (EL1)").
const TCR: [(u64, u64, u64, u64, u64); 10] = [
    (16, 0b00, 0b10, 5, 0), // 4 KB granule: 48 bits
    (25, 0b00, 0b10, 5, 0), // 39 bits
    (12, 0b00, 0b10, 6, 1), // 52 bits (FEAT_LPA2)
    (17, 0b10, 0b01, 5, 0), // 16 KB granule: 47 bits
    (16, 0b10, 0b01, 5, 0), // 48 bits
    (28, 0b10, 0b01, 5, 0), // 36 bits
    (12, 0b10, 0b01, 6, 1), // 52 bits (FEAT_LPA2)
    (22, 0b01, 0b11, 5, 0), // 64 KB granule: 42 bits
    (16, 0b01, 0b11, 5, 0), // 48 bits
    (12, 0b01, 0b11, 6, 0), // 52 bits (FEAT_LVA)
];

/// TTBCR of a Linux kernel with LPAE and the usual 3 GB for the user: EAE, T1SZ
/// = 2 (TTBR1 maps the highest 1 GB).
const TTBCR_LPAE: u64 = ArmRegs::TTBCR_EAE | 2 << 16;

/// `regs` with each of the control registers' values that guests of its
/// architecture usually run with, for an image that brings none.
#[must_use]
pub fn usual_shapes(regs: &Regs) -> Vec<Regs> {
    let toggled = |regs: X86Regs, cr4| vec![Regs::X86(regs), with_cr4(regs, regs.cr4 ^ cr4)];
    match *regs {
        Regs::X86(regs) if regs.in_long_mode() => toggled(regs, X86Regs::CR4_LA57),
        Regs::X86(regs) => toggled(regs, X86Regs::CR4_PAE),
        Regs::Arm(regs) if regs.arch64() => TCR.map(|tcr| with_tcr(regs, tcr_el1(tcr))).into(),
        Regs::Arm(regs) => vec![with_tcr(regs, 0), with_tcr(regs, TTBCR_LPAE)],
    }
}

fn with_cr4(regs: X86Regs, cr4: u64) -> Regs {
    // Kernels use NX where they can.
    let pae = if cr4 & X86Regs::CR4_PAE == 0 { 0 } else { X86Regs::EFER_NXE };
    Regs::X86(X86Regs { cr4, efer: regs.efer | pae, ..regs })
}

const fn with_tcr(regs: ArmRegs, tcr: u64) -> Regs {
    Regs::Arm(ArmRegs { tcr, ..regs })
}

const fn tcr_el1((txsz, tg0, tg1, ips, ds): (u64, u64, u64, u64, u64)) -> u64 {
    txsz | txsz << 16 | tg0 << 14 | tg1 << 30 | ips << 32 | ds << 59
}

/// The registers to scan with for tables of the kind of `regs`, no table set.
pub(super) fn passes(regs: &Regs) -> Vec<Regs> {
    match *regs {
        Regs::X86(regs) => {
            let phys_bits = regs.phys_bits.min(PHYS_BITS);
            vec![Regs::X86(X86Regs { cr3: 0, phys_bits, ..regs })]
        }
        Regs::Arm(regs) => {
            let unset = ArmRegs { ttbr0: 0, ttbr1: TTBR1, ..regs };
            let mut passes = vec![Regs::Arm(unset)];
            // Linux's process tables have the kernel's entry, although TTBR1
            // maps that part of the address space.
            if !regs.arch64() && regs.long_descriptors() && regs.tcr != ArmRegs::TTBCR_EAE {
                passes.push(with_tcr(unset, ArmRegs::TTBCR_EAE));
            }
            passes
        }
    }
}

/// By this the tables of TTBR1 are told from those of TTBR0.
const TTBR1: u64 = 1 << 16;

/// `regs` with the table at `root` in `register`.
pub(super) fn with_root(regs: &Regs, register: Register, root: Gpa) -> Regs {
    match *regs {
        Regs::X86(regs) => Regs::X86(X86Regs { cr3: root.0, ..regs }),
        Regs::Arm(regs) if register == Register::Ttbr1 => {
            Regs::Arm(ArmRegs { ttbr1: root.0, ttbr0: 0, ..regs })
        }
        Regs::Arm(regs) => Regs::Arm(ArmRegs { ttbr0: root.0, ttbr1: 0, ..regs }),
    }
}

/// A kind of first table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View<I> {
    /// The table, its base aside.
    pub table: Table<I>,
    /// The address that entry 0 maps, wrapping.
    pub gva: Gva,
    /// The entries that map the kernel's half.
    pub kernel: Range<u64>,
    /// The entries that map the user's; none where that has its own register.
    pub user: Range<u64>,
    /// The register that holds the table.
    pub register: Register,
}

/// The kinds of first tables that `paging` has and that map a kernel, the
/// likeliest first.
pub(super) fn views<P: Paging>(paging: &P, arch: Arch) -> Vec<View<P::Inherited>> {
    // Linux gives the kernel 1 GB of 4 GB unless told otherwise.
    let borders: &[u64] = match arch {
        Arch::I386 | Arch::Arm => &[0xc000_0000, 0x8000_0000],
        Arch::X86_64 | Arch::Aarch64 => &[1 << 63],
    };
    let spans = paging.spans();
    let at = |border| spans.iter().filter_map(move |span| view(arch, span, border));
    let mut views: Vec<_> = borders.iter().flat_map(|border| at(*border)).collect();
    if views.is_empty() {
        // A regime without an upper half, as a hypervisor's.
        views.extend(at(0));
    }
    for view in &mut views {
        if view.user.is_empty() {
            view.user = lower_half(&spans, view);
        }
    }
    views.dedup();
    views
}

fn view<I: Copy>(arch: Arch, span: &Span<I>, border: u64) -> Option<View<I>> {
    let Start::Table(table) = span.start else { return None };
    let Range { start, end } = span.entries();
    let first = (border.saturating_sub(span.gva.0) >> table.shift).clamp(start, end);
    let register = match arch {
        Arch::I386 | Arch::X86_64 => Register::Cr3,
        _ if table.base == Gpa(TTBR1) => Register::Ttbr1,
        _ => Register::Ttbr0,
    };
    let view = View { table, gva: span.gva, kernel: first..end, user: start..first, register };
    (first < end).then_some(view)
}

/// The entries of the other span of the same table.
fn lower_half<I: Copy + Eq>(spans: &[Span<I>], view: &View<I>) -> Range<u64> {
    let same = |span: &&Span<I>| match span.start {
        Start::Table(table) => table == view.table && span.entries().end <= view.kernel.start,
        Start::Off(_) => false,
    };
    spans.iter().find(same).map_or(0..0, Span::entries)
}
