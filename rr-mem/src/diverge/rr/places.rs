//! Which events of a recording lie before which guest instruction. Every
//! visited event is remembered, so that a point is searched between two near
//! events.

use std::{
    collections::BTreeMap,
    ops::Bound::{Excluded, Unbounded},
};

/// Instructions that are run through one block at a time.
const NEAR: u64 = 1 << 12;

/// Events that were visited, and the instructions begun at each.
#[derive(Clone, Debug, Default)]
pub struct Places {
    known: BTreeMap<u64, u64>,
}

/// Where to go on the way to an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The instruction is behind this event, and near.
    From(u64),
    /// It must be known how many were begun at this one.
    Visit(u64),
    /// No event is known to lie before it.
    None,
}

impl Places {
    /// At `event`, `count` instructions were begun.
    pub fn learn(&mut self, event: u64, count: u64) {
        self.known.insert(event, count);
    }

    /// How many instructions were begun at `event` cannot be known. It gets the
    /// count of the next known event, and so never serves as a place before an
    /// instruction.
    pub fn pass_over(&mut self, event: u64) {
        let next = self.known.range((Excluded(event), Unbounded)).next();
        let count = next.map_or(self.most(), |(_, count)| *count);
        self.known.insert(event, count);
    }

    /// Where to go on the way to the end of `instruction`.
    pub fn way_to(&self, instruction: u64) -> Way {
        // PANDA begins again at 0 when it is done. Events behind the highest
        // count, or behind the wanted one, do not lie before it.
        let wanted = instruction.min(self.most());
        let end = self.known.iter().find(|(_, count)| **count >= wanted);
        let Some((&end, &most)) = end else { return Way::None };
        let before =
            if most < instruction { self.known.range(..=end) } else { self.known.range(..end) };
        let Some((&event, &count)) = before.rev().find(|(_, count)| **count < instruction) else {
            return Way::None;
        };
        let behind = self.known.range((Excluded(event), Unbounded)).next();
        match behind {
            Some((&next, &begun))
                if next - event > 1 && !are_near(count, instruction) && begun > count =>
            {
                Way::Visit(between((event, count), (next, begun), instruction))
            }
            _ => Way::From(event),
        }
    }

    /// The count at the first visited event at which at least `instruction`
    /// instructions were begun.
    pub fn behind(&self, instruction: u64) -> Option<u64> {
        self.known.values().copied().find(|count| *count >= instruction)
    }

    /// The instructions begun at an event that was visited.
    pub fn begun(&self, event: u64) -> u64 {
        self.known.get(&event).copied().unwrap_or_default()
    }

    /// The most instructions that are known.
    pub fn most(&self) -> u64 {
        self.known.values().copied().max().unwrap_or_default()
    }
}

/// Whether one runs from one instruction to the other.
pub fn are_near(from: u64, to: u64) -> bool {
    to.saturating_sub(from) <= NEAR
}

/// An event between two: where the instruction would be if they were evenly
/// spread, but not so near to one of them that little is learnt.
fn between(low: (u64, u64), high: (u64, u64), instruction: u64) -> u64 {
    let events = high.0 - low.0;
    let share = u128::from(instruction - low.1) * u128::from(events);
    let guess = (share / u128::from(high.1 - low.1)) as u64;
    let margin = (events / 8).max(1);
    low.0 + guess.clamp(margin, events - margin)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_way_to_an_instruction_is_short_and_ends_before_it(
            steps in prop::collection::vec(0u64..200_000, 2..400),
            share in 0.0f64..1.0,
        ) {
            let counts: Vec<u64> = steps
                .iter()
                .scan(0, |sum, step| { *sum += step; Some(*sum) })
                .collect();
            let last = counts.len() as u64;
            let of = |event: u64| if event == 0 { 0 } else { counts[event as usize - 1] };
            let instruction = 1 + (share * of(last).saturating_sub(1) as f64) as u64;
            let mut places = Places::default();
            places.learn(0, 0);
            places.learn(last, of(last));
            let mut visits = 0;
            let event = loop {
                match places.way_to(instruction) {
                    Way::Visit(event) => places.learn(event, of(event)),
                    Way::From(event) => break event,
                    Way::None => panic!("there is one"),
                }
                visits += 1;
            };
            prop_assert!(of(event) < instruction);
            let near = instruction - of(event) <= NEAR;
            prop_assert!(near || event == last || of(event + 1) >= instruction, "{event}");
            prop_assert!(visits <= 64, "{visits} visits");
        }
    }

    #[test]
    fn what_is_counted_anew_at_the_end_is_left_out() {
        let mut places = Places::default();
        for (event, count) in [(1, 0), (2, 50), (3, 900), (4, 0)] {
            places.learn(event, count);
        }
        assert_eq!(places.way_to(40), Way::From(1));
        assert_eq!(places.way_to(60), Way::From(2));
        assert_eq!(places.way_to(2_000), Way::From(3));
    }

    #[test]
    fn an_event_that_cannot_be_looked_at_lies_before_nothing() {
        let mut places = Places::default();
        for (event, count) in [(0, 0), (100, 1_000_000)] {
            places.learn(event, count);
        }
        assert_eq!(places.way_to(500_000), Way::Visit(50));
        places.pass_over(50);
        assert!(matches!(places.way_to(500_000), Way::Visit(event) if event < 50));
    }

    #[test]
    fn nothing_is_before_the_first_instruction_that_is_known() {
        let mut places = Places::default();
        assert_eq!(places.way_to(5), Way::None);
        places.learn(7, 5);
        assert_eq!(places.way_to(5), Way::None);
        assert_eq!(places.way_to(6), Way::From(7));
    }
}
