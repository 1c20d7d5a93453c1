"""`rr-mem x` against gdb's own `x`, byte for byte, on the same bytes."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

BASE = 0x10000

# What comes before each answer in gdb's output, and nowhere in the sample.
MARK = "<<answer>>"

# Letters with the sizes that they take. gdb's `f` of 1 and 2 bytes is an integer.
FORMATS = [
    *(f"11{size}{letter}" for letter in "oxzdut" for size in "bhwg"),
    *(f"{count}{size}f" for size in "wg" for count in (1, 9)),
    *(f"9{size}c" for size in "bhwg"),
    "3a", "1s", "7s",
]


def sample() -> bytes:
    """Bytes that are hard to format: extremes, floats of all kinds, strings."""
    seeded = random.Random(1)
    floats = [0.0, -0.0, 1.0, -1.5, 1 / 3, 1e10, 1e-10, 123456789.0, 5e-324, 1.7e308,
              float("inf"), float("-inf"), 100000.0, 0.0001, 0.00001]
    parts = [
        bytes(range(256)),
        b"plain\0quote\"back\\slash\0tab\there\0\x1b[0m\x80\xff\x7f\0" + b"a" * 30 + b"bc\0",
        b"ab" + b"\xff" * 12 + b"\x01" + b"9" * 11 + b"0\0",
        b"x" * 10 + b"\0", b"long " * 60 + b"\0",
        b"".join(struct.pack("<d", value) for value in floats),
        b"".join(struct.pack("<f", value) for value in floats if abs(value) < 3e38),
        struct.pack("<QQ", 0x7FF8000000000000, 0xFFF8000000000001),
        bytes(64), b"\xff" * 64,
        seeded.randbytes(2000),
    ]
    return b"".join(parts) + bytes(512)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample as raw RAM, and beside it as an ELF file that gdb reads."""
    raw = tmp_path_factory.mktemp("examine") / "sample.bin"
    raw.write_bytes(sample())
    command = ["objcopy", "-I", "binary", "-O", "elf64-x86-64", "-B", "i386:x86-64",
               "--rename-section", ".data=.data,alloc,load,contents,data",
               "--change-section-address", f".data={BASE:#x}", "--wildcard",
               "--strip-symbol", "_binary_*", str(raw), str(raw.with_suffix(".elf"))]
    subprocess.run(command, check=True)
    return raw


def in_gdb(elf: Path, requests: List["tuple[str, int]"]) -> Dict["tuple[str, int]", str]:
    """What gdb prints for each format and address."""
    script = []
    for number, (form, address) in enumerate(requests):
        script += ["-ex", f"echo {MARK}{number}\\n", "-ex", f"x/{form} {address:#x}"]
    command = ["gdb", "-q", "-nx", "-batch", *script, str(elf)]
    # In the C locale: what is not ASCII is shown in octal, as rr-mem always does.
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    blocks = done.stdout.decode("latin-1").split(MARK)[1:]
    answers = {}
    for block in blocks:
        index, _, text = block.partition("\n")
        answers[requests[int(index)]] = text
    return answers


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_looks_as_in_gdb(binary: Path, image: Path, form: str) -> None:
    """Each format at places all over the sample."""
    length = image.stat().st_size - 600
    places = [*range(0, length, 173), *range(600, 1100, 24)]
    requests = [(form, BASE + place) for place in places]
    expected = in_gdb(image.with_suffix(".elf"), requests)
    assert len(expected) == len(set(requests))
    for request, text in expected.items():
        command = [str(binary), "x", "--phys", "--image", str(image), "--ram-base", hex(BASE),
                   "-f", request[0], hex(request[1])]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        assert done.stdout.decode("latin-1") == text, request
