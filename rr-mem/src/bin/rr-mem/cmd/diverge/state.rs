//! What a search has compared, kept in a file for `--resume`.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use indicatif::HumanDuration;
use rr_mem::diverge::{KeptPoints, Observer, SearchIdentity};

use crate::{
    cli::diverge::Search,
    output::{Progress, failed, note},
};

/// How often the file is written, at most.
const PAUSE: Duration = Duration::from_secs(2);

/// Keeps points, and says how the search gets on.
pub struct State {
    path: Option<PathBuf>,
    kept: KeptPoints,
    written: Instant,
    progress: Progress,
    between: (u64, u64),
    /// When the search began, and what it has compared itself.
    began: Instant,
    compared: u32,
}

impl State {
    /// What was kept of this question, if that is wanted.
    pub fn open(
        args: &Search,
        words: &[String; 2],
        logs: &[Option<PathBuf>; 2],
    ) -> anyhow::Result<Self> {
        let identity = SearchIdentity {
            words,
            logs,
            ignored_memory: &args.ignore_gpa,
            ignored_regions: &args.ignore_region,
            ignored_registers: &args.ignore_reg,
        };
        let mut kept = KeptPoints::new(identity.text());
        let path = args.state.clone().or_else(|| kept.usual_path());
        if let Some(path) = path.as_deref().filter(|_| args.resume) {
            match KeptPoints::read(path) {
                Ok(earlier) if earlier.question == kept.question => kept = earlier,
                Ok(_) => {
                    let hint = "leave --resume away, or give the same logs, command and options";
                    return Err(failed(format!("{} is of another search", path.display()), hint));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    note("nothing is kept of this search: it starts anew");
                }
                Err(error) => {
                    let hint = "leave --resume away to start anew";
                    return Err(failed(format!("{}: {error}", path.display()), hint));
                }
            }
        }
        let progress = Progress::new("comparing");
        let now = Instant::now();
        Ok(Self { path, kept, written: now, progress, between: (0, 0), began: now, compared: 0 })
    }

    /// The points that are known.
    pub fn points(&self) -> BTreeMap<u64, bool> {
        self.kept.points.clone()
    }

    /// Writes the file; that it cannot be written is no reason to stop.
    pub fn save(&mut self) {
        self.written = Instant::now();
        let Some(path) = &self.path else { return };
        if let Err(error) = self.kept.write(path) {
            note(format!("{}: {error}: --resume will not work", path.display()));
            self.path = None;
        }
    }
}

impl Observer for State {
    fn between(&mut self, first: u64, last: u64) {
        self.between = (first, last);
    }

    fn compared(&mut self, at: u64, equal: bool) {
        self.kept.points.insert(at, equal);
        let (first, last) = self.between;
        let left = last.saturating_sub(first).max(1).ilog2() + 1;
        self.compared += 1;
        let time = HumanDuration(self.began.elapsed() / self.compared * left);
        let verdict = if equal { "equal" } else { "different" };
        let probes = self.kept.points.len();
        self.progress.say(format!(
            "instruction {at} {verdict}, {probes} points; between {first} and {last}, about {left} to go, {time:#}"
        ));
        if self.written.elapsed() > PAUSE {
            self.save();
        }
    }
}
