//! The frames of a thread: which functions it is in. DWARF 5, "Call Frame
//! Information", and `.eh_frame` of the LSB Core, read by `framehop`; a stripped
//! program has both.
//!
//! Only hosts of x86_64. Not here: names, which symbols give.

use std::ops::Range;

use framehop::{
    ExplicitModuleSectionInfo, Module as Unwound, Unwinder as _,
    x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64},
};
use object::{Object, ObjectSection, ObjectSegment, read::File};

use super::Module;
use crate::{addr::Hva, memory::Memory};

/// Frames that are followed, at most.
const MOST: usize = 64;

/// Where a thread is, and its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackRegisters {
    /// RIP.
    pub pc: u64,
    /// RSP.
    pub sp: u64,
    /// RBP.
    pub fp: u64,
}

/// The code addresses of a thread's frames, innermost first. The first is the
/// next instruction; each other lies within a call that has not returned.
/// `generated` are ELF images of code without a file, with its addresses in the
/// process. Ends where the stack can be followed no further, and after 64
/// frames.
pub fn frames<M: Memory<Hva>>(
    modules: &[Module],
    generated: &[Vec<u8>],
    memory: &M,
    at: StackRegisters,
) -> Vec<u64> {
    let mut unwinder = UnwinderX86_64::<&[u8]>::new();
    for module in modules {
        let file = module.file.as_ref().map(|file| file.bytes());
        if let Some(unwound) = file.and_then(|file| unwound(file, module.bias)) {
            unwinder.add_module(unwound);
        }
    }
    for unwound in generated.iter().filter_map(|image| unwound(image, 0)) {
        unwinder.add_module(unwound);
    }
    let mut cache = CacheX86_64::new();
    let mut read = |address| memory.read_u64(Hva(address)).map_err(drop);
    let registers = UnwindRegsX86_64::new(at.pc, at.sp, at.fp);
    let mut frames = unwinder.iter_frames(at.pc, registers, &mut cache, &mut read);
    let mut found = Vec::new();
    while let (true, Ok(Some(frame))) = (found.len() < MOST, frames.next()) {
        found.push(frame.address_for_lookup());
    }
    found
}

/// What unwinding needs of an ELF image whose addresses are moved by `bias`.
fn unwound(image: &[u8], bias: u64) -> Option<Unwound<&[u8]>> {
    let file = File::parse(image).ok()?;
    let section = |name| {
        let section = file.section_by_name(name)?;
        let end = section.address().checked_add(section.size())?;
        Some((section.address()..end, section.data().ok()?))
    };
    let (text, eh_frame) = (section(".text"), section(".eh_frame"));
    let (header, debug_frame) = (section(".eh_frame_hdr"), section(".debug_frame"));
    let loaded = file
        .segments()
        .map(|segment| segment.address()..segment.address().saturating_add(segment.size()));
    let range = loaded.chain(text.iter().map(|(range, _)| range.clone())).reduce(both)?;
    let moved = range.start.wrapping_add(bias)..range.end.wrapping_add(bias);
    let sections = ExplicitModuleSectionInfo {
        base_svma: range.start,
        text_svma: text.as_ref().map(|(range, _)| range.clone()),
        text: text.map(|(_, bytes)| bytes).filter(|bytes| !bytes.is_empty()),
        eh_frame_svma: eh_frame.as_ref().map(|(range, _)| range.clone()),
        eh_frame: eh_frame.map(|(_, bytes)| bytes),
        eh_frame_hdr_svma: header.as_ref().map(|(range, _)| range.clone()),
        eh_frame_hdr: header.map(|(_, bytes)| bytes),
        debug_frame: debug_frame.map(|(_, bytes)| bytes),
        got_svma: section(".got").map(|(range, _)| range),
        ..ExplicitModuleSectionInfo::default()
    };
    let base = moved.start;
    Some(Unwound::new(String::new(), moved, base, sections))
}

fn both(a: Range<u64>, b: Range<u64>) -> Range<u64> {
    a.start.min(b.start)..a.end.max(b.end)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use nix::{
        sys::{ptrace, wait::waitpid},
        unistd::Pid,
    };

    use super::*;
    use crate::host::{Host, process::Process};

    /// A program of this machine that waits, stopped by us.
    struct Waiting {
        child: Child,
        pid: Pid,
    }

    impl Waiting {
        fn start() -> Self {
            let child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
            let child = child.expect("cat runs");
            let pid = Pid::from_raw(child.id() as i32);
            while !std::fs::read_to_string(format!("/proc/{pid}/wchan"))
                .is_ok_and(|waits| waits.contains("pipe"))
            {
                std::thread::yield_now();
            }
            ptrace::attach(pid).expect("is ours");
            waitpid(pid, None).expect("stops");
            Self { child, pid }
        }

        fn registers(&self) -> StackRegisters {
            let all = ptrace::getregs(self.pid).expect("is stopped");
            StackRegisters { pc: all.rip, sp: all.rsp, fp: all.rbp }
        }
    }

    impl Drop for Waiting {
        fn drop(&mut self) {
            let _ = ptrace::kill(self.pid);
            let _ = self.child.wait();
        }
    }

    #[test]
    fn a_stripped_program_that_waits_is_followed_to_its_beginning() {
        let waiting = Waiting::start();
        let process = Process::open(waiting.child.id()).expect("is ours");
        let at = waiting.registers();
        let found = frames(process.modules(), &[], process.memory(), at);
        assert_eq!(found.first(), Some(&at.pc));
        let main = &process.modules()[0];
        let entry = {
            let file = File::parse(main.file.as_ref().expect("is there").bytes()).expect("is ELF");
            file.entry().wrapping_add(main.bias)
        };
        let last = *found.last().expect("there are frames");
        assert!((entry..entry + 64).contains(&last), "{last:#x} is not behind {entry:#x}");
        assert!(found.len() > 3, "{found:x?}");
    }

    #[test]
    fn a_stack_that_is_none_ends_at_its_first_frame() {
        let process = Process::open(std::process::id()).expect("we run");
        let nowhere = StackRegisters { pc: 0x10, sp: 0x10, fp: 0x10 };
        let found = frames(process.modules(), &[], process.memory(), nowhere);
        assert_eq!(found, [0x10]);
    }
}
