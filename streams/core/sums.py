"""Sums by integer key as two sorted columns, and how they are added up."""

from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@kernel
def _merge(
    keys_a: IntArray,
    amounts_a: FloatArray,
    keys_b: IntArray,
    amounts_b: FloatArray,
    keys: IntArray,
    amounts: FloatArray,
) -> int:
    """Merge two columns of ascending keys into one; equal keys are added, the first side first.

    Returns the length of the result; ``keys`` and ``amounts`` have room for both sides.
    """
    i, j, size = 0, 0, 0
    while i < len(keys_a) and j < len(keys_b):
        a, b = keys_a[i], keys_b[j]
        if a < b:
            keys[size], amounts[size] = a, amounts_a[i]
            i += 1
        elif b < a:
            keys[size], amounts[size] = b, amounts_b[j]
            j += 1
        else:
            keys[size], amounts[size] = a, amounts_a[i] + amounts_b[j]
            i += 1
            j += 1
        size += 1
    while i < len(keys_a):
        keys[size], amounts[size] = keys_a[i], amounts_a[i]
        i += 1
        size += 1
    while j < len(keys_b):
        keys[size], amounts[size] = keys_b[j], amounts_b[j]
        j += 1
        size += 1
    return size


@kernel
def _merge_runs(
    keys: IntArray,
    amounts: FloatArray,
    spare_keys: IntArray,
    spare_amounts: FloatArray,
    bounds: IntArray,
) -> tuple[int, bool]:
    """Merge runs two by two until one is left.

    Returns its length, and whether it is in the spare columns.
    """
    runs, swapped = len(bounds) - 1, False
    while runs > 1:
        size, merged = 0, 0
        for run in range(0, runs, 2):
            low, middle = bounds[run], bounds[run + 1]
            high = bounds[run + 2] if run + 2 <= runs else middle
            bounds[merged] = size
            merged += 1
            size += _merge(
                keys[low:middle],
                amounts[low:middle],
                keys[middle:high],
                amounts[middle:high],
                spare_keys[size:],
                spare_amounts[size:],
            )
        bounds[merged] = size
        runs = merged
        keys, spare_keys = spare_keys, keys
        amounts, spare_amounts = spare_amounts, amounts
        swapped = not swapped
    return bounds[runs], swapped


class Sums(Mapping[int, float]):
    """Sums by key; the arrays are never changed.

    Args:
        at: keys, strictly ascending, shape [n].
        amounts: what was summed by each, shape [n].
    """

    __slots__ = ("amounts", "at")

    def __init__(self, at: IntArray, amounts: FloatArray) -> None:
        self.at = at
        self.amounts = amounts

    @classmethod
    def of(cls, sums: Mapping[int, float]) -> Self:
        """Make sums of a mapping.

        >>> Sums.of({5: 2.0, -1: 1.0}).at.tolist()
        [-1, 5]
        """
        keys = sorted(sums)
        return cls(
            np.array(keys, dtype=np.int64), np.array([sums[k] for k in keys], dtype=np.float64)
        )

    @classmethod
    def none(cls) -> Self:
        """Make sums of nothing."""
        return cls(np.zeros(0, dtype=np.int64), np.zeros(0))

    def __getitem__(self, key: int) -> float:
        """Look one sum up."""
        index = int(np.searchsorted(self.at, key))
        if index == len(self.at) or self.at[index] != key:
            raise KeyError(key)
        return float(self.amounts[index])

    def __iter__(self) -> Iterator[int]:
        """Go through the keys, ascending."""
        return iter(self.at.tolist())

    def __len__(self) -> int:
        """Count the keys."""
        return len(self.at)

    def plus(self, other: "Sums") -> "Sums":
        """Add other sums.

        >>> dict(Sums.of({1: 1.0, 3: 2.0}).plus(Sums.of({3: 0.5})))
        {1: 1.0, 3: 2.5}
        """
        room = len(self.at) + len(other.at)
        keys, amounts = np.empty(room, dtype=np.int64), np.empty(room)
        size = _merge(self.at, self.amounts, other.at, other.amounts, keys, amounts)
        if size < room:  # no view of an array that is larger than what is in use
            keys, amounts = keys[:size].copy(), amounts[:size].copy()
        return Sums(keys, amounts)

    def spread(self, size: int) -> FloatArray:
        """Lay the sums out by key; keys outside ``[0, size)`` are left out; shape [size]."""
        low, high = np.searchsorted(self.at, (0, size))
        out = np.zeros(size)
        out[self.at[low:high]] = self.amounts[low:high]
        return out

    def between(self, low: int, high: int) -> "Sums":
        """Select the keys in ``[low, high)``, counted from ``low``."""
        first, last = np.searchsorted(self.at, (low, high))
        return Sums(self.at[first:last] - low, self.amounts[first:last])


def total(keys: IntArray, amounts: FloatArray, bounds: IntArray) -> Sums:
    """Add runs of ascending keys up, neighbours first: a fixed order, and few passes.

    Args:
        keys: the keys of all runs, one run after the other; overwritten.
        amounts: their amounts, likewise.
        bounds: where each run begins, and where the last one ends; overwritten.

    >>> runs = np.array([1, 3, 1, 2]), np.array([1.0, 2.0, 0.5, 4.0]), np.array([0, 2, 4])
    >>> dict(total(*runs))
    {1: 1.5, 2: 4.0, 3: 2.0}
    """
    spare_keys, spare_amounts = np.empty_like(keys), np.empty_like(amounts)
    size, swapped = _merge_runs(keys, amounts, spare_keys, spare_amounts, bounds)
    if swapped:
        keys, amounts = spare_keys, spare_amounts
    return Sums(keys[:size].copy(), amounts[:size].copy())
