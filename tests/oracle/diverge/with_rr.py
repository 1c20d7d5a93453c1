"""`rr-mem diverge rr`: traces that rr made of a QEMU, where there is a working rr.

Not collected by itself: `tests/run --rr`, or `pytest tests/oracle/diverge/with_rr.py`. `RR_MEM_RR` names
another rr, with options of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import pytest

from lab.recorder import Recorder
from lab.stubs import assemble

from .test_diverge import INPUT, LIMIT, STORE, TYPED, changed, drain, qemu_of

RR = os.environ.get("RR_MEM_RR", "rr")
#: Which byte of what was typed is another in the second log.
CHANGED = 9


class Traced(Recorder):
    """A QEMU that runs under rr."""

    def __init__(self, trace: Path, binary: str, log: Path, machine: Sequence[str], mode: str) -> None:
        self.trace = trace
        super().__init__(binary, log, machine, mode)

    def _start(self, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        return super()._start([*RR.split(), "record", "-o", str(self.trace), *command])


def halting(rom: bytes) -> bytes:
    """The stub, that halts when it has read all: while rr records, what counts on is much."""
    rest = bytes.fromhex("66ff060005ebf9")
    assert rom.count(rest) == 1
    return rom.replace(rest, bytes.fromhex("f4ebfd") + bytes(4))


def record(qemu: Recorder) -> int:
    """Types; how many instructions that took."""
    qemu.qmp.execute("cont")
    for number in range(len(TYPED)):
        qemu.console.sendall(TYPED[number:number + 1])
        wanted = f"{sum(TYPED[:number + 1]):#010x}"
        qemu.wait_for(lambda: wanted in qemu.hmp(f"xp /1wx {0x1000 + 4 * number:#x}"), LIMIT, wanted)
    return qemu.finish()


def replay(trace: Path, binary: str, log: Path, machine: List[str]) -> Path:
    """Replays a log under rr, to its end."""
    with Traced(trace, binary, log, machine, "rr=replay") as qemu:
        threading.Thread(target=drain, args=(qemu.console,), daemon=True).start()
        qemu.qmp.execute("cont")
        assert qemu.process.wait(LIMIT) == 0
    return trace


@pytest.fixture(scope="module", params=["7.2", "10.0"])
def traces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """Of an emulator that records, of one that replays that, and of one that replays a log in which
    one byte is another."""
    folder = tmp_path_factory.mktemp("rr")
    binary = qemu_of(request.param)
    rom = folder / "rom"
    rom.write_bytes(halting(assemble("x86_16_input")))
    machine = ["-M", "pc-i440fx-7.2", "-m", "8", "-bios", str(rom), "-S"]
    log = folder / "a.log"
    with Traced(folder / "record", binary, log, machine, "rr=record") as qemu:
        instructions = record(qemu)
    other = changed(log, CHANGED)
    return {
        "record": folder / "record", "logs": (log, other), "instructions": instructions,
        "same": replay(folder / "same", binary, log, machine),
        "other": replay(folder / "other", binary, other, machine),
    }


def diverge(binary: Path, *arguments: str, code: int) -> Tuple[Dict[str, Any], str]:
    """The report, and what was said."""
    command = [str(binary), "diverge", "rr", "--json", "--rr", RR, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=4 * LIMIT)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout), done.stderr.decode()


def check_parting(row: Dict[str, Any]) -> None:
    """The instruction is the one that reads the byte, the first write stores the sum."""
    assert row["found"] and row["guest_pc"] == f"{INPUT:#x}"
    assert row["last_equal_instr"] < row["instr"] <= row["last_equal_instr"] + 8
    [register] = [found for found in row["registers"] if found["register"] == "rax"]
    assert [int(register[side], 16) & 0xFF for side in "ab"] == [TYPED[CHANGED], TYPED[CHANGED] ^ 1]
    writer = row["writer"]
    assert writer["confirmed"] and writer["guest_pc"] == f"{STORE:#x}"
    assert int(writer["bytes"][0]["gpa"], 16) == 0x1000 + 4 * CHANGED
    assert writer["bytes"][0]["region"] == "pc.ram" and writer["bytes"][0]["gvas"]
    for frames in (writer["host_a"], writer["host_b"]):
        assert "translated code" in frames[0] and any("cpu_exec" in frame for frame in frames), frames


def test_a_changed_byte_is_found_between_a_recording_and_a_replay(binary: Path, traces: Dict[str, Any]) -> None:
    """Without a log, by bisection alone; and with the logs, which bound the search."""
    row, _ = diverge(binary, str(traces["record"]), str(traces["other"]), code=1)
    check_parting(row)
    logs = [word for log in traces["logs"] for word in ("--log", str(log))]
    bounded, said = diverge(binary, str(traces["record"]), str(traces["other"]), *logs, code=1)
    check_parting(bounded)
    assert bounded["instr"] == row["instr"] and "the logs differ at instruction" in said
    assert bounded["log_difference"]["instr"] <= row["instr"] and bounded["log_entries"]["a"]


def test_a_recording_and_its_replay_do_not_differ(binary: Path, traces: Dict[str, Any]) -> None:
    """To their ends."""
    row, _ = diverge(binary, str(traces["record"]), str(traces["same"]), code=0)
    assert not row["found"] and row["probes"] > 8 and row["unread_pages"] == 0
    assert 0 <= traces["instructions"] - row["to"] < traces["instructions"] // 20


def test_what_is_no_trace_is_said(binary: Path, tmp_path: Path) -> None:
    """With what to do."""
    command = [str(binary), "diverge", "rr", "--rr", RR, str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT)
    assert done.returncode == 3 and b"hint: " in done.stderr
    command = [str(binary), "diverge", "rr", "--rr", str(tmp_path / "rr"), str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, timeout=LIMIT)
    assert done.returncode == 3 and b"No such file" in done.stderr
