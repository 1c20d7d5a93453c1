//! Registers as rows: by the manuals' names in lower case, as the flags are
//! called.

use super::{Named, RegsRow};
use crate::{addr::Hex, mmu::Mmu, regs::Regs};

impl RegsRow {
    /// The row of CPU number `cpu`; of `regs`, those count that are `known` by
    /// name, and what chooses the paging mode if `mode_known`.
    #[must_use]
    pub fn new(cpu: usize, regs: &Regs, known: impl Fn(&str) -> bool, mode_known: bool) -> Self {
        let registers = regs.named().into_iter();
        Self {
            cpu,
            arch: regs.arch().name(),
            mode: mode_known.then(|| Mmu::new(regs).mode()),
            registers: Named(
                registers.map(|(name, value)| (name, known(name).then_some(Hex(value)))).collect(),
            ),
        }
    }
}
