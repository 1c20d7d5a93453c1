//! The x86 registers that steer paging: Intel SDM volume 3, "Control
//! Registers" and "Enumeration of Paging Features by CPUID".

use serde::{Deserialize, Serialize};

use super::register::{Entry, Info, Register, Values};
use crate::{addr::hex, bits::bit};

/// Control registers of one x86 CPU, and the features that change a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct X86Regs {
    /// CR0.
    #[serde(with = "hex")]
    pub cr0: u64,
    /// CR3: the base of the first table, and PCID or cache bits below it.
    #[serde(with = "hex")]
    pub cr3: u64,
    /// CR4.
    #[serde(with = "hex")]
    pub cr4: u64,
    /// IA32_EFER.
    #[serde(with = "hex")]
    pub efer: u64,
    /// Current privilege level, 0 to 3.
    pub cpl: u8,
    /// RFLAGS.AC: lifts SMAP for supervisor data accesses.
    pub ac: bool,
    /// Whether the A20 line is on; off, physical bit 20 is always 0.
    pub a20: bool,
    /// MAXPHYADDR: physical address bits above it are reserved.
    pub phys_bits: u8,
    /// CPUID Page1GB: a PDPTE may map 1 GB.
    pub pages_1g: bool,
    /// PKRU: what each protection key forbids of user pages while CR4.PKE = 1.
    #[serde(with = "hex")]
    pub pkru: u64,
    /// IA32_PKRS: the same of supervisor pages while CR4.PKS = 1.
    #[serde(with = "hex")]
    pub pkrs: u64,
    /// Whether what is physical to the CPU is translated once more: EPT, NPT.
    pub nested_paging: bool,
    /// The bit of entries and of CR3 that says "encrypted" (AMD SME and SEV) and is
    /// no address bit; 0 is none.
    pub encryption_bit: u8,
}

impl Default for X86Regs {
    fn default() -> Self {
        Self {
            cr0: 0,
            cr3: 0,
            cr4: 0,
            efer: 0,
            cpl: 0,
            ac: false,
            a20: true,
            phys_bits: 52,
            pages_1g: true,
            pkru: 0,
            pkrs: 0,
            nested_paging: false,
            encryption_bit: 0,
        }
    }
}

impl X86Regs {
    /// CR0.PG, bit 31.
    pub const CR0_PG: u64 = 1 << 31;
    /// CR0.WP, bit 16.
    pub const CR0_WP: u64 = 1 << 16;
    /// CR0.PE, bit 0.
    pub const CR0_PE: u64 = 1;
    /// CR4.PSE, bit 4.
    pub const CR4_PSE: u64 = 1 << 4;
    /// CR4.PAE, bit 5.
    pub const CR4_PAE: u64 = 1 << 5;
    /// CR4.LA57, bit 12.
    pub const CR4_LA57: u64 = 1 << 12;
    /// IA32_EFER.LME, bit 8.
    pub const EFER_LME: u64 = 1 << 8;
    /// IA32_EFER.LMA, bit 10.
    pub const EFER_LMA: u64 = 1 << 10;
    /// IA32_EFER.NXE, bit 11.
    pub const EFER_NXE: u64 = 1 << 11;

    /// Paging on, 4 levels, NX enabled, supervisor writes checked.
    #[must_use]
    pub fn long_mode() -> Self {
        Self {
            cr0: Self::CR0_PG | Self::CR0_WP | Self::CR0_PE,
            cr4: Self::CR4_PAE | Self::CR4_PSE,
            efer: Self::EFER_LME | Self::EFER_LMA | Self::EFER_NXE,
            ..Self::default()
        }
    }

    /// Paging on, 32-bit tables, 4 MB pages allowed.
    #[must_use]
    pub fn protected_mode() -> Self {
        Self {
            cr0: Self::CR0_PG | Self::CR0_WP | Self::CR0_PE,
            cr4: Self::CR4_PSE,
            ..Self::default()
        }
    }

