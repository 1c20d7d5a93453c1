//! Looking for the first table of an address space in memory without
//! registers.
//!
//! A page is a candidate when it reads as a table whose kernel half leads to
//! pages, and one of those pages is the table itself: kernels map all of their
//! memory, their own tables included. Candidates that share their kernel half
//! with others come first (every process has the same one); of a KPTI pair the
//! half that maps less is shown with the other.

use std::collections::HashMap;

use super::{Access, AccessKind, Ask, Fault, FaultKind, Merge, Mmu, Space, SpaceLimits, WalkError};
use crate::{
    addr::{Gpa, Gva},
    bits::keep,
    memory::Memory,
    regs::{Arch, ArmRegs, Regs, X86Regs},
};

/// A plausible first table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCandidate {
    /// Its guest physical address: CR3, or TTBR.
    pub root: Gpa,
    /// The mode that it was read in.
    pub mode: &'static str,
    /// 4 KB units mapped in the upper half.
    pub kernel_pages: u64,
    /// 4 KB units mapped in the lower half.
    pub user_pages: u64,
    /// Candidates with the same kernel half, this one included.
    pub shared_by: usize,
    /// The other table of a KPTI pair, which lies right beside.
    pub pair: Option<Gpa>,
}

/// Tables decoded for one candidate. A kernel of 64 GB stays below it.
const LIMITS: SpaceLimits = SpaceLimits { tables: 1 << 16, runs: 1 << 20 };

/// Mappings of a candidate that are walked to look for reserved bits.
const SAMPLES: usize = 4096;

/// No guest whose image one scans has more than 64 TB of physical addresses:
/// what leads further is no table.
const PHYS_BITS: u8 = 46;

/// Scans the ranges of `memory` for first tables of the kind that `regs` uses;
/// best first. `progress` hears the bytes scanned so far.
pub fn find_roots<M: Memory + ?Sized>(
    regs: &Regs,
    memory: &M,
    ranges: &[(Gpa, u64)],
    progress: &mut dyn FnMut(u64),
) -> Vec<RootCandidate> {
    let kind = Kind::of(regs);
    let mut scan = Scan { kind, regs, memory, found: Vec::new() };
    let mut scanned = 0;
    for &(start, len) in ranges {
        let end = u128::from(start.0) + u128::from(len);
        let mut at = u128::from(start.0).next_multiple_of(u128::from(kind.align));
        while at + u128::from(kind.bytes) <= end {
            scan.page(Gpa(at as u64));
            at += u128::from(kind.align);
            if at % (64 << 20) == 0 {
                progress(scanned + (at - u128::from(start.0)) as u64);
            }
        }
        scanned += len;
    }
    ranked(scan.found)
}

/// The shape of a first table.
#[derive(Clone, Copy)]
struct Kind {
    align: u64,
    bytes: u64,
    /// The kernel half's entries, in bytes of the table.
    kernel: (usize, usize),
    entry: usize,
}

impl Kind {
    fn of(regs: &Regs) -> Self {
        let table = |align, bytes: u64, entry| Kind {
            align,
            bytes,
            kernel: (bytes as usize / 2, bytes as usize),
            entry,
        };
        match regs {
            Regs::X86(regs) if !regs.physical_address_extension() => table(4096, 4096, 4),
            // The kernel of a 3 GB / 1 GB split has the last PDPTE only.
            Regs::X86(regs) if !regs.in_long_mode() => {
                Kind { align: 32, bytes: 32, kernel: (24, 32), entry: 8 }
            }
            Regs::Arm(regs) if !regs.long_descriptors() => table(16384, 16384, 4),
            Regs::Arm(regs) if regs.state == crate::regs::ArmState::Aarch32 => {
                Kind { align: 32, bytes: 32, kernel: (24, 32), entry: 8 }
            }
            // TTBR1 has a table of its own: all of it is kernel.
            Regs::Arm(_) => Kind { align: 4096, bytes: 4096, kernel: (0, 4096), entry: 8 },
            Regs::X86(_) => table(4096, 4096, 8),
        }
    }
}

struct Scan<'a, M: ?Sized> {
    kind: Kind,
    regs: &'a Regs,
    memory: &'a M,
    found: Vec<(RootCandidate, u64)>,
}

