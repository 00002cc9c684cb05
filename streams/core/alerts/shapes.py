"""Where inside a distribution the drift is: the bins and categories with the largest PSI share.

Numeric bins are put together to at most eight ranges first, because no one wants to read that the
41st of 64 bins moved.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from detectors.distances.psi import contributions
from streams.core.alerts.words import number
from streams.core.layout import Layout
from streams.core.monitor.events import WindowClosed
from streams.core.sums import Sums
from streams.payloads import Contributor
from streams.profile.model import (
    CategoricalReference,
    ColumnReference,
    NumericReference,
    ReferenceProfile,
)

FloatArray = NDArray[np.float64]

_RANGES = 8


@dataclass(slots=True, frozen=True)
class Shape:
    """One column's distribution twice, over the same parts.

    Attributes:
        parts: what each part is called.
        reference: rows per part in the reference.
        current: rows per part in the window.
    """

    parts: tuple[str, ...]
    reference: FloatArray
    current: FloatArray

    def contributors(self, column: str, most: int) -> tuple[Contributor, ...]:
        """Name the parts that moved most, with their share of the PSI and of the rows."""
        if not self.reference.sum() or not self.current.sum():
            return ()
        shares = contributions(self.reference, self.current)
        rows = self.current / self.current.sum()
        order = np.argsort(-shares, kind="stable")[:most]
        return tuple(
            Contributor(
                name=f"{column} {self.parts[index]}",
                share=float(shares[index]),
                value=float(rows[index]),
            )
            for index in order.tolist()
            if shares[index] > 0
        )


def shape_of(
    column: str, event: WindowClosed, layout: Layout, reference: ReferenceProfile | None
) -> Shape | None:
    """Find a column's counts; None where the window or the reference lacks them.

    Args:
        column: "feature:<name>", "prediction", "score" or "label".
        event: the window with its cells.
        layout: how the cells are laid out.
        reference: the model's reference profile.
    """
    if reference is None:
        return None
    name = column.removeprefix("feature:")
    if name != column:
        return _feature(name, event, layout, reference.features.get(name))
    if column == "score" and event.traffic is not None and reference.score is not None:
        sums = event.traffic.sparse.get("score") or Sums.none()
        return _numeric(reference.score, sums.spread(len(reference.score.counts)))
    if column == "prediction" and event.traffic is not None:
        return _outputs(reference.prediction, layout, event.traffic.dense, "prediction_bins")
    if column == "label" and event.quality is not None:
        return _outputs(reference.label, layout, event.quality.dense, "label_bins")
    return None


def _feature(
    name: str, event: WindowClosed, layout: Layout, reference: ColumnReference | None
) -> Shape | None:
    if event.inputs is None or reference is None:
        return None
    if isinstance(reference, NumericReference) and name in layout.numeric:
        index = layout.numeric.index(name)
        counts = event.inputs.dense.get("bins")
        if counts is None:
            return None
        low, high = layout.bin_offsets[index : index + 2]
        return _numeric(reference, counts[low:high])
    if isinstance(reference, CategoricalReference) and name in layout.categorical:
        index = layout.categorical.index(name)
        counts = event.inputs.dense.get("categories")
        if counts is None:
            return None
        low, high = layout.category_offsets[index : index + 2]
        return _categorical(reference, layout.categories[index], counts[low:high])
    return None


def _outputs(
    reference: ColumnReference | None, layout: Layout, dense: dict[str, FloatArray], bins: str
) -> Shape | None:
    """Shape of predictions or labels: numbers in bins, or classes."""
    if isinstance(reference, NumericReference) and bins in dense:
        return _numeric(reference, dense[bins])
    classes = dense.get("classes" if bins == "prediction_bins" else "actual")
    if isinstance(reference, CategoricalReference) and classes is not None:
        return _categorical(reference, layout.classes, np.append(classes, 0.0))
    return None


def _numeric(reference: NumericReference, counts: FloatArray) -> Shape | None:
    if len(counts) != len(reference.counts):
        return None
    base = np.asarray(reference.counts, dtype=np.float64)
    cuts = _cuts(base)
    edges = [reference.edges[cut - 1] for cut in cuts]
    starts = [0, *cuts]
    return Shape(
        tuple(_ranges(edges)),
        np.add.reduceat(base, starts),
        np.add.reduceat(_counted(counts), starts),
    )


def _cuts(counts: FloatArray) -> list[int]:
    """Choose where to cut bins into at most eight ranges that hold about as many rows each."""
    shares = np.cumsum(counts) / max(counts.sum(), 1.0)
    wanted = np.arange(1, _RANGES) / _RANGES
    cuts = np.searchsorted(shares, wanted - 1e-9) + 1
    return sorted({int(cut) for cut in cuts if cut < len(counts)})


def _ranges(edges: Sequence[float]) -> list[str]:
    if not edges:
        return ["anywhere"]
    written = [number(edge, 3) for edge in edges]
    # A value with a bin of its own has an edge just above it, which is written the same.
    inner = [f"= {low}" if low == high else f"{low} to {high}" for low, high in pairwise(written)]
    return [f"below {written[0]}", *inner, f"from {written[-1]}"]


def _counted(counts: FloatArray) -> FloatArray:
    """Weights that were taken back by corrections may leave a rounding below zero."""
    return np.maximum(counts, 0.0)


def _categorical(
    reference: CategoricalReference, known: Sequence[str], counts: FloatArray
) -> Shape | None:
    if len(counts) != len(known) + 1:
        return None
    base = dict(zip(reference.categories, reference.counts, strict=True))
    listed = [float(base.pop(name, 0)) for name in known]
    others = float(reference.other + sum(base.values()))
    return Shape(
        (*(f"= {name}" for name in known), "= any other"),
        np.array([*listed, others]),
        _counted(counts),
    )
