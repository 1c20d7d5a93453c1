"""The outside reader of QEMU's memory map against the monitor."""

from __future__ import annotations

import re
from collections import Counter
from typing import List

import pytest

from lab.guests import KINDS, Guest
from lab.mtree import FlatLine, parse_flat
from lab.regionmap import Json, read_region_map
from lab.running import Running


@pytest.fixture(scope="module", params=["x86_64-4level", "x86_64-5level", "arm-short", "aarch64-a57"])
def stopped(request: pytest.FixtureRequest, running: Running) -> Guest:
    """One guest of each machine type and emulator."""
    return running.at(request.param, "kernel")


@pytest.fixture(scope="module")
def region_map(stopped: Guest) -> Json:
    """What the outside reader sees."""
    stopped.qemu.hmp("info mtree -f")  # gives nameless regions a name
    return read_region_map(stopped.qemu.pid)


def region_kind(region: Json) -> str:
    """QEMU's word for a region's kind (softmmu/memory.c, `memory_region_type`)."""
    prefix = "nv-" if region["nonvolatile"] else ""
    if region["ram_device"]:
        return prefix + "ramd"
    if region["rom_device"] and region["romd_mode"]:
        return prefix + "romd"
    if region["ram"]:
        return prefix + ("rom" if region["readonly"] else "ram")
    return prefix + "i/o"


def flat_lines(region_map: Json, space: Json) -> List[FlatLine]:
    """A flat view as the monitor would print it."""
    lines = []
    for item in space["flat"]:
        region = region_map["regions"][item["region"]]
        start, size = int(item["start"], 16), int(item["size"], 16)
        kind = "rom" if item["readonly"] else region_kind(region)
        lines.append(FlatLine(start, start + size - 1, region["priority"], kind,
                              region["name"], int(item["offset_in_region"], 16)))
    return lines


def test_flat_views_equal_the_monitors(stopped: Guest, region_map: Json) -> None:
    printed = parse_flat(stopped.mtree_f)
    names = [space["name"] for space in region_map["address_spaces"]]
    assert sorted(printed) == sorted(set(names)) and len(names) >= 3
    for space in region_map["address_spaces"]:
        assert flat_lines(region_map, space) == printed[space["name"]]
    assert sum(len(space["flat"]) for space in region_map["address_spaces"]) >= 50


def test_host_addresses_equal_the_monitors(stopped: Guest, region_map: Json) -> None:
    checked = 0
    for item in region_map["address_spaces"][0]["flat"]:
        region = region_map["regions"][item["region"]]
        if region["ram_block"] is None:
            continue
        host = int(region_map["ram_blocks"][region["ram_block"]]["host"], 16)
        start, offset = int(item["start"], 16), int(item["offset_in_region"], 16)
        answer = stopped.qemu.hmp(f"gpa2hva {start:#x}")
        assert answer.strip().endswith(f" is {host + offset:#x}"), answer
        checked += 1
    assert checked >= 2


def test_tree_lines_equal_the_monitors(stopped: Guest, region_map: Json) -> None:
    # `info mtree` prints each region of a tree once: compare as a multiset of
    # (size, priority, name); order and depth are for the printer's own tests.
    pattern = re.compile(
        r"^ +([0-9a-f]{16})-([0-9a-f]{16}) \(prio (-?\d+), [^)]+\): "
        r"(.*?)(?: @\S+ .*)?(?: \[disabled\])?$", re.M)
    printed = Counter(
        (min(int(end, 16) - int(start, 16), 2**64 - 2), int(priority), re.sub(r"^alias ", "", name))
        for start, end, priority, name in pattern.findall(stopped.mtree)
    )
    read = Counter(
        (min(int(region["size"], 16) - 1, 2**64 - 2), region["priority"], region["name"])
        for region in region_map["regions"]
    )
    missing = [key for key in printed if key not in read]
    assert sum(printed.values()) >= 40 and not missing


def test_links_between_regions_agree(region_map: Json) -> None:
    regions = region_map["regions"]
    children = 0
    for index, region in enumerate(regions):
        for child in region["subregions"]:
            assert regions[child]["container"] == index
            children += 1
        priorities = [regions[child]["priority"] for child in region["subregions"]]
        assert priorities == sorted(priorities, reverse=True)
    assert children >= 30 and any(region["alias"] is not None for region in regions)


def test_guests_cover_every_machine() -> None:
    assert {kind.machine.split()[1] for kind in KINDS.values()} >= {"pc", "q35", "virt"}
