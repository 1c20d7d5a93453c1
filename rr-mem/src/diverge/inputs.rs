//! Searches that know more than the two executions: where their inputs differ,
//! or that registers differed before memory did.

use super::{
    Execution, Found, Ignored, Observer, Parting, SearchError, SearchOptions, Verdict,
    find_first_difference,
};

/// Instructions in which a value that differs is mostly stored.
const SOON: u64 = 1 << 16;

/// As [`find_first_difference`], of executions whose inputs are the same up to
/// instruction `inputs_differ`. The search starts there; if the executions
/// differ there already, it searches before it.
///
/// # Errors
/// As [`find_first_difference`].
pub fn find_behind_inputs(
    a: &mut dyn Execution,
    b: &mut dyn Execution,
    options: &SearchOptions,
    inputs_differ: Option<u64>,
    observer: &mut dyn Observer,
) -> Result<Found, SearchError> {
    let (None, None, Some(at)) = (options.from, options.exhaustive, inputs_differ) else {
        return find_first_difference(a, b, options, observer);
    };
    let from = at.saturating_sub(1);
    let behind = SearchOptions { from: Some(from), ..options.clone() };
    let found = find_first_difference(a, b, &behind, observer)?;
    match &found.verdict {
        Verdict::Parted(parting) if parting.last_equal.is_none() && from > 0 => {
            let before = SearchOptions { to: Some(from), known: found.points, ..options.clone() };
            find_first_difference(a, b, &before, observer)
        }
        _ => Ok(found),
    }
}

/// The first write that differs, if registers differed first: the same search
/// of memory alone, from `parting` on.
///
/// # Errors
/// As [`find_first_difference`].
pub fn find_first_write(
    a: &mut dyn Execution,
    b: &mut dyn Execution,
    options: &SearchOptions,
    parting: &Parting,
) -> Result<Option<Box<Parting>>, SearchError> {
    let names = parting.cpus.iter().flat_map(|cpu| &cpu.registers);
    let ignored = Ignored {
        memory: options.ignored.memory.clone(),
        registers: names.map(|(name, _)| name.clone()).collect(),
    };
    let end = options.to.unwrap_or(u64::MAX);
    for to in [parting.first.saturating_add(SOON).min(end), end] {
        let options = SearchOptions {
            from: parting.last_equal,
            to: Some(to),
            ignored: ignored.clone(),
            ..SearchOptions::default()
        };
        if let Verdict::Parted(write) = find_first_difference(a, b, &options, &mut ())?.verdict {
            return Ok(Some(write));
        }
        if to == end {
            break;
        }
    }
    Ok(None)
}
