//! The protocol against a scripted peer, whose words are those of a real rr
//! (tests/data/rr), and what is made of the counter, against a model of it.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
};

use proptest::prelude::*;

use super::{
    condition::Condition,
    meter::Meter,
    registers,
    remote::{Remote, Stop},
};
use crate::{
    addr::Hva,
    memory::{Memory, SliceMemory},
    qemu::{InstructionCounter, TimeSlice},
};

const SESSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/rr/session.txt");

/// Answers what it is asked, if that is what the script says.
struct Peer {
    script: VecDeque<(String, String)>,
    answers: VecDeque<u8>,
    begun: String,
}

impl Peer {
    fn new(text: &str) -> Self {
        let lines: Vec<_> = text.lines().collect();
        let pair = |pair: &[&str]| (pair[0][2..].to_owned(), pair[1][2..].to_owned());
        let script = lines.chunks(2).map(pair).collect();
        Self { script, answers: VecDeque::new(), begun: String::new() }
    }
}

impl Write for Peer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.push_str(std::str::from_utf8(bytes).expect("is text"));
        while let Some((packet, _)) = self.begun.clone().split_once('#') {
            let packet = packet.trim_start_matches('+').trim_start_matches('$');
            let (wanted, answer) = self.script.pop_front().expect("the script goes on");
            assert_eq!(packet, wanted);
            let sum = answer.bytes().fold(0u8, u8::wrapping_add);
            self.answers.extend(format!("+${answer}#{sum:02x}").bytes());
            let end = self.begun.find('#').expect("is there") + 3;
            self.begun.drain(..end);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Peer {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.answers.read(into)
    }
}

fn remote(text: &str) -> Remote<Peer> {
    Remote::new(Peer::new(text)).expect("shakes hands")
}

/// The counter of the recorded session.
fn recorded() -> InstructionCounter {
    InstructionCounter::Icount {
        total: Hva(0x55e7_12b0_8bc0),
        slices: vec![TimeSlice {
            budget: Hva(0x55e7_4d91_7680),
            extra: Hva(0x55e7_4d91_7688),
            decrementer: Hva(0x55e7_4d91_8940),
        }],
    }
}

#[test]
fn a_session_with_a_real_rr_is_understood() {
    let script = std::fs::read_to_string(SESSION).expect("is there");
    let mut remote = remote(&script);
    let decrementer = Hva(0x55e7_4d91_8940);
    assert_eq!(remote.go_on().expect("runs"), Stop::End);
    assert_eq!(remote.command("when", &[]).expect("answers"), "Completed event: 9463");
    assert_eq!(remote.seek("6164").expect("goes"), Stop::End);
    assert_eq!(remote.command("when-tid", &[]).expect("answers"), "Current tid: 10311");
    let kept = remote.command("checkpoint", &["here"]).expect("answers");
    assert_eq!(kept, "Checkpoint 1 at here");
    let reached = Condition::reached(&recorded(), 2_145_320);
    remote.watch(decrementer, 2, Some(&reached)).expect("is set");
    let thread = "p8eb.f6c".to_owned();
    let stop = Stop::Here { thread: thread.clone(), watch: Some(decrementer) };
    assert_eq!(remote.go_on().expect("runs, behind a stop that is none"), stop);
    let bytes = remote.registers(&thread).expect("answers");
    let at = registers::of_stack(&bytes).expect("an x86_64 host");
    assert_eq!((at.pc, at.sp), (0x7fbc_3000_0819, 0x7fbc_3a5f_e030));
    remote.forget(decrementer, 2).expect("is taken away");
    remote.watch(decrementer, 2, None).expect("is set");
    assert_eq!(remote.go_on().expect("runs"), stop);
}

#[test]
fn an_older_rr_is_asked_by_digits() {
    let script = "> qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+\n< PacketSize=1000\n\
                  > QStartNoAckMode\n< OK\n> qRRCmd:when:-1\n< 6e6f7420666f756e640a\n\
                  > qRRCmd:7768656e\n< 43757272656e74206576656e743a20370a\n";
    let answer = remote(script).command("when", &[]).expect("answers");
    assert_eq!(answer, "Current event: 7");
}

#[test]
fn a_program_that_begins_in_the_process_is_told_from_an_interruption() {
    let start: String = std::fs::read_to_string(SESSION)
        .expect("is there")
        .lines()
        .take(6)
        .map(|line| format!("{line}\n"))
        .collect();
    let stopped = "> vCont;c\n< T00thread:p8eb.f6c;\n".repeat(4);
    assert_eq!(remote(&(start + &stopped)).go_on().expect("answers"), Stop::Exec);
}

/// Says what it is given, whatever it is asked.
struct Noise(VecDeque<u8>);

