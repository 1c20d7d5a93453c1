//! What differs between two executions that stand at the same point.

use super::{CpuState, Ignored, Snapshot};
use crate::{
    addr::{Gpa, PAGE, RangeSet},
    guest::diff,
    memory::Memory,
};

/// Bytes that are listed, at most; all are counted.
const LISTED: u64 = 4096;

/// A register that has another value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegisterDifference {
    /// The emulator's number of the CPU.
    pub cpu: u64,
    /// Its name.
    pub register: String,
    /// Its bytes in the first execution; none where it does not have it.
    pub a: Option<Vec<u8>>,
    /// In the second.
    pub b: Option<Vec<u8>>,
}

/// Neighbouring bytes that all differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByteRun {
    /// The address of the first.
    pub gpa: Gpa,
    /// The bytes of the first execution.
    pub a: Vec<u8>,
    /// As many, of the second.
    pub b: Vec<u8>,
}

/// All that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Differences {
    /// By CPU, in the order of its registers.
    pub registers: Vec<RegisterDifference>,
    /// By ascending address, as far as they are listed.
    pub runs: Vec<ByteRun>,
    /// How many bytes differ.
    pub bytes: u64,
    /// In how many pages.
    pub pages: u64,
    /// RAM that only one of the two has.
    pub one_sided: RangeSet,
    /// RAM that could not be read in one of the two.
    pub unread: RangeSet,
}

impl Differences {
    /// Compares two snapshots.
    #[must_use]
    pub fn between(a: &Snapshot<'_>, b: &Snapshot<'_>, ignored: &Ignored) -> Self {
        let ram = a.ram.and(&b.ram).without(&ignored.memory);
        let changes = diff::pages(&*a.memory, &*b.memory, &ram, &|_| ());
        let mut found = Self {
            registers: registers(&a.cpus, &b.cpus, ignored),
            bytes: changes.pages.iter().map(|page| page.bytes).sum(),
            pages: changes.pages.len() as u64,
            one_sided: a.ram.without(&b.ram).or(&b.ram.without(&a.ram)).without(&ignored.memory),
            unread: changes.unread,
            ..Self::default()
        };
        let mut left = LISTED;
        for page in changes.pages {
            if left == 0 {
                break;
            }
            let first = page.gpa.0 + page.first;
            for (from, to) in ram.within(first, page.gpa.0 | (PAGE - 1)) {
                found.list(a, b, from, to, &mut left);
            }
        }
        found
    }

    /// Adds the runs between two addresses.
    fn list(&mut self, a: &Snapshot<'_>, b: &Snapshot<'_>, first: u64, last: u64, left: &mut u64) {
        let len = (last - first) as usize + 1;
        let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
        let read = a.memory.read(Gpa(first), &mut ours).is_ok()
            && b.memory.read(Gpa(first), &mut theirs).is_ok();
        if !read {
            return;
        }
        let mut adjoins = false;
        for (gpa, (a, b)) in (first..).zip(ours.into_iter().zip(theirs)) {
            if a == b || *left == 0 {
                adjoins = false;
                continue;
            }
            *left -= 1;
            match self.runs.last_mut().filter(|_| adjoins) {
                Some(run) => {
                    run.a.push(a);
                    run.b.push(b);
                }
                None => self.runs.push(ByteRun { gpa: Gpa(gpa), a: vec![a], b: vec![b] }),
            }
            adjoins = true;
        }
    }
}

fn registers(a: &[CpuState], b: &[CpuState], ignored: &Ignored) -> Vec<RegisterDifference> {
    let mut found = Vec::new();
    for ours in a {
        let theirs = b.iter().find(|cpu| cpu.number == ours.number);
        let of = |name: &str| {
            let register = theirs?.registers.iter().find(|(other, _)| other == name)?;
            Some(register.1.clone())
        };
        for (name, value) in &ours.registers {
            let (a, b) = (Some(value.clone()), of(name));
            if a != b && ignored.counts(name) {
                let register = name.clone();
                found.push(RegisterDifference { cpu: ours.number, register, a, b });
            }
        }
    }
    found
}
