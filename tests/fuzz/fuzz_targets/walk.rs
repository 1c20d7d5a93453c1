//! Any registers over any tables: all ways to ask give one answer.
#![no_main]

use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use rr_mem::{
    addr::Gva,
    mmu::{Query, Mapping, Merge, Mmu, VirtualSpace, SpaceLimits, Translation},
    regs::Regs,
};
use rr_mem_fuzz::{QUERIES, AnyMemory, AnyRegs};

/// Mappings and aliases looked at.
const SOME: usize = 200;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    regs: AnyRegs,
    gvas: [u64; 4],
    range: (u64, u64),
    tables: u8,
    runs: u8,
    memory: AnyMemory<'a>,
}

struct Guest<'a> {
    regs: Regs,
    mmu: Mmu,
    memory: AnyMemory<'a>,
}

fuzz_target!(|input: Input| {
    let Input { regs: AnyRegs(regs), gvas, range, tables, runs, memory } = input;
    let Ok(mmu) = Mmu::new(&regs) else { return };
    let guest = Guest { regs, mmu, memory };
    // Neighbours share tables.
    let mut gvas = gvas.map(Gva).to_vec();
    gvas.extend(gvas.clone().iter().map(|gva| Gva(gva.0 ^ 0x1008)));
    for &gva in &gvas {
        guest.walk(gva);
    }
    for query in QUERIES {
        guest.batch(&gvas, query);
    }
    let limits = SpaceLimits { tables: tables.into(), runs: usize::from(runs) * 16 };
    let space = VirtualSpace::new(&guest.mmu, &guest.memory, limits);
    guest.mappings(&space);
    guest.aliases(&space, &gvas);
    let range = Gva(range.0)..=Gva(range.1);
    guest.mappings(&VirtualSpace::within(&guest.mmu, &guest.memory, range, limits));
});

impl Guest<'_> {
    fn query(&self, gva: Gva, query: Query) -> Option<Translation> {
        self.mmu.query(&self.memory, gva, query).ok()
    }

    fn walk(&self, gva: Gva) {
        let present = self.query(gva, Query::Presence);
        for query in QUERIES {
            let walk = self.mmu.walk(&self.memory, gva, query);
            assert_eq!(walk.result, self.mmu.query(&self.memory, gva, query));
            for step in &walk.steps {
                let _ = self.mmu.flags(step);
            }
            if let Ok(found) = &walk.result {
                assert_eq!(Some(*found), present, "an access changes no address");
                let _ = self.mmu.encrypts(found);
            }
        }
    }

    fn batch(&self, gvas: &[Gva], query: Query) {
        let mut answers = 0;
        self.mmu.query_batch(&self.memory, gvas, query, |at, answer| {
            assert_eq!(answer, self.mmu.query(&self.memory, gvas[at], query));
            answers += 1;
        });
        assert_eq!(answers, gvas.len());
    }

    /// Whether TTBR0 and TTBR1 may divide the space within an entry, which is
    /// then listed twice.
    fn may_overlap(&self) -> bool {
        matches!(self.regs, Regs::Arm(regs) if !regs.arch64() && regs.long_descriptors())
    }

    fn mappings(&self, space: &VirtualSpace) {
        for merge in [Merge::None, Merge::Physical, Merge::Rights] {
            let mut before: Option<Mapping> = None;
            for mapping in space.mappings(merge).take(SOME) {
                let after = before.is_none_or(|before| before.last < mapping.gva);
                assert!(after && mapping.gva <= mapping.last || self.may_overlap());
                self.mapping(&mapping);
                before = Some(mapping);
            }
        }
    }

    fn mapping(&self, mapping: &Mapping) {
        assert_eq!(mapping.clipped(mapping.gva, mapping.last), Some(*mapping));
        for gva in [mapping.gva, mapping.last] {
            let found = self.query(gva, Query::Presence);
            if found.is_none() && self.may_overlap() {
                continue;
            }
            let found = found.expect("what is listed is mapped");
            if !self.may_overlap() {
                assert_eq!(found.rights, mapping.rights);
                assert_eq!(mapping.gpa_of(gva).unwrap_or(found.gpa), found.gpa);
            }
        }
    }

    fn aliases(&self, space: &VirtualSpace, gvas: &[Gva]) {
        let index = space.aliases();
        for &gva in gvas {
            let Some(found) = self.query(gva, Query::Presence) else { continue };
            let (aliases, more) = index.of(found.gpa, SOME);
            for alias in &aliases {
                let last = alias.gva.0 + alias.stride * (alias.count - 1);
                for gva in [alias.gva, Gva(last)] {
                    let there = self.query(gva, Query::Presence).map(|there| there.gpa);
                    assert!(there == Some(found.gpa) || self.may_overlap());
                }
            }
            let lossless = !more && !space.truncated() && space.unreadable().is_empty();
            let covers = aliases.iter().any(|alias| {
                let distance = gva.0.wrapping_sub(alias.gva.0);
                distance == 0 || distance.checked_rem(alias.stride) == Some(0)
            });
            assert!(covers || !lossless || self.tagged(), "{gva} is lost");
        }
    }

    /// Whether addresses may bear tags: they are listed without.
    fn tagged(&self) -> bool {
        match self.regs {
            Regs::Arm(regs) => regs.arch64(),
            // LAM of the user, and of the supervisor.
            Regs::X86(regs) => regs.cr3 >> 61 & 3 != 0 || regs.cr4 >> 28 & 1 != 0,
            _ => false,
        }
    }
}
