//! Looking for the first table of an address space in memory without
//! registers.
//!
//! Every aligned piece of memory is read as a first table. It is one when its
//! kernel half leads to sound tables only (`judge`) and maps the table itself:
//! kernels map all of their memory, their own tables included. A lower table is
//! judged once for all candidates. KPTI's user table, which maps as little of
//! the kernel as it can, is found beside its full one (`pair`). Candidates that
//! share their kernel half with most others come first (`rank`).
//!
//! Not found: the tables of a kernel that does not map its tables where they
//! are in memory, and TTBR0's tables of AArch64, which hold no kernel.

mod judge;
mod pair;
mod rank;
mod shapes;
#[cfg(test)]
mod tests;

use self::{
    judge::{Half, Judge, Reach},
    shapes::{View, views},
};
use super::{
    Mmu, each_paging,
    walk::{Paging, Table},
};
use crate::{
    addr::{Address, Gpa, PAGE},
    memory::Memory,
    regs::{Register, Regs},
};

pub use shapes::usual_shapes;

/// A plausible first table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCandidate {
    /// Its guest physical address.
    pub root: Gpa,
    /// The register that holds it: CR3, TTBR0 or TTBR1.
    pub register: Register,
    /// The mode that it was read in.
    pub mode: &'static str,
    /// The registers to translate with, this table in place.
    pub regs: Regs,
    /// 4 KB units mapped in the kernel half.
    pub kernel_pages: u64,
    /// 4 KB units mapped in the other half.
    pub user_pages: u64,
    /// Candidates with the same kernel half, this one included.
    pub shared_by: usize,
    /// The other table of a KPTI pair, listed next to this one.
    pub pair: Option<Gpa>,
}

/// What a scan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// Best first.
    pub candidates: Vec<RootCandidate>,
    /// Whether a limit was hit: the tables lead into each other more often than
    /// a guest's do, and candidates may be missing.
    pub truncated: bool,
}

/// Scans the ranges of `memory` for first tables of any of the kinds that
/// `shapes` use; [`usual_shapes`] gives them where only the architecture is
/// known. Tables of more than one kind are not listed together: a guest has
/// one, that of the best candidate. `progress` hears the bytes scanned so far.
pub fn find_roots<M: Memory + ?Sized>(
    shapes: &[Regs],
    memory: &M,
    ranges: &[(Gpa, u64)],
    progress: &mut dyn FnMut(u64),
) -> Roots {
    let mut all = Vec::new();
    let mut truncated = false;
    let mut done = 0;
    for regs in shapes.iter().flat_map(shapes::passes) {
        // A shape that no walker models has no tables to be found.
        let Ok(mmu) = Mmu::new(&regs) else { continue };
        let found = each_paging!(mmu, paging => {
            let mut scan = Scan::new(&paging, &regs, memory, ranges);
            scan.run(ranges, &mut |bytes| progress(done + bytes));
            truncated |= scan.judge.exhausted();
            scan.found
        });
        done += total(ranges);
        all.extend(found);
    }
    Roots { candidates: rank::ranked(all), truncated }
}

fn total(ranges: &[(Gpa, u64)]) -> u64 {
    ranges.iter().fold(0, |sum, (_, len)| sum.saturating_add(*len))
}

/// A candidate, and what it is compared by.
struct Found {
    candidate: RootCandidate,
    /// Where the entries of the kernel half lead, as one number.
    kernel_half: u64,
    /// 4 KB units of memory that the kernel half maps.
    held: u64,
    /// Pages of the user's half that only the kernel may read. A process has
    /// nearly none; a table for switching paging on and off maps all of memory
    /// so.
    misplaced: u64,
}

/// No table is larger: a piece of memory aligned to this holds whole tables.
const BLOCK: u64 = 64 << 10;

struct Scan<'a, P: Paging, M: ?Sized> {
    judge: Judge<'a, P, M>,
    regs: &'a Regs,
    views: Vec<View<P::Inherited>>,
    found: Vec<Found>,
}

