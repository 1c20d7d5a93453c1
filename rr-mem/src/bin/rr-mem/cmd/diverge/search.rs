//! The search between two executions of any kind, and the report.

use std::{collections::BTreeMap, path::PathBuf};

use rr_mem::{
    diverge::{
        Execution, ExecutionError, Found, Ignored, LogDifference, Parting, SearchError,
        SearchOptions, Stopper, Verdict, find_behind_inputs, find_first_write,
    },
    report::diverge::{DivergeRow, LogEntries, PartingView},
    symbols::Symbols,
};

use super::{logs, state::State};
use crate::{
    cli::diverge::Search,
    output::{Outcome, Output, failed, note},
};

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
        let options = self.options(state.points());
        let differ = self.different.as_ref().map(|different| different.instructions);
        let found = find_behind_inputs(sides.a, sides.b, &options, differ, &mut state);
        state.save();
        if stopper.is_stopped() {
            let hint = "what was compared is kept: go on with --resume";
            return Err(failed("interrupted", hint));
        }
        let found = found.map_err(|error| self.explain(&error))?;
        let mut report = self.report(sides, &found)?;
        report.remarks = self.remarks(sides);
        report.log_difference = self.different.map(Into::into);
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

    fn options(&self, known: BTreeMap<u64, bool>) -> SearchOptions {
        SearchOptions {
            from: self.search.from,
            to: self.search.to,
            exhaustive: self.search.exhaustive,
            ignored: Ignored {
                memory: self.search.ignore_gpa.iter().cloned().collect(),
                registers: self.search.ignore_reg.clone(),
            },
            known,
            ..SearchOptions::default()
        }
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
            (ExecutionError::Unusable { advice, .. }, _) => crate::output::words(advice),
            (ExecutionError::Failed { .. }, None) => {
                "`rr replay -a TRACE` must work to its end; --resume goes on with what was compared"
                    .to_owned()
            }
            _ => "check that it is what was recorded".to_owned(),
        };
        failed(error, hint)
    }

    fn report(&self, sides: &mut Sides<'_>, found: &Found) -> anyhow::Result<DivergeRow> {
        let mut report = DivergeRow::new(found, self.not_compared.as_deref());
        if let Verdict::Parted(parting) = &found.verdict {
            self.parting(sides, parting, &mut report).map_err(|error| {
                failed(error, "the emulators ended while they were looked at: try again")
            })?;
        }
        if let Some(instruction) = report.of_interest() {
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
        report: &mut DivergeRow,
    ) -> anyhow::Result<()> {
        sides.a.go_to(parting.first)?;
        report.part(&self.view(sides.a, parting)?, parting);
        if parting.writer.is_none() && parting.last_equal.is_some() {
            let options = self.options(BTreeMap::new());
            if let Some(write) = find_first_write(sides.a, sides.b, &options, parting)? {
                sides.a.go_to(write.first)?;
                report.writer = self.view(sides.a, &write)?.writer(&write);
            }
        }
        Ok(())
    }

    /// An execution where it stands, with names for the kernel's addresses if its file is given.
    fn view<'a>(
        &self,
        execution: &'a mut dyn Execution,
        parting: &Parting,
    ) -> anyhow::Result<PartingView<'a>> {
        let mut view = PartingView::new(execution, parting)?;
        if let Some(path) = &self.search.guest_symbols {
            let symbols = Symbols::open(path).map_err(|error| failed(&error, error.advice()))?;
            if let Err(error) = view.name_by(symbols) {
                note(format!("no symbols: {error}"));
            }
        }
        Ok(view)
    }
}

fn print(report: &DivergeRow, output: &mut Output) -> anyhow::Result<Outcome> {
    output.answer(report)?;
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
