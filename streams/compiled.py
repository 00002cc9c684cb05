"""Loops over columns, compiled to machine code once and kept on disk.

A kernel is a plain Python function over numpy arrays and numbers. Without the compiled form every
event would cost some twenty passes of numpy or hundreds of interpreter steps; with it one loop.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile a function when it is first called with arguments of some types.

    Machine code is cached beside the source or in the user's cache folder, or where
    ``NUMBA_CACHE_DIR`` says, so that only the very first process pays for it; where none of them
    can be written to, every process does. The GIL is released while a kernel runs.
    """
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no place for a cache
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    return cast("F", compiled)
