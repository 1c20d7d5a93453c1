"""The table of cases `tests/data/doors.json` through the program, Python and gdb: the same answer,
the same kind of error, the same remarks. The library's own door runs it in `cargo test`."""

from __future__ import annotations

import array
import json
import re
import struct
import subprocess
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
import rr_mem

from lab.gdb_session import answers, attached
from lab.listings import X86
from lab.program import REPO
from lab.qemu import Qemu

Door = Dict[str, Any]
TABLE = json.loads((REPO / "tests" / "data" / "doors.json").read_text())
CASES: List[Door] = TABLE["cases"]
UNMAPPED = 2**64 - 1


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the table describes."""
    contents = bytearray(int(TABLE["image"]["bytes"], 16))
    for at, word in TABLE["image"]["words"].items():
        contents[int(at, 16):int(at, 16) + 8] = int(word, 16).to_bytes(8, "little")
    path = tmp_path_factory.mktemp("doors") / "ram.bin"
    path.write_bytes(contents)
    return path


def file_of(door: Door, image: Path) -> Path:
    """The file of a case: the image, or an ELF core of a machine around it."""
    if "machine" not in door:
        return image
    ram, number = image.read_bytes(), int(door["machine"], 16)
    core = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    core += struct.pack("<HHIQQQIHHHHHH", 4, number, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    core += struct.pack("<IIQQQQQQ", 1, 7, 120, 0, 0, len(ram), len(ram), 0)
    path = image.with_suffix(f".{number:x}.elf")
    path.write_bytes(core + ram)
    return path


def registers(door: Door) -> Dict[str, int]:
    """The registers that are given."""
    return {name: int(value, 16) for name, value in door.get("registers", {}).items()}


def opened(door: Door, image: Path) -> rr_mem.Guest:
    """The guest, by Python's keywords."""
    cpu, regions = door.get("cpu", 0), door.get("regions")
    if door["source"] == "sample":
        guest = rr_mem.Guest.sample(cpu=cpu)
    elif door["source"] == "regions":
        guest = rr_mem.Guest.from_regions(str(regions))
    else:
        guest = rr_mem.Guest.from_image(file_of(door, image), cpu=cpu, mtree=regions)
    return guest.with_registers(door.get("arch"), **registers(door))


def asked(door: Door, image: Path) -> "tuple[str, rr_mem.Guest]":
    """Python's answer, in the table's words."""
    guest = opened(door, image)
    if "find" in door:
        section = guest.find(int(door["find"], 16))
        return ("none" if section is None else section.region), guest
    walk = guest.walk(int(door["v2p"], 16))
    if walk.gpa is not None:
        return f"{walk.gpa:#x}", guest
    if walk.fault is not None:
        return walk.fault.kind, guest
    assert walk.error is not None
    if "error" in door:
        guest.v2p(int(door["v2p"], 16))
    return walk.error.kind, guest


@pytest.mark.parametrize("door", CASES, ids=lambda door: door["name"])
def test_python_answers_as_the_table(door: Door, image: Path) -> None:
    if "error" in door:
        with pytest.raises(rr_mem.RrMemError) as caught:
            asked(door, image)
        assert caught.value.kind == door["error"] and door["says"] in str(caught.value)
        return
    answer, guest = asked(door, image)
    assert answer == door["answer"]
    kinds = [remark.kind for remark in guest.remarks]
    assert set(door.get("remarks", [])) <= set(kinds)
    assert ("assumed" in kinds) == ("assumed" in door.get("remarks", []))


@pytest.mark.parametrize("door", [door for door in CASES if "v2p" in door], ids=lambda door: door["name"])
def test_a_batch_of_one_answers_as_the_table(door: Door, image: Path) -> None:
    answers_of = {"not_present": UNMAPPED}
    batch = array.array("Q", [int(door["v2p"], 16)])
    if "error" in door or door["answer"] in ("hole", "absent"):
        with pytest.raises(rr_mem.RrMemError) as caught:
            opened(door, image).v2p_batch(batch)
        assert caught.value.kind == door.get("error", door.get("answer"))
        return
    (found,) = array.array("Q", opened(door, image).v2p_batch(batch))
    assert found == (answers_of[door["answer"]] if door["answer"] in answers_of else int(door["answer"], 16))


class Zeros:
    """Memory full of zeros, and what was asked of it."""

    def __init__(self) -> None:
        self.asked: List[int] = []

    def read(self, address: int, length: int) -> bytes:
        """Zeros."""
        self.asked.append(address)
        return bytes(length)


def test_given_registers_stay_with_their_source_and_go_with_another_architecture() -> None:
    guest = rr_mem.Guest.from_registers("aarch64", {"ttbr1": 0x2000, "tcr": 0x580190019}, Zeros())
    assert guest.on_cpu(0).registers.text == guest.registers.text
    other = guest.with_registers(ttbr0=0x3000).with_registers("x86_64", cr3=0x1000)
    assert other.walk(0x10).fault is not None and other.arch == "x86_64"


