"""rr-mem on running emulators, read from outside, against QEMU's own monitor and gdb stub.

The guests are those of `test_guests.py` at the same moments; machines that run no guest
(`-S`) are those of `test_mtree.py`. The emulators are the stripped ones of Debian.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import pytest

from lab.addresses import SEED
from lab.cli import Row, json_lines, number, run_program
from lab.differences import line_differences
from lab.emulators import Live, complaint
from lab.guests import Guest
from lab.listings import A64, FLAT_HEADS, MACHINES, TREE_HEADS, X86, blocks
from lab.mtree import parse_flat
from lab.qemu import Qemu
from lab.situation import PLACE_BYTES, Case, disagreements, gpa2hva, monitor_bytes

HOST_ADDRESSES = 200


def registers_of(row: Row) -> Dict[str, Optional[int]]:
    """The registers of a row as numbers."""
    return {name: number(value) for name, value in row["registers"].items()}


def test_translations_equal_gva2gpa(case: Case, live: Live) -> None:
    flags = () if case.guest.kind.is_x86 else ("--priv", "current")
    rows = live.v2p(case.addresses, *flags)
    assert disagreements(case, rows, case.answers) == []
    mapped = sum(answer is not None for answer in case.answers)
    assert mapped >= (800 if case.monitor_refuses_the_kernel() else 1500)


def test_host_addresses_equal_gpa2hva(case: Case, live: Live) -> None:
    rows = [row for row in live.v2p(case.addresses) if row["gpa"] is not None]
    chosen = random.Random(SEED).sample(rows, HOST_ADDRESSES)
    wrong = [row for row in chosen if number(row["host"]) != gpa2hva(case.guest.qemu, int(row["gpa"], 16))]
    assert wrong[:3] == []
    assert sum(row["host"] is not None for row in chosen) >= HOST_ADDRESSES // 2


def test_registers_equal_the_monitors_or_the_stubs(guest: Guest, live: Live) -> None:
    (row,) = live.rows("cpus")
    shown = {name: int(value, 16) for name, value in row["registers"].items()}
    expected = {name: value for name, value in guest.registers.items() if name in shown}
    assert {name: shown[name] for name in expected} == expected
    assert len(expected) >= 5
    assert row["user_mode"] == (guest.moment == "user")
    assert (row["arch"], row["accelerator"]) == (guest.kind.arch, "tcg")
    assert row["stopped"]


def test_regs_of_one_cpu_equal_the_monitors_or_the_stubs(guest: Guest, live: Live) -> None:
    (row,) = live.rows("regs", "--cpu", "0")
    assert registers_of(row).items() >= {
        name: value for name, value in guest.registers.items() if name != "cr2"}.items()
    assert (row["cpu"], row["arch"]) == (0, guest.kind.arch) and row["mode"] is not None
    (cpu,) = live.rows("cpus")
    assert (row["registers"], row["mode"]) == (cpu["registers"], cpu["mode"])


def test_program_counter_equals_info_registers(guest: Guest, live: Live) -> None:
    (row,) = live.rows("cpus")
    text = guest.qemu.hmp("info registers")
    name = {"x86_64": "RIP", "i386": "EIP", "arm": "R15", "aarch64": "PC"}[guest.kind.arch]
    found = re.search(rf"\b{name}=([0-9a-f]+)", text)
    assert found is not None and number(row["pc"]) == int(found.group(1), 16)


def test_mtree_equals_the_monitors(guest: Guest, live: Live) -> None:
    expected = blocks(guest.mtree, TREE_HEADS)
    assert line_differences(blocks(live.run("mtree").decode(), TREE_HEADS), expected) == []
    expected = blocks(guest.mtree_f, FLAT_HEADS)
    assert line_differences(blocks(live.run("mtree", "-f").decode(), FLAT_HEADS), expected) == []


def test_bytes_equal_the_monitors(case: Case, live: Live) -> None:
    for gva, gpa in case.ram_places()[:15]:
        expected = monitor_bytes(case.guest, "xp", gpa, PLACE_BYTES)
        assert live.run("read", "--phys", f"{gpa:#x}", str(PLACE_BYTES)) == expected, hex(gpa)
        assert live.run("read", f"{gva:#x}", str(PLACE_BYTES)) == expected, hex(gva)


def test_where_leads_back_from_the_host_address(case: Case, live: Live) -> None:
    for gva, gpa in case.ram_places()[:5]:
        host = gpa2hva(case.guest.qemu, gpa)
        (row,) = live.rows("where", "--limit", "100000", f"{host:#x}")
        places = {int(place["gpa"], 16): place for place in row["places"]}
        found = {int(alias["gva"], 16) + index * int(alias["stride"], 16)
                 for alias in places[gpa]["gvas"] for index in range(alias["count"])}
        assert gva in found, hex(gva)


def test_a_guest_that_runs_is_read_without_being_stopped(guest: Guest, live: Live) -> None:
    guest.moment = None
    guest.qemu.qmp.execute("cont")
    try:
        for _ in range(20):
            (row,) = live.rows("cpus")
            assert not row["stopped"]
        assert guest.qemu.qmp.execute("query-status")["running"]
    finally:
        guest.qemu.qmp.execute("stop")


@pytest.fixture(scope="module", params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> Iterator[Qemu]:
    """An emulator that runs nothing."""
    binary, arguments = MACHINES[request.param]
    with Qemu(binary, ["-S", *arguments.split()]) as qemu:
        qemu.hmp("info status")
        yield qemu


def test_maps_of_all_machines_equal_the_monitors(machine: Qemu, binary: Path) -> None:
    live = Live(binary, machine)
    # The monitor first: regions without a name get one when it is first asked for.
    tree, disabled, flat = map(machine.hmp, ("info mtree", "info mtree -D", "info mtree -f"))
    assert blocks(live.run("mtree").decode(), TREE_HEADS) == blocks(tree, TREE_HEADS)
    assert blocks(live.run("mtree", "-D").decode(), TREE_HEADS) == blocks(disabled, TREE_HEADS)
    assert blocks(live.run("mtree", "-f").decode(), FLAT_HEADS) == blocks(flat, FLAT_HEADS)
    assert len(blocks(flat, FLAT_HEADS)) >= 2


def test_owners_of_all_regions_equal_the_monitors(machine: Qemu, binary: Path) -> None:
    live = Live(binary, machine)
    tree, flat = map(machine.hmp, ("info mtree -o", "info mtree -f -o"))
    expected = blocks(tree, TREE_HEADS)
    assert line_differences(blocks(live.run("mtree", "-o").decode(), TREE_HEADS), expected) == []
    expected = blocks(flat, FLAT_HEADS)
    assert line_differences(blocks(live.run("mtree", "-f", "-o").decode(), FLAT_HEADS), expected) == []
    assert "owner:{" in tree


@pytest.mark.parametrize("emulator", [[X86, "-M", "pc", "-m", "32"],
                                      [A64, "-M", "virt", "-cpu", "cortex-a57", "-m", "64"]])
def test_the_instruction_counter_is_that_of_a_recording(binary: Path, tmp_path: Path, emulator: List[str]) -> None:
    log = f"shift=7,rr=record,rrfile={tmp_path / 'log'}"
    with Qemu(emulator[0], [*emulator[1:], "-icount", log]) as qemu:
        def counted() -> int:
            qemu.qmp.execute("stop")
            found = re.search(r"instruction count = (\d+)", qemu.hmp("info replay"))
            assert found is not None
            (row,) = Live(binary, qemu).rows("cpus")
            assert row["instructions"] == int(found.group(1))
            qemu.qmp.execute("cont")
            return int(found.group(1))
        first = counted()
        qemu.wait_for(lambda: counted() > first, 30, "instructions")


def test_instructions_that_nobody_counts_are_unknown(machine: Qemu, binary: Path) -> None:
    assert all(row["instructions"] is None for row in Live(binary, machine).rows("cpus"))


def test_cpus_go_by_their_number_when_some_are_missing(binary: Path) -> None:
    with Qemu(X86, ["-S", "-M", "q35", "-m", "32", "-smp", "1,maxcpus=4,sockets=4", "-cpu", "qemu64"]) as qemu:
        plug = {"socket-id": 3, "core-id": 0, "thread-id": 0}
        qemu.qmp.execute("device_add", driver="qemu64-x86_64-cpu", id="last", **plug)
        live = Live(binary, qemu)
        numbers = {int(line) for line in re.findall(r"CPU #(\d+)", qemu.hmp("info cpus"))}
        assert {row["cpu"] for row in live.rows("cpus")} == numbers == {0, 3}
        (row,) = live.rows("regs", "--cpu", "3")
        assert row["cpu"] == 3
        text = complaint(binary, "regs", "--pid", str(qemu.pid), "--cpu", "1", code=2)
        assert "no CPU 1" in text and "0, 3" in text


def test_host_addresses_of_all_ranges_equal_gpa2hva(machine: Qemu, binary: Path) -> None:
    live = Live(binary, machine)
    lines = parse_flat(machine.hmp("info mtree -f"))["memory"]
    edges = sorted({edge for line in lines for edge in (line.start, line.end)})[:200]
    rows = live.rows("find", "--as", "memory", *(f"{edge:#x}" for edge in edges))
    compared = 0
    for edge, row in zip(edges, rows):
        expected = gpa2hva(machine, edge)
        if expected is not None:
            assert number(row["host"]) == expected, hex(edge)
            compared += 1
    assert compared >= 1


def test_ram_blocks_equal_info_ramblock(machine: Qemu, binary: Path) -> None:
    rows = Live(binary, machine).rows("ram")
    shown = {(row["name"], number(row["offset"]), number(row["used_length"]), number(row["max_length"]))
             for row in rows}
    lines = machine.hmp("info ramblock").splitlines()[1:]
    # Name, PSize (a number and a unit), Offset, Used, Total and, later, more.
    pattern = r"\s*(.*?)\s+\d+ \w+\s+0x([0-9a-f]+) 0x([0-9a-f]+) 0x([0-9a-f]+)"
    expected = set()
    for line in lines:
        found = re.match(pattern, line)
        assert found is not None, line
        expected.add((found.group(1), *(int(found.group(group), 16) for group in (2, 3, 4))))
    assert shown == expected and expected


def test_the_descriptor_of_a_block_leads_to_the_file_behind_it(binary: Path, tmp_path: Path) -> None:
    file = tmp_path / "backend"
    backend = f"-object memory-backend-file,id=m,size=32M,mem-path={file},share=on"
    with Qemu("qemu-system-x86_64", ["-S", *f"-M pc,memory-backend=m -m 32 {backend}".split()]) as qemu:
        qemu.hmp("info version")
        rows = {row["name"]: row for row in Live(binary, qemu).rows("ram")}
        backed = [name for name, row in rows.items() if row["fd"] is not None]
        assert backed == ["m"]
        assert os.readlink(f"/proc/{qemu.pid}/fd/{rows['m']['fd']}") == str(file)
        assert rows["m"]["backing"] == str(file)


@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="this machine has no KVM")
def test_registers_that_only_kvm_knows_are_called_stale(binary: Path) -> None:
    with Qemu("qemu-system-x86_64", "-M pc -accel kvm -m 64".split()) as qemu:
        live = Live(binary, qemu)
        qemu.qmp.execute("query-status")
        assert live.rows("cpus")[0]["accelerator"] == "kvm (stale)"
        done = run_program(binary, "v2p", "--pid", str(qemu.pid), "0x7c00")
        assert b"KVM has newer registers" in done.stderr
        qemu.qmp.execute("stop")
        registers = qemu.hmp("info registers")
        (row,) = live.rows("cpus")
        assert row["accelerator"] == "kvm"
        shown = re.search(r"CR0=([0-9a-f]+)", registers)
        assert shown is not None and number(row["registers"]["cr0"]) == int(shown.group(1), 16)


def test_every_cpu_of_a_machine_with_four_is_listed(binary: Path) -> None:
    with Qemu(X86, ["-S", "-M", "q35", "-m", "64", "-smp", "4"]) as qemu:
        text = qemu.hmp("info cpus")
        threads = [int(found) for found in re.findall(r"thread_id=(\d+)", text)]
        rows = Live(binary, qemu).rows("cpus")
        assert [row["thread"] for row in rows] == threads and len(threads) == 4
        assert [row["cpu"] for row in rows] == [0, 1, 2, 3]
        assert [row["halted"] for row in rows] == [False, True, True, True]
        assert rows[3]["address_space"] == "cpu-memory-3"


def test_processes_that_are_no_emulator_are_named(binary: Path) -> None:
    text = complaint(binary, "v2p", "--pid", str(os.getpid()), "0x0")
    assert "no QEMU is in this process" in text and "hint:" in text


def test_a_process_that_has_exited_is_named(binary: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert "has exited" in complaint(binary, "cpus", "--pid", str(ended.pid))
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert "has exited" in complaint(binary, "cpus", "--pid", str(zombie.pid))
    zombie.wait()


def test_missing_rights_are_named(binary: Path, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    with Qemu(X86, ["-S", "-m", "32"]) as qemu:
        qemu.hmp("info status")
        with binary.open("rb") as program:
            command = [f"/proc/self/fd/{program.fileno()}", "cpus", "--pid", str(qemu.pid)]
            done = subprocess.run(command, user=65534, pass_fds=[program.fileno()],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    text = done.stderr.decode()
    assert done.returncode == 3 and "may not be read" in text and "ptrace" in text, text


def test_several_emulators_are_listed_and_none_is_chosen(binary: Path) -> None:
    with Qemu(X86, ["-S", "-M", "pc", "-m", "32"]) as first, Qemu(X86, ["-S", "-M", "q35", "-m", "48"]) as second:
        first.hmp("info status")
        second.hmp("info status")
        text = complaint(binary, "cpus", code=2)
        assert "emulators run" in text and str(first.pid) not in text and "--pid" in text
        whole = complaint(binary, "cpus", "-v", code=2)
        assert f"note: {first.pid}  " in whole and f"note: {second.pid}  " in whole
        rows = {row["pid"]: row for row in json_lines(run_program(binary, "ps", "--json").stdout)}
        assert (rows[first.pid]["machine"], rows[second.pid]["machine"]) == ("pc", "q35")
        assert (rows[first.pid]["cpus"], rows[first.pid]["mode"]) == (1, "paging off")
        assert rows[second.pid]["error"] is None
        assert (rows[first.pid]["ram"], rows[second.pid]["hint"]) == (hex(32 << 20), None)


def test_a_machine_without_cpus_says_where_its_memory_is(binary: Path) -> None:
    with Qemu(X86, ["-S", "-M", "none", "-m", "16"], stub=False) as qemu:
        host = int(qemu.hmp("gpa2hva 0x1000").split()[-1], 16)
        done = run_program(binary, "where", "--pid", str(qemu.pid), hex(host), "--json")
        (row,) = json_lines(done.stdout)
        assert (row["ram_block"], row["offset_in_block"]) == ("ram", "0x1000")
        assert [(place["gpa"], place["gvas"]) for place in row["places"]] == [("0x1000", None)]
        assert "guest virtual addresses are left out" in done.stderr.decode()


def test_an_executable_that_was_deleted_or_replaced_is_still_read(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Away from its folder QEMU finds neither its modules nor its firmware.
    modules = next(Path("/usr/lib").glob("*/qemu/accel-tcg-x86_64.so")).parent
    monkeypatch.setenv("QEMU_MODULE_DIR", str(modules))
    program = tmp_path / X86
    source = shutil.which(X86)
    assert source is not None
    shutil.copy(source, program)
    firmware = ["-L", "/usr/share/seabios", "-L", "/usr/share/qemu"]
    with Qemu(str(program), ["-S", "-M", "pc", "-m", "32", *firmware]) as qemu:
        expected = blocks(qemu.hmp("info mtree -f"), FLAT_HEADS)
        program.unlink()
        assert blocks(Live(binary, qemu).run("mtree", "-f").decode(), FLAT_HEADS) == expected
        shutil.copy("/bin/true", program)
        assert blocks(Live(binary, qemu).run("mtree", "-f").decode(), FLAT_HEADS) == expected


def test_address_spaces_are_chosen_by_name(binary: Path) -> None:
    with Qemu(X86, ["-S", "-M", "pc", "-m", "32"]) as qemu:
        qemu.hmp("info status")
        live = Live(binary, qemu)
        (row,) = live.rows("find", "--as", "I/O", "0x70")
        assert row["region"] == "rtc-index"
        text = complaint(binary, "find", "--pid", str(qemu.pid), "--as", "nonsense", "0x70", code=2)
        assert "cpu-memory-0" in text


def test_an_emulator_is_found_whatever_its_file_is_called(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy finds neither modules nor firmware beside itself."""
    program = tmp_path / "notes"
    original = shutil.which(X86)
    assert original is not None
    found = re.search(r"exec (\S+) -L (\S+)", Path(original).read_text(errors="replace")[:4096])
    shutil.copy(original if found is None else found.group(1), program)
    root = "/usr" if found is None else found.group(1).rsplit("/bin/", 1)[0]
    monkeypatch.setenv("QEMU_MODULE_DIR", f"{root}/lib/x86_64-linux-gnu/qemu")
    with Qemu(str(program), ["-S", "-M", "none", "-m", "32", "-L", f"{root}/share/qemu"], stub=False) as qemu:
        qemu.hmp("info status")
        rows = json_lines(run_program(binary, "ps", "--json").stdout)
        (row,) = [row for row in rows if row["pid"] == qemu.pid]
        assert (row["binary"], row["machine"], row["error"]) == (str(program), "none", None)


def test_emulators_that_end_meanwhile_are_not_listed(binary: Path) -> None:
    """They end while they are listed, over and over."""
    with Qemu(X86, ["-S", "-M", "none", "-m", "16"], stub=False) as stays:
        stays.hmp("info status")
        for _ in range(8):
            command = [X86, "-S", "-M", "none", "-nodefaults", "-display", "none"]
            others = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(3)]
            listing = subprocess.Popen([str(binary), "ps", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for other in others:
                other.kill()
            out, complaints = listing.communicate(timeout=60)
            for other in others:
                other.wait()
            rows = {row["pid"]: row for row in json_lines(out)}
            assert rows[stays.pid]["error"] is None
            assert not any("has exited" in str(row["error"]) for row in rows.values()), complaints
