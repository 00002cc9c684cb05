"""What the features looked like."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from detectors.sketches.log_buckets import log_values
from streams.compiled import kernel
from streams.core.layout import QUANTILE_OFFSET, QUANTILE_STRIDE, Layout
from streams.core.monitor.metrics.values import in_order
from streams.core.partials import Cell, FloatArray, IntArray
from streams.core.sums import Sums
from streams.payloads import FrequentValue, Input

_RANKS = (0.05, 0.25, 0.5, 0.75, 0.95)
_FREQUENT = 10


def inputs(cell: Cell, layout: Layout) -> dict[str, Input]:
    """Summaries of an inputs cell by feature; features that no prediction could carry are absent.

    Violations are shares of the values present, the other rates are shares of all rows.
    """
    return {**dict(_numeric(cell, layout)), **dict(_categorical(cell, layout))}


def _numeric(cell: Cell, layout: Layout) -> Iterator[tuple[str, Input]]:
    counts = cell.dense.get("numeric")
    moments = cell.moments.get("numeric")
    if counts is None or moments is None:
        return
    quantiles = _quantiles(cell.sparse.get("quantiles") or Sums.none(), len(layout.numeric))
    rows = counts.reshape(-1, 4).tolist()
    for index, name in enumerate(layout.numeric):
        present, missing, wrong, outside = (int(count) for count in rows[index])
        n = present + missing + wrong
        if not n:
            continue
        bounded = layout.ranges[index] != (-np.inf, np.inf)
        weight, mean, deviations = moments[index].tolist()
        p05, p25, p50, p75, p95 = quantiles[index]
        yield (
            name,
            Input(
                kind="numeric",
                n=n,
                present=present,
                missing_rate=missing / n,
                type_error_rate=wrong / n,
                range_violation_rate=outside / present if present and bounded else None,
                mean=mean if present else None,
                variance=max(deviations, 0.0) / (weight - 1.0) if weight > 1.0 else None,
                p05=p05,
                p25=p25,
                p50=p50,
                p75=p75,
                p95=p95,
            ),
        )


@kernel
def _buckets(
    keys: IntArray, counts: FloatArray, bounds: IntArray, ranks: FloatArray, out: IntArray
) -> None:
    """Find the key of each rank between each two bounds; ranks ascend."""
    for feature in range(len(bounds) - 1):
        low, high = bounds[feature], bounds[feature + 1]
        total = 0.0
        for i in range(low, high):
            total += counts[i]
        at, below = low, 0.0
        for rank in range(len(ranks)):
            # A rank that is whole up to rounding must not slip into the next bucket.
            wanted = ranks[rank] * (total * (1.0 - 1e-12))
            while at < high - 1 and below + counts[at] < wanted:
                below += counts[at]
                at += 1
            if at < high:
                out[feature * len(ranks) + rank] = keys[at]


def _quantiles(sums: Sums, features: int) -> list[list[float] | list[None]]:
    """Quantiles of each feature; None where it has no value."""
    keys, counts = in_order(sums)
    bounds = np.searchsorted(keys, np.arange(features + 1) * QUANTILE_STRIDE)
    found = np.zeros(features * len(_RANKS), dtype=np.int64)
    _buckets(keys, counts, bounds, np.array(_RANKS), found)
    values = log_values(found % QUANTILE_STRIDE - QUANTILE_OFFSET).reshape(features, len(_RANKS))
    return [
        row if low < high else [None] * len(_RANKS)
        for row, (low, high) in zip(values.tolist(), pairwise(bounds.tolist()), strict=True)
    ]


def _categorical(cell: Cell, layout: Layout) -> Iterator[tuple[str, Input]]:
    counts = cell.dense.get("categorical")
    if counts is None:
        return
    rows = counts.reshape(-1, 4).tolist()
    for index, name in enumerate(layout.categorical):
        present, missing, wrong, unknown = (int(count) for count in rows[index])
        n = present + missing + wrong
        if not n:
            continue
        distinct = cell.sketches.get(f"distinct:{name}")
        frequent = cell.sketches.get(f"frequent:{name}")
        yield (
            name,
            Input(
                kind="categorical",
                n=n,
                present=present,
                missing_rate=missing / n,
                type_error_rate=wrong / n,
                category_violation_rate=unknown / present
                if present and layout.closed[index]
                else None,
                cardinality=distinct.estimate() if isinstance(distinct, HyperLogLog) else None,
                frequent=_frequent(frequent) if isinstance(frequent, FrequentItems) else None,
            ),
        )


def _frequent(sketch: FrequentItems) -> list[FrequentValue]:
    return [
        FrequentValue(value=found.item, count=found.estimate) for found in sketch.top(_FREQUENT)
    ]
