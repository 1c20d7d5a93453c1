"""Record/replay logs: PANDA's recordings against its own rr_print and an independent count,
and logs that QEMU records here, against its monitor.
"""

from __future__ import annotations

import csv
import io
import os
import re
import socket
import struct
import subprocess
import tarfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import duckdb
import pytest

from lab import backports, fetch, rrlog
from lab.cli import json_lines, run_program
from lab.recorder import Recorder
from lab.stubs import assemble

LOGS = Path(__file__).resolve().parents[2] / "data" / "logs"
PRINTED = sorted(path.name[: -len(".rr_print.txt.zst")] for path in LOGS.glob("*.rr_print.txt.zst"))
RECORDED = sorted(path.name for path in LOGS.glob("*-rr-nondet.log.zst"))
#: Causes of a shutdown that QEMU knows since 7.1 (qapi/run-state.json).
CAUSES = 11


def log_name(name: str) -> str:
    """The file of a recording."""
    return name if name.endswith(".rr2") else f"{name}-rr-nondet.log"


def unpacked(path: Path) -> bytes:
    """A file without zstd around it."""
    return subprocess.run(["zstd", "-dcq", path], check=True, stdout=subprocess.PIPE).stdout


def stat(binary: Path, log: Path, *flags: str, codes: Sequence[int] = (0,)) -> Dict[str, Any]:
    """The numbers of a log."""
    return json_lines(run_program(binary, "log", "stat", "--json", str(log), *flags, codes=codes).stdout)[0]


def by_name(row: Dict[str, Any]) -> Dict[str, int]:
    """Entries by call, else by kind, as `rrlog` counts them."""
    counts: Dict[str, int] = {}
    for kind in row["kinds"]:
        own = kind["kind"] in ("SKIPPED_CALL", "ASYNC")
        name = kind["call"] if own else kind["kind"]
        counts[name] = counts.get(name, 0) + kind["entries"]
    return counts


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("way", ["file", "stdin"])
def test_compat_is_what_rr_print_printed(binary: Path, tmp_path: Path, name: str, way: str) -> None:
    """Byte for byte, with the path as it was typed."""
    wanted = unpacked(LOGS / f"{name}.rr_print.txt.zst")
    log = tmp_path / log_name(name)
    packed = LOGS / name if name.endswith(".rr2") else LOGS / f"{log.name}.zst"
    log.write_bytes(packed.read_bytes() if name.endswith(".rr2") else unpacked(packed))
    typed = log.name if way == "file" else "-"
    with log.open("rb") as stdin:
        command = [str(binary), "log", "print", "--compat", typed]
        done = subprocess.run(command, cwd=tmp_path, stdin=stdin, stdout=subprocess.PIPE, check=True)
    assert done.stdout == wanted.replace(log.name.encode(), typed.encode(), 1)


@pytest.mark.parametrize("name", RECORDED)
def test_entries_are_as_many_as_an_independent_reader_counts(binary: Path, name: str) -> None:
    """Of every kind, to the last whole entry."""
    log = unpacked(LOGS / name)
    counted = rrlog.panda(log)
    whole = counted.read == len(log)
    row = stat(binary, LOGS / name, codes=(0 if whole else 3,))
    assert by_name(row) == counted.entries
    assert (row["entries"], row["last_instr"]) == (counted.total, counted.last)
    assert row["bytes"] == counted.read - 8


def test_an_rr2_archive_and_the_log_in_it_say_the_same(binary: Path, tmp_path: Path) -> None:
    """The log is taken out by another program."""
    log = tmp_path / "nondetlog"
    with tarfile.open(LOGS / "tiny.rr2") as archive:
        member = archive.extractfile("nondetlog")
        assert member is not None
        log.write_bytes(member.read())
    done = run_program(binary, "log", "diff", "--json", str(LOGS / "tiny.rr2"), str(log))
    row = json_lines(done.stdout)[0]
    assert row["equal"] and row["same"] == rrlog.panda(log.read_bytes()).total


def test_a_changed_archive_is_found_out(binary: Path, tmp_path: Path) -> None:
    """Its list of digests is PANDA's own."""
    changed = tmp_path / "changed.rr2"
    with tarfile.open(LOGS / "tiny.rr2") as old, tarfile.open(changed, "w:gz") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            data = file.read()
            if member.name == "snapshot":
                data = data[:-1] + bytes([data[-1] ^ 1])
            new.addfile(member, io.BytesIO(data))
    rows = json_lines(run_program(binary, "log", "check", "--json", str(changed), codes=(1,)).stdout)
    assert [row["what"].split(" is ")[0] for row in rows if row["finding"] == "sha1"] == ["the SHA-1 of snapshot"]
    rows = json_lines(run_program(binary, "log", "check", "--json", str(LOGS / "tiny.rr2"), codes=(1,)).stdout)
    assert "sha1" not in {row["finding"] for row in rows}


