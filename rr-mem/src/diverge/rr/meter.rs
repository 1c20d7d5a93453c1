//! How many guest instructions have been executed when a replay stops behind a
//! write to what counts them.
//!
//! Translated code counts a block before it executes it, so behind that write
//! the last reading is what has been executed. The emulator's own code writes
//! too: at the ends of a slice of time, and when a block is left early.

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

    /// Takes a reading behind a write, by translated code or not: how many
    /// instructions have been executed, where that is known.
    pub fn take(
        &mut self,
        counter: &InstructionCounter,
        memory: &impl Memory<Hva>,
        translated: bool,
    ) -> Result<Option<u64>, ReadError> {
        let begun = counter.read(memory)?;
        if let InstructionCounter::Panda(_) = counter {
            // It counts each instruction before that is executed.
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

/// What has been executed behind a write by the emulator's own code, which
/// changes a slice in several steps: when it ends one, gives a new one, or
/// refills the decrementer, the total is right and the slices are not yet;
/// when it leaves a block early, it takes back what was not executed.
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
