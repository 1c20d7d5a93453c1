"""The Python module `rr_mem`, as `pip` installed it, against the program and the monitor."""

from __future__ import annotations

import array
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator, List

import pytest
import rr_mem

from lab.emulators import Live, gcore
from lab.guests import Guest
from lab.listings import FLAT_HEADS, X86, blocks
from lab.program import REPO
from lab.qemu import Qemu
from lab.situation import PLACE_BYTES, Case, gpa2hva, monitor_bytes

UNMAPPED = 2**64 - 1
SITUATIONS = [("x86_64-4level", "kernel"), ("i386-pae", "user"), ("aarch64-max", "kernel")]


@pytest.fixture(scope="module", params=SITUATIONS, ids="-".join)
def guest(request: pytest.FixtureRequest, running) -> Guest:  # type: ignore[no-untyped-def]
    """Some of the guests and moments."""
    found: Guest = running.at(*request.param)
    return found


class Reader:
    """The memory of a process, and who read it."""

    def __init__(self, pid: int) -> None:
        self._file = open(f"/proc/{pid}/mem", "rb", buffering=0)
        self.threads: List[int] = []

    def read(self, address: int, length: int) -> memoryview:
        """Bytes at an address."""
        self.threads.append(threading.get_ident())
        self._file.seek(address)
        return memoryview(self._file.read(length))


