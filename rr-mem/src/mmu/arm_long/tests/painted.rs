//! A painter that knows what it means: it maps one address for any registers of EL1&0,
//! and says by the manual what each access to it must come to. Either the gate refuses
//! the registers, or the walker agrees.
//!
//! Not here: 52-bit addresses, permission indirection and overlays, whose rules the
//! generated tables of the oracle have.

use proptest::prelude::*;

use crate::{
    addr::Gva,
    memory::SparseMemory,
    mmu::{AccessKind, FaultKind, Mmu, Query, WalkError},
    regs::{ArmRegs, ArmState, Regs},
};

const fn on(value: u64, number: u32) -> bool {
    value >> number & 1 == 1
}

/// What a case is made of.
#[derive(Clone, Debug)]
struct Paint {
    regs: ArmRegs,
    high: bool,
    place: u64,
    /// What stands in the top byte of the pointer.
    tag: Option<u8>,
    frame: u64,
    /// Which level maps it, of those that may.
    size: usize,
    /// APTable, PXNTable and XNTable of three levels at most.
    tables: [u8; 4],
    /// AP\[2:1\], AF, DBM, PXN, UXN.
    leaf: u8,
}

/// Registers: mostly of what is modelled, now and then of anything.
fn registers() -> impl Strategy<Value = ArmRegs> {
    let mostly = |listed: u64| {
        (any::<u64>(), 0..16)
            .prop_map(move |(value, other)| if other == 0 { value } else { value & listed })
    };
    let tcr = (mostly(0x01ff_fff0_3f40_3f00), 16u64..40, 16u64..40, 0usize..3, 0usize..3, 0..8);
    // SCTLR: all but EE, which is drawn apart.
    let steering = (tcr, mostly(!(1 << 25)), mostly(0), any::<bool>(), 0..4);
    steering.prop_map(|((tcr, t0sz, t1sz, tg0, tg1, epd), sctlr, hcr, pan, el)| {
        let (tg0, tg1) = ([0b00, 0b01, 0b10][tg0], [0b10, 0b11, 0b01][tg1]);
        let epd = if epd == 0 { 1 << 7 } else { 0 } | if epd == 1 { 1 << 23 } else { 0 };
        let fields = 0x3f | 1 << 7 | 0b11 << 14 | 0x3f << 16 | 1 << 23 | 0b11 << 30 | 0b111 << 32;
        let sizes = t0sz | t1sz << 16 | tg0 << 14 | tg1 << 30 | 0b101 << 32;
        ArmRegs {
            el: u8::from(el != 0),
            ttbr0: 0x10_0000,
            ttbr1: 0x10_0000,
            tcr: tcr & !fields | sizes | epd,
            sctlr: sctlr | 1,
            hcr,
            pan,
            phys_bits: 48,
            ..ArmRegs::new(ArmState::Aarch64)
        }
    })
}

prop_compose! {
    fn paint()(
        regs in registers(), high: bool, place: u64, tag: Option<u8>, frame: u64,
        size in 0usize..3, tables: [u8; 4], few in 0..3, leaf: u8,
    ) -> Paint {
        let tables = if few > 0 { [0; 4] } else { tables };
        Paint { regs, high, place, tag, frame, size, tables, leaf }
    }
}

impl Paint {
    /// A bit of TCR, by its number for the lower half and for the upper one.
    fn of_half(&self, low: u32, high: u32) -> bool {
        on(self.regs.tcr, if self.high { high } else { low })
    }

    fn input_bits(&self) -> u32 {
        64 - (self.regs.tcr >> if self.high { 16 } else { 0 } & 0x3f) as u32
    }

    /// log2 of a page.
    fn granule(&self) -> u32 {
        match (self.high, self.regs.tcr >> if self.high { 30 } else { 14 } & 3) {
            (false, 0b01) | (true, 0b11) => 16,
            (false, 0b10) | (true, 0b01) => 14,
            _ => 12,
        }
    }

    fn shift(&self, level: u32) -> u32 {
        self.granule() + (self.granule() - 3) * (3 - level)
    }

    fn start_level(&self) -> u32 {
        4 - (self.input_bits() - self.granule()).div_ceil(self.granule() - 3)
    }

    /// The level that maps it: pages, and blocks of level 2 and, with 4 KB, 1.
    fn leaf_level(&self) -> u32 {
        let least = if self.granule() == 12 { 1 } else { 2 };
        let levels: Vec<u32> = (least.max(self.start_level())..=3).collect();
        levels[self.size % levels.len()]
    }

    fn address(&self) -> u64 {
        let inside = (1 << self.input_bits()) - 1;
        let place = self.place & inside;
        if self.high { place | !inside } else { place }
    }

    /// The pointer, with a tag where it is ignored.
    fn pointer(&self) -> u64 {
        let address = self.address();
        match self.tag.filter(|_| self.of_half(37, 38)) {
            Some(tag) => address & !(0xff << 56) | u64::from(tag) << 56,
            None => address,
        }
    }

