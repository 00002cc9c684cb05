"""How far a window's distributions are from the reference profile's."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from detectors.distances import BATCHED, NAMES, compute_many
from detectors.distances import Distance as Measured
from streams.config.settings import LoadedModel
from streams.core.bins import Bins
from streams.core.layout import Layout
from streams.core.partials import Cell, FloatArray, IntArray
from streams.core.sums import Sums
from streams.payloads import Distance
from streams.profile.model import CategoricalReference, ColumnReference, NumericReference

Table = Literal["traffic", "inputs", "quality"]

ORDERED = frozenset({"kolmogorov_smirnov", "wasserstein"})
"""Distances that need an order of values, which categories have not; many bins do not make them
noisier, as they do the others."""
_ROWS_PER_BIN = 100
_FEWEST_BINS = 10
_LEAST_EXPECTED = 5.0


@dataclass(slots=True)
class Column:
    """One column's reference and where its counts are found.

    Attributes:
        name: "prediction", "score", "label" or "feature:<name>".
        table: kind of cell that holds the counts.
        statistic: name of the statistic; sparse where ``sparse``.
        part: slice of the statistic.
        reference: reference rows per bin or category, shape [bins].
        edges: outer and inner edges of the bins, shape [bins + 1]; None for categories, the last
            of which stands for all others.
        sparse: whether the statistic is sparse.
    """

    name: str
    table: Table
    statistic: str
    part: slice
    reference: FloatArray
    edges: FloatArray | None
    sparse: bool = False
    _groups: dict[int, tuple[IntArray, FloatArray]] = field(default_factory=dict)

    def counts(self, cell: Cell) -> FloatArray | None:
        """Rows of a cell per bin; None where it has none."""
        if self.sparse:
            sums = cell.sparse.get(self.statistic) or Sums.none()
            return sums.spread(len(self.reference))
        values = cell.dense.get(self.statistic)
        return None if values is None else np.maximum(values[self.part], 0.0)

    def histograms(self, counts: FloatArray, most_bins: int) -> tuple[FloatArray, FloatArray]:
        """Reference and current rows for the distances that many bins make noisier."""
        n = float(counts.sum())
        if self.edges is None:
            return _without_rare(self.reference, counts, n)
        wanted = int(min(max(n // _ROWS_PER_BIN, _FEWEST_BINS), most_bins))
        groups, reference = self._grouped(wanted)
        return reference, _together(groups, counts)

    def _grouped(self, wanted: int) -> tuple[IntArray, FloatArray]:
        """Put bins together to about ``wanted`` equally filled groups.

        Returns the group of each bin and the reference rows of each group.
        """
        if wanted not in self._groups:
            middle = np.cumsum(self.reference) - self.reference / 2.0
            found = np.floor(middle / self.reference.sum() * wanted).astype(np.int64)
            groups = np.unique(found, return_inverse=True)[1]
            self._groups[wanted] = (groups, _together(groups, self.reference))
        return self._groups[wanted]


class DriftMeter:
    """Compares windows of one model with its reference profile.

    A distance of many bins is mostly noise when rows are few: between two samples of one
    distribution PSI is on average (bins - 1) / rows. So neighbouring bins are put together until
    each holds about a hundred of the window's rows, though never to fewer than ten, and categories
    of which fewer than five rows are expected are counted with all others.

    Args:
        model: the model with its reference.
        layout: how its cells are laid out.

    Raises:
        ValueError: the configuration names a distance that does not exist.
    """

    def __init__(self, model: LoadedModel, layout: Layout) -> None:
        self._config = model.config.drift
        for name in self._config.distances:
            if name not in NAMES:
                raise ValueError(f"unknown distance {name!r}; known are {', '.join(NAMES)}")
        self._columns = [] if model.reference is None else list(_columns(model, layout))
        self._size = self._config.window or max(window.size for window in model.windows)

    def measures(self, size: int) -> bool:
        """Whether windows of a size are compared at all."""
        return bool(self._columns) and size == self._size

    def measure(self, cells: Mapping[Table, Cell | None]) -> dict[str, dict[str, Distance]]:
        """Distances by column and name, of columns with enough rows."""
        present = []
        for column in self._columns:
            cell = cells.get(column.table)
            counts = None if cell is None else column.counts(cell)
            if counts is not None and counts.sum() >= self._config.min_rows:
                present.append((column, counts, column.histograms(counts, self._config.bins)))
        found: dict[str, dict[str, Distance]] = {column.name: {} for column, *_ in present}
        for name in self._config.distances:
            if name in ORDERED:
                pairs = [(c, (c.reference, n)) for c, n, _ in present if c.edges is not None]
            else:
                pairs = [(column, histograms) for column, _, histograms in present]
            for column, distance in _compare(name, pairs):
                found[column.name][name] = Distance(
                    value=distance.value, n=distance.n_current, p_value=distance.p_value
                )
        return {column: distances for column, distances in found.items() if distances}


def _compare(
    name: str, pairs: Sequence[tuple[Column, tuple[FloatArray, FloatArray]]]
) -> Iterator[tuple[Column, Measured]]:
    """One distance of all columns."""
    if name in BATCHED:
        references = [reference for _, (reference, _) in pairs]
        currents = [current for _, (_, current) in pairs]
        distances = compute_many(name, references, currents)
        yield from zip((column for column, _ in pairs), distances, strict=True)
        return
    for column, (reference, current) in pairs:
        options = {"edges": column.edges} if name == "wasserstein" else {}
        yield column, NAMES[name](reference, current, **options)


def _together(groups: IntArray, counts: FloatArray) -> FloatArray:
    return np.bincount(groups, counts).astype(np.float64)


def _without_rare(
    reference: FloatArray, counts: FloatArray, n: float
) -> tuple[FloatArray, FloatArray]:
    """Count categories of which too few rows are expected with the last, all others."""
    expected = reference / reference.sum() * n
    kept = expected >= _LEAST_EXPECTED
    kept[-1] = False
    return (
        np.append(reference[kept], reference[~kept].sum()),
        np.append(counts[kept], counts[~kept].sum()),
    )


def _columns(model: LoadedModel, layout: Layout) -> list[Column]:
    reference = model.reference
    if reference is None:
        return []
    found: list[Column | None] = []
    for index, name in enumerate(layout.numeric):
        part = slice(layout.bin_offsets[index], layout.bin_offsets[index + 1])
        found.append(
            _numeric(
                f"feature:{name}",
                "inputs",
                "bins",
                part,
                reference.features.get(name),
                layout.feature_bins[index],
            )
        )
    for index, name in enumerate(layout.categorical):
        part = slice(layout.category_offsets[index], layout.category_offsets[index + 1])
        known = reference.features.get(name)
        found.append(
            _named(f"feature:{name}", "inputs", "categories", part, known, layout.categories[index])
        )
    whole = slice(None)
    if layout.classes:
        classes = layout.classes
        found += [
            _named("prediction", "traffic", "classes", whole, reference.prediction, classes),
            _named("label", "quality", "actual", whole, reference.label, classes),
        ]
    else:
        found += [
            _numeric(
                "prediction",
                "traffic",
                "prediction_bins",
                whole,
                reference.prediction,
                layout.prediction_bins,
            ),
            _numeric("label", "quality", "label_bins", whole, reference.label, layout.label_bins),
        ]
    if layout.task == "binary" and reference.score is not None:
        score = _numeric("score", "traffic", "score", whole, reference.score, layout.score_bins)
        if score is not None:
            score.sparse = True
        found.append(score)
    return [column for column in found if column is not None and column.reference.sum() > 0]


def _numeric(
    name: str,
    table: Table,
    statistic: str,
    part: slice,
    reference: ColumnReference | None,
    bins: Bins | None,
) -> Column | None:
    if not isinstance(reference, NumericReference) or bins is None or len(bins) < 2:
        return None
    inner = bins.edges
    # The outer bins are open: the reference's own extremes close them.
    step = max((inner[-1] - inner[0]) / len(bins), abs(inner[0]) * 1e-9, abs(inner[-1]) * 1e-9)
    low = reference.minimum if reference.minimum < inner[0] else inner[0] - (step or 1.0)
    high = reference.maximum if reference.maximum > inner[-1] else inner[-1] + (step or 1.0)
    edges = np.concatenate(([low], inner, [high]))
    return Column(name, table, statistic, part, np.array(reference.counts, float), edges)


def _named(
    name: str,
    table: Table,
    statistic: str,
    part: slice,
    reference: ColumnReference | None,
    categories: Sequence[str],
) -> Column | None:
    """Arrange the reference's categories as the layout does; classes have no place for others."""
    if not isinstance(reference, CategoricalReference):
        return None
    known = dict(zip(reference.categories, reference.counts, strict=True))
    counts = [float(known.get(category, 0)) for category in categories]
    if statistic == "categories":
        counts.append(sum(known.values()) + reference.other - sum(counts))
    return Column(name, table, statistic, part, np.array(counts), None)
