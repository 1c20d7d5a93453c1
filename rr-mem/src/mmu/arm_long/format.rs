//! The formats of descriptors: granules, the levels and sizes of their tables,
//! and where descriptors keep output addresses.

use super::entry::Descriptor;
use crate::{
    addr::Gpa,
    bits::{field, keep, mask},
    mmu::Level,
};

/// The translation granule: the size of a page and of a whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Granule {
    /// 4 KB: 9 index bits for each level.
    Kb4,
    /// 16 KB: 11 index bits.
    Kb16,
    /// 64 KB: 13 index bits.
    Kb64,
}

impl Granule {
    /// log2 of a page's bytes.
    pub const fn bits(self) -> u8 {
        match self {
            Granule::Kb4 => 12,
            Granule::Kb16 => 14,
            Granule::Kb64 => 16,
        }
    }

    /// Index bits of a whole table of 8-byte descriptors.
    pub const fn stride(self) -> u8 {
        self.bits() - 3
    }

    /// log2 of the bytes that one descriptor of `level` maps.
    pub const fn shift(self, level: Level) -> u8 {
        self.bits() + self.stride() * levels_below(level)
    }

    /// The level whose first table resolves `input_bits` address bits: the
    /// lowest with at most a whole table of index bits, or level -1.
    pub fn start_level(self, input_bits: u8) -> Level {
        let holds = |level: &Level| self.shift(*level) + self.stride() >= input_bits;
        FROM_THE_BOTTOM.into_iter().find(holds).unwrap_or(Level::LevelMinus1)
    }
}

const FROM_THE_BOTTOM: [Level; 5] =
    [Level::Level3, Level::Level2, Level::Level1, Level::Level0, Level::LevelMinus1];

/// Levels between `level` and the pages: 0 for level 3.
const fn levels_below(level: Level) -> u8 {
    match level {
        Level::LevelMinus1 => 4,
        Level::Level0 => 3,
        Level::Level1 => 2,
        Level::Level2 => 1,
        _ => 0,
    }
}

/// The level under `level`.
pub(super) const fn next_level(level: Level) -> Level {
    match level {
        Level::LevelMinus1 => Level::Level0,
        Level::Level0 => Level::Level1,
        Level::Level1 => Level::Level2,
        _ => Level::Level3,
    }
}

/// Where descriptors keep output addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum AddressForm {
    /// AArch32: OA\[39:12\]; bits 47:40 must be 0.
    Lpae,
    /// OA\[47:12\].
    Bits48,
    /// 64 KB granule and 52-bit output (FEAT_LPA): OA\[51:48\] in bits 15:12.
    Lpa,
    /// TCR.DS (FEAT_LPA2): OA\[49:12\] in place, OA\[51:50\] in bits 9:8, which
    /// are the shareability otherwise.
    Lpa2,
}

/// How the descriptors under one table base register are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DescriptorFormat {
    pub granule: Granule,
    pub address_form: AddressForm,
    /// Bits of an output address; a larger one is an Address size fault.
    pub output_bits: u8,
    /// Whether table descriptors limit what is below; not with TCR.HPDn.
    pub hierarchical: bool,
    /// 64 KB granule: whether blocks of level 1 exist. They come with a
    /// physical address size of 52 bits.
    pub large_blocks: bool,
}

impl DescriptorFormat {
    /// The output address of a descriptor that maps (or whose table covers)
    /// `1 << shift` bytes.
    pub const fn address(self, descriptor: Descriptor, shift: u8) -> Gpa {
        let raw = descriptor.0;
        let address = match self.address_form {
            AddressForm::Lpae => keep(raw, 39, 12),
            AddressForm::Bits48 => keep(raw, 47, 12),
            AddressForm::Lpa => return Gpa(aligned(raw, 47, shift) | field(raw, 15, 12) << 48),
            AddressForm::Lpa2 => keep(raw, 49, 12) | field(raw, 9, 8) << 50,
        };
        Gpa(address & !mask(shift as u32))
    }

    /// Whether the output address is larger than the regime's: no access goes
    /// there, so nothing is mapped.
    pub const fn unreachable(self, descriptor: Descriptor) -> bool {
        self.address(descriptor, self.granule.bits()).0 >> self.output_bits != 0
    }

    /// Whether an access finds the output address too large. With LPAE bits
    /// 47:40 count too. ARMv7 ignores them, so presence does not ask for them.
    pub const fn oversized(self, descriptor: Descriptor) -> bool {
        let reserved =
            matches!(self.address_form, AddressForm::Lpae) && field(descriptor.0, 47, 40) != 0;
        reserved || self.unreachable(descriptor)
    }

    /// The bits of the address field below the alignment of a block or page of
    /// `1 << leaf` bytes, or of a table: RES0 but for nT (bit 16 of a block) and
    /// for OA\[51:48\], which FEAT_LPA keeps in bits 15:12.
    pub const fn address_padding(self, descriptor: Descriptor, leaf: Option<u8>) -> u64 {
        let shift = match leaf {
            Some(shift) => shift,
            None => self.granule.bits(),
        };
        let lowest = if matches!(self.address_form, AddressForm::Lpa) { 16 } else { 12 };
        descriptor.0 & mask(shift as u32) & !mask(lowest) & !(1 << 16)
    }

    /// The levels at which a descriptor may map a block ("Block descriptor
    /// and Page descriptor formats").
    pub const fn blocks_at(self, level: Level) -> bool {
        let lpa2 = matches!(self.address_form, AddressForm::Lpa2);
        match (self.granule, level) {
            (_, Level::Level2) | (Granule::Kb4, Level::Level1) => true,
            (Granule::Kb4, Level::Level0) | (Granule::Kb16, Level::Level1) => lpa2,
            (Granule::Kb64, Level::Level1) => self.large_blocks,
            _ => false,
        }
    }

    /// The table base in `ttbr` for a table of `bits` index bits, aligned to
    /// the table's size; to 64 bytes at least where TTBR\[5:2\] are address
    /// bits 51:48. ASID and CnP are cut off.
    pub const fn table_base(self, ttbr: u64, bits: u8) -> Gpa {
        let low = bits + 3;
        match self.address_form {
            AddressForm::Lpae | AddressForm::Bits48 => Gpa(aligned(ttbr, 47, low)),
            AddressForm::Lpa | AddressForm::Lpa2 => {
                let low = if low < 6 { 6 } else { low };
                Gpa(aligned(ttbr, 47, low) | field(ttbr, 5, 2) << 48)
            }
        }
    }
}

/// Bits `high..=low` of `raw`, in place.
const fn aligned(raw: u64, high: u32, low: u8) -> u64 {
    keep(raw, high, low as u32)
}
