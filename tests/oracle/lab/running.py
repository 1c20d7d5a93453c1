"""The one guest that runs."""

from __future__ import annotations

from typing import Optional

from .guests import KINDS, Guest


class Running:
    """Holds the one guest that runs, so that its moments share a boot."""

    def __init__(self) -> None:
        self._guest: Optional[Guest] = None

    def at(self, name: str, moment: str) -> Guest:
        """The named guest, booted if it is not the one that runs, at a moment."""
        if self._guest is None or self._guest.kind.name != name:
            self.close()
            self._guest = Guest(KINDS[name])
        self._guest.stop_at(moment)
        return self._guest

    def close(self) -> None:
        """Ends the guest that runs."""
        if self._guest is not None:
            self._guest.close()
            self._guest = None
