"""What no walker models is refused by name, whatever the source: a guest of a hypervisor whose
second stage moves its memory.
"""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest
import rr_mem

from lab.emulators import gcore
from lab.qemu import Qemu
from lab.stubs import assemble

GUEST = "qemu-system-aarch64"
MACHINE = "-M virt,virtualization=on -cpu cortex-a57 -m 2048"
CODE, STAGE1, STAGE2 = 0x40100000, 0x41000000, 0x41010000
REFUSED = "a second stage of translation (VM) is not modelled: HCR is 0x80000001"


def loaded(folder: Path, address: int, data: bytes) -> List[str]:
    """The words that put bytes into the guest's memory."""
    path = folder / f"{address:x}"
    path.write_bytes(data)
    return ["-device", f"loader,file={path},addr={address:#x},force-raw=on"]


def blocks(*targets: int, attributes: int) -> bytes:
    """A level 1 table of 1 GB blocks."""
    return struct.pack(f"<{len(targets)}Q", *(target | attributes for target in targets))


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qemu]:
    """EL1 below a hypervisor: stage 1 maps 0 to 0x40000000, and 0x40000000 to itself; stage 2
    moves 0x40000000 to 0x80000000."""
    folder = tmp_path_factory.mktemp("nested")
    words = [
        *loaded(folder, CODE, assemble("aarch64_nested")),
        *loaded(folder, CODE + 0x40000000, assemble("aarch64_nested")),
        *loaded(folder, STAGE1, blocks(0x40000000, 0x40000000, attributes=0x401)),
        *loaded(folder, STAGE1 + 0x40000000, blocks(0x40000000, 0x40000000, attributes=0x401)),
        *loaded(folder, STAGE2, blocks(0, 0x80000000, 0x80000000, attributes=0x4FD)),
        *("-device", f"loader,addr={CODE:#x},cpu-num=0"),
    ]
    with Qemu(GUEST, [*MACHINE.split(), *words]) as qemu:
        for _ in range(200):
            if "EL1h" in qemu.hmp("info registers"):
                break
        qemu.hmp("stop")
        yield qemu


def ends(binary: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """How the program ends."""
    return subprocess.run([str(binary), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)


def refused(binary: Path, *source: str) -> None:
    """In text and as JSON; and nothing is answered, not even a wrong "not mapped"."""
    done = ends(binary, "v2p", *source, "0x1000")
    assert (done.returncode, done.stdout) == (3, "") and REFUSED in done.stderr
    done = ends(binary, "v2p", "--json", *source, "0x1000")
    row = json.loads(done.stdout)
    assert done.returncode == 3 and row["gpa"] is None and row["fault"] is None
    assert (row["error"]["kind"], row["error"]["sentence"]) == ("not_modelled", REFUSED)


def test_the_monitor_sees_both_stages(guest: Qemu) -> None:
    answers = [guest.hmp(f"gva2gpa {gva:#x}").strip() for gva in (0x1000, CODE)]
    assert answers == ["gpa: 0x80001000", f"gpa: {CODE + 0x40000000:#x}"]


def test_a_running_emulators_second_stage_is_refused(guest: Qemu, binary: Path) -> None:
    refused(binary, "--pid", str(guest.pid))
    assert ends(binary, "x", "--phys", "--pid", str(guest.pid), hex(CODE)).returncode == 0


def test_a_cores_second_stage_is_refused(guest: Qemu, binary: Path, tmp_path: Path) -> None:
    refused(binary, "--core", str(gcore(guest.pid, tmp_path)))


def test_a_streams_second_stage_is_refused(guest: Qemu, binary: Path, tmp_path: Path) -> None:
    path = tmp_path / "stream"
    guest.qmp.execute("migrate", uri=f"exec:cat > {path}")
    while guest.qmp.execute("query-migrate").get("status") not in ("completed", "failed"):
        pass
    refused(binary, "--image", str(path))


def test_python_refuses_it(guest: Qemu) -> None:
    with pytest.raises(rr_mem.RrMemError, match="second stage") as caught:
        rr_mem.Guest.from_process(guest.pid).v2p(0x1000)
    assert caught.value.kind == "not_modelled"
