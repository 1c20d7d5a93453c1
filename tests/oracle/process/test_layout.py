"""Offsets that `rr-mem layout` reads from debug info, against gdb.

`fixtures/structs.c` is a fixture: structs and members with names of QEMU's. It is compiled in the
ways that compilers, linkers and distributions leave debug info in.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

import pytest

from lab.cli import run_program
from lab.program import REPO
from lab.stubs import FIXTURES

SOURCE = FIXTURES / "structs.c"
SHIPPED = REPO / "rr-mem" / "src" / "qemu" / "layouts"

Places = Dict[str, Tuple[int, int]]
Sizes = Dict[str, int]


def run(*command: object, folder: Path) -> str:
    """Standard output of a tool, which must succeed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def compile_units(folder: Path, units: Mapping[str, Sequence[str]], *flags: str) -> Path:
    """A program of units, each with its own flags; the first has `main`."""
    objects: List[str] = []
    for number, (unit, own) in enumerate(units.items()):
        main = ["-DMAIN"] if number == 0 else []
        shutil.copy(SOURCE, folder / f"{unit}.c")
        run("gcc", "-c", "-g", *flags, *main, *own, f"-DUNIT={unit}", f"{unit}.c", folder=folder)
        objects.append(f"{unit}.o")
    run("gcc", *flags, "-o", "program", *objects, folder=folder)
    return folder / "program"


TWO = {"one": (), "two": ()}


def wanted() -> List[Tuple[str, str]]:
    """Every member of every shipped layout."""
    layouts = [json.loads(path.read_text())["structs"] for path in SHIPPED.glob("*.json")]
    pairs = {(name, field) for structs in layouts for name, of in structs.items()
             for field in of["fields"] if "@" not in name}
    return sorted(pairs)


def by_gdb(program: Path) -> Tuple[Sizes, Places]:
    """What gdb says of the members that are wanted."""
    lines = "".join(f"{name} {path}\n" for name, path in wanted())
    command = ["gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off",
               "-x", str(FIXTURES / "offsets.py"), str(program)]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    words = [line.split() for line in done.stdout.splitlines()]
    sizes = {line[0]: int(line[1]) for line in words if len(line) == 2}
    places = {f"{line[0]}.{line[1]}": (int(line[2]), int(line[3])) for line in words if len(line) == 4}
    return sizes, places


def by_us(text: bytes) -> Tuple[Sizes, Places]:
    """What a layout says."""
    structs = json.loads(text)["structs"]
    places = {f"{name}.{path}": (field[0], field[1])
              for name, of in structs.items() for path, field in of["fields"].items()}
    return {name: of["size"] for name, of in structs.items()}, places


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing that another run has kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "rr-mem"


def layout(binary: Path, *arguments: object) -> bytes:
    """The layout, as the program prints it."""
    return run_program(binary, "layout", *map(str, arguments)).stdout


def complaint(binary: Path, *arguments: object) -> str:
    """What the program says when it has no layout."""
    done = run_program(binary, "layout", *map(str, arguments), codes=(3,))
    assert done.stdout == b""
    return done.stderr.decode()


def agrees(binary: Path, program: Path, *arguments: object) -> None:
    """All sizes and places are gdb's."""
    sizes, places = by_us(layout(binary, *arguments, program))
    expected_sizes, expected = by_gdb(program)
    assert places == expected and len(expected) >= 50
    # gdb knows the size of a struct that the program has no wanted member of.
    assert sizes == expected_sizes


WAYS = {
    "dwarf-3": ("-gdwarf-3", "-gstrict-dwarf"),
    "dwarf-4": ("-gdwarf-4",),
    "dwarf-5": ("-gdwarf-5",),
    "dwarf-5-optimised": ("-gdwarf-5", "-O2"),
    "64-bit-dwarf": ("-gdwarf-5", "-gdwarf64"),
    "type-units-4": ("-gdwarf-4", "-fdebug-types-section"),
    "type-units-5": ("-gdwarf-5", "-fdebug-types-section"),
    "zlib": ("-gdwarf-5", "-gz=zlib"),
    "zlib-gnu": ("-gdwarf-4", "-gz=zlib-gnu"),
    "one-unit-by-lto": ("-gdwarf-5", "-flto", "-O1"),
    "static-without-pie": ("-gdwarf-5", "-no-pie", "-static"),
    "native-128-bit-integers": ("-gdwarf-5", "-DWIDE"),
}


