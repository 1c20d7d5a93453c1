//! The translation regime: which part of the address space each table base
//! register maps, and how. "Translation regimes", "TCR_EL1, Translation
//! Control Register (EL1)" and its EL2 and EL3 counterparts, "TTBCR", "HTCR",
//! "Selecting between TTBR0 and TTBR1, VMSAv8-32 Long-descriptor translation
//! table format".
//!
//! Where the manual leaves a choice, a TxSZ out of range gives a level 0
//! Translation fault (it is not clamped), as QEMU does. Every optional range
//! is taken as there: FEAT_TTST (TxSZ up to 48, 47 with 64 KB granules) and
//! FEAT_LVA (TxSZ down to 12 with 64 KB granules). A control that is set belongs to a
//! feature that the CPU has.

use super::{
    format::{AddressForm, DescriptorFormat, Granule},
    rights::{Bars, Inherited, Limits},
};
use crate::{
    addr::Gva,
    bits::{bit, field, mask, sign_extend},
    mmu::{FaultKind, Level, walk::Table},
    regs::{ArmRegs, ArmState},
};

/// The translation regimes of stage 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Regime {
    /// AArch64 EL1&0.
    El10,
    /// AArch64 EL2, one privilege.
    El2,
    /// AArch64 EL2&0: HCR_EL2.E2H = 1.
    El20,
    /// AArch64 EL3, one privilege.
    El3,
    /// AArch32 PL1&0.
    Pl10,
    /// AArch32 Hyp mode, one privilege.
    Hyp,
}

impl Regime {
    /// The regime that `regs` belong to.
    pub const fn new(regs: &ArmRegs) -> Self {
        match (regs.state, regs.el) {
            (ArmState::Aarch32, 2) => Regime::Hyp,
            (ArmState::Aarch32, _) => Regime::Pl10,
            (ArmState::Aarch64, 0 | 1) => Regime::El10,
            // HCR_EL2.E2H, bit 34.
            (ArmState::Aarch64, 2) if bit(regs.hcr, 34) => Regime::El20,
            (ArmState::Aarch64, 2) => Regime::El2,
            (ArmState::Aarch64, _) => Regime::El3,
        }
    }

    pub const fn aarch64(self) -> bool {
        !matches!(self, Regime::Pl10 | Regime::Hyp)
    }

    /// Whether EL0 shares the regime: rights for two privileges, two TTBRs.
    pub const fn has_user(self) -> bool {
        matches!(self, Regime::El10 | Regime::El20 | Regime::Pl10)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Regime::El10 => "AArch64 EL1&0",
            Regime::El2 => "AArch64 EL2",
            Regime::El20 => "AArch64 EL2&0",
            Regime::El3 => "AArch64 EL3",
            Regime::Pl10 => "AArch32 long descriptors",
            Regime::Hyp => "AArch32 Hyp mode, long descriptors",
        }
    }

    /// The level that a fault before any table is read is reported at.
    pub const fn top_level(self) -> Level {
        if self.aarch64() { Level::Level0 } else { Level::Level1 }
    }

    /// What TTBR0 and TTBR1 map.
    pub fn halves(self, regs: &ArmRegs) -> [Option<Half>; 2] {
        match self {
            Regime::El10 | Regime::El20 => {
                let tcr = TcrEl1(regs.tcr);
                [false, true].map(|high| Some(Half::aarch64(tcr.control(high), high, regs)))
            }
            Regime::El2 | Regime::El3 => {
                let control = TcrEl2(regs.tcr).control();
                [Some(Half::aarch64(control, false, regs)), None]
            }
            Regime::Pl10 => Ttbcr(regs.tcr).halves(regs),
            Regime::Hyp => [Some(Htcr(regs.tcr).half(regs)), None],
        }
    }

    /// TCR.HA: the CPU sets access flags itself, so a clear one is no fault.
    pub const fn sets_access_flags(self, tcr: u64) -> bool {
        match self {
            Regime::El10 | Regime::El20 => bit(tcr, 39),
            Regime::El2 | Regime::El3 => bit(tcr, 21),
            Regime::Pl10 | Regime::Hyp => false,
        }
    }

    /// TCR.HD: the CPU makes clean pages with DBM writable itself. It needs HA.
    pub const fn sets_dirty_state(self, tcr: u64) -> bool {
        self.sets_access_flags(tcr)
            && match self {
                Regime::El10 | Regime::El20 => bit(tcr, 40),
                _ => bit(tcr, 22),
            }
    }

    /// Whether permissions are those of indices: TCR2_ELx.PIE, bit 1; TCR_EL3.PIE,
    /// bit 35.
    pub const fn indirect(self, regs: &ArmRegs) -> bool {
        match self {
            Regime::El10 | Regime::El20 | Regime::El2 => bit(regs.tcr2, 1),
            Regime::El3 => bit(regs.tcr, 35),
            Regime::Pl10 | Regime::Hyp => false,
        }
    }

    /// Whether permissions of the regime's own level have an overlay: TCR2_ELx.POE,
    /// bit 3; TCR_EL3.POE, bit 36.
    pub const fn overlaid(self, regs: &ArmRegs) -> bool {
        match self {
            Regime::El10 | Regime::El20 | Regime::El2 => bit(regs.tcr2, 3),
            Regime::El3 => bit(regs.tcr, 36),
            Regime::Pl10 | Regime::Hyp => false,
        }
    }

    /// Whether those of EL0 have one: TCR2_ELx.E0POE, bit 2.
    pub const fn user_overlaid(self, regs: &ArmRegs) -> bool {
        matches!(self, Regime::El10 | Regime::El20) && bit(regs.tcr2, 2)
    }

    /// Whether any permission is one of an index; the limits of tables do not count then.
    pub const fn indexed(self, regs: &ArmRegs) -> bool {
        self.indirect(regs) || self.overlaid(regs) || self.user_overlaid(regs)
    }

    /// TCR.TBID, TBID0: instruction fetches do not ignore the top byte.
    pub const fn fetches_low_top_byte(self, tcr: u64) -> bool {
        match self {
            Regime::El10 | Regime::El20 => bit(tcr, 51),
            Regime::El2 | Regime::El3 => bit(tcr, 29),
            Regime::Pl10 | Regime::Hyp => false,
        }
    }

    /// TCR.TBI, TBI0: the top byte of low addresses is a tag.
    pub const fn ignores_low_top_byte(self, tcr: u64) -> bool {
        match self {
            Regime::El10 | Regime::El20 => bit(tcr, 37),
            Regime::El2 | Regime::El3 => bit(tcr, 20),
            Regime::Pl10 | Regime::Hyp => false,
        }
    }
}

