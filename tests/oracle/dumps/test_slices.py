"""The slices of tests/data hold everything that their recorded answers need."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from lab.cli import json_lines, run_program
from lab.elfcore import ElfCore
from lab.guests import KINDS
from lab.slice import SLICES
from lab.walk import Space, space_of

Slice = Tuple[ElfCore, Dict[str, Any], Dict[str, Any]]


@pytest.fixture(scope="module", params=sorted(KINDS))
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Slice:
    """A slice, the JSON of its own note, and the monitor's answers."""
    plain = tmp_path_factory.mktemp("slice") / "slice.elf"
    packed = SLICES / f"{request.param}.elf.zst"
    subprocess.run(["zstd", "-q", "-d", str(packed), "-o", str(plain)], check=True)
    core = ElfCore.load(plain)
    (note,) = [note for note in core.notes if note.owner == "RRMEM"]
    answers = json.loads(packed.with_suffix("").with_suffix(".json").read_text())
    return core, json.loads(note.data), answers


def walker(sample: Slice) -> Space:
    """A walker over the slice with the registers of its note."""
    core, note, _answers = sample
    registers = {name: int(value, 16) for name, value in note["cpus"][0].items()}
    registers.setdefault("tcr", registers.get("ttbcr", 0))
    return space_of(note["arch"], core.read, registers)


def answer_pairs(sample: Slice) -> List[Tuple[int, Any]]:
    """The recorded answers as numbers."""
    return [(int(row["gva"], 16), row["gpa"] and int(row["gpa"], 16)) for row in sample[2]["answers"]]


def test_recorded_answers_follow_from_the_slice(sample: Slice) -> None:
    space, checks_rights = walker(sample), sample[1]["arch"] in ("arm", "aarch64")
    mapped = 0
    for gva, gpa in answer_pairs(sample):
        # The monitor checks rights on ARM, so it may refuse what is present.
        if gpa is not None or not checks_rights:
            assert space.translate(gva) == gpa, hex(gva)
            mapped += gpa is not None
        else:
            space.translate(gva)  # every table on the way must be in the slice
    assert len(answer_pairs(sample)) >= 200 and mapped >= 120


@pytest.mark.parametrize("name", sorted(KINDS))
def test_program_gives_the_recorded_answers(name: str, binary: Path) -> None:
    answers = json.loads((SLICES / f"{name}.json").read_text())
    flags = ["--priv", "current"] if answers["arch"] in ("arm", "aarch64") else []
    lines = "".join(row["gva"] + "\n" for row in answers["answers"])
    done = run_program(binary, "v2p", "--json", "--image", str(SLICES / f"{name}.elf.zst"),
                       *flags, "-", stdin=lines, codes=(1,))
    rows = json_lines(done.stdout)
    assert [row["gpa"] for row in rows] == [row["gpa"] for row in answers["answers"]]
    assert sum(row["region"] is not None for row in rows) >= 100


def test_data_pages_hold_their_text(sample: Slice) -> None:
    core, _note, answers = sample
    for place in answers["data"]:
        text = place["text"].encode()
        assert len(text) >= 5 and core.read(int(place["gpa"], 16), len(text)) == text
        assert (int(place["gva"], 16), int(place["gpa"], 16)) in answer_pairs(sample)
    assert answers["data"]


def test_flat_view_names_regions_of_the_slice(sample: Slice) -> None:
    regions = sample[1]["regions"]
    space = regions["address_spaces"][0]
    names = {regions["regions"][item["region"]]["name"] for item in space["flat"]}
    assert space["name"] == "memory" and names & {"pc.ram", "mach-virt.ram"}
    assert all("host" not in block for block in regions["ram_blocks"])