def test_packets_are_a_capture_that_tshark_reads(binary: Path, tmp_path: Path) -> None:
    """Lengths, times and bytes of every packet."""
    log = LOGS / "x64-io-rr-nondet.log.zst"
    capture = tmp_path / "net.pcap"
    run_program(binary, "log", "packets", "--pcap", str(capture), str(log))
    fields = ["-e", "frame.time_epoch", "-e", "frame.len", "-e", "_ws.col.Protocol"]
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields", *fields]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, stderr=subprocess.PIPE)
    seen = [line.split("\t") for line in done.stdout.splitlines()]
    rows = json_lines(run_program(binary, "log", "packets", "--json", str(log)).stdout)
    assert len(rows) == 8
    times = [float(time) for time, _, _ in seen]
    assert times == [row["instr"] / 1e9 for row in rows]
    assert [int(length) for _, length, _ in seen] == [row["length"] for row in rows]
    assert [protocol for _, _, protocol in seen] == ["ARP"] * 2 + ["ICMP"] * 6
    data = rrlog.panda(unpacked(log)).data["HANDLE_PACKET"]
    assert [row["data"] for row in rows] == [packet.hex() for packet in data]


def answer(query: str) -> List[Any]:
    """The rows of a query."""
    relation = duckdb.sql(query)
    assert relation is not None, query
    return list(relation.fetchall())


def test_duckdb_reads_the_parquet_as_the_reader_counts(binary: Path, tmp_path: Path) -> None:
    """Every column of every entry; the queries are those of the help."""
    log, table = LOGS / "x64-io-rr-nondet.log.zst", tmp_path / "events.parquet"
    run_program(binary, "log", "export", "--parquet", str(table), str(log))
    counted = rrlog.panda(unpacked(log))
    kinds = answer(f"SELECT coalesce(call, kind), count(*) FROM '{table}' GROUP BY ALL")
    assert dict(kinds) == counted.entries
    rows = answer(
        f"SELECT index, instr, kind, callsite, call, address, length, value, payload FROM '{table}' ORDER BY index"
    )
    wanted = json_lines(run_program(binary, "log", "print", "--json", str(log)).stdout)
    found = [json_row(row) for row in rows]
    assert found == [{name: row[name] for name in found[0]} for row in wanted]
    sums = answer(f"SELECT call, sum(octet_length(payload)) FROM '{table}' WHERE payload IS NOT NULL GROUP BY 1")
    lengths = {name: sum(map(len, data)) for name, data in counted.data.items() if any(data)}
    assert {name: total for name, total in sums if total} == lengths
    for query in queries(binary):
        assert answer(query.replace("events.parquet", str(table))) is not None, query


def json_row(row: Sequence[Any]) -> Dict[str, Any]:
    """A row of the table as `log print --json` writes it."""
    index, instr, kind, callsite, call, address, length, value, payload = row
    hexed = [None if number is None else hex(number) for number in (address, length, value)]
    return {
        "index": index, "instr": instr, "kind": kind, "callsite": callsite, "call": call,
        "address": hexed[0], "length": hexed[1], "value": hexed[2],
        "data": None if payload is None else payload.hex(),
    }


def queries(binary: Path) -> List[str]:
    """The queries that the help shows."""
    text = run_program(binary, "log", "export", "--help").stdout.decode()
    found = [" ".join(query.split()) for query in re.findall(r"SELECT .*?;", text, re.DOTALL)]
    assert len(found) == 3
    return found


def test_csv_and_json_lines_hold_every_entry(binary: Path) -> None:
    """As another program's reader of CSV sees them."""
    log = LOGS / "i686-io-rr-nondet.log.zst"
    done = run_program(binary, "log", "export", "--csv", "-", str(log))
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode())))
    counted = rrlog.panda(unpacked(log))
    assert Counter(row["call"] or row["kind"] for row in rows) == counted.entries
    packets = [row["payload"] for row in rows if row["call"] == "HANDLE_PACKET"]
    assert packets == [data.hex() for data in counted.data["HANDLE_PACKET"]]
    lines = run_program(binary, "log", "export", "--jsonl", "-", str(log)).stdout
    assert lines == run_program(binary, "log", "print", "--json", str(log)).stdout


