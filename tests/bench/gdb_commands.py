"""How long `source gdb/rrmem.py` with the first `rrx` takes on a stripped QEMU, and the next ones.

    python3 tests/bench/gdb_commands.py        after `cargo build --release`

Goals: 0.4 s, and 5 ms. gdb's own start and attach do not count.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ORACLE = Path(__file__).resolve().parents[1] / "oracle"
sys.path.insert(0, str(ORACLE))

from gdb_session import SCRIPT, answers, attached  # noqa: E402
from qemu import Qemu  # noqa: E402

RUNS = 5
TIMED = ("python import time; then = time.perf_counter(); {}; "
         "print('took', time.perf_counter() - then)")
RRX = "gdb.execute('rrx/2gx 0xfffffff0', to_string=True)"


def seconds(text: str) -> float:
    """What a timed command took."""
    return float(text.split("took ")[1])


def main() -> None:
    """Prints medians."""
    first, following = [], []
    with Qemu("qemu-system-x86_64", ["-S", "-M", "pc", "-m", "256"]) as qemu:
        qemu.hmp("info status")
        for _ in range(RUNS):
            source = TIMED.format(f"gdb.execute('source {SCRIPT}'); {RRX}")
            said = answers(attached(qemu.pid), [source, *[TIMED.format(RRX)] * 20], source=False)
            first.append(seconds(said[0]))
            following += [seconds(text) for text in said[1:]]
    print(f"source and the first rrx: {statistics.median(first):.3f} s (goal 0.4 s)")
    print(f"the next: {1000 * statistics.median(following):.2f} ms (goal 5 ms)")


if __name__ == "__main__":
    main()
