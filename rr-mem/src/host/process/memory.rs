//! The bytes of a process: "process_vm_readv(2)" (and process_vm_writev, for who
//! asks), `/proc/PID/mem` where that is missing, and "proc_pid_pagemap(5)" for pages that were never touched.
//!
//! Such a page is answered as zeros, not read: reading would make the kernel
//! fill it in. That holds for private memory without a file only. Known limit:
//! with post-copy migration a page that is not there yet is on the other
//! machine, and reads as zeros here.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::FileExt,
    sync::Arc,
};

use nix::{
    errno::Errno,
    sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev},
    unistd::Pid,
};

use crate::{
    addr::{Address, Hva, PAGE},
    host::maps::HostMapping,
    memory::{Memory, ReadCause, ReadError},
};

/// What reading a process needs, for people.
pub(super) const RIGHTS: &str = "it takes ptrace rights: the same user and kernel.yama.ptrace_scope 0, or root (CAP_SYS_PTRACE)";

/// Pages that one look at the pagemap is about.
const PAGES: usize = 512;

/// The memory of a process; cheap to clone.
#[derive(Clone, Debug)]
pub struct ProcessMemory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pid: u32,
    /// Without rights to it, or on kernels that have none, nothing is skipped.
    pagemap: Option<File>,
    /// For kernels without process_vm_readv; opened by who may.
    mem: Option<File>,
    /// First and one past the last address of anonymous memory, sorted.
    anonymous: Vec<(u64, u64)>,
}

impl ProcessMemory {
    pub(super) fn new(pid: u32, mappings: &[HostMapping]) -> Self {
        let file = |name| File::open(super::folder(pid).join(name)).ok();
        let anonymous = mappings
            .iter()
            .filter(|mapping| mapping.is_anonymous())
            .map(|mapping| (mapping.area.start.0, mapping.end()))
            .collect();
        Self(Arc::new(Inner { pid, pagemap: file("pagemap"), mem: file("mem"), anonymous }))
    }

