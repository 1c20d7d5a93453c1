"""What the gdb commands print, line by line: a transcript on a fixture (`fixtures/emulator.c`, no
QEMU), with addresses of the host masked. `RR_MEM_UPDATE=1` writes it anew; read the difference.
"""

from __future__ import annotations

import os
import re
from typing import List

from lab.gdb_session import answers
from lab.program import REPO

from .test_rrwatch import fixture  # noqa: F401

TRANSCRIPT = REPO / "tests" / "data" / "gdb" / "fixture.txt"
COMMANDS = [
    "rrcpu", "rrram", "rrmtree", "rrmtree -f", "rrv2p -v 0x400010", "rrv2p 0x10", "rrv2p -a w -p user 0x400010",
    "rrv2p -p kernel -v 0x400010", "rrv2p -a q 0x10", "rrv2p -p", "complete rrv2p -p k",
    "help rrv2p", "rrp2v 0x10", "rrfind 0x10",
    "rrx/2gx 0x400000", "rrx/s 0x400000", "rrxp/4xb 0x10", "p $rr_u32(0x400000)", "p/x $rr_phys(0x400010)",
    "rrwhere $rr_host(0x400010)", "rrpt", "rrwatch 0x400010 4", "info rrwatch", "delete", "info rrwatch",
    "rrset 0x400010 = 1", "rrx 0x500000", "rrx/99q 0", "help rrwatch", "show rrmem write",
]


def masked(text: str) -> str:
    """Without what is another in every process."""
    text = re.sub(r"0x(?:55|56|7[ef])[0-9a-f]{10}\b", "HOST", text)
    text = re.sub(r"thread \d+", "thread N", text)
    text = re.sub(r"/\S*/emulator\b", "EMULATOR", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def test_the_transcript_is_as_it_was(fixture: List[str]) -> None:  # noqa: F811
    said = answers(fixture, COMMANDS)
    found = "\n".join(f"(gdb) {command}\n{masked(text)}" for command, text in zip(COMMANDS, said)) + "\n"
    if os.environ.get("RR_MEM_UPDATE"):
        TRANSCRIPT.parent.mkdir(exist_ok=True)
        TRANSCRIPT.write_text(found)
    assert found == TRANSCRIPT.read_text()


def test_the_pages_name_commands_that_gdb_knows() -> None:
    """Every command and setting in the code of docs/gdb.md and gdb/README.md."""
    pages = [(REPO / page).read_text() for page in ("docs/gdb.md", "gdb/README.md")]
    code = [part for page in pages for part in re.findall(r"`([^`\n]+)`|^\((?:gdb|rr)\) (.+)$", page, re.MULTILINE)]
    words = sorted({word for part in code for word in re.findall(r"\b(?:set rrmem \w+|rr[a-z0-9]+)", " ".join(part))})
    commands = [word for word in words if word not in ("rrmem", "rr_mem")]
    said = dict(zip(commands, answers([], [f"help {word}" for word in commands])))
    assert len(said) >= 15
    assert [word for word, text in said.items() if "Undefined" in text] == []
