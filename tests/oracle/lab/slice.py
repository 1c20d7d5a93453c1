"""Makes a small sample ("slice") of a live guest: an ELF core of chosen pages, with notes.

A slice holds page tables, a few pages of data, the core's own notes, and one note of
owner "RRMEM", type 1: UTF-8 JSON with the registers, the region map and the provenance.
Beside it goes a JSON file with the monitor's answers. tests/data/README.md says how to
run this and what is kept.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set

from .addresses import kernel_split, random_addresses
from .apt import FetchError, require_tools
from .elfcore import ElfCore, HoleError, Note, Segment
from .guests import KINDS, Guest
from .qemu import QemuError
from .regionmap import Json, read_region_map, without_hosts
from .walk import Page, space_of

PAGE = 0x1000
ANSWERS = 200
SEEDS = 12
RANDOM = 20
TEXT_BYTES = frozenset((0, 9, 10, 13, *range(32, 127)))
#: Owner and type of the notes that are copied: general registers and QEMU's CPU state.
KEPT_NOTES = (("CORE", 1), ("QEMU", 0))
SLICES = Path(__file__).resolve().parents[2] / "data" / "slices"


def chosen_addresses(pages: Sequence[Page], va_bits: int) -> List[int]:
    """Addresses clustered around a few pages of all sizes, so that few tables are needed."""
    chance = random.Random(7)
    sizes = sorted({page.size for page in pages})
    groups = [[page for page in pages if page.size == size] for size in sizes]
    groups += [[page for page in pages if page.gva < 1 << 31]]
    filled = [group for group in groups if group]
    seeds = [chance.choice(filled[index % len(filled)]) for index in range(SEEDS)]
    addresses: Set[int] = set(random_addresses(chance, va_bits, RANDOM))
    while len(addresses) < ANSWERS:
        page = chance.choice(seeds)
        start = page.gva & ~0x1F_FFFF
        near = (page.gva, page.gva + page.size - 1, page.gva + page.size // 2,
                start + chance.randrange(0x20_0000), page.gva + chance.randrange(page.size))
        addresses.add(chance.choice(near))
    return sorted(addresses)


def masked_tables(core: ElfCore, tables: Iterable["tuple[int, int]"]) -> Dict[int, bytearray]:
    """The pages of tables by address; what lies beside a table in its page is zero."""
    kept: Dict[int, bytearray] = {}
    for start, length in tables:
        data = core.read(start, length)
        for offset in range(length):
            address = start + offset
            page = kept.setdefault(address & -PAGE, bytearray(PAGE))
            page[address % PAGE] = data[offset]
    return kept


def segments(pages: Dict[int, bytearray]) -> List[Segment]:
    """Runs of adjacent pages."""
    runs: List[Segment] = []
    for address in sorted(pages):
        data = bytes(pages[address])
        if runs and runs[-1].address + len(runs[-1].data) == address:
            runs[-1] = Segment(runs[-1].address, runs[-1].data + data)
        else:
            runs.append(Segment(address, data))
    return runs


def cpu_registers(guest: Guest) -> Json:
    """The registers of the note; TTBCR goes by its own name on 32-bit ARM."""
    values = {name: hex(value) for name, value in guest.registers.items()}
    if guest.kind.arch == "arm":
        values["ttbcr"] = values.pop("tcr")
    return values


def flat_only(region_map: Json) -> Json:
    """The system memory's flat view with the regions it names, cut from their trees."""
    space = region_map["address_spaces"][0]
    used = sorted({item["region"] for item in space["flat"]})
    regions = [{**region_map["regions"][index], "container": None, "alias": None,
                "alias_offset": "0x0", "subregions": []} for index in used]
    flat = [{**item, "region": used.index(item["region"])} for item in space["flat"]]
    return {**region_map, "regions": regions,
            "address_spaces": [{"name": space["name"], "root": None, "flat": flat}]}


def source(guest: Guest) -> str:
    """Where a slice comes from, in a sentence."""
    version = guest.qemu.qmp.execute("query-version")
    number = ".".join(str(version["qemu"][part]) for part in ("major", "minor", "micro"))
    return (f"{guest.kind.name}: {guest.kind.binary} {number}{version['package']} "
            f"{guest.kind.machine}; {guest.kernel.package}; {guest.kernel.busybox}; "
            f"stopped in {guest.moment} code")


def data_place(core: ElfCore, pages: Sequence[Page], text: str) -> Page:
    """The first virtual page that holds a string, its own addresses being the string's."""
    for page in pages:
        data = core.read(page.gpa, page.size) if core.holds(page.gpa, page.size) else b""
        for found in re.finditer(re.escape(text.encode()), data):
            offset = found.start()
            if is_text(data[offset & -PAGE :][:PAGE]):
                return Page(page.gva + offset, page.gpa + offset, page.size)
    raise HoleError(f"no {text!r} in a mapped page of text")


