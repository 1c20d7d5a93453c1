//! A painter that knows what it means: it maps one address for any registers at all,
//! and says by the manual what each access to it must come to. Either the gate refuses
//! the registers, or the walker agrees.

use super::*;

const fn on(value: u64, number: u32) -> bool {
    value >> number & 1 == 1
}

/// What a case is made of.
#[derive(Clone, Debug)]
struct Paint {
    regs: X86Regs,
    /// Where the page is, before it is fit to the mode.
    place: u64,
    /// The bits that a pointer to it has wrong, of 62:47.
    tag: u64,
    frame: u64,
    /// Which size of page.
    size: usize,
    /// R/W, U/S, XD and the encryption bit of each level; the key.
    rights: [u8; 5],
    key: u64,
}

/// Registers: mostly of what is modelled, now and then of anything.
fn registers() -> impl Strategy<Value = X86Regs> {
    let control = |listed: u64| {
        (any::<u64>(), 0..16)
            .prop_map(move |(value, other)| if other == 0 { value } else { value & listed })
    };
    let steering = (any::<bool>(), control(0x1_1bff_7fff), control(0x2f_fdff), 0u64..4, 0u8..8);
    let keys = (any::<u32>(), any::<u32>(), prop_oneof![Just(0u8), Just(51), Just(47), Just(34)]);
    (steering, keys, any::<bool>()).prop_map(|((wp, cr4, efer, lam, mode), keys, ac)| X86Regs {
        cr0: 1 << 31 | u64::from(wp) << 16 | 1,
        cr3: 0x1000 | lam << 61,
        // PAE and long mode in most cases.
        cr4: if mode > 1 { cr4 | 1 << 5 } else { cr4 },
        efer: if mode > 3 { efer | 1 << 10 } else { efer },
        ac,
        pkru: keys.0.into(),
        pkrs: keys.1.into(),
        encryption_bit: keys.2,
        ..X86Regs::default()
    })
}

prop_compose! {
    fn paint()(
        regs in registers(), place: u64, tag: u64, few in 0..3, frame: u64, size in 0usize..3,
        rights: [u8; 5], key in 0u64..16,
    ) -> Paint {
        // Most rights are given, and a third of the pointers has no tag.
        let rights = rights.map(|bits| if bits < 128 { bits & 8 | 3 } else { bits });
        let tag = if few == 0 { 0 } else { tag & 0x7fff_8000_0000_0000 };
        Paint { regs, place, tag, frame, size, rights, key }
    }
}

/// The formats: bits of an address, and of each level the lowest one and whether it
/// may map a page.
struct Format {
    width: u32,
    wide: bool,
    shifts: Vec<(u32, bool)>,
}

impl Paint {
    fn long(&self) -> bool {
        (on(self.regs.efer, 10) || on(self.regs.efer, 8)) && on(self.regs.cr4, 5)
    }

    fn format(&self) -> Format {
        let cr4 = self.regs.cr4;
        let four = [(39, false), (30, true), (21, true), (12, true)];
        let (width, wide, shifts) = match (on(cr4, 5), self.long(), on(cr4, 12)) {
            (false, ..) => (32, false, vec![(22, on(cr4, 4)), (12, true)]),
            (true, false, _) => (32, true, vec![(30, false), (21, true), (12, true)]),
            (true, true, false) => (48, true, four.to_vec()),
            (true, true, true) => (57, true, [&[(48, false)], &four[..]].concat()),
        };
        Format { width, wide, shifts }
    }

    /// The level that maps the page.
    fn leaf(&self, format: &Format) -> usize {
        let levels: Vec<_> = (0..format.shifts.len()).filter(|at| format.shifts[*at].1).collect();
        levels[self.size % levels.len()]
    }

    /// The address that is mapped: canonical in its mode.
    fn address(&self, format: &Format) -> u64 {
        let unused = 64 - format.width;
        match self.long() {
            true => ((self.place << unused) as i64 >> unused) as u64,
            false => self.place << unused >> unused,
        }
    }

    /// The physical page, of `shift`, without the encryption bit.
    fn page(&self, format: &Format, shift: u32) -> u64 {
        let encryption = if format.wide { self.encryption() } else { 0 };
        let top = if format.wide { 51 } else { 31 };
        self.frame & ((2 << top) - 1) & !encryption & !((1 << shift) - 1)
    }

    fn encryption(&self) -> u64 {
        if self.regs.encryption_bit == 0 { 0 } else { 1 << self.regs.encryption_bit }
    }

    /// What the entry of a level has besides its address.
    fn noise(&self, format: &Format, level: usize) -> u64 {
        let given = u64::from(self.rights[level]);
        let mut noise = P;
        if format.wide && on(given, 3) {
            noise |= self.encryption();
        }
        if self.format_is_pae() && level == 0 {
            return noise;
        }
        noise |= (given & 3) << 1;
        if format.wide && on(given, 2) { noise | NX } else { noise }
    }

    fn format_is_pae(&self) -> bool {
        on(self.regs.cr4, 5) && !self.long()
    }

    /// Tables at 0x1000, 0x2000, ... with one entry each.
    fn tables(&self, format: &Format) -> SparseMemory {
        let (mut ram, gva, leaf) =
            (SparseMemory::default(), self.address(format), self.leaf(format));
        let mut top = format.width;
        for (level, (shift, _)) in format.shifts.iter().copied().enumerate().take(leaf + 1) {
            let index = gva >> shift & ((1 << (top - shift)) - 1);
            top = shift;
            let mut entry = self.noise(format, level);
            entry |= if level < leaf {
                0x2000 + 0x1000 * level as u64
            } else {
                self.page(format, shift)
            };
            if level == leaf && shift > 12 {
                entry |= PS;
            }
            if level == leaf && self.long() {
                entry |= self.key << 59;
            }
            let table = 0x1000 + 0x1000 * level as u64;
            match format.wide {
                true => ram.put64(table + 8 * index, entry),
                false => ram.put32(table + 4 * index, entry as u32),
            }
        }
        ram
    }

