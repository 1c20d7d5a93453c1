"""`rr-mem diverge qemu`: replays by QEMU, of which one has an input changed, against what the guest
program is known to do and against replays that the tests step through themselves.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from lab import backports, fetch, rrlog
from lab.cli import json_lines
from lab.qcow2 import empty_qcow2
from lab.recorder import Recorder
from lab.stubs import assemble

#: Causes of a shutdown that QEMU knows since 7.1 (qapi/run-state.json).
CAUSES = 11
TYPED = b"HelloWorld012345"
#: Where the stub reads a byte, and where it stores the sum.
INPUT, STORE = 0xF0100, 0xF0120
LIMIT = 600


@dataclass
class Recording:
    """A log and what it was recorded with."""

    log: Path
    command: List[str]
    instructions: int


def qemu_of(release: str) -> str:
    """The x86 emulator of a release."""
    return "qemu-system-x86_64" if release == "7.2" else str(backports.qemu() / "qemu-system-x86_64")


def with_snapshot(folder: Path) -> Tuple[str, List[str]]:
    """The mode of a recording that begins with a snapshot, and the image that holds it."""
    image = folder / "state.qcow2"
    empty_qcow2(image)
    return "rr=record,rrsnapshot=init", ["-drive", f"file={image},if=none,id=state"]


@pytest.fixture(scope="module", params=["7.2", "10.0", "7.2 without snapshot"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The stub, that reads what was typed."""
    folder = tmp_path_factory.mktemp("diverge")
    release, _, without = request.param.partition(" ")
    mode, state = ("rr=record", []) if without else with_snapshot(folder)
    rom = folder / "rom"
    rom.write_bytes(assemble("x86_16_input"))
    machine = ["-M", "pc-i440fx-7.2", "-m", "8", "-bios", str(rom), "-S", *state]
    with Recorder(qemu_of(release), folder / "a.log", machine, mode) as qemu:
        qemu.qmp.execute("cont")
        limit = time.monotonic() + 60
        for number in range(len(TYPED)):
            # The port holds one byte.
            qemu.console.sendall(TYPED[number:number + 1])
            wanted = f"{sum(TYPED[:number + 1]):#010x}"
            while wanted not in qemu.hmp(f"xp /1wx {0x1000 + 4 * number:#x}"):
                assert time.monotonic() < limit, qemu.hmp("xp /16wx 0x1000")
        yield Recording(qemu.log, qemu.command, qemu.finish())


def changed(log: Path, number: int, name: str = "b.log") -> Path:
    """A copy of the log in which byte `number` of what was typed has its lowest bit flipped."""
    data = bytearray(log.read_bytes())
    places = [place for kind, _, end, typed in rrlog.qemu_events(bytes(data), CAUSES)
              if kind == "CHAR_READ" and typed for place in range(end - len(typed), end)]
    data[places[number]] ^= 1
    other = log.parent / name
    other.write_bytes(data)
    return other


def diverge(binary: Path, recording: Recording, *arguments: str, codes: Tuple[int, ...] = (0,)) -> Dict[str, Any]:
    """The report."""
    done = run(binary, recording, "--json", *arguments)
    assert done.returncode in codes, (done.returncode, done.stdout, done.stderr)
    return json_lines(done.stdout)[0]