def is_text(data: bytes) -> bool:
    """Whether a page is nearly all text and zeros: never keep a page of code."""
    return sum(byte in TEXT_BYTES for byte in data) >= 0.9 * len(data)


def wanted_data(core: ElfCore, pages: Sequence[Page], options: argparse.Namespace) -> List[Page]:
    """Where the strings of the command line are: in the kernel's part, or in user pages."""
    split = kernel_split(KINDS[options.guest].va_bits)
    user = [page for page in pages if page.gva < split]
    kernel = [page for page in reversed(pages) if page.gva >= split]
    return [*(data_place(core, kernel, text) for text in options.string),
            *(data_place(core, user, text) for text in options.user_string)]


def make_core(guest: Guest, core: ElfCore, pages: Dict[int, bytearray], whole: bool) -> ElfCore:
    """The slice of a stopped guest: the pages, the notes with registers, and our note."""
    region_map = without_hosts(read_region_map(guest.qemu.pid))
    note: Dict[str, Any] = {
        "version": 1, "arch": guest.kind.arch, "source": source(guest),
        "cpus": [cpu_registers(guest)],
        "regions": region_map if whole else flat_only(region_map),
    }
    text = json.dumps(note, separators=(",", ":")).encode()
    notes = [note for note in core.notes if (note.owner, note.kind) in KEPT_NOTES]
    return ElfCore(core.machine, segments(pages), [*notes, Note("RRMEM", 1, text)])


def make_slice(guest: Guest, options: argparse.Namespace) -> Path:
    """Writes the slice and the monitor's answers; returns the path of the slice."""
    core = ElfCore.load(guest.dump)
    space = space_of(guest.kind.arch, core.read, guest.registers)
    mapped = list(space.pages())
    data = wanted_data(core, mapped, options)
    addresses = chosen_addresses(mapped, guest.kind.va_bits) + [place.gva for place in data]
    if not options.space:
        space = space_of(guest.kind.arch, core.read, guest.registers)
        for address in addresses:
            space.translate(address)
    pages = masked_tables(core, space.tables)
    for place in data:
        pages[place.gpa & -PAGE] = bytearray(core.read(place.gpa & -PAGE, PAGE))
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / f"{guest.kind.name}.elf"
    make_core(guest, core, pages, options.space).save(plain)
    plain.with_suffix(".json").write_text(answers_text(guest, core, addresses, data))
    subprocess.run(["zstd", "-q", "-f", "--ultra", "-22", "--rm", str(plain)], check=True)
    return plain.with_suffix(".elf.zst")


def string_at(core: ElfCore, address: int) -> str:
    """The printable text at an address, up to 40 characters."""
    text = core.read(address, 40).decode("ascii", "replace")
    return text.split("\0")[0].split("\n")[0]


def answers_text(
    guest: Guest, core: ElfCore, addresses: Sequence[int], data: Sequence[Page]
) -> str:
    """The registers, the kept data, and the monitor's `gva2gpa` of each address, as JSON."""
    def text(value: Optional[int]) -> str:
        return "null" if value is None else f'"{value:#x}"'

    head = json.dumps({
        "arch": guest.kind.arch, "source": source(guest), "priv": "current",
        "registers": cpu_registers(guest),
        "data": [{"gva": hex(place.gva), "gpa": hex(place.gpa),
                  "text": string_at(core, place.gpa)} for place in data],
    }, indent=1)
    answers = ((address, guest.gva2gpa(address)) for address in addresses)
    lines = (f'{{"gva": {text(gva)}, "gpa": {text(gpa)}}}' for gva, gpa in answers)
    body = ",\n  ".join(lines)
    return f'{head[:-2]},\n "answers": [\n  {body}\n ]\n}}\n'


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="make a slice of a live guest")
    parser.add_argument("guest", choices=sorted(KINDS))
    parser.add_argument("--space", action="store_true",
                        help="keep all tables and the complete region tree")
    parser.add_argument("--string", action="append", default=[], metavar="TEXT",
                        help="keep the page of kernel data that holds this text")
    parser.add_argument("--user-string", action="append", default=[], metavar="TEXT",
                        help="the same for a page of user code's data")
    parser.add_argument("--append", default="", metavar="WORDS",
                        help="add words to the kernel's command line")
    parser.add_argument("--moment", choices=("kernel", "user"), default="kernel")
    parser.add_argument("--folder", type=Path, default=SLICES)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Boots the guest, stops it, and writes its slice."""
    options = parse_arguments(arguments)
    try:
        require_tools({"zstd": "zstd"})
        with Guest(KINDS[options.guest], options.append) as guest:
            guest.stop_at(options.moment)
            path = make_slice(guest, options)
    except (FetchError, QemuError, HoleError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    print(f"{path}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
