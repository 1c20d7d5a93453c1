"""The commands of `gdb/rrmem.py` in real gdb, against QEMU's own monitor.

gdb is attached to the stripped QEMU of Debian, whose guest is stopped, and loads a core of it.
While gdb holds the emulator the monitor is silent: it is asked before.
"""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Iterator, List

import pytest

from lab.addresses import SEED
from lab.differences import line_differences
from lab.gdb_session import SCRIPT, Terminal, answers, attached, listed, on_core
from lab.guests import Guest
from lab.listings import FLAT_HEADS, TREE_HEADS, X86, blocks
from lab.qemu import Qemu
from lab.situation import PLACE_BYTES, Case, gpa2hva, monitor_bytes

SITUATIONS = [("x86_64-4level", "kernel"), ("x86_64-4level", "user"), ("i386-pae", "kernel"),
              ("arm-lpae", "kernel"), ("aarch64-max", "kernel")]
ADDRESSES = 60


@pytest.fixture(scope="module", params=SITUATIONS, ids="-".join)
def guest(request: pytest.FixtureRequest, running) -> Guest:  # type: ignore[no-untyped-def]
    """Some of the guests and moments."""
    found: Guest = running.at(*request.param)
    return found


def physical(text: str) -> "int | None":
    """The physical address in an answer of `rrv2p`."""
    found = re.match(r"0x[0-9a-f]+ -> (0x[0-9a-f]+)  ", text)
    assert found or "-> not mapped: " in text, text
    return int(found.group(1), 16) if found else None


def test_rrv2p_equals_gva2gpa(case: Case, guest: Guest) -> None:
    pairs = list(zip(case.addresses, case.answers))
    if not guest.kind.is_x86:
        # ARM's monitor refuses what the CPU's mode may not read.
        pairs = [(address, answer) for address, answer in pairs if answer is not None]
    chosen = random.Random(SEED).sample(pairs, ADDRESSES)
    said = answers(attached(guest.qemu.pid), [f"rrv2p {address:#x}" for address, _ in chosen])
    assert [physical(text) for text in said] == [answer for _, answer in chosen]
    assert sum(answer is not None for _, answer in chosen) >= ADDRESSES // 2


def test_rrx_and_rrxp_show_the_bytes_of_the_monitor(case: Case, guest: Guest, core: Path) -> None:
    places = case.ram_places()[:6]
    expected = [monitor_bytes(guest, "xp", gpa, PLACE_BYTES) for _, gpa in places]
    commands = [f"rrx/{PLACE_BYTES}xb {gva:#x}" for gva, _ in places]
    commands += [f"rrxp/{PLACE_BYTES}xb {gpa:#x}" for _, gpa in places]
    for target in (attached(guest.qemu.pid), on_core(core)):
        assert [listed(text) for text in answers(target, commands)] == expected * 2


def test_rrwhere_leads_back_from_gpa2hva(case: Case, guest: Guest) -> None:
    places = case.ram_places()[:4]
    hosts = [gpa2hva(guest.qemu, gpa) for _, gpa in places]
    said = answers(attached(guest.qemu.pid), [f"rrwhere (char*){host:#x}" for host in hosts])
    for (_, gpa), text in zip(places, said):
        assert f"\n  {gpa:#x}  " in text


def test_rrp2v_lists_the_address_that_was_translated(case: Case, guest: Guest) -> None:
    places = case.ram_places()[:4]
    said = answers(attached(guest.qemu.pid), [f"rrp2v {gpa:#x}" for _, gpa in places])
    runs = r"-> (0x[0-9a-f]+)  .*?(?:  (\d+) times, every (0x[0-9a-f]+))?$"
    for (gva, _), text in zip(places, said):
        found = re.findall(runs, text, re.MULTILINE)
        all_of = {int(first, 16) + i * int(stride or "0", 16)
                  for first, count, stride in found for i in range(int(count or "1"))}
        assert gva in all_of or len(found) == 100, text


def test_functions_give_what_the_monitor_does(case: Case, guest: Guest) -> None:
    gva, gpa = case.ram_places()[0]
    expected = monitor_bytes(guest, "xp", gpa, 8)
    host = gpa2hva(guest.qemu, gpa)
    commands = [f"p/x $rr_host({gva:#x})", f"p/x $rr_phys({gva:#x})", f"x/8xb $rr_host({gva:#x})"]
    commands += [f"p/x $rr_u{8 * size}({gva:#x})" for size in (1, 2, 4, 8)]
    said = answers(attached(guest.qemu.pid), commands)
    numbers = [int(text.split()[-1], 16) for text in said[:2] + said[3:]]
    words = [int.from_bytes(expected[:size], "little") for size in (1, 2, 4, 8)]
    assert numbers == [host, gpa, *words] and listed(said[2]) == expected


