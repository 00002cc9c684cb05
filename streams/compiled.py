"""Loops over columns, compiled to machine code once and kept on disk.

A kernel is a plain Python function over numpy arrays and numbers. Without the compiled form every
event would cost some twenty passes of numpy or hundreds of interpreter steps; with it one loop.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

signed = cast("Callable[[Any], int]", np.int64)
"""A signed integer of any other; what type checkers take for an ``int``."""

_fingerprints: dict[Any, bytes] = {}


def kernel(function: F) -> F:
    """Compile a function when it is first called with arguments of some types.

    Machine code is kept in the user's cache folder, or where ``NUMBA_CACHE_DIR`` says, so that only
    the very first process pays for it; where that cannot be written to, every process does. The
    GIL is released while a kernel runs.
    """
    return _compile(function, {"nogil": True, "error_model": "numpy"})


def loop(function: F) -> F:
    """Compile, as ``kernel`` does, a function that makes no arrays, for work on single bytes.

    Every call of an ordinary kernel counts a reference to each array that it is given, up and down
    again, atomically: no matter for loops over columns, yet three quarters of the time where a call
    looks at ten bytes. The compiler's option for that is not public: its version is pinned.
    """
    return _compile(function, {"nogil": True, "error_model": "numpy", "_nrt": False})


def _compile(function: F, options: dict[str, Any]) -> F:
    fingerprint = _fingerprint(function)
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(_folder() / fingerprint.hex())
    try:
        compiled = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no place for a cache
        compiled = numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = before
    _fingerprints[compiled] = fingerprint
    return cast("F", compiled)


@cache
def _folder() -> Path:
    named = os.environ.get("NUMBA_CACHE_DIR")
    home = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    folder = Path(named) if named else Path(home) / "driftline" / "kernels"
    if not folder.is_dir() or os.access(folder, os.W_OK):
        return folder
    # A container image brings what it compiled; the compiler uses no folder that it cannot write.
    return Path(shutil.copytree(folder, tempfile.mkdtemp(), dirs_exist_ok=True))


def _fingerprint(function: Callable[..., Any]) -> bytes:
    """Identify a kernel by its file, the kernels that it calls, and the constants that it uses.

    The compiler's own cache knows a function by its file alone, and would go on using machine code
    into which an older version of another file was compiled.
    """
    code = function.__code__
    found = hashlib.blake2b(_content(code.co_filename), digest_size=12)
    for name in code.co_names:
        value = function.__globals__.get(name)
        if isinstance(value, int | float):
            found.update(repr(value).encode())
        elif isinstance(value, np.ndarray):
            found.update(value.tobytes())
        else:
            try:
                found.update(_fingerprints.get(value, b""))
            except TypeError:  # what cannot be hashed is no kernel
                continue
    return found.digest()


@cache
def _content(path: str) -> bytes:
    return Path(path).read_bytes()
