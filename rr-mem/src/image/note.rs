//! The notes of an ELF core that hold registers: "QEMU" with the CPU state
//! that `dump-guest-memory` writes for x86, "RRMEM" with ours.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CoreNote, Image};
use crate::{
    addr::{Gpa, RangeSet},
    bits::bit,
    region::{RegionMap, monitor::Style},
    regs::{Arch, ArmRegs, ArmState, Cpu, MpuKind, MpuRegion, OtherArch, Register, Regs, X86Regs},
};

/// Owner of our own note.
const OWNER: &[u8] = b"RRMEM";

/// Registers, in Linux's own cores.
pub(super) const NT_PRSTATUS: u32 = 1;

/// Numbers of machines in ELF files.
const EM_RISCV: u16 = 243;
const EM_PPC64: u16 = 21;

/// The version of QEMU's own note.
pub(super) const QEMU_VERSION: u32 = 1;

/// What is kept of other programs' notes.
const MOST_NOTE_BYTES: usize = 64 << 20;

/// Our note's type: a JSON description of the guest.
const DESCRIPTION: u32 = 1;

/// Our note: what an ELF core has no other place for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Description {
    /// 1.
    version: u32,
    /// The guest's architecture.
    pub arch: Arch,
    /// How the file was made, for people.
    #[serde(default)]
    pub source: String,
    /// Control registers per CPU, by their manual's names.
    #[serde(default)]
    cpus: Vec<Map<String, Value>>,
    /// Per CPU, the registers whose values are only assumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<Vec<String>>,
    /// The region map.
    #[serde(default)]
    pub regions: Option<RegionMap>,
    /// The place in the map of the address space that physical addresses belong
    /// to; by default the one called `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address_space: Option<usize>,
    /// Whose text the map was read from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// The guest's memory that is left out: first and last address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    absent: Vec<(Gpa, Gpa)>,
    /// Whether what is no table is zeroed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

impl Description {
    /// A guest of which only the architecture is known.
    #[must_use]
    pub fn new(arch: Arch, source: String) -> Self {
        Self {
            version: 1,
            arch,
            source,
            cpus: Vec::new(),
            unknown: Vec::new(),
            regions: None,
            address_space: None,
            style: None,
            absent: Vec::new(),
            redacted: false,
        }
    }

    /// The same, of a guest with these CPUs.
    #[must_use]
    pub fn with_cpus(self, cpus: &[Cpu]) -> Self {
        let named = |cpu: &Cpu| {
            let registers = cpu.regs.complete().into_iter();
            let text = |(register, value): (Register, u64)| {
                (register.keyword().into(), format!("{value:#x}").into())
            };
            let regions = regions_text(&cpu.regs).map(|text| (REGIONS.to_owned(), text));
            registers.map(text).chain(regions).collect()
        };
        let unknown = |cpu: &Cpu| {
            cpu.unknown_registers().map(|register| register.keyword().to_owned()).collect()
        };
        Self {
            cpus: cpus.iter().map(named).collect(),
            unknown: cpus.iter().map(unknown).collect(),
            ..self
        }
    }

    /// The same, of a file that leaves this memory out.
    #[must_use]
    pub fn with_absent(self, absent: &RangeSet) -> Self {
        let absent = absent.iter().map(|(first, last)| (Gpa(first), Gpa(last))).collect();
        Self { absent, ..self }
    }

    /// As it stands in a core.
    #[must_use]
    pub fn note(&self) -> CoreNote {
        // Maps with text keys, lists and numbers are always JSON.
        let contents = serde_json::to_vec(self).unwrap_or_default();
        CoreNote { owner: OWNER.to_vec(), kind: DESCRIPTION, contents }
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        let description: Self =
            serde_json::from_slice(text).map_err(|error| format!("the RRMEM note: {error}"))?;
        match description.version {
            1 => Ok(description),
            other => Err(format!("the RRMEM note has version {other}, this program reads 1")),
        }
    }

    /// The registers of every CPU.
    fn cpus(&self) -> Result<Vec<Cpu>, String> {
        let unknown = self.unknown.iter().map(Vec::as_slice).chain(std::iter::repeat(&[][..]));
        let cpus = self.cpus.iter().zip(unknown);
        cpus.map(|(cpu, unknown)| {
            let regs = regs_by_name(self.arch, cpu)?;
            let unknown = registers(&regs, unknown)?;
            // A file from before the program knew a register does not tell it.
            let told = |register: &Register| cpu.contains_key(register.keyword());
            let all = regs.complete().into_iter().map(|(register, _)| register);
            let untold: Vec<_> =
                all.filter(|register| register.info().rare && !told(register)).collect();
            Ok(Cpu::known(regs).without(&unknown).without(&untold))
        })
        .collect()
    }

