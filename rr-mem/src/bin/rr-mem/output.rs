//! Standard output, standard error, exit codes: the only place that prints.
#![allow(clippy::print_stderr)]

use std::{
    fmt,
    io::{self, BufWriter, IsTerminal, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rr_mem::{
    advice::{Advice, Explain},
    report::{RemarkRow, Remarked},
    source::Remark,
};
use serde::Serialize;

use crate::face::CommandLine;

/// How a command went; the worst of its answers counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Everything was answered.
    Answered = 0,
    /// An answer is "not mapped" or empty, or a read met a hole.
    Negative = 1,
    /// A source could not be read.
    Unreadable = 3,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(outcome as u8)
    }
}

/// An error that ends the program: what is wrong, and what the user can do.
#[derive(Debug)]
pub struct Refusal {
    code: u8,
    what: String,
    /// Said with -v.
    details: Vec<String>,
    hint: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Refusal {}

/// What the user can do: a sentence of the program's, or the library's advice.
pub trait Hint {
    /// In the words of the command line.
    fn words(&self) -> String;
}

impl Hint for &str {
    fn words(&self) -> String {
        (*self).to_owned()
    }
}

impl Hint for &String {
    fn words(&self) -> String {
        (*self).clone()
    }
}

impl Hint for String {
    fn words(&self) -> String {
        self.clone()
    }
}

impl Hint for Advice {
    fn words(&self) -> String {
        Advice::words(self, &CommandLine)
    }
}

/// The words of advice.
pub fn words(advice: &Advice) -> String {
    advice.words(&CommandLine)
}

/// Wrong usage: exit code 2.
pub fn usage(what: impl fmt::Display, hint: impl Hint) -> anyhow::Error {
    refusal(2, what, Vec::new(), hint)
}

/// A source that could not be read: exit code 3.
pub fn failed(what: impl fmt::Display, hint: impl Hint) -> anyhow::Error {
    refusal(3, what, Vec::new(), hint)
}

/// What the library explains: wrong usage, or a source that could not be read.
pub fn explained(error: &dyn Explain, is_usage: bool) -> anyhow::Error {
    refusal(if is_usage { 2 } else { 3 }, error, error.details(), error.advice())
}

fn refusal(
    code: u8,
    what: impl fmt::Display,
    details: Vec<String>,
    hint: impl Hint,
) -> anyhow::Error {
    anyhow::Error::new(Refusal { code, what: what.to_string(), details, hint: hint.words() })
}

/// Prints an error that ended the program, with -v all of it; a closed pipe is a
/// success.
pub fn failure(error: &anyhow::Error, verbose: bool) -> ExitCode {
    let closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<io::Error>().is_some_and(closed) {
        return ExitCode::SUCCESS;
    }
    eprintln_quietly(&format!("error: {error:#}"));
    let Some(Refusal { code, details, hint, .. }) = error.downcast_ref() else {
        return ExitCode::from(Outcome::Unreadable as u8);
    };
    details.iter().filter(|_| verbose).for_each(note);
    self::hint(hint);
    ExitCode::from(*code)
}

fn eprintln_quietly(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Where answers go.
pub struct Output {
    stream: BufWriter<AutoStream<io::Stdout>>,
    /// JSON lines instead of text.
    pub json: bool,
    /// `-v`.
    pub verbose: bool,
    /// What goes with every row about the guest, once there is one.
    remarks: Option<Vec<RemarkRow>>,
}

impl Output {
    /// Standard output, coloured on a terminal only (NO_COLOR is honoured).
    pub fn new(json: bool, verbose: bool) -> Self {
        let stream = BufWriter::with_capacity(1 << 16, AutoStream::auto(io::stdout()));
        Self { stream, json, verbose, remarks: None }
    }

    /// One row of JSON, with the remarks that go with it.
    pub fn row(&mut self, row: &impl Serialize) -> anyhow::Result<()> {
        match &self.remarks {
            Some(remarks) => json(&mut self.stream, &Remarked { row, remarks }),
            None => json(&mut self.stream, row),
        }
    }

    /// One row of JSON that has its remarks itself.
    pub fn whole_row(&mut self, row: &impl Serialize) -> anyhow::Result<()> {
        json(&mut self.stream, row)
    }

    /// What goes with every row about the guest.
    pub fn remarks(&self) -> &[RemarkRow] {
        self.remarks.as_deref().unwrap_or_default()
    }

    /// Lets what is said of a source go with every row. Of several sources, each adds to it.
    pub fn remark(&mut self, remarks: &[Remark]) {
        let known = self.remarks.get_or_insert_default();
        for row in RemarkRow::of_answers(remarks, &CommandLine) {
            if !known.contains(&row) {
                known.push(row);
            }
        }
    }

    /// Lets a part that is left out go with every row, too.
    pub fn left_out(&mut self, text: String, hint: String) {
        self.remarks.get_or_insert_default().push(RemarkRow { kind: "left_out", text, hint });
    }

    /// The rows are not about the guest.
    pub fn without_remarks(&mut self) {
        self.remarks = None;
    }

    /// One line of text.
    pub fn line(&mut self, text: impl fmt::Display) -> anyhow::Result<()> {
        Ok(writeln!(self.stream, "{text}")?)
    }

    /// One answer, as JSON or as text.
    pub fn answer(&mut self, row: &(impl Serialize + fmt::Display)) -> anyhow::Result<()> {
        if self.json { self.row(row) } else { self.line(row) }
    }

    /// Text or bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Bytes that are data: no stripping of what looks like colour.
    pub fn raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.flush()?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Everything written so far reaches the reader.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.flush()?)
    }

