//! rr, replaying as a server: rr(1), `rr replay -s`; `rr ps`.

use std::{
    io::{self, BufRead, BufReader},
    net::TcpStream,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use super::{Recorded, TraceError, remote::Remote};
use crate::diverge::child::{Killed, Stopper};

/// What rr says to the debugger that it waits for; the port follows.
const INVITATION: &str = "target extended-remote ";
/// How long a replay may take to come to the emulator's first instruction.
const START: Duration = Duration::from_secs(120);
/// Bytes of rr's complaints that are kept.
const COMPLAINTS: usize = 4096;

/// A replay that was started; ends with this.
pub struct Server {
    _child: Killed,
    complaints: Arc<Mutex<String>>,
    pub remote: Remote,
}

impl Server {
    /// Starts to replay, and connects.
    pub fn start(recorded: &Recorded, stopper: &Stopper) -> Result<Self, TraceError> {
        let pid = emulator(recorded)?;
        let failed = |what: String| TraceError::Rr { program: recorded.program(), what };
        let mut child = command(recorded)
            .args(["replay", "-q", "-k", "-h", "127.0.0.1", "-s", "0", "-p", &pid.to_string()])
            .arg(&recorded.trace)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let errors = child.stderr.take();
        let child = stopper.own(child).ok_or_else(|| failed("interrupted".to_owned()))?;
        let complaints = Arc::new(Mutex::new(String::new()));
        let said = complaints.clone();
        let (sender, port) = mpsc::channel();
        thread::spawn(move || errors.map(|errors| listen(errors, &said, &sender)));
        let connected = port
            .recv_timeout(START)
            .map_err(|_| io::Error::other("it opens no port"))
            .and_then(connect);
        match connected {
            Ok(remote) => Ok(Self { _child: child, complaints, remote }),
            Err(error) => {
                drop(child);
                let said = text(&complaints);
                Err(failed(if said.is_empty() { error.to_string() } else { said }))
            }
        }
    }

    /// What rr said last.
    pub fn complaint(&self) -> String {
        text(&self.complaints)
    }
}

fn command(recorded: &Recorded) -> Command {
    let mut words = recorded.rr.iter();
    let mut command = Command::new(words.next().map_or("rr", String::as_str));
    command.args(words);
    command
}

fn connect(port: u16) -> io::Result<Remote> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    Remote::new(stream)
}

/// Reads what rr says to its end: the port when it is named, else a complaint.
fn listen(errors: impl io::Read, said: &Mutex<String>, port: &mpsc::Sender<u16>) {
    for line in BufReader::new(errors).lines() {
        let Ok(line) = line else { return };
        match port_of(&line) {
            Some(number) => {
                let _ = port.send(number);
            }
            None => {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.len() + line.len() < COMPLAINTS {
                    said.push_str(line.trim());
                    said.push('\n');
                }
            }
        }
    }
}

/// The port in `... target extended-remote 127.0.0.1:PORT ...`.
fn port_of(line: &str) -> Option<u16> {
    let (_, address) = line.split_once(INVITATION)?;
    let (_, port) = address.split_once(':')?;
    let digits = port.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn text(said: &Mutex<String>) -> String {
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    said.lines().filter(|line| !line.starts_with("Launch")).collect::<Vec<_>>().join("; ")
}

/// The emulator's process in the trace: the first whose program has an
/// emulator's name, else the first of all.
fn emulator(recorded: &Recorded) -> Result<u32, TraceError> {
    let failed = |what: String| TraceError::Rr { program: recorded.program(), what };
    let output = command(recorded).arg("ps").arg(&recorded.trace).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(said.lines().next().unwrap_or("it lists no processes").to_owned()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    choose(&text).ok_or_else(|| TraceError::NoProcess { trace: recorded.trace.clone() })
}

/// Of `rr ps`: PID, PPID, EXIT and CMD, between tabs.
fn choose(listing: &str) -> Option<u32> {
    let processes = listing.lines().skip(1).filter_map(|line| {
        let mut fields = line.split('\t');
        let pid: u32 = fields.next()?.split(' ').next()?.parse().ok()?;
        let program = fields.nth(2)?.split(' ').next()?;
        Some((pid, program.contains("-system-") || program.contains("qemu")))
    });
    let mut processes: Vec<_> = processes.collect();
    processes.sort_by_key(|(_, emulates)| !emulates);
    processes.first().map(|(pid, _)| *pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_command_that_rr_proposes() {
        let line = "  'gdb' '-l' '10000' '-ex' 'target extended-remote 127.0.0.1:41234' 'qemu'";
        assert_eq!(port_of(line), Some(41_234));
        assert_eq!(port_of("[FATAL] nothing"), None);
    }

    #[test]
    fn the_emulator_is_chosen_among_the_processes_of_a_trace() {
        let listing = "PID\tPPID\tEXIT\tCMD\n10\t--\t0\tsh -c qemu\n\
                       11\t10\t0\t/usr/bin/qemu-system-x86_64 -M pc\n12\t10\t0\t(forked without exec)\n";
        assert_eq!(choose(listing), Some(11));
        assert_eq!(choose("PID\tPPID\tEXIT\tCMD\n10\t--\t0\t./a.out\n"), Some(10));
        assert_eq!(choose("PID\tPPID\tEXIT\tCMD\n"), None);
    }
}
