"""What a model's statistics are called, how wide they are, and which bins they use.

Both stages derive the same layout from a model's configuration and reference profile; its
fingerprint travels with every partial, so that summaries of another configuration are never added.

Statistics of a traffic cell (view prediction_time):

========================  =====================================================================
dense ``counts`` [3]      predictions, errors, predictions with a usable score
dense ``classes`` [K]     predicted classes (class tasks)
sparse ``score``          score bin -> count (binary)
sparse ``prediction``     log bucket of the predicted number -> count (regression)
dense ``prediction_bins`` counts in the reference's bins (regression with a reference)
moments ``prediction`` [3]  of the predicted number (regression)
sparse ``latency``        log bucket of milliseconds -> count
sketch ``distinct``       HyperLogLog of the configured ``distinct`` tag or feature
========================  =====================================================================

Statistics of an inputs cell (view prediction_time, segment "*"):

============================  =================================================================
dense ``numeric`` [F * 4]     per numeric feature: present, missing, wrong type, out of range
moments ``numeric`` [F, 3]    per numeric feature
sparse ``quantiles``          feature index * 2**16 + 2**15 + log bucket -> count
dense ``bins`` [sum of B]     counts in the reference's bins, features with one, side by side
dense ``categorical`` [G * 4] per categorical feature: present, missing, wrong type, unknown
dense ``categories``          counts of the known categories and, last, of all others; side by side
sketch ``frequent:<name>``    frequent items of a categorical feature
sketch ``distinct:<name>``    HyperLogLog of a categorical feature
============================  =================================================================

Statistics of a quality cell (both views); weights are the labels' weights, 1 unless given:

==========================  ===================================================================
dense ``labels`` [4]        predictions labelled, their weight, corrections, conflicts; each
                            further item that an outcome shows to be relevant is a correction
binary: dense ``confusion`` [4]     weight of tp, fp, tn, fn
        dense ``loss`` [3]          weight with score, sum of log loss, sum of Brier
        dense ``calibration`` [30]  ten equal score ranges: weight, positive weight, sum of scores
        sparse ``score``            2 * bin + (1 if actual is positive) -> weight
multiclass: sparse ``confusion``    actual * K + predicted -> weight
        dense ``loss`` [2]          weight with scores, sum of log loss
        sparse ``class_score``      2 * (class * B + bin) + (1 if actual is the class) -> weight
class tasks: dense ``actual`` [K]   weight per actual class
regression: dense ``errors`` [6]    weight, sum e, sum |e|, sum e**2, weight with truth not 0,
                                    sum |e / truth|; e = prediction - truth
        moments ``actual`` [3]      of the truth, weighted
        moments ``actual_removed``  of truth that was corrected and no longer counts: taken out of
                                    ``actual`` with :func:`streams.core.partials.without`
        sparse ``error``            log bucket of e -> weight
        sparse ``absolute_error``   log bucket of |e| -> weight
        dense ``label_bins``        truth in the reference's bins (with a reference)
ranking: dense ``ranking`` [2+3n]   weight, sum of reciprocal ranks, then for each k of ``top_k``:
                                    sums of NDCG, hits, average precision
outcomes: dense ``outcomes`` [3n+1] per outcome in order: predictions with at least one, events,
                                    sum of values; last: predictions with any outcome
sparse ``delay``            log bucket of the label delay in seconds -> count (first labels)
==========================  ===================================================================
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import msgspec
import numpy as np

from streams.config import LoadedModel
from streams.core.bins import BinGrid, Bins, FloatArray, probability_bins
from streams.profile.model import CategoricalReference, NumericReference

CALIBRATION_RANGES = 10
QUANTILE_STRIDE = 1 << 16
QUANTILE_OFFSET = 1 << 15
CLASS_TASKS = ("binary", "multiclass")


@dataclass(frozen=True)
class Layout:
    """Names, widths and bins of one model's statistics; see the module's tables.

    Attributes:
        task: the model's task.
        classes: canonical class labels in configured order; empty unless a class task.
        positive: index of the positive class (binary), else -1.
        numeric: names of the numeric features, in configured order.
        categorical: names of the categorical features, in configured order.
        ranges: allowed (low, high) per numeric feature; infinities where open.
        feature_bins: reference bins per numeric feature; None without a reference.
        categories: known categories per categorical feature, the reference's or the configured.
        closed: per categorical feature, whether a category outside ``categories`` is a violation.
        score_bins: bins of binary scores and of multiclass probabilities.
        prediction_bins: reference bins of a regression's predictions, if any.
        label_bins: reference bins of a regression's truth, if any.
        outcomes: names of the configured outcomes, in order.
        top_k: ranking cut-offs, ascending.
        pane: length of a pane in ms.
        fingerprint: short digest of all of the above.
    """

    task: str
    classes: tuple[str, ...]
    positive: int
    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    feature_bins: tuple[Bins | None, ...]
    categories: tuple[tuple[str, ...], ...]
    closed: tuple[bool, ...]
    score_bins: Bins
    prediction_bins: Bins | None
    label_bins: Bins | None
    outcomes: tuple[str, ...]
    top_k: tuple[int, ...]
    pane: int
    fingerprint: str = field(default="", compare=False)

    @cached_property
    def bin_offsets(self) -> tuple[int, ...]:
        """Where each numeric feature's bins begin in ``bins``; one more entry for the total."""
        return _offsets([0 if bins is None else len(bins) for bins in self.feature_bins])

    @cached_property
    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest allowed value of each numeric feature."""
        low, high = np.array(self.ranges, dtype=np.float64).reshape(-1, 2).T
        return low.copy(), high.copy()

    @cached_property
    def grid(self) -> BinGrid:
        """The numeric features' bins, side by side."""
        return BinGrid(self.feature_bins)

    @cached_property
    def category_offsets(self) -> tuple[int, ...]:
        """Where each categorical feature's counts begin in ``categories``; one more for the end."""
        return _offsets([len(categories) + 1 for categories in self.categories])

    @cached_property
    def category_positions(self) -> tuple[dict[str, int], ...]:
        """Position of each known category among its feature's."""
        return tuple({name: i for i, name in enumerate(known)} for known in self.categories)


