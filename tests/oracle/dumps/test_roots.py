"""`rr-mem roots` on dumps of real guests, against the registers of the same moment.

The program is given the architecture at most, and for x86 what the dump itself holds. What
is listed must be there: the table in force, and none that maps the kernel otherwise than
that one does.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple

import pytest

from lab.addresses import SEED
from lab.cli import Row, json_lines, number, run_program
from lab.elfcore import ElfCore
from lab.guests import KINDS, Guest
from lab.walk import space_of

ADDRESSES = 300
LISTED = 20


class Scanned:
    """A stopped guest, what `roots` lists of its dump, and kernel mappings in force."""

    def __init__(self, guest: Guest, binary: Path) -> None:
        self.guest = guest
        self._binary = binary
        done = run_program(binary, "roots", "--json", "--image", str(guest.dump),
                           "--arch", guest.kind.arch)
        self.rows: List[Row] = json_lines(done.stdout)
        space = space_of(guest.kind.arch, ElfCore.load(guest.dump).read, guest.registers)
        split = 0xC000_0000 if guest.kind.va_bits == 32 else 1 << 63
        kernel = [(page.gva, page.gpa) for page in space.pages() if page.gva >= split]
        self.kernel = dict(random.Random(SEED).sample(kernel, min(ADDRESSES, len(kernel))))

    def tables_in_force(self) -> Set[Tuple[str, int]]:
        """The registers' tables that map the kernel: (register, address)."""
        registers = self.guest.registers
        if self.guest.kind.is_x86:
            pae = registers["cr4"] & 1 << 5 and not registers["efer"] & 1 << 10
            return {("CR3", registers["cr3"] & (0xFFFF_FFE0 if pae else ~0xFFF))}
        if self.guest.kind.arch == "aarch64":
            return {("TTBR1", registers["ttbr1"] & 0xFFFF_FFFF_F000)}
        if registers["tcr"] >> 31:
            return {("TTBR0", registers["ttbr0"] & 0xFF_FFFF_FFE0),
                    ("TTBR1", registers["ttbr1"] & 0xFF_FFFF_F000)}
        return {("TTBR0", registers["ttbr0"] & 0xFFFF_C000)}

    def translate(self, row: Row) -> Dict[int, Optional[int]]:
        """The kernel's addresses by the table of a row."""
        flags = ["--arch", self.guest.kind.arch, f"--{row['register'].lower()}", row["root"]]
        registers = self.guest.registers
        if row["tcr"]:
            flags += ["--tcr", row["tcr"]]
        if self.guest.kind.is_x86:
            flags += [f"--cr4={registers['cr4']:#x}", f"--efer={registers['efer']:#x}"]
        lines = "".join(f"{address:#x}\n" for address in self.kernel)
        done = run_program(self._binary, "v2p", "--json", "--image", str(self.guest.dump),
                           *flags, "-", stdin=lines, codes=(0, 1))
        return {gva: number(answer["gpa"]) for gva, answer in zip(self.kernel, json_lines(done.stdout))}


@pytest.fixture(scope="module")
def scanned(guest: Guest, binary: Path) -> Scanned:
    """Each guest at each moment."""
    return Scanned(guest, binary)


def test_the_tables_in_force_are_listed(scanned: Scanned) -> None:
    listed = {(str(row["register"]), int(row["root"], 16)) for row in scanned.rows[:LISTED]}
    assert scanned.tables_in_force() <= listed


def test_no_listed_table_contradicts_the_kernel_in_force(scanned: Scanned) -> None:
    for row in scanned.rows:
        wrong = {hex(gva): (gpa, scanned.kernel[gva]) for gva, gpa in scanned.translate(row).items()
                 if gpa not in (None, scanned.kernel[gva])}
        assert wrong == {}, row


def test_every_table_but_the_small_ones_of_kpti_maps_most_of_the_kernel(scanned: Scanned) -> None:
    most: Dict[str, int] = {row["root"]: row["kernel_pages"] for row in scanned.rows}
    for row in scanned.rows:
        if row["pair"] and row["kernel_pages"] < most[row["pair"]]:
            continue
        same = sum(gpa == scanned.kernel[gva] for gva, gpa in scanned.translate(row).items())
        assert same >= 0.8 * len(scanned.kernel), row


def test_pairs_are_listed_next_to_each_other(scanned: Scanned) -> None:
    check_pairs(scanned.rows)


def check_pairs(rows: List[Row]) -> int:
    """Fails unless each pair's tables name each other and stand together: how many there are."""
    pairs = 0
    for row, following in zip(rows, [*rows[1:], None]):
        if row["pair"] and following and following["pair"] == row["root"]:
            assert row["pair"] == following["root"]
            assert row["kernel_pages"] > following["kernel_pages"]
            pairs += 1
    assert 2 * pairs == sum(row["pair"] is not None for row in rows)
    return pairs


@pytest.fixture(scope="module")
def isolated() -> Iterator[Guest]:
    """A 4-level guest with KPTI, which its CPU would not need, stopped in user code."""
    with Guest(KINDS["x86_64-4level"], append="pti=on") as guest:
        guest.stop_at("user")
        yield guest


def test_kpti_tables_are_paired(isolated: Guest, binary: Path) -> None:
    done = run_program(binary, "roots", "--json", "--image", str(isolated.dump))
    rows = json_lines(done.stdout)
    assert check_pairs(rows) >= 3
    small = {int(row["pair"], 16) for row in rows if row["pair"] and int(row["root"], 16) & 0x1000 == 0}
    assert isolated.registers["cr3"] & ~0xFFF in small
