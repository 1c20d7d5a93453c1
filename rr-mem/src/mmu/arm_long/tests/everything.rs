//! Spans, and arbitrary registers over arbitrary tables.

use super::*;

#[test]
fn spans_are_the_halves_lowest_first() {
    let spans = |regs| -> Vec<_> {
        let spans = LongPaging::new(&regs).expect("modelled").spans();
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

/// What a TCR may hold, by state and level: all but reserved bits and MTX.
fn tcr_bits(wide: bool, el: u8, hcr: u64) -> u64 {
    match (wide, el) {
        (true, 0 | 1) => 0x0fff_fff7_ffff_ffbf,
        (true, 2) if hcr & E2H != 0 => 0x0fff_fff7_ffff_ffbf,
        (true, _) => 0x1_fff7_ff3f,
        (false, 2) => 0x9f80_3f07,
        (false, _) => 0x7_fe00_ffc7_3fc7,
    }
}

const E2H: u64 = 1 << 34;

fn any_regs() -> impl Strategy<Value = ArmRegs> {
    let words = any::<([u64; 5], [u64; 5], bool, u8, bool)>();
    words.prop_map(|(bases, indices, wide, phys_bits, pan)| {
        let [ttbr0, ttbr1, tcr, sctlr, hcr] = bases;
        let [tcr2, pir, pire0, por, por_el0] = indices;
        ArmRegs {
            state: if wide { ArmState::Aarch64 } else { ArmState::Aarch32 },
            el: (hcr & 3) as u8,
            ttbr0,
            ttbr1,
            tcr: tcr & tcr_bits(wide, (hcr & 3) as u8, hcr),
            // Mostly with the MMU on; without HA.
            sctlr: (sctlr | u64::from(sctlr & 0xf000 != 0)) & !(1 << 17),
            hcr: hcr & E2H,
            pan,
            phys_bits,
            // All but D128.
            tcr2: tcr2 & 0xf_fc1f,
            pir,
            pire0,
            por,
            por_el0,
            ..ArmRegs::new(if wide { ArmState::Aarch64 } else { ArmState::Aarch32 })
        }
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
        let mmu = Mmu::ArmLong(LongPaging::new(&regs).expect("modelled"));
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
        let paging = LongPaging::new(&regs).expect("modelled");
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
