"""Names of a guest's kernel, against the names that the kernel itself lists (/proc/kallsyms); and
`rrprint`, `$rr_str`, `rrpt -f` on the fixture of `rrwatch`.
"""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from lab.cpio import CpioEntry, write_newc
from lab.fetch import INIT
from lab.gdb_session import answers, attached
from lab.guests import KINDS, Guest
from lab.stubs import FIXTURES

NAMES = ("_text", "_stext", "linux_banner", "jiffies", "init_task", "start_kernel", "vfs_read")
#: Where the kernel is linked to: its documentation, "Memory Management" of x86_64.
LINKED = 0xFFFF_FFFF_8100_0000
LIST = f"/bin/busybox grep -E ' ({'|'.join(NAMES)})$' /proc/kallsyms\n"


class Talking(Guest):
    """A guest that lists its kernel's symbols on its console."""

    folder = Path()

    def _arguments(self) -> List[str]:
        init = INIT.replace("echo RR-MEM-READY", LIST + "echo RR-MEM-READY")
        archive = write_newc([CpioEntry.file("init", init.encode(), executable=True)])
        initrd = self.folder / "initrd.gz"
        # Of two archives behind each other, the files of the later count.
        initrd.write_bytes(self.kernel.initrd.read_bytes() + gzip.compress(archive))
        return [str(initrd) if word == str(self.kernel.initrd) else word for word in super()._arguments()]


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """Such a guest, stopped in the kernel."""
    Talking.folder = tmp_path_factory.mktemp("initrd")
    with Talking(KINDS["x86_64-4level"]) as guest:
        guest.stop_at("kernel")
        yield guest


@pytest.fixture(scope="module")
def symbols(guest: Guest) -> Dict[str, int]:
    """The kernel's own list."""
    lines = re.findall(r"^([0-9a-f]{16}) \w (\w+)\r?$", guest.qemu.serial_text(), re.MULTILINE)
    found = {name: int(address, 16) for address, name in lines}
    assert set(found) == set(NAMES)
    return found


