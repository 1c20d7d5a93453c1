//! An execution by an emulator that rr has recorded: rr(1). Any emulator that
//! counts guest instructions will do: PANDA, and QEMU with `-icount`.
//!
//! rr moves by events of the host; in between, watchpoints on the emulator's
//! counter stop it. The points of this execution are, of QEMU, the beginnings of
//! translated blocks, where all registers of the guest are in their places; of
//! PANDA, which counts one by one, all instructions, where registers are those
//! that the block has stored so far. Guest memory is read through the task that
//! replays.

mod condition;
mod meter;
mod places;
mod registers;
mod remote;
mod server;
mod task;
#[cfg(test)]
mod tests;

use std::{io, ops::RangeInclusive, path::PathBuf};

use self::{
    condition::Condition,
    meter::Meter,
    places::{Places, Step},
    remote::Stop,
    server::Server,
    task::Task,
};
use super::{
    Backtrace, Execution, ExecutionError, Moment,
    child::Stopper,
    outside::{self, Compared},
};
use crate::{
    addr::{Gpa, Hva},
    memory::Memory,
    qemu::{InstructionCounter, Slice},
};

/// What the host's CPUs can watch at a time.
const WATCHES: usize = 4;
/// In how many parts the events of a recording are surveyed.
const SURVEYED: u64 = 64;
/// Every so many of these are made cheap to come back to.
const KEPT: u64 = 4;
/// Bytes of a counter, and of the decrementer.
const WORD: u64 = 8;
const DECREMENTER: u64 = 2;
/// No block has more instructions: QEMU, `TCG_MAX_INSNS`.
const BLOCK: u64 = 512;
/// How much further back the last point is looked for, time after time.
const FURTHER: u64 = 64;
/// Instructions within one event that are not run through block by block: the
/// slices of time in it are looked for first, from this far before.
const MANY: u64 = 1 << 19;
/// Ends of slices that are looked at.
const SLICES: usize = 64;
/// Points that are kept to come back to.
const POINTS: usize = 16;
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
    /// rr's name.
    fn program(&self) -> String {
        self.rr.first().cloned().unwrap_or_default()
    }
}

/// Why a replay was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
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

impl StartError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Rr { .. } => {
                "`rr replay -a TRACE` must work; --rr names another rr, with its own options"
            }
            Self::NoProcess { .. } => "give the folder of a trace, as `rr ls -l` lists them",
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

