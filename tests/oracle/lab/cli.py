"""Runs the program under test and reads its JSON lines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set

from .guests import Guest

Row = Dict[str, Any]
SECONDS = 120


class RrMem:
    """The program, asked about one guest at its present moment."""

    def __init__(self, binary: Path, guest: Guest) -> None:
        self._binary = binary
        self._guest = guest
        self.mtree_file = guest.qemu.folder / "mtree.txt"
        self.mtree_file.write_text(guest.mtree_f)

    def run(
        self, *arguments: str, stdin: str = "", codes: Sequence[int] = (0,)
    ) -> "subprocess.CompletedProcess[bytes]":
        """Runs a command; fails when the exit code is another."""
        return run_program(self._binary, *arguments, stdin=stdin, codes=codes)

    def image_flags(self, with_registers: bool = True) -> List[str]:
        """The dump, and the registers unless the dump's own are to be used."""
        flags = ["--image", str(self._guest.dump)]
        return flags + (self._guest.register_flags() if with_registers else [])

    def v2p(self, addresses: Sequence[int], *flags: str, with_registers: bool = True) -> List[Row]:
        """One row for each address, in order."""
        done = self.run(
            "v2p", "--json", *self.image_flags(with_registers), "--mtree", str(self.mtree_file),
            *flags, "-", stdin="".join(f"{address:#x}\n" for address in addresses), codes=(0, 1),
        )
        rows = json_lines(done.stdout)
        assert len(rows) == len(addresses)
        return rows

    def pages(self, *flags: str) -> List[Row]:
        """The rows of `pt`."""
        return json_lines(self.run("pt", "--json", "--no-merge", *self.image_flags(), *flags).stdout)

    def aliases(self, gpa: int) -> Set[int]:
        """All virtual addresses of a physical one; a row is a run of them at equal strides."""
        rows = json_lines(self.run("p2v", "--json", *self.image_flags(), f"{gpa:#x}").stdout)
        return {int(row["gva"], 16) + index * int(row["stride"], 16)
                for row in rows for index in range(row["count"])}

    def tlb(self) -> List[str]:
        """The lines of `pt --tlb`."""
        return self.run("pt", "--tlb", *self.image_flags()).stdout.decode().splitlines()

    def read(self, address: int, length: int, *flags: str) -> bytes:
        """Bytes by `read`."""
        return self.run("read", *self.image_flags(), *flags, f"{address:#x}", str(length)).stdout

    def examine(self, address: int, count: int, *flags: str) -> bytes:
        """Bytes by `x`, from its text."""
        text = self.run("x", *self.image_flags(), *flags, "-f", f"{count}bx", f"{address:#x}").stdout
        words = " ".join(line.split(":", 1)[1] for line in text.decode().splitlines()).split()
        return bytes(int(word, 16) for word in words)

    def find(self, address: int) -> Optional[Row]:
        """The range that holds a physical address."""
        done = self.run("find", "--json", "--mtree", str(self.mtree_file), f"{address:#x}", codes=(0, 1))
        rows = json_lines(done.stdout)
        return rows[0] if rows and done.returncode == 0 else None

    def mtree_f(self) -> str:
        """The flat views, printed again."""
        return self.run("mtree", "-f", "--mtree", str(self.mtree_file)).stdout.decode()


def run_program(
    binary: Path, *arguments: str, stdin: str = "", codes: Sequence[int] = (0,)
) -> "subprocess.CompletedProcess[bytes]":
    """Runs the program; fails with its complaints when the exit code is another."""
    done = subprocess.run(
        [str(binary), *arguments], input=stdin.encode(), timeout=SECONDS,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    command = " ".join(["rr-mem", *arguments])
    assert done.returncode in codes, f"`{command}` ended with {done.returncode}: {done.stderr.decode()}"
    return done


def json_lines(data: bytes) -> List[Row]:
    """Every line is an object."""
    return [json.loads(line) for line in data.splitlines()]


def number(value: Optional[str]) -> Optional[int]:
    """The number of a "0x.." string, or nothing."""
    return None if value is None else int(value, 16)
