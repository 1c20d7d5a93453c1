"""`rr_mem.Log`, as `pip` installed it, against the program and an independent reader."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import rr_mem

from lab import rrlog
from lab.answers import equals
from lab.cli import json_lines, run_program

from .test_log import LOGS, RECORDED, unpacked


@pytest.mark.parametrize("name", ["x64-io-rr-nondet.log.zst", "tiny.rr2"])
def test_entries_are_those_of_the_program(binary: Path, name: str) -> None:
    """Every field of every entry, and its line."""
    log = rr_mem.Log(LOGS / name)
    rows = json_lines(run_program(binary, "log", "print", "--json", str(LOGS / name)).stdout)
    lines = run_program(binary, "log", "print", str(LOGS / name)).stdout.decode().splitlines()
    entries = list(log)
    assert [str(entry) for entry in entries] == lines
    for entry, row in zip(entries, rows, strict=True):
        assert equals(entry, row), (entry, row)
    assert log.format == "panda" and log.total_instructions == entries[-1].instr
    assert list(log) == []


@pytest.mark.parametrize("name", RECORDED)
def test_a_cut_log_raises_behind_its_last_whole_entry(name: str) -> None:
    """Once, with a kind and a hint."""
    log = rr_mem.Log(LOGS / name)
    data = unpacked(LOGS / name)
    counted = rrlog.panda(data)
    seen: "Counter[str]" = Counter()
    error = None
    try:
        for entry in log:
            seen[entry.call or entry.kind] += 1
    except rr_mem.ReadError as raised:
        error = raised
    assert seen == counted.entries
    assert (error is None) == (counted.read == len(data))
    if error is not None:
        assert (error.kind, bool(error.hint)) == ("cut", True)
        assert next(log, None) is None


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    file = tmp_path / "text"
    file.write_text("no log at all, and long enough to be one")
    with pytest.raises(rr_mem.SourceError, match="neither a PANDA nondet log nor") as raised:
        rr_mem.Log(file)
    assert raised.value.kind == "unknown" and raised.value.hint
