"""Guest memory of the emulator that gdb debugs: `source gdb/rrmem.py`, then `rrx ADDRESS`.

Finds the Python module `rr_mem` and defines the commands, one topic a file in `rrmem_cmds`.
The program under debug is only read: nothing is ever called or written in it.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

import gdb

VERSION = "0.1.0"
# Sourced by another script, gdb leaves that one's name in `__file__`.
HERE = Path(sys._getframe().f_code.co_filename).resolve().parent
LIBRARY = "librr_mem_py.so"
BUILD = f"run `cargo build --release` in {HERE.parent}, then source this file again"


def built_libraries():
    """Where a built module may be, nearest first: a file and the package around it."""
    folders = [HERE, HERE.parent / "target" / "release"]
    named = os.environ.get("RR_MEM_PATH")
    return [folder / LIBRARY for folder in folders + ([Path(named)] if named else [])]


def load_built(library):
    """Makes a library that cargo built the module `rr_mem`."""
    sys.path.insert(0, str(HERE.parent / "rr-mem-py" / "python"))
    loader = importlib.machinery.ExtensionFileLoader("rr_mem._native", str(library))
    spec = importlib.util.spec_from_file_location("rr_mem._native", library, loader=loader)
    native = importlib.util.module_from_spec(spec)
    loader.exec_module(native)
    sys.modules["rr_mem._native"] = native


def load():
    """Imports `rr_mem`, from where it is found first; what is wrong with it, if anything."""
    library = next((path for path in built_libraries() if path.exists()), None)
    try:
        if "rr_mem" not in sys.modules and library is not None:
            load_built(library)
        version = importlib.import_module("rr_mem").__version__
    except ImportError as error:
        return f"the Python module rr_mem cannot be loaded ({error}): {BUILD}"
    if version != VERSION:
        return f"this is version {VERSION}, and the module rr_mem is {version}: {BUILD}"
    return None


def define():
    """Defines the commands, or says why they cannot be."""
    complaint = load()
    if complaint:
        # An exception out of a sourced file would show its traceback.
        gdb.write(f"rrmem.py: {complaint}\n", gdb.STDERR)
        return
    sys.path.insert(0, str(HERE))
    for topic in ("settings", "examine", "translate", "machine", "functions", "watch", "change", "types", "symbols"):
        importlib.import_module(f"rrmem_cmds.{topic}")


define()
