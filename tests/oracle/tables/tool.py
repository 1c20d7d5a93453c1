"""Asks the `rr-mem` binary."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any, Optional

from lab import program

from .case import Case

ANSWERED, NOT_MAPPED, UNREADABLE = 0, 1, 3


def flags(case: Case) -> list[str]:
    """The registers of a case as options."""
    words = ["--arch", case.arch]
    for name, value in case.registers.items():
        words += [f"--{name}", str(value) if name in ("el", "phys-bits") else f"{value:#x}"]
    # What the set-ups leave at 0, and an access or EL2 depends on.
    rest = {"pan": "off", "hcr": "0x0"} if case.arch in ("arm", "aarch64") else {"ac": "off"}
    for name, text in {**rest, **case.options}.items():
        words += [f"--{name}", text]
    return words


def ask(
    case: Case, image: str, base: int, addresses: Sequence[int], extra: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """One parsed JSON object per address, in order."""
    source = ["--image", image, "--ram-base", f"{base:#x}"]
    return questions([*source, *flags(case), *extra], addresses)


def ask_live(pid: int, addresses: Sequence[int], extra: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The same of a running emulator, whose own registers count."""
    return questions(["--pid", str(pid), *extra], addresses)


def questions(source: Sequence[str], addresses: Sequence[int]) -> list[dict[str, Any]]:
    """The answers of any source."""
    command = [str(program.binary()), "v2p", "--json", *source, "-"]
    text = "".join(f"{address:#x}\n" for address in addresses)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode in (ANSWERED, NOT_MAPPED, UNREADABLE), (command, done.stderr)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    assert len(rows) == len(addresses), (command, len(rows), done.stderr)
    assert [number(row["gva"]) for row in rows] == list(addresses)
    check_exit_code(rows, done.returncode)
    return rows


def check_exit_code(rows: Sequence[dict[str, Any]], code: int) -> None:
    """3 if anything was unreadable, else 1 if anything is unmapped, else 0."""
    if any(row.get("error") for row in rows):
        assert code == UNREADABLE
    elif any(row["gpa"] is None for row in rows):
        assert code == NOT_MAPPED
    else:
        assert code == ANSWERED


def number(text: Any) -> Optional[int]:
    """An address of the JSON output: a hex string, a number, or null."""
    return int(text, 16) if isinstance(text, str) else text


def gpas(rows: Sequence[dict[str, Any]]) -> list[Optional[int]]:
    """The guest-physical answers."""
    return [number(row["gpa"]) for row in rows]


def answer(row: dict[str, Any]) -> tuple[Optional[int], Optional[int]]:
    """The guest-physical address, or the fault's status code."""
    fault = row.get("fault") or {}
    return number(row["gpa"]), number(fault.get("status"))


def verdict(row: dict[str, Any]) -> str:
    """The same for people."""
    gpa, status = answer(row)
    return f"{gpa:#x}" if gpa is not None else f"fault {row.get('fault')} status {status}"
