"""Guests stopped in user code, whose kernel is in other tables (page-table isolation): what the
program says of a kernel address, against the monitor's answer in the kernel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterator, Optional

import pytest
import rr_mem

from lab.emulators import Live
from lab.gdb_session import answers, attached
from lab.guests import KINDS, Guest

#: How each kernel is told to isolate itself, and the register that tells.
ISOLATED = {"x86_64-4level": ("pti=on", "cr3"), "i386-pae": ("pti=on", "cr3"), "aarch64-a57": ("kpti=1", "ttbr1")}
COUNTER = {"x86_64": "RIP", "i386": "EIP", "aarch64": "PC"}


def asked(guest: Guest, address: int) -> Optional[int]:
    """What the monitor answers now."""
    answer = re.search(r"gpa: 0x([0-9a-f]+)", guest.qemu.hmp(f"gva2gpa {address:#x}"))
    return int(answer.group(1), 16) if answer else None


class Isolated:
    """A guest in user code, and an address of the kernel near to where it was before, which the
    tables in force do not map: they have the kernel's entries."""

    def __init__(self, guest: Guest, binary: Path, register: str) -> None:
        self.guest, self.register = guest, register
        guest.stop_at("kernel")
        text = guest.qemu.hmp("info registers")
        found = re.search(rf"\b{COUNTER[guest.kind.arch]}=([0-9a-f]+)", text)
        assert found is not None
        pages = [int(found.group(1), 16) + 0x1000 * number for number in range(-64, 65)]
        mapped = {page: gpa for page in pages if (gpa := asked(guest, page)) is not None}
        guest.stop_at("user")
        hidden = [page for page in mapped if asked(guest, page) is None]
        assert hidden, [hex(page) for page in mapped]
        self.address = min(hidden, key=lambda page: abs(page - pages[64]))
        self.gpa = mapped[self.address]
        self.live = Live(binary, guest.qemu)


@pytest.fixture(scope="module", params=ISOLATED)
def isolated(request: pytest.FixtureRequest, binary: Path) -> Iterator[Isolated]:
    """Each guest with an isolated kernel."""
    option, register = ISOLATED[request.param]
    with Guest(KINDS[request.param], option) as guest:
        yield Isolated(guest, binary, register)


def remark_of(row: "Dict[str, object]") -> Dict[str, str]:
    """The one remark about isolation."""
    remarks = row["remarks"]
    assert isinstance(remarks, list)
    (remark,) = [remark for remark in remarks if remark["kind"] == "isolation"]
    return dict(remark)


def test_the_kernels_tables_are_named_and_map_the_address(isolated: Isolated) -> None:
    (row,) = isolated.live.rows("v2p", f"{isolated.address:#x}")
    assert row["fault"] is not None and row["gpa"] is None
    remark = remark_of(row)
    value = re.search(r"(0x[0-9a-f]+), map this address", remark["text"])
    assert value is not None and remark["hint"] == f"give --{isolated.register}"
    (row,) = isolated.live.rows("v2p", f"--{isolated.register}", value.group(1), f"{isolated.address:#x}")
    assert row["gpa"] == f"{isolated.gpa:#x}" and "isolation" not in [remark["kind"] for remark in row["remarks"]]


def test_python_and_gdb_say_the_same(isolated: Isolated) -> None:
    guest = rr_mem.Guest.from_process(isolated.guest.qemu.pid)
    (remark,) = guest.walk(isolated.address).remarks
    assert remark.kind == "isolation" and not remark.detail
    with pytest.raises(rr_mem.NotMapped) as caught:
        guest.v2p(isolated.address)
    assert [remark.text for remark in caught.value.remarks] == [remark.text]
    (said,) = answers(attached(isolated.guest.qemu.pid), [f"rrv2p {isolated.address:#x}"])
    assert "not mapped" in said and f"note: {remark.text}" in said


def test_of_addresses_that_nobody_maps_nothing_is_said(isolated: Isolated) -> None:
    top = 0xfff00000 if isolated.guest.kind.arch == "i386" else 0xffffffffffe00000
    for row in isolated.live.v2p([0x10, top, isolated.address ^ 1 << 29]):
        if row["gpa"] is None:
            assert all(remark["kind"] != "isolation" or row["gva"] == f"{isolated.address ^ 1 << 29:#x}"
                       for remark in row["remarks"])


def test_without_isolation_nothing_is_said(binary: Path) -> None:
    with Guest(KINDS["x86_64-4level"], "pti=off") as guest:
        for _ in range(6):
            guest.moment = None
            guest.qemu.qmp.execute("cont")
            guest.stop_at("user")
            # Holes of the kernel's half, and of the user's.
            for row in Live(binary, guest.qemu).v2p([0x10, 0xffffffffffe00000, 0xffffc00000000000, 0x7f0000000000]):
                assert row["gpa"] is not None or row["remarks"] == []
