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

    Machine code is cached beside the source (or in ``NUMBA_CACHE_DIR``), so that only the very
    first process pays for it. The GIL is released while a kernel runs.
    """
    return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))
