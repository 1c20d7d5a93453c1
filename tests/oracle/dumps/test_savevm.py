"""Migration streams of real QEMUs against the monitor of the same stopped guest.

Each guest is booted in QEMU 5.2, 7.2 or 10.0, stopped, and written in every way that these have:
`migrate exec:`, `migrate file:`, with mapped-ram, and `savevm` into a qcow2 image. The file
alone must give the registers, translations and bytes that the monitor gives.
"""

from __future__ import annotations

import array
import dataclasses
import json
import random
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest
import rr_mem

from lab import backports
from lab.addresses import SEED, choose
from lab.cli import Row, json_lines, number, run_program
from lab.elfcore import ElfCore
from lab.guests import KINDS, Guest, GuestKind
from lab.qcow2 import empty_qcow2
from lab.qemu import Qemu, QemuError
from lab.walk import space_of

#: How each guest is migrated; a migrated one is not migrated again.
CASES = [
    *((guest, "7.2-exec") for guest in ("x86_64-4level", "x86_64-5level", "i386", "i386-pae",
                                        "arm-short", "arm-lpae", "aarch64-a57")),
    *((guest, f"10.0-{way}") for guest in ("x86_64-5level", "i386-pae", "arm-lpae", "aarch64-max")
      for way in ("file", "mapped")),
    *((guest, "5.2-exec") for guest in ("x86_64-4level", "arm-short", "aarch64-a57")),
]
SNAPSHOT = "moment"
ADDRESSES, PLACES, PLACE_BYTES = 500, 10, 0x1_0000
MIGRATION_SECONDS = 120.0


def kind_of(name: str, way: str) -> GuestKind:
    """A guest's kind in a release of QEMU."""
    kind, release = KINDS[name], way.split("-")[0]
    if release == "7.2":
        return kind
    return dataclasses.replace(kind, binary=str(backports.qemu(release) / kind.binary))


def fixed_places(kind: GuestKind) -> Tuple[int, ...]:
    """Where firmware is: on a PC also what its shadow registers choose; or flash."""
    if kind.is_x86:
        return (0xC_0000, 0xD_0000, 0xE_0000, 0xF_0000, 0xFFFC_0000, 0xFFFF_0000)
    return (0, 0x400_0000)


def migrate(guest: Guest, uri: str) -> None:
    """Migrates the stopped guest and waits until that is done."""
    guest.qemu.qmp.execute("migrate", uri=uri)
    limit = time.monotonic() + MIGRATION_SECONDS
    while (status := guest.qemu.qmp.execute("query-migrate").get("status")) != "completed":
        if status in ("failed", "cancelled") or time.monotonic() > limit:
            raise QemuError(f"the migration to {uri} has status {status}")
        time.sleep(0.05)


