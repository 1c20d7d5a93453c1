//! Rules of the manual, one test each. Tables are built from plain numbers:
//! nothing here uses the walker's own accessors.

mod aarch32;
mod choosing;
mod descriptors;
mod everything;
mod indices;
mod painted;
mod rights;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::LongPaging;
use crate::{
    addr::{Gpa, Gva},
    memory::{Counter, Memory, ReadError},
    mmu::{
        Access, AccessKind, Fault, FaultKind, Level, Mmu, Query, Rights, Walk, WalkError,
        walk::{Paging, Start},
    },
    regs::{ArmRegs, ArmState},
};

/// 8-byte words of guest physical memory; every other word is `elsewhere`.
struct Words {
    words: BTreeMap<u64, u64>,
    elsewhere: u64,
}

impl Memory for Words {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        for (i, byte) in dst.iter_mut().enumerate() {
            let at = addr.0.wrapping_add(i as u64);
            let word = self.words.get(&(at & !7)).unwrap_or(&self.elsewhere);
            *byte = word.to_le_bytes()[(at & 7) as usize];
        }
        Ok(())
    }
}

fn words<const N: usize>(words: [(u64, u64); N]) -> Words {
    Words { words: words.into(), elsewhere: 0 }
}

/// Valid, AF, AP = read-write for EL1.
const PAGE: u64 = 0x403;
const BLOCK: u64 = 0x401;
const TABLE: u64 = 0x3;

const READ: Query = Query::Access(Access { kind: AccessKind::Read, user: false });
const USER_READ: Query = Query::Access(Access { kind: AccessKind::Read, user: true });
const WRITE: Query = Query::Access(Access { kind: AccessKind::Write, user: false });
const FETCH: Query = Query::Access(Access { kind: AccessKind::Execute, user: false });

/// TCR_EL1 with one size and granule for both halves and 48-bit output.
fn tcr(kb: u32, bits: u64) -> u64 {
    let (tg0, tg1) = match kb {
        4 => (0u64, 2u64),
        16 => (2, 1),
        _ => (1, 3),
    };
    let size = 64 - bits;
    size | size << 16 | tg0 << 14 | tg1 << 30 | 5 << 32
}
const IPS_52: u64 = 6 << 32;
const DS: u64 = 1 << 59;

fn el1(tcr: u64) -> ArmRegs {
    ArmRegs { tcr, ttbr0: 0x10000, ttbr1: 0x90000, ..ArmRegs::new(ArmState::Aarch64) }
}

fn lpae(ttbcr: u64) -> ArmRegs {
    let ttbcr = ttbcr | 1 << 31;
    ArmRegs { tcr: ttbcr, ttbr0: 0x10000, ttbr1: 0x90000, ..ArmRegs::new(ArmState::Aarch32) }
}

fn walk(regs: &ArmRegs, memory: &impl Memory, gva: u64, query: Query) -> Walk {
    Mmu::ArmLong(LongPaging::new(regs).expect("modelled")).walk(memory, Gva(gva), query)
}

fn gpa(regs: &ArmRegs, memory: &impl Memory, gva: u64) -> Option<u64> {
    walk(regs, memory, gva, Query::Presence).result.ok().map(|found| found.gpa.0)
}

fn fault(regs: &ArmRegs, memory: &impl Memory, gva: u64, query: Query) -> Option<Fault> {
    match walk(regs, memory, gva, query).result {
        Err(WalkError::Fault(fault)) => Some(fault),
        _ => None,
    }
}

fn status(regs: &ArmRegs, memory: &impl Memory, gva: u64, query: Query) -> Option<u32> {
    fault(regs, memory, gva, query).map(|fault| fault.status.expect("every fault has a status"))
}

/// 4 KB granule, 39 bits: level 1 at 0x10000 and 0x90000, level 2 at 0x20000,
/// level 3 at 0x30000, whose entry 0 is `leaf`. `upper` goes into the level 2
/// table's entry of level 1.
fn three_levels(upper: u64, leaf: u64) -> Words {
    words([
        (0x10000, 0x20000 | TABLE | upper),
        (0x90000, 0x20000 | TABLE | upper),
        (0x20000, 0x30000 | TABLE),
        (0x30000, leaf),
    ])
}

fn rights_with(regs: &ArmRegs, upper: u64, leaf: u64) -> Rights {
    let memory = three_levels(upper, leaf);
    walk(regs, &memory, 0, Query::Presence).result.expect("it is mapped").rights
}

fn rights(upper: u64, leaf: u64) -> String {
    rights_with(&el1(tcr(4, 39)), upper, leaf).to_string()
}
