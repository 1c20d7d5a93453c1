//! x86 paging: Intel 64 and IA-32 Architectures Software Developer's Manual,
//! volume 3 (253668-083US), chapter "Paging": "32-Bit Paging", "PAE Paging",
//! "4-Level Paging and 5-Level Paging", "Access Rights", "Protection Keys",
//! "Page-Fault Exceptions"; volume 1, "Linear-Address Masking"; "Linear-Address
//! Space Separation". The encryption bit: AMD64 Architecture Programmer's Manual
//! volume 2 (24593), "Secure Memory Encryption", "Secure Encrypted Virtualization".
//!
//! `entry` reads an entry, `rights` combines rights and refuses accesses; this
//! file chooses the first table and takes the steps.
//!
//! Refused by the gate: EPT and NPT (NESTED_PAGING), AMD's upper address ignore (UAIE).
//!
//! Not here: the shared bit of TDX, and the PDPTE registers (PAE walks read the four
//! PDPTEs from memory, as a debugger must).

mod controls;
mod entry;
mod rights;
#[cfg(test)]
mod tests;

pub(super) use self::controls::CONTROLS;
pub(super) use self::rights::deciding;
use self::{entry::Entry, rights::Inherited};
use super::{
    Access, AccessKind, FaultKind, Level, NotModelled, Query, Rights, gate,
    walk::{Decoded, Page, Paging, Span, Start, Table},
};
use crate::{
    addr::{Gpa, Gva},
    bits::{bit, keep, mask, sign_extend},
    regs::{Register, Regs, X86Regs},
};

/// The four formats of paging, and none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// CR0.PG = 0.
    Off,
    /// 4-byte entries, two levels.
    Bits32,
    /// 8-byte entries, three levels.
    Pae,
    /// Long mode, CR4.LA57 = 0.
    FourLevel,
    /// Long mode, CR4.LA57 = 1.
    FiveLevel,
}

/// The paging of one x86 CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct X86Paging {
    mode: Mode,
    regs: X86Regs,
    /// Bit 63 where it means XD, else 0.
    xd: u64,
    /// The bits of an entry that are an address.
    address: u64,
    /// See [`X86Regs::pointer_bits`].
    pointer_bits: [Option<u8>; 2],
    root: Start<Inherited>,
    /// What each [`Inherited`] means for the page below.
    rights: [Rights; 8],
}

impl X86Paging {
    /// The paging that `regs` switch on ("Paging Modes and Control Bits").
    ///
    /// # Errors
    /// When they switch on something that is not modelled.
    pub fn new(regs: &X86Regs) -> Result<Self, NotModelled> {
        gate::check(&CONTROLS, regs, |register| Regs::X86(*regs).get(register))?;
        let mode = if !regs.paging() {
            Mode::Off
        } else if !regs.physical_address_extension() {
            Mode::Bits32
        } else if !regs.in_long_mode() {
            Mode::Pae
        } else if regs.la57() {
            Mode::FiveLevel
        } else {
            Mode::FourLevel
        };
        let xd = if regs.no_execute_enable() { 1 << 63 } else { 0 };
        let rights = std::array::from_fn(|allowed| Self::rights(regs, Inherited(allowed as u8)));
        Ok(Self {
            mode,
            regs: *regs,
            xd,
            address: Entry::ADDRESS & !regs.encryption_mask(),
            pointer_bits: regs.pointer_bits(),
            root: Self::root(mode, regs),
            rights,
        })
    }

    /// Bits of a linear address in this mode.
    #[inline]
    const fn linear_bits(&self) -> u32 {
        match self.mode {
            Mode::Off | Mode::Bits32 | Mode::Pae => 32,
            Mode::FourLevel => 48,
            Mode::FiveLevel => 57,
        }
    }

    /// Whether every bit above the linear address is as the mode wants it.
    #[inline]
    const fn canonical(&self, gva: Gva) -> bool {
        match self.mode {
            Mode::FourLevel | Mode::FiveLevel => sign_extend(gva.0, self.linear_bits()) == gva.0,
            Mode::Off | Mode::Bits32 | Mode::Pae => gva.0 >> 32 == 0,
        }
    }

    /// The whole address space as one page: CR0.PG = 0.
    const OFF: Page = Page { base: Gpa(0), shift: 32, rights: Rights::ALL };

    fn root(mode: Mode, regs: &X86Regs) -> Start<Inherited> {
        let cr3 = regs.cr3 & !regs.encryption_mask();
        let (level, base, shift, bits) = match mode {
            Mode::Off => return Start::Off(Self::OFF),
            Mode::Bits32 => (Level::Pd, keep(cr3, 31, 12), 22, 10),
            // CR3[31:5]: the four PDPTEs are 32-byte aligned.
            Mode::Pae => (Level::Pdpt, keep(cr3, 31, 5), 30, 2),
            Mode::FourLevel => (Level::Pml4, keep(cr3, 51, 12), 39, 9),
            Mode::FiveLevel => (Level::Pml5, keep(cr3, 51, 12), 48, 9),
        };
        Start::Table(Table {
            base: Gpa(regs.through_a20(base)),
            level,
            shift,
            bits,
            inherited: Inherited::TOP,
        })
    }

