//! A running emulator alone, for whoever needs no guest of it.

use super::{Emulator, Running, SourceError, Which, attached::open_emulator};
use crate::{
    host::AnyHost,
    qemu::{Machine, Offsets},
};

impl Running {
    /// Reads the machine in it.
    ///
    /// # Errors
    /// As [`running_emulator`].
    pub fn read(&self) -> Result<Machine, SourceError> {
        running_emulator(self.pid).map(|emulator| emulator.machine)
    }

    /// As [`Running::read`]; `None` of one that has ended meanwhile.
    #[must_use]
    pub fn read_if_running(&self) -> Option<Result<Machine, SourceError>> {
        let read = self.read();
        let ended = read.as_ref().is_err_and(SourceError::has_ended);
        (!ended).then_some(read)
    }
}

/// The emulator that is process `pid`.
///
/// # Errors
/// As [`super::attach`].
pub fn running_emulator(pid: u32) -> Result<Emulator<AnyHost>, SourceError> {
    let process = Which::Process(pid);
    let opened = open_emulator(process, &Offsets::default(), &mut |_| Ok(()), &mut |_| {});
    opened.map(|(emulator, _)| emulator)
}
