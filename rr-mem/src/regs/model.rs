//! ARM CPUs before ARMv7, by what names them. ARM Architecture Reference Manual
//! (DDI 0100I), "Register 0: ID codes"; for ARMv7-A (DDI 0406C.d), "MIDR, Main ID
//! Register".

use crate::bits::field;

/// What a CPU's model decides of its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArmModel {
    /// The version of the architecture.
    pub version: u8,
    /// An XScale.
    pub xscale: bool,
}

/// The emulator's models, by the first letters of their types' names.
const TYPES: [(&str, ArmModel); 10] = [
    ("arm926", ArmModel::of(5)),
    ("arm946", ArmModel::of(5)),
    ("arm1026", ArmModel::of(5)),
    ("arm1136", ArmModel::of(6)),
    ("arm1156", ArmModel::of(6)),
    ("arm1176", ArmModel::of(6)),
    ("arm11mpcore", ArmModel::of(6)),
    ("pxa", ArmModel { version: 5, xscale: true }),
    ("sa11", ArmModel::of(4)),
    ("ti925", ArmModel::of(4)),
];

/// MIDR.Implementer of Arm and of Intel.
const ARM: u64 = 0x41;
const INTEL: u64 = 0x69;
/// MIDR.PartNum of Arm's cores of ARMv6 whose version is in other registers: 11 MPCore,
/// ARM1136, ARM1156, ARM1176.
const ARM11: [u64; 4] = [0xb02, 0xb36, 0xb56, 0xb76];

impl ArmModel {
    const fn of(version: u8) -> Self {
        Self { version, xscale: false }
    }

    /// An old model, by the name of its type.
    pub fn of_type(name: &str) -> Option<Self> {
        TYPES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, model)| *model)
    }

    /// An old model, by MIDR: bits 19:16 are the architecture, 0xf where other registers
    /// tell it.
    pub fn of_midr(midr: u64) -> Option<Self> {
        let (implementer, part) = (field(midr, 31, 24), field(midr, 15, 4));
        match field(midr, 19, 16) {
            1 | 2 => Some(Self::of(4)),
            3..=6 => Some(Self { version: 5, xscale: implementer == INTEL }),
            7 => Some(Self::of(6)),
            0xf if implementer == ARM && ARM11.contains(&part) => Some(Self::of(6)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_known_by_name_and_by_midr() {
        let models = [
            ("arm926-arm-cpu", 0x4106_9265, 5),
            ("arm1026-arm-cpu", 0x4106_a262, 5),
            ("arm1136-r2-arm-cpu", 0x4107_b362, 6),
            ("arm1176-arm-cpu", 0x410f_b767, 6),
            ("arm11mpcore-arm-cpu", 0x410f_b022, 6),
            ("pxa270-c5-arm-cpu", 0x6905_4117, 5),
            ("sa1110-arm-cpu", 0x6901_b119, 4),
            ("ti925t-arm-cpu", 0x5402_9252, 4),
        ];
        for (name, midr, version) in models {
            let model = ArmModel { version, xscale: name.starts_with("pxa") };
            assert_eq!(ArmModel::of_type(name), Some(model));
            assert_eq!(ArmModel::of_midr(midr), Some(model), "{name}");
        }
        // A Cortex-A15, and a CPU of ARMv8.
        for (name, midr) in [("cortex-a15-arm-cpu", 0x412f_c0f1), ("max-arm-cpu", 0x411f_d070)] {
            assert_eq!((ArmModel::of_type(name), ArmModel::of_midr(midr)), (None, None));
        }
    }
}
