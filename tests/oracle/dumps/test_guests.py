"""rr-mem against QEMU's monitor, on real Linux guests in every paging mode.

Each guest is asked at two moments, stopped in the kernel and in user code. A second
walker (`walk.py`) only chooses the addresses, and says what is present where the monitor
cannot: it checks rights on ARM.
"""

from __future__ import annotations

import random
import re
from typing import Dict, Iterator, List, Set, Tuple

import pytest

from lab.addresses import SEED
from lab.cli import Row, json_lines, number
from lab.differences import SHOWN, line_differences
from lab.guests import GuestKind
from lab.mtree import find, parse_flat
from lab.situation import PLACE_BYTES, Case, disagreements, monitor_bytes


def is_x86(kind: GuestKind) -> bool:
    """For `only`: the questions of x86 guests."""
    return kind.is_x86


def without_tag(case: Case, address: int) -> int:
    """An address as it is looked up: TBI0 drops the top byte when bit 55 is clear."""
    if case.guest.kind.arch == "aarch64" and not address >> 55 & 1:
        assert case.guest.registers["tcr"] >> 37 & 1
        return address & ~(0xFF << 56)
    return address


def test_translations_equal_gva2gpa(case: Case) -> None:
    flags = () if case.guest.kind.is_x86 else ("--priv", "current")
    rows = case.rr_mem.v2p(case.addresses, *flags)
    assert disagreements(case, rows, case.answers) == []
    mapped = sum(answer is not None for answer in case.answers)
    assert mapped >= (800 if case.monitor_refuses_the_kernel() else 1500)
    assert len(case.answers) - mapped >= 200


# A dump of an ARM guest holds no paging registers.
@pytest.mark.only(applies=is_x86)
def test_x86_registers_come_from_the_dump(case: Case) -> None:
    rows = case.rr_mem.v2p(case.addresses, with_registers=False)
    assert disagreements(case, rows, case.answers) == []


def test_registers_of_the_dump_are_the_guests_or_unknown(case: Case) -> None:
    (row,) = json_lines(case.rr_mem.run("regs", "--json", "--image", str(case.guest.dump)).stdout)
    values = {name: number(value) for name, value in row["registers"].items()}
    known = {name: value for name, value in values.items() if value is not None}
    expected = {name: value for name, value in case.guest.registers.items() if name in known}
    assert {name: known[name] for name in expected} == expected
    held = {"cr0", "cr3", "cr4", "cpl"} if case.guest.kind.is_x86 else {"el"}
    assert held <= expected.keys()
    unknown = {"efer", "a20"} if case.guest.kind.is_x86 else {"ttbr0", "ttbr1", "tcr", "sctlr", "hcr", "vttbr", "vtcr"}
    assert not unknown & known.keys() and row["cpu"] == 0


@pytest.mark.only(applies=is_x86)
def test_no_entry_that_a_live_guest_uses_has_reserved_bits(case: Case) -> None:
    """Among them PAE PDPTEs in which TCG sets bit 5, which the manual reserves.

    Intel SDM volume 3, "PDPTE Registers": reserved bits of PDPTEs are checked when CR3 is
    loaded; what is in memory later does not count.
    """
    # A dump holds no PKRU; no key forbids anything here.
    keys = ("--pkru", "0x0", "--pkrs", "0x0")
    rows = case.rr_mem.v2p(case.addresses, "--access", "r", "--priv", "kernel", *keys)
    refused = [row for row, answer in zip(rows, case.answers) if answer is not None and row["fault"]]
    assert [row for row in refused if row["fault"]["kind"] == "reserved_bit"] == []
    assert sum(row["gpa"] is not None for row in rows) >= 400


def test_default_answers_tell_presence_whatever_the_mode(case: Case) -> None:
    rows = case.rr_mem.v2p(case.addresses)
    present = [case.space.translate(without_tag(case, address)) for address in case.addresses]
    assert disagreements(case, rows, present) == []
    assert sum(gpa is not None for gpa in present) >= 1500


def test_unmapped_answers_say_why(case: Case) -> None:
    rows = case.rr_mem.v2p(case.addresses)
    silent = [row["gva"] for row in rows if row["gpa"] is None and not row["fault"] and not row["error"]]
    assert silent == [] and sum(row["gpa"] is None for row in rows) >= 200