/// Where to start from.
#[derive(Clone, Copy, Debug)]
enum Place {
    Event(u64),
    Point(Point),
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
    pub fn start(recorded: Recorded) -> Result<Self, StartError> {
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

    /// The instructions that were begun; none where the counter cannot be read,
    /// as before there is a machine.
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

    /// Looks for the counter: CPUs come while the emulator starts.
    fn find_counter(&mut self) -> Result<(), ExecutionError> {
        let tid = self.task()?.tid();
        let found = outside::emulator(tid).ok().and_then(|found| found.machine.counter);
        self.counter = found.or(self.counter.take());
        Ok(())
    }

    /// Replays to the end: the first event of the emulator's program, and the
    /// last.
    fn replay_all(&mut self) -> Result<(u64, u64), ExecutionError> {
        let mut first = match self.first {
            Some(first) => first,
            None => self.number("when")?,
        };
        if self.first.replace(first).is_some() {
            self.seek(&first.to_string())?;
        }
        for _ in 0..STOPS {
            match self.go_on()? {
                Stop::Here { .. } => {}
                Stop::End => return Ok((first, self.number("when")?)),
                Stop::Exec => {
                    // Behind the one that was replayed last.
                    let next = self.number("when")?.saturating_add(2);
                    if next <= first {
                        break;
                    }
                    first = next;
                    self.seek(&first.to_string())?;
                }
            }
        }
        Err(self.failed("replaying", "rr does not come to the end"))
    }

    /// Replays to the end, and learns where events lie.
    fn survey(&mut self) -> Result<(), ExecutionError> {
        let (first, last) = self.replay_all()?;
        self.places = Places::default();
        self.places.learn(first, 0);
        let part = |part: u64| (u128::from(last) * u128::from(part) / u128::from(SURVEYED)) as u64;
        let mut events: Vec<u64> = (1..SURVEYED).map(part).collect();
        events.push(last.saturating_sub(1));
        events.retain(|event| *event > first);
        events.dedup();
        for (number, event) in (1..).zip(events) {
            self.seek(&event.to_string())?;
            self.find_counter()?;
            if let Some(begun) = self.begun()? {
                self.places.learn(event, begun);
            }
            if number % KEPT == 0 {
                self.checkpoint()?;
            }
        }
        match &self.counter {
            None => Err(NO_COUNTER),
            Some(InstructionCounter::Icount { slices, .. }) if slices.len() >= WATCHES => {
                Err(TOO_MANY)
            }
            Some(_) => Ok(()),
        }
    }

    /// Goes to the last point: to one that is surely before it, then nearer and
    /// nearer, then from one to the next.
    fn find_end(&mut self) -> Result<u64, ExecutionError> {
        let most = self.places.most();
        let mut back = BLOCK;
        let mut last = loop {
            match self.go(most.saturating_sub(back).max(1)) {
                Ok(at) => break at,
                // What was counted in between two steps of a slice is too much.
                Err(ExecutionError::Ended { .. }) if back < most => {
                    back = back.saturating_mul(FURTHER);
                }
                Err(error) => return Err(error),
            }
        };
        while back > BLOCK {
            back /= 2;
            match self.go(last.saturating_add(back)) {
                Ok(at) => last = at,
                Err(ExecutionError::Ended { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.go(last)?;
        for _ in 0..STOPS {
            match self.run_to(last.saturating_add(1), self.at) {
                Ok(point) => {
                    self.at = Some(point);
                    last = point.at;
                }
                Err(ExecutionError::Ended { .. }) => return Ok(last),
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }

    fn go(&mut self, instruction: u64) -> Result<u64, ExecutionError> {
        let from = self.approach(instruction)?;
        let point = self.run_to(instruction, from)?;
        self.at = Some(point);
        self.keep_point(point)?;
        Ok(point.at)
    }

    /// Makes a checkpoint; the name to go back to it by.
    fn checkpoint(&mut self) -> Result<Option<String>, ExecutionError> {
        let text = self.ask("keeping", |server| server.remote.command("checkpoint", &["here"]))?;
        let number = text.strip_prefix("Checkpoint ").and_then(|rest| rest.split(' ').next());
        Ok(number.map(|number| format!("c{number}")))
    }

    /// Keeps the point where it stands; the one that was used least goes.
    fn keep_point(&mut self, point: Point) -> Result<(), ExecutionError> {
        if let Some(place) = self.kept.iter().position(|(kept, _)| *kept == point) {
            let kept = self.kept.remove(place);
            self.kept.push(kept);
            return Ok(());
        }
        if self.kept.len() >= POINTS {
            let (least, _) = self.kept[0];
            self.drop_kept(least)?;
        }
        let name = self.checkpoint()?;
        let name = name.ok_or_else(|| self.failed("keeping", "rr makes no checkpoint"))?;
        self.kept.push((point, name));
        Ok(())
    }

    fn drop_kept(&mut self, point: Point) -> Result<(), ExecutionError> {
        let place = self.kept.iter().position(|(kept, _)| *kept == point);
        let Some(place) = place else { return Ok(()) };
        let (_, name) = self.kept.remove(place);
        let number = name.trim_start_matches('c').to_owned();
        let delete = "delete checkpoint";
        self.ask("keeping", |server| server.remote.command(delete, &[&number])).map(drop)
    }

    /// Goes to a place before the end of `instruction`, and near it: the point
    /// there, if it is one.
    fn approach(&mut self, instruction: u64) -> Result<Option<Point>, ExecutionError> {
        let kept = self.kept.iter().map(|(point, _)| *point);
        let kept = kept.filter(|point| point.at < instruction).max_by_key(|point| point.at);
        if let Some(point) = kept.filter(|point| places::are_near(point.begun, instruction)) {
            return self.return_to(point).map(|()| Some(point));
        }
        while let Step::Visit(event) = self.places.step(instruction) {
            self.visit(event)?;
        }
        match (self.places.step(instruction), kept) {
            (Step::From(event), Some(point)) if self.places.begun(event) <= point.at => {
                self.come_near(instruction, Place::Point(point))
            }
            (Step::From(event), _) => self.come_near(instruction, Place::Event(event)),
            (_, Some(point)) => self.come_near(instruction, Place::Point(point)),
            (_, None) => Err(self.ended()),
        }
    }

    /// Goes from a place before `instruction` to the last end of a slice before
    /// it, where that is far; or to the place.
    fn come_near(
        &mut self,
        instruction: u64,
        place: Place,
    ) -> Result<Option<Point>, ExecutionError> {
        self.go_to_place(place)?;
        let begun = match place {
            Place::Event(event) => self.places.begun(event),
            Place::Point(point) => point.begun,
        };
        let far = instruction.saturating_sub(begun) >= MANY;
        if let (true, Some(InstructionCounter::Icount { total, .. })) = (far, &self.counter) {
            match self.last_slice(*total, instruction)? {
                Some(end) => return self.return_to(end).map(|()| Some(end)),
                None => self.go_to_place(place)?,
            }
        }
        Ok(match place {
            Place::Event(_) => None,
            Place::Point(point) => Some(point),
        })
    }

    fn go_to_place(&mut self, place: Place) -> Result<(), ExecutionError> {
        match place {
            Place::Event(event) => self.seek(&event.to_string()),
            Place::Point(point) => self.return_to(point),
        }
    }

    /// The last end of a slice before `instruction`, kept.
    fn last_slice(
        &mut self,
        total: Hva,
        instruction: u64,
    ) -> Result<Option<Point>, ExecutionError> {
        let near = Condition::number(total, instruction.saturating_sub(MANY));
        self.watch_nothing()?;
        self.watch(total, WORD, Some(&near))?;
        let mut last: Option<Point> = None;
        for _ in 0..SLICES {
            if self.is_over()? {
                break;
            }
            let at = self.count()?;
            if at >= instruction {
                break;
            }
            match last {
                Some(last) if last.at == at => continue,
                Some(last) => self.drop_kept(last)?,
                None => {
                    self.watch_nothing()?;
                    self.watch(total, WORD, None)?;
                }
            }
            let end = Point { at, begun: at };
            self.keep_point(end)?;
            last = Some(end);
        }
        Ok(last)
    }

    /// The first end of a slice at `instruction` or behind it, kept; from where
    /// it stands.
    fn next_slice(&mut self, instruction: u64) -> Result<Option<u64>, ExecutionError> {
        let Some(InstructionCounter::Icount { total, .. }) = self.counter else { return Ok(None) };
        let reached = Condition::number(total, instruction);
        self.watch_nothing()?;
        self.watch(total, WORD, Some(&reached))?;
        if self.is_over()? {
            return Ok(None);
        }
        let at = self.count()?;
        if at < instruction {
            return Ok(None);
        }
        self.keep_point(Point { at, begun: at })?;
        Ok(Some(at))
    }

    /// Goes to a point that is kept.
    fn return_to(&mut self, point: Point) -> Result<(), ExecutionError> {
        let place = self.kept.iter().position(|(kept, _)| *kept == point);
        let Some(place) = place else { return Err(self.failed("going back", "it is not kept")) };
        let kept = self.kept.remove(place);
        let name = kept.1.clone();
        self.kept.push(kept);
        if self.at != Some(point) {
            self.seek(&name)?;
        }
        Ok(())
    }

    /// Runs to the first point at `instruction` or behind it, from a point or
    /// from where fewer instructions were begun.
    fn run_to(&mut self, instruction: u64, from: Option<Point>) -> Result<Point, ExecutionError> {
        let counter = self.counter.clone().ok_or_else(|| self.ended())?;
        let mut meter = Meter::from(from.map(|point| point.begun));
        if from.is_none_or(|point| point.begun < instruction) {
            self.run_through(&counter, instruction)?;
            meter = Meter::default();
        } else {
            self.watch_counter(&counter, None)?;
        }
        for _ in 0..STOPS {
            let translated = self.is_translated()?;
            let executed = meter.take(&counter, self.task()?, translated);
            let executed = executed.map_err(|error| self.failed("reading", error))?;
            if let Some(at) = executed.filter(|executed| *executed >= instruction) {
                return Ok(Point { at, begun: self.count()? });
            }
            if self.is_over()? {
                return Err(self.ended());
            }
        }
        Err(self.failed("replaying", NO_POINT))
    }

    /// Runs to the block in which `instruction` is begun.
    fn run_through(
        &mut self,
        counter: &InstructionCounter,
        instruction: u64,
    ) -> Result<(), ExecutionError> {
        // PANDA counts an instruction before it is executed.
        let panda = matches!(counter, InstructionCounter::Panda(_));
        let reached = Condition::reached(counter, instruction.saturating_add(u64::from(panda)));
        self.watch_counter(counter, Some(&reached))?;
        for _ in 0..STOPS {
            if self.is_over()? {
                return Err(self.ended());
            }
            if self.is_translated()? {
                return self.watch_counter(counter, None);
            }
        }
        Err(self.failed("replaying", NO_POINT))
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
            InstructionCounter::Icount { slices, .. } => {
                slices.iter().map(|Slice { decrementer, .. }| (*decrementer, DECREMENTER)).collect()
            }
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

const NO_POINT: &str = "translated code does not come to a point";
const NO_COUNTER: ExecutionError = ExecutionError::Unusable {
    what: "no emulator that counts guest instructions is in the trace",
    hint: "PANDA counts them; record QEMU with -icount",
};
const TOO_MANY: ExecutionError = ExecutionError::Unusable {
    what: "the guest has more than 3 CPUs: what counts the instructions of each cannot be watched",
    hint: "record it with -smp 3 or less",
};

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

    fn handy(&mut self, instruction: u64, limit: u64) -> Result<u64, ExecutionError> {
        if places::are_near(instruction, limit) {
            return Ok(instruction);
        }
        while let Step::Visit(event) = self.places.step(instruction) {
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

    fn moment(&mut self) -> Result<Moment<'_>, ExecutionError> {
        let tid = self.task()?.tid();
        let emulator = outside::emulator(tid).map_err(|(step, what)| self.failed(step, what))?;
        let cpus = emulator.machine.cpus.iter().map(registers::of_cpu).collect();
        let Compared { ram, memory, regions } =
            Compared::of(&emulator, &self.recorded.ignored_regions)
                .map_err(|(step, what)| self.failed(step, what))?;
        Ok(Moment { cpus, ram, regions, memory: Box::new(memory) })
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
        Err(self.failed("watching", "the places are written too often: give a later --from"))
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
