"""Answers of the Python module beside the program's JSON."""

from __future__ import annotations

from typing import Any, Dict


def equals(value: Any, row: Any) -> bool:
    """Whether a value of Python is one of JSON, to the last key."""
    if isinstance(row, dict):
        pairs = dict(value) if isinstance(value, list) else {key: getattr(value, key) for key in row}
        return pairs.keys() == row.keys() and all(equals(pairs[key], row[key]) for key in row)
    if isinstance(row, list):
        return len(value) == len(row) and all(map(equals, value, row))
    if isinstance(row, str) and isinstance(value, bytes):
        return value.hex() == row
    if isinstance(row, str) and not isinstance(value, str):
        return isinstance(value, int) and f"{value:#x}" == row
    return type(value) is type(row) and bool(value == row)


def without_faces_words(row: Dict[str, Any]) -> Dict[str, Any]:
    """A row without remarks of the source, which Python has at the guest, and without hints, which
    each face words."""
    said = {key: value for key, value in row.items() if key != "remarks"}
    if isinstance(said.get("error"), dict):
        said["error"] = {key: value for key, value in said["error"].items() if key != "hint"}
    return said
