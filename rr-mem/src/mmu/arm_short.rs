//! ARM short descriptors, AArch32 only: Arm Architecture Reference Manual for
//! A-profile (DDI 0487L.a), "The VMSAv8-32 Short-descriptor translation table
//! format", "Selecting between TTBR0 and TTBR1, VMSAv8-32 Short-descriptor
//! translation table format", "Memory access control", "Fault status codes".
//! VMSAv7 (DDI 0406C.d, chapter "Virtual Memory System Architecture") differs
//! in nothing that matters here.
//!
//! A first-level descriptor 0b11 is a section with PXN, as on every CPU with
//! that bit. Not here: TEX remap and cacheability (they change no address),
//! TTBR.NOS and the other cache hints of the walk, the formats of ARMv5
//! (SCTLR.XP = 0: fine pages, subpages), and stage 2.
//!
//! QEMU 7.2 differs in one answer: a manager's page is never checked for the
//! access flag there; the manual's walk checks it before the domain.

use super::{
    Access, AccessKind, FaultKind, Level, Rights, Rwx,
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, field, keep, mask},
    regs::ArmRegs,
};

/// The short-descriptor paging of one ARM CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortPaging {
    regs: ArmRegs,
}

/// A first-level descriptor. Bits are those of "Short-descriptor translation
/// table first-level descriptor formats".
#[derive(Clone, Copy)]
struct First(u64);

impl First {
    /// Bits 1:0 are 0b00: no mapping.
    const fn invalid(self) -> bool {
        field(self.0, 1, 0) == 0b00
    }
    /// Bits 1:0 are 0b01: a second-level table.
    const fn table(self) -> bool {
        field(self.0, 1, 0) == 0b01
    }
    /// Bit 18 of a section: it is a supersection, 16 MB.
    const fn supersection(self) -> bool {
        bit(self.0, 18)
    }
    /// Bits 31:10: the second-level table, 1 KB of it.
    const fn table_address(self) -> u64 {
        keep(self.0, 31, 10)
    }
    /// Bits 31:20: the section, 1 MB.
    const fn section_address(self) -> u64 {
        keep(self.0, 31, 20)
    }
    /// PA\[39:24\]: 31:24 in place, 35:32 from bits 23:20, 39:36 from bits 8:5.
    const fn supersection_address(self) -> u64 {
        keep(self.0, 31, 24) | field(self.0, 23, 20) << 32 | field(self.0, 8, 5) << 36
    }
    /// Bits 8:5: the domain. A supersection's is 0: its bits hold an address.
    const fn domain(self) -> u8 {
        if !self.table() && self.supersection() { 0 } else { field(self.0, 8, 5) as u8 }
    }
    /// Bit 2 of a table, PXN.
    const fn table_pxn(self) -> bool {
        bit(self.0, 2)
    }
    /// The rights of a section: bit 0 PXN, 4 XN, 15 AP\[2\], 11:10 AP\[1:0\].
    const fn attributes(self) -> Attributes {
        Attributes {
            ap: (field(self.0, 15, 15) << 2 | field(self.0, 11, 10)) as u8,
            xn: bit(self.0, 4),
            pxn: bit(self.0, 0),
        }
    }
}

/// A second-level descriptor. Bits are those of "Short-descriptor translation
/// table second-level descriptor formats".
#[derive(Clone, Copy)]
struct Second(u64);

impl Second {
    /// Bits 1:0 are 0b00: no mapping.
    const fn invalid(self) -> bool {
        field(self.0, 1, 0) == 0b00
    }
    /// Bit 1: a small page, 4 KB; otherwise a large page, 64 KB.
    const fn small(self) -> bool {
        bit(self.0, 1)
    }
    /// Bits 31:12: the small page.
    const fn small_address(self) -> u64 {
        keep(self.0, 31, 12)
    }
    /// Bits 31:16: the large page.
    const fn large_address(self) -> u64 {
        keep(self.0, 31, 16)
    }
    /// Bit 0 of a small page, bit 15 of a large one.
    const fn xn(self) -> bool {
        bit(self.0, if self.small() { 0 } else { 15 })
    }
    /// The rights of a page: 9 AP\[2\], 5:4 AP\[1:0\]; PXN is its table's.
    const fn attributes(self, pxn: bool) -> Attributes {
        Attributes {
            ap: (field(self.0, 9, 9) << 2 | field(self.0, 5, 4)) as u8,
            xn: self.xn(),
            pxn,
        }
    }
}