    #[inline]
    fn page(&self, table: &Table<Inherited>, entry: Entry) -> Page {
        let base = if self.mode == Mode::Bits32 && table.level == Level::Pd {
            entry.pse36_address()
        } else {
            // The PAT bit (12) of a large page lies below its size.
            entry.0 & self.address & !mask(u32::from(table.shift))
        };
        Page {
            base: Gpa(base),
            shift: table.shift,
            rights: self.rights[usize::from(self.inherit(table, entry).0)],
        }
    }

    #[inline]
    fn next_table(&self, table: &Table<Inherited>, entry: Entry) -> Table<Inherited> {
        let (level, bits) = match (self.mode, table.level) {
            (Mode::Bits32, _) => (Level::Pt, 10),
            (_, Level::Pml5) => (Level::Pml4, 9),
            (_, Level::Pml4) => (Level::Pdpt, 9),
            (_, Level::Pdpt) => (Level::Pd, 9),
            _ => (Level::Pt, 9),
        };
        Table {
            base: Gpa(self.output(entry.0 & self.address)),
            level,
            shift: table.shift - bits,
            bits,
            inherited: self.inherit(table, entry),
        }
    }
}

impl Paging for X86Paging {
    type Inherited = Inherited;

    fn mode(&self) -> &'static str {
        match self.mode {
            Mode::Off => "paging off",
            Mode::Bits32 => "32-bit paging",
            Mode::Pae => "PAE paging",
            Mode::FourLevel => "4-level paging",
            Mode::FiveLevel => "5-level paging",
        }
    }

    #[inline]
    fn entry_bytes(&self) -> u64 {
        if self.mode == Mode::Bits32 { 4 } else { 8 }
    }

    #[inline]
    fn start(&self, gva: Gva) -> Result<Start<Inherited>, (FaultKind, Level)> {
        if !self.canonical(gva) {
            return Err((FaultKind::NonCanonical, Level::Pml4));
        }
        Ok(self.root)
    }

    /// "Linear-Address Masking": bit 63 stays, the lower ones are signed. Fetches
    /// ignore nothing; debuggers look at data.
    #[inline]
    fn untagged(&self, gva: Gva, query: Query) -> Gva {
        let fetch = matches!(query, Query::Access(Access { kind: AccessKind::Execute, .. }));
        match self.pointer_bits[bit(gva.0, 63) as usize] {
            Some(bits) if !fetch => {
                let signed = sign_extend(gva.0, u32::from(bits));
                Gva(keep(signed, 62, 0) | keep(gva.0, 63, 63))
            }
            _ => gva,
        }
    }

    fn barred(&self, gva: Gva, access: Access) -> Option<(FaultKind, Level)> {
        self.in_other_half(gva, access).then_some((FaultKind::Separation, Level::Pml4))
    }

    fn base_register(&self, _: Gva) -> Register {
        Register::Cr3
    }

    fn spans(&self) -> Vec<Span<Inherited>> {
        let start = self.root;
        let low = |bits| Span { gva: Gva(0), addresses: Gva(0)..=Gva(mask(bits)), start };
        match self.mode {
            Mode::Off | Mode::Pae | Mode::Bits32 => vec![low(32)],
            Mode::FourLevel | Mode::FiveLevel => {
                let half = self.linear_bits() - 1;
                let addresses = Gva(!mask(half))..=Gva(u64::MAX);
                vec![low(half), Span { gva: Gva(!mask(half + 1)), addresses, start }]
            }
        }
    }

    #[inline]
    fn output(&self, physical: u64) -> u64 {
        self.regs.through_a20(physical)
    }

    fn linear_shift(&self) -> u8 {
        if self.regs.a20 { 64 } else { 20 }
    }

    // A result in memory, not in registers, costs more than the decoding.
    #[inline(always)]
    fn decode(&self, table: &Table<Inherited>, raw: u64) -> Decoded<Inherited> {
        let entry = Entry(raw);
        if !entry.present() {
            Decoded::Invalid(FaultKind::NotPresent)
        } else if self.maps_page(table.level, entry) {
            Decoded::Page(self.page(table, entry))
        } else {
            Decoded::Table(self.next_table(table, entry))
        }
    }

    fn malformed(&self, table: &Table<Inherited>, raw: u64) -> Option<FaultKind> {
        let reserved = self.reserved_bits(table.level, Entry(raw)) & raw;
        (reserved != 0).then_some(FaultKind::ReservedBit)
    }

    fn refused(
        &self,
        _: &Table<Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        self.forbidden(Entry(raw), page, access)
    }

    fn status(&self, kind: FaultKind, _: Level, access: Access) -> Option<u32> {
        self.error_code(kind, access)
    }

    fn flags(&self, _: Level, raw: u64, leaf: bool) -> Vec<&'static str> {
        self.names(Entry(raw), leaf)
    }
}
