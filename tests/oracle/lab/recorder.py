"""A QEMU that records its inputs, with a serial port to type at."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import List, Sequence

from .qemu import Qemu
from .sockets import connect


class Recorder(Qemu):
    """A QEMU that records, with a serial port to type at."""

    def __init__(self, binary: str, log: Path, arguments: Sequence[str], mode: str = "rr=record") -> None:
        self.log, self.mode = log, mode
        super().__init__(binary, arguments, stub=False)
        self.command = [binary, *self._common_arguments(False), *arguments]
        self.console = connect(self.folder / "console.sock", self.process)
        self.console.settimeout(60)
        self.printed = b""

    def _common_arguments(self, stub: bool) -> List[str]:
        return [
            "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,tb-size=64",
            "-icount", f"shift=7,{self.mode},rrfile={self.log}",
            "-chardev", f"socket,id=c,path={self.folder / 'console.sock'},server=on,wait=on",
            "-serial", "chardev:c",
            "-qmp", f"unix:{self.folder / 'qmp.sock'},server=on,wait=off",
        ]

    def wait_for_text(self, text: bytes) -> None:
        """Reads what the guest prints up to a text."""
        while text not in self.printed:
            more = self.console.recv(4096)
            assert more, f"the emulator ended: {self._errors.read_text()}; {self.printed[-500:]!r}"
            self.printed += more

    def finish(self) -> int:
        """Ends the recording: its instruction count by the monitor."""
        self.qmp.execute("stop")
        text = self.hmp("info replay")
        found = re.search(r"instruction count = (\d+)", text)
        assert found, text
        self.qmp.execute("quit")
        while self.process.poll() is None:
            try:
                self.console.recv(4096)
            except OSError:
                pass
            time.sleep(0.01)
        return int(found.group(1))