def maps(pid: int) -> str:
    """The memory map of a process."""
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.fixture(scope="module")
def sources(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[List[rr_mem.Guest]]:
    """The guest from its process, through a reader, and from a core."""
    pid = guest.qemu.pid
    core = gcore(pid, tmp_path_factory.mktemp("core"))
    yield [rr_mem.Guest.from_process(pid), rr_mem.Guest.from_host(Reader(pid), maps(pid)),
           rr_mem.Guest.from_core(core)]
    core.unlink()


def test_a_batch_equals_the_program_from_every_source(case: Case, live: Live, sources: List[rr_mem.Guest]) -> None:
    rows = live.v2p(case.addresses)
    expected = [UNMAPPED if row["gpa"] is None else int(row["gpa"], 16) for row in rows]
    for source in sources:
        found = array.array("Q", source.v2p_batch(array.array("Q", case.addresses)))
        assert list(found) == expected
    assert sum(gpa != UNMAPPED for gpa in expected) >= 800


def test_one_by_one_equals_the_program_to_the_last_field(case: Case, live: Live, sources: List[rr_mem.Guest]) -> None:
    chosen = case.addresses[::40]
    rows = live.v2p(chosen)
    for source in sources:
        for gva, row in zip(chosen, rows):
            walk = source.walk(gva)
            assert [f"{step.entry:#x}" for step in walk.steps] == [step["entry"] for step in row["steps"]]
            if row["gpa"] is None:
                assert walk.fault is not None and walk.fault.kind == row["fault"]["kind"]
                with pytest.raises(rr_mem.NotMapped) as caught:
                    source.v2p(gva)
                assert (caught.value.kind, caught.value.fault) == (walk.fault.kind, walk.fault)
            else:
                found = source.v2p(gva)
                shown = (f"{found.gpa:#x}", found.page_size, found.region, found.ram_block, found.host)
                host = row["host"] and int(row["host"], 16)
                assert shown == (row["gpa"], row["page_size"], row["region"], row["ram_block"], host)


def test_bytes_and_pointers_equal_the_monitors(case: Case, guest: Guest, sources: List[rr_mem.Guest]) -> None:
    for gva, gpa in case.ram_places()[:5]:
        expected, host = monitor_bytes(guest, "xp", gpa, PLACE_BYTES), gpa2hva(guest.qemu, gpa)
        assert host is not None
        for source in sources:
            assert source.read(gva, PLACE_BYTES) == expected
            assert source.read(gpa, PLACE_BYTES, physical=True) == expected
            assert gpa in [place.gpa for place in source.where(host).places]
            section = source.find(gpa)
            assert section is not None and section.host == host


def test_mappings_and_flat_views_equal_the_programs(guest: Guest, live: Live, sources: List[rr_mem.Guest]) -> None:
    rows = live.rows("pt", "--no-merge")
    expected = [(int(row["gva"], 16), int(row["gpa"], 16), row["page_size"]) for row in rows]
    for source in sources:
        found = [(page.gva, page.gpa, page.page_size) for page in source.mappings(merge="none")]
        assert found == expected
        assert blocks(source.mtree(flat=True), FLAT_HEADS) == blocks(guest.mtree_f, FLAT_HEADS)
        with pytest.raises(rr_mem.RrMemError) as caught:
            source.mappings(merge="none", limit=3)
        assert caught.value.kind == "limit"


def test_a_dump_answers_as_the_process_does(case: Case, guest: Guest) -> None:
    image = rr_mem.Guest.from_image(guest.dump, mtree=guest.mtree_f)
    gva, gpa = case.ram_places()[0]
    expected = monitor_bytes(guest, "xp", gpa, PLACE_BYTES)
    assert image.read(gpa, PLACE_BYTES, physical=True) == expected
    if guest.kind.is_x86:
        assert image.v2p(gva).gpa == gpa
    else:
        # A dump of an ARM guest holds no paging registers.
        with pytest.raises(rr_mem.MissingError) as caught:
            image.v2p(gva)
        assert caught.value.kind == "no_registers"
    with pytest.raises(rr_mem.MissingError):
        image.cpus


@pytest.fixture(scope="module")
def bare() -> Iterator[Qemu]:
    """A machine that runs nothing."""
    with Qemu(X86, ["-S", "-M", "pc", "-m", "32"]) as qemu:
        qemu.hmp("info status")
        yield qemu


def test_the_reader_is_called_on_the_thread_that_asks(bare: Qemu) -> None:
    reader = Reader(bare.pid)
    guest = rr_mem.Guest.from_host(reader, maps(bare.pid))
    guest.mappings()
    guest.read(0xFFFF0, 16)
    assert set(reader.threads) == {threading.get_ident()} and len(reader.threads) < 1000


def test_what_a_reader_raises_is_no_hole_in_the_guest(bare: Qemu) -> None:
    reader = Reader(bare.pid)
    guest = rr_mem.Guest.from_host(reader, maps(bare.pid))

    def refuse(error: BaseException) -> None:
        def read(address: int, length: int) -> memoryview:
            raise error
        reader.read = read  # type: ignore[method-assign]

    refuse(OSError("the disk is on fire"))
    with pytest.raises(rr_mem.ReadError, match="the disk is on fire") as caught:
        guest.read(0x4000, 4)
    assert caught.value.kind == "io"
    refuse(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        guest.read(0x4000, 4)


def test_a_reader_that_asks_its_own_guest_is_refused_not_stuck(bare: Qemu) -> None:
    reader = Reader(bare.pid)
    guest = rr_mem.Guest.from_host(reader, maps(bare.pid))
    seen: List[str] = []
    plain = reader.read

    def read(address: int, length: int) -> memoryview:
        try:
            guest.read(0x9000, 4)
        except rr_mem.ReadError as error:
            seen.append(str(error))
        return plain(address, length)
    reader.read = read  # type: ignore[method-assign]
    guest.read(0x8000, 4)
    assert seen and "already reading" in seen[0]


def test_failures_have_a_kind_and_a_hint(bare: Qemu) -> None:
    guest = rr_mem.Guest.from_process(bare.pid)
    other = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    for kind, error, ask in [
        ("device", rr_mem.ReadError, lambda: guest.read(0xFEE00000, 4)),
        ("hole", rr_mem.ReadError, lambda: guest.read(0xE0000000, 4, physical=True)),
        ("no_such_cpu", rr_mem.UsageError, lambda: guest.on_cpu(9)),
        ("no_such_space", rr_mem.UsageError, lambda: guest.on_cpu(0, "nonsense")),
        ("usage", rr_mem.UsageError, lambda: guest.examine("9y", 0)),
        ("usage", rr_mem.UsageError, lambda: guest.v2p_batch(b"123")),
        ("no_emulator", rr_mem.SourceError, lambda: rr_mem.Guest.from_process(other.pid)),
        ("no_map", rr_mem.SourceError, lambda: rr_mem.Guest.from_host(Reader(bare.pid), "nothing")),
    ]:
        with pytest.raises(error) as caught:
            ask()  # type: ignore[no-untyped-call]
        assert (caught.value.kind, bool(caught.value.hint)) == (kind, True)
    other.communicate()


def test_lengths_beyond_all_memory_are_refused(bare: Qemu) -> None:
    guest = rr_mem.Guest.from_process(bare.pid)
    with pytest.raises(rr_mem.UsageError):
        guest.read(0, 2**62)


def test_the_types_are_those_of_the_module() -> None:
    command = [sys.executable, "-m", "mypy.stubtest", "rr_mem", "--ignore-missing-stub"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/", timeout=300)
    assert done.returncode == 0, done.stdout.decode()


def test_the_module_that_cargo_leaves_links_no_libpython() -> None:
    library = REPO / "target" / "release" / "librr_mem_py.so"
    done = subprocess.run(["readelf", "-d", str(library)], stdout=subprocess.PIPE, check=True)
    assert b"NEEDED" in done.stdout and b"libpython" not in done.stdout


def test_a_dump_of_an_arm_guest_is_read_with_registers_given_by_hand(case: Case, guest: Guest) -> None:
    image = rr_mem.Guest.from_image(guest.dump, mtree=guest.mtree_f)
    names = ("cr0", "cr3", "cr4", "efer", "ttbr0", "ttbr1", "tcr", "sctlr", "el")
    registers = {name: value for name, value in guest.registers.items() if name in names}
    given = image.with_registers(guest.kind.arch, **registers)
    pairs = [(gva, gpa) for gva, gpa in case.ram_places()]
    assert [given.v2p(gva).gpa for gva, _ in pairs] == [gpa for _, gpa in pairs] and pairs
    with pytest.raises(rr_mem.UsageError):
        image.with_registers(guest.kind.arch, r15=1)


def test_registers_and_a_physical_reader_make_a_guest(case: Case, guest: Guest) -> None:
    asked: List[int] = []

    class Physical:
        """The dump, and what was asked of it."""

        image = rr_mem.Guest.from_image(guest.dump, mtree=guest.mtree_f)

        def read(self, address: int, length: int) -> bytes:
            asked.append(address)
            return self.image.read(address, length, physical=True)

    names = ("cr0", "cr3", "cr4", "efer", "ttbr0", "ttbr1", "tcr", "sctlr", "el")
    registers = {name: value for name, value in guest.registers.items() if name in names}
    plain = rr_mem.Guest.from_registers(guest.kind.arch, registers, Physical(), mtree=guest.mtree_f)
    for gva, gpa in case.ram_places()[:5]:
        assert plain.v2p(gva).gpa == gpa
        assert plain.read(gva, PLACE_BYTES) == monitor_bytes(guest, "xp", gpa, PLACE_BYTES)
    device = next(run for run in plain.flat_view if run.kind == "i/o")
    before = len(asked)
    with pytest.raises(rr_mem.ReadError) as caught:
        plain.read(device.gpa, 1, physical=True)
    assert caught.value.kind == "device" and len(asked) == before


def test_regions_are_those_of_the_flat_view(sources: List[rr_mem.Guest]) -> None:
    for source in sources:
        names = {region.name for region in source.regions}
        assert {run.region for run in source.flat_view} <= {name or "(null)" for name in names}
        assert all(region.container is None or source.regions[region.container] for region in source.regions)


def test_what_is_written_is_in_the_guest(bare: Qemu) -> None:
    guest = rr_mem.Guest.from_process(bare.pid)
    guest.write(0x5FFE, b"\x11\x22\x33\x44")
    assert bare.hmp("xp /4xb 0x5ffe").split()[1:] == ["0x11", "0x22", "0x33", "0x44"]
    for address, data, error in [(0xFFFFFFF0, b"x", rr_mem.RrMemError), (0xFEE00000, b"x", rr_mem.RrMemError)]:
        with pytest.raises(error):
            guest.write(address, data)
    with pytest.raises(rr_mem.MissingError):
        rr_mem.Guest.from_host(Reader(bare.pid), maps(bare.pid)).write(0x5FFE, b"x")
    assert guest.string(0x5FFE) == b"\x11\x22\x33\x44"
