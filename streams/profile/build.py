"""Building a reference profile: one look at the data to learn bins, a second one to count.

The edges come from a KLL sketch, whose ranks are right to about 0.2 %; the counts between them are
exact. Nothing of the data is kept but these.
"""

from collections.abc import Mapping

import numpy as np

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from detectors.sketches.kll import KLL
from detectors.sketches.moments import Moments
from streams.config.model import ModelConfig
from streams.profile.model import (
    PROFILE_VERSION,
    CategoricalReference,
    NumericReference,
    ProfileError,
    ReferenceProfile,
)
from streams.profile.rows import Floats, ReferenceRows, Texts

SCORE_BINS = 256
MOST_CATEGORIES = 200
_SKETCH_SIZE = 800
_EDGE_DIGITS = 9


def quantile_edges(quantiles: Floats) -> tuple[float, ...]:
    """Make interior bin edges of ascending quantiles.

    A value that fills several bins gets one of its own: an edge at it and one just above. Other
    edges are rounded to nine digits, which moves no more than the rows in between.

    >>> quantile_edges(np.array([0.5, 1.0, 2.0])), len(quantile_edges(np.array([0.0, 0.0, 3.0])))
    ((0.5, 1.0, 2.0), 3)
    """
    values, times = np.unique(quantiles, return_counts=True)
    edges: set[float] = set()
    for value, count in zip(values.tolist(), times.tolist(), strict=True):
        if count > 1:
            edges |= {value, float(np.nextafter(value, np.inf))}
        else:
            edges.add(float(f"{value:.{_EDGE_DIGITS}g}"))
    return tuple(sorted(edge for edge in edges if np.isfinite(edge)))


class NumericColumn:
    """Learns and counts one numeric column.

    Args:
        bins: how many bins to aim at; repeated values make them fewer.
    """

    def __init__(self, bins: int) -> None:
        self._bins = bins
        self._sketch = KLL(_SKETCH_SIZE)
        self._moments = Moments()
        self._missing = 0
        self._low, self._high = np.inf, -np.inf
        self._edges: tuple[float, ...] = ()
        self._counts = np.zeros(1, dtype=np.int64)

    def learn(self, values: Floats) -> None:
        """Take a column, NaN is missing; first look."""
        present = values[~np.isnan(values)]
        self._missing += len(values) - len(present)
        if len(present):
            self._sketch.update_many(present)
            self._moments = self._moments.merge(Moments.of(present))
            self._low = min(self._low, float(present.min()))
            self._high = max(self._high, float(present.max()))

    def settle(self) -> None:
        """Fix the edges, between the two looks."""
        if self._sketch.n:
            shares = np.arange(1, self._bins) / self._bins
            self._edges = quantile_edges(np.array(self._sketch.quantiles(shares.tolist())))
        self._counts = np.zeros(len(self._edges) + 1, dtype=np.int64)

    def count(self, values: Floats) -> None:
        """Take the same column again; second look."""
        present = values[~np.isnan(values)]
        bins = np.searchsorted(self._edges, present, side="right")
        self._counts += np.bincount(bins, minlength=len(self._counts))

    def reference(self) -> NumericReference | None:
        """What is known; None when no value was present."""
        if not self._sketch.n:
            return None
        return NumericReference(
            n=self._sketch.n,
            missing=self._missing,
            mean=self._moments.mean,
            variance=self._moments.m2 / self._moments.n,
            minimum=self._low,
            maximum=self._high,
            edges=self._edges,
            counts=tuple(self._counts.tolist()),
        )


