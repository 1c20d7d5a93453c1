//! Spans, and arbitrary registers over arbitrary tables.

use super::*;

#[test]
fn spans_are_the_halves_lowest_first() {
    let spans = |regs| -> Vec<_> {
        let spans = LongPaging::new(&regs).spans();
        spans.into_iter().map(|span| (span.gva.0, span.entries())).collect()
    };
    assert_eq!(spans(el1(tcr(4, 39))), [(0, 0..512), (0xffff_ff80_0000_0000, 0..512)]);
    assert_eq!(spans(el1(tcr(16, 48))), [(0, 0..2), (0xffff_0000_0000_0000, 0..2)]);
    assert_eq!(spans(lpae(0)), [(0, 0..4)]);
    assert_eq!(spans(lpae(2 << 16)), [(0, 0..3), (0xc000_0000, 0..512)]);
    assert_eq!(spans(lpae(2)), [(0, 0..512), (0, 1..4)]);
    // 2^32 - 2^25 lies within entry 3 of TTBR0's table.
    assert_eq!(spans(lpae(7 << 16)), [(0, 0..4), (0xfe00_0000, 0..16)]);
}

fn any_regs() -> impl Strategy<Value = ArmRegs> {
    let words = any::<([u64; 5], bool, u8, bool)>();
    words.prop_map(|([ttbr0, ttbr1, tcr, sctlr, hcr], wide, phys_bits, pan)| ArmRegs {
        state: if wide { ArmState::Aarch64 } else { ArmState::Aarch32 },
        el: (hcr & 3) as u8,
        ttbr0,
        ttbr1,
        tcr,
        // Mostly with the MMU on.
        sctlr: sctlr | u64::from(sctlr & 0xf000 != 0),
        dacr: 0,
        hcr,
        vttbr: 0,
        vtcr: 0,
        pan,
        phys_bits,
    })
}

/// Every word of memory is one of eight, chosen by its address.
struct Noise([u64; 8]);

impl Memory for Noise {
    fn read(&self, addr: Gpa, dst: &mut [u8]) -> Result<(), ReadError> {
        for (i, byte) in dst.iter_mut().enumerate() {
            let at = addr.0.wrapping_add(i as u64);
            *byte = self.0[(at >> 3 & 7) as usize].to_le_bytes()[(at & 7) as usize];
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_walk_ends_within_five_reads(
        regs in any_regs(),
        noise in any::<[u64; 8]>(),
        valid in any::<u64>(),
        gva in any::<u64>(),
        kind in 0..3usize,
        user in any::<bool>(),
    ) {
        // Often valid entries and canonical addresses, or few walks get far.
        let noise = Noise(noise.map(|word| word | valid & 3));
        let memory = Counter::new(&noise);
        let kind = [AccessKind::Read, AccessKind::Write, AccessKind::Execute][kind];
        let mmu = Mmu::ArmLong(LongPaging::new(&regs));
        for gva in [gva, gva >> 20, !(gva >> 20), gva & 0xffff_ffff] {
            for query in [Query::Presence, Query::Access(Access { kind, user })] {
                let before = memory.reads();
                let walk = mmu.walk(&memory, Gva(gva), query);
                prop_assert!(memory.reads() - before <= 5);
                for step in &walk.steps {
                    prop_assert!(mmu.flags(step).len() < 16);
                }
            }
        }
    }

    #[test]
    fn every_address_of_a_span_starts_at_its_table(regs in any_regs(), at in any::<u64>()) {
        let paging = LongPaging::new(&regs);
        for span in paging.spans() {
            let Start::Table(table) = span.start else { continue };
            prop_assert!(span.entries().end <= 1 << table.bits);
            let (first, last) = (span.addresses.start().0, span.addresses.end().0);
            for gva in [first, first + at % (last - first), last] {
                prop_assert_eq!(paging.start(Gva(gva)).ok(), Some(span.start));
            }
        }
    }
}