impl Write for Noise {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Noise {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

fn packet(body: &str) -> Vec<u8> {
    let sum = body.bytes().fold(0u8, u8::wrapping_add);
    format!("${body}#{sum:02x}").into_bytes()
}

proptest! {
    #[test]
    fn whatever_a_server_says_is_an_answer_or_an_error(
        bodies in prop::collection::vec("(OK|T05|T0|S09|W|[0-9a-f]{0,4}|watch:|thread:|[;:* -~])*", 0..8),
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes: VecDeque<u8> = VecDeque::new();
        for start in ["PacketSize=1", "OK", "6576656e743a20310a"] {
            bytes.extend(packet(start));
        }
        bytes.extend(bodies.iter().flat_map(|body| packet(body)));
        bytes.extend(noise);
        let mut remote = Remote::new(Noise(bytes)).expect("shakes hands");
        let _ = remote.go_on();
        let _ = remote.command("when-tid", &[]);
        let _ = remote.registers("p1.1");
        let _ = remote.seek("7");
    }

    #[test]
    fn a_condition_holds_when_so_many_are_begun(
        total in 0u64..1 << 40, budget in 0u64..1 << 20, left in 0u64..1 << 20, low in 0u16..,
        wanted in 0u64..1 << 40,
    ) {
        let machine = Machine { total, budget, extra: left, low };
        let begun = machine.begun();
        let reached = |at| machine.evaluate(Condition::reached(&Machine::counter(), at).code());
        prop_assert_eq!(reached(wanted) != 0, begun >= wanted);
        prop_assert!(reached(begun) != 0 && reached(begun.wrapping_add(1)) == 0 || begun == u64::MAX);
    }

    /// A CPU runs blocks, leaves some early, and its slices end and are refilled
    /// in QEMU's order of steps; the meter is asked behind every write to the
    /// decrementer.
    #[test]
    fn what_is_executed_is_known_at_the_beginning_of_every_block(
        blocks in prop::collection::vec((1u16..64, 0u8..12, 1u64..200_000), 1..60),
    ) {
        let mut cpu = Cpu::default();
        cpu.give(blocks[0].2);
        for (size, what, budget) in blocks {
            match what {
                0 => cpu.end(),
                1 => cpu.refill(),
                _ => {}
            }
            if cpu.machine.budget == 0 {
                cpu.give(budget);
            }
            cpu.run(size, what == 2);
        }
        prop_assert!(cpu.wrong.is_empty(), "{:?}", cpu.wrong);
    }
}

/// The emulator's counters, at addresses of our choice.
#[derive(Clone, Copy, Debug, Default)]
struct Machine {
    total: u64,
    budget: u64,
    extra: u64,
    low: u16,
}

impl Machine {
    fn counter() -> InstructionCounter {
        let slice = TimeSlice { budget: Hva(8), extra: Hva(16), decrementer: Hva(24) };
        InstructionCounter::Icount { total: Hva(0), slices: vec![slice] }
    }

    fn begun(&self) -> u64 {
        self.total.wrapping_add(self.budget).wrapping_sub(self.extra).wrapping_sub(self.low.into())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = [self.total, self.budget, self.extra]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        bytes.extend(self.low.to_le_bytes());
        bytes
    }

    /// The stack machine of the manual, as far as conditions use it.
    fn evaluate(&self, code: &[u8]) -> u64 {
        let bytes = self.bytes();
        let memory = SliceMemory::new(Hva(0), &bytes);
        let (mut stack, mut at) = (Vec::new(), 0);
        loop {
            let operation = code[at];
            at += 1;
            let mut pop = || stack.pop().expect("is not empty");
            let result = match operation {
                0x25 => {
                    at += 8;
                    u64::from_be_bytes(code[at - 8..at].try_into().expect("8 bytes"))
                }
                0x1a => memory.read_u64(Hva(pop())).expect("is there"),
                0x18 => {
                    let mut two = [0; 2];
                    memory.read(Hva(pop()), &mut two).expect("is there");
                    u16::from_le_bytes(two).into()
                }
                0x02 => pop().wrapping_add(pop()),
                0x03 => {
                    let right = pop();
                    pop().wrapping_sub(right)
                }
                0x15 => {
                    let right = pop();
                    u64::from(pop() < right)
                }
                0x0e => u64::from(pop() == 0),
                0x27 => return pop(),
                other => panic!("{other:#x} is no operation"),
            };
            stack.push(result);
        }
    }
}

/// A CPU that counts as QEMU does.
#[derive(Default)]
struct Cpu {
    machine: Machine,
    executed: u64,
    meter: Meter,
    written: bool,
    wrong: Vec<(u64, Option<u64>)>,
}

impl Cpu {
    /// Asks behind a write to the decrementer.
    fn written(&mut self, translated: bool) {
        let bytes = self.machine.bytes();
        let memory = SliceMemory::new(Hva(0), &bytes);
        let taken = self.meter.take(&Machine::counter(), &memory, translated).expect("is there");
        if translated {
            // The first write says nothing.
            if taken.is_some_and(|taken| taken != self.executed) || taken.is_none() && self.written
            {
                self.wrong.push((self.executed, taken));
            }
            self.written = true;
        }
    }

    fn set(&mut self, low: u64) {
        let low = low as u16;
        if std::mem::replace(&mut self.machine.low, low) != low {
            self.written(false);
        }
    }

    fn account(&mut self) {
        let left = self.machine.extra + u64::from(self.machine.low);
        self.machine.total += self.machine.budget - left;
        self.machine.budget = left;
    }

    fn end(&mut self) {
        self.account();
        self.set(0);
        self.machine.extra = 0;
        self.machine.budget = 0;
    }

    fn give(&mut self, budget: u64) {
        self.machine.budget = budget;
        let low = budget.min(0xffff);
        self.set(low);
        self.machine.extra = budget - low;
    }

    fn refill(&mut self) {
        self.account();
        let low = self.machine.budget.min(0xffff);
        self.set(low);
        self.machine.extra = self.machine.budget - low;
    }

    fn run(&mut self, size: u16, early: bool) {
        if self.machine.low < size {
            return;
        }
        self.machine.low -= size;
        self.written(true);
        self.executed += u64::from(size);
        if early {
            let back = size / 2;
            self.executed -= u64::from(back);
            self.set(u64::from(self.machine.low + back));
        }
    }
}
