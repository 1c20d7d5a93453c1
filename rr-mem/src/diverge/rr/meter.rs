//! How many guest instructions have been executed when a replay stops behind a
//! write to the emulator's counter.
//!
//! Translated code counts a block before it executes the block. Behind such a
//! write, the last reading is the number of executed instructions. The
//! emulator's own code writes too: at the ends of a slice of time, and when a
//! block is left early.

use super::BLOCK;
use crate::{
    addr::Hva,
    memory::{Memory, ReadError},
    qemu::InstructionCounter,
};

/// What the decrementer holds at most.
const FULL: u64 = 0xffff;

/// Follows a counter from write to write.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    last: Option<u64>,
}

impl Meter {
    /// Begins behind a block, of which that is known.
    pub fn from(last: Option<u64>) -> Self {
        Self { last }
    }

    /// Takes a reading behind a write, by translated code or not. Returns how
    /// many instructions have been executed, if known.
    pub fn take(
        &mut self,
        counter: &InstructionCounter,
        memory: &impl Memory<Hva>,
        translated: bool,
    ) -> Result<Option<u64>, ReadError> {
        let begun = counter.read(memory)?;
        if let InstructionCounter::Panda(_) = counter {
            // PANDA counts each instruction before it is executed.
            return Ok(begun.checked_sub(1).filter(|_| translated));
        }
        if !translated {
            self.last = Some(settled(counter, memory, begun)?);
            return Ok(None);
        }
        let executed = self.last.replace(begun);
        Ok(executed.filter(|executed| (1..=BLOCK).contains(&begun.wrapping_sub(*executed))))
    }
}

/// The instructions executed behind a write by the emulator's own code, which
/// changes a slice in several steps. While it ends a slice, begins one, or
/// refills the decrementer, the total is right and the slices are not yet. When
/// it leaves a block early, it takes back what was not executed.
fn settled(
    counter: &InstructionCounter,
    memory: &impl Memory<Hva>,
    begun: u64,
) -> Result<u64, ReadError> {
    let InstructionCounter::Icount { total, slices } = counter else { return Ok(begun) };
    let total = memory.read_u64(*total)?;
    for slice in slices {
        let (budget, extra, low) = slice.read(memory)?;
        let given = low == FULL && extra == 0 && budget > FULL;
        let ended = low == 0 && budget != extra;
        if given || ended {
            return Ok(total);
        }
    }
    Ok(begun.max(total))
}