class CategoricalColumn:
    """Learns and counts one column of strings; the 200 most frequent are kept apart."""

    def __init__(self) -> None:
        self._frequent = FrequentItems()
        self._distinct = HyperLogLog()
        self._missing = 0
        self._n = 0
        self._counts: dict[str, int] = {}

    def learn(self, column: Texts) -> None:
        """Take a column; first look."""
        times = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
        self._missing += int((column.codes < 0).sum())
        self._n += int(times.sum())
        used = [(v, n) for v, n in zip(column.values, times.tolist(), strict=True) if n]
        for value, count in used:
            self._frequent.update(value, count)
        self._distinct.update_many(value for value, _ in used)

    def settle(self) -> None:
        """Fix the categories, between the two looks."""
        self._counts = dict.fromkeys((item.item for item in self._frequent.top(MOST_CATEGORIES)), 0)

    def count(self, column: Texts) -> None:
        """Take the same column again; second look."""
        times = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values))
        for value, count in zip(column.values, times.tolist(), strict=True):
            if value in self._counts:
                self._counts[value] += count

    def reference(self) -> CategoricalReference:
        """What is known; categories by falling count."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return CategoricalReference(
            n=self._n,
            missing=self._missing,
            categories=tuple(value for value, _ in ranked),
            counts=tuple(count for _, count in ranked),
            other=self._n - sum(count for _, count in ranked),
            distinct=round(self._distinct.estimate(), 1),
        )


class ClassColumn:
    """Counts predicted or actual classes, in configured order; the first look is enough."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._counts = np.zeros(len(classes), dtype=np.int64)
        self._missing = 0

    def learn(self, values: Floats) -> None:
        """Take class indices, NaN is missing."""
        known = values[~np.isnan(values)].astype(np.int64)
        self._missing += len(values) - len(known)
        self._counts += np.bincount(known, minlength=len(self._classes))

    def reference(self) -> CategoricalReference | None:
        """What is known; None when no value was present."""
        n = int(self._counts.sum())
        if not n:
            return None
        return CategoricalReference(
            n=n,
            missing=self._missing,
            categories=self._classes,
            counts=tuple(self._counts.tolist()),
            distinct=float(np.count_nonzero(self._counts)),
        )


class ProfileBuilder:
    """Builds the profile of one model.

    Use: :meth:`learn` every row, :meth:`settle`, :meth:`count` every row again, :meth:`finish`.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._config = config
        bins = config.drift.bins
        kinds = {name: feature.kind for name, feature in config.features.items()}
        self._numeric = {n: NumericColumn(bins) for n, kind in kinds.items() if kind == "numeric"}
        self._categorical = {
            n: CategoricalColumn() for n, kind in kinds.items() if kind == "categorical"
        }
        self._score = NumericColumn(SCORE_BINS)
        self._numbers = {"predicted": NumericColumn(bins), "actual": NumericColumn(bins)}
        self._classes = {
            "predicted": ClassColumn(config.classes),
            "actual": ClassColumn(config.classes),
        }
        self._rows = 0

    def learn(self, rows: ReferenceRows) -> None:
        """Take rows; first look."""
        self._rows += rows.n
        for name, column in self._numeric.items():
            column.learn(rows.numeric[name])
        for name, texts in self._categorical.items():
            texts.learn(rows.categorical[name])
        if (score := self._binary_score(rows)) is not None:
            self._score.learn(score)
        for name, values in _outputs(rows).items():
            if self._config.task == "regression":
                self._numbers[name].learn(values)
            else:
                self._classes[name].learn(values)

    def settle(self) -> None:
        """Fix edges and categories; raises ProfileError when there was no row."""
        if not self._rows:
            raise ProfileError("the reference data holds no rows")
        for column in (*self._numeric.values(), self._score, *self._numbers.values()):
            column.settle()
        for texts in self._categorical.values():
            texts.settle()

    def count(self, rows: ReferenceRows) -> None:
        """Take the same rows again; second look."""
        for name, column in self._numeric.items():
            column.count(rows.numeric[name])
        for name, texts in self._categorical.items():
            texts.count(rows.categorical[name])
        if (score := self._binary_score(rows)) is not None:
            self._score.count(score)
        if self._config.task == "regression":
            for name, values in _outputs(rows).items():
                self._numbers[name].count(values)

    def finish(
        self, created: str, source: str = "", metrics: Mapping[str, float] | None = None
    ) -> ReferenceProfile:
        """Give the profile as counted so far.

        Args:
            created: RFC 3339 time.
            source: what it was built from, for people.
            metrics: the model's quality on the data.
        """
        features = {
            name: found
            for name in self._config.features
            if (found := self._feature(name)) is not None
        }
        outputs = self._numbers if self._config.task == "regression" else self._classes
        return ReferenceProfile(
            version=PROFILE_VERSION,
            model=self._config.model,
            created=created,
            rows=self._rows,
            source=source,
            features=features,
            prediction=outputs["predicted"].reference(),
            score=self._score.reference(),
            label=outputs["actual"].reference(),
            metrics=dict(metrics or {}),
        )

    def _feature(self, name: str) -> NumericReference | CategoricalReference | None:
        column = self._numeric.get(name)
        return self._categorical[name].reference() if column is None else column.reference()

    def _binary_score(self, rows: ReferenceRows) -> Floats | None:
        return rows.score if self._config.task == "binary" else None


def _outputs(rows: ReferenceRows) -> dict[str, Floats]:
    outputs = {"predicted": rows.predicted, "actual": rows.actual}
    return {name: values for name, values in outputs.items() if values is not None}
