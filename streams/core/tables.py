"""Tables of cells: what one tick adds to the summaries of one model.

A *cell* is what one model, version, segment and pane has seen so far; a *cell table* holds the news
of one tick for many cells, column by column, so that building and merging cost a few array
operations per tick. Every statistic merges in one of four ways:

* dense: fixed-width float64 sums (integers below 2**53 stay exact),
* sparse: sums by integer key (histogram bins that are mostly empty),
* moments: weight, mean and sum of squared deviations, merged after Chan, Golub and LeVeque (1983),
* sketches: Apache DataSketches, merged by their own rules.

What the statistics are called and hold is written down in :mod:`streams.core.layout`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ALL = "*"
"""Version or segment that stands for every version or every segment."""


class CellKey(NamedTuple):
    """Where a summary belongs inside one model.

    Attributes:
        view: "prediction_time" or "label_time".
        version: model version.
        segment: "*" or "name=value".
        pane: start of the pane in ms since the epoch.
    """

    view: str
    version: str
    segment: str
    pane: int


PREDICTION_TIME = "prediction_time"
LABEL_TIME = "label_time"


def merge_moments(a: FloatArray, b: FloatArray) -> FloatArray:
    """Merge arrays of (weight, mean, squared deviations), shape [..., 3].

    Weights may be negative: that takes rows back out.

    >>> merge_moments(np.array([2.0, 1.0, 2.0]), np.array([2.0, 3.0, 2.0])).tolist()
    [4.0, 2.0, 8.0]
    """
    weight = a[..., 0] + b[..., 0]
    safe = np.where(weight == 0.0, 1.0, weight)
    delta = b[..., 1] - a[..., 1]
    share = b[..., 0] / safe
    out = np.empty_like(a)
    out[..., 0] = weight
    # An empty side must not move the mean, not even by a rounding.
    out[..., 1] = np.where(a[..., 0] == 0.0, b[..., 1], a[..., 1] + delta * share)
    out[..., 2] = a[..., 2] + b[..., 2] + delta * delta * a[..., 0] * share
    return np.where((weight == 0.0)[..., None], 0.0, out)


def without(moments: FloatArray, removed: FloatArray) -> FloatArray:
    """Moments of rows after some of them were taken out.

    >>> without(np.array([4.0, 2.0, 8.0]), np.array([2.0, 3.0, 2.0])).tolist()
    [2.0, 1.0, 2.0]
    """
    return merge_moments(moments, removed * np.array([-1.0, 1.0, -1.0]))


@dataclass(slots=True)
class SparseColumn:
    """Sums by (cell, key), sorted by cell then key; all arrays have one entry per pair."""

    cells: IntArray
    keys: IntArray
    sums: FloatArray

    @classmethod
    def count(cls, cells: IntArray, keys: IntArray, weights: FloatArray | None) -> "SparseColumn":
        """Sum weights (1 each when None) by cell and key; keys must be within +-2**31."""
        if not len(keys):
            return cls(cells.astype(np.int64), keys.astype(np.int64), np.zeros(0))
        low, high, last = int(keys.min()), int(keys.max()), int(cells.max())
        width = high - low + 1
        if width * (last + 1) <= max(1 << 14, 4 * len(keys)):
            # Counting into every possible pair is several times faster than sorting.
            flat = cells * width + (keys - low)
            hits = np.bincount(flat)
            used = np.flatnonzero(hits)
            counted = hits.astype(np.float64)
            sums = counted if weights is None else np.bincount(flat, weights).astype(np.float64)
            return cls(used // width, used % width + low, sums[used])
        pairs = (cells << 32) + (keys + (1 << 31))
        unique, inverse = np.unique(pairs, return_inverse=True)
        sums = np.bincount(inverse, weights=weights, minlength=len(unique)).astype(np.float64)
        return cls(unique >> 32, (unique & 0xFFFFFFFF) - (1 << 31), sums)


@dataclass(slots=True)
class CellTable:
    """The news of one tick for the cells of one kind; every column has one row per cell."""

    keys: list[CellKey]
    dense: dict[str, FloatArray] = field(default_factory=dict)
    sparse: dict[str, SparseColumn] = field(default_factory=dict)
    moments: dict[str, FloatArray] = field(default_factory=dict)
    sketches: dict[str, list[bytes | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.keys)


@dataclass(slots=True)
class ModelNews:
    """What one join partition learnt about one model in one tick.

    Attributes:
        layout: fingerprint of the layout that the statistics were made with.
        traffic: cells of view "prediction_time": counts, scores, latency.
        inputs: cells of view "prediction_time" and segment "*": the features.
        quality: cells of both views: predictions compared with truth.
        runs: per-item series for sequential detectors, in canonical order: "error", "score",
            "prediction" or "feature:<name>".
        last_prediction: newest prediction timestamp of the tick, ms; -1 when there is none.
        last_label: newest truth timestamp of the tick, ms; -1 when there is none.
    """

    layout: str
    traffic: CellTable | None = None
    inputs: CellTable | None = None
    quality: CellTable | None = None
    runs: dict[str, FloatArray] = field(default_factory=dict)
    last_prediction: int = -1
    last_label: int = -1
