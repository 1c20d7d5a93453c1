//! A toy machine: a fixture that imitates an emulated guest, for the search
//! alone. Every instruction mixes its number into a register and stores a byte.

use std::ops::RangeInclusive;

use super::super::{Backtrace, CpuState, Execution, ExecutionError, Snapshot};
use crate::{
    addr::Gpa,
    memory::{Memory, SliceMemory},
};

pub const BASE: u64 = 0x1000;
pub const BYTES: usize = 3 * 4096;
/// No instruction of the program stores behind this.
const STORED: usize = BYTES - 64;

/// What is planted in one of two executions.
#[derive(Clone, Copy, Debug)]
pub enum Plant {
    Nothing,
    /// The register is changed by this instruction.
    Register(u64),
    /// A byte that nothing else writes is, by this instruction.
    Byte(u64),
    /// The same, and another restores it.
    Healing(u64, u64),
}

#[derive(Clone)]
pub struct Toy {
    memory: Vec<u8>,
    register: u64,
    executed: u64,
    end: u64,
    /// It stops at multiples of this only.
    stride: u64,
    plant: Plant,
    pub seeks: usize,
    /// How often it went back.
    pub backs: usize,
    pub goes_back: bool,
    /// It rather goes to multiples of this.
    pub cheap_point: u64,
}

impl Toy {
    pub fn new(end: u64, stride: u64, plant: Plant) -> Self {
        Self {
            memory: vec![0; BYTES],
            register: 1,
            executed: 0,
            end,
            stride,
            plant,
            seeks: 0,
            backs: 0,
            goes_back: true,
            cheap_point: 1,
        }
    }

    fn step(&mut self) {
        let n = self.executed;
        self.register = (self.register ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        let at = (n.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % STORED;
        self.memory[at] = n as u8;
        match self.plant {
            Plant::Register(at) if at == n => self.register ^= 1,
            Plant::Byte(at) if at == n => self.memory[BYTES - 1] ^= 0x80,
            Plant::Healing(at, until) if at == n || until == n => self.memory[BYTES - 1] ^= 0x80,
            _ => {}
        }
        self.executed += 1;
    }
}

impl Execution for Toy {
    fn goes_back(&self) -> bool {
        self.goes_back
    }

    fn cheap_point(&mut self, instruction: u64, limit: u64) -> Result<u64, ExecutionError> {
        let cheap_point = instruction.next_multiple_of(self.cheap_point);
        Ok(if cheap_point < limit { cheap_point } else { instruction })
    }

    fn position(&mut self) -> Result<u64, ExecutionError> {
        Ok(self.executed)
    }

    fn end(&mut self) -> Result<u64, ExecutionError> {
        Ok(self.end)
    }

    fn go_to(&mut self, instruction: u64) -> Result<u64, ExecutionError> {
        self.seeks += 1;
        let to = instruction.next_multiple_of(self.stride);
        if to > self.end {
            return Err(ExecutionError::Ended { at: self.end });
        }
        if to < self.executed {
            let fresh = Self::new(self.end, self.stride, self.plant);
            let (seeks, backs, goes_back) = (self.seeks, self.backs + 1, self.goes_back);
            *self = Self { seeks, backs, goes_back, cheap_point: self.cheap_point, ..fresh };
        }
        while self.executed < to {
            self.step();
        }
        Ok(to)
    }

    fn snapshot(&mut self) -> Result<Snapshot<'_>, ExecutionError> {
        let registers = vec![
            ("pc".to_owned(), self.executed.to_le_bytes().to_vec()),
            ("acc".to_owned(), self.register.to_le_bytes().to_vec()),
        ];
        let cpu = CpuState { number: 0, pc: Some(self.executed), registers, paging: None };
        Ok(Snapshot {
            cpus: vec![cpu],
            ram: [BASE..=BASE + BYTES as u64 - 1].into_iter().collect(),
            regions: None,
            memory: Box::new(SliceMemory::new(Gpa(BASE), &self.memory)),
        })
    }

    fn next_change(
        &mut self,
        places: &[RangeInclusive<Gpa>],
        until: u64,
    ) -> Result<Option<u64>, ExecutionError> {
        let value = |toy: &Self| -> Vec<u8> {
            let memory = SliceMemory::new(Gpa(BASE), &toy.memory);
            let mut bytes = [0; 8];
            let mut all = Vec::new();
            for place in places {
                memory.read(*place.start(), &mut bytes).expect("within the toy's memory");
                all.extend(bytes);
            }
            all
        };
        let before = value(self);
        while self.executed < until {
            self.step();
            if value(self) != before {
                return Ok(Some(self.executed));
            }
        }
        Ok(None)
    }

    fn backtrace(&mut self) -> Result<Backtrace, ExecutionError> {
        Ok(Backtrace::default())
    }
}
