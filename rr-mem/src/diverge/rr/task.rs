//! The task that replays the emulator, where it stands: its memory and code.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use crate::{
    addr::Hva,
    debuginfo::{jit, symbols},
    diverge::Frame,
    host::{
        Host, Module,
        process::{Process, ProcessError},
        unwind::{self, StackRegisters},
    },
    memory::{Memory, ReadCause, ReadError},
};

/// A task of a replay; good until it is moved to another event.
pub struct Task {
    tid: u32,
    memory: File,
    process: Process,
}

impl Task {
    pub fn open(tid: u32) -> Result<Self, ProcessError> {
        let process = Process::open(tid)?;
        let memory = File::open(format!("/proc/{tid}/mem")).map_err(|source| ProcessError::Io {
            pid: tid,
            what: "its memory",
            source,
        })?;
        Ok(Self { tid, memory, process })
    }

    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// Whether `address` is in memory that no file is behind.
    pub fn is_anonymous(&self, address: Hva) -> bool {
        self.process
            .areas()
            .at(address)
            .is_some_and(|area| area.name.as_deref().is_none_or(str::is_empty))
    }

    /// The frames of a thread whose stack this is.
    pub fn frames(&self, at: StackRegisters) -> Vec<Frame> {
        let modules = self.process.modules();
        let addresses = unwind::frames(modules, &self.generated(), self, at);
        addresses.into_iter().map(|address| self.frame(address)).collect()
    }

    /// What the emulator says of the code that it made.
    fn generated(&self) -> Vec<Vec<u8>> {
        let of = |module: &Module| {
            let file = module.file.as_ref()?;
            let [descriptor] = symbols::find(file.bytes(), [jit::DESCRIPTOR]).ok()?;
            let address = Hva(descriptor?.wrapping_add(module.bias));
            jit::images(self, address).ok().filter(|images| !images.is_empty())
        };
        self.process.modules().iter().find_map(of).unwrap_or_default()
    }

    fn frame(&self, address: u64) -> Frame {
        Frame { address, name: self.name(address) }
    }

    fn name(&self, address: u64) -> Option<String> {
        if self.is_anonymous(Hva(address)) {
            return Some("translated code".to_owned());
        }
        let file = self.process.areas().at(Hva(address))?.name.as_deref()?;
        let mut modules = self.process.modules().iter();
        let module = modules.find(|module| module.path == Path::new(file))?;
        let place = address.wrapping_sub(module.bias);
        let file = module.path.file_name()?.to_string_lossy();
        let file = original(&file);
        match symbols::function(module.file.as_ref()?.bytes(), place) {
            Some((name, offset)) => Some(format!("{name}+{offset:#x} ({file})")),
            None => Some(format!("{file}+{place:#x}")),
        }
    }
}

/// The original name of a file that rr has put into its trace under a name such
/// as `mmap_hardlink_4_qemu-system-x86_64`.
fn original(name: &str) -> &str {
    let numbered = ["mmap_hardlink_", "mmap_clone_", "mmap_copy_", "mmap_pack_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix));
    let rest = numbered.and_then(|rest| rest.split_once('_'));
    rest.map_or(name, |(_, original)| original)
}

impl Memory<Hva> for Task {
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        match self.memory.read_exact_at(dst, addr.0) {
            Ok(()) => Ok(()),
            Err(error) => Err(unread(addr, &error)),
        }
    }
}

fn unread(addr: Hva, error: &io::Error) -> ReadError {
    ReadError::new(addr, ReadCause::Io(error.to_string().into()))
}

#[cfg(test)]
mod tests {
    use super::original;

    #[test]
    fn files_in_a_trace_have_their_own_names() {
        assert_eq!(original("mmap_hardlink_4_qemu-system-x86_64"), "qemu-system-x86_64");
        assert_eq!(original("mmap_clone_12_libc.so.6"), "libc.so.6");
        assert_eq!(original("libc.so.6"), "libc.so.6");
    }
}
