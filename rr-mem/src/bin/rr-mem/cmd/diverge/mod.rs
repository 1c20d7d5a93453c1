//! `rr-mem diverge`.

mod logs;
mod qemu;
mod rr;
mod search;
mod state;

use std::thread;

use nix::sys::signal::{SigSet, Signal};
use rr_mem::diverge::Stopper;

use crate::{
    cli::diverge::DivergeCommand,
    output::{Outcome, Output, note},
};

pub fn run(command: &DivergeCommand, output: &mut Output) -> anyhow::Result<Outcome> {
    match command {
        DivergeCommand::Qemu(args) => qemu::run(args, output),
        DivergeCommand::Rr(args) => rr::run(args, output),
    }
}

/// The signals that end a program, kept from doing so.
fn held_signals() -> SigSet {
    let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    if let Err(error) = set.thread_block() {
        note(format!("an interrupted search will leave its emulators running: {error}"));
    }
    set
}

/// Ends the emulators when we are to end; all else follows from that.
fn end_on(signals: SigSet, stoppers: [Stopper; 2]) {
    thread::spawn(move || {
        while signals.wait().is_ok() {
            stoppers.iter().for_each(Stopper::stop);
        }
    });
}