/// What a section or page says of accesses to it.
#[derive(Clone, Copy)]
struct Attributes {
    /// AP\[2:0\].
    ap: u8,
    xn: bool,
    pxn: bool,
}

impl Attributes {
    /// AP\[0\] while SCTLR.AFE = 1.
    const fn access_flag(self) -> bool {
        self.ap & 1 != 0
    }

    /// "Full access permissions control, for the Short-descriptor format":
    /// reads and writes of (kernel, user).
    const fn full(self) -> [(bool, bool); 2] {
        const NONE: (bool, bool) = (false, false);
        const READ: (bool, bool) = (true, false);
        const BOTH: (bool, bool) = (true, true);
        match self.ap {
            0b001 => [BOTH, NONE],
            0b010 => [BOTH, READ],
            0b011 => [BOTH, BOTH],
            0b101 => [READ, NONE],
            // 0b110 is deprecated, but the same.
            0b110 | 0b111 => [READ, READ],
            // 0b000; 0b100 is reserved.
            _ => [NONE, NONE],
        }
    }

    /// "Simplified access permissions", SCTLR.AFE = 1: AP\[2\] is read-only,
    /// AP\[1\] lets the user in.
    const fn simplified(self) -> [(bool, bool); 2] {
        let (user, writable) = (self.ap & 0b010 != 0, self.ap & 0b100 == 0);
        [(true, writable), (user, user && writable)]
    }
}

/// What a domain allows ("Domains, Short-descriptor format only").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Domain {
    /// 0b00, and the reserved 0b10: a Domain fault.
    NoAccess,
    /// 0b01: as the descriptor's rights say.
    Client,
    /// 0b11: everything.
    Manager,
}

/// What a first-level table descriptor decides for its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Inherited {
    domain: u8,
    pxn: bool,
}

impl ShortPaging {
    /// The paging that `regs` switch on; they are those of the PL1&0 regime in
    /// AArch32 state with TTBCR.EAE = 0.
    #[must_use]
    pub const fn new(regs: &ArmRegs) -> Self {
        Self { regs: *regs }
    }

    /// TTBCR.N, bits 2:0: TTBR0 maps the lowest 2^(32-N) bytes.
    const fn n(&self) -> u32 {
        field(self.regs.tcr, 2, 0) as u32
    }

    /// TTBCR.PD0, bit 4: no walks with TTBR0.
    const fn pd0(&self) -> bool {
        bit(self.regs.tcr, 4)
    }

    /// TTBCR.PD1, bit 5: no walks with TTBR1.
    const fn pd1(&self) -> bool {
        bit(self.regs.tcr, 5)
    }

    /// SCTLR.AFE: AP\[0\] is the access flag.
    const fn access_flag_enable(&self) -> bool {
        self.regs.sctlr & ArmRegs::SCTLR_AFE != 0
    }

    /// SCTLR.UWXN, bit 20: what the user can write, the kernel cannot execute.
    const fn uwxn(&self) -> bool {
        bit(self.regs.sctlr, 20)
    }

    /// Without the MMU the 4 GB are one page.
    const OFF: Page = Page { base: Gpa(0), shift: 32, rights: Rights::ALL };

    const fn first_level(base: u64, bits: u8) -> Table<Inherited> {
        let inherited = Inherited { domain: 0, pxn: false };
        Table { base: Gpa(base), level: Level::First, shift: 20, bits, inherited }
    }

    /// TTBR0's table: 2^(14-N) bytes, aligned to its size. `None` with PD0.
    fn low_table(&self) -> Option<Table<Inherited>> {
        let base = keep(self.regs.ttbr0, 31, 14 - self.n());
        (!self.pd0()).then(|| Self::first_level(base, 12 - self.n() as u8))
    }

    /// TTBR1's table: always 16 KB. `None` with PD1.
    fn high_table(&self) -> Option<Table<Inherited>> {
        (!self.pd1()).then(|| Self::first_level(keep(self.regs.ttbr1, 31, 14), 12))
    }