/// What a TCR says of one half of the address space.
#[derive(Clone, Copy)]
struct Control {
    txsz: u8,
    granule: Granule,
    /// EPDn: no walks.
    disabled: bool,
    /// TBIn: address bits 63:56 are a tag.
    ignores_top_byte: bool,
    /// TBIDn: but for instruction fetches.
    fetches_top_byte: bool,
    /// E0PDn: no accesses from EL0.
    bars_user: bool,
    /// HPDn: table descriptors limit nothing.
    flat_permissions: bool,
    /// IPS or PS.
    output_size: u64,
    /// DS: 52-bit addresses with 4 KB and 16 KB granules.
    ds: bool,
}

/// TCR_EL1; TCR_EL2 has the same fields while HCR_EL2.E2H = 1.
#[derive(Clone, Copy)]
struct TcrEl1(u64);

impl TcrEl1 {
    const fn control(self, high: bool) -> Control {
        if high { self.high() } else { self.low() }
    }
    const fn low(self) -> Control {
        Control {
            txsz: field(self.0, 5, 0) as u8,
            granule: tg0(field(self.0, 15, 14)),
            disabled: bit(self.0, 7),
            ignores_top_byte: bit(self.0, 37),
            fetches_top_byte: bit(self.0, 51),
            bars_user: bit(self.0, 55),
            flat_permissions: bit(self.0, 41),
            output_size: self.ips(),
            ds: self.ds(),
        }
    }
    const fn high(self) -> Control {
        Control {
            txsz: field(self.0, 21, 16) as u8,
            granule: tg1(field(self.0, 31, 30)),
            disabled: bit(self.0, 23),
            ignores_top_byte: bit(self.0, 38),
            fetches_top_byte: bit(self.0, 52),
            bars_user: bit(self.0, 56),
            flat_permissions: bit(self.0, 42),
            output_size: self.ips(),
            ds: self.ds(),
        }
    }
    /// Bits 34:32, IPS.
    const fn ips(self) -> u64 {
        field(self.0, 34, 32)
    }
    /// Bit 59, DS.
    const fn ds(self) -> bool {
        bit(self.0, 59)
    }
}

/// TCR_EL2 while HCR_EL2.E2H = 0, and TCR_EL3: one half, other bit numbers.
#[derive(Clone, Copy)]
struct TcrEl2(u64);

