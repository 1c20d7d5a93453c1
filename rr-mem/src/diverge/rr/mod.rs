//! An execution by an emulator that rr has recorded: rr(1). Any emulator that
//! counts guest instructions will do: PANDA, and QEMU with `-icount`.
//!
//! rr moves by events of the host; between these, watchpoints on the emulator's
//! counter stop it. Points of QEMU are the beginnings of translated blocks,
//! where all registers of the guest are stored. PANDA counts every instruction,
//! so all instructions are points; its registers are those that the block has
//! stored so far. Guest memory is read through the task that replays.

mod condition;
mod meter;
mod places;
mod registers;
mod remote;
mod server;
mod task;
#[cfg(test)]
mod tests;
mod travel;

use std::{fs, io, ops::RangeInclusive, path::PathBuf};

use self::{
    condition::Condition,
    places::{Places, Way},
    remote::Stop,
    server::Server,
    task::Task,
};
use super::{
    Backtrace, Execution, ExecutionError, Snapshot,
    child::Stopper,
    outside::{self, Compared},
};
use crate::{
    addr::{Gpa, Hva},
    advice::{Advice, Part, Setting},
    memory::Memory,
    qemu::{InstructionCounter, TimeSlice},
};

/// What the host's CPUs can watch at a time.
const WATCHES: usize = 4;
/// Bytes of a counter, and of the decrementer.
const WORD: u64 = 8;
const DECREMENTER: u64 = 2;
/// No block has more instructions: QEMU, `TCG_MAX_INSNS`.
const BLOCK: u64 = 512;
/// A change of a place that was watched is looked for among so many stops.
const STOPS: usize = 1_000_000;

/// What to replay.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// rr's trace folder.
    pub trace: PathBuf,
    /// rr, with options of its own.
    pub rr: Vec<String>,
    /// The names of memory regions that are not looked at.
    pub ignored_regions: Vec<String>,
}

impl Recorded {
    /// What tells the trace from any other, one of the same name included.
    #[must_use]
    pub fn identity(&self) -> String {
        let path = self.trace.canonicalize().unwrap_or_else(|_| self.trace.clone());
        let events = fs::metadata(self.trace.join("events")).ok();
        let made = events.map(|events| (events.len(), events.modified().ok()));
        format!("{} {made:?}", path.display())
    }

    /// rr's name.
    fn program(&self) -> String {
        self.rr.first().cloned().unwrap_or_default()
    }
}

/// Why a replay was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// rr did not run, or does not serve.
    #[error("{program}: {what}")]
    Rr {
        /// Its name.
        program: String,
        /// What happened.
        what: String,
    },
    /// The trace names no process.
    #[error("{trace}: no process was recorded", trace = .trace.display())]
    NoProcess {
        /// Its folder.
        trace: PathBuf,
    },
}

impl TraceError {
    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Rr { .. } => Advice::Parts(&[
                Part::Say("`rr replay -a TRACE` must work; "),
                Part::Name(Setting::Rr),
                Part::Say(" names another rr, with its own options"),
            ]),
            Self::NoProcess { .. } => {
                Advice::Say("give the folder of a trace, as `rr ls -l` lists them")
            }
        }
    }
}

/// The beginning of a translated block, or the end of a slice of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Point {
    /// The instructions that were executed.
    at: u64,
    /// The same, and those of the block; as many at the end of a slice.
    begun: u64,
}

/// A replay by rr.
pub struct Traced {
    recorded: Recorded,
    stopper: Stopper,
    server: Option<Server>,
    task: Option<Task>,
    counter: Option<InstructionCounter>,
    places: Places,
    /// What is watched in the emulator.
    watched: Vec<(Hva, u64)>,
    /// Where it stands, when that is a point.
    at: Option<Point>,
    /// Where rr has checkpoints, the one used last at the end.
    kept: Vec<(Point, String)>,
    /// The thread that ran last.
    thread: String,
    /// The last point, when that is known.
    last: Option<u64>,
    /// The first event, when that is known.
    first: Option<u64>,
    /// The instructions begun where they were counted last.
    reached: u64,
}

impl Traced {
    /// Starts the replay; it stands where the emulator's program begins.
    ///
    /// # Errors
    /// When rr does not serve it.
    pub fn start(recorded: Recorded) -> Result<Self, TraceError> {
        let stopper = Stopper::default();
        let server = Server::start(&recorded, &stopper)?;
        Ok(Self {
            recorded,
            stopper,
            server: Some(server),
            task: None,
            counter: None,
            places: Places::default(),
            watched: Vec::new(),
            at: None,
            kept: Vec::new(),
            thread: String::new(),
            last: None,
            first: None,
            reached: 0,
        })
    }