def repeated(name: str, times: int) -> bytes:
    """A recording again and again, with counts that go on, without its end mark but for the last."""
    log = unpacked(LOGS / name)
    total = struct.unpack_from("<Q", log)[0]
    body = bytearray(log[8:-10])
    starts = [start - 8 for start in rrlog.panda_starts(log) if start < len(log) - 10]
    counts = [struct.unpack_from("<Q", body, start)[0] for start in starts]
    parts = [struct.pack("<Q", total * times)]
    for time_ in range(times):
        for start, count in zip(starts, counts):
            struct.pack_into("<Q", body, start, count + time_ * total)
        parts.append(bytes(body))
    return b"".join([*parts, struct.pack("<Q", total * times), log[-2:]])


def test_an_index_answers_as_the_whole_log_does_and_reads_the_part_only(binary: Path, tmp_path: Path) -> None:
    """Of a log of 18 MB: once an index is there, damage elsewhere is not even seen."""
    data, log = repeated("x64-io-rr-nondet.log.zst", 20), tmp_path / "big-rr-nondet.log"
    log.write_bytes(data)
    times = (log.stat().st_atime_ns, log.stat().st_mtime_ns)
    first, last = 40_000_000, 42_000_000
    command = [str(binary), "log", "print", "--json", "--from", str(first), "--to", str(last), str(log)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def ask() -> "subprocess.CompletedProcess[bytes]":
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    whole = ask()
    starts = [start for start in rrlog.panda_starts(data)
              if first <= struct.unpack_from("<Q", data, start)[0] <= last]
    assert [int(row["offset"], 16) for row in json_lines(whole.stdout)] == starts and len(starts) > 50
    assert len(list((tmp_path / "cache" / "rr-mem").glob("log-index-*"))) == 1
    assert ask().stdout == whole.stdout
    early = rrlog.panda_starts(data)[5000]
    with log.open("r+b") as file:
        file.seek(early + 8)
        file.write(b"\xff")
    os.utime(log, ns=times)
    assert ask().stdout == whole.stdout
    environment["XDG_CACHE_HOME"] = str(tmp_path / "empty")
    damaged = ask()
    assert damaged.returncode == 3 and b"entry 5000 at offset" in damaged.stderr


@dataclass
class Recorded:
    """A replay log, and what is known of it."""

    log: Path
    instructions: int
    typed: bytes
    packets: List[bytes]
    disk: bool


def network(folder: Path) -> "tuple[List[str], socket.socket, Path]":
    """Flags of a network card whose packets are recorded, and our end of its wire."""
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours, theirs = folder / "ours.sock", folder / "theirs.sock"
    wire.bind(str(ours))
    net = (f"dgram,id=n,local.type=unix,local.path={theirs},"
           f"remote.type=unix,remote.path={ours}")
    return ["-netdev", net, "-object", "filter-replay,id=f,netdev=n"], wire, theirs


def packet(number: int) -> bytes:
    """A broadcast that no guest answers."""
    head = b"\xff" * 6 + b"\x52\x54\x00\x00\x00\x01" + struct.pack(">H", 0x88B5)
    return head + bytes([number]) * 50


BIOS_MACHINES = ["7.2", "10.0"]


def program_of(release: str) -> str:
    """The x86 emulator of a release."""
    return "qemu-system-x86_64" if release == "7.2" else str(backports.qemu() / "qemu-system-x86_64")


@pytest.fixture(scope="module", params=[*BIOS_MACHINES, "linux-x86_64", "linux-aarch64"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A recording with serial and network input, of a boot sector also with disk input."""
    folder = tmp_path_factory.mktemp("rr")
    log = folder / "replay.log"
    flags, wire, theirs = network(folder)
    if request.param in BIOS_MACHINES:
        made = record_boot_sector(program_of(request.param), folder, log, flags, wire, theirs)
    else:
        made = record_linux(request.param, log, flags, wire, theirs)
    wire.close()
    yield made


def record_boot_sector(program: str, folder: Path, log: Path, flags: List[str],
                       wire: socket.socket, theirs: Path) -> Recorded:
    """A BIOS boot from a disk."""
    image = folder / "disk.img"
    image.write_bytes(assemble("x86_rr_boot") + bytes(1 << 20))
    disk = ["-drive", f"file={image},if=none,format=raw,id=d",
            "-drive", "driver=blkreplay,if=none,image=d,id=r", "-device", "ide-hd,drive=r"]
    card = ["-device", "e1000,netdev=n,romfile="]
    with Recorder(program, log, ["-M", "pc", "-m", "16", *disk, *flags, *card]) as qemu:
        qemu.wait_for_text(b"RR")
        sent = [packet(1), packet(2)]
        for data in sent:
            wire.sendto(data, str(theirs))
        for byte in b"abc":
            qemu.console.sendall(bytes([byte]))
            qemu.wait_for_text(bytes([byte ^ 1]))
        qemu.console.sendall(b"q")
        qemu.wait_for_text(b"!")
        return Recorded(log, qemu.finish(), b"abcq", sent, True)


def record_linux(name: str, log: Path, flags: List[str], wire: socket.socket, theirs: Path) -> Recorded:
    """A whole boot of Linux; what is typed is echoed by its terminal."""
    flavour, console, machine = {
        "linux-x86_64": ("amd64", "ttyS0", "qemu-system-x86_64 -M pc -cpu qemu64 -m 96"),
        "linux-aarch64": ("arm64", "ttyAMA0", "qemu-system-aarch64 -M virt -cpu cortex-a57 -m 192"),
    }[name]
    kernel = fetch.kernel(flavour)
    program, *arguments = machine.split()
    boot = ["-kernel", str(kernel.vmlinuz), "-initrd", str(kernel.initrd),
            "-append", f"console={console} panic=-1"]
    card = ["-device", "virtio-net-pci,netdev=n,romfile="]
    with Recorder(program, log, [*arguments, *boot, *flags, *card]) as qemu:
        qemu.wait_for_text(b"RR-MEM-READY")
        wire.sendto(packet(3), str(theirs))
        qemu.console.sendall(b"typed\r")
        qemu.wait_for_text(b"typed")
        return Recorded(log, qemu.finish(), b"typed\r", [packet(3)], False)


def test_replay_logs_are_read_to_the_last_byte(binary: Path, recorded: Recorded) -> None:
    """As many events of each kind as an independent reader counts; instructions as the monitor
    counted them."""
    log = recorded.log.read_bytes()
    counted = rrlog.qemu(log, CAUSES)
    assert counted.read == len(log) and counted.entries["END"] == 1
    row = stat(binary, recorded.log)
    assert by_name(row) == counted.entries
    assert row["bytes"] == len(log) - 12 and row["ended"]
    assert f"{CAUSES} causes" in row["format"]
    assert row["last_instr"] == counted.last == recorded.instructions


def test_input_from_outside_is_in_the_log(binary: Path, recorded: Recorded) -> None:
    """What was typed, the packets, and requests of the disk."""
    rows = json_lines(run_program(binary, "log", "serial", "--json", str(recorded.log)).stdout)
    assert {row["direction"] for row in rows} == {"in"}
    assert "".join(row["text"] for row in rows).encode().decode("unicode_escape").encode() == recorded.typed
    rows = json_lines(run_program(binary, "log", "packets", "--json", str(recorded.log)).stdout)
    assert [row["data"] for row in rows] == [data.hex() for data in recorded.packets]
    done = run_program(binary, "log", "disk", "--json", str(recorded.log), codes=(0, 1))
    assert (done.returncode == 0) == recorded.disk


def test_a_killed_replay_log_gives_every_whole_event(binary: Path, recorded: Recorded, tmp_path: Path) -> None:
    """Cut in the middle and with its version not written, as a killed QEMU leaves it."""
    log = recorded.log.read_bytes()
    cut = tmp_path / "killed.log"
    cut.write_bytes(bytes(4) + log[4:len(log) // 2])
    done = run_program(binary, "log", "print", "--json", str(cut), codes=(0, 3))
    rows = json_lines(done.stdout)
    whole = json_lines(run_program(binary, "log", "print", "--json", str(recorded.log)).stdout)
    assert rows == whole[:len(rows)] and len(rows) > 100
    assert int(rows[-1]["offset"], 16) <= len(log) // 2
    assert int(whole[len(rows)]["offset"], 16) >= len(log) // 2 - 2000


def test_a_part_of_a_replay_log_is_a_log(binary: Path, recorded: Recorded, tmp_path: Path) -> None:
    """The middle third, with the instruction counts of the whole."""
    first, last = recorded.instructions // 3, 2 * recorded.instructions // 3
    part = tmp_path / "part.log"
    flags = ["--from", str(first), "--to", str(last)]
    run_program(binary, "log", "cut", *flags, "-o", str(part), str(recorded.log))
    wanted = json_lines(run_program(binary, "log", "print", "--json", *flags, str(recorded.log)).stdout)
    counted = rrlog.qemu(part.read_bytes(), CAUSES)
    assert counted.read == part.stat().st_size and counted.entries["END"] == 1
    rows = json_lines(run_program(binary, "log", "print", "--json", str(part), *flags).stdout)
    strip = [{**row, "index": 0, "offset": ""} for row in rows]
    found = [{**row, "index": 0, "offset": ""} for row in wanted]
    assert len(found) > 10 and found == [row for row in strip if row["kind"] != "END"][-len(found):]