    /// The guest's memory that is left out: first address, bytes.
    fn absent(&self) -> impl Iterator<Item = (Gpa, u64)> + '_ {
        let len = |(first, last): &(Gpa, Gpa)| {
            Some((*first, last.0.checked_sub(first.0)?.checked_add(1)?))
        };
        self.absent.iter().filter_map(len)
    }
}

/// What the notes of a core say, of whatever file.
pub(super) struct Notes {
    arch: Option<Arch>,
    cpus: Vec<Cpu>,
    others: Vec<CoreNote>,
    bytes: usize,
    description: Option<Description>,
}

impl Notes {
    /// Of a guest of this architecture, if it is known.
    pub fn new(arch: Option<Arch>) -> Self {
        Self { arch, cpus: Vec::new(), others: Vec::new(), bytes: 0, description: None }
    }

    /// Takes one note.
    pub fn take(&mut self, owner: &[u8], kind: u32, bytes: &[u8]) -> Result<(), String> {
        let x86 = matches!(self.arch, Some(Arch::I386 | Arch::X86_64));
        match (owner, kind, self.arch) {
            (b"QEMU", _, Some(arch)) if x86 => self.cpus.extend(qemu_x86(bytes, arch)),
            (b"CORE", NT_PRSTATUS, Some(arch)) if !x86 => {
                self.cpus.extend(arm_prstatus(bytes, arch));
            }
            (OWNER, DESCRIPTION, _) => {
                self.description = Some(Description::parse(bytes)?);
                return Ok(());
            }
            _ => {}
        }
        // Several program headers may lead to the same notes.
        self.bytes += owner.len() + bytes.len() + 64;
        if self.bytes < MOST_NOTE_BYTES {
            let (owner, contents) = (owner.to_vec(), bytes.to_vec());
            self.others.push(CoreNote { owner, kind, contents });
        }
        Ok(())
    }

    /// Takes a row of notes.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), String> {
        notes(bytes).try_for_each(|(owner, kind, contents)| self.take(owner, kind, contents))
    }

    /// Memory that a slice leaves out.
    pub fn absent(&self) -> Vec<(Gpa, u64)> {
        self.description.iter().flat_map(Description::absent).collect()
    }

    /// Puts what was found into the image.
    pub fn give(self, image: &mut Image) -> Result<(), String> {
        image.core_notes = self.others;
        image.cpus = self.cpus;
        let Some(described) = self.description else { return Ok(()) };
        image.cpus = described.cpus()?;
        image.arch = Some(described.arch);
        if described.redacted {
            image.notes.push("redacted: what is no table reads as zeros".to_owned());
        }
        image.regions = described.regions;
        image.address_space = described.address_space;
        image.style = described.style;
        Ok(())
    }
}

/// Owner, type and contents of a row of notes, up to the end or where one is cut:
/// System V ABI, "Note Section".
fn notes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
    std::iter::from_fn(move || {
        let (header, rest) = bytes.split_first_chunk::<12>()?;
        let word = |at: usize| header[at..].first_chunk().copied().map_or(0, u32::from_le_bytes);
        let (owner_len, len, kind) = (word(0) as usize, word(4) as usize, word(8));
        let owner = rest.get(..owner_len)?.split(|byte| *byte == 0).next()?;
        let note = rest.get(owner_len.next_multiple_of(4)..)?;
        let contents = note.get(..len)?;
        bytes = note.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((owner, kind, contents))
    })
}

/// The architecture whose registers a row of notes has, by the size of Linux's
/// struct elf_prstatus. Several have the same size; `None` without such a note.
pub(super) fn arch_of(bytes: &[u8]) -> Option<Result<Arch, OtherArch>> {
    let size = |(owner, kind, note): (&[u8], u32, &[u8])| {
        (owner == b"CORE" && kind == NT_PRSTATUS).then_some(note.len())
    };
    Some(match notes(bytes).find_map(size)? {
        336 => Ok(Arch::X86_64),
        144 => Ok(Arch::I386),
        392 => Ok(Arch::Aarch64),
        148 => Ok(Arch::Arm),
        376 => Err(OtherArch::of_elf(EM_RISCV, true)),
        504 => Err(OtherArch::of_elf(EM_PPC64, true)),
        _ => Err(OtherArch::UNKNOWN),
    })
}

