//! What the fuzz targets share: guests of which the fuzzer chooses every
//! register and byte.

pub mod log;

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use rr_mem::{
    addr::Gpa,
    memory::{Memory, ReadCause, ReadError},
    mmu::{AccessKind, Mmu, Query},
    regs::{ArmRegs, ArmState, Regs, X86Regs},
};

/// Every question that a walk answers.
pub const QUERIES: [Query; 7] = [
    Query::Presence,
    access(AccessKind::Read, false),
    access(AccessKind::Write, false),
    access(AccessKind::Execute, false),
    access(AccessKind::Read, true),
    access(AccessKind::Write, true),
    access(AccessKind::Execute, true),
];

const fn access(kind: AccessKind, user: bool) -> Query {
    Query::access(kind, user)
}

/// Registers of any architecture, mostly with paging on.
#[derive(Debug)]
pub struct AnyRegs(pub Regs);

impl<'a> Arbitrary<'a> for AnyRegs {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let regs = if u.arbitrary()? { Regs::X86(x86(u)?) } else { Regs::Arm(arm(u)?) };
        Ok(Self(admitted(regs)))
    }
}

/// The same, without what the gate refuses.
fn admitted(mut regs: Regs) -> Regs {
    while let Err(refused) = Mmu::new(&regs) {
        let (high, low) = refused.bits;
        let field = u64::MAX >> (63 - high) & !((1 << low) - 1);
        regs.set(refused.register, refused.value & !field).expect("less than it was");
    }
    regs
}

fn x86(u: &mut Unstructured) -> arbitrary::Result<X86Regs> {
    let flag = |u: &mut Unstructured, bit| Ok(if u.arbitrary()? { bit } else { 0 });
    let paging = if u.ratio(15, 16)? { X86Regs::CR0_PG } else { 0 };
    Ok(X86Regs {
        cr0: paging | flag(u, X86Regs::CR0_WP)?,
        cr3: u.arbitrary()?,
        cr4: u.arbitrary()?,
        efer: flag(u, X86Regs::EFER_LMA)? | flag(u, X86Regs::EFER_NXE)?,
        cpl: u.int_in_range(0..=3)?,
        ac: u.arbitrary()?,
        a20: u.ratio(3, 4)?,
        phys_bits: u.arbitrary()?,
        pages_1g: u.arbitrary()?,
        pkru: u.arbitrary()?,
        pkrs: u.arbitrary()?,
        encryption_bit: if u.arbitrary()? { u.int_in_range(32..=51)? } else { 0 },
        ..X86Regs::default()
    })
}

fn arm(u: &mut Unstructured) -> arbitrary::Result<ArmRegs> {
    let state = if u.arbitrary()? { ArmState::Aarch64 } else { ArmState::Aarch32 };
    let on = if u.ratio(15, 16)? { ArmRegs::SCTLR_M } else { 0 };
    Ok(ArmRegs {
        state,
        el: u.arbitrary()?,
        ttbr0: u.arbitrary()?,
        ttbr1: u.arbitrary()?,
        tcr: u.arbitrary()?,
        sctlr: u.arbitrary::<u64>()? & !ArmRegs::SCTLR_M | on,
        dacr: u.arbitrary()?,
        hcr: u.arbitrary()?,
        vttbr: u.arbitrary()?,
        vtcr: u.arbitrary()?,
        pan: u.arbitrary()?,
        phys_bits: u.arbitrary()?,
        fcseidr: u.arbitrary()?,
        tcr2: u.arbitrary::<u64>()? & 0xf_ffff,
        pir: u.arbitrary()?,
        pire0: u.arbitrary()?,
        por: u.arbitrary()?,
        por_el0: u.arbitrary()?,
        version: u.int_in_range(4..=9)?,
        xscale: u.arbitrary()?,
        ..ArmRegs::new(state)
    })
}

/// Memory of the fuzzer's bytes.
#[derive(Debug, Arbitrary)]
pub enum AnyMemory<'a> {
    /// From address 0 on, and nothing behind.
    Once(&'a [u8]),
    /// Again and again, so that every address leads somewhere, and tables to
    /// themselves.
    Looped(&'a [u8]),
}

impl Memory for AnyMemory<'_> {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        for (gpa, byte) in (addr.0..=u64::MAX).zip(dst) {
            let found = match self {
                Self::Once(bytes) => usize::try_from(gpa).ok().and_then(|at| bytes.get(at)),
                Self::Looped(bytes) => {
                    gpa.checked_rem(bytes.len() as u64).and_then(|at| bytes.get(at as usize))
                }
            };
            *byte = *found.ok_or_else(|| ReadError::new(Gpa(gpa), ReadCause::Hole))?;
        }
        Ok(())
    }

    fn slice(&self, addr: Gpa, len: usize) -> Option<&[u8]> {
        match self {
            Self::Once(bytes) => {
                let start = usize::try_from(addr.0).ok()?;
                bytes.get(start..start.checked_add(len)?)
            }
            Self::Looped(_) => None,
        }
    }
}
