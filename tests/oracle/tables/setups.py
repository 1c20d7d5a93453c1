"""The QEMU command lines of the oracle, and how each is given its registers."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from lab.gdbstub import GdbStub

from lab.stubs import assemble

from . import arm_legacy
from .case import FAR, STUB, Case
from .image import Image
from .machine import Machine, OracleError, Setup

GB = 1 << 30

# The PC machine leaves a hole between 3 GB and 4 GB.
PC_BLOCKS = ((0, 3 * GB, 0), (4 * GB, 69 * GB, 3 * GB))

# The `virt` boards keep their device tree at the start of RAM: tables and stubs
# stay away from it.
VIRT = 0x40000000

# PSTATE: EL0t and EL1h with interrupts masked; PAN.
EL0, EL1, PAN = 0x3C0, 0x3C5, 1 << 22

SETUPS: dict[str, Setup] = {
    "x86_64": Setup("qemu-system-x86_64", "pc", "max", PC_BLOCKS, "72G"),
    "i386": Setup(
        "qemu-system-i386", "pc", "max", ((0, 3 * GB, 0), (4 * GB, 5 * GB, 3 * GB)), "8G"
    ),
    "aarch64": Setup("qemu-system-aarch64", "virt", "max", ((VIRT, 200 * GB, 0),), "200G"),
    "aarch64_el2": Setup(
        "qemu-system-aarch64", "virt,virtualization=on", "max", ((VIRT, 200 * GB, 0),), "200G"
    ),
    "arm": Setup("qemu-system-arm", "virt", "cortex-a15", ((VIRT, 6 * GB, 0),), "6G"),
    "aarch64_far": Setup("qemu-system-aarch64", "virt", "max", ((VIRT, 2 * GB, 0),), "2G", far=FAR),
    "aarch64_el3": Setup(
        "qemu-system-aarch64", "virt,secure=on", "max", ((VIRT, 200 * GB, 0),), "200G"
    ),
    "arm_hyp": Setup(
        "qemu-system-arm", "virt,virtualization=on", "cortex-a15", ((VIRT, 6 * GB, 0),), "6G"
    ),
    # The 64-bit emulator runs the same CPU. To execute code the 32-bit one keeps the
    # addresses of tables in 32 bits, and so reads other memory above 4 GB.
    "arm_wide": Setup("qemu-system-aarch64", "virt", "cortex-a15", ((VIRT, 6 * GB, 0),), "6G"),
    "arm_secure": Setup(
        "qemu-system-arm", "virt,secure=on", "cortex-a15", ((VIRT, 6 * GB, 0),), "6G"
    ),
}

#: ARM before v7; the board takes every CPU.
SETUPS |= {
    cpu.setup: Setup(
        *("qemu-system-arm", "versatilepb", cpu.name, ((0, 256 << 20, 0),), "256M"),
        ("-audiodev", "none,id=silent", "-global", "pl041.audiodev=silent"),
    )
    for cpu in arm_legacy.CPUS
}

# x86 helper structures below 1 MB: a GDT at 0 (where GDTR points after reset)
# and an identity map, used only until CS names a 64-bit code segment.
BOOT_PML4, BOOT_PDPT = 0x1000, 0x2000

# "Segment Descriptors": null, code64, data, code64 and data of CPL 3, code32 of both.
DESCRIPTORS = (
    0,
    0x00AF9B000000FFFF,
    0x00CF93000000FFFF,
    0x00AFFB000000FFFF,
    0x00CFF3000000FFFF,
    0x00CF9B000000FFFF,
    0x00CFFB000000FFFF,
)
CODE64, KERNEL_DATA, CODE32 = 0x08, 0x10, 0x28


CR0_PE, CR0_ALWAYS = 1 << 0, 1 << 4
EFER_LME, EFER_LMA = 1 << 8, 1 << 10


def boot_image() -> Image:
    """The GDT and the identity map."""
    image = Image()
    for number, descriptor in enumerate(DESCRIPTORS):
        image.put(number * 8, descriptor, 8)
    image.put(BOOT_PML4, BOOT_PDPT | 3, 8)
    image.put(BOOT_PDPT, 0x83, 8)
    return image


def set_cr3(machine: Machine, value: int) -> None:
    """Write CR3 from 64-bit code.

    Elsewhere the stub takes 32 bits and sign-extends them. Setting CR0.PG leaves
    through long mode, and CS with a 64-bit segment is what the stub looks at.
    """
    machine.add(boot_image())
    values = {"cr4": 0x20, "efer": 0x100, "cr3": BOOT_PML4, "cr0": 0x80000011}
    for name, start in values.items():
        machine.gdb.write_register(name, start)
    machine.gdb.write_register("cs", CODE64)
    set_and_check(machine.gdb, "cr3", value)


def set_and_check(gdb: GdbStub, name: str, value: int, ignore: int = 0) -> None:
    """Write a register and make sure that it was taken.

    Outside 64-bit code the stub reads 32 bits and sign-extends them.
    """
    gdb.write_register(name, value)
    wide = (1 << 64) - 1 if value >> 32 else (1 << 32) - 1
    if (gdb.read_register(name) ^ value) & ~ignore & wide:
        raise OracleError(f"{name} reads {gdb.read_register(name):#x}, not {value:#x}")


def load_segments(gdb: GdbStub) -> None:
    """Flat 32-bit segments; without paging their descriptors come from physical 0."""
    gdb.write_register("cr0", CR0_ALWAYS | CR0_PE)
    for name, selector in (("cs", CODE32), ("ss", KERNEL_DATA), ("ds", KERNEL_DATA)):
        gdb.write_register(name, selector)


def enter_x86(machine: Machine, case: Case) -> None:
    """CR3 first, from 64-bit code; then CR4 and EFER; CR0.PG comes last."""
    machine.reset()
    regs, gdb = case.registers, machine.gdb
    wide_emulator = case.setup == "x86_64"
    long_mode = bool(regs["efer"] & EFER_LME)
    if wide_emulator:
        set_cr3(machine, regs["cr3"])
        if not long_mode:
            gdb.write_register("cr0", CR0_ALWAYS)
            load_segments(gdb)
    else:
        set_and_check(gdb, "cr3", regs["cr3"])
    if case.options.get("a20") == "off":
        machine.qmp.monitor("o /b 0x92 0")
    set_and_check(gdb, "cr4", regs["cr4"])
    if wide_emulator:
        set_and_check(gdb, "efer", regs["efer"] | (EFER_LMA if long_mode else 0))
    set_and_check(gdb, "cr0", regs["cr0"], ignore=CR0_ALWAYS)


def enter_aarch64(machine: Machine, case: Case) -> None:
    """Run the stub that loads TTBR0_ELx, TTBR1_ELx, TCR_ELx and SCTLR_ELx."""
    machine.reset()
    regs, gdb = case.registers, machine.gdb
    level = max(regs["el"], 1)
    suffix = "" if level == 1 else f"_EL{level}"
    sctlr = gdb.read_register(f"SCTLR{suffix}") & ~1 | regs["sctlr"]
    hcr = int(case.options.get("hcr", "0"), 0)
    values = (regs["ttbr0"], regs.get("ttbr1", 0), regs["tcr"], 0xFF, sctlr, hcr)
    run_stub(machine, f"aarch64_enter{suffix.lower()}", "x", values, "pc")
    for name, value in ((f"TTBR0_EL{level}", values[0]), (f"TCR_EL{level}", values[2])):
        if gdb.read_register(name) != value:
            raise OracleError(f"{name} reads {gdb.read_register(name):#x}, not {value:#x}")
    regs["sctlr"] = gdb.read_register(f"SCTLR{suffix}")
    if level == 1:
        state = EL0 if case.mode == "user" else EL1
        gdb.write_register("cpsr", state | (PAN if case.options.get("pan") == "on" else 0))


def enter_hyp(machine: Machine, case: Case) -> None:
    """Run the stub that loads HTCR, HTTBR and HSCTLR."""
    machine.reset()
    regs, word = case.registers, (1 << 32) - 1
    sctlr = machine.gdb.read_register("SCTLR_EL2") & ~1 | regs["sctlr"]
    low, high = regs["ttbr0"] & word, regs["ttbr0"] >> 32
    run_stub(machine, "arm_enter_hyp", "r", (regs["tcr"], low, high, 0, 0, 0, sctlr), "pc")
    if machine.gdb.read_register("SCTLR_EL2") != sctlr:
        raise OracleError("HSCTLR was not taken")
    regs["sctlr"] = sctlr


def enter_arm(machine: Machine, case: Case) -> None:
    """Run the stub that loads TTBCR, TTBR0, TTBR1, DACR and SCTLR."""
    machine.reset()
    regs, gdb = case.registers, machine.gdb
    word = (1 << 32) - 1
    low, high = regs["ttbr0"], regs["ttbr1"]
    bank = "_S" if case.setup == "arm_secure" else ""
    sctlr = gdb.read_register(f"SCTLR{bank}") & ~1 | regs["sctlr"]
    bases = (low & word, low >> 32, high & word, high >> 32)
    values = (regs["tcr"], *bases, regs.get("dacr", 0), sctlr)
    gdb.write_register("cpsr", 0x1D3)
    run_stub(machine, "arm_enter", "r", values, "pc")
    for name, value in (("SCTLR", sctlr), ("TTBCR", regs["tcr"])):
        if gdb.read_register(name + bank) != value:
            raise OracleError(f"{name} reads {gdb.read_register(name + bank):#x}, not {value:#x}")
    regs["sctlr"] = sctlr
    if case.mode == "user":
        gdb.write_register("cpsr", 0x1D0)


def enter_legacy(machine: Machine, case: Case) -> None:
    """Run the stub that loads the registers of a CPU before ARMv7."""
    machine.reset()
    regs, gdb = case.registers, machine.gdb
    # Since 11.0 the stub names it as AArch64 does.
    control = "SCTLR" if "SCTLR" in gdb.registers else "SCTLR_EL1"
    sctlr = gdb.read_register(control) | regs["sctlr"]
    names = ("tcr", "ttbr0", "ttbr1", "dacr", "fcseidr")
    values = (*(regs.get(name, 0) for name in names), sctlr)
    gdb.write_register("cpsr", 0xD3)
    run_stub(machine, "arm_legacy_enter", "r", values, "pc", arm_legacy.STUB)
    for name, value in ((control, sctlr), ("DACR", regs["dacr"]), ("TTBR0_EL1", regs["ttbr0"])):
        if gdb.read_register(name) != value:
            raise OracleError(f"{name} reads {gdb.read_register(name):#x}, not {value:#x}")
    regs["sctlr"] = sctlr
    if case.mode == "user":
        gdb.write_register("cpsr", 0xD0)


def run_stub(
    machine: Machine,
    name: str,
    prefix: str,
    values: tuple[int, ...],
    pc: str,
    at: int = STUB,
) -> None:
    """Step through a stub at `at` that takes its input in registers."""
    code = assemble(name)
    machine.write(at, code)
    for number, value in enumerate(values):
        machine.gdb.write_register(f"{prefix}{number}", value)
    machine.gdb.write_register(pc, at)
    steps = len(code) // 4 - 1
    for _ in range(steps):
        machine.gdb.step()
    if machine.gdb.read_register(pc) != at + 4 * steps:
        raise OracleError(f"the stub {name} went to {machine.gdb.read_register(pc):#x}")


ENTER: dict[str, Callable[[Machine, Case], None]] = {
    "x86_64": enter_x86,
    "i386": enter_x86,
    "aarch64": enter_aarch64,
    "aarch64_el2": enter_aarch64,
    "aarch64_el3": enter_aarch64,
    "aarch64_far": enter_aarch64,
    "arm_hyp": enter_hyp,
    "arm": enter_arm,
    "arm_wide": enter_arm,
    "arm_secure": enter_arm,
    **{cpu.setup: enter_legacy for cpu in arm_legacy.CPUS},
}


def image_bounds(name: str) -> tuple[int, int]:
    """First address and size of a flat image that covers a set-up's RAM."""
    blocks, far = SETUPS[name].blocks, SETUPS[name].far
    if far:
        return far
    base = min(start for start, _, _ in blocks)
    return base, max(start + size for start, size, _ in blocks) - base


def save_image(case: Case, folder: Path) -> tuple[str, int]:
    """Write the RAM as a flat file; its name and its first address."""
    base, size = image_bounds(case.setup)
    path = str(folder / "ram.bin")
    case.image.save(path, base, size)
    return path, base
