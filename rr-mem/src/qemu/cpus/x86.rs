//! `CPUX86State`.

use super::Registers;
use crate::{
    addr::Hva,
    bits::bit,
    memory::Memory,
    qemu::{
        Wrong, objects,
        structs::{Struct, Structs},
    },
    regs::{Cpu, GeneralRegs, Register, Regs, Segment, X86General, X86Regs},
};

/// Bits of `hflags`.
const HF_SMM: u32 = 19;
const HF_GUEST: u32 = 21;
/// A bit of `hflags2`: the guest has nested paging.
const HF2_NPT: u32 = 6;
/// What a CPU in system management mode is called.
pub(super) const SMM: &str = "SMM";
/// What a CPU that runs a hypervisor's guest is called.
pub(super) const NESTED: &str = "nested guest";
/// RFLAGS.AC.
const AC: u32 = 18;
/// The A20 line in `a20_mask`.
const A20: u32 = 20;
/// MAXPHYADDR of CPUs that do not say.
const PHYS_BITS: u64 = 52;

/// The structs of a CPU. Emulators of 32-bit x86 alone have smaller ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub cpu: &'static str,
    env: &'static str,
}

impl Kind {
    const USUAL: Self = Self { cpu: "X86CPU", env: "CPUX86State" };
    const NARROW: Self = Self { cpu: "X86CPU@i386", env: "CPUX86State@i386" };

    /// By the name of the CPU's type, such as `qemu32-i386-cpu`. Debug info of
    /// the emulator itself knows its structs by their plain names.
    pub fn of<M: Memory<Hva>>(structs: &Structs<'_, M>, cpu: &Struct<'_>) -> Result<Self, Wrong> {
        if !structs.knows(Self::NARROW.env) || !structs.knows("TypeImpl") {
            return Ok(Self::USUAL);
        }
        let types = objects::types(structs, cpu.address)?;
        let narrow = types.iter().any(|name| name == "i386-cpu");
        Ok(if narrow { Self::NARROW } else { Self::USUAL })
    }
}

pub(super) fn read<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    cpu: &Struct<'_>,
    env: u64,
) -> Result<Registers, Wrong> {
    let kind = Kind::of(structs, cpu)?;
    let env = structs.at(kind.env, env)?;
    check(&env)?;
    let hflags = env.get("hflags")?;
    let cr = |number| env.element("cr", 5, number);
    let regs = X86Regs {
        cr0: cr(0)?,
        cr3: cr(3)?,
        cr4: cr(4)?,
        efer: env.get("efer")?,
        cpl: hflags as u8 & 3,
        ac: bit(env.get("eflags")?, AC),
        a20: bit(env.get("a20_mask")?, A20),
        phys_bits: phys_bits(structs, kind, cpu)?,
        ..X86Regs::default()
    };
    let smm = bit(hflags, HF_SMM);
    let world = match (smm, bit(hflags, HF_GUEST)) {
        (true, _) => Some(SMM),
        (false, true) => Some(NESTED),
        (false, false) => None,
    };
    let word = structs.field(kind.env, "eip").map_or(8, |field| field.size);
    Ok(Registers {
        cpu: Some(with_rare(&env, Cpu::told(Regs::X86(regs)), hflags)?),
        other: None,
        general: general(&env, word == 8).ok().map(GeneralRegs::X86),
        pc: Some(env.get("eip")?),
        world,
        space: usize::from(smm),
    })
}

/// `cpu` with what few sources tell, as far as the layout has it.
fn with_rare(env: &Struct<'_>, mut cpu: Cpu, hflags: u64) -> Result<Cpu, Wrong> {
    const KEYS: [(&str, Register); 2] = [("pkru", Register::Pkru), ("pkrs", Register::Pkrs)];
    let known = |cpu: Cpu, register, value| cpu.with(register, value).unwrap_or(cpu);
    for (member, register) in KEYS.into_iter().filter(|(member, _)| env.has(member)) {
        cpu = known(cpu, register, env.get(member)?);
    }
    let nested = match bit(hflags, HF_GUEST) {
        true if !env.has("hflags2") => return Ok(cpu),
        true => bit(env.get("hflags2")?, HF2_NPT),
        false => false,
    };
    Ok(known(cpu, Register::NestedPaging, nested.into()))
}

/// Of emulators of 32-bit x86 alone, registers have 4 bytes, and there are 8.
/// Flags are whole while no translated code runs.
fn general(env: &Struct<'_>, wide: bool) -> Result<X86General, Wrong> {
    const TABLES: [&str; 4] = ["ldt", "tr", "gdt", "idt"];
    let mut found =
        X86General { rip: env.get("eip")?, rflags: env.get("eflags")?, ..X86General::default() };
    let count = if wide { 16 } else { 8 };
    for (number, value) in found.regs.iter_mut().enumerate().take(count) {
        *value = env.element("regs", count, number)?;
    }
    for (number, value) in found.cr.iter_mut().enumerate() {
        *value = env.element("cr", 5, number)?;
    }
    for (number, place) in found.segments.iter_mut().enumerate() {
        *place = segment(env, "segs", [6, number], wide)?;
    }
    for (name, place) in TABLES.into_iter().zip(&mut found.tables) {
        *place = segment(env, name, [1, 0], wide)?;
    }
    Ok(found)
}

/// Number `number` of `count` segments: 4 bytes each for selector, base, limit
/// and flags, or 8 for the base and before it room for as many.
fn segment(
    env: &Struct<'_>,
    member: &'static str,
    [count, number]: [usize; 2],
    wide: bool,
) -> Result<Segment, Wrong> {
    let parts = if wide { 3 } else { 4 };
    let part = |place| env.element(member, count * parts, number * parts + place);
    let last = part(parts - 1)?;
    let (limit, attributes) = if wide { (last, last >> 32) } else { (part(2)?, last) };
    Ok(Segment {
        selector: part(0)? as u16,
        base: part(1)?,
        limit: limit as u32,
        attributes: attributes as u32,
    })
}

/// What a CPU's registers cannot hold: a mask of the A20 line that masks
/// anything else, a CR0 of more than 32 bits, a CR1.
fn check(env: &Struct<'_>) -> Result<(), Wrong> {
    let mask = env.get("a20_mask")? as u32 | 1 << A20;
    match (mask, env.element("cr", 5, 0)? >> 32, env.element("cr", 5, 1)?) {
        (u32::MAX, 0, 0) => Ok(()),
        _ => Err(Wrong::at("no x86 registers are", env.address)),
    }
}

/// 0 means that QEMU takes a default.
fn phys_bits<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    kind: Kind,
    cpu: &Struct<'_>,
) -> Result<u8, Wrong> {
    let Some(field) = structs.field(kind.cpu, "phys_bits") else { return Ok(PHYS_BITS as u8) };
    let bytes = structs.bytes(cpu.address.wrapping_add(field.offset), 4)?;
    let bits = u64::from(bytes[0]);
    Ok(if (32..=PHYS_BITS).contains(&bits) { bits } else { PHYS_BITS } as u8)
}