impl TcrEl2 {
    const fn control(self) -> Control {
        Control {
            txsz: field(self.0, 5, 0) as u8,
            granule: tg0(field(self.0, 15, 14)),
            disabled: false,
            ignores_top_byte: bit(self.0, 20),
            fetches_top_byte: bit(self.0, 29),
            bars_user: false,
            flat_permissions: bit(self.0, 24),
            // PS.
            output_size: field(self.0, 18, 16),
            ds: bit(self.0, 32),
        }
    }
}

/// TCR.TG0. 0b11 is reserved; it is read as 4 KB.
const fn tg0(field: u64) -> Granule {
    match field {
        0b01 => Granule::Kb64,
        0b10 => Granule::Kb16,
        _ => Granule::Kb4,
    }
}

/// TCR.TG1, numbered otherwise than TG0. 0b00 is reserved; it is read as 4 KB.
const fn tg1(field: u64) -> Granule {
    match field {
        0b01 => Granule::Kb16,
        0b11 => Granule::Kb64,
        _ => Granule::Kb4,
    }
}

impl Control {
    /// Address bits that IPS or PS ask for; 0b111 is reserved.
    const fn asked_output_bits(&self) -> u8 {
        match self.output_size {
            0 => 32,
            1 => 36,
            2 => 40,
            3 => 42,
            4 => 44,
            5 => 48,
            _ => 52,
        }
    }

    /// TCR.DS counts with 4 KB and 16 KB granules only.
    const fn lpa2(&self) -> bool {
        self.ds && !matches!(self.granule, Granule::Kb64)
    }

    /// The least and the greatest TxSZ ("Supported input address ranges").
    const fn txsz_in_range(&self) -> bool {
        let wide = self.ds || matches!(self.granule, Granule::Kb64);
        let least = if wide { 12 } else { 16 };
        let greatest = if matches!(self.granule, Granule::Kb64) { 47 } else { 48 };
        least <= self.txsz && self.txsz <= greatest
    }

    fn format(&self, phys_bits: u8) -> DescriptorFormat {
        let implemented = self.asked_output_bits().min(phys_bits);
        let wide = self.lpa2() || self.granule == Granule::Kb64;
        let output_bits = if wide { implemented } else { implemented.min(48) };
        let address_form = match (self.lpa2(), output_bits > 48) {
            (true, _) => AddressForm::Lpa2,
            (false, true) => AddressForm::Lpa,
            (false, false) => AddressForm::Bits48,
        };
        DescriptorFormat {
            granule: self.granule,
            address_form,
            output_bits,
            hierarchical: !self.flat_permissions,
            large_blocks: phys_bits >= 52,
        }
    }
}

/// TTBCR with EAE = 1; its upper half is TTBCR2.
#[derive(Clone, Copy)]
struct Ttbcr(u64);

impl Ttbcr {
    /// T0SZ, bits 2:0.
    const fn t0sz(self) -> u8 {
        field(self.0, 2, 0) as u8
    }
    /// T1SZ, bits 18:16.
    const fn t1sz(self) -> u8 {
        field(self.0, 18, 16) as u8
    }
    /// EPD0, bit 7.
    const fn epd0(self) -> bool {
        bit(self.0, 7)
    }
    /// EPD1, bit 23.
    const fn epd1(self) -> bool {
        bit(self.0, 23)
    }
    /// T2E, bit 6: TTBCR2 counts.
    const fn t2e(self) -> bool {
        bit(self.0, 6)
    }
    /// TTBCR2.HPD0, bit 9 of the upper half.
    const fn hpd0(self) -> bool {
        self.t2e() && bit(self.0, 41)
    }
    /// TTBCR2.HPD1, bit 10 of the upper half.
    const fn hpd1(self) -> bool {
        self.t2e() && bit(self.0, 42)
    }

    /// A size of 0 means the part that the other one leaves; if both are 0,
    /// TTBR0 has all of it. Between two sizes above 0 lies a gap that nothing
    /// maps.
    fn halves(self, regs: &ArmRegs) -> [Option<Half>; 2] {
        let all = u64::from(u32::MAX);
        let (low_bits, high_bits) = (32 - self.t0sz(), 32 - self.t1sz());
        let (low_bytes, high_bytes) = (1u64 << low_bits, 1u64 << high_bits);
        let (low_end, high_start) = match (self.t0sz(), self.t1sz()) {
            (0, 0) => (all, None),
            (0, _) => (all - high_bytes, Some(all + 1 - high_bytes)),
            (_, 0) => (low_bytes - 1, Some(low_bytes)),
            (_, _) => (low_bytes - 1, Some(all + 1 - high_bytes)),
        };
        let low = root(lpae(!self.hpd0()), regs.ttbr0, low_bits, self.epd0(), Level::Level1);
        let high = root(lpae(!self.hpd1()), regs.ttbr1, high_bits, self.epd1(), Level::Level1);
        [
            Some(Half { first: 0, last: low_end, tags: Tags::None, bars_user: false, root: low }),
            high_start.map(|first| Half {
                first,
                last: all,
                tags: Tags::None,
                bars_user: false,
                root: high,
            }),
        ]
    }
}

