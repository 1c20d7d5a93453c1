//! `rr-mem diverge rr`: two emulators that rr has recorded.

use std::path::{Path, PathBuf};

use rr_mem::diverge::{Recorded, Traced};

use super::{
    end_on, held_signals, logs,
    search::{Question, Sides},
};
use crate::{
    cli::diverge::Rr,
    output::{Outcome, Output, failed, note, usage},
};

pub fn run(args: &Rr, output: &mut Output) -> anyhow::Result<Outcome> {
    let logs = logs_of(args)?;
    let different = match &logs {
        [Some(a), Some(b)] if a != b => {
            let different = logs::difference(a, b)?;
            logs::announce(different.as_ref());
            different
        }
        _ => None,
    };
    let traces = [&args.record_trace, &args.replay_trace].map(|trace| recorded(args, trace));
    let question = Question {
        search: &args.search,
        words: traces.each_ref().map(Recorded::identity),
        logs,
        not_compared: None,
        different,
    };
    // Before there are threads that a signal could end us in.
    let signals = held_signals();
    let [a, b] = traces.map(start);
    let (mut a, mut b) = (a?, b?);
    end_on(signals, [a.stopper(), b.stopper()]);
    note("both traces are replayed to their ends once, to know where instructions lie");
    let stopper = a.stopper();
    let mut sides = Sides { a: &mut a, b: &mut b, remarks: Vec::new() };
    question.answer(&mut sides, &stopper, output)
}

fn logs_of(args: &Rr) -> anyhow::Result<[Option<PathBuf>; 2]> {
    match &args.log[..] {
        [] => Ok([None, None]),
        [both] => Ok([Some(both.clone()), Some(both.clone())]),
        [a, b] => Ok([Some(a.clone()), Some(b.clone())]),
        _ => Err(usage("there are more than two logs", "give one --log for each trace")),
    }
}

fn recorded(args: &Rr, trace: &Path) -> Recorded {
    Recorded {
        trace: trace.to_owned(),
        rr: args.rr.split_whitespace().map(str::to_owned).collect(),
        ignored_regions: args.search.ignore_region.clone(),
    }
}

fn start(recorded: Recorded) -> anyhow::Result<Traced> {
    Traced::start(recorded).map_err(|error| failed(&error, error.advice()))
}
