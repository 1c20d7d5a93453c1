//! Conditions that the server evaluates at every stop, so that it reports only
//! those that matter: Debugging with GDB, appendix "The GDB Agent Expression
//! Mechanism", "Bytecode Descriptions".

use crate::{addr::Hva, qemu::InstructionCounter};

const ADD: u8 = 0x02;
const SUB: u8 = 0x03;
const LOG_NOT: u8 = 0x0e;
const LESS_UNSIGNED: u8 = 0x15;
const REF16: u8 = 0x18;
const REF64: u8 = 0x1a;
const CONST64: u8 = 0x25;
const END: u8 = 0x27;

/// A program for a stack machine; it holds when what is left is not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    code: Vec<u8>,
}

impl Condition {
    /// At least `instructions` were executed or begun.
    pub fn reached(counter: &InstructionCounter, instructions: u64) -> Self {
        let mut code = Vec::new();
        match counter {
            InstructionCounter::Panda(count) => load(&mut code, *count, REF64),
            InstructionCounter::Icount { total, slices } => {
                load(&mut code, *total, REF64);
                for slice in slices {
                    load(&mut code, slice.budget, REF64);
                    code.push(ADD);
                    load(&mut code, slice.extra, REF64);
                    code.push(SUB);
                    load(&mut code, slice.decrementer, REF16);
                    code.push(SUB);
                }
            }
        }
        Self::at_least(code, instructions)
    }

    /// The number of 64 bits at `address` is at least `least`.
    pub fn number(address: Hva, least: u64) -> Self {
        let mut code = Vec::new();
        load(&mut code, address, REF64);
        Self::at_least(code, least)
    }

    fn at_least(mut code: Vec<u8>, least: u64) -> Self {
        constant(&mut code, least);
        code.extend([LESS_UNSIGNED, LOG_NOT, END]);
        Self { code }
    }

    /// The program.
    pub fn code(&self) -> &[u8] {
        &self.code
    }
}

fn load(code: &mut Vec<u8>, address: Hva, width: u8) {
    constant(code, address.0);
    code.push(width);
}

fn constant(code: &mut Vec<u8>, value: u64) {
    code.push(CONST64);
    code.extend(value.to_be_bytes());
}
