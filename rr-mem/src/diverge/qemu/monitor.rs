//! A client of QEMU's machine protocol: QEMU, "QEMU Machine Protocol
//! Specification" (docs/interop/qmp-spec).

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long a command may take: savevm writes all RAM.
const PATIENCE: Duration = Duration::from_secs(300);
/// An emulator that owes an answer, and uses no processor for so long, hangs.
const HANGS: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOKED: Duration = Duration::from_millis(500);
/// No message is longer.
const LONGEST: u64 = 64 << 20;

/// What was heard.
pub enum Heard {
    /// The guest has stopped.
    Stopped,
    /// No such thing, in the time that was given.
    Nothing,
}

/// A connection to a monitor.
pub struct Monitor {
    stream: BufReader<UnixStream>,
    /// What has come of the next message.
    begun: Vec<u8>,
    stopped: bool,
    pid: u32,
}

impl Monitor {
    /// Shakes hands with the emulator that is process `pid`.
    pub fn new(stream: UnixStream, pid: u32) -> io::Result<Self> {
        let stream = BufReader::new(stream);
        let mut monitor = Self { stream, begun: Vec::new(), stopped: false, pid };
        monitor.message(Instant::now() + PATIENCE)?;
        monitor.execute("qmp_capabilities", json!({}))?.map_err(io::Error::other)?;
        Ok(monitor)
    }

    /// Runs a command: its answer, or the words it was refused with.
    pub fn execute(
        &mut self,
        command: &str,
        arguments: Value,
    ) -> io::Result<Result<Value, String>> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).map_err(closed)?;
        let limit = Instant::now() + PATIENCE;
        let (mut used, mut since) = (processor_time(self.pid), Instant::now());
        loop {
            let mut message = match self.message(limit.min(Instant::now() + LOOKED)) {
                Err(error) if is_timeout(&error) => {
                    let now = processor_time(self.pid);
                    if now.is_none() || now != used {
                        (used, since) = (now, Instant::now());
                    }
                    if Instant::now() > limit || since.elapsed() > HANGS {
                        return Err(error);
                    }
                    continue;
                }
                message => message?,
            };
            if let Some(answer) = message.get_mut("return") {
                return Ok(Ok(answer.take()));
            }
            if let Some(error) = message.get("error") {
                return Ok(Err(error["desc"].as_str().unwrap_or("refused").to_owned()));
            }
            self.note(&message);
        }
    }

    /// Forgets that the guest has stopped before.
    pub fn forget(&mut self) {
        self.stopped = false;
    }

    /// Waits for the guest to stop.
    pub fn listen(&mut self, time: Duration) -> io::Result<Heard> {
        let limit = Instant::now() + time;
        while !self.stopped {
            match self.message(limit) {
                Ok(message) => self.note(&message),
                Err(error) if is_timeout(&error) => return Ok(Heard::Nothing),
                Err(error) => return Err(error),
            }
        }
        Ok(Heard::Stopped)
    }

    fn note(&mut self, message: &Value) {
        match message["event"].as_str() {
            Some("STOP") => self.stopped = true,
            Some("RESUME") => self.stopped = false,
            _ => {}
        }
    }

    /// The next message; what has come of it is kept when time is up.
    fn message(&mut self, limit: Instant) -> io::Result<Value> {
        loop {
            let left = limit.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_millis(1));
            self.stream.get_ref().set_read_timeout(Some(left))?;
            let most = LONGEST.saturating_sub(self.begun.len() as u64);
            let read = self.stream.by_ref().take(most).read_until(b'\n', &mut self.begun);
            if read.map_err(closed)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.begun.ends_with(b"\n") {
                let line = std::mem::take(&mut self.begun);
                return Ok(serde_json::from_slice(&line)?);
            }
        }
    }
}

/// The ticks of processor time that a process has used (proc(5), `stat`);
/// `None` while it waits for a disk.
fn processor_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<_> = fields.split(' ').collect();
    let [user, system] = [11, 12].map(|field| fields.get(field)?.parse::<u64>().ok());
    (fields.first() != Some(&"D")).then_some(user? + system?)
}

pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// An emulator that has ended, in one way to say it.
fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => {
            io::ErrorKind::UnexpectedEof.into()
        }
        _ => error,
    }
}
