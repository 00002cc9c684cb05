"""Compiled loops that count no references, for work on single bytes.

Every call of an ordinary kernel counts a reference to each array it is given, up and down again,
atomically: of no matter for loops over columns, yet three quarters of the time where a call looks
at ten bytes.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from streams.compiled import _fingerprint, _fingerprints, _folder

F = TypeVar("F", bound=Callable[..., Any])

#: A signed integer of any other; what type checkers take for an ``int``.
signed = cast("Callable[[Any], int]", np.int64)


def loop(function: F) -> F:
    """Compile a function that makes no arrays; kept on disk as ``streams.compiled.kernel`` does."""
    fingerprint = _fingerprint(function)
    options = {"nogil": True, "error_model": "numpy", "_nrt": False}
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
