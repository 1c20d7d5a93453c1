//! Architectures that no walker models, so that their guests are refused by name: never walked as
//! another's. Numbers are those of the System V ABI, "ELF Header", e_machine.
//!
//! Not here: registers and tables of any of them.

use std::fmt;

/// An architecture that no walker models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherArch(Name);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Known(&'static str),
    /// The number in an ELF file.
    Machine(u16),
    Unknown,
}

/// What is known of one.
struct Known {
    /// The emulator's name for it, as in `qemu-system-NAME`; of a 32-bit one first.
    names: [&'static str; 2],
    /// Numbers in ELF files.
    machines: &'static [u16],
    /// How gdb's names for it begin.
    gdb: &'static str,
    /// What the emulator calls all of its CPUs, without `-cpu`: one word, or one for each width.
    types: &'static [&'static str],
}

const fn known(
    names: [&'static str; 2],
    machines: &'static [u16],
    gdb: &'static str,
    types: &'static [&'static str],
) -> Known {
    Known { names, machines, gdb, types }
}

const KNOWN: [Known; 21] = [
    known(["riscv32", "riscv64"], &[243], "riscv", &[]),
    known(["ppc", "ppc64"], &[20, 21], "powerpc", &["powerpc", "powerpc64"]),
    known(["mips", "mips64"], &[8], "mips", &["mips", "mips64"]),
    known(["sparc", "sparc64"], &[2, 18, 43], "sparc", &["sparc", "sparc64"]),
    known(["s390", "s390x"], &[22], "s390", &["s390", "s390x"]),
    known(["loongarch32", "loongarch64"], &[258], "loongarch", &[]),
    known(["m68k"; 2], &[4], "m68k", &["m68k"]),
    known(["xtensa"; 2], &[94], "xtensa", &["xtensa"]),
    known(["hppa"; 2], &[15], "hppa", &["hppa"]),
    known(["alpha"; 2], &[0x9026], "alpha", &["alpha"]),
    known(["sh4"; 2], &[42], "sh", &["superh"]),
    known(["or1k"; 2], &[92], "or1k", &["or1k"]),
    known(["microblaze"; 2], &[189], "microblaze", &["microblaze"]),
    known(["avr"; 2], &[83], "avr", &["avr"]),
    known(["tricore"; 2], &[44], "tricore", &["tricore"]),
    known(["rx"; 2], &[173], "rx", &["rx"]),
    known(["nios2"; 2], &[113], "nios2", &["nios2"]),
    known(["cris"; 2], &[76], "cris", &["cris"]),
    known(["hexagon"; 2], &[164], "hexagon", &["hexagon"]),
    known(["ia64"; 2], &[50], "ia64", &[]),
    known(["arc"; 2], &[93, 195], "arc", &[]),
];

/// Emulators whose CPUs have one name for both widths.
const FAMILIES: [&str; 2] = ["riscv", "loongarch"];

impl OtherArch {
    /// One that nothing names.
    pub const UNKNOWN: Self = Self(Name::Unknown);

    /// Of the number in an ELF file, 64-bit or not.
    #[must_use]
    pub fn of_elf(machine: u16, wide: bool) -> Self {
        let found = KNOWN.iter().find(|known| known.machines.contains(&machine));
        Self(
            found.map_or(Name::Machine(machine), |known| {
                Name::Known(known.names[usize::from(wide)])
            }),
        )
    }

    /// Of a kernel's name for it, as `uname -m` says it, such as `ppc64le`; none of
    /// what is not known.
    #[must_use]
    pub fn of_kernel(name: &str) -> Option<Self> {
        let big = name.strip_suffix("le").or(name.strip_suffix("el")).unwrap_or(name);
        let names = KNOWN.iter().flat_map(|known| known.names);
        names.into_iter().find(|known| *known == big).map(|known| Self(Name::Known(known)))
    }

    /// Of gdb's name for it.
    #[must_use]
    pub fn of_gdb(name: &str) -> Self {
        let name = name.to_lowercase();
        let wide = name.contains("64");
        let found = KNOWN.iter().find(|known| name.starts_with(known.gdb));
        Self(found.map_or(Name::Unknown, |known| Name::Known(known.names[usize::from(wide)])))
    }

    /// Of the type that all of an emulator's CPUs are, such as `s390x-cpu`.
    #[must_use]
    pub fn of_cpu_type(name: &str) -> Self {
        let word = name.strip_suffix("-cpu").unwrap_or(name);
        let family = FAMILIES.into_iter().find(|family| *family == word);
        let named = || {
            let place = |known: &Known| known.types.iter().position(|known| *known == word);
            KNOWN.iter().find_map(|known| Some(known.names[place(known)?]))
        };
        Self(family.or_else(named).map_or(Name::Unknown, Name::Known))
    }

    /// The emulator's name for it; `unknown` where nothing names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Name::Known(name) => name,
            _ => "unknown",
        }
    }
}

impl fmt::Display for OtherArch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Name::Known(name) => f.write_str(name),
            Name::Machine(number) => write!(f, "ELF machine {number}"),
            Name::Unknown => f.write_str("an unknown architecture"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regs::Arch;

    #[test]
    fn each_is_named_by_file_type_and_debugger() {
        assert_eq!(OtherArch::of_elf(243, true).name(), "riscv64");
        assert_eq!(OtherArch::of_elf(243, false).name(), "riscv32");
        assert_eq!(OtherArch::of_elf(22, true).name(), "s390x");
        assert_eq!(OtherArch::of_elf(999, true).to_string(), "ELF machine 999");
        assert_eq!(OtherArch::of_cpu_type("riscv-cpu").name(), "riscv");
        assert_eq!(OtherArch::of_cpu_type("powerpc64-cpu").name(), "ppc64");
        assert_eq!(OtherArch::of_cpu_type("superh-cpu").name(), "sh4");
        assert_eq!(OtherArch::of_cpu_type("new-cpu"), OtherArch::UNKNOWN);
        assert_eq!(OtherArch::of_gdb("powerpc:common64").name(), "ppc64");
        assert_eq!(OtherArch::of_kernel("ppc64le").map(OtherArch::name), Some("ppc64"));
        assert_eq!(OtherArch::of_kernel("x86_64"), None);
        assert_eq!(OtherArch::of_gdb("Loongarch64").name(), "loongarch64");
    }

    #[test]
    fn none_has_the_number_or_name_of_one_that_is_walked() {
        for arch in Arch::ALL {
            assert!(KNOWN.iter().all(|known| !known.machines.contains(&arch.elf_machine())));
            assert!(KNOWN.iter().all(|known| !known.names.contains(&arch.name())));
        }
    }
}
