"""`--freeze`: the emulator stands still while a command runs, and goes on however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator, List

import pytest

from lab.cli import json_lines, run_program
from lab.emulators import complaint
from lab.listings import X86
from lab.qemu import Qemu

SECONDS = 20.0
#: Firmware that finds nothing to boot: it runs on and on.
MACHINE = ["-M", "pc", "-m", "32", "-smp", "2"]


@pytest.fixture(scope="module")
def qemu() -> Iterator[Qemu]:
    """An emulator whose guest runs."""
    with Qemu(X86, MACHINE) as emulator:
        assert emulator.qmp.execute("query-status")["running"]
        yield emulator


def states(pid: int) -> List[str]:
    """The state of every thread: proc_pid_stat(5), field 3."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [(thread / "stat").read_text().rsplit(") ", 1)[1][0] for thread in threads]


def reaches(pid: int, wanted: str) -> bool:
    """Whether all threads come to be in one of these states."""
    limit = time.monotonic() + SECONDS
    while time.monotonic() < limit:
        if set(states(pid)) <= set(wanted):
            return True
        time.sleep(0.01)
    return False


def runs(qemu: Qemu) -> bool:
    """Whether no thread is stopped, and the monitor and the guest's clock go on."""
    return reaches(qemu.pid, "RSD") and bool(qemu.qmp.execute("query-status")["running"])


def with_usual_signals() -> None:
    """Undoes what a shell ignores for what it starts in the background."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


class Command:
    """The program in the middle of a command that froze the emulator."""

    def __init__(self, binary: Path, pid: int) -> None:
        command = [str(binary), "v2p", "--pid", str(pid), "--freeze", "-"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            preexec_fn=with_usual_signals)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.ask()
        assert b"0x1000" in self.stdout.readline()

    def ask(self) -> None:
        """Asks for one more address."""
        self.stdin.write(b"0x1000\n")
        self.stdin.flush()

    def end(self) -> int:
        """Waits for the end: the exit code."""
        self.stdin.close()
        code = self.process.wait(SECONDS)
        self.stdout.close()
        return code


def test_every_thread_is_stopped_during_a_command_and_runs_afterwards(qemu: Qemu, binary: Path) -> None:
    command = Command(binary, qemu.pid)
    found = states(qemu.pid)
    assert set(found) == {"t"} and len(found) >= 3
    command.ask()
    assert command.stdout.readline() and set(states(qemu.pid)) == {"t"}
    assert command.end() in (0, 1)
    assert runs(qemu)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL"])
def test_a_killed_command_lets_the_emulator_go_on(number: str, qemu: Qemu, binary: Path) -> None:
    command = Command(binary, qemu.pid)
    assert set(states(qemu.pid)) == {"t"}
    command.process.send_signal(signal.Signals[number])
    assert command.process.wait(SECONDS) == -signal.Signals[number]
    assert runs(qemu)
    command.end()


def test_a_reader_that_goes_away_lets_the_emulator_go_on(qemu: Qemu, binary: Path) -> None:
    command = Command(binary, qemu.pid)
    command.stdout.close()
    command.ask()
    command.ask()
    assert command.process.wait(SECONDS) == 0
    assert runs(qemu)


def test_a_command_that_fails_lets_the_emulator_go_on(qemu: Qemu, binary: Path) -> None:
    text = complaint(binary, "find", "--pid", str(qemu.pid), "--freeze", "--as", "nonsense", "0", code=2)
    assert "no address space" in text and runs(qemu)
    text = complaint(binary, "v2p", "--pid", str(os.getpid()), "--freeze", "0")
    assert "no QEMU is in this process" in text and set(states(os.getpid())) <= set("RSD")


def test_every_command_can_freeze_the_emulator(qemu: Qemu, binary: Path) -> None:
    (block,) = (row for row in json_lines(run_program(binary, "ram", "--json", "--pid", str(qemu.pid)).stdout)
                if row["name"] == "pc.ram")
    questions = (("cpus",), ("regs",), ("ram",), ("mtree", "-f"), ("pt",), ("where", block["host"]),
                 ("x", "--phys", "0x1000"), ("read", "--phys", "0", "16"), ("find", "0"), ("p2v", "0"))
    for question in questions:
        run_program(binary, *question, "--pid", str(qemu.pid), "--freeze", codes=(0, 1, 2))
        assert runs(qemu), question


def test_an_emulator_that_was_stopped_before_stays_stopped(qemu: Qemu, binary: Path) -> None:
    os.kill(qemu.pid, signal.SIGSTOP)
    try:
        assert reaches(qemu.pid, "T")
        command = Command(binary, qemu.pid)
        assert set(states(qemu.pid)) == {"t"}
        command.end()
        assert reaches(qemu.pid, "T")
        command = Command(binary, qemu.pid)
        command.process.kill()
        command.end()
        assert reaches(qemu.pid, "T")
    finally:
        os.kill(qemu.pid, signal.SIGCONT)
    assert runs(qemu)


def test_a_second_one_to_freeze_is_told_who_did(qemu: Qemu, binary: Path) -> None:
    command = Command(binary, qemu.pid)
    text = complaint(binary, "cpus", "--pid", str(qemu.pid), "--freeze")
    assert f"process {command.process.pid} traces it" in text and "hint:" in text
    assert set(states(qemu.pid)) == {"t"}
    # Reading needs no tracer.
    run_program(binary, "cpus", "--pid", str(qemu.pid))
    command.end()
    assert runs(qemu)


def test_freezing_a_hundred_times_does_not_lose_the_signals_that_qemu_lives_by(
    qemu: Qemu, binary: Path
) -> None:
    for _ in range(100):
        run_program(binary, "find", "--pid", str(qemu.pid), "--freeze", "0")
    assert runs(qemu)
    qemu.qmp.execute("stop")
    assert not qemu.qmp.execute("query-status")["running"]
    qemu.qmp.execute("cont")
    assert runs(qemu)
