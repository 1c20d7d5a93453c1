//! A client of gdb's remote protocol, as rr's server speaks it: Debugging with
//! GDB, appendix "GDB Remote Serial Protocol"; rr's own packets (`qRRCmd`, and
//! `vRun` that seeks) as its gdb script uses them.

use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use super::condition::Condition;
use crate::{addr::Hva, bits::hex_digits};

/// No packet is longer.
const LONGEST: u64 = 1 << 20;
/// What we understand ("qSupported").
const FEATURES: &str = "qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+";
/// The signal of a thread whose process ends.
const SIGKILL: u8 = 9;
/// A command that every rr has, and what it answers.
const WHEN: &str = "when";
const EVENT: &str = "event: ";
/// A stop without a signal, and how often one is passed over.
const INTERRUPTED: &str = "T00";
const INTERRUPTIONS: usize = 4;
/// The end of what is recorded, in the reply to a command that goes on.
const EXITED: [u8; 2] = [b'W', b'X'];

/// Why the debuggee stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was told to, or one of the watched addresses was written.
    Here {
        /// The thread that ran, as the protocol names it.
        thread: String,
        /// The address that is watched.
        watch: Option<Hva>,
    },
    /// Another program begins in the process: rr goes there only by a seek.
    Exec,
    /// The recording ends.
    End,
}

/// A connection to a server.
pub struct Remote<S = TcpStream> {
    stream: BufReader<S>,
    acknowledges: bool,
    commands: Dialect,
}

/// How rr's own commands are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// By name, with a thread.
    Plain,
    /// By the digits of the name, without: rr up to 5.6.
    Digits,
}

impl<S: Read + Write> Remote<S> {
    /// Shakes hands.
    ///
    /// # Errors
    /// When the other side is no such server.
    pub fn new(stream: S) -> io::Result<Self> {
        let stream = BufReader::new(stream);
        let mut remote = Self { stream, acknowledges: true, commands: Dialect::Plain };
        remote.ask(FEATURES)?;
        remote.accepted("QStartNoAckMode")?;
        remote.acknowledges = false;
        if !remote.command(WHEN, &[])?.contains(EVENT) {
            remote.commands = Dialect::Digits;
        }
        Ok(remote)
    }

    /// Runs on, to the next stop. The first time behind [`Remote::seek`] rr
    /// stops at once, as if interrupted; that stop is skipped.
    ///
    /// # Errors
    /// Those of the connection, and of an answer that is none.
    pub fn go_on(&mut self) -> io::Result<Stop> {
        for _ in 0..INTERRUPTIONS {
            let answer = self.ask("vCont;c")?;
            if !answer.starts_with(INTERRUPTED) {
                return stop(&answer);
            }
        }
        Ok(Stop::Exec)
    }

    /// Goes to an event of the recording, or to a checkpoint by its name. What
    /// was watched is forgotten.
    ///
    /// # Errors
    /// As [`Remote::go_on`].
    pub fn seek(&mut self, place: &str) -> io::Result<Stop> {
        let answer = self.ask(&format!("vRun;;{}", hex(place)))?;
        stop(&answer)
    }

    /// Stops behind writes to `len` bytes at `address`, if `condition` holds
    /// then.
    ///
    /// # Errors
    /// As [`Remote::go_on`]; when the server has no means left.
    pub fn watch(
        &mut self,
        address: Hva,
        len: u64,
        condition: Option<&Condition>,
    ) -> io::Result<()> {
        let mut packet = format!("Z2,{:x},{len:x}", address.0);
        if let Some(condition) = condition {
            let code = condition.code();
            let digits = hex_digits(code);
            let _ = write!(packet, ";X{:x},{digits}", code.len());
        }
        self.accepted(&packet)
    }

    /// Watches an address no more.
    ///
    /// # Errors
    /// As [`Remote::watch`].
    pub fn forget(&mut self, address: Hva, len: u64) -> io::Result<()> {
        self.accepted(&format!("z2,{:x},{len:x}", address.0))
    }

