//! The MPU of an ARM CPU, by the name of the CPU's type. What a layout does not tell, or
//! cannot be one, is an MPU of which nothing is known: it is refused, never guessed.

use crate::{
    addr::Hva,
    bits::bit,
    memory::Memory,
    qemu::{
        Wrong, objects,
        structs::{Struct, Structs},
        symbols::Target,
    },
    regs::{Mpu, MpuKind, MpuRegion},
};

/// CPUs with an MPU, by the first letters of their types. What is of none of these
/// kinds, and of the others' names, is not modelled.
const KINDS: [(&str, MpuKind); 12] = [
    ("cortex-m0-", MpuKind::V7M),
    ("cortex-m3-", MpuKind::V7M),
    ("cortex-m4-", MpuKind::V7M),
    ("cortex-m7-", MpuKind::V7M),
    ("cortex-m", MpuKind::Unknown),
    ("cortex-r52-", MpuKind::V8R),
    ("cortex-r4-", MpuKind::V7R),
    ("cortex-r5-", MpuKind::V7R),
    ("cortex-r5f-", MpuKind::V7R),
    ("cortex-r", MpuKind::Unknown),
    ("arm946", MpuKind::Unknown),
    ("arm1156", MpuKind::Unknown),
];

/// The exception numbers of NMI and HardFault.
const NEGATIVE: [u64; 2] = [2, 3];
/// The M profile has no exception with a larger number.
const EXCEPTIONS: u64 = 512;

/// The MPU, and the privilege of the M profile.
pub(super) struct Found {
    pub mpu: Mpu,
    pub privileged: Option<bool>,
}

/// The MPU of a CPU at `address`; `el` is its exception level.
pub(super) fn read<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    cpu: &Struct<'_>,
    target: Target,
    el: u8,
) -> Result<Found, Wrong> {
    let kind = kind(structs, cpu)?;
    let narrow = target == Target::Arm && structs.knows("CPUARMState@arm");
    let reader =
        Reader { structs, of: if narrow { "ARMCPU@arm" } else { "ARMCPU" }, cpu: cpu.address };
    let found = match kind {
        MpuKind::V7M => reader.m_profile(),
        MpuKind::V7R => reader.v7().map(|regions| plain(kind, &regions)),
        MpuKind::V8R => reader.v8(el).map(|regions| plain(kind, &regions)),
        kind => Some(plain(kind, &[])),
    };
    Ok(found.unwrap_or(plain(MpuKind::Unknown, &[])))
}

fn plain(kind: MpuKind, regions: &[MpuRegion]) -> Found {
    Found { mpu: Mpu::new(kind, regions), privileged: None }
}

fn kind<M: Memory<Hva>>(structs: &Structs<'_, M>, cpu: &Struct<'_>) -> Result<MpuKind, Wrong> {
    if !structs.knows("TypeImpl") {
        return Ok(MpuKind::None);
    }
    let types = objects::types(structs, cpu.address)?;
    let kind = |name: &String| KINDS.iter().find(|(first, _)| name.starts_with(first));
    Ok(types.iter().find_map(kind).map_or(MpuKind::None, |(_, kind)| *kind))
}

/// Reads members one by one: the whole struct is large.
struct Reader<'s, 'a, M> {
    structs: &'s Structs<'a, M>,
    of: &'static str,
    cpu: u64,
}

impl<M: Memory<Hva>> Reader<'_, '_, M> {
    /// Number `index` of the values of `bytes` bytes in a member.
    fn value(&self, member: &str, index: u64, bytes: u64) -> Option<u64> {
        let field = self.structs.field(self.of, member)?;
        let at = index * bytes;
        (at + bytes <= field.size).then_some(())?;
        let address = self.cpu.wrapping_add(field.offset).wrapping_add(at);
        let bytes = self.structs.bytes(address, bytes as usize).ok()?;
        Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn word(&self, member: &str) -> Option<u64> {
        self.value(member, 0, 4)
    }

    /// `count` words behind the pointer in a member.
    fn words(&self, member: &str, count: usize) -> Option<Vec<u32>> {
        let address = self.value(member, 0, 8)?;
        let bytes = self.structs.bytes(address, count * 4).ok()?;
        Some(bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    fn count(&self, member: &str) -> Option<usize> {
        usize::try_from(self.word(member)?).ok().filter(|count| *count <= Mpu::MOST)
    }

    fn v7(&self) -> Option<Vec<MpuRegion>> {
        let count = self.count("pmsav7_dregion")?;
        if count == 0 {
            return Some(Vec::new());
        }
        let bases = self.words("env.pmsav7.drbar", count)?;
        let sizes = self.words("env.pmsav7.drsr", count)?;
        let access = self.words("env.pmsav7.dracr", count)?;
        let attributes = sizes.iter().zip(access).map(|(size, access)| size | access << 16);
        let regions = bases.into_iter().zip(attributes);
        Some(regions.map(|(base, attributes)| MpuRegion { base, attributes }).collect())
    }

    /// EL2 has regions of its own.
    fn v8(&self, el: u8) -> Option<Vec<MpuRegion>> {
        let [count, bases, limits] = match el {
            2 => ["pmsav8r_hdregion", "env.pmsav8.hprbar", "env.pmsav8.hprlar"],
            _ => ["pmsav7_dregion", "env.pmsav8.rbar", "env.pmsav8.rlar"],
        };
        let count = self.count(count)?;
        if count == 0 {
            return Some(Vec::new());
        }
        let regions = self.words(bases, count)?.into_iter().zip(self.words(limits, count)?);
        Some(regions.map(|(base, attributes)| MpuRegion { base, attributes }).collect())
    }

    /// Without the security extension the first bank is the only one.
    fn m_profile(&self) -> Option<Found> {
        let (exception, control) = (self.word("env.v7m.exception")?, self.word("env.v7m.control")?);
        if exception >= EXCEPTIONS {
            return None;
        }
        let faultmask = bit(self.word("env.v7m.faultmask")?, 0);
        let mut mpu = Mpu::new(MpuKind::V7M, &self.v7()?);
        mpu.control = self.word("env.v7m.mpu_ctrl")? as u32;
        mpu.negative = faultmask || NEGATIVE.contains(&exception);
        Some(Found { mpu, privileged: Some(exception != 0 || !bit(control, 0)) })
    }
}
