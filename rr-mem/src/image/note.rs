//! The notes of an ELF core that hold registers: "QEMU" with the CPU state
//! that `dump-guest-memory` writes for x86, "RRMEM" with ours.

use serde::{Deserialize, Serialize};

use crate::{
    bits::bit,
    region::RegionMap,
    regs::{Arch, ArmRegs, ArmState, Cpu, Regs, X86Regs},
};

/// Owner of our own note.
pub(super) const OWNER: &[u8] = b"RRMEM";

/// Our note's type: a JSON description of the guest.
pub(super) const DESCRIPTION: u32 = 1;

/// Our note: what an ELF core has no other place for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Description {
    /// 1.
    pub version: u32,
    /// The guest's architecture.
    pub arch: Arch,
    /// How the file was made, for people.
    #[serde(default)]
    pub source: String,
    /// Control registers per CPU, by their manual's names.
    #[serde(default)]
    pub cpus: Vec<serde_json::Map<String, serde_json::Value>>,
    /// The region map.
    #[serde(default)]
    pub regions: Option<RegionMap>,
}

impl Description {
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        let description: Self =
            serde_json::from_slice(text).map_err(|error| format!("the RRMEM note: {error}"))?;
        match description.version {
            1 => Ok(description),
            other => Err(format!("the RRMEM note has version {other}, this program reads 1")),
        }
    }

    /// The registers of every CPU.
    pub fn cpus(&self) -> Result<Vec<Cpu>, String> {
        self.cpus.iter().map(|cpu| regs_by_name(self.arch, cpu).map(Cpu::known)).collect()
    }
}

fn regs_by_name(
    arch: Arch,
    cpu: &serde_json::Map<String, serde_json::Value>,
) -> Result<Regs, String> {
    let mut regs = Regs::defaults(arch);
    for (name, value) in cpu {
        let value = value
            .as_str()
            .and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok())
            .ok_or_else(|| format!("the RRMEM note: register {name} is no hex string"))?;
        if !regs.set(name, value) {
            return Err(format!("the RRMEM note: {arch} has no register {name}"));
        }
    }
    Ok(regs)
}

/// The x86 CPU state of a "QEMU" note. Layout: little-endian, u32 version (1),
/// u32 size, 18 general registers as u64, 10 segments of 24 bytes, CR0 to CR4
/// as u64.
pub(super) fn qemu_x86(bytes: &[u8], arch: Arch) -> Option<Cpu> {
    const RFLAGS: usize = 8 + 17 * 8;
    const CS_SELECTOR: usize = 8 + 18 * 8;
    const CR0: usize = CS_SELECTOR + 10 * 24;
    let word = |offset: usize| {
        let bytes = bytes.get(offset..offset + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    if word(0)? as u32 != 1 {
        return None;
    }
    let cr = |n: usize| word(CR0 + n * 8);
    let defaults = match arch {
        Arch::X86_64 => X86Regs::long_mode(),
        _ => X86Regs::protected_mode(),
    };
    let pae = cr(4)? & X86Regs::CR4_PAE != 0;
    let efer = if pae { defaults.efer | X86Regs::EFER_NXE } else { defaults.efer };
    let protected = cr(0)? & X86Regs::CR0_PE != 0;
    let regs = Regs::X86(X86Regs {
        cr0: cr(0)?,
        cr3: cr(3)?,
        cr4: cr(4)?,
        efer,
        cpl: if protected { (word(CS_SELECTOR)? & 3) as u8 } else { 0 },
        ac: bit(word(RFLAGS)?, 18),
        ..defaults
    });
    Some(Cpu { regs, missing: &["EFER", "A20", "PHYS_BITS"] })
}

/// The exception level and PAN of an ARM CPU, from the PSTATE of its
/// NT_PRSTATUS: all that a dump holds of what steers paging.
pub(super) fn arm_prstatus(bytes: &[u8], arch: Arch) -> Option<Cpu> {
    // struct elf_prstatus: 112 bytes before the registers on 64-bit hosts, 72
    // on 32-bit ones; then x0-x30, sp, pc, pstate or r0-r15, cpsr.
    let pstate = match arch {
        Arch::Aarch64 => u64::from_le_bytes(bytes.get(112 + 33 * 8..)?.first_chunk().copied()?),
        _ => u64::from(u32::from_le_bytes(bytes.get(72 + 16 * 4..)?.first_chunk().copied()?)),
    };
    let state = if arch == Arch::Aarch64 { ArmState::Aarch64 } else { ArmState::Aarch32 };
    let el = match arch {
        Arch::Aarch64 => (pstate >> 2 & 3) as u8,
        _ if pstate & 0x1f == 0x10 => 0,
        _ if pstate & 0x1f == 0x1a => 2,
        _ => 1,
    };
    // PSTATE.PAN and CPSR.PAN are both bit 22.
    let regs = Regs::Arm(ArmRegs { el, pan: bit(pstate, 22), ..ArmRegs::new(state) });
    let missing = &["TTBR0", "TTBR1", "TCR", "SCTLR", "DACR", "HCR", "PHYS_BITS"];
    Some(Cpu { regs, missing })
}
