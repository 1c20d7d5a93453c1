//! An execution by QEMU's own record/replay: QEMU, "Record/replay"
//! (docs/system/replay.rst), and the QMP commands `query-replay`,
//! `replay-break` and `replay-seek`.
//!
//! It starts the emulator itself, on private copies of the images, and always
//! ends it. Guest RAM is read from outside, through the process; nothing of the
//! guest goes through the gdb stub.

mod command;
mod monitor;
mod registers;

use std::{
    fs,
    fs::File,
    io::{self, Read},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tempfile::TempDir;

use self::monitor::{Heard, Monitor};
use super::{
    Backtrace, CpuState, Execution, ExecutionError, Frame, Snapshot,
    child::{Killed, Stopper},
    outside::{self, Compared},
};
use crate::advice::Advice;
use crate::{addr::Gpa, qemu::Machine};

pub use command::{CommandError, names_release};

/// How long an emulator may take to open its sockets.
const START: Duration = Duration::from_secs(30);
/// A replay that executes nothing for so long does not get on.
const STALL: Duration = Duration::from_secs(15);
/// How often a running replay is asked where it is.
const ASKED: Duration = Duration::from_millis(200);
/// QEMU, `vapic_post_load` (hw/i386/kvmvapic.c): waits for a CPU that waits for
/// the replay's lock.
const NO_WAY_BACK: &str = "the emulator hung in going back to a snapshot, as a PC does whose BIOS \
                           has set up kvmvapic: it was started anew to go back";
/// Bytes of an emulator's complaints that are kept.
const COMPLAINTS: u64 = 4096;

/// What to replay.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recording {
    /// The command line that it was recorded with, the program first.
    pub command: Vec<String>,
    /// The log to replay.
    pub log: PathBuf,
    /// How many instructions the log goes on for, where that is known.
    pub instructions: Option<u64>,
    /// The names of memory regions that are not looked at.
    pub ignored_regions: Vec<String>,
}

impl Recording {
    /// What was recorded by this command line into `log`; all of its RAM is looked at.
    pub fn new<S: Into<String>>(
        command: impl IntoIterator<Item = S>,
        log: impl Into<PathBuf>,
    ) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { command, log: log.into(), instructions: None, ignored_regions: Vec::new() }
    }

    /// The same for a log that goes on for so many instructions.
    #[must_use]
    pub fn instructions(self, instructions: Option<u64>) -> Self {
        Self { instructions, ..self }
    }

    /// The same without memory regions of these names.
    #[must_use]
    pub fn without_regions(self, ignored_regions: Vec<String>) -> Self {
        Self { ignored_regions, ..self }
    }
}

/// A replay by QEMU.
pub struct Replay {
    recording: Recording,
    stopper: Stopper,
    running: Option<Started>,
    /// Where it stands, or stood last.
    at: u64,
    /// Whether snapshots can be made and gone back to.
    checkpoints: bool,
    saved: u32,
    remarks: Vec<&'static str>,
}

/// An emulator that was started; ends with this.
struct Started {
    child: Killed,
    monitor: Monitor,
    // Behind the process that has its files open.
    folder: TempDir,
}

impl Started {
    /// What the emulator said last, on one line.
    fn complaint(&self) -> String {
        let mut text = String::new();
        if let Ok(file) = File::open(self.folder.path().join("stderr")) {
            let _ = file.take(COMPLAINTS).read_to_string(&mut text);
        }
        let said = |line: &&str| !line.is_empty() && !line.contains(": info: ");
        let lines: Vec<_> = text.lines().map(str::trim).filter(said).collect();
        lines.join("; ")
    }
}

impl Replay {
    /// Starts the replay; it stands at its first instruction.
    ///
    /// # Errors
    /// When the command line cannot be used, or the emulator does not start.
    pub fn start(recording: Recording) -> Result<Self, StartError> {
        let stopper = Stopper::default();
        let (running, checkpoints) = launch(&recording, &stopper)?;
        Ok(Self {
            recording,
            stopper,
            running: Some(running),
            at: 0,
            checkpoints,
            saved: 0,
            remarks: Vec::new(),
        })
    }