@pytest.mark.parametrize("way", WAYS)
def test_offsets_equal_gdbs(binary: Path, tmp_path: Path, way: str) -> None:
    agrees(binary, compile_units(tmp_path, TWO, *WAYS[way]))


def test_zstd_sections_are_unpacked(binary: Path, tmp_path: Path) -> None:
    program = compile_units(tmp_path, TWO, "-gdwarf-5")
    expected = by_us(layout(binary, program))
    run("objcopy", "--compress-debug-sections=zstd", "program", "packed", folder=tmp_path)
    shutil.rmtree(tmp_path / "cache")
    assert by_us(layout(binary, tmp_path / "packed")) == expected


def strip(program: Path) -> Path:
    """Takes the debug info out of a program, into a file beside it."""
    folder, debug = program.parent, program.with_suffix(".debug")
    run("objcopy", "--only-keep-debug", program, debug, folder=folder)
    run("strip", program, folder=folder)
    return debug


Move = Callable[[Path], Path]


@pytest.mark.parametrize("place", ["program.debug", ".debug/program.debug"])
def test_debug_links_are_followed(binary: Path, tmp_path: Path, place: str) -> None:
    program = compile_units(tmp_path, TWO)
    debug = strip(program)
    run("objcopy", f"--add-gnu-debuglink={debug}", program, folder=tmp_path)
    (tmp_path / ".debug").mkdir()
    debug.rename(tmp_path / place)
    agrees(binary, program)


def test_debug_links_count_only_with_their_crc(binary: Path, tmp_path: Path) -> None:
    program = compile_units(tmp_path, TWO)
    debug = strip(program)
    run("objcopy", f"--add-gnu-debuglink={debug}", program, folder=tmp_path)
    with debug.open("ab") as file:
        file.write(b"\0")
    text = complaint(binary, program)
    assert "no debug info" in text and "its CRC is another" in text and "--debug-file" in text


@pytest.mark.skipif(os.getuid() != 0, reason="only root can write to /usr/lib/debug")
def test_debug_files_are_found_by_build_id(binary: Path, tmp_path: Path) -> None:
    program = compile_units(tmp_path, TWO)
    debug = strip(program)
    notes = run("readelf", "-n", program, folder=tmp_path)
    found = re.search(r"Build ID: (..)([0-9a-f]+)", notes)
    assert found is not None
    place = Path("/usr/lib/debug/.build-id", found.group(1), f"{found.group(2)}.debug")
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.move(debug, place)
        agrees(binary, program)
    finally:
        place.unlink()


def test_a_debug_file_that_is_given_is_used_without_a_link(binary: Path, tmp_path: Path) -> None:
    program = compile_units(tmp_path, TWO)
    expected = by_gdb(program)
    debug = strip(program)
    assert "no debug info" in complaint(binary, program)
    assert by_us(layout(binary, "--debug-file", debug, program)) == expected


