"""Assembles the small programs in tests/oracle/stubs."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

ORACLE = Path(__file__).resolve().parents[1]
FIXTURES, FOLDER = ORACLE / "fixtures", ORACLE / "stubs"
TOOLS: dict[str, tuple[str, ...]] = {
    "x86_64": ("as", "--64"),
    "x86_32": ("as", "--32"),
    "x86_rr": ("as", "--32"),
    "x86_16": ("as", "--32"),
    "arm": ("arm-linux-gnueabi-as",),
    "aarch64": ("aarch64-linux-gnu-as",),
}


@cache
def assemble(name: str) -> bytes:
    """The code of `stubs/NAME.S`; how the name begins picks the assembler."""
    tool = next(tool for start, tool in TOOLS.items() if name.startswith(f"{start}_"))
    prefix = tool[0][: -len("as")]
    with tempfile.TemporaryDirectory() as folder:
        made, flat = f"{folder}/stub.o", f"{folder}/stub.bin"
        subprocess.run([*tool, str(FOLDER / f"{name}.S"), "-o", made], check=True)
        copy = [f"{prefix}objcopy", "-O", "binary", "-j", ".text", made, flat]
        subprocess.run(copy, check=True)
        return Path(flat).read_bytes()
