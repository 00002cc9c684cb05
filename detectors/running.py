"""Running statistics of a column that continue a state: the building blocks of exact chunking."""

import math

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

_LARGEST_SCALE = 1e6
"""Bound on alpha**-k inside one block of `faded_sums`: costs six of sixteen digits at most."""


def running_means(xs: Column, count: int, mean: float) -> Column:
    r"""Return the mean after each item, continuing from `count` items with mean `mean`.

    Computed as $m + \sum (x_i - m) / n$ about the mean known so far, so that a mean far larger
    than the standard deviation does not cancel. A constant column gives exactly that constant.

    Args:
        xs: New items, shape `(k,)` with `k >= 1`.
        count: Items already seen.
        mean: Their mean; ignored if `count` is 0.

    Returns:
        Means, shape `(k,)`.

    Example:
        >>> running_means(np.array([5.0, 7.0]), count=1, mean=3.0)
        array([4., 5.])
    """
    origin = mean if count else float(xs[0])
    counts = np.arange(count + 1, count + xs.size + 1, dtype=np.float64)
    means: Column = origin + np.cumsum(xs - origin) / counts
    return means


def faded_sums(terms: Column, alpha: float, start: float) -> Column:
    r"""Return the recursion $s_t = \alpha s_{t-1} + d_t$ for a whole column.

    For $\alpha < 1$ it is $\alpha^t (s_0 + \sum_i d_i \alpha^{-i})$, taken in blocks that are short
    enough for $\alpha^{-i}$ to stay small.

    Args:
        terms: The terms $d_t$, shape `(k,)`.
        alpha: Fading factor in [0, 1].
        start: The sum $s_0$ before the first term.

    Returns:
        The sums, shape `(k,)`.

    Example:
        >>> faded_sums(np.array([1.0, 1.0, 1.0]), alpha=0.5, start=4.0)
        array([3.  , 2.5 , 2.25])
    """
    if alpha == 1.0:
        sums: Column = start + np.cumsum(terms)
        return sums
    block = terms.size
    if alpha < 1.0 / _LARGEST_SCALE:
        block = 1
    else:
        block = min(block, max(1, int(math.log(_LARGEST_SCALE) / -math.log(alpha))))
    powers = alpha ** np.arange(1, block + 1, dtype=np.float64) if block > 1 else np.array([alpha])
    result = np.empty_like(terms)
    for at in range(0, terms.size, block):
        part = terms[at : at + block]
        scale = powers[: part.size]
        if part.size == 1:
            result[at] = alpha * start + part[0]
        else:
            result[at : at + block] = scale * (start + np.cumsum(part / scale))
        start = float(result[at + part.size - 1])
    return result


def at_minimum(
    keys: Column, columns: tuple[Column, Column], best: tuple[float, float, float]
) -> tuple[Column, Column]:
    """Return, after each item, what stood in two columns where the key was smallest so far.

    Among equal keys the latest counts.

    Args:
        keys: Keys, shape `(k,)` with `k >= 1`.
        columns: What to look up, two arrays of shape `(k,)`.
        best: The smallest key of earlier chunks and the two values there; an infinite key if
            there is none.

    Returns:
        Two arrays of shape `(k,)`.

    Example:
        >>> keys = np.array([3.0, 1.0, 2.0, 1.0])
        >>> at_minimum(keys, (keys, np.arange(4.0)), best=(2.5, 2.5, -1.0))[1]
        array([-1.,  1.,  1.,  3.])
    """
    best_key, *best_values = best
    if keys.min() > best_key:
        # The usual case once a stream has settled: three array operations less per chunk.
        return np.full_like(keys, best_values[0]), np.full_like(keys, best_values[1])
    keys = np.concatenate(((best_key,), keys))
    is_minimum = keys <= np.minimum.accumulate(keys)
    places = np.maximum.accumulate(np.where(is_minimum, np.arange(keys.size), 0))[1:]
    first, second = (
        np.concatenate(((value,), column))[places]
        for value, column in zip(best_values, columns, strict=True)
    )
    return first, second


def first_true(flags: NDArray[np.bool_]) -> int:
    """Return the index of the first True, or -1 if there is none.

    Args:
        flags: Booleans, shape `(k,)` with `k >= 1`.

    Example:
        >>> first_true(np.array([False, True, True])), first_true(np.array([False]))
        (1, -1)
    """
    index = int(np.argmax(flags))
    return index if flags[index] else -1