def test_a_debug_file_of_another_build_is_refused(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = compile_units(tmp_path / "other", TWO, "-DWIDE")
    program = compile_units(tmp_path, TWO)
    text = complaint(binary, "--debug-file", other, program)
    ids = [re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", file, folder=tmp_path)) for file in (other, program)]
    assert all(found is not None and found.group(1) in text for found in ids)


def test_what_dwz_moved_to_a_supplementary_file_is_found(binary: Path, tmp_path: Path) -> None:
    program = compile_units(tmp_path, TWO, "-gdwarf-4")
    expected = by_gdb(program)
    shutil.copy(program, tmp_path / "again")
    run("dwz", "-m", "common.debug", "-M", "common.debug", "program", "again", folder=tmp_path)
    assert "DW_FORM_GNU_ref_alt" in run("readelf", "--debug-dump=abbrev", program, folder=tmp_path)
    assert by_us(layout(binary, program)) == expected
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "common.debug").unlink()
    text = complaint(binary, program)
    assert "needs the supplementary file common.debug" in text and ".dwz" in text


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_partial_units_of_dwz_are_read(binary: Path, tmp_path: Path, version: str) -> None:
    program = compile_units(tmp_path, {"one": (), "two": (), "three": ()}, version)
    expected = by_gdb(program)
    run("dwz", "program", folder=tmp_path)
    assert "DW_TAG_partial_unit" in run("readelf", "--debug-dump=abbrev", program, folder=tmp_path)
    assert by_us(layout(binary, program)) == expected


@pytest.mark.parametrize("version", ["-gdwarf-4", "-gdwarf-5"])
def test_split_dwarf_is_refused(binary: Path, tmp_path: Path, version: str) -> None:
    text = complaint(binary, compile_units(tmp_path, TWO, version, "-gsplit-dwarf"))
    assert ".dwo files, which are not read" in text and "-gsplit-dwarf" in text


def test_units_that_disagree_are_an_error_until_one_is_chosen(binary: Path, tmp_path: Path) -> None:
    program = compile_units(tmp_path, {"one": (), "two": ("-DOTHER",), "three": ()})
    text = complaint(binary, program)
    assert "struct CPUAddressSpace" in text and "one.c" in text and "two.c" in text
    assert "member as" in text and "--unit" in text
    first = by_us(layout(binary, "--unit", "one.c", program))[1]["CPUAddressSpace.as"]
    second = by_us(layout(binary, "--unit", "two.c", program))[1]["CPUAddressSpace.as"]
    assert (first, second) == ((0, 8), (16, 8))
    assert "no unit" in complaint(binary, "--unit", "four.c", program)


def test_declarations_and_units_without_a_struct_do_not_count(binary: Path, tmp_path: Path) -> None:
    units = {"one": ("-DWITHOUT_SPACE", "-fno-eliminate-unused-debug-types"), "two": ()}
    sizes, _ = by_us(layout(binary, compile_units(tmp_path, units)))
    assert "RAMList" not in sizes and sizes["CPUAddressSpace"] == 8


def test_object_files_are_refused(binary: Path, tmp_path: Path) -> None:
    compile_units(tmp_path, TWO)
    assert "is not linked" in complaint(binary, tmp_path / "one.o")


def test_programs_without_the_structs_are_named(binary: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    run("gcc", "-g", "-o", "empty", "empty.c", folder=tmp_path)
    text = complaint(binary, tmp_path / "empty")
    assert "none of the structs" in text and "libpanda" in text


def test_layouts_are_kept_by_file_and_damaged_ones_read_anew(
    binary: Path, tmp_path: Path, own_cache: Path
) -> None:
    program = compile_units(tmp_path, TWO)
    first = layout(binary, program)
    (kept,) = own_cache.iterdir()
    known = {**json.loads(kept.read_text().split("\n", 1)[1]), "source": "what was kept"}
    text = json.dumps(known)
    kept.write_text(f"{zlib.crc32(text.encode()):08x}\n{text}")
    assert json.loads(layout(binary, program))["source"] == "what was kept"
    kept.write_text("nonsense")
    assert layout(binary, program) == first
    # Another file has the same build-id, as a forged one could: nothing is taken for its own.
    run("strip", "--strip-debug", program, folder=tmp_path)
    assert "no debug info" in complaint(binary, program)


def test_files_without_a_build_id_are_not_kept(binary: Path, tmp_path: Path, own_cache: Path) -> None:
    program = compile_units(tmp_path, TWO, "-Wl,--build-id=none")
    agrees(binary, program)
    assert not own_cache.exists()


def test_a_cache_that_cannot_be_written_costs_only_time(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    agrees(binary, compile_units(tmp_path, TWO))


def test_what_is_printed_can_be_given_with_layout(binary: Path, tmp_path: Path) -> None:
    program = compile_units(tmp_path, TWO)
    text = layout(binary, program)
    (tmp_path / "layout.json").write_bytes(text)
    done = run_program(binary, "cpus", "--pid", str(os.getpid()), "--layout", str(tmp_path / "layout.json"), codes=(3,))
    assert b"no QEMU is in this process" in done.stderr
    assert json.loads(layout(binary, "--json", program)) == {
        key: value for key, value in json.loads(text).items() if key != "unit"}