def test_pt_lists_exactly_the_present_pages(case: Case) -> None:
    listed = list(expanded(case.rr_mem.pages()))
    present = {(page.gva, page.gpa, page.size) for page in case.pages}
    different = sorted(set(listed) ^ present)
    assert [tuple(map(hex, page)) for page in different[:SHOWN]] == []
    assert len(listed) == len(present), "a page is listed twice"
    assert len(present) >= 60


def expanded(rows: List[Row]) -> Iterator[Tuple[int, int, int]]:
    """The single pages of rows that are runs of pages."""
    for row in rows:
        gva, gpa = int(row["gva"], 16), int(row["gpa"], 16)
        size, step = as_number(row["page_size"]), as_number(row["gpa_step"])
        for index in range(as_number(row["length"]) // size):
            yield gva + index * size, gpa + index * step, size


def as_number(value: object) -> int:
    """A size, as a number or as a "0x.." string."""
    return value if isinstance(value, int) else int(str(value), 16)


def test_page_sizes_are_those_of_the_tables(case: Case) -> None:
    sizes = {page.gva: page.size for page in case.pages}
    rows = case.rr_mem.v2p(sorted(sizes)[:3000])
    wrong = [row for row in rows if as_number(row["page_size"]) != sizes[int(row["gva"], 16)]]
    assert wrong[:SHOWN] == [] and len(rows) >= 60


# There is no `info tlb` on ARM.
@pytest.mark.only(applies=is_x86)
def test_tlb_lines_equal_info_tlb(case: Case) -> None:
    expected = case.guest.qemu.hmp("info tlb").splitlines()
    if case.guest.kind.name == "i386-pae":
        expected = [without_execute_disable(line) for line in expected]
    assert line_differences(case.rr_mem.tlb(), expected) == []
    assert len(expected) >= 900


def without_execute_disable(line: str) -> str:
    """A line of `info tlb` with a physical address only in the column of the address.

    With PAE, QEMU 7.2 prints all bits of the entry above 11 there, XD too. Intel SDM volume
    3, "PAE Paging", "Format of a PAE Page-Table Entry that Maps a 4-KByte Page": bit 63 is
    XD; only bits M-1:12 are the physical address. (Were they set, it would also keep bit 20
    of 2M pages and bits 21:20 of 4M pages; both are reserved or PSE-36 bits, and 0 here.)
    """
    gva, gpa, flags = line.split(" ")
    value = int(gpa, 16)
    assert bool(value >> 63) == flags.startswith("X"), line
    return f"{gva} {value & ~(1 << 63):016x} {flags}"


# Nor is there `info mem`; with 5 levels QEMU 7.2's prints nothing: its loop skips
# present PDPT and PD entries.
@pytest.mark.only(applies=lambda kind: kind.is_x86 and kind.name != "x86_64-5level")
def test_combined_rights_equal_info_mem(case: Case) -> None:
    expected = case.guest.qemu.hmp("info mem").splitlines()
    assert line_differences(mem_lines(case), expected) == []
    assert len(expected) >= 8 and len({line.split()[-1] for line in expected}) >= 2


def mem_lines(case: Case) -> List[str]:
    """The runs of pages with equal rights, in the words of `info mem`."""
    pages: List[Tuple[int, int, str]] = []
    for row in case.rr_mem.pages():
        start, end = int(row["gva"], 16), int(row["gva"], 16) + as_number(row["length"])
        rights = mem_word(row)
        if pages and pages[-1][1] == start and pages[-1][2] == rights:
            pages[-1] = (pages[-1][0], end, rights)
        else:
            pages.append((start, end, rights))
    return [f"{start:016x}-{end:016x} {end - start:016x} {rights}" for start, end, rights in pages]


def mem_word(row: Row) -> str:
    """`urw`: user, readable, writable, each combined over all levels."""
    user, kernel = row["rights"]["user"], row["rights"]["kernel"]
    writable = user["w"] if user["r"] else kernel["w"]
    return ("u" if user["r"] else "-") + "r" + ("w" if writable else "-")


def test_p2v_lists_every_virtual_address(case: Case) -> None:
    frames = sorted({page.gpa & -0x1000 for page in case.pages})
    for frame in random.Random(SEED).sample(frames, 12):
        expected = {page.gva + frame - page.gpa for page in case.pages
                    if page.gpa <= frame < page.gpa + page.size}
        assert case.rr_mem.aliases(frame) == expected, hex(frame)


def test_physical_bytes_equal_xp(case: Case) -> None:
    seen: Set[bytes] = set()
    for _gva, gpa in case.ram_places():
        expected = monitor_bytes(case.guest, "xp", gpa, PLACE_BYTES)
        assert case.rr_mem.read(gpa, PLACE_BYTES, "--phys") == expected, hex(gpa)
        assert case.rr_mem.examine(gpa, PLACE_BYTES, "--phys") == expected, hex(gpa)
        seen.add(expected)
    assert len(seen) >= 10, "nearly all places hold the same bytes"


def test_virtual_bytes_equal_the_monitors(case: Case) -> None:
    seen: Set[bytes] = set()
    for gva, _gpa in case.ram_places():
        expected = monitor_bytes(case.guest, "x", gva, PLACE_BYTES)
        assert case.rr_mem.read(gva, PLACE_BYTES) == expected, hex(gva)
        assert case.rr_mem.examine(gva, PLACE_BYTES) == expected, hex(gva)
        seen.add(expected)
    assert len(seen) >= 10, "nearly all places hold the same bytes"


def test_reads_cross_pages_that_are_apart_in_physical_memory(case: Case) -> None:
    pages = {page.gva: page for page in case.pages if case.core.holds(page.gpa, page.size)}
    pairs = [(page, pages[page.gva + page.size]) for page in pages.values()
             if page.gva + page.size in pages and pages[page.gva + page.size].gpa != page.gpa + page.size]
    chosen = random.Random(SEED).sample(pairs, min(10, len(pairs)))
    assert len(chosen) >= 5
    for first, second in chosen:
        expected = (case.core.read(first.gpa + first.size - 100, 100) + case.core.read(second.gpa, 100))
        assert case.rr_mem.read(second.gva - 100, 200) == expected, hex(second.gva)


def test_regions_and_offsets_equal_info_mtree(case: Case) -> None:
    lines = parse_flat(case.guest.mtree_f)["memory"]
    compared = 0
    for row in case.rr_mem.v2p(case.addresses):
        gpa = number(row["gpa"])
        if gpa is None:
            continue
        line = find(lines, gpa)
        expected = (line.name, line.offset + gpa - line.start) if line else (None, None)
        assert (row["region"], number(row["offset"])) == expected, row
        compared += line is not None
    assert compared >= (300 if case.guest.moment == "user" else 1000)


def test_find_equals_info_mtree_at_both_ends_of_every_range(case: Case) -> None:
    lines = parse_flat(case.guest.mtree_f)["memory"]
    probes = {edge for line in lines for edge in (line.start - 1, line.start, line.end, line.end + 1)}
    for gpa in sorted(probe for probe in probes if 0 <= probe < 1 << 64):
        row, line = case.rr_mem.find(gpa), find(lines, gpa)
        if line is None:
            assert row is None, (hex(gpa), row)
            continue
        assert row is not None, hex(gpa)
        offset = line.offset + gpa - line.start
        assert (row["region"], number(row["offset_within_region"])) == (line.name, offset)
        assert number(row["offset_within_address_space"]) == gpa
        assert as_number(row["size"]) <= line.end + 1 - gpa
    assert len(probes) >= 20


def flat_blocks(text: str) -> List[str]:
    """The blocks of `info mtree -f` without their numbers, sorted: QEMU's order is a hash's."""
    blocks = re.split(r"(?m)^FlatView #\d+\n", text)
    return sorted(block.strip() for block in blocks if block.strip())


def test_mtree_f_prints_the_monitors_blocks_again(case: Case) -> None:
    expected = flat_blocks(case.guest.mtree_f)
    assert line_differences(flat_blocks(case.rr_mem.mtree_f()), expected) == []
    assert len(expected) >= 2


def test_exit_code_tells_whether_all_addresses_are_mapped(case: Case) -> None:
    by_answer: Dict[bool, int] = {}
    for address, gpa in zip(case.addresses, case.answers):
        by_answer.setdefault(gpa is not None, address)
    current = () if case.guest.kind.is_x86 else ("--priv", "current")
    flags = [*case.rr_mem.image_flags(), *current]
    case.rr_mem.run("v2p", *flags, f"{by_answer[True]:#x}", codes=(0,))
    case.rr_mem.run("v2p", *flags, f"{by_answer[True]:#x}", f"{by_answer[False]:#x}", codes=(1,))
    case.rr_mem.run("v2p", "--image", str(case.guest.qemu.folder / "missing"), "0x0", codes=(3,))