def _offsets(widths: list[int]) -> tuple[int, ...]:
    offsets = [0]
    for width in widths:
        offsets.append(offsets[-1] + width)
    return tuple(offsets)


def layout_of(model: LoadedModel) -> Layout:
    """Derive the layout of a model's statistics."""
    config, reference = model.config, model.reference
    features = {} if reference is None else reference.features
    numeric = [n for n, f in config.features.items() if f.kind == "numeric"]
    categorical = [n for n, f in config.features.items() if f.kind == "categorical"]
    ranges = []
    for name in numeric:
        low, high = config.features[name].range or (None, None)
        ranges.append(
            (float("-inf") if low is None else low, float("inf") if high is None else high)
        )
    categories = []
    closed = []
    for name in categorical:
        allowed = config.features[name].categories
        known = features.get(name)
        if allowed is not None:
            categories.append(tuple(allowed))
        elif isinstance(known, CategoricalReference):
            categories.append(tuple(known.categories))
        else:
            categories.append(())
        closed.append(allowed is not None)
    layout = Layout(
        task=config.task,
        classes=tuple(config.classes),
        positive=config.classes.index(config.positive_class)
        if config.task == "binary" and config.positive_class is not None
        else -1,
        numeric=tuple(numeric),
        categorical=tuple(categorical),
        ranges=tuple(ranges),
        feature_bins=tuple(_numeric_bins(features, name) for name in numeric),
        categories=tuple(categories),
        closed=tuple(closed),
        score_bins=(None if reference is None else _bins(reference.score)) or probability_bins(),
        prediction_bins=_bins(reference.prediction)
        if reference is not None and config.task == "regression"
        else None,
        label_bins=_bins(reference.label)
        if reference is not None and config.task == "regression"
        else None,
        outcomes=tuple(config.outcomes),
        top_k=tuple(sorted(config.top_k)) if config.task == "ranking" else (),
        pane=model.pane_ms,
    )
    return _with_fingerprint(layout)


def _bins(reference: NumericReference | CategoricalReference | None) -> Bins | None:
    return Bins(reference.edges) if isinstance(reference, NumericReference) else None


def _numeric_bins(
    features: Mapping[str, NumericReference | CategoricalReference], name: str
) -> Bins | None:
    return _bins(features.get(name))


def _with_fingerprint(layout: Layout) -> Layout:
    parts = [
        layout.task,
        layout.classes,
        layout.positive,
        layout.numeric,
        layout.categorical,
        layout.ranges,
        [None if b is None else b.edges.tolist() for b in layout.feature_bins],
        layout.categories,
        layout.closed,
        layout.score_bins.edges.tolist(),
        None if layout.prediction_bins is None else layout.prediction_bins.edges.tolist(),
        None if layout.label_bins is None else layout.label_bins.edges.tolist(),
        layout.outcomes,
        layout.top_k,
        layout.pane,
    ]
    digest = hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=8).hexdigest()
    object.__setattr__(layout, "fingerprint", digest)
    return layout