impl<'a, P: Paging, M: Memory + ?Sized> Scan<'a, P, M> {
    fn new(paging: &'a P, regs: &'a Regs, memory: &'a M, ranges: &[(Gpa, u64)]) -> Self {
        let judge = Judge::new(paging, memory, total(ranges));
        Self { judge, regs, views: views(paging, regs.arch()), found: Vec::new() }
    }

    fn run(&mut self, ranges: &[(Gpa, u64)], progress: &mut dyn FnMut(u64)) {
        let mut copy = vec![0; BLOCK as usize];
        let mut before = 0;
        for &(start, len) in ranges {
            let mut done = 0;
            while done < len && !self.judge.exhausted() {
                let Some(at) = start.checked_add(done) else { break };
                let ask = (BLOCK - at.0 % BLOCK).min(len - done);
                let (bytes, next) = piece(self.judge.memory, at, ask, &mut copy);
                self.piece(at, bytes);
                done += next;
                if at.0 % (64 << 20) == 0 {
                    progress(before + done);
                }
            }
            before += len;
        }
    }

    /// Tries every table that lies in `bytes`.
    fn piece(&mut self, at: Gpa, bytes: &[u8]) {
        for number in 0..self.views.len() {
            let view = self.views[number].clone();
            let size = self.judge.paging.entry_bytes() << view.table.bits;
            let first = (size - at.0 % size) % size;
            let tables = bytes.get(first as usize..).unwrap_or_default();
            for (n, table) in tables.chunks_exact(size as usize).enumerate() {
                self.table(&view, Gpa(at.0 + first + n as u64 * size), table);
            }
        }
    }

    /// Takes `bytes` at `base` as a first table, if it reads as one.
    fn table(&mut self, view: &View<P::Inherited>, base: Gpa, bytes: &[u8]) {
        let size = self.judge.paging.entry_bytes();
        let kernel = &bytes[(view.kernel.start * size) as usize..(view.kernel.end * size) as usize];
        if is_zero(kernel) {
            return;
        }
        let table = Table { base, ..view.table };
        let look = self.judge.look(&table, kernel, Half::Kernel);
        let Some(kernel) = look.and_then(|look| self.judge.settle(look, Half::Kernel)) else {
            return;
        };
        // Kernels let the user into few pages of their half, if any.
        if kernel.held == 0 || kernel.user > kernel.supervisor {
            return;
        }
        let Some(user) = self.judge.examine(&table, view.user.clone(), Half::User) else { return };
        if !self.judge.maps(&table, view.kernel.clone(), base) {
            return;
        }
        let main = self.candidate(view, &table, kernel, user);
        self.found.push(main);
        self.take_pair(view, &table);
    }

    fn candidate(
        &self,
        view: &View<P::Inherited>,
        table: &Table<P::Inherited>,
        kernel: Reach,
        user: Reach,
    ) -> Found {
        let candidate = RootCandidate {
            root: table.base,
            register: view.register,
            mode: self.judge.paging.mode(),
            regs: shapes::with_root(self.regs, view.register, table.base),
            kernel_pages: kernel.pages(),
            user_pages: user.pages(),
            shared_by: 1,
            pair: None,
        };
        Found {
            candidate,
            kernel_half: self.judge.digest(table, view.kernel.clone()),
            held: kernel.held,
            misplaced: user.supervisor,
        }
    }
}

/// What can be read of the `len` bytes at `at`, and how far on to go on.
fn piece<'b, M: Memory + ?Sized>(
    memory: &'b M,
    at: Gpa,
    len: u64,
    copy: &'b mut [u8],
) -> (&'b [u8], u64) {
    if let Some(bytes) = memory.slice(at, len as usize) {
        return (bytes, len);
    }
    let copy = &mut copy[..len as usize];
    match memory.read(at, copy) {
        Ok(()) => (copy, len),
        Err(error) => {
            let held = error.addr.saturating_sub(at.0).min(len);
            let rest_of_page = PAGE - error.addr % PAGE;
            (&copy[..held as usize], held + rest_of_page)
        }
    }
}

/// Without a way out in the middle, so that it is compiled to wide loads.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.as_chunks().0.iter().fold(0, |any, word| any | u32::from_ne_bytes(*word)) == 0
}
