"""A Cortex-M3 whose MPU is on, alive, as a stream and as a slice: `gva2gpa` is the judge."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import program
from lab.qemu import Qemu
from lab.stubs import assemble

MAPPED = (0x0, 0x100000, 0x2000_0000, 0x203F_FFFF, 0xE000_E000)
UNMAPPED = (0x500000, 0x1000_9000, 0x2040_0000, 0x4000_0000, 0xE010_0000)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qemu]:
    """The machine, once it has switched its MPU on."""
    kernel = tmp_path_factory.mktemp("m3") / "kernel.bin"
    kernel.write_bytes(assemble("arm_m3_mpu"))
    arguments = ("-M", "mps2-an385", "-audiodev", "none,id=a", "-kernel", str(kernel))
    with Qemu("qemu-system-arm", arguments) as qemu:
        qemu.wait_for(lambda: "R07=0000004d" in qemu.hmp("info registers"), 20, "the MPU")
        yield qemu


def gpas(source: list[str]) -> dict[int, object]:
    """What `rr-mem` says of every address."""
    command = [str(program.binary()), "v2p", "--json", *source, *map(hex, (*MAPPED, *UNMAPPED))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return {int(row["gva"], 16): row["gpa"] and int(row["gpa"], 16) for row in rows}


def test_the_monitor_says_the_same(running: Qemu) -> None:
    """What the privileged can read is there."""
    for address in MAPPED:
        said = running.hmp(f"gva2gpa {address:#x}").removeprefix("gpa: ")
        assert int(said, 16) == address
    for address in UNMAPPED:
        assert running.hmp(f"gva2gpa {address:#x}").strip() == "Unmapped"


@pytest.mark.parametrize("kind", ["process", "slice", "stream"])
def test_every_source_has_the_regions(running: Qemu, kind: str, tmp_path: Path) -> None:
    """An address is its own physical one, or is not there."""
    source = ["--pid", str(running.pid)]
    if kind == "slice":
        output = ["-o", str(tmp_path / "s"), "--gva", "0x100000"]
        subprocess.run([str(program.binary()), "slice", *source, *output], check=True)
        source = ["--image", str(tmp_path / "s")]
    if kind == "stream":
        (tmp_path / "mtree").write_text(running.hmp("info mtree -f"))
        running.hmp(f'migrate "exec:cat > {tmp_path}/stream"')
        running.wait_for(lambda: "completed" in running.hmp("info migrate"), 20, "the stream")
        source = ["--image", str(tmp_path / "stream"), "--mtree", str(tmp_path / "mtree")]
    meant = {**{address: address for address in MAPPED}, **dict.fromkeys(UNMAPPED)}
    assert gpas(source) == meant