/// The key of the regions of an MPU among the registers of a CPU.
const REGIONS: &str = "mpu_regions";

/// The regions of an MPU: two words each, in one string of hex digits.
fn regions_text(regs: &Regs) -> Option<Value> {
    let Regs::Arm(regs) = regs else { return None };
    let of = |region: &MpuRegion| format!("{:08x}{:08x}", region.base, region.attributes);
    let texts: Vec<_> = regs.mpu.regions().iter().map(of).collect();
    regs.mpu.exists().then(|| texts.into())
}

fn regions_of(value: &Value) -> Option<Vec<MpuRegion>> {
    let one = |text: &Value| {
        let text = text.as_str().filter(|text| text.len() == 16)?;
        let both = u64::from_str_radix(text, 16).ok()?;
        Some(MpuRegion { base: (both >> 32) as u32, attributes: both as u32 })
    };
    value.as_array()?.iter().map(one).collect()
}

/// Puts the regions into `regs`. An MPU of which there are none here is not known.
fn give_regions(regs: &mut Regs, regions: Option<&Value>) -> Result<(), String> {
    let Regs::Arm(ArmRegs { mpu, .. }) = regs else { return Ok(()) };
    let wrong = || format!("the RRMEM note: {REGIONS} are none");
    match regions {
        Some(regions) => *mpu = mpu.with_regions(&regions_of(regions).ok_or_else(wrong)?),
        None if mpu.exists() => mpu.kind = MpuKind::Unknown,
        None => {}
    }
    Ok(())
}

fn regs_by_name(arch: Arch, cpu: &Map<String, Value>) -> Result<Regs, String> {
    let mut regs = Regs::defaults(arch);
    // CR1 and CR2 have no part in paging, but are part of other register dumps.
    for (name, value) in
        cpu.iter().filter(|(name, _)| !matches!(name.as_str(), "cr1" | "cr2" | REGIONS))
    {
        let value = value
            .as_str()
            .and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok())
            .ok_or_else(|| format!("the RRMEM note: register {name} is no hex string"))?;
        regs.set_named(name, value).map_err(|error| format!("the RRMEM note: {error}"))?;
    }
    give_regions(&mut regs, cpu.get(REGIONS))?;
    Ok(regs)
}

/// The registers of these keywords.
fn registers(regs: &Regs, keywords: &[String]) -> Result<Vec<Register>, String> {
    let one = |keyword: &String| {
        let found = keyword.parse::<Register>().ok().filter(|found| regs.get(*found).is_some());
        found.ok_or_else(|| format!("the RRMEM note: no register {keyword}"))
    };
    keywords.iter().map(one).collect()
}

/// The x86 CPU state of a "QEMU" note. Layout: little-endian, u32 version (1),
/// u32 size, 18 general registers as u64, 10 segments of 24 bytes, CR0 to CR4
/// as u64.
fn qemu_x86(bytes: &[u8], arch: Arch) -> Option<Cpu> {
    const RFLAGS: usize = 8 + 17 * 8;
    const CS_SELECTOR: usize = 8 + 18 * 8;
    const CR0: usize = CS_SELECTOR + 10 * 24;
    let word = |offset: usize| {
        let bytes = bytes.get(offset..offset + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    };
    if word(0)? as u32 != QEMU_VERSION {
        return None;
    }
    let cr = |n: usize| word(CR0 + n * 8);
    let defaults = match arch {
        Arch::X86_64 => X86Regs::long_mode(),
        _ => X86Regs::protected_mode(),
    };
    let protected = cr(0)? & X86Regs::CR0_PE != 0;
    let regs = Regs::X86(X86Regs {
        cr0: cr(0)?,
        cr3: cr(3)?,
        cr4: cr(4)?,
        cpl: if protected { (word(CS_SELECTOR)? & 3) as u8 } else { 0 },
        ac: bit(word(RFLAGS)?, 18),
        ..defaults
    });
    Some(Cpu::told(regs).without(&[Register::Efer, Register::A20, Register::PhysBits]))
}

/// The exception level and PAN of an ARM CPU, from the PSTATE in its
/// NT_PRSTATUS. A dump holds nothing else that steers paging.
fn arm_prstatus(bytes: &[u8], arch: Arch) -> Option<Cpu> {
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
    let known = [Register::El, Register::Pan, Register::State].into_iter().collect();
    Some(Cpu { regs, known })
}
