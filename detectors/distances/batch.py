"""The same distance of many pairs of histograms: one loop and one call for all p-values."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov

from detectors.distances.base import Counts, Distance
from detectors.distances.psi import SMOOTHING
from streams.compiled import kernel

_KINDS = {
    "psi": 0,
    "jensen_shannon": 1,
    "kolmogorov_smirnov": 2,
    "hellinger": 3,
    "chi_square": 4,
}

BATCHED = frozenset(_KINDS)
"""Distances that :func:`compute_many` knows."""


@kernel
def _measure(
    kind: int, reference: Counts, current: Counts, bounds: NDArray[np.int64], out: Counts
) -> None:
    """Measure each pair; ``out`` takes (raw sum, rows, rows, bins in use) of each side by side."""
    for pair in range(len(bounds) - 1):
        low, high = bounds[pair], bounds[pair + 1]
        n = m = 0.0
        bins = 0
        hole = False
        for b in range(low, high):
            p, q = reference[b], current[b]
            n += p
            m += q
            if p + q > 0.0:
                bins += 1
                hole = hole or p == 0.0 or q == 0.0
        extra = SMOOTHING if kind == 0 and hole else 0.0
        all_p, all_q = n + extra * bins, m + extra * bins
        ratio = np.sqrt(m / n)
        total = below_p = below_q = 0.0
        for b in range(low, high):
            p, q = reference[b], current[b]
            if kind == 2:
                below_p += p
                below_q += q
                total = max(total, abs(below_p / n - below_q / m))
                continue
            if p + q == 0.0:
                continue
            if kind == 4:
                gap = ratio * p - q / ratio
                total += gap * gap / (p + q)
                continue
            p, q = (p + extra) / all_p, (q + extra) / all_q
            if kind == 0:
                total += (q - p) * np.log(q / p)
            elif kind == 1:
                half = (p + q) / 2.0
                if p > 0.0:
                    total += p * np.log(p / half)
                if q > 0.0:
                    total += q * np.log(q / half)
            else:
                gap = np.sqrt(p) - np.sqrt(q)
                total += gap * gap
        at = 4 * pair
        out[at], out[at + 1], out[at + 2], out[at + 3] = total, n, m, bins


def compute_many(
    name: str, references: Sequence[Counts], currents: Sequence[Counts]
) -> list[Distance]:
    """Compare pairs of histograms, each over bins of its own.

    Args:
        name: One of ``BATCHED``.
        references: Counts per bin, at least 0 and not all 0.
        currents: Counts over the same bins, likewise.

    Returns:
        What the distance of that name gives for each pair, up to rounding.

    Raises:
        KeyError: The distance is not among them.
        ValueError: A pair differs in its bins.

    Example:
        >>> found, = compute_many("psi", [np.array([5.0, 3, 2])], [np.array([4.0, 3, 3])])
        >>> round(found.value, 4)
        0.0629
    """
    kind = _KINDS[name]
    if not references:
        return []
    bounds = np.cumsum([0, *map(len, references)])
    if [len(current) for current in currents] != np.diff(bounds).tolist():
        raise ValueError("the histograms of a pair have the same bins")
    out = np.empty(4 * len(references))
    _measure(kind, np.concatenate(references), np.concatenate(currents), bounds, out)
    total, n, m, bins = out.reshape(-1, 4).T
    scale = 1.0 / n + 1.0 / m
    if name == "jensen_shannon":
        total = np.clip(total / 2.0, 0.0, np.log(2.0))
        values, statistics = np.sqrt(total / np.log(2.0)), 8.0 * total / scale
    elif name == "hellinger":
        total = np.minimum(total / 2.0, 1.0)
        values, statistics = np.sqrt(total), 8.0 * total / scale
    else:
        values, statistics = total, total if name == "chi_square" else total / scale
    if name == "kolmogorov_smirnov":
        p_values = kolmogorov(total * np.sqrt(n * m / (n + m)))
    else:
        # A single bin leaves nothing to test.
        p_values = np.where(bins > 1, chdtrc(np.maximum(bins - 1, 1), statistics), 1.0)
    return [
        Distance(value, p_value, round(rows), round(items))
        for value, p_value, rows, items in zip(
            values.tolist(), p_values.tolist(), n.tolist(), m.tolist(), strict=True
        )
    ]