impl<M: Memory + ?Sized> Scan<'_, M> {
    fn page(&mut self, root: Gpa) {
        let mut copy = [0; 16384];
        let len = self.kind.bytes as usize;
        let bytes = match self.memory.slice(root, len) {
            Some(bytes) => bytes,
            None if self.memory.read(root, &mut copy[..len]).is_ok() => &copy[..len],
            None => return,
        };
        let kernel = &bytes[self.kind.kernel.0..self.kind.kernel.1];
        if !self.plausible(kernel) {
            return;
        }
        let digest = digest(kernel);
        if let Some(candidate) = self.walk(root) {
            self.found.push((candidate, digest));
        }
    }

    /// A quick look: some entries present, most of the others 0, none of the
    /// present ones leading where no memory is.
    fn plausible(&self, kernel: &[u8]) -> bool {
        let (mut present, mut odd) = (0, 0);
        for entry in kernel.chunks_exact(self.kind.entry) {
            let raw = entry.iter().rev().fold(0, |raw, byte| raw << 8 | u64::from(*byte));
            if raw == 0 {
                continue;
            }
            let table = Gpa(keep(raw, 47, 12) & !0xfff);
            let leads_somewhere = raw & 1 != 0 && self.memory.read_u64(table).is_ok();
            present += usize::from(leads_somewhere);
            odd += usize::from(!leads_somewhere);
        }
        present > 0 && odd <= present
    }

    fn walk(&self, root: Gpa) -> Option<RootCandidate> {
        let regs = with_root(self.regs, root);
        let mmu = Mmu::new(&regs);
        let space = Space::new(&mmu, self.memory, LIMITS);
        let (mut kernel_pages, mut user_pages, mut maps_itself) = (0u64, 0u64, false);
        let half = match regs.arch() {
            Arch::I386 => 0xc000_0000,
            Arch::Arm => 0x8000_0000,
            Arch::X86_64 | Arch::Aarch64 => 1 << 63,
        };
        for (n, mapping) in space.mappings(Merge::Physical).take(1 << 20).enumerate() {
            if n < SAMPLES && self.is_malformed(&mmu, mapping.gva) {
                return None;
            }
            let pages = (mapping.len() >> 12) as u64;
            let kernel = mapping.gva >= Gva(half) && !mapping.rights.user.r;
            *(if kernel { &mut kernel_pages } else { &mut user_pages }) += pages;
            let offset = root.0.wrapping_sub(mapping.gpa.0);
            maps_itself |= kernel
                && mapping.rights.kernel.w
                && mapping.gpa_of(Gva(mapping.gva.0.wrapping_add(offset))) == Some(root);
        }
        maps_itself.then(|| RootCandidate {
            root,
            mode: mmu.mode(),
            kernel_pages,
            user_pages,
            shared_by: 1,
            pair: None,
        })
    }
}

impl<M: Memory + ?Sized> Scan<'_, M> {
    /// Whether the way to `gva` has an entry that no CPU would take: a table
    /// read at the wrong level shows itself by reserved bits.
    fn is_malformed(&self, mmu: &Mmu, gva: Gva) -> bool {
        let ask = Ask::Access(Access { kind: AccessKind::Read, user: false });
        let wrong =
            |fault: Fault| matches!(fault.kind, FaultKind::ReservedBit | FaultKind::AddressSize);
        match mmu.ask(self.memory, gva, ask) {
            Err(WalkError::Fault(fault)) => wrong(fault),
            _ => false,
        }
    }
}

/// `regs` with the candidate as table base.
fn with_root(regs: &Regs, root: Gpa) -> Regs {
    match *regs {
        Regs::X86(regs) => {
            let phys_bits = regs.phys_bits.min(PHYS_BITS);
            Regs::X86(X86Regs { cr3: root.0, phys_bits, ..regs })
        }
        // Only the kernel half is looked at; EPD0 keeps the other out.
        Regs::Arm(regs) if regs.long_descriptors() => match regs.arch64() {
            true => Regs::Arm(ArmRegs { ttbr1: root.0, tcr: regs.tcr | 1 << 7, ..regs }),
            false => Regs::Arm(ArmRegs { ttbr0: root.0, ..regs }),
        },
        Regs::Arm(regs) => Regs::Arm(ArmRegs { ttbr0: root.0, ..regs }),
    }
}

/// FNV-1a.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}

fn ranked(found: Vec<(RootCandidate, u64)>) -> Vec<RootCandidate> {
    let mut shared = HashMap::new();
    for (_, digest) in &found {
        *shared.entry(*digest).or_insert(0) += 1;
    }
    let roots: HashMap<Gpa, ()> = found.iter().map(|(root, _)| (root.root, ())).collect();
    let mut ranked: Vec<_> = found
        .into_iter()
        .map(|(mut candidate, digest)| {
            candidate.shared_by = shared[&digest];
            // Linux keeps both tables in one 8 KB block.
            let other = Gpa(candidate.root.0 ^ 0x1000);
            candidate.pair = roots.contains_key(&other).then_some(other);
            candidate
        })
        .collect();
    ranked.sort_by_key(|candidate| {
        std::cmp::Reverse((candidate.shared_by, candidate.kernel_pages, candidate.user_pages))
    });
    ranked
}
