//! What a search has compared, kept in a file for `--resume`.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use indicatif::HumanDuration;
use rr_mem::{debuginfo::Cache, diverge::Observer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    cli::diverge::Search,
    output::{Progress, failed, note},
};

/// How often the file is written, at most.
const PAUSE: Duration = Duration::from_secs(2);

/// The file's contents.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// What was asked.
    question: String,
    /// By instruction: whether both were equal.
    points: BTreeMap<u64, bool>,
}

/// Keeps points, and says how the search gets on.
pub struct State {
    path: Option<PathBuf>,
    kept: Kept,
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
        let question = question(args, words, logs);
        let path = args.state.clone().or_else(|| in_cache(&question));
        let mut kept = Kept { question, points: BTreeMap::new() };
        if let Some(path) = path.as_deref().filter(|_| args.resume) {
            match read(path) {
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
        if let Err(error) = write(path, &self.kept) {
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

fn read(path: &Path) -> io::Result<Kept> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, kept)?;
    file.persist(path)?;
    Ok(())
}

/// What makes a search the same as another: what is run, logs, what counts.
fn question(args: &Search, words: &[String; 2], logs: &[Option<PathBuf>; 2]) -> String {
    let of = |side: usize| match &logs[side] {
        None => words[side].clone(),
        Some(log) => {
            let about = fs::metadata(log);
            let changed = about.as_ref().ok().and_then(|about| about.modified().ok());
            let size = about.map_or(0, |about| about.len());
            format!("{} {} {size} {changed:?}", words[side], log.display())
        }
    };
    let Search { ignore_gpa, ignore_region, ignore_reg, .. } = args;
    format!("{} | {} | {ignore_gpa:?} {ignore_region:?} {ignore_reg:?}", of(0), of(1))
}

fn in_cache(question: &str) -> Option<PathBuf> {
    let digest: String =
        Sha256::digest(question).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Some(Cache::of_user()?.folder().join(format!("diverge-{digest}.json")))
}