    /// An error about one answer, on standard error; the command goes on.
    pub fn complain(&mut self, what: impl fmt::Display, hint: impl Hint) -> anyhow::Result<()> {
        self.flush()?;
        eprintln_quietly(&format!("error: {what}"));
        self::hint(hint.words());
        Ok(())
    }
}

fn json(stream: &mut impl Write, row: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *stream, row).map_err(io::Error::from)?;
    Ok(stream.write_all(b"\n")?)
}

/// What the user can do, on standard error.
pub fn hint(text: impl fmt::Display) {
    let text = text.to_string();
    if !text.is_empty() {
        eprintln_quietly(&format!("hint: {text}"));
    }
}

/// A remark on standard error.
pub fn note(text: impl fmt::Display) {
    eprintln_quietly(&format!("note: {text}"));
}

/// A remark, and what can be done about it.
pub fn note_with(text: impl fmt::Display, advice: &str) {
    match advice {
        "" => note(text),
        advice => note(format_args!("{text}: {advice}")),
    }
}

/// The colour for rights: what is writable and executable stands out.
pub fn style_of(rights: rr_mem::report::RightsRow) -> Style {
    let w = rights.kernel.w || rights.user.w;
    let x = rights.kernel.x || rights.user.x;
    match (w, x) {
        (true, true) => AnsiColor::Red.on_default().bold(),
        (true, false) => AnsiColor::Green.on_default(),
        (false, true) => AnsiColor::Yellow.on_default(),
        (false, false) => Style::new(),
    }
}

/// A bar on standard error for work that takes more than half a second.
pub struct Progress {
    started: Instant,
    bar: Option<ProgressBar>,
    what: &'static str,
}

impl Progress {
    /// Work that is about `what`.
    pub fn new(what: &'static str) -> Self {
        Self { started: Instant::now(), bar: None, what }
    }

    /// `bytes` are done.
    pub fn set(&mut self, bytes: u64) {
        let what = self.what;
        self.show(|| format!("{what}: {}", HumanBytes(bytes)));
    }

    /// So it stands.
    pub fn say(&mut self, text: String) {
        self.show(|| text);
    }

    fn show(&mut self, text: impl FnOnce() -> String) {
        let late = self.started.elapsed() > Duration::from_millis(500);
        if self.bar.is_none() && late && io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{spinner} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            self.bar = Some(bar);
        }
        if let Some(bar) = &self.bar {
            bar.set_message(text());
            bar.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
