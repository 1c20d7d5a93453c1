//! The MPU of an ARM CPU in a stream: the subsections of `cpu` that say what kind it is
//! and hold its regions. QEMU, target/arm/machine.c.

use super::state::Numbers;
use crate::{
    bits::bit,
    regs::{Mpu, MpuKind, MpuRegion},
};

/// The fields that begin with these are of CPUs of the M profile, of those with its
/// security extension, and of CPUs with regions of PMSAv7 and PMSAv8.
const M_PROFILE: &str = "cpu/m.";
const M_SECURITY: &str = "cpu/m-security.";
const V7: &str = "cpu/pmsav7.";
const V8: &str = "cpu/pmsav8.";
/// The exception numbers of NMI and HardFault.
const NEGATIVE: [u64; 2] = [2, 3];

/// The MPU, and the privilege of the M profile.
pub(super) struct Found {
    pub mpu: Mpu,
    pub privileged: Option<bool>,
}

/// The MPU of a CPU that has one of ARMv7 or later; `el` is its exception level. What
/// cannot be told is an MPU of which nothing is known.
pub(super) fn read(numbers: &Numbers, el: u8) -> Option<Found> {
    let has = |part: &str| numbers.keys().any(|path| path.starts_with(part));
    let [m_profile, security, v7, v8] = [M_PROFILE, M_SECURITY, V7, V8].map(has);
    let found = match (m_profile, v7, v8) {
        (false, false, false) => return None,
        // The M profile of ARMv8.
        _ if security || m_profile && v8 => None,
        (true, _, _) => self::m_profile(numbers),
        (false, true, _) => v7_regions(numbers).map(|regions| Mpu::new(MpuKind::V7R, &regions)),
        (false, false, true) => v8_regions(numbers, el),
    };
    let unknown = || Mpu::new(MpuKind::Unknown, &[]);
    let privileged = found.and(m_profile.then(|| is_privileged(numbers)).flatten());
    Some(Found { mpu: found.unwrap_or_else(unknown), privileged })
}

/// The words of an array.
fn words<'n>(numbers: &'n Numbers, name: &'n str) -> impl Iterator<Item = u32> + 'n {
    (0..=Mpu::MOST)
        .map_while(move |n| numbers.get(&format!("{name}[{n}]")).map(|word| *word as u32))
}

/// Arrays of one length as regions; of none, if that cannot be.
fn regions(bases: Vec<u32>, attributes: Vec<u32>) -> Option<Vec<MpuRegion>> {
    if bases.len() != attributes.len() || bases.len() > Mpu::MOST {
        return None;
    }
    let pairs = bases.into_iter().zip(attributes);
    Some(pairs.map(|(base, attributes)| MpuRegion { base, attributes }).collect())
}

fn v7_regions(numbers: &Numbers) -> Option<Vec<MpuRegion>> {
    let [bases, sizes, access] = ["drbar", "drsr", "dracr"]
        .map(|name| words(numbers, &format!("{V7}env.pmsav7.{name}")).collect::<Vec<_>>());
    (sizes.len() == access.len()).then_some(())?;
    let attributes = sizes.iter().zip(access).map(|(size, access)| size | access << 16);
    regions(bases, attributes.collect())
}

fn v8_regions(numbers: &Numbers, el: u8) -> Option<Mpu> {
    let names = match el {
        2 => ["cpu/pmsav8/pmsav8r.env.pmsav8.hprbar", "cpu/pmsav8/pmsav8r.env.pmsav8.hprlar"],
        _ => ["env.pmsav8.rbar[M_REG_NS]", "env.pmsav8.rlar[M_REG_NS]"],
    };
    let [bases, limits] =
        names.map(|name| words(numbers, &format!("{V8}{name}")).collect::<Vec<_>>());
    // Without one region there would be no such subsection.
    (!bases.is_empty()).then_some(())?;
    Some(Mpu::new(MpuKind::V8R, &regions(bases, limits)?))
}

fn of_m<'n>(numbers: &'n Numbers, name: &str) -> Option<&'n u64> {
    numbers.get(&format!("{M_PROFILE}{name}"))
}

fn is_privileged(numbers: &Numbers) -> Option<bool> {
    let control = *of_m(numbers, "env.v7m.control[M_REG_NS]")?;
    Some(*of_m(numbers, "env.v7m.exception")? != 0 || !bit(control, 0))
}

fn m_profile(numbers: &Numbers) -> Option<Mpu> {
    let faultmask = of_m(numbers, "cpu/m/faultmask-primask.env.v7m.faultmask[M_REG_NS]")?;
    let exception = of_m(numbers, "env.v7m.exception")?;
    is_privileged(numbers)?;
    let mut mpu = Mpu::new(MpuKind::V7M, &v7_regions(numbers)?);
    mpu.control = *of_m(numbers, "env.v7m.mpu_ctrl[M_REG_NS]")? as u32;
    mpu.negative = bit(*faultmask, 0) || NEGATIVE.contains(exception);
    Some(mpu)
}