    fn page(&self) -> u64 {
        self.frame & 0xffff_ffff_ffff & !((1 << self.shift(self.leaf_level())) - 1)
    }

    fn table_attributes(&self, level: u32) -> u64 {
        u64::from(self.tables[level as usize] & 0xf) << 59
    }

    fn leaf_entry(&self) -> u64 {
        let given = u64::from(self.leaf);
        let kind = if self.leaf_level() == 3 { 0b11 } else { 0b01 };
        let high = (given >> 2 & 1) << 51 | (given >> 3 & 1) << 53 | (given >> 4 & 1) << 54;
        // Most have the access flag.
        let accessed = u64::from(given >> 5 != 0) << 10;
        self.page() | (given & 0b11) << 6 | accessed | high | kind
    }

    /// Tables of 64 KB at 0x100000, 0x110000, ... with one entry each.
    fn memory(&self) -> SparseMemory {
        let mut ram = SparseMemory::default();
        let (first, last) = (self.start_level(), self.leaf_level());
        let mut top = self.input_bits();
        for level in first..=last {
            let shift = self.shift(level);
            let index = self.address() >> shift & ((1 << (top - shift)) - 1);
            top = shift;
            let table = 0x10_0000 + 0x1_0000 * u64::from(level - first);
            let entry = match level == last {
                true => self.leaf_entry(),
                false => (table + 0x1_0000) | 0b11 | self.table_attributes(level),
            };
            let entry = if on(self.regs.sctlr, 25) { entry.swap_bytes() } else { entry };
            ram.put64(table + 8 * index, entry);
        }
        ram
    }

    /// (read, write, execute) of EL1 and of EL0: "Data accesses permissions",
    /// "Instruction execution permissions".
    fn rights(&self) -> [[bool; 3]; 2] {
        let above = (self.start_level()..self.leaf_level())
            .fold(0, |all, level| all | self.table_attributes(level));
        let above = if self.of_half(41, 42) { 0 } else { above };
        let leaf = self.leaf_entry();
        let sets_dirty = on(self.regs.tcr, 39) && on(self.regs.tcr, 40) && on(leaf, 51);
        let writable = !on(above, 62) && (!on(leaf, 7) || sets_dirty);
        let user = on(leaf, 6) && !on(above, 61);
        let wxn = on(self.regs.sctlr, 19);
        let never = on(leaf, 53) || on(above, 59) || user && writable;
        let kernel_x = !never;
        let user_x = !on(leaf, 54) && !on(above, 60);
        [
            [true, writable, kernel_x && !(wxn && writable)],
            [user, user && writable, user_x && !(wxn && user && writable)],
        ]
    }

    /// What an access must come to: a fault, or none.
    fn fault(&self, kind: AccessKind, user: bool) -> Option<FaultKind> {
        let fetch = kind == AccessKind::Execute;
        let tag_counts = fetch && self.of_half(51, 52) && self.pointer() != self.address();
        if self.of_half(7, 23) || user && self.of_half(55, 56) || tag_counts {
            return Some(FaultKind::Translation);
        }
        if !on(self.leaf_entry(), 10) && !on(self.regs.tcr, 39) {
            return Some(FaultKind::AccessFlag);
        }
        let rights = self.rights();
        let of_user = rights[1][0] || on(self.regs.sctlr, 57) && rights[1][2];
        let pan = self.regs.pan && !user && !fetch && of_user;
        let allowed = rights[usize::from(user)][kind as usize] && !pan;
        (!allowed).then_some(FaultKind::Permission)
    }

    /// Whether the painter knows the rules: the addresses have 48 bits.
    fn has_opinion(&self) -> bool {
        !on(self.regs.tcr, 59)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn either_the_gate_refuses_or_the_painter_is_right(paint in paint()) {
        let Ok(mmu) = Mmu::new(&Regs::Arm(paint.regs)) else { return Ok(()) };
        prop_assume!(paint.has_opinion());
        let (memory, gva) = (paint.memory(), Gva(paint.pointer()));
        let found = mmu.query(&memory, gva, Query::Presence).ok().map(|found| found.gpa.0);
        let inside = (1 << paint.shift(paint.leaf_level())) - 1;
        let meant = paint.page() | paint.address() & inside;
        prop_assert_eq!(found, (!paint.of_half(7, 23)).then_some(meant));
        for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Execute] {
            for user in [false, true] {
                let answer = match mmu.query(&memory, gva, Query::access(kind, user)) {
                    Ok(_) => None,
                    Err(WalkError::Fault(fault)) => Some(fault.kind),
                    Err(other) => panic!("{other}"),
                };
                prop_assert_eq!(answer, paint.fault(kind, user), "{:?} {}", kind, user);
            }
        }
    }
}