    /// CR0.PG: paging is on.
    #[must_use]
    pub const fn paging(&self) -> bool {
        self.cr0 & Self::CR0_PG != 0
    }

    /// CR0.WP: supervisor writes honour read-only pages.
    #[must_use]
    pub const fn write_protect(&self) -> bool {
        self.cr0 & Self::CR0_WP != 0
    }

    /// CR4.PSE: a 32-bit PDE may map 4 MB.
    #[must_use]
    pub const fn page_size_extensions(&self) -> bool {
        self.cr4 & Self::CR4_PSE != 0
    }

    /// CR4.PAE.
    #[must_use]
    pub const fn physical_address_extension(&self) -> bool {
        self.cr4 & Self::CR4_PAE != 0
    }

    /// CR4.LA57: five levels, 57-bit linear addresses.
    #[must_use]
    pub const fn la57(&self) -> bool {
        self.cr4 & Self::CR4_LA57 != 0
    }

    /// CR4.SMEP, bit 20: the supervisor executes no user page.
    #[must_use]
    pub const fn smep(&self) -> bool {
        bit(self.cr4, 20)
    }

    /// CR4.SMAP, bit 21: the supervisor touches no user page while AC is 0.
    #[must_use]
    pub const fn smap(&self) -> bool {
        bit(self.cr4, 21)
    }

    /// Whether paging has four or five levels.
    const fn has_levels(&self) -> bool {
        self.in_long_mode() && self.physical_address_extension()
    }

    /// CR4.PKE, bit 22, in long mode: pages of the user have protection keys.
    #[must_use]
    pub const fn user_keys(&self) -> bool {
        bit(self.cr4, 22) && self.has_levels()
    }

    /// CR4.PKS, bit 24, in long mode: pages of the supervisor have them.
    #[must_use]
    pub const fn supervisor_keys(&self) -> bool {
        bit(self.cr4, 24) && self.has_levels()
    }

    /// CR4.LASS, bit 27, in long mode: each privilege has its half of the addresses.
    #[must_use]
    pub const fn separates_halves(&self) -> bool {
        bit(self.cr4, 27) && self.has_levels()
    }

    /// How many bits of a pointer count besides bit 63, where the CPU ignores others
    /// ("Linear-Address Masking"): of pointers with bit 63 clear by CR3.LAM_U57 (61)
    /// and LAM_U48 (62), of others by CR4.LAM_SUP (28).
    #[must_use]
    pub(crate) const fn pointer_bits(&self) -> [Option<u8>; 2] {
        if !self.has_levels() {
            return [None; 2];
        }
        let user = match (bit(self.cr3, 61), bit(self.cr3, 62)) {
            (true, _) => Some(57),
            (false, true) => Some(48),
            (false, false) => None,
        };
        let supervisor = match (bit(self.cr4, 28), self.la57()) {
            (true, true) => Some(57),
            (true, false) => Some(48),
            (false, _) => None,
        };
        [user, supervisor]
    }

    /// The encryption bit as a mask; 0 for none.
    #[must_use]
    pub(crate) const fn encryption_mask(&self) -> u64 {
        if self.encryption_bit == 0 { 0 } else { 1 << self.encryption_bit }
    }

    /// IA32_EFER.LMA, or LME with paging on, from which the CPU sets LMA.
    #[must_use]
    pub const fn in_long_mode(&self) -> bool {
        self.efer & Self::EFER_LMA != 0 || self.efer & Self::EFER_LME != 0 && self.paging()
    }

    /// IA32_EFER.NXE: bit 63 of an entry means XD.
    #[must_use]
    pub const fn no_execute_enable(&self) -> bool {
        self.efer & Self::EFER_NXE != 0
    }

    /// A physical address as it leaves the CPU: bit 20 cleared while A20 is off.
    #[inline]
    #[must_use]
    pub const fn through_a20(&self, physical: u64) -> u64 {
        if self.a20 { physical } else { physical & !(1 << 20) }
    }
}