    /// How many of `len` bytes from `start` on the host has memory for (pages
    /// in swap too); `None` without rights to know.
    #[must_use]
    pub fn resident(&self, start: Hva, len: u64) -> Option<u64> {
        let (mut at, mut bytes) = (start.0, 0);
        let end = start.0.checked_add(len)?;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX);
            let (len, there) = self.0.touched(at, wanted)?;
            bytes += if there { len as u64 } else { 0 };
            at += (len as u64).max(1);
        }
        Some(bytes)
    }

    /// Reads one byte that must be there: says whether we may read at all.
    pub(super) fn probe(&self, mappings: &[HostMapping]) -> io::Result<()> {
        let file = |mapping: &&HostMapping| mapping.inode != 0 && mapping.area.readable;
        let Some(mapping) = mappings.iter().find(file) else { return Ok(()) };
        match self.0.fetch(mapping.area.start.0, &mut [0]) {
            Err(Errno::EFAULT) | Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Writes `bytes`, or says how many were.
pub(super) fn write(pid: u32, addr: Hva, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let number = Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
    let mut done = 0;
    while let rest @ [_, ..] = &bytes[done..] {
        let base = addr.checked_add(done as u64).and_then(|at| usize::try_from(at.0).ok());
        let base = base.ok_or_else(|| (done, Errno::EFAULT.into()))?;
        let remote = [RemoteIoVec { base, len: rest.len() }];
        match process_vm_writev(number, &[IoSlice::new(rest)], &remote) {
            Ok(0) => return Err((done, Errno::EFAULT.into())),
            Ok(written) => done += written,
            Err(errno) => return Err((done, errno.into())),
        }
    }
    Ok(())
}

impl Inner {
    /// Reads the first bytes of `dst`: how many.
    fn fetch(&self, addr: u64, dst: &mut [u8]) -> Result<usize, Errno> {
        let base = usize::try_from(addr).map_err(|_| Errno::EFAULT)?;
        let remote = [RemoteIoVec { base, len: dst.len() }];
        let pid = Pid::from_raw(i32::try_from(self.pid).map_err(|_| Errno::ESRCH)?);
        match process_vm_readv(pid, &mut [IoSliceMut::new(dst)], &remote) {
            Err(Errno::ENOSYS | Errno::EPERM) if self.mem.is_some() => self.fetch_file(addr, dst),
            other => other,
        }
    }

    fn fetch_file(&self, addr: u64, dst: &mut [u8]) -> Result<usize, Errno> {
        let mem = self.mem.as_ref().ok_or(Errno::EPERM)?;
        match mem.read_at(dst, addr) {
            Ok(read) => Ok(read),
            // EIO is how this file says that nothing is mapped.
            Err(error) => Err(match error.raw_os_error().map(Errno::from_raw) {
                None | Some(Errno::EIO) => Errno::EFAULT,
                Some(errno) => errno,
            }),
        }
    }

    fn error(&self, addr: u64, errno: Errno) -> ReadError {
        let pid = self.pid;
        let cause = match errno {
            Errno::EFAULT | Errno::EIO | Errno::EINVAL => ReadCause::Hole,
            Errno::ESRCH => ReadCause::Io(format!("process {pid} has exited").into()),
            Errno::EPERM | Errno::EACCES => {
                ReadCause::Io(format!("process {pid} may not be read: {RIGHTS}").into())
            }
            other => ReadCause::Io(format!("process {pid}: {}", other.desc()).into()),
        };
        ReadError::new(Hva(addr), cause)
    }

    /// Fills `dst`; a read that stops in the middle is taken up again at the
    /// border of its page.
    fn fetch_all(&self, addr: u64, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            let here = addr.wrapping_add(done as u64);
            let rest = &mut dst[done..];
            let in_page = ((PAGE - here % PAGE) as usize).min(rest.len());
            let read = match self.fetch(here, rest) {
                Ok(0) | Err(Errno::EFAULT) => self.fetch(here, &mut rest[..in_page]),
                other => other,
            };
            match read {
                Ok(0) => return Err(self.error(here, Errno::EFAULT)),
                Ok(read) => done += read,
                Err(errno) => return Err(self.error(here, errno)),
            }
        }
        Ok(())
    }

    /// How many of `len` bytes from `addr` on are alike, and whether they are
    /// to be fetched (else they are zeros).
    fn run(&self, addr: u64, len: usize) -> (usize, bool) {
        let after = self.anonymous.partition_point(|&(start, _)| start <= addr);
        let inside = after.checked_sub(1).map(|i| self.anonymous[i]).filter(|area| addr < area.1);
        let Some((_, end)) = inside else {
            let next = self.anonymous.get(after);
            return (next.map_or(len, |&(start, _)| bounded(start - addr, len)), true);
        };
        let len = bounded(end - addr, len);
        self.touched(addr, len).unwrap_or((len, true))
    }

    /// The same within anonymous memory, by the pagemap; `None` without one.
    fn touched(&self, addr: u64, len: usize) -> Option<(usize, bool)> {
        let pagemap = self.pagemap.as_ref()?;
        let first = addr / PAGE;
        let pages =
            (len as u64).saturating_add(addr % PAGE).div_ceil(PAGE).min(PAGES as u64) as usize;
        let mut entries = [0; PAGES * 8];
        let entries = &mut entries[..pages * 8];
        pagemap.read_exact_at(entries, first.checked_mul(8)?).ok()?;
        let mut states = entries.as_chunks::<8>().0.iter().map(|entry| in_use(*entry));
        let state = states.next()?;
        let alike = 1 + states.take_while(|other| *other == state).count() as u64;
        Some((bounded(alike * PAGE - addr % PAGE, len), state))
    }
}

/// Bit 63, present, or bit 62, swapped out.
fn in_use(entry: [u8; 8]) -> bool {
    u64::from_le_bytes(entry) >> 62 != 0
}

fn bounded(bytes: u64, len: usize) -> usize {
    usize::try_from(bytes).map_or(len, |bytes| bytes.min(len))
}

impl Memory<Hva> for ProcessMemory {
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            let here = addr.checked_add(done as u64);
            let here = here.ok_or_else(|| ReadError::new(addr, ReadCause::Hole))?.0;
            let (len, fetch) = self.0.run(here, dst.len() - done);
            let part = &mut dst[done..done + len];
            match fetch {
                true => self.0.fetch_all(here, part)?,
                false => part.fill(0),
            }
            done += len;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Host, process::Process};

    #[test]
    fn untouched_pages_read_as_zero_and_stay_untouched() {
        const LEN: usize = 64 << 20;
        let mut fresh: Vec<u8> = Vec::with_capacity(LEN);
        let start = fresh.as_mut_ptr() as u64;
        let process = Process::open(std::process::id()).expect("we run");
        let memory = process.memory();
        let middle = start + (LEN / 2) as u64;
        let mut bytes = vec![1; 3 * PAGE as usize];
        memory.read(Hva(middle + 5), &mut bytes).expect("is mapped");
        assert!(bytes.iter().all(|byte| *byte == 0));
        let untouched = memory.0.touched(middle, 2 * PAGE as usize);
        assert_eq!(untouched, Some((2 * PAGE as usize, false)));
        fresh.push(7);
        memory.read(Hva(start), &mut bytes).expect("is mapped");
        assert_eq!(bytes[..2], [7, 0]);
    }

    #[test]
    fn what_is_not_mapped_is_a_hole_at_its_first_address() {
        let process = Process::open(std::process::id()).expect("we run");
        let error = process.memory().read(Hva(8), &mut [0; 16]).expect_err("the null page");
        assert_eq!((error.addr, error.kind()), (8, "hole"));
        let error = process.memory().read(Hva(u64::MAX), &mut [0; 16]).expect_err("the top");
        assert_eq!(error.kind(), "hole");
    }
}