def test_a_tree_never_lets_a_reader_be_asked_for_devices() -> None:
    (tree,) = [door["regions"] for door in CASES if door["name"] == "the text of a tree cannot be searched"]
    reader = Zeros()
    with pytest.raises(rr_mem.SourceError) as caught:
        rr_mem.Guest.from_registers("x86_64", {"cr3": 0x1000}, reader, mtree=tree)
    assert caught.value.kind == "tree_form" and reader.asked == []


def test_an_address_space_that_no_source_has_is_refused(image: Path) -> None:
    for guest in (rr_mem.Guest.sample(), rr_mem.Guest.from_image(image)):
        with pytest.raises(rr_mem.UsageError) as caught:
            guest.on_cpu(0, "nonsense")
        assert caught.value.kind == "no_such_space" and caught.value.hint


def flags(door: Door, image: Path, folder: Path) -> List[str]:
    """The program's flags."""
    words = ["--image", str(file_of(door, image))] if door["source"] == "image" else []
    if "regions" in door:
        text = folder / "mtree.txt"
        text.write_text(door["regions"])
        words += ["--mtree", str(text)]
    words += ["--cpu", str(door["cpu"])] if "cpu" in door else []
    words += ["--arch", door["arch"]] if "arch" in door else []
    return words + [word for name, value in registers(door).items()
                    for word in (f"--{name.replace('_', '-')}", f"{value:#x}")]


