//! CPUs: which there are, and the registers that steer paging.
//!
//! Bit positions of `hflags` are QEMU's own (target/i386/cpu.h) and have not
//! moved since 2.9; the others are the architectures'.

pub(super) mod arm;
mod mpu;
mod x86;

use std::collections::HashSet;

use serde::Serialize;

use super::{
    Wrong, map, objects,
    structs::{Struct, Structs},
    symbols::{QemuSymbols, Target},
};
use crate::{
    addr::Hva,
    memory::Memory,
    regs::{ArmRegs, Cpu, GeneralRegs, OtherArch, Register, Regs},
};

/// CPU numbers that are still plausible.
const CPU_LIMIT: u64 = 1 << 16;
/// A CPU's address spaces: at most 4 (ARM, with tag memory).
const SPACES: std::ops::RangeInclusive<u64> = 1..=16;
/// The type of all CPUs.
const ANY_CPU: &str = "cpu";
/// How far behind a CPU's first byte its registers may be.
const ENV_LIMIT: u64 = 1 << 20;

/// A CPU of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VirtualCpu {
    /// QEMU's number of it.
    pub index: u64,
    /// Its `CPUState` in the emulator.
    pub state: Hva,
    /// The number of its thread; 0 before it has one.
    pub thread: u64,
    /// Waits for an interrupt.
    pub halted: bool,
    /// Stopped by the emulator.
    pub stopped: bool,
    /// What runs it.
    pub accelerator: Accelerator,
    /// The address space that it uses now, by its place in the map.
    pub space: Option<usize>,
    /// The program counter; behind the truth while a block of translated code
    /// runs.
    pub pc: Option<u64>,
    /// The paging registers of the regime in force; of a CPU that no walker models,
    /// none is read.
    pub regs: Option<Regs>,
    /// Those among them that the emulator's layout does not tell.
    pub unknown: Vec<Register>,
    /// Its architecture, if no walker models it.
    pub other: Option<OtherArch>,
    /// The general registers, if the layout has all of them; as `pc`, behind the
    /// truth while code runs, and then without x86's arithmetic flags.
    pub general: Option<GeneralRegs>,
    /// Beyond the usual: system management mode, the secure world, a nested
    /// guest.
    pub world: Option<&'static str>,
    /// Guest instructions so far, of emulators that count them: PANDA's own
    /// count, or that of `-icount`, which is of all CPUs together; see
    /// [`InstructionCounter`](super::InstructionCounter).
    pub instructions: Option<u64>,
}

impl VirtualCpu {
    /// Its paging registers, and which of them are known.
    #[must_use]
    pub fn cpu(&self) -> Option<Cpu> {
        self.regs.map(|regs| Cpu::known(regs).without(&self.unknown))
    }

    /// The name of the architecture of its mode.
    #[must_use]
    pub fn arch(&self) -> &'static str {
        let other = self.other.unwrap_or(OtherArch::UNKNOWN);
        self.regs.map_or(other.name(), |regs| regs.arch().name())
    }

    /// Whether it is in system management mode.
    #[must_use]
    pub fn is_in_smm(&self) -> bool {
        self.world == Some(x86::SMM)
    }

    /// Whether what it takes for physical addresses may be translated once more:
    /// ARM's HCR_EL2.VM below EL2, a nested guest of x86.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        let second_stage = |regs: &ArmRegs| regs.el < 2 && regs.hcr & 1 != 0;
        self.world == Some(x86::NESTED)
            || matches!(&self.regs, Some(Regs::Arm(regs)) if second_stage(regs))
    }
}

/// What runs a guest's CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Accelerator {
    /// QEMU's translator: control registers are always those in force.
    Tcg,
    /// KVM, with the registers in QEMU's hands.
    Kvm,
    /// KVM, registers as they were when QEMU last asked.
    KvmStale,
}

impl Accelerator {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
            Self::KvmStale => "kvm (stale)",
        }
    }
}

/// What the architecture's part says of a CPU.
#[derive(Default)]
struct Registers {
    cpu: Option<Cpu>,
    other: Option<OtherArch>,
    general: Option<GeneralRegs>,
    pc: Option<u64>,
    world: Option<&'static str>,
    /// Which of its address spaces it uses.
    space: usize,
}

impl Registers {
    /// Of a CPU that no walker models.
    fn of_other<M: Memory<Hva>>(structs: &Structs<'_, M>, cpu: &Struct<'_>) -> Result<Self, Wrong> {
        Ok(Self { other: Some(other(structs, cpu)?), ..Self::default() })
    }
}

/// The architecture that the type of a CPU names: of `rv64-riscv-cpu`,
/// `riscv-cpu`, `cpu`, ... the one before the type of all CPUs.
fn other<M: Memory<Hva>>(structs: &Structs<'_, M>, cpu: &Struct<'_>) -> Result<OtherArch, Wrong> {
    if !structs.knows("TypeImpl") {
        return Ok(OtherArch::UNKNOWN);
    }
    let types = objects::types(structs, cpu.address)?;
    let all = types.iter().position(|name| name == ANY_CPU);
    let all = all.ok_or_else(|| Wrong::at("what is listed as a CPU is none", cpu.address))?;
    let own = all.checked_sub(1).map(|own| OtherArch::of_cpu_type(&types[own]));
    Ok(own.unwrap_or(OtherArch::UNKNOWN))
}

