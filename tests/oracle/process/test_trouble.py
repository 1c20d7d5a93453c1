"""What the program says when the emulator is hard to find, or leaves while it is read."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Iterator, List

import pytest

from lab.cli import json_lines, run_program
from lab.emulators import complaint
from lab.listings import X86
from lab.qemu import Qemu
from lab.qmp import Qmp
from lab.sockets import connect

MACHINE = ["-S", "-M", "pc", "-m", "32"]
SECONDS = 20.0


def monitor_at(path: Path) -> List[str]:
    """The words that make QEMU serve one more monitor."""
    return ["-qmp", f"unix:{path},server=on,wait=off"]


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A socket of an emulator's monitor that has no client."""
    return tmp_path_factory.mktemp("sockets") / "free"


@pytest.fixture(scope="module")
def qemu(free: Path) -> Iterator[Qemu]:
    """The emulator that serves it."""
    with Qemu(X86, [*MACHINE, *monitor_at(free)]) as emulator:
        emulator.hmp("info status")
        yield emulator


def emulator_behind(binary: Path, path: Path) -> int:
    """The process whose CPU the program shows."""
    (row,) = json_lines(run_program(binary, "cpus", "--json", "--qmp", str(path)).stdout)
    status = Path(f"/proc/{row['thread']}/status").read_text()
    return int(status.split("Tgid:")[1].split()[0])


def test_a_monitors_socket_leads_to_its_emulator(qemu: Qemu, free: Path, binary: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with Qemu(X86, [*MACHINE, *monitor_at(other)]) as second:
        second.hmp("info status")
        assert emulator_behind(binary, free) == qemu.pid
        assert emulator_behind(binary, other) == second.pid


def test_the_monitor_is_there_for_others_afterwards(qemu: Qemu, free: Path, binary: Path) -> None:
    for _ in range(20):
        assert emulator_behind(binary, free) == qemu.pid
    with Qmp(connect(free, qemu.process)) as client:
        assert client.execute("query-status")["status"] == "prelaunch"


def test_memory_that_is_encrypted_is_named(binary: Path) -> None:
    # Without such a processor a machine of that kind is never finished.
    encrypted = ["-object", "sev-guest,id=s,cbitpos=47,reduced-phys-bits=1"]
    with Qemu(X86, ["--preconfig", "-M", "q35,accel=tcg,confidential-guest-support=s", *encrypted], stub=False) as qemu:
        assert not qemu.qmp.execute("query-status")["running"]
        done = run_program(binary, "mtree", "-f", "--pid", str(qemu.pid))
        assert "encrypted (sev-guest)" in done.stderr.decode()


def test_a_program_that_only_reads_an_emulators_file_is_none(binary: Path) -> None:
    qemu = shutil.which(X86)
    assert qemu
    with open(qemu, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[:4] == b"\x7fELF"
        text = complaint(binary, "v2p", "--pid", str(os.getpid()), "0")
    assert f"process {os.getpid()}: no QEMU is in this process" in text


def test_every_command_takes_the_socket(qemu: Qemu, free: Path, binary: Path) -> None:
    for question in (("regs",), ("ram",), ("mtree", "-f"), ("find", "0"), ("x", "--phys", "0x1000")):
        by_socket = run_program(binary, *question, "--qmp", str(free)).stdout
        assert by_socket == run_program(binary, *question, "--pid", str(qemu.pid)).stdout != b""
    assert "cannot be used with" in complaint(
        binary, "cpus", "--qmp", str(free), "--pid", str(qemu.pid), code=2)


def test_a_socket_that_is_busy_is_named(binary: Path, tmp_path: Path) -> None:
    path = tmp_path / "busy"
    with Qemu(X86, [*MACHINE, *monitor_at(path)]) as emulator, Qmp(connect(path, emulator.process)) as client:
        codes = [subprocess.run([str(binary), "cpus", "--qmp", str(path)], stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, timeout=SECONDS).returncode for _ in range(5)]
        # The kernel lets a few clients wait.
        assert codes[0] == 0 and codes[-1] == 3
        text = complaint(binary, "cpus", "--qmp", str(path))
        assert "busy" in text and "--pid" in text
        assert client.execute("query-status")["status"] == "prelaunch"


def test_a_socket_that_a_manager_opened_leads_to_the_emulator_that_serves_it(
    binary: Path, tmp_path: Path
) -> None:
    path = tmp_path / "handed-over"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        # Until it is handed over, its server is no emulator.
        text = complaint(binary, "cpus", "--qmp", str(path))
        assert f"process {os.getpid()}: no QEMU is in this process" in text
        assert "proxy" in text and "--pid" in text
        listener.accept()[0].close()
        handed_over = f"socket,id=m,fd={listener.fileno()},server=on,wait=off"
        emulator = subprocess.Popen(
            [X86, "-nodefaults", "-display", "none", *MACHINE, "-chardev", handed_over,
             "-mon", "chardev=m,mode=control"], pass_fds=[listener.fileno()])
        try:
            with Qmp(connect(path, emulator)) as client:
                assert client.execute("query-status")["status"] == "prelaunch"
            # QEMU listens on it again.
            assert emulator_behind(binary, path) == emulator.pid
        finally:
            emulator.kill()
            emulator.wait()


def test_paths_that_are_no_served_socket_are_named(binary: Path, tmp_path: Path) -> None:
    plain, dead = tmp_path / "plain", tmp_path / "dead"
    plain.write_text("")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(dead))
    for path, said in ((plain, "nobody serves it"), (dead, "nobody serves it"),
                       (tmp_path / "none", "No such file"), (tmp_path / ("x" * 200), "name too long")):
        text = complaint(binary, "cpus", "--qmp", str(path))
        assert said in text and path.name in text and "hint:" in text


def test_an_emulator_that_exits_while_it_is_read_is_named(binary: Path) -> None:
    with Qemu(X86, MACHINE) as emulator:
        emulator.hmp("info status")
        # More than fits into the pipe and one read.
        command = [str(binary), "read", "--phys", "--pid", str(emulator.pid), "0", "0x2000000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
            assert reader.stdout is not None and len(reader.stdout.read(4096)) == 4096
            emulator.process.kill()
            emulator.process.wait()
            output, errors = reader.communicate(timeout=SECONDS)
    text = errors.decode()
    assert reader.returncode == 3 and f"process {emulator.pid} has exited" in text, text
    assert len(output) < 0x2000000 - 4096 and "hint:" in text


def test_freezing_takes_rights_and_they_are_named(qemu: Qemu, binary: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    with binary.open("rb") as program:
        command = [f"/proc/self/fd/{program.fileno()}", "cpus", "--freeze", "--pid", str(qemu.pid)]
        done = subprocess.run(command, user=65534, pass_fds=[program.fileno()], timeout=SECONDS,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    text = done.stderr.decode()
    assert done.returncode == 3 and "may not be frozen" in text and "ptrace" in text, text


def test_no_command_takes_another_process_for_an_emulator(binary: Path) -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        try:
            for question in (("v2p", "0"), ("regs",), ("cpus",), ("ram",), ("mtree",), ("where", "0"),
                             ("find", "0"), ("read", "--phys", "0", "1")):
                text = complaint(binary, *question, "--pid", str(other.pid))
                assert f"process {other.pid}: no QEMU is in this process" in text and "hint:" in text
        finally:
            other.send_signal(signal.SIGKILL)