/// HTCR: T0SZ in bits 2:0, HPD in bit 24.
#[derive(Clone, Copy)]
struct Htcr(u64);

impl Htcr {
    fn half(self, regs: &ArmRegs) -> Half {
        let input_bits = 32 - field(self.0, 2, 0) as u8;
        let format = lpae(!bit(self.0, 24));
        let root = root(format, regs.ttbr0, input_bits, false, Level::Level1);
        Half { first: 0, last: mask(input_bits.into()), tags: Tags::None, bars_user: false, root }
    }
}

const fn lpae(hierarchical: bool) -> DescriptorFormat {
    DescriptorFormat {
        granule: Granule::Kb4,
        address_form: AddressForm::Lpae,
        output_bits: 40,
        hierarchical,
        large_blocks: false,
    }
}

/// The first table of a half, or why there is none.
pub(super) type Root = Result<Table<Inherited>, (FaultKind, Level)>;

/// The table of `input_bits` address bits at `ttbr`; `top` is the level that a
/// fault is reported at where walks are `disabled`.
fn root(format: DescriptorFormat, ttbr: u64, input_bits: u8, disabled: bool, top: Level) -> Root {
    if disabled {
        return Err((FaultKind::Translation, top));
    }
    let level = format.granule.start_level(input_bits);
    let shift = format.granule.shift(level);
    let bits = input_bits - shift;
    let base = format.table_base(ttbr, bits);
    if base.0 >> format.output_bits != 0 {
        return Err((FaultKind::AddressSize, Level::Level0));
    }
    let inherited = Inherited { format, limits: Limits::NONE, bars: Bars::NONE };
    Ok(Table { base, level, shift, bits, inherited })
}

/// The part of the address space that one table base register maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Half {
    /// Its first address.
    pub first: u64,
    /// Its last address.
    pub last: u64,
    tags: Tags,
    /// EL0 has no access at all.
    pub bars_user: bool,
    root: Root,
}

/// What the top byte of a half's addresses is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tags {
    /// A part of the address.
    None,
    /// Ignored.
    All,
    /// Ignored by loads and stores, a part of the address for instruction fetches.
    Data,
}

impl Half {
    fn aarch64(control: Control, high: bool, regs: &ArmRegs) -> Self {
        let usable = control.txsz_in_range();
        let input_bits = 64 - if usable { control.txsz } else { 16 };
        let ttbr = if high { regs.ttbr1 } else { regs.ttbr0 };
        let mut format = control.format(regs.phys_bits);
        format.hierarchical &= !Regime::new(regs).indexed(regs);
        let disabled = control.disabled || !usable;
        let low_mask = mask(input_bits.into());
        let (first, last) = if high { (!low_mask, u64::MAX) } else { (0, low_mask) };
        let root = root(format, ttbr, input_bits, disabled, Level::Level0);
        let tags = match (control.ignores_top_byte, control.fetches_top_byte) {
            (false, _) => Tags::None,
            (true, false) => Tags::All,
            (true, true) => Tags::Data,
        };
        Self { first, last, tags, bars_user: control.bars_user, root }
    }

    /// Where walks of `gva` start.
    #[inline]
    pub fn start(&self, gva: Gva) -> Root {
        let mut root = self.root();
        if let Ok(table) = &mut root {
            table.inherited.bars.fetches = self.bars_fetches(gva);
        }
        root
    }

    /// The first table of addresses without a tag.
    pub fn root(&self) -> Root {
        let bars = Bars { user: self.bars_user, fetches: false };
        self.root.map(|mut table| {
            table.inherited.bars = bars;
            table
        })
    }

    /// Whether nothing at `gva` is executed, because of its tag.
    #[inline]
    pub fn bars_fetches(&self, gva: Gva) -> bool {
        self.tags == Tags::Data && !(self.first..=self.last).contains(&gva.0)
    }

    /// Whether it maps `gva`. Bit 55 decides between the halves of AArch64; a
    /// tag above it is replaced by copies of it.
    #[inline]
    pub fn contains(&self, gva: Gva) -> bool {
        let address = if self.tags == Tags::None { gva.0 } else { sign_extend(gva.0, 56) };
        self.first <= address && address <= self.last
    }
}