def run(binary: Path, door: Door, image: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """The program, asked for the case."""
    question = ["find", door["find"]] if "find" in door else ["v2p", door["v2p"]]
    command = [str(binary), "-v", "--json", *question, *flags(door, image, folder)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def row_answer(row: Dict[str, Any]) -> str:
    """A row of JSON in the table's words."""
    if "region" in row and "gva" not in row:
        return str(row["region"] or "none")
    for key in ("fault", "error"):
        if row[key] is not None:
            return str(row[key]["kind"])
    return str(row["gpa"])


@pytest.mark.parametrize("door", CASES, ids=lambda door: door["name"])
def test_the_program_answers_as_the_table(door: Door, image: Path, binary: Path, tmp_path: Path) -> None:
    done = run(binary, door, image, tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if "error" not in door:
        assert [row_answer(row) for row in rows] == [door["answer"]], done.stderr
        assert done.returncode == exit_code(rows[0])
        for remark in opened(door, image).remarks:
            assert f"note: {remark.text}" in done.stderr, remark.kind
    elif door.get("program") == "usage":
        # The parser of flags refuses it, in its own words.
        assert (done.returncode, rows) == (2, [])
    elif rows:
        assert [row_answer(row) for row in rows] == [door["error"]] and done.returncode == 3
        assert door["says"] in done.stderr or "error" in rows[0]
    else:
        assert done.returncode in (2, 3) and door["says"] in done.stderr


def exit_code(row: Dict[str, Any]) -> int:
    """What the program ends with: 3 beats 1 beats 0."""
    if row.get("error") is not None:
        return 3
    return 1 if row.get("fault") is not None else 0


def settings(door: Door, image: Path) -> List[str]:
    """gdb's settings."""
    given = [f"{name}={value:#x}" for name, value in registers(door).items()]
    chosen = {"image": str(file_of(door, image)), "arch": door.get("arch"), "registers": " ".join(given),
              "cpu": str(door["cpu"]) if "cpu" in door else None}
    return [f"set rrmem {name} {value}" for name, value in chosen.items() if value]


def gdb_answer(door: Door, text: str) -> Optional[str]:
    """What gdb says, in the table's words; `None` if it is an error of ours."""
    found = re.search(r" -> (0x[0-9a-f]+)", text)
    if found is not None:
        return found.group(1)
    return "not_present" if "not mapped: not present" in text else None


@pytest.mark.parametrize("door", [door for door in CASES if door["source"] == "image" and "regions" not in door],
                         ids=lambda door: door["name"])
def test_gdb_answers_as_the_table(door: Door, image: Path) -> None:
    question = f"rrfind {door['find']}" if "find" in door else f"rrv2p {door['v2p']}"
    said = answers([], [*settings(door, image), question])[-1]
    if "error" in door:
        assert door["says"] in said, said
        return
    answer = gdb_answer(door, said)
    if door["answer"] == "hole":
        assert answer is None and "could not read" in said and "hint: " in said
    else:
        assert answer == door["answer"], said


def test_each_face_words_the_same_advice_in_its_own_terms(image: Path, binary: Path, tmp_path: Path) -> None:
    door = CASES[0]
    with pytest.raises(rr_mem.MissingError) as caught:
        asked(door, image)
    assert caught.value.hint == "give with_registers(ttbr0=...)"
    assert caught.value.gdb_hint == "give `set rrmem registers ttbr0=VALUE`"
    row = json.loads(run(binary, door, image, tmp_path).stdout)
    assert row["error"]["hint"] == "give --ttbr0"
    said = answers([], [*settings(door, image), f"rrv2p {door['v2p']}"])[-1]
    assert said.endswith("hint: give `set rrmem registers ttbr0=VALUE`")


#: Of running emulators: machine, what is asked for, and the answer or the error.
LIVE: List[Door] = [
    {"name": "the CPU's own address space", "machine": "pc", "find": "0x1000", "answer": "pc.ram"},
    {"name": "another address space", "machine": "pc", "as": "I/O", "find": "0x70", "answer": "rtc-index"},
    {"name": "no such address space", "machine": "pc", "as": "nonsense", "find": "0x70", "error": "no_such_space",
     "says": 'no address space is called "nonsense"'},
    {"name": "CPU absent", "machine": "pc", "cpu": 7, "find": "0x1000", "error": "no_such_cpu", "says": "no CPU 7"},
    {"name": "the reset state pages nothing", "machine": "pc", "v2p": "0x1000", "answer": "0x1000"},
    {"name": "one register over the CPU's own", "machine": "pc", "registers": {"cr0": "0x80000011"}, "v2p": "0x1000",
     "answer": "not_present"},
    {"name": "an emulator without CPUs: no registers", "machine": "none", "v2p": "0x1000", "error": "no_registers",
     "says": "the source holds no paging registers", "remarks": ["no_cpu"]},
    {"name": "an emulator without CPUs: its regions", "machine": "none", "find": "0x1000", "answer": "none",
     "remarks": ["no_cpu"]},
]


@pytest.fixture(scope="module")
def machines() -> "Any":
    """The emulators of the cases, by machine."""
    with Qemu(X86, ["-S", "-M", "pc", "-m", "32"]) as pc, Qemu(X86, ["-S", "-M", "none"], stub=False) as none:
        pc.hmp("info status")
        none.hmp("info status")
        yield {"pc": pc, "none": none}


def live_guest(door: Door, pid: int) -> rr_mem.Guest:
    """The guest, by Python's keywords."""
    guest = rr_mem.Guest.from_process(pid, cpu=door.get("cpu", 0), address_space=door.get("as"))
    return guest.with_registers(**registers(door)) if "registers" in door else guest


def live_answer(door: Door, guest: rr_mem.Guest) -> str:
    """Python's answer, in the table's words."""
    if "find" in door:
        section = guest.find(int(door["find"], 16))
        return "none" if section is None else section.region
    walk = guest.walk(int(door["v2p"], 16))
    return f"{walk.gpa:#x}" if walk.fault is None else walk.fault.kind


@pytest.mark.parametrize("door", LIVE, ids=lambda door: door["name"])
def test_running_emulators_answer_the_same_by_every_face(
    door: Door, machines: Dict[str, Qemu], binary: Path, tmp_path: Path
) -> None:
    pid = machines[door["machine"]].pid
    question = ["find", door["find"]] if "find" in door else ["v2p", door["v2p"]]
    words = ["--pid", str(pid), *flags({**door, "source": "process"}, Path(), tmp_path)]
    words += ["--as", door["as"]] if "as" in door else []
    done = subprocess.run([str(binary), "--json", *question, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    given = " ".join(f"{name}={value:#x}" for name, value in registers(door).items())
    chosen = {"as": door.get("as"), "cpu": door.get("cpu"), "registers": given}
    said = answers(attached(pid), [*(f"set rrmem {name} {value}" for name, value in chosen.items() if value),
                                   f"rr{' '.join(question)}"])[-1]
    if "error" in door:
        with pytest.raises(rr_mem.RrMemError) as caught:
            live_answer(door, live_guest(door, pid))
        assert caught.value.kind == door["error"] and door["says"] in str(caught.value)
        assert done.returncode == 2 and door["says"] in done.stderr and door["says"] in said, (done.stderr, said)
        return
    guest = live_guest(door, pid)
    assert live_answer(door, guest) == door["answer"]
    assert set(door.get("remarks", [])) <= {remark.kind for remark in guest.remarks}
    assert [row_answer(json.loads(line)) for line in done.stdout.splitlines()] == [door["answer"]]
    for remark in guest.remarks:
        assert remark.detail or (f"note: {remark.text}" in done.stderr and f"note: {remark.text}" in said)
    shown = {"none": "no region", "not_present": "not mapped: not present"}.get(door["answer"], f"-> {door['answer']}")
    assert shown in said, said