    /// The registers of a thread, as they follow each other in its description.
    ///
    /// # Errors
    /// As [`Remote::go_on`].
    pub fn registers(&mut self, thread: &str) -> io::Result<Vec<u8>> {
        self.accepted(&format!("Hg{thread}"))?;
        let answer = self.ask("g")?;
        // Those that are not known are x.
        unhex(&answer.replace('x', "0")).ok_or_else(|| unexpected("g", &answer))
    }

    /// Runs a command of rr's own.
    ///
    /// # Errors
    /// As [`Remote::go_on`].
    pub fn command(&mut self, name: &str, arguments: &[&str]) -> io::Result<String> {
        let mut packet = match self.commands {
            Dialect::Plain => format!("qRRCmd:{name}:-1"),
            Dialect::Digits => format!("qRRCmd:{}", hex(name)),
        };
        for argument in arguments {
            let _ = write!(packet, ":{}", hex(argument));
        }
        let answer = self.ask(&packet)?;
        let text = unhex(&answer).ok_or_else(|| unexpected(name, &answer))?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }

    fn accepted(&mut self, packet: &str) -> io::Result<()> {
        match self.ask(packet)? {
            answer if answer == "OK" => Ok(()),
            answer => Err(unexpected(packet, &answer)),
        }
    }

    fn ask(&mut self, packet: &str) -> io::Result<String> {
        let sum = packet.bytes().fold(0u8, u8::wrapping_add);
        self.stream.get_mut().write_all(format!("${packet}#{sum:02x}").as_bytes())?;
        let answer = self.answer()?;
        if self.acknowledges {
            self.stream.get_mut().write_all(b"+")?;
        }
        Ok(answer)
    }

    /// The next packet of the server.
    fn answer(&mut self) -> io::Result<String> {
        self.until(b'$')?;
        let mut body = self.until(b'#')?;
        body.pop();
        let mut digits = [0; 2];
        self.stream.read_exact(&mut digits)?;
        let sum = body.iter().copied().fold(0u8, u8::wrapping_add);
        if digits != format!("{sum:02x}").as_bytes() {
            return Err(unexpected("a packet", "one whose checksum is wrong"));
        }
        let text = String::from_utf8(body).map_err(|_| unexpected("a packet", "binary data"))?;
        expanded(&text).ok_or_else(|| unexpected("a packet", &text))
    }

    fn until(&mut self, end: u8) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.by_ref().take(LONGEST).read_until(end, &mut bytes)?;
        match bytes.last() {
            Some(last) if *last == end => Ok(bytes),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// An answer that does not fit what was asked.
fn unexpected(asked: &str, answer: &str) -> io::Error {
    let answer: String = answer.chars().take(80).collect();
    io::Error::other(format!("the server answers {answer:?} to {asked:?}"))
}

/// Runs of equal characters, written out ("Overview").
fn expanded(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match (character, out.chars().next_back()) {
            ('*', Some(last)) => {
                // Up to `~`, the last character that is printed.
                let count = (rest.next()? as usize).checked_sub(29).filter(|count| *count <= 97)?;
                out.extend(std::iter::repeat_n(last, count));
            }
            _ => out.push(character),
        }
    }
    Some(out)
}

/// A reply to a command that goes on ("Stop Reply Packets").
fn stop(answer: &str) -> io::Result<Stop> {
    let wrong = || unexpected("a command that goes on", answer);
    match answer.as_bytes() {
        [kind, ..] if EXITED.contains(kind) => Ok(Stop::End),
        [b'T' | b'S', high, low, ..] => {
            let signal = u8::from_str_radix(&format!("{}{}", *high as char, *low as char), 16);
            if signal.map_err(|_| wrong())? == SIGKILL {
                return Ok(Stop::End);
            }
            let fields = answer.get(3..).unwrap_or_default();
            let field = |name: &str| {
                fields.split(';').find_map(|field| field.strip_prefix(name)?.strip_prefix(':'))
            };
            let watch = field("watch").and_then(|text| u64::from_str_radix(text, 16).ok());
            let thread = field("thread").unwrap_or("-1").to_owned();
            Ok(Stop::Here { thread, watch: watch.map(Hva) })
        }
        _ => Err(wrong()),
    }
}

fn hex(text: &str) -> String {
    hex_digits(text.as_bytes())
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}