/// The list of CPUs, each checked to be one.
pub(super) fn list<'a, M: Memory<Hva>>(
    structs: &Structs<'a, M>,
    symbols: &QemuSymbols,
    spaces: &[u64],
) -> Result<Vec<Struct<'a>>, Wrong> {
    let cpus = structs.list("CPUState", structs.pointer(symbols.cpus)?, "node.tqe_next")?;
    let spaces: HashSet<u64> = spaces.iter().copied().collect();
    let mut numbers = HashSet::new();
    for cpu in &cpus {
        let own = spaces.contains(&cpu.get("as")?) && SPACES.contains(&cpu.get("num_ases")?);
        let index = cpu.get("cpu_index")?;
        if !own || index >= CPU_LIMIT || !numbers.insert(index) {
            return Err(Wrong::at("what is listed as a CPU is none", cpu.address));
        }
        match symbols.target {
            Target::Other => drop(other(structs, cpu)?),
            target => drop(env(structs, target, cpu)?),
        }
    }
    Ok(cpus)
}

/// The address of a CPU's registers. Up to 8.0 a pointer leads there. Later
/// they follow the common part, and the same pointer leads to it. The test
/// tells apart builds whose configuration moved members.
pub(super) fn env<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    target: Target,
    cpu: &Struct<'_>,
) -> Result<u64, Wrong> {
    let kind = kind(structs, target, cpu)?;
    let follows = structs.field(kind, "env").map(|field| cpu.address.wrapping_add(field.offset));
    if !cpu.has("env_ptr") {
        return follows.ok_or(Wrong::Member(kind, "env"));
    }
    let env = cpu.get("env_ptr")?;
    let right = match follows {
        // Layouts of ARM are those of AArch64 emulators, whose TLB is larger.
        Some(follows) if target != Target::Arm => env == follows,
        _ => (1..ENV_LIMIT).contains(&env.wrapping_sub(cpu.address)),
    };
    if right { Ok(env) } else { Err(Wrong::at("a CPU's registers are elsewhere", cpu.address)) }
}

/// The struct that a CPU is as a whole.
pub(super) fn kind<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    target: Target,
    cpu: &Struct<'_>,
) -> Result<&'static str, Wrong> {
    match target {
        Target::X86 => Ok(x86::Kind::of(structs, cpu)?.cpu),
        Target::Arm | Target::Aarch64 => Ok("ARMCPU"),
        Target::Other => Err(Wrong::Member("CPUState", "env")),
    }
}

/// Whether the list of CPUs is one.
pub(super) fn check<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
) -> Result<(), Wrong> {
    let spaces = map::spaces(structs, symbols)?;
    let spaces: Vec<u64> = spaces.iter().map(|space| space.address).collect();
    list(structs, symbols, &spaces).map(drop)
}

/// Every CPU of the `list`; `spaces` are the addresses of the map's address
/// spaces, and `total` is what an emulator counted of all CPUs together.
pub(super) fn read<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
    spaces: &[u64],
    list: &[Struct<'_>],
    total: Option<u64>,
) -> Result<Vec<VirtualCpu>, Wrong> {
    let mut found: Vec<VirtualCpu> = list
        .iter()
        .map(|cpu| one(structs, symbols, spaces, cpu, total))
        .collect::<Result<_, _>>()?;
    found.sort_by_key(|cpu| cpu.index);
    Ok(found)
}

fn one<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    symbols: &QemuSymbols,
    spaces: &[u64],
    cpu: &Struct<'_>,
    instructions: Option<u64>,
) -> Result<VirtualCpu, Wrong> {
    let env = || env(structs, symbols.target, cpu);
    let found = match symbols.target {
        Target::X86 => x86::read(structs, cpu, env()?)?,
        target @ (Target::Arm | Target::Aarch64) => arm::read(structs, cpu, env()?, target)?,
        Target::Other => Registers::of_other(structs, cpu)?,
    };
    Ok(VirtualCpu {
        index: cpu.get("cpu_index")?,
        state: Hva(cpu.address),
        thread: cpu.get("thread_id")?,
        halted: cpu.flag("halted"),
        stopped: cpu.flag("stopped"),
        accelerator: accelerator(cpu),
        space: space(structs, spaces, cpu, found.space)?,
        pc: found.pc,
        regs: found.cpu.map(|cpu| cpu.regs),
        unknown: found.cpu.iter().flat_map(Cpu::unknown_registers).collect(),
        other: found.other,
        general: found.general,
        world: found.world,
        instructions: cpu.first_of(&["rr_guest_instr_count"]).or(instructions),
    })
}

/// Registers are QEMU's while they are dirty, else KVM's.
fn accelerator(cpu: &Struct<'_>) -> Accelerator {
    let dirty = cpu.flag("vcpu_dirty") || cpu.flag("kvm_vcpu_dirty");
    match (cpu.flag("kvm_state"), dirty) {
        (false, _) => Accelerator::Tcg,
        (true, true) => Accelerator::Kvm,
        (true, false) => Accelerator::KvmStale,
    }
}

/// The place in `spaces` of the CPU's address space number `wanted`, or else
/// its first.
fn space<M: Memory<Hva>>(
    structs: &Structs<'_, M>,
    spaces: &[u64],
    cpu: &Struct<'_>,
    wanted: usize,
) -> Result<Option<usize>, Wrong> {
    let (array, count) = (cpu.get("cpu_ases")?, cpu.get("num_ases")?);
    let mut address = cpu.get("as")?;
    if wanted > 0 && (wanted as u64) < count && array != 0 {
        let own = structs.array("CPUAddressSpace", array, count)?;
        address = own.get(wanted).map_or(Ok(address), |space| space.get("as"))?;
    }
    Ok(spaces.iter().position(|space| *space == address))
}
