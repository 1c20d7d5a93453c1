//! The search between two executions of any kind, and the report.

use std::path::PathBuf;

use rr_mem::{
    addr::RangeSet,
    diverge::{
        Execution, ExecutionError, Found, Ignored, Options, Parting, SearchError, Stopper, Verdict,
        find_first_difference,
    },
};

use super::{
    logs,
    rows::{LogDifference, LogEntries, Report, WriterRow, registers},
    state::State,
    view::View,
};
use crate::{
    cli::diverge::Search,
    output::{Outcome, Output, failed, note},
};

/// Instructions in which a value that differs is mostly stored.
const SOON: u64 = 1 << 16;

/// Two executions.
pub struct Sides<'e> {
    pub a: &'e mut dyn Execution,
    pub b: &'e mut dyn Execution,
    /// What the user should know of them, whatever is found.
    pub remarks: Vec<String>,
}

/// What is asked of them.
pub struct Question<'q> {
    pub search: &'q Search,
    /// What each is, in words that tell it from any other.
    pub words: [String; 2],
    /// The logs that they replay, where they are known.
    pub logs: [Option<PathBuf>; 2],
    /// What of them cannot be compared.
    pub not_compared: Option<String>,
    /// Where the logs differ first.
    pub different: Option<LogDifference>,
}