def run(binary: Path, recording: Recording, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Runs a search, with nothing of it left behind."""
    temporary = recording.log.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(temporary), "XDG_CACHE_HOME": str(recording.log.parent / "cache")}
    command = [str(binary), "diverge", "qemu", *arguments, "--", *recording.command]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=LIMIT)
    assert not list(temporary.iterdir()), "private files are left"
    return done


def monitor_at(recording: Recording, log: Path, places: List[int], question: str) -> List[str]:
    """What the monitor says at some points of a replay that the test moves itself."""
    binary, *rest = recording.command
    position = rest.index("-icount")
    del rest[:position + 2]
    rest = rest[rest.index("-qmp") + 2:]
    image = next((word for word in rest if word.startswith("file=")), None)
    if image is not None:
        copy = log.parent / "copy.qcow2"
        shutil.copy(image.split(",")[0][len("file="):], copy)
        rest[rest.index(image)] = f"file={copy},if=none,id=state"
    mode = "rr=replay,rrsnapshot=init" if image else "rr=replay"
    answers = []
    with Recorder(binary, log, rest, mode) as qemu:
        threading.Thread(target=drain, args=(qemu.console,), daemon=True).start()
        for place in places:
            qemu.qmp.execute("replay-break", icount=place)
            qemu.qmp.execute_until("cont", "STOP")
            answers.append(re.sub(r"CC[SDO]=\S+", "", qemu.hmp(question)))
    return answers


def drain(console: socket.socket) -> None:
    """Reads what a guest prints: QEMU waits for that."""
    console.settimeout(None)
    try:
        while console.recv(4096):
            pass
    except OSError:
        pass


@pytest.mark.parametrize("number", [0, 9])
def test_a_changed_byte_is_found_where_the_guest_reads_it(binary: Path, tiny: Recording, number: int) -> None:
    """The instruction is the one that reads the byte; the first write stores the sum."""
    other = changed(tiny.log, number)
    row = diverge(binary, tiny, "--log", str(tiny.log), "--log", str(other), codes=(1,))
    assert row["found"] and row["guest_pc"] == f"{INPUT:#x}" and row["cpu"] == 0
    assert row["last_equal_instr"] == row["instr"] - 1
    [register] = row["registers"]
    values = [int(register[side], 16) & 0xFF for side in "ab"]
    assert (register["register"], values) == ("eax", [TYPED[number], TYPED[number] ^ 1])
    writer = row["writer"]
    assert writer["guest_pc"] == f"{STORE:#x}" and writer["confirmed"]
    assert int(writer["bytes"][0]["gpa"], 16) == 0x1000 + 4 * number
    assert writer["bytes"][0]["region"] == "pc.ram" and writer["bytes"][0]["gvas"]
    assert row["log_difference"]["instr"] <= row["instr"]
    places = [row["last_equal_instr"], row["instr"], writer["last_equal_instr"], writer["instr"]]
    a, b = (monitor_at(tiny, log, places, "info registers") for log in (tiny.log, other))
    assert [x == y for x, y in zip(a, b)] == [True, False, False, False]
    a, b = (monitor_at(tiny, log, places, "xp /64wx 0x1000") for log in (tiny.log, other))
    assert [x == y for x, y in zip(a, b)] == [True, True, True, False]


def test_a_log_is_no_different_from_itself(binary: Path, tiny: Recording) -> None:
    """To its end."""
    row = diverge(binary, tiny, "--log", str(tiny.log), "--check")
    assert not row["found"] and row["to"] == tiny.instructions - 1 and row["probes"] > 16
    assert row["ended"] is None and row["unread_pages"] == 0


def test_what_is_ignored_is_no_difference(binary: Path, tiny: Recording) -> None:
    """The sums and the registers that hold them."""
    logs = ["--log", str(tiny.log), "--log", str(changed(tiny.log, 9))]
    registers = [word for name in ("eax", "ebx", "eflags") for word in ("--ignore-reg", name)]
    row = diverge(binary, tiny, *logs, *registers, "--ignore-gpa", "0x1000+0x40")
    assert not row["found"]
    row = diverge(binary, tiny, *logs, *registers, "--ignore-region", "pc.ram")
    assert not row["found"]
    row = diverge(binary, tiny, *logs, *registers, codes=(1,))
    assert row["guest_pc"] == f"{STORE:#x}" and not row["registers"]


def test_a_search_goes_on_where_it_was_interrupted(binary: Path, tiny: Recording) -> None:
    """After SIGINT nothing runs any more, no file is left, and the points are kept."""
    temporary = tiny.log.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    state = tiny.log.parent / "points.json"
    flags = ["--log", str(tiny.log), "--check", "--state", str(state)]
    command = [str(binary), "diverge", "qemu", *flags, "--exhaustive", "1000", "--", *tiny.command]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(temporary)},
                               stderr=subprocess.PIPE, start_new_session=True)
    limit = time.monotonic() + 60
    while not state.exists():
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 3 and b"--resume" in errors
    assert not list(temporary.iterdir())
    row = diverge(binary, tiny, *flags, "--resume", "--to", "5000")
    assert not row["found"] and row["probes"] > 17
    other = ["--log", str(tiny.log), "--log", str(changed(tiny.log, 0)), "--state", str(state)]
    done = run(binary, tiny, *other, "--resume")
    assert done.returncode == 3 and b"another search" in done.stderr


def test_a_replay_that_cannot_be_finished_says_where(binary: Path, tiny: Recording) -> None:
    """The log is cut, within an entry or behind one: what lies behind that was not compared."""
    cut = tiny.log.parent / "cut.log"
    data = tiny.log.read_bytes()
    ends = [end for _, start, end, _ in rrlog.qemu_events(data, CAUSES) if end > start + 1]
    cut.write_bytes(data[:ends[len(ends) // 2] - 1])
    row = diverge(binary, tiny, "--log", str(tiny.log), "--log", str(cut), codes=(3,))
    assert not row["found"] and "the second execution" in row["ended"]
    assert 0 < row["to"] < tiny.instructions and row["log_entries"]["b"]
    for what, end in [("within an entry", ends[len(ends) // 3] - 1), ("no end mark", ends[len(ends) // 3])]:
        cut.write_bytes(data[:end])
        row = diverge(binary, tiny, "--log", str(cut), "--check", codes=(3,))
        assert not row["found"] and "whole up to" in row["ended"] and what in row["ended"] and row["probes"] > 16


def test_wrong_usage_is_said(binary: Path, tiny: Recording, tmp_path: Path) -> None:
    """With what to do."""
    log = ["--log", str(tiny.log)]
    nothing = Recording(tiny.log, tiny.command[:1], 0)
    wrong = Recording(tiny.log, [*tiny.command, "-no-such-option"], 0)
    for recording, arguments, code, text in [
        (tiny, log, 2, b"--check"),
        (tiny, [*log, *log, "--check"], 2, b"itself"),
        (tiny, ["--log", str(tmp_path / "none"), "--check"], 3, b"none"),
        (nothing, [*log, "--check"], 3, b"-icount"),
        (wrong, [*log, "--check"], 3, b"no-such-option"),
        (tiny, [*log, "--check", "--with", str(tmp_path / "qemu")], 3, b"No such file"),
    ]:
        done = run(binary, recording, *arguments)
        assert done.returncode == code and text in done.stderr and b"hint: " in done.stderr, done.stderr


def test_a_typed_byte_is_found_in_a_real_kernel(binary: Path, tmp_path: Path) -> None:
    """A whole boot, then a line is typed; one of its bytes is another in the second log."""
    kernel = fetch.kernel("arm64")
    machine = ["-M", "virt-7.2", "-cpu", "cortex-a57", "-m", "192", "-kernel", str(kernel.vmlinuz),
               "-initrd", str(kernel.initrd), "-append", "console=ttyAMA0 panic=-1 nokaslr"]
    mode, state = with_snapshot(tmp_path)
    with Recorder("qemu-system-aarch64", tmp_path / "a.log", [*machine, *state], mode) as qemu:
        qemu.wait_for_text(b"RR-MEM-READY")
        qemu.console.sendall(b"typed\r")
        qemu.wait_for_text(b"typed")
        recording = Recording(qemu.log, qemu.command, qemu.finish())
    other = changed(recording.log, 2)
    row = diverge(binary, recording, "--log", str(recording.log), "--log", str(other), codes=(1,))
    assert row["found"] and row["last_equal_instr"] == row["instr"] - 1
    differing = [(int(register["a"], 16), int(register["b"], 16)) for register in row["registers"]]
    assert (ord("p"), ord("p") ^ 1) in differing
    assert row["log_difference"]["instr"] <= row["instr"]
    assert int(row["guest_pc"], 16) >> 47, "the kernel reads its serial port"
    writer = row["writer"]
    assert writer["confirmed"] and (writer["bytes"][0]["a"][:2], writer["bytes"][0]["b"][:2]) == ("70", "71")
    places = [row["last_equal_instr"], row["instr"]]
    a, b = (monitor_at(recording, log, places, "info registers") for log in (recording.log, other))
    assert [x == y for x, y in zip(a, b)] == [True, False]


def test_a_replay_that_qemu_cannot_finish_says_where_it_stumbles(binary: Path, tiny: Recording) -> None:
    """A checkpoint in the log is another: QEMU waits for that for ever."""
    data = bytearray(tiny.log.read_bytes())
    marks = [start for kind, start, _, _ in rrlog.qemu_events(bytes(data), CAUSES) if kind.startswith("CHECKPOINT")]
    data[marks[len(marks) // 2]] += 1
    other = tiny.log.parent / "stumbles.log"
    other.write_bytes(data)
    row = diverge(binary, tiny, "--log", str(tiny.log), "--log", str(other), codes=(3,))
    assert not row["found"] and "the second execution" in row["ended"] and "does not get on" in row["ended"]
    assert 0 < row["to"] < tiny.instructions and row["log_entries"]["b"]
    assert row["to"] == row["log_difference"]["instr"]