    /// Whether TTBR1 maps `gva`: N is not 0 and a bit of VA\[31:32-N\] is set.
    const fn is_high(&self, gva: Gva) -> bool {
        gva.0 >> (32 - self.n()) != 0
    }

    /// DACR holds two bits for each of 16 domains.
    const fn domain(&self, domain: u8) -> Domain {
        match self.regs.dacr >> (2 * domain) & 0b11 {
            0b01 => Domain::Client,
            0b11 => Domain::Manager,
            _ => Domain::NoAccess,
        }
    }

    fn rights(&self, domain: u8, attributes: Attributes) -> Rights {
        match self.domain(domain) {
            Domain::NoAccess => Rights::default(),
            Domain::Client => self.client_rights(attributes),
            Domain::Manager => Rights::ALL,
        }
    }

    /// "Execute-never restrictions on instruction fetching" over the access
    /// permissions. Fetching needs the right to read.
    fn client_rights(&self, attributes: Attributes) -> Rights {
        let [(kernel_r, kernel_w), (user_r, user_w)] =
            if self.access_flag_enable() { attributes.simplified() } else { attributes.full() };
        let execute = |r, w| r && !attributes.xn && !(w && self.regs.wxn());
        let pxn = attributes.pxn || user_w && self.uwxn();
        Rights {
            kernel: Rwx { r: kernel_r, w: kernel_w, x: execute(kernel_r, kernel_w) && !pxn },
            user: Rwx { r: user_r, w: user_w, x: execute(user_r, user_w) },
        }
    }

    fn section(&self, entry: First) -> Page {
        let (base, shift) = if entry.supersection() {
            (entry.supersection_address(), 24)
        } else {
            (entry.section_address(), 20)
        };
        Page { base: Gpa(base), shift, rights: self.rights(entry.domain(), entry.attributes()) }
    }

    fn page(&self, inherited: Inherited, entry: Second) -> Page {
        let (base, shift) =
            if entry.small() { (entry.small_address(), 12) } else { (entry.large_address(), 16) };
        let rights = self.rights(inherited.domain, entry.attributes(inherited.pxn));
        Page { base: Gpa(base), shift, rights }
    }

    fn decode_first(&self, entry: First) -> Decoded<Inherited> {
        if entry.invalid() {
            Decoded::Invalid(FaultKind::Translation)
        } else if entry.table() {
            Decoded::Table(Table {
                base: Gpa(entry.table_address()),
                level: Level::Second,
                shift: 12,
                bits: 8,
                inherited: Inherited { domain: entry.domain(), pxn: entry.table_pxn() },
            })
        } else {
            Decoded::Page(self.section(entry))
        }
    }

    /// The domain and the attributes that decide on accesses to a page.
    fn leaf(table: &Table<Inherited>, raw: u64) -> (u8, Attributes) {
        if table.level == Level::First {
            (First(raw).domain(), First(raw).attributes())
        } else {
            (table.inherited.domain, Second(raw).attributes(table.inherited.pxn))
        }
    }
}

impl Paging for ShortPaging {
    type Inherited = Inherited;