class Case:
    """What the monitor says of a stopped guest, and the files that were written then."""

    def __init__(self, guest: Guest, way: str, disk: Path, binary: Path) -> None:
        self.guest, self.binary = guest, binary
        core = ElfCore.load(guest.dump)
        pages = list(space_of(guest.kind.arch, core.read, guest.registers).pages())
        self.addresses = choose(pages, guest.kind.va_bits, "kernel")[:ADDRESSES]
        self.answers = [guest.gva2gpa(address) for address in self.addresses]
        frames = {page.gpa & -PLACE_BYTES for page in pages}
        varied = [frame for frame in sorted(frames) if core.holds(frame, PLACE_BYTES)
                  and len(set(core.read(frame, PLACE_BYTES))) > 100]
        places = random.Random(SEED).sample(varied, PLACES)
        self.places = {gpa: self._bytes_at(gpa) for gpa in (*places, *fixed_places(guest.kind))}
        self.files = self._written(way, disk)

    def _bytes_at(self, gpa: int) -> bytes:
        """64 KB of memory, by the monitor."""
        path = self.guest.qemu.folder / "place.bin"
        self.guest.qemu.qmp.execute("pmemsave", val=gpa, size=PLACE_BYTES, filename=str(path))
        return path.read_bytes()

    def _written(self, way: str, disk: Path) -> Dict[str, List[str]]:
        """The options that name each file."""
        path, hmp = self.guest.qemu.folder / "stream", self.guest.qemu.hmp
        assert hmp(f"savevm {SNAPSHOT}") == ""
        if way.endswith("mapped"):
            assert hmp("migrate_set_capability mapped-ram on") == ""
        migrate(self.guest, f"exec:cat>{path}" if way.endswith("exec") else f"file:{path}")
        return {"savevm": ["--image", str(disk), "--snapshot", SNAPSHOT], way: ["--image", str(path)]}

    def rows(self, way: str, *arguments: str, stdin: str = "", codes: Tuple[int, ...] = (0,)) -> List[Row]:
        """The JSON rows of a command on a file."""
        done = run_program(self.binary, *arguments, "--json", *self.files[way], stdin=stdin, codes=codes)
        return json_lines(done.stdout)

    def each(self) -> Iterator[str]:
        """Every way that a file was written."""
        assert len(self.files) == 2
        yield from self.files


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Every guest, stopped in its kernel and written."""
    name, way = request.param
    disk = tmp_path_factory.mktemp("disk") / "disk.qcow2"
    empty_qcow2(disk)
    extra = ("-drive", f"file={disk},if=none,format=qcow2,id=state")
    with Guest(kind_of(name, way), extra=extra) as guest:
        guest.stop_at("kernel")
        yield Case(guest, way, disk, binary)
    disk.unlink()


def test_registers_are_the_guests(case: Case) -> None:
    expected = {name: value for name, value in case.guest.registers.items() if name != "cr2"}
    if case.guest.kind.binary.endswith("i386"):
        # The emulator of 32-bit guests leaves EFER out of its streams.
        assert expected.pop("efer") == 0
    for way in case.each():
        (row,) = case.rows(way, "regs")
        found = {name: number(value) for name, value in row["registers"].items()}
        assert {name: found[name] for name in expected} == expected, way
    assert len(expected) >= 4


def test_translations_equal_gva2gpa(case: Case) -> None:
    flags = () if case.guest.kind.is_x86 else ("--priv", "current")
    stdin = "".join(f"{address:#x}\n" for address in case.addresses)
    for way in case.each():
        rows = case.rows(way, "v2p", *flags, "-", stdin=stdin, codes=(0, 1))
        wrong = [(hex(address), answer, row) for address, answer, row
                 in zip(case.addresses, case.answers, rows) if number(row["gpa"]) != answer]
        assert wrong[:5] == [] and len(rows) == ADDRESSES, way
    assert sum(answer is not None for answer in case.answers) >= 300


def test_bytes_equal_the_monitors(case: Case) -> None:
    for way in case.each():
        for gpa, expected in case.places.items():
            done = run_program(case.binary, "read", "--phys", *case.files[way], f"{gpa:#x}", str(PLACE_BYTES))
            assert done.stdout == expected, (way, hex(gpa))
    assert len(case.places) >= PLACES + 2


def test_what_info_mtree_shows_as_ram_is_placed_there(case: Case) -> None:
    """With the monitor's own map the same bytes are at the same addresses."""
    mtree = case.guest.qemu.folder / "mtree.txt"
    mtree.write_text(case.guest.mtree_f)
    for way in case.each():
        for gpa, expected in case.places.items():
            done = run_program(case.binary, "read", "--phys", *case.files[way], "--mtree", str(mtree),
                               f"{gpa:#x}", str(PLACE_BYTES))
            assert done.stdout == expected, (way, hex(gpa))


def test_python_gives_the_same_translations_and_bytes(case: Case) -> None:
    gvas = array.array("Q", case.addresses)
    for way in case.each():
        guest = python_guest(case.files[way])
        answers = array.array("Q", guest.v2p_batch(gvas))
        wrong = [(hex(gva), answer, found) for gva, answer, found in zip(gvas, case.answers, answers)
                 if answer is not None and found != answer]
        assert wrong == [] and all(remark.detail for remark in guest.remarks) and guest.arch == case.guest.kind.arch, way
        mapped = python_guest(case.files[way], mtree=case.guest.mtree_f)
        for gpa, expected in case.places.items():
            assert guest.read(gpa, PLACE_BYTES, physical=True) == expected, (way, hex(gpa))
            section = mapped.find(gpa)
            assert section is not None and mapped.read(gpa, PLACE_BYTES, physical=True) == expected