    /// What ends it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    fn failed(&self, step: &'static str, what: impl ToString) -> ExecutionError {
        ExecutionError::Failed { step, at: self.at, what: what.to_string() }
    }

    /// The emulator, started again where it has ended.
    fn running(&mut self) -> Result<&mut Started, ExecutionError> {
        if self.running.is_none() {
            self.at = 0;
            self.saved = 0;
            let (running, checkpoints) = launch(&self.recording, &self.stopper)
                .map_err(|error| self.failed("starting the emulator", error))?;
            self.checkpoints &= checkpoints;
            self.running = Some(running);
        }
        let at = self.at;
        self.running.as_mut().ok_or(ExecutionError::Ended { at })
    }

    /// Runs a command of the monitor.
    fn execute(
        &mut self,
        command: &'static str,
        arguments: serde_json::Value,
    ) -> Result<serde_json::Value, ExecutionError> {
        match self.running()?.monitor.execute(command, arguments) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => Err(self.failed(command, refusal)),
            Err(error) => Err(self.lost(command, &error)),
        }
    }

    /// Runs a command of the human monitor.
    fn ask(&mut self, line: &str) -> Result<String, ExecutionError> {
        let answer = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// What became of an emulator that does not answer any more.
    fn lost(&mut self, step: &'static str, error: &io::Error) -> ExecutionError {
        let at = self.at;
        let Some(mut running) = self.running.take() else { return ExecutionError::Ended { at } };
        if monitor::is_timeout(error) {
            return self.failed(step, "the emulator does not answer");
        }
        if error.kind() != io::ErrorKind::UnexpectedEof {
            return self.failed(step, error);
        }
        let status = running.child.child.wait();
        let complaint = running.complaint();
        match status {
            Ok(status) if status.success() => ExecutionError::Ended { at },
            Ok(status) if complaint.is_empty() => {
                self.failed(step, format!("the emulator ended: {status}"))
            }
            _ => self.failed(step, format!("the emulator ended: {complaint}")),
        }
    }

    /// The instructions that it has executed.
    fn count(&mut self) -> Result<u64, ExecutionError> {
        let answer = self.execute("query-replay", json!({}))?;
        match answer["icount"].as_u64() {
            Some(count) => Ok(count),
            None => Err(self.failed("query-replay", "it gives no count of instructions")),
        }
    }

    /// Waits until it stops.
    fn wait(&mut self) -> Result<u64, ExecutionError> {
        let mut moved = Instant::now();
        loop {
            match self.running()?.monitor.listen(ASKED) {
                Ok(Heard::Stopped) => break,
                Ok(Heard::Nothing) => {}
                Err(error) => return Err(self.lost("replaying", &error)),
            }
            let now = self.count()?;
            if now != self.at {
                (self.at, moved) = (now, Instant::now());
            } else if moved.elapsed() > STALL {
                self.running = None;
                return Err(ExecutionError::Stuck { at: self.at });
            }
        }
        self.at = self.count()?;
        Ok(self.at)
    }

    /// Runs on to a later instruction.
    fn forward(&mut self, instruction: u64) -> Result<u64, ExecutionError> {
        self.execute("replay-break", json!({ "icount": instruction }))?;
        self.running()?.monitor.forget();
        self.execute("cont", json!({}))?;
        let at = self.wait()?;
        if at < instruction {
            self.running = None;
            return Err(ExecutionError::Ended { at });
        }
        Ok(at)
    }

    /// Goes back by a snapshot; none where there is no way.
    fn back(&mut self, instruction: u64) -> Result<Option<u64>, ExecutionError> {
        if !self.checkpoints {
            return Ok(None);
        }
        self.running()?.monitor.forget();
        match self.execute("replay-seek", json!({ "icount": instruction })) {
            Ok(_) => self.wait().map(|at| (at >= instruction).then_some(at)),
            Err(ExecutionError::Failed { step: "replay-seek", .. }) => {
                if self.running.is_none() {
                    self.checkpoints = false;
                    self.remarks.push(NO_WAY_BACK);
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn cpus(&mut self, machine: &Machine) -> Result<Vec<CpuState>, ExecutionError> {
        let text = self.ask("info registers -a")?;
        let mut cpus = registers::parse(&text);
        if cpus.is_empty() {
            return Err(self.failed("info registers", "it names no CPU"));
        }
        for cpu in &mut cpus {
            cpu.paging = machine.cpu(cpu.number).and_then(|known| known.regs);
        }
        Ok(cpus)
    }
}

impl Execution for Replay {
    fn position(&mut self) -> Result<u64, ExecutionError> {
        self.at = self.count()?;
        Ok(self.at)
    }

    fn go_to(&mut self, instruction: u64) -> Result<u64, ExecutionError> {
        let at = self.position()?;
        if at < instruction {
            return self.forward(instruction);
        }
        if at == instruction {
            return Ok(at);
        }
        if let Some(at) = self.back(instruction)? {
            return Ok(at);
        }
        self.running = None;
        match self.position()? {
            at if at < instruction => self.forward(instruction),
            at => Ok(at),
        }
    }

    fn end(&mut self) -> Result<u64, ExecutionError> {
        // Behind the last instruction the emulator ends.
        Ok(self.recording.instructions.map_or(u64::MAX, |count| count.saturating_sub(1)))
    }

    fn checkpoint(&mut self) -> Result<(), ExecutionError> {
        if self.checkpoints {
            self.saved += 1;
            let refusal = self.ask(&format!("savevm rr-mem-{}", self.saved))?;
            self.checkpoints = refusal.trim().is_empty();
        }
        Ok(())
    }

    fn snapshot(&mut self) -> Result<Snapshot<'_>, ExecutionError> {
        let pid = self.running()?.child.id();
        let emulator = outside::emulator(pid).map_err(|(step, what)| self.failed(step, what))?;
        let cpus = self.cpus(&emulator.machine)?;
        let Compared { ram, memory, regions } =
            Compared::of(&emulator, &self.recording.ignored_regions)
                .map_err(|(step, what)| self.failed(step, what))?;
        Ok(Snapshot { cpus, ram, regions, memory: Box::new(memory) })
    }

    fn goes_back(&self) -> bool {
        self.checkpoints
    }

    fn next_change(
        &mut self,
        _: &[std::ops::RangeInclusive<Gpa>],
        _: u64,
    ) -> Result<Option<u64>, ExecutionError> {
        Err(self.failed("watching", "every instruction can be stopped at instead"))
    }

    fn most_places(&self) -> usize {
        0
    }

    fn backtrace(&mut self) -> Result<Backtrace, ExecutionError> {
        let text = self.ask("info registers -a")?;
        let guest = match &registers::parse(&text)[..] {
            [CpuState { pc: Some(address), .. }] => vec![Frame { address: *address, name: None }],
            // Which CPU runs, what follows says.
            _ => Vec::new(),
        };
        Ok(Backtrace { guest, host: Vec::new() })
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.iter().map(|&remark| remark.to_owned()).collect()
    }
}

/// Why a replay was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The command line cannot be used.
    #[error("{0}")]
    Command(#[from] CommandError),
    /// The program did not run, or its sockets stay closed.
    #[error("{program}: {what}")]
    Program {
        /// Its name.
        program: String,
        /// What happened.
        what: String,
    },
}

impl StartError {
    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Command(error) => error.advice(),
            Self::Program { .. } => Advice::Say(
                "give the command line that the log was recorded with, from the same folder",
            ),
        }
    }
}

/// Starts the emulator and connects to it; and whether it has snapshots.
fn launch(recording: &Recording, stopper: &Stopper) -> Result<(Started, bool), StartError> {
    let folder = tempfile::Builder::new().prefix("rr-mem-").tempdir().map_err(CommandError::Io)?;
    let prepared = command::prepare(&recording.command, &recording.log, folder.path())?;
    let failed = |what: String| StartError::Program { program: prepared.program.clone(), what };
    let errors = File::create(folder.path().join("stderr")).map_err(CommandError::Io)?;
    let output = errors.try_clone().map_err(CommandError::Io)?;
    let child = Command::new(&prepared.program)
        .args(&prepared.arguments)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let mut child = stopper.own(child).ok_or_else(|| failed("interrupted".to_owned()))?;
    match connect(&mut child.child, &prepared) {
        Ok(monitor) => Ok((Started { child, monitor, folder }, prepared.checkpoints)),
        Err(error) => {
            drop(child);
            let said = fs::read_to_string(folder.path().join("stderr")).unwrap_or_default();
            let said = said.trim();
            Err(failed(if said.is_empty() { error.to_string() } else { said.to_owned() }))
        }
    }
}

/// Reads the guest's serial lines, whose reader the recording had too, and
/// opens the monitor.
fn connect(child: &mut Child, prepared: &command::Prepared) -> io::Result<Monitor> {
    let limit = Instant::now() + START;
    for path in &prepared.consoles {
        let mut console = open_socket(path, child, limit)?;
        thread::spawn(move || io::copy(&mut console, &mut io::sink()));
    }
    Monitor::new(open_socket(&prepared.monitor, child, limit)?, child.id())
}

fn open_socket(path: &Path, child: &mut Child, limit: Instant) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) if Instant::now() > limit => return Err(error),
            Err(_) => {}
        }
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(format!("it ended at once: {status}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
}
