//! Registers as rows: by the manuals' names in lower case, as the flags are
//! called.

use super::{Named, RegsRow};
use crate::{
    addr::Hex,
    mmu,
    regs::{Cpu, Register},
};

impl RegsRow {
    /// The row of CPU `number`; its paging mode counts if `mode_known`.
    #[must_use]
    pub fn new(number: usize, cpu: &Cpu, mode_known: bool) -> Self {
        let shown = |(register, value): (Register, u64)| {
            (register.keyword(), cpu.knows(register).then_some(Hex(value)))
        };
        Self {
            cpu: number,
            arch: cpu.regs.arch().name(),
            mode: mode_known.then(|| mmu::mode(&cpu.regs)),
            registers: Named(cpu.regs.shown().into_iter().map(shown).collect()),
        }
    }
}