def test_python_takes_the_machine_and_the_snapshot_that_are_named(case: Case) -> None:
    (disk, snapshot), file = [case.files["savevm"][at] for at in (1, 3)], list(case.files.values())[1][1]
    for path, given, kind in [(disk, {"snapshot": "none"}, "container"), (disk, {}, "container"),
                              (file, {"machine": "nonsense"}, "placement")]:
        with pytest.raises(rr_mem.SourceError) as caught:
            rr_mem.Guest.from_image(path, **given)
        assert caught.value.kind == kind and caught.value.hint
    machine = case.guest.kind.machine.split()[1].split(",")[0]
    for path, given in [(disk, {"snapshot": snapshot}), (file, {})]:
        gpa, expected = next(iter(case.places.items()))
        guest = rr_mem.Guest.from_image(path, machine=machine, **given)
        assert guest.read(gpa, PLACE_BYTES, physical=True) == expected


def python_guest(options: List[str], mtree: Optional[str] = None) -> rr_mem.Guest:
    """The guest in a file, as the module has it."""
    _, file, *snapshot = options
    return rr_mem.Guest.from_image(file, mtree=mtree, snapshot=snapshot[1] if snapshot else None)


def test_state_names_every_field_of_every_device(case: Case) -> None:
    for way in case.each():
        _, file, *snapshot = case.files[way]
        done = run_program(case.binary, "state", "--json", *snapshot, file)
        rows = json_lines(done.stdout)
        devices = described(Path(file)) if not snapshot else None
        found = [(row["device"], row["instance"]) for row in rows]
        assert devices is None or set(found) == devices, way
        pc = values(rows, "cpu", "env.eip" if case.guest.kind.is_x86 else "env.pc")
        assert len(pc) == 1 and len(set(found)) >= 10
        if case.guest.kind.is_x86:
            assert values(rows, "cpu", "env.cr[3]") == [case.guest.registers["cr3"]]


def values(rows: List[Row], device: str, field: str) -> List[Any]:
    """The values of a field."""
    return [number(row["value"]) for row in rows if (row["device"], row["field"]) == (device, field)]


def described(stream: Path) -> "set[Tuple[str, int]]":
    """The devices with fields that a stream's description names, found at its end."""
    tail = stream.read_bytes()[-(8 << 20):]
    start = next(at for at in range(len(tail) - 6) if tail[at:at + 2] == b"\0\x06"
                 and at + 6 + int.from_bytes(tail[at + 2:at + 6], "big") == len(tail))
    devices = json.loads(tail[start + 6:])["devices"]
    return {(device["name"], device["instance_id"]) for device in devices if has_bytes(device)}


def has_bytes(state: Dict[str, Any]) -> bool:
    """Whether there is a field in it."""
    inner = [field.get("struct", {}) for field in state.get("fields", [])] + state.get("subsections", [])
    plain = any("struct" not in field for field in state.get("fields", []))
    return plain or any(has_bytes(part) for part in inner)


def test_system_management_mode_is_said_of_a_stream(binary: Path, tmp_path: Path) -> None:
    """HF_SMM_MASK of hflags, set by hand in the stream of a machine that runs nothing."""
    path, smm = tmp_path / "stream", 1 << 19
    with Qemu("qemu-system-x86_64", ["-S", "-M", "pc", "-m", "32"]) as qemu:
        qemu.hmp("info status")
        qemu.qmp.execute("migrate", uri=f"exec:cat>{path}")
        qemu.wait_for(lambda: qemu.qmp.execute("query-migrate").get("status") == "completed", 60, "the stream")

    def kinds() -> "list[str]":
        done = run_program(binary, "v2p", "--json", "--image", str(path), "0x1000")
        (row,) = json_lines(done.stdout)
        return [remark["kind"] for remark in row["remarks"]]
    assert "smm" not in kinds()
    (field,) = json_lines(run_program(binary, "state", "--json", str(path), "cpu.env.hflags").stdout)
    stream = bytearray(path.read_bytes())
    at = int(field["offset"], 16)
    flags = int.from_bytes(stream[at:at + 4], "big")
    assert flags == int(field["value"], 16) and not flags & smm
    stream[at:at + 4] = (flags | smm).to_bytes(4, "big")
    path.write_bytes(stream)
    assert "smm" in kinds()
