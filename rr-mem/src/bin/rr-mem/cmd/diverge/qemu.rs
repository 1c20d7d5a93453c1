//! `rr-mem diverge qemu`: two replays by QEMU itself.

use rr_mem::diverge::{Extent, Recording, Replay, names_release, not_compared};

use super::{
    end_on, held_signals, logs,
    search::{Question, Sides},
};
use crate::{
    cli::diverge::Qemu,
    output::{Outcome, Output, failed, note, usage},
};

pub fn run(args: &Qemu, output: &mut Output) -> anyhow::Result<Outcome> {
    let (sides, extents) = sides(args)?;
    let different = match &args.log[..] {
        [a, b] => logs::difference(a, b)?,
        _ => None,
    };
    announce(args);
    if args.log.len() == 2 {
        logs::announce(different.as_ref());
    }
    let question = Question {
        search: &args.search,
        words: sides.each_ref().map(|side| format!("{:?}", side.command)),
        logs: sides.each_ref().map(|side| Some(side.log.clone())),
        not_compared: not_compared(&extents, args.search.to),
        different,
    };
    // Before there are threads that a signal could end us in.
    let signals = held_signals();
    let [a, b] = sides.map(start);
    let (mut a, mut b) = (a?, b?);
    end_on(signals, [a.stopper(), b.stopper()]);
    let stopper = a.stopper();
    let mut pair = Sides { a: &mut a, b: &mut b, remarks: remarks(&extents) };
    question.answer(&mut pair, &stopper, output)
}

/// What the user should know of the logs, whatever is found.
fn remarks(extents: &[Extent; 2]) -> Vec<String> {
    let refused = extents.iter().map(|log| log.refused).max().unwrap_or_default();
    let text = format!(
        "while it was recorded, {refused} writes to a serial line found no reader; QEMU replays \
         what follows at any time: record with a reader that keeps up, or -serial file:PATH"
    );
    if refused > 0 { vec![text] } else { Vec::new() }
}

/// The two executions that are meant, and how far their logs go.
fn sides(args: &Qemu) -> anyhow::Result<([Recording; 2], [Extent; 2])> {
    let (logs, programs) = (args.log.len(), args.with.len());
    if logs > 2 || programs > 2 {
        return Err(usage("there are more than two executions", "give two --log or two --with"));
    }
    match (args.check, logs == 2 || programs == 2) {
        (true, true) => {
            return Err(usage("--check compares a replay with itself", "give one --log"));
        }
        (false, false) => {
            let hint = "give a second --log or a second --with; --check compares it with itself";
            return Err(usage("there is only one execution", hint));
        }
        _ => {}
    }
    let side = |number: usize| -> anyhow::Result<(Recording, Extent)> {
        let log = args.log[number.min(logs - 1)].clone();
        let mut command = args.command.clone();
        if let (Some(first), Some(program)) =
            (command.first_mut(), args.with.get(number.min(programs.saturating_sub(1))))
        {
            first.clone_from(program);
        }
        let extent = Extent::of(&log).map_err(logs::refuse)?;
        let recording = Recording::new(command, log)
            .instructions(Some(extent.instructions))
            .without_regions(args.search.ignore_region.clone());
        Ok((recording, extent))
    };
    let (a, b) = (side(0)?, side(1)?);
    Ok(([a.0, b.0], [a.1, b.1]))
}

/// Says what comparing two releases wants.
fn announce(args: &Qemu) {
    if args.with.len() == 2 && !names_release(&args.command) {
        note(
            "two releases differ in what an unversioned machine type is: give -M such as pc-i440fx-7.2",
        );
    }
}

fn start(recording: Recording) -> anyhow::Result<Replay> {
    Replay::start(recording).map_err(|error| failed(&error, error.advice()))
}