    /// How many low bits of `pointer` a data access looks at, besides bit 63.
    fn looked_at(&self, pointer: u64) -> u32 {
        match (on(pointer, 63), on(self.regs.cr3, 61), on(self.regs.cr3, 62)) {
            (false, true, _) => 57,
            (false, false, true) => 48,
            (true, ..) if on(self.regs.cr4, 28) => {
                if on(self.regs.cr4, 12) {
                    57
                } else {
                    48
                }
            }
            _ => 63,
        }
    }

    /// Whether `pointer` leads to the page painted, for a fetch or for data; `None` for
    /// a general-protection fault.
    fn leads(&self, format: &Format, pointer: u64, fetch: bool) -> Option<bool> {
        if !(self.long()) {
            return (pointer < 1 << 32).then_some(pointer == self.address(format));
        }
        let looked = if fetch { 63 } else { self.looked_at(pointer) };
        let sign = on(pointer, 63);
        let lowest = format.width.min(looked) - 1;
        if (lowest..looked).any(|number| on(pointer, number) != sign) {
            return None;
        }
        let low = (1 << lowest) - 1;
        let meant = pointer & low | if sign { !low } else { 0 };
        Some(meant == self.address(format))
    }

    /// "Linear-Address Space Separation".
    fn separated(&self, pointer: u64, kind: AccessKind, user: bool) -> bool {
        let upper = on(pointer, 63);
        let smap = on(self.regs.cr4, 21) && !self.regs.ac;
        let violates = if user { upper } else { !upper && (kind == AccessKind::Execute || smap) };
        self.long() && on(self.regs.cr4, 27) && violates
    }

    /// "Page-Fault Exceptions": the error code of an access to the page, `None` if it
    /// succeeds.
    fn error_code(&self, format: &Format, kind: AccessKind, user: bool) -> Option<u32> {
        let entries: Vec<u64> =
            (0..=self.leaf(format)).map(|level| self.noise(format, level)).collect();
        let rights = if self.format_is_pae() { &entries[1..] } else { &entries[..] };
        let every = |bit: u64| rights.iter().all(|entry| entry & bit != 0);
        let (user_page, writable) = (every(U), every(W));
        let no_execute = entries.iter().any(|entry| entry & NX != 0);
        let nxe = on(self.regs.efer, 11);
        let (write, fetch) = (kind == AccessKind::Write, kind == AccessKind::Execute);
        let wp = on(self.regs.cr0, 16) || user;
        let (smep, smap) = (on(self.regs.cr4, 20), on(self.regs.cr4, 21));
        let reported = fetch && (smep || nxe && on(self.regs.cr4, 5));
        let base = 1 | u32::from(write) << 1 | u32::from(user) << 2 | u32::from(reported) << 4;
        if no_execute && !nxe {
            return Some(base | 1 << 3);
        }
        let (enabled, keys) = match user_page {
            true => (on(self.regs.cr4, 22), self.regs.pkru),
            false => (on(self.regs.cr4, 24) && !user, self.regs.pkrs),
        };
        let key = keys >> (2 * self.key);
        if self.long()
            && format.wide
            && enabled
            && !fetch
            && (on(key, 0) || on(key, 1) && write && wp)
        {
            return Some(base | 1 << 5);
        }
        let refused = user && !user_page
            || write && wp && !writable
            || fetch && (no_execute || smep && user_page && !user)
            || !fetch && !user && user_page && smap && !self.regs.ac;
        refused.then_some(base)
    }
}

/// What a walk came to: the physical address, or the code of a fault.
fn outcome(found: Result<Translation, WalkError>) -> Result<u64, Option<u32>> {
    match found {
        Ok(found) => Ok(found.gpa.0),
        Err(WalkError::Fault(fault)) => Err(fault.status),
        Err(other) => panic!("{other}"),
    }
}

fn agrees(paint: &Paint, mmu: &Mmu) -> Result<(), TestCaseError> {
    let format = paint.format();
    let ram = paint.tables(&format);
    let pointer = paint.address(&format) ^ paint.tag;
    let (shift, _) = format.shifts[paint.leaf(&format)];
    let gpa = paint.page(&format, shift) | paint.address(&format) & ((1 << shift) - 1);
    let there = mmu.translate(&ram, Gva(pointer)).is_ok_and(|found| found.gpa.0 == gpa);
    prop_assert_eq!(there, paint.leads(&format, pointer, false) == Some(true));
    for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Execute] {
        for user in [false, true] {
            let fetch = kind == AccessKind::Execute;
            let want = match paint.leads(&format, pointer, fetch) {
                _ if paint.separated(pointer, kind, user) => Err(None),
                None => Err(None),
                Some(false) => continue,
                Some(true) => match paint.error_code(&format, kind, user) {
                    Some(code) => Err(Some(code)),
                    None => Ok(gpa),
                },
            };
            let found = mmu.query(&ram, Gva(pointer), access(kind, user));
            prop_assert_eq!(outcome(found), want, "{:?}, user {}", kind, user);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]
    #[test]
    fn for_any_registers_the_gate_refuses_or_the_answer_is_the_painters(paint in paint()) {
        if let Ok(mmu) = Mmu::new(&Regs::X86(paint.regs)) {
            agrees(&paint, &mmu)?;
        }
    }
}
