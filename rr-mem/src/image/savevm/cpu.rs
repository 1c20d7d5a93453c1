//! The registers in the sections `cpu`: QEMU, target/i386/machine.c and
//! target/arm/machine.c.

use std::ops::ControlFlow;

use super::{
    arm::SystemRegisters,
    description::Description,
    state::{self, Numbers},
};
use crate::{
    bits::{bit, field},
    regs::{Cpu, OtherArch, Register, Regs, X86Regs},
};

/// The bit of system management mode in hflags.
const HF_SMM: u32 = 19;
/// The section of a CPU.
const SECTION: &str = "cpu";
/// What every x86 CPU has in it, and every ARM CPU.
const OWN_FIELDS: [&str; 2] = ["env.hflags", "cpsr"];
/// What only CPUs of these types have.
const OTHERS: [(&str, &str); 3] =
    [("env.satp", "riscv-cpu"), ("env.CSR_CRMD", "loongarch-cpu"), ("env.psw.mask", "s390x-cpu")];

/// What the sections of the CPUs give: as much as could be read.
/// With each, whether it is in system management mode.
pub(super) fn read(stream: &[u8], start: u64, description: &Description) -> Vec<(Cpu, bool)> {
    let mut cpus: Vec<(u32, Numbers)> = Vec::new();
    let mut visit = |field: &state::StateField<'_>| {
        let Some(number) = field.number().filter(|_| field.device == SECTION) else {
            return ControlFlow::Continue(());
        };
        match cpus.last_mut() {
            Some((instance, numbers)) if *instance == field.instance => {
                numbers.insert(field.path.to_owned(), number);
            }
            _ => cpus.push((field.instance, Numbers::from([(field.path.to_owned(), number)]))),
        }
        ControlFlow::Continue(())
    };
    // What is cut or damaged behind a CPU does not make it wrong.
    let _ = state::walk(stream, start, description, &mut visit);
    cpus.iter().filter_map(|(_, numbers)| Some((cpu(numbers)?, in_smm(numbers)))).collect()
}

/// The architecture of a stream whose CPUs are neither of x86 nor of ARM.
pub(super) fn other(description: &Description) -> Option<OtherArch> {
    let cpu = description.devices.iter().find(|device| device.name == SECTION)?;
    let has = |name: &&str| cpu.state.fields.iter().any(|field| field.name == *name);
    if OWN_FIELDS.iter().any(has) {
        return None;
    }
    let found = OTHERS.iter().find(|(field, _)| has(field));
    Some(found.map_or(OtherArch::UNKNOWN, |(_, kind)| OtherArch::of_cpu_type(kind)))
}

/// HF_SMM_MASK of hflags.
fn in_smm(numbers: &Numbers) -> bool {
    numbers.get("env.hflags").is_some_and(|flags| bit(*flags, HF_SMM))
}

fn cpu(numbers: &Numbers) -> Option<Cpu> {
    x86(numbers).or_else(|| SystemRegisters::read(numbers)?.cpu())
}

/// An x86 CPU. HF_CPL_MASK of hflags is the privilege level; the emulators of
/// 32-bit guests leave EFER out, and all leave MAXPHYADDR out. A register that is 0 has
/// no subsection.
fn x86(numbers: &Numbers) -> Option<Cpu> {
    let get = |name: &str| numbers.get(name).copied();
    let hflags = get("env.hflags")?;
    let efer = get("env.efer");
    let regs = X86Regs {
        cr0: get("env.cr[0]")?,
        cr3: get("env.cr[3]")?,
        cr4: get("env.cr[4]")?,
        efer: efer.unwrap_or(0),
        cpl: field(hflags, 1, 0) as u8,
        ac: bit(get("env.eflags")?, 18),
        a20: bit(get("env.a20_mask")?, 20),
        ..X86Regs::default()
    };
    let nested = bit(hflags, 21) && bit(get("env.hflags2").unwrap_or(0), 6);
    let rare = [
        (Register::Pkru, get("cpu/pkru.env.pkru").unwrap_or(0)),
        (Register::Pkrs, get("cpu/pkrs.env.pkrs").unwrap_or(0)),
        (Register::NestedPaging, nested.into()),
    ];
    let told = Cpu::told(Regs::X86(regs)).without(&[Register::PhysBits]);
    let cpu = rare
        .into_iter()
        .fold(told, |cpu, (register, value)| cpu.with(register, value).unwrap_or(cpu));
    Some(if efer.is_some() { cpu } else { cpu.without(&[Register::Efer]) })
}