def test_regions_and_registers_equal_the_monitors(guest: Guest) -> None:
    tree, flat = guest.mtree, guest.mtree_f
    said = answers(attached(guest.qemu.pid), ["rrmtree", "rrmtree -f", "rrcpu"])
    assert line_differences(blocks(said[0] + "\n", TREE_HEADS), blocks(tree, TREE_HEADS)) == []
    assert line_differences(blocks(said[1] + "\n", FLAT_HEADS), blocks(flat, FLAT_HEADS)) == []
    shown = {name: int(value, 16) for name, value in re.findall(r"(\w+)=(0x[0-9a-f]+)", said[2])}
    expected = {name: value for name, value in guest.registers.items() if name in shown}
    assert {name: shown[name] for name in expected} == expected and len(expected) >= 5


def test_answers_from_a_core_are_those_of_the_process(case: Case, guest: Guest, core: Path) -> None:
    gva, gpa = case.ram_places()[0]
    commands = [f"rrv2p -v {gva:#x}", f"rrp2v {gpa:#x}", f"rrfind {gpa:#x}", f"rrx/3gx {gva:#x}",
                f"rrx/2s {gva:#x}", "rrcpu", "rrmtree -f", "rrpt 0 0xffffffff"]
    live = answers(attached(guest.qemu.pid), commands)
    assert answers(on_core(core), commands) == live
    assert all(live) and f"{gva:#x} -> {gpa:#x}" in live[0]


def test_guest_code_is_what_the_monitor_disassembles(case: Case, guest: Guest) -> None:
    pages = [page.gva for page in case.pages if case.is_varied(page.gpa)]
    command = f"rrx/4i {pages[0]:#x}"
    (said,) = answers(attached(guest.qemu.pid), [command])
    if guest.kind.arch != "x86_64":
        assert "gdb disassembles i386:x86-64 here" in said
        return
    text = guest.qemu.hmp("info registers")
    pc = re.search(r"RIP=([0-9a-f]+)", text)
    assert pc is not None
    start = int(pc.group(1), 16)
    (said,) = answers(attached(guest.qemu.pid), [f"rrx/6i {start:#x}"])
    # Bytes of a long instruction go on in a line of their own.
    more = re.compile(r"0x[0-9a-f]+:(?: +[0-9a-f]{2})+ *")
    lines = guest.qemu.hmp(f"x/6i {start:#x}").splitlines()
    theirs = [int(line.split(":")[0], 16) for line in lines if not more.fullmatch(line)]
    assert [int(line.split(":")[0], 16) for line in said.splitlines()] == theirs


@pytest.fixture(scope="module")
def bare() -> Iterator[Qemu]:
    """A machine with two CPUs that runs nothing."""
    with Qemu(X86, ["-S", "-M", "pc", "-m", "32", "-smp", "2"]) as qemu:
        qemu.hmp("info status")
        yield qemu


def test_failures_are_one_sentence_and_never_a_traceback(bare: Qemu) -> None:
    commands = ["rrx/4xb 0xfee00000", "rrxp 0xe0000000", "rrx", "rrx/9y 0", "rrv2p", "rrv2p nonsense",
                "rrx getpid()", "rrwhere 16", "rrfind 0xe0000000", "rrcpu 7", "rrmtree -x", "rrpt 1 2 3",
                "rrp2v 0x100000000000", "p $rr_u32(0xfee00000)", "p $rr_host(0xfee00000)"]
    for command, text in zip(commands, answers(attached(bare.pid), commands)):
        sentence, _, hint = text.partition("\n")
        assert sentence and "Traceback" not in text, (command, text)
        assert not hint or hint.startswith("hint: ") and "\n" not in hint, (command, text)
        assert "Python Exception" not in text, (command, text)


def test_without_an_emulator_the_commands_say_so() -> None:
    commands = ["rrx 0", "rrv2p 0", "rrcpu", "rrwhere 0"]
    said = answers([], commands)
    assert all(text.startswith("no emulator is being debugged") for text in said), said


def test_a_process_that_is_no_emulator_is_named() -> None:
    (said,) = answers(["-ex", "file /bin/true", "-ex", "starti"], ["rrx 0"])
    assert "no QEMU is in this process" in said and "\nhint: " in said


def test_functions_of_the_program_are_never_called(bare: Qemu) -> None:
    # gdb's own switch is on here: the commands turn it off for their expressions.
    said = answers(attached(bare.pid), ["set may-call-functions on", "rrx getpid()", "show may-call-functions"])
    assert "may-call-functions is off" in said[1] and said[2].endswith("is on.")


def test_the_cpu_is_that_of_the_selected_thread(bare: Qemu) -> None:
    threads = [int(found) for found in re.findall(r"thread_id=(\d+)", bare.hmp("info cpus"))]
    find = "python [t.switch() for t in gdb.selected_inferior().threads() if t.ptid[1] == {}]"
    commands: List[str] = []
    for thread in threads:
        commands += [find.format(thread), "rrcpu"]
    said = answers(attached(bare.pid), [*commands, "rrcpu 0", "rrcpu"])
    chosen = [re.findall(r"^\* CPU (\d)", text, re.MULTILINE) for text in said[1::2]]
    assert chosen == [["0"], ["1"], ["0"]]


