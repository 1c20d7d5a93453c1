"""Reads the whole memory map of a running QEMU 7.2 from outside, into lossless JSON.

An independent reader: the monitor's `info mtree` is lossy (aliases are named, not
identified), so printing is tested against this. It finds `address_space_memory` and
`ram_list` among the exported symbols and follows QEMU's structs with the offsets of
`layouts/qemu-7.2.json`. The shape of the JSON is described in README.md.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

from .elfsym import dynamic_symbols, first_load_address

LAYOUT = Path(__file__).parent / "layouts" / "qemu-7.2.json"
#: No list of a healthy process is longer; a longer one means wrong offsets.
LIST_BOUND = 10_000

Json = Dict[str, Any]


class Process:
    """The memory of a process and the addresses of its exported symbols."""

    def __init__(self, pid: int) -> None:
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
        executable = Path(f"/proc/{pid}/exe")
        self._symbols = dynamic_symbols(executable)
        self._base = load_base(pid, os.readlink(executable)) - first_load_address(executable)

    def symbol(self, name: str) -> int:
        """The address of a symbol in the process."""
        return self._base + self._symbols[name]

    def read(self, address: int, length: int) -> bytes:
        """Bytes of the process, all of them."""
        data = os.pread(self._memory, length, address)
        if len(data) != length:
            raise ValueError(f"short read at {address:#x}")
        return data

    def string(self, address: int) -> Optional[str]:
        """A C string, or nothing behind a null pointer."""
        if address == 0:
            return None
        text = b""
        while b"\0" not in text:
            here = address + len(text)
            text += self.read(here, min(64, 0x1000 - here % 0x1000))
        return text.split(b"\0")[0].decode()

    def close(self) -> None:
        """Closes the memory file."""
        os.close(self._memory)


def load_base(pid: int, executable: str) -> int:
    """Where the first segment of a file is mapped."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5] == executable:
            return int(fields[0].split("-")[0], 16)
    raise ValueError(f"{executable} is not mapped in process {pid}")


class Struct:
    """One struct in the process, read as a whole."""

    def __init__(self, process: Process, layout: Json, kind: str, address: int) -> None:
        self._fields = layout[kind]["fields"]
        self._data = process.read(address, layout[kind]["size"])
        self.address = address

    def __getitem__(self, member: str) -> int:
        """The unsigned value of a member."""
        offset, size = self._fields[member]
        return int.from_bytes(self._data[offset : offset + size], "little")

    def signed(self, member: str) -> int:
        """The signed value of a member."""
        offset, size = self._fields[member]
        return int.from_bytes(self._data[offset : offset + size], "little", signed=True)

    def text(self, member: str) -> str:
        """A character array."""
        offset, size = self._fields[member]
        return self._data[offset : offset + size].split(b"\0")[0].decode()

    def where(self, member: str) -> int:
        """The address of a member."""
        return self.address + int(self._fields[member][0])


class Reader:
    """Walks address spaces, regions and RAM blocks, numbering each when first met."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._layout: Json = json.loads(LAYOUT.read_text())["structs"]
        self._blocks: Dict[int, int] = {}
        self._numbers: Dict[int, int] = {}
        self._waiting: List[int] = []
        self._regions: List[Json] = []

    def read(self) -> Json:
        """The complete map."""
        ram_blocks = self._ram_blocks()
        spaces = [self._address_space(space) for space in self._spaces()]
        # Reading a region meets others (aliases, children), which queue up behind it.
        for address in self._waiting:
            self._regions.append(self._region(address))
        return {"regions": self._regions, "ram_blocks": ram_blocks, "address_spaces": spaces}

    def _struct(self, kind: str, address: int) -> Struct:
        """A struct by the name of its type."""
        return Struct(self._process, self._layout, kind, address)

    def _list(self, kind: str, first: int, link: str) -> List[Struct]:
        """A linked list of structs."""
        found: List[Struct] = []
        while first:
            found.append(self._struct(kind, first))
            first = found[-1][link]
            if len(found) > LIST_BOUND:
                raise ValueError(f"a list of {kind} does not end")
        return found

    def _spaces(self) -> List[Struct]:
        """All address spaces; the system memory's is the first that QEMU makes."""
        first = self._process.symbol("address_space_memory")
        return self._list("AddressSpace", first, "address_spaces_link.tqe_next")

    def _ram_blocks(self) -> List[Json]:
        """All RAM blocks, in the order of QEMU's list."""
        ram_list = self._struct("RAMList", self._process.symbol("ram_list"))
        blocks = self._list("RAMBlock", ram_list["blocks.lh_first"], "next.le_next")
        self._blocks = {block.address: index for index, block in enumerate(blocks)}
        members = ("host", "offset", "used_length", "max_length", "page_size")
        return [
            {"name": block.text("idstr"), **{member: hex(block[member]) for member in members}}
            for block in blocks
        ]

    def _number(self, address: int) -> Optional[int]:
        """The index of the region at an address; new ones queue up to be read."""
        if address == 0:
            return None
        if address not in self._numbers:
            self._numbers[address] = len(self._waiting)
            self._waiting.append(address)
        return self._numbers[address]

    def _region(self, address: int) -> Json:
        """One region; links to others become indices."""
        region = self._struct("MemoryRegion", address)
        children = self._list(
            "MemoryRegion", region["subregions.tqh_first"], "subregions_link.tqe_next"
        )
        flags = ("enabled", "terminates", "ram", "rom_device", "romd_mode", "readonly",
                 "nonvolatile", "ram_device")
        return {
            "name": self._process.string(region["name"]),
            "owner": None,
            "addr": hex(region["addr"]),
            "size": hex(region["size"]),
            "priority": region.signed("priority"),
            **{flag: bool(region[flag]) for flag in flags},
            "iommu": bool(region["is_iommu"]),
            "ram_block": self._blocks[region["ram_block"]] if region["ram_block"] else None,
            "container": self._number(region["container"]),
            "alias": self._number(region["alias"]),
            "alias_offset": hex(region["alias_offset"]),
            "subregions": [self._number(child.address) for child in children],
        }

    def _address_space(self, space: Struct) -> Json:
        """One address space with its flat view."""
        return {
            "name": self._process.string(space["name"]),
            "root": self._number(space["root"]),
            "flat": self._flat_view(space["current_map"]),
        }

    def _flat_view(self, address: int) -> Optional[List[Json]]:
        """The ranges of a flat view."""
        if address == 0:
            return None
        view = self._struct("FlatView", address)
        size = self._layout["FlatRange"]["size"]
        return [self._flat_range(view["ranges"] + index * size) for index in range(view["nr"])]

    def _flat_range(self, address: int) -> Json:
        """One range of a flat view."""
        found = self._struct("FlatRange", address)
        return {
            "region": self._number(found["mr"]),
            "start": hex(found["addr.start"]),
            "size": hex(found["addr.size"]),
            "offset_in_region": hex(found["offset_in_region"]),
            **{flag: bool(found[flag]) for flag in ("readonly", "nonvolatile", "romd_mode")},
        }


def read_region_map(pid: int) -> Json:
    """The memory map of the emulator with this process id."""
    process = Process(pid)
    try:
        return Reader(process).read()
    finally:
        process.close()


def without_hosts(region_map: Json) -> Json:
    """The same map without host addresses, which mean nothing outside the process."""
    blocks = [
        {key: value for key, value in block.items() if key != "host"}
        for block in region_map["ram_blocks"]
    ]
    return {**region_map, "ram_blocks": blocks}


if __name__ == "__main__":
    json.dump(read_region_map(int(sys.argv[1])), sys.stdout, indent=1)