@pytest.fixture(scope="module")
def system_map(symbols: Dict[str, int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The System.map of that kernel: addresses as they were linked."""
    path = tmp_path_factory.mktemp("map") / "System.map"
    moved = symbols["_text"] - LINKED
    path.write_text("".join(f"{address - moved:016x} T {name}\n" for name, address in sorted(symbols.items(), key=lambda s: s[1])))
    return path


def test_the_kernels_offset_is_found_and_addresses_are_named(guest: Guest, symbols: Dict[str, int], system_map: Path) -> None:
    banner, task = symbols["linux_banner"], symbols["init_task"]
    said = answers(attached(guest.qemu.pid), [f"rrsym {system_map}", f"rrx/s {banner:#x}", f"rrv2p {task + 16:#x}",
                                              f"rrx/2i {symbols['vfs_read']:#x}", "rrsym off", f"rrv2p {task:#x}"])
    assert said[0] == f"Guest addresses are named; the kernel's offset is {symbols['_text'] - LINKED:#x}."
    assert said[1].startswith(f'{banner:#x} <linux_banner>:\t"Linux version ')
    assert said[2].startswith(f"{task + 16:#x} <init_task+0x10> -> ")
    assert said[3].startswith(f"{symbols['vfs_read']:#x} <vfs_read>:\t") and "<vfs_read+0x" in said[3].splitlines()[1]
    assert "<" not in said[5]


def test_the_command_line_names_the_same(guest: Guest, binary: Path, symbols: Dict[str, int], system_map: Path) -> None:
    banner = symbols["linux_banner"]
    for flags in ([], ["--symbols-offset", f"{symbols['_text'] - LINKED:#x}"]):
        common = ["--pid", str(guest.qemu.pid), "--symbols", str(system_map), *flags]
        said = [subprocess.run([binary, *command, *common], stdout=subprocess.PIPE, check=True).stdout.decode()
                for command in (["v2p", f"{banner + 2:#x}"], ["x", "-f", "s", f"{banner:#x}"])]
        assert said[0].endswith("  <linux_banner+0x2>\n")
        assert said[1].startswith(f'{banner:#x} <linux_banner>:\t"Linux version ')


def test_another_kernels_names_are_refused(guest: Guest, tmp_path: Path, binary: Path) -> None:
    other = tmp_path / "other"
    other.write_text(f"{LINKED:016x} T _text\n{LINKED + 0x123450:016x} D linux_banner\n")
    said = answers(attached(guest.qemu.pid), [f"rrsym {other}", f"rrsym {other} 0x1000", "rrsym /dev/null"])
    assert said[0].startswith("how far the kernel has moved cannot be found: no mapping begins with this kernel\nhint: ")
    assert said[1].endswith("offset is 0x1000.") and "no symbols" in said[2]
    done = subprocess.run([binary, "v2p", "0", "--pid", str(guest.qemu.pid), "--symbols", str(other)], stderr=subprocess.PIPE)
    assert done.returncode == 2 and b"hint: give --symbols-offset" in done.stderr


def test_a_watch_on_jiffies_is_hit_by_the_kernel(guest: Guest, symbols: Dict[str, int], system_map: Path) -> None:
    guest.qemu.qmp.execute("cont")
    said = answers(attached(guest.qemu.pid), [f"rrwatch {symbols['jiffies']:#x} 8", "continue", "continue"])
    guest.qemu.qmp.execute("stop")
    guest.moment = None
    values = [tuple(map(int, re.findall(r"(?:Old|New) value = (\d+)", text))) for text in said[1:]]
    # A timer that was late counts more than one.
    assert all(0 < new - old < 1000 for old, new in values) and values[0][1] == values[1][0]


@pytest.fixture(scope="module")
def fixture(tmp_path_factory: pytest.TempPathFactory) -> List[str]:
    """gdb's arguments for the fixture, stopped."""
    program = tmp_path_factory.mktemp("fixture") / "emulator"
    subprocess.run(["gcc", "-g", "-O0", "-o", str(program), str(FIXTURES / "emulator.c")], check=True)
    return ["-ex", f"file {program}", "-ex", "break ready", "-ex", "run"]


def test_rrprint_shows_guest_bytes_as_gdb_shows_its_own(fixture: List[str]) -> None:
    said = answers(fixture, ["rrprint struct guest_task 0x400100", "rrprint unsigned[3] 0x400100", "p *(unsigned(*)[3])(bytes + 0x8100)",
                             "rrprint/x struct guest_task 0x400100", "rrprint nonsense 1", "rrprint int", "rrprint int 0x600000"])
    assert said[0] == ('(struct guest_task at 0x400100) = {pid = 42, name = "init\\000\\000\\000", '
                       'next = 0x400100, title = 0x400200 "/sbin/init"}')
    assert said[1].split(" = ")[1] == said[2].split(" = ")[1] and "pid = 0x2a, " in said[3]
    assert said[4] == "No type named nonsense." and said[5].startswith("rrprint takes a type")
    assert said[6].startswith("0x600000 is not mapped")


def test_strings_are_the_guests(fixture: List[str]) -> None:
    said = answers(fixture, ["p $rr_str(0x400200)", "p $_streq($rr_str(0x400206), \"init\")", "p $rr_str(0x600000)"])
    assert said[:2] == ['$1 = "/sbin/init"', "$2 = 1"] and said[2].startswith("0x600000 is not mapped")


def test_filters_choose_mappings(fixture: List[str]) -> None:
    said = answers(fixture, ["rrpt -f w", "rrpt -f u", "rrpt -f u -f s,4K", "rrpt -f 2M", "rrpt -f bogus", "rrpt -f w 0x401000 0x401fff"])
    assert said[0].startswith("0x0000000000400000-0x0000000000401fff") and said[2].startswith("0x0000000000400000-")
    assert said[1] == said[3] == "nothing is mapped there" and said[4].startswith('unknown filter "bogus"\nhint: ')
    assert said[5].startswith("0x0000000000401000-0x0000000000401fff")