impl Question<'_> {
    /// Searches, prints what is found, and says how that went.
    pub fn answer(
        self,
        sides: &mut Sides<'_>,
        stopper: &Stopper,
        output: &mut Output,
    ) -> anyhow::Result<Outcome> {
        let mut state = State::open(self.search, &self.words, &self.logs)?;
        let found = self.first_difference(sides, &mut state);
        state.save();
        if stopper.is_stopped() {
            let hint = "what was compared is kept: go on with --resume";
            return Err(failed("interrupted", hint));
        }
        let found = found.map_err(|error| self.explain(&error))?;
        let mut report = self.report(sides, found)?;
        report.remarks = self.remarks(sides);
        report.log_difference = self.different;
        report.remarks.iter().for_each(note);
        print(&report, output)
    }

    fn remarks(&self, sides: &Sides<'_>) -> Vec<String> {
        let of = |execution: &dyn Execution| execution.remarks();
        let mut remarks = of(sides.a);
        remarks.extend(of(sides.b));
        remarks.extend(sides.remarks.iter().cloned());
        remarks.dedup();
        remarks
    }

    fn options(&self, state: &State) -> Options {
        Options {
            from: self.search.from,
            to: self.search.to,
            exhaustive: self.search.exhaustive,
            ignored: Ignored { memory: self.memory(), registers: self.search.ignore_reg.clone() },
            known: state.points(),
            ..Options::default()
        }
    }

    fn memory(&self) -> RangeSet {
        self.search.ignore_gpa.iter().cloned().collect()
    }

    /// Inputs are the same up to where the logs differ: there the search starts,
    /// and only when they differ there already, before it.
    fn first_difference(
        &self,
        sides: &mut Sides<'_>,
        state: &mut State,
    ) -> Result<Found, SearchError> {
        let mut options = self.options(state);
        if let (None, None, Some(different)) =
            (options.from, options.exhaustive, self.different.as_ref())
        {
            let from = different.instr.saturating_sub(1);
            options.from = Some(from);
            let found = find_first_difference(sides.a, sides.b, &options, state)?;
            match &found.verdict {
                Verdict::Parted(parting) if parting.last_equal.is_none() && from > 0 => {
                    (options.from, options.to) = (None, Some(from));
                    options.known = found.points;
                }
                _ => return Ok(found),
            }
        }
        find_first_difference(sides.a, sides.b, &options, state)
    }

    /// A search that failed, with what the log says there.
    fn explain(&self, error: &SearchError) -> anyhow::Error {
        let SearchError::Execution { side, error: cause } = error else {
            return failed(error, "give another --from");
        };
        let hint = match (cause, &self.logs[*side as usize]) {
            (ExecutionError::Failed { at, .. } | ExecutionError::Stuck { at }, Some(log)) => {
                let entries = logs::around(log, *at).unwrap_or_default().join("\n  ");
                format!("its log there:\n  {entries}")
            }
            (ExecutionError::Unusable { hint, .. }, _) => (*hint).to_owned(),
            (ExecutionError::Failed { .. }, None) => {
                "`rr replay -a TRACE` must work to its end; --resume goes on with what was compared"
                    .to_owned()
            }
            _ => "check that it is what was recorded".to_owned(),
        };
        failed(error, hint)
    }

    fn report(&self, sides: &mut Sides<'_>, found: Found) -> anyhow::Result<Report> {
        let mut report = Report {
            probes: found.points.len(),
            from: found.points.keys().next().copied().unwrap_or_default(),
            to: found.points.keys().next_back().copied().unwrap_or_default(),
            unread_pages: found.unread,
            ..Report::default()
        };
        let shown = match found.verdict {
            Verdict::Same { from, to, ended } => {
                (report.from, report.to) = (from, to);
                report.ended = ended.map(|side| match &found.failure {
                    Some(failure) => {
                        format!("{side} does not go on behind instruction {to}: {failure}")
                    }
                    None => format!("{side} ends behind instruction {to}"),
                });
                report.ended = report.ended.or_else(|| self.not_compared.clone());
                report.ended.is_some().then_some(to)
            }
            Verdict::Parted(parting) => {
                self.parting(sides, &parting, &mut report).map_err(|error| {
                    failed(error, "the emulators ended while they were looked at: try again")
                })?;
                Some(parting.first)
            }
        };
        if let Some(instruction) = shown {
            report.log_entries = self.log_entries(instruction)?;
        }
        Ok(report)
    }

    fn log_entries(&self, instruction: u64) -> anyhow::Result<LogEntries> {
        let of = |log: &Option<PathBuf>| match log {
            Some(log) => logs::around(log, instruction),
            None => Ok(Vec::new()),
        };
        Ok(LogEntries { a: of(&self.logs[0])?, b: of(&self.logs[1])? })
    }

    fn parting(
        &self,
        sides: &mut Sides<'_>,
        parting: &Parting,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        sides.a.go_to(parting.first)?;
        let view = View::new(sides.a, parting, self.search)?;
        report.found = true;
        report.instr = Some(parting.first);
        report.last_equal_instr = parting.last_equal;
        report.cpu = parting.cpu;
        report.guest_pc = parting.pc.map(|pc| format!("{pc:#x}"));
        report.symbol = parting.pc.and_then(|pc| view.symbol(pc));
        report.registers = registers(&parting.differences);
        report.bytes = view.bytes(&parting.differences.runs);
        report.bytes_differing = parting.differences.bytes;
        report.pages_differing = parting.differences.pages;
        report.writer = view.writer(parting);
        drop(view);
        if let (None, Some(equal)) = (&parting.writer, parting.last_equal) {
            report.writer = self.first_write(sides, parting, equal)?;
        }
        Ok(())
    }

    /// The first write that differs, where registers did so before: the same
    /// search, of memory alone.
    fn first_write(
        &self,
        sides: &mut Sides<'_>,
        parting: &Parting,
        equal: u64,
    ) -> anyhow::Result<Option<WriterRow>> {
        let names = parting.cpus.iter().flat_map(|cpu| &cpu.registers);
        let ignored = Ignored {
            memory: self.memory(),
            registers: names.map(|(name, _)| name.clone()).collect(),
        };
        let end = self.search.to.unwrap_or(u64::MAX);
        for to in [parting.first.saturating_add(SOON).min(end), end] {
            let options = Options {
                from: Some(equal),
                to: Some(to),
                ignored: ignored.clone(),
                ..Options::default()
            };
            let found = find_first_difference(sides.a, sides.b, &options, &mut ())?;
            if let Verdict::Parted(write) = found.verdict {
                sides.a.go_to(write.first)?;
                return Ok(View::new(sides.a, &write, self.search)?.writer(&write));
            }
            if to == end {
                break;
            }
        }
        Ok(None)
    }
}

fn print(report: &Report, output: &mut Output) -> anyhow::Result<Outcome> {
    if output.json {
        output.row(report)?
    } else {
        output.line(report)?
    }
    if report.unread_pages > 0 {
        let what = format!("{} pages could not be read", report.unread_pages);
        output.complain(what, "check your rights to the emulator's process")?;
    }
    let lacking = report.unread_pages > 0 || report.ended.is_some();
    Ok(match (report.found, lacking) {
        (true, _) => Outcome::Negative,
        (false, true) => Outcome::Unreadable,
        (false, false) => Outcome::Answered,
    })
}
