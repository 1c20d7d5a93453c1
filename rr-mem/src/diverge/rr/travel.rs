//! How a replay by rr comes to a guest instruction. It is replayed to its end
//! once, to know which events lie before which instruction. Then it goes to a
//! near event or checkpoint, and from there from block to block.

use super::{
    BLOCK, Point, STOPS, Traced, WATCHES, WORD,
    condition::Condition,
    meter::Meter,
    places::{self, Places, Way},
    remote::Stop,
};
use crate::{
    addr::Hva,
    advice::Advice,
    diverge::{ExecutionError, outside},
    qemu::InstructionCounter,
};

/// In how many parts the events of a recording are surveyed.
const SURVEYED: u64 = 64;
/// Every so many of these are made cheap to come back to.
const KEPT: u64 = 4;
/// How much further back the last point is looked for, time after time.
const FURTHER: u64 = 64;
/// Within one event, more instructions than these are not run through block by
/// block: the slices of time in it are searched first, from this far before.
const MANY: u64 = 1 << 19;
/// Ends of slices that are looked at.
const SLICES: usize = 64;
/// Points that are kept to come back to.
const POINTS: usize = 16;

const NO_POINT: &str = "translated code does not come to a point";
const NO_COUNTER: ExecutionError = ExecutionError::Unusable {
    what: "no emulator that counts guest instructions is in the trace",
    advice: Advice::Say("PANDA counts them; record QEMU with -icount"),
};
const TOO_MANY: ExecutionError = ExecutionError::Unusable {
    what: "the guest has more than 3 CPUs: what counts the instructions of each cannot be watched",
    advice: Advice::Say("record it with -smp 3 or less"),
};

/// Where to start from.
#[derive(Clone, Copy, Debug)]
enum Place {
    Event(u64),
    Point(Point),
}

impl Traced {
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
    pub(super) fn survey(&mut self) -> Result<(), ExecutionError> {
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

    /// Goes to the last point: first to a point surely before it, then nearer
    /// in steps, then from point to point.
    pub(super) fn find_end(&mut self) -> Result<u64, ExecutionError> {
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

    pub(super) fn go(&mut self, instruction: u64) -> Result<u64, ExecutionError> {
        let from = self.approach(instruction)?;
        let point = self.run_to(instruction, from)?;
        self.at = Some(point);
        self.checkpoint_at(point)?;
        Ok(point.at)
    }

    /// Makes a checkpoint; the name to go back to it by.
    fn checkpoint(&mut self) -> Result<Option<String>, ExecutionError> {
        let text = self.ask("keeping", |server| server.remote.command("checkpoint", &["here"]))?;
        let number = text.strip_prefix("Checkpoint ").and_then(|rest| rest.split(' ').next());
        Ok(number.map(|number| format!("c{number}")))
    }

    /// Keeps the point where it stands; the one that was used least goes.
    fn checkpoint_at(&mut self, point: Point) -> Result<(), ExecutionError> {
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
    pub(super) fn approach(&mut self, instruction: u64) -> Result<Option<Point>, ExecutionError> {
        let kept = self.kept.iter().map(|(point, _)| *point);
        let kept = kept.filter(|point| point.at < instruction).max_by_key(|point| point.at);
        if let Some(point) = kept.filter(|point| places::are_near(point.begun, instruction)) {
            return self.return_to(point).map(|()| Some(point));
        }
        while let Way::Visit(event) = self.places.way_to(instruction) {
            self.visit(event)?;
        }
        match (self.places.way_to(instruction), kept) {
            (Way::From(event), Some(point)) if self.places.begun(event) <= point.at => {
                self.come_near(instruction, Place::Point(point))
            }
            (Way::From(event), _) => self.come_near(instruction, Place::Event(event)),
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
            self.checkpoint_at(end)?;
            last = Some(end);
        }
        Ok(last)
    }

    /// The first end of a slice at `instruction` or behind it, kept; from where
    /// it stands.
    pub(super) fn next_slice(&mut self, instruction: u64) -> Result<Option<u64>, ExecutionError> {
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
        self.checkpoint_at(Point { at, begun: at })?;
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
}