    /// What ends it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    fn failed(&self, step: &'static str, what: impl ToString) -> ExecutionError {
        ExecutionError::Failed { step, at: self.reached, what: what.to_string() }
    }

    fn ended(&self) -> ExecutionError {
        ExecutionError::Ended { at: self.places.most() }
    }

    /// Asks the server.
    fn ask<T>(
        &mut self,
        step: &'static str,
        what: impl FnOnce(&mut Server) -> io::Result<T>,
    ) -> Result<T, ExecutionError> {
        let Some(server) = &mut self.server else { return Err(self.failed(step, "rr has ended")) };
        what(server).map_err(|error| {
            let said = self.server.as_ref().map(Server::complaint).unwrap_or_default();
            let what = if said.is_empty() { error.to_string() } else { format!("{error}: {said}") };
            self.server = self.server.take().filter(|_| error.kind() == io::ErrorKind::Other);
            self.failed(step, what)
        })
    }

    /// The number at the end of what a command of rr's says.
    fn number(&mut self, command: &'static str) -> Result<u64, ExecutionError> {
        let text = self.ask(command, |server| server.remote.command(command, &[]))?;
        let number = text.rsplit(' ').next().and_then(|word| word.parse().ok());
        number.ok_or_else(|| self.failed(command, format!("rr says {text:?}")))
    }

    /// Goes to an event, or a checkpoint; nothing is watched there.
    fn seek(&mut self, place: &str) -> Result<(), ExecutionError> {
        (self.at, self.task) = (None, None);
        self.watched.clear();
        self.ask("seeking", |server| server.remote.seek(place)).map(drop)
    }

    /// Goes to an event, and learns how many instructions were begun there.
    fn visit(&mut self, event: u64) -> Result<(), ExecutionError> {
        self.seek(&event.to_string())?;
        match self.begun()? {
            Some(begun) => self.places.learn(event, begun),
            None => self.places.pass_over(event),
        }
        Ok(())
    }

    /// Runs on.
    fn go_on(&mut self) -> Result<Stop, ExecutionError> {
        self.at = None;
        let stop = self.ask("replaying", |server| server.remote.go_on())?;
        match &stop {
            Stop::Here { thread, .. } => self.thread.clone_from(thread),
            Stop::Exec | Stop::End => self.task = None,
        }
        Ok(stop)
    }

    /// Runs on; whether there is nothing behind.
    fn is_over(&mut self) -> Result<bool, ExecutionError> {
        Ok(!matches!(self.go_on()?, Stop::Here { .. }))
    }

    /// The task that replays, where it stands now.
    fn task(&mut self) -> Result<&Task, ExecutionError> {
        if self.task.is_none() {
            let tid = u32::try_from(self.number("when-tid")?);
            let tid = tid.map_err(|error| self.failed("when-tid", error))?;
            self.task = Some(Task::open(tid).map_err(|error| self.failed("reading", error))?);
        }
        let at = self.places.most();
        self.task.as_ref().ok_or(ExecutionError::Ended { at })
    }

    /// The instructions that were begun; `None` if the counter cannot be read,
    /// as before the machine exists.
    fn begun(&mut self) -> Result<Option<u64>, ExecutionError> {
        let Some(counter) = self.counter.clone() else { return Ok(None) };
        let task = self.task()?;
        let begun = counter.read(task).ok();
        let begun = match &counter {
            InstructionCounter::Panda(_) => begun,
            InstructionCounter::Icount { total, .. } => begun.max(task.read_u64(*total).ok()),
        };
        self.reached = begun.unwrap_or(self.reached);
        Ok(begun)
    }

    /// The same, where it must be known.
    fn count(&mut self) -> Result<u64, ExecutionError> {
        let begun = self.begun()?;
        begun.ok_or_else(|| self.failed("reading the counter", "the task has no such memory"))
    }

    /// Watches the counter, and nothing else.
    fn watch_counter(
        &mut self,
        counter: &InstructionCounter,
        condition: Option<&Condition>,
    ) -> Result<(), ExecutionError> {
        self.watch_nothing()?;
        let places: Vec<_> = match counter {
            InstructionCounter::Panda(count) => vec![(*count, WORD)],
            InstructionCounter::Icount { slices, .. } => slices
                .iter()
                .map(|TimeSlice { decrementer, .. }| (*decrementer, DECREMENTER))
                .collect(),
        };
        for (address, len) in places {
            self.watch(address, len, condition)?;
        }
        Ok(())
    }

    fn watch(
        &mut self,
        address: Hva,
        len: u64,
        condition: Option<&Condition>,
    ) -> Result<(), ExecutionError> {
        self.ask("watching", |server| server.remote.watch(address, len, condition))?;
        self.watched.push((address, len));
        Ok(())
    }

    fn watch_nothing(&mut self) -> Result<(), ExecutionError> {
        while let Some((address, len)) = self.watched.pop() {
            self.ask("watching", |server| server.remote.forget(address, len))?;
        }
        Ok(())
    }

    /// Whether what ran last is translated code, which no file holds.
    fn is_translated(&mut self) -> Result<bool, ExecutionError> {
        let thread = self.thread.clone();
        let registers = self.ask("registers", |server| server.remote.registers(&thread))?;
        let Some(at) = registers::of_stack(&registers) else {
            return Err(self.failed("registers", "they are not those of an x86_64 host"));
        };
        Ok(self.task()?.is_anonymous(Hva(at.pc)))
    }
}