def test_convenience_variables_are_those_of_x(bare: Qemu) -> None:
    said = answers(attached(bare.pid), ["rrx/4xb 0xfffffff0", "p/x $_", "p/x $__", "rrx/2xb $_ - 3", "rrx/2xb"])
    assert said[0] == "0xfffffff0:\t0xea\t0x5b\t0xe0\t0x00"
    assert (said[1].split()[-1], said[2].split()[-1]) == ("0xfffffff3", "0x0")
    assert said[3] == "0xfffffff0:\t0xea\t0x5b" and said[4].startswith("0xfffffff2:\t0xe0")


def test_enter_goes_on_where_rrx_stopped_and_typing_it_again_does_not(bare: Qemu) -> None:
    terminal = Terminal(attached(bare.pid))
    try:
        lines = ["rrx/2xb 0xfffffff0", "", "", "rrx/2xb 0xfffffff0", "x/2xb $pc", "rrx/2xb 0xfffffff0"]
        said = [terminal.type(line).split(":")[0] for line in lines]
    finally:
        terminal.close()
    assert said[:4] == ["0xfffffff0", "0xfffffff2", "0xfffffff4", "0xfffffff0"]
    assert said[5] == "0xfffffff0"


def test_memory_that_changed_is_read_again(bare: Qemu) -> None:
    host = gpa2hva(bare, 0x1000)
    commands = ["rrxp/1xb 0x1000", f"set {{char}}{host:#x} = 0x5a", "rrxp/1xb 0x1000", f"set {{char}}{host:#x} = 0"]
    said = answers(attached(bare.pid), commands)
    assert (said[0].split()[-1], said[2].split()[-1]) == ("0x00", "0x5a")


def test_the_emulator_runs_on_after_gdb_has_left(bare: Qemu) -> None:
    answers(attached(bare.pid), ["rrx 0", "rrcpu"])
    assert bare.qmp.execute("query-status")["status"] == "prelaunch"


def test_a_missing_or_broken_module_is_said_with_what_to_run(tmp_path: Path) -> None:
    script = tmp_path / "gdb" / "rrmem.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.read_text())
    library = tmp_path / "target" / "release" / "librr_mem_py.so"
    for complaint in ("No module named 'rr_mem'", "file too short"):
        (said,) = answers([], [f"source {script}"], source=False)
        assert "run `cargo build --release`" in said and complaint in said, said
        assert "\n" not in said and "Traceback" not in said
        library.parent.mkdir(parents=True, exist_ok=True)
        library.write_bytes(b"no library")


def test_a_module_of_another_version_is_said_with_what_to_run(tmp_path: Path) -> None:
    script = tmp_path / "rrmem.py"
    script.write_text(SCRIPT.read_text().replace('VERSION = "0', 'VERSION = "9'))
    (said,) = answers(["-ex", f"source {SCRIPT}"], [f"source {script}"], source=False)
    assert said.startswith("rrmem.py: this is version 9") and "run `cargo build --release`" in said


def test_through_gdbserver_the_answers_are_the_same(bare: Qemu) -> None:
    commands = ["rrx/4xb 0xfffffff0", "rrv2p -v 0xfffffff0", "rrram", "rrcpu", "set rrmem write on", "rrset/b 0x1000 = 1"]
    # Files are this machine's: gdb need not take them over the wire.
    server = ["-ex", "set sysroot /", "-ex", f"target remote | gdbserver --once --attach stdio {bare.pid}"]
    direct, remote = answers(attached(bare.pid), commands), answers(server, commands)
    assert remote[:4] == direct[:4] and direct[0].startswith("0xfffffff0:\t0xea")
    assert remote[5].startswith("what is not a process of this machine")
    assert bare.qmp.execute("query-status")["status"] == "prelaunch"


def test_of_several_inferiors_the_selected_one_counts(bare: Qemu) -> None:
    with Qemu(X86, ["-S", "-M", "pc", "-m", "48"]) as other:
        other.hmp("info status")
        said = answers(attached(bare.pid), ["rrram", "add-inferior -no-connection", "inferior 2", "rrram",
                                            f"attach {other.pid}", "rrram", "inferior 1", "rrram"])
    assert "  32M" in said[0] and said[3].startswith("no emulator is being debugged")
    assert "  48M" in said[5] and said[7] == said[0]


def test_settings_say_what_they_are_and_take_effect(bare: Qemu) -> None:
    said = answers(attached(bare.pid), ["show rrmem cpu", "rrcpu 1", "show rrmem cpu", "rrcpu auto", "set rrmem color on",
                                        "rrx/1xb 0xfffffff0", "set rrmem color off", "set rrmem layout /nowhere", "rrx/1xb 0xfffffff0",
                                        "set rrmem layout", "set rrmem cpu 7", "rrx/1xb 0xfffffff0", "set rrmem cache off",
                                        "set rrmem cpu auto", "rrx/1xb 0xfffffff0"])
    assert said[0] == "rrmem cpu is auto." and said[2] == "rrmem cpu is 1."
    assert said[5] == "\x1b[34m0xfffffff0\x1b[m:\t0xea" and said[14] == "0xfffffff0:\t0xea"
    assert said[8].startswith("/nowhere: ") and said[11].startswith("no CPU 7")