    fn mode(&self) -> &'static str {
        if self.regs.mmu_on() { "AArch32 short descriptors" } else { "AArch32, MMU off" }
    }

    #[inline]
    fn entry_bytes(&self) -> u64 {
        4
    }

    #[inline]
    fn big_endian(&self) -> bool {
        self.regs.big_endian_tables()
    }

    #[inline]
    fn start(&self, gva: Gva) -> Result<Start<Inherited>, (FaultKind, Level)> {
        const FAULT: (FaultKind, Level) = (FaultKind::Translation, Level::First);
        if gva.0 >> 32 != 0 {
            return Err(FAULT);
        }
        if !self.regs.mmu_on() {
            return Ok(Start::Off(Self::OFF));
        }
        let table = if self.is_high(gva) { self.high_table() } else { self.low_table() };
        table.map(Start::Table).ok_or(FAULT)
    }

    fn base_register(&self, gva: Gva) -> &'static str {
        if self.is_high(gva) { "TTBR1" } else { "TTBR0" }
    }

    fn spans(&self) -> Vec<Span<Inherited>> {
        let gva = Gva(0);
        if !self.regs.mmu_on() {
            let addresses = gva..=Gva(mask(32));
            return vec![Span { gva, addresses, start: Start::Off(Self::OFF) }];
        }
        // TTBR1's table has an entry for every megabyte; the lowest are unused.
        let border = 1 << 32 >> self.n();
        let low = self.low_table().map(|table| (table, gva..=Gva(border - 1)));
        let high = self.high_table().map(|table| (table, Gva(border)..=Gva(mask(32))));
        low.into_iter()
            .chain(high)
            .filter(|(_, addresses)| !addresses.is_empty())
            .map(|(table, addresses)| Span { gva, addresses, start: Start::Table(table) })
            .collect()
    }

    #[inline]
    fn decode(&self, table: &Table<Inherited>, raw: u64) -> Decoded<Inherited> {
        if table.level == Level::First {
            self.decode_first(First(raw))
        } else if Second(raw).invalid() {
            Decoded::Invalid(FaultKind::Translation)
        } else {
            Decoded::Page(self.page(table.inherited, Second(raw)))
        }
    }

    fn malformed(&self, _: &Table<Inherited>, _: u64) -> Option<FaultKind> {
        None
    }

    /// In the order of "MMU fault-checking sequence": access flag, domain,
    /// permission. A manager is never checked for permission.
    fn refused(
        &self,
        table: &Table<Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        let (domain, attributes) = Self::leaf(table, raw);
        if self.access_flag_enable() && !attributes.access_flag() {
            return Some(FaultKind::AccessFlag);
        }
        match self.domain(domain) {
            Domain::NoAccess => Some(FaultKind::Domain),
            Domain::Manager => None,
            Domain::Client => {
                // PSTATE.PAN: no privileged data access to what the user can read.
                let data = access.kind != AccessKind::Execute;
                let pan = data && !access.user && self.regs.pan && page.rights.user.r;
                (pan || !page.rights.allow(access)).then_some(FaultKind::Permission)
            }
        }
    }

    /// "Fault status codes", DFSR.FS with TTBCR.EAE = 0.
    fn status(&self, kind: FaultKind, level: Level, _: Access) -> Option<u32> {
        let first = level == Level::First;
        Some(match kind {
            FaultKind::Translation => 0x5 | u32::from(!first) << 1,
            FaultKind::AccessFlag if first => 0x3,
            FaultKind::AccessFlag => 0x6,
            FaultKind::Domain => 0x9 | u32::from(!first) << 1,
            FaultKind::Permission => 0xd | u32::from(!first) << 1,
            _ => return None,
        })
    }

    fn flags(&self, level: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        let table = Table { level, ..Self::first_level(0, 12) };
        let (name, ng, s) = match level {
            Level::First if First(raw).invalid() => return Vec::new(),
            Level::First if !leaf => {
                let pxn = First(raw).table_pxn().then_some("PXN");
                return ["TABLE"].into_iter().chain(pxn).collect();
            }
            Level::First if First(raw).supersection() => ("SUPERSECTION", 17, 16),
            Level::First => ("SECTION", 17, 16),
            _ if Second(raw).invalid() => return Vec::new(),
            _ if Second(raw).small() => ("SMALL", 11, 10),
            _ => ("LARGE", 11, 10),
        };
        let (_, attributes) = Self::leaf(&table, raw);
        let mut flags = vec![name];
        flags.extend(self.permission_names(attributes));
        flags.extend(bit(raw, s).then_some("S"));
        flags.extend(bit(raw, ng).then_some("nG"));
        flags
    }
}

impl ShortPaging {
    /// The names of the permission bits that are set.
    fn permission_names(&self, attributes: Attributes) -> impl Iterator<Item = &'static str> {
        let Attributes { ap, xn, pxn } = attributes;
        let names = if self.access_flag_enable() {
            [(0b001, "AF"), (0b010, "USER"), (0b100, "RO")]
        } else {
            [(0b001, "AP[0]"), (0b010, "AP[1]"), (0b100, "AP[2]")]
        };
        let ap = names.into_iter().filter(move |(mask, _)| ap & mask != 0).map(|(_, name)| name);
        ap.chain(xn.then_some("XN")).chain(pxn.then_some("PXN"))
    }
}

#[cfg(test)]
mod tests;