impl Execution for Traced {
    fn position(&mut self) -> Result<u64, ExecutionError> {
        match self.at {
            Some(point) => Ok(point.at),
            None => Ok(self.begun()?.unwrap_or_default()),
        }
    }

    fn go_to(&mut self, instruction: u64) -> Result<u64, ExecutionError> {
        if self.at.is_some_and(|point| point.at == instruction) {
            return Ok(instruction);
        }
        self.end()?;
        self.go(instruction.max(1))
    }

    fn end(&mut self) -> Result<u64, ExecutionError> {
        if let Some(last) = self.last {
            return Ok(last);
        }
        self.survey()?;
        let last = self.find_end()?;
        self.last = Some(last);
        Ok(last)
    }

    fn cheap_point(&mut self, instruction: u64, limit: u64) -> Result<u64, ExecutionError> {
        if places::are_near(instruction, limit) {
            return Ok(instruction);
        }
        while let Way::Visit(event) = self.places.way_to(instruction) {
            self.visit(event)?;
        }
        // The next block behind an event, or behind the end of a slice.
        let event = self.places.behind(instruction).map(|begun| begun.saturating_add(1));
        if let Some(found) = event.filter(|found| *found < limit) {
            return Ok(found);
        }
        self.approach(instruction)?;
        let slice = self.next_slice(instruction)?.map(|end| end.saturating_add(1));
        Ok(slice.filter(|found| *found < limit).unwrap_or(instruction))
    }

    fn snapshot(&mut self) -> Result<Snapshot<'_>, ExecutionError> {
        let tid = self.task()?.tid();
        let emulator = outside::emulator(tid).map_err(|(step, what)| self.failed(step, what))?;
        let cpus = emulator.machine.cpus.iter().map(registers::of_cpu).collect();
        let Compared { ram, memory, regions } =
            Compared::of(&emulator, &self.recorded.ignored_regions)
                .map_err(|(step, what)| self.failed(step, what))?;
        Ok(Snapshot { cpus, ram, regions, memory: Box::new(memory) })
    }

    fn next_change(
        &mut self,
        places: &[RangeInclusive<Gpa>],
        until: u64,
    ) -> Result<Option<u64>, ExecutionError> {
        let counter = self.counter.clone().ok_or_else(|| self.ended())?;
        let hosts = self.hosts(places)?;
        let behind = Condition::reached(&counter, until.saturating_add(1));
        self.watch_counter(&counter, Some(&behind))?;
        let counted = self.watched.clone();
        for (address, len) in hosts {
            self.watch(address, len, None)?;
        }
        for _ in 0..STOPS {
            let watch = match self.go_on()? {
                Stop::Here { watch: Some(watch), .. } => watch,
                Stop::Here { watch: None, .. } => continue,
                Stop::Exec | Stop::End => return Ok(None),
            };
            if !counted.iter().any(|(address, _)| *address == watch) {
                return self.count().map(Some);
            }
            if self.is_translated()? {
                return Ok(None);
            }
        }
        Err(self.failed(
            "watching",
            "the places are written too often: begin the search at a later instruction",
        ))
    }

    fn most_places(&self) -> usize {
        match &self.counter {
            Some(InstructionCounter::Icount { slices, .. }) => WATCHES.saturating_sub(slices.len()),
            _ => WATCHES - 1,
        }
    }

    fn backtrace(&mut self) -> Result<Backtrace, ExecutionError> {
        let thread = self.thread.clone();
        let registers = self.ask("registers", |server| server.remote.registers(&thread))?;
        let host = match registers::of_stack(&registers) {
            Some(at) => self.task()?.frames(at),
            None => Vec::new(),
        };
        Ok(Backtrace { guest: Vec::new(), host })
    }
}

impl Traced {
    /// Where guest bytes lie in the emulator.
    fn hosts(&mut self, places: &[RangeInclusive<Gpa>]) -> Result<Vec<(Hva, u64)>, ExecutionError> {
        let tid = self.task()?.tid();
        let fail = |this: &Self, (step, what): outside::Failure| this.failed(step, what);
        let emulator = outside::emulator(tid).map_err(|failure| fail(self, failure))?;
        let compared = Compared::of(&emulator, &[]).map_err(|failure| fail(self, failure))?;
        let host = |place: &RangeInclusive<Gpa>| {
            let (host, len) = compared.memory.locate(*place.start())?;
            let wanted = place.end().0.saturating_sub(place.start().0).saturating_add(1);
            Some((host, len.min(wanted)))
        };
        Ok(places.iter().filter_map(host).collect())
    }
}
