//! Where an emulator counts guest instructions: QEMU, "TCG Instruction
//! Counting" (docs/devel/tcg-icount.rst).
//!
//! With `-icount`, a CPU gets a budget of instructions for a slice of time.
//! What is left of it is in a decrementer of 16 bits, and in an `extra` that
//! refills the decrementer. Translated code subtracts a block's instructions
//! before it executes the block. At the end of the slice they are added to the
//! total.

use super::{
    Wrong, cpus,
    structs::{Struct, Structs},
    symbols::{QemuSymbols, Timers},
};
use crate::{
    addr::Hva,
    memory::{Memory, ReadError},
};

/// Where guest instructions are counted, in the emulator's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstructionCounter {
    /// QEMU's `-icount`: all CPUs together.
    Icount {
        /// What is accounted for, 64 bits.
        total: Hva,
        /// What each CPU has executed since.
        slices: Vec<TimeSlice>,
    },
    /// PANDA's count, of its first CPU: 64 bits, the instruction that is being
    /// executed included.
    Panda(Hva),
}

/// The slice of time that a CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeSlice {
    /// What it may execute, 64 bits.
    pub budget: Hva,
    /// What the decrementer is refilled with, 64 bits.
    pub extra: Hva,
    /// What is left before that, 16 bits.
    pub decrementer: Hva,
}

impl InstructionCounter {
    /// The instructions executed so far. While a CPU is inside a translated
    /// block, all instructions of the block count.
    ///
    /// # Errors
    /// When the emulator's memory cannot be read.
    pub fn read<M: Memory<Hva>>(&self, memory: &M) -> Result<u64, ReadError> {
        match self {
            Self::Panda(count) => memory.read_u64(*count),
            Self::Icount { total, slices } => {
                slices.iter().try_fold(memory.read_u64(*total)?, |sum, slice| {
                    Ok(sum.wrapping_add(slice.executed(memory)?))
                })
            }
        }
    }
}

impl TimeSlice {
    /// Budget, extra and decrementer.
    ///
    /// # Errors
    /// As [`InstructionCounter::read`].
    pub fn read<M: Memory<Hva>>(&self, memory: &M) -> Result<(u64, u64, u64), ReadError> {
        let mut low = [0; 2];
        memory.read(self.decrementer, &mut low)?;
        let (budget, extra) = (memory.read_u64(self.budget)?, memory.read_u64(self.extra)?);
        Ok((budget, extra, u16::from_le_bytes(low).into()))
    }

    fn executed<M: Memory<Hva>>(&self, memory: &M) -> Result<u64, ReadError> {
        let (budget, extra, low) = self.read(memory)?;
        Ok(budget.wrapping_sub(extra).wrapping_sub(low))
    }
}

/// Finds the counter, of emulators that count.
pub(super) fn find<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
    cpus: &[Struct<'_>],
) -> Result<Option<InstructionCounter>, Wrong> {
    let Some(first) = cpus.first() else { return Ok(None) };
    if let Some(count) = structs.field("CPUState", "rr_guest_instr_count") {
        return Ok(Some(InstructionCounter::Panda(Hva(first.address.wrapping_add(count.offset)))));
    }
    let Some(Timers { enabled, state }) = symbols.timers else { return Ok(None) };
    let Some(total) = structs.field("TimersState", "qemu_icount") else { return Ok(None) };
    if structs.bytes(enabled, 1)? == [0] {
        return Ok(None);
    }
    let total = Hva(state.wrapping_add(total.offset));
    let slices: Result<_, _> = cpus.iter().map(|cpu| slice(structs, symbols, cpu)).collect();
    match slices {
        // A layout that was made before these were asked for.
        Err(Wrong::Member(..)) => Ok(None),
        slices => Ok(Some(InstructionCounter::Icount { total, slices: slices? })),
    }
}

fn slice<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
    cpu: &Struct<'_>,
) -> Result<TimeSlice, Wrong> {
    let member = |name| {
        let field = structs.field("CPUState", name).ok_or(Wrong::Member("CPUState", name))?;
        Ok(Hva(cpu.address.wrapping_add(field.offset)))
    };
    Ok(TimeSlice {
        budget: member("icount_budget")?,
        extra: member("icount_extra")?,
        decrementer: member(DECREMENTER)
            .or_else(|_: Wrong| before_registers(structs, symbols, cpu))?,
    })
}

/// Since 8.1 a member of the common part; before that it lies between that and
/// the CPU's registers, and translated code reaches it from those.
const DECREMENTER: &str = "neg.icount_decr";

fn before_registers<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
    cpu: &Struct<'_>,
) -> Result<Hva, Wrong> {
    let kind = cpus::kind(structs, symbols.target, cpu)?;
    let place = |name| structs.field(kind, name).ok_or(Wrong::Member(kind, name));
    let distance = place("env")?.offset.wrapping_sub(place(DECREMENTER)?.offset);
    Ok(Hva(cpus::env(structs, symbols.target, cpu)?.wrapping_sub(distance)))
}