/// The registers of x86, in the order of answers.
pub(super) static REGISTERS: [Entry<X86Regs>; 13] = [
    Entry::new(
        Info::new(Register::Cr0, "CR0", "cr0", "x86: CR0"),
        |regs| regs.cr0,
        |regs, value| regs.cr0 = value,
    ),
    Entry::new(
        Info::new(Register::Cr3, "CR3", "cr3", "x86: CR3, the base of the page tables")
            .table_base(),
        |regs| regs.cr3,
        |regs, value| regs.cr3 = value,
    ),
    Entry::new(
        Info::new(Register::Cr4, "CR4", "cr4", "x86: CR4").chooses_mode(),
        |regs| regs.cr4,
        |regs, value| regs.cr4 = value,
    ),
    Entry::<X86Regs>::new(
        Info::new(Register::Efer, "EFER", "efer", "x86: IA32_EFER"),
        |regs| regs.efer,
        |regs, value| regs.efer = value,
    )
    .usually(usual_efer),
    Entry::new(
        Info::new(Register::Cpl, "CPL", "cpl", "x86: current privilege level, 0 to 3")
            .takes(Values::Range(0, 3))
            .unremarkable(),
        |regs| regs.cpl.into(),
        |regs, value| regs.cpl = value as u8,
    ),
    Entry::new(
        Info::new(Register::Ac, "AC", "ac", "x86: RFLAGS.AC").takes(Values::Switch).unremarkable(),
        |regs| regs.ac.into(),
        |regs, value| regs.ac = value != 0,
    ),
    Entry::new(
        Info::new(Register::A20, "A20", "a20", "x86: the A20 line")
            .takes(Values::Switch)
            .unremarkable(),
        |regs| regs.a20.into(),
        |regs, value| regs.a20 = value != 0,
    ),
    Entry::new(
        super::PHYS_BITS.unremarkable(),
        |regs| regs.phys_bits.into(),
        |regs, value| regs.phys_bits = value as u8,
    ),
    Entry::new(
        Info::new(Register::Pages1g, "PAGES_1G", "pages_1g", "x86: CPUID Page1GB")
            .takes(Values::Switch)
            .feature()
            .unremarkable(),
        |regs| regs.pages_1g.into(),
        |regs, value| regs.pages_1g = value != 0,
    ),
    Entry::new(
        Info::new(Register::Pkru, "PKRU", "pkru", "x86: PKRU, the protection keys of user pages")
            .rare()
            .unremarkable(),
        |regs| regs.pkru,
        |regs, value| regs.pkru = value,
    ),
    Entry::new(
        Info::new(Register::Pkrs, "PKRS", "pkrs", "x86: IA32_PKRS, those of supervisor pages")
            .rare()
            .unremarkable(),
        |regs| regs.pkrs,
        |regs, value| regs.pkrs = value,
    ),
    Entry::new(
        Info::new(
            Register::NestedPaging,
            "NESTED_PAGING",
            "nested_paging",
            "x86: whether EPT or NPT translates once more",
        )
        .takes(Values::Switch)
        .rare()
        .not_given()
        .unremarkable(),
        |regs| regs.nested_paging.into(),
        |regs, value| regs.nested_paging = value != 0,
    ),
    Entry::new(
        Info::new(
            Register::EncryptionBit,
            "ENCRYPTION_BIT",
            "encryption_bit",
            "x86: the bit of entries that says \"encrypted\" (SEV), 0 for none",
        )
        .takes(Values::ZeroOr(32, 51))
        .rare()
        .unremarkable(),
        |regs| regs.encryption_bit.into(),
        |regs, value| regs.encryption_bit = value as u8,
    ),
];

/// Dumps leave EFER out. Kernels that use PAE use NX.
fn usual_efer(regs: &X86Regs) -> u64 {
    let nx = regs.paging() && regs.physical_address_extension();
    regs.efer | if nx { X86Regs::EFER_NXE } else { 0 }
}
