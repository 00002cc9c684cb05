"""Made-up rows of one tick, and what they amount to, counted one by one."""

import bisect
import dataclasses
import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np

from detectors.sketches.frequent_items import FrequentItems
from detectors.sketches.hyperloglog import HyperLogLog
from detectors.sketches.log_buckets import log_keys
from streams.config import LoadedModel
from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.core.bins import Bins
from streams.core.join.facts import LabelFacts, OutcomeFacts
from streams.core.layout import QUANTILE_OFFSET, QUANTILE_STRIDE, Layout, layout_of
from streams.core.partials import CellTable
from streams.events.columns import Coded, PredictionBlock
from streams.events.ids import Ids

START = 1_735_689_600_000
EPS = float(np.finfo(np.float64).eps)
Key = tuple[str, str, str, int]
Found = dict[tuple[Key, str], Any]


def model_of(task: str, numeric: int, categorical: int) -> tuple[ModelConfig, Layout]:
    features: dict[str, Any] = {
        f"n{i}": {"kind": "numeric", "range": [-2, 2] if i % 2 else None} for i in range(numeric)
    }
    for i in range(categorical):
        features[f"c{i}"] = {"kind": "categorical"} | ({"categories": ["a", "b"]} if i % 2 else {})
    config: dict[str, Any] = {
        "model": "m",
        "task": task,
        "features": features,
        "segments": ["country", "device"],
        "label_horizon": "1m",
        "distinct": "user",
    }
    if task in {"binary", "multiclass"}:
        config["classes"] = ["no", "yes"] if task == "binary" else ["x", "y", "z"]
    if task in {"ranking", "outcome"}:
        config["outcomes"] = {"click": {}, "buy": {"value": True}}
    pipeline = PipelineConfig.model_validate(
        {
            "kafka": {"bootstrap_servers": "localhost:9092"},
            "windows": [{"size": "2s"}],
            "topics": {"partitions": 1},
            "models": ["m"],
        }
    )
    model = ModelConfig.model_validate(config)
    layout = layout_of(LoadedModel(model, pipeline.windows))
    edges = [[-1.0, 0.0, 0.5], None, [], [float(x) for x in range(60)]]
    held = [edges[i % 4] for i in range(numeric)]
    layout = dataclasses.replace(
        layout, feature_bins=tuple(None if one is None else Bins(one) for one in held)
    )
    if task == "regression":
        bins = Bins([-0.5, 0.5, 1.0])
        layout = dataclasses.replace(layout, prediction_bins=bins, label_bins=bins)
    return model, layout


class Rows:
    """Random rows; ``seed`` tells all of them."""

    def __init__(self, seed: int, layout: Layout, count: int, *, scored: bool = True) -> None:
        self.scored = scored
        self.rng = np.random.default_rng(seed)
        self.layout, self.count = layout, count
        self.ts = START + self.rng.integers(0, 3 * layout.pane, count)

    def gaps(self, values: np.ndarray, share: float = 0.2) -> np.ndarray:
        return np.where(self.rng.random(values.shape) < share, np.nan, values)

    def coded(self, texts: list[str]) -> Coded:
        codes = self.rng.integers(-2, len(texts), self.count).astype(np.int32)
        return Coded(self.rng.permutation(np.array([*texts, "unused"])).tolist(), codes)

    def numbers(self, *shape: int) -> np.ndarray:
        # Numbers of many sizes, some of them very equal, and some zeros.
        values = self.rng.normal(size=shape) * 10.0 ** self.rng.integers(-3, 4, shape)
        return np.where(self.rng.random(shape) < 0.3, np.round(values), values)

    def outputs(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Predictions and scores."""
        n, rng, classes = self.count, self.rng, len(self.layout.classes)
        predicted, score = np.full(n, np.nan), None
        if self.layout.task in {"binary", "multiclass"}:
            predicted = self.gaps(rng.integers(0, classes, n).astype(np.float64))
            score = self.gaps(rng.choice([0.0, 1.0, *rng.random(5)], n))
            if classes > 2:
                score = np.where(np.isnan(score)[:, None], np.nan, rng.random((n, classes)))
                score[rng.random(n) < 0.1] = 0.0
        elif self.layout.task == "regression":
            predicted = self.gaps(self.numbers(n))
        elif self.layout.task == "outcome":
            score = self.gaps(rng.random(n))
        return predicted, score if self.scored else None

    def block(self) -> PredictionBlock:
        n = self.count
        predicted, score = self.outputs()
        numeric = self.gaps(self.numbers(n, len(self.layout.numeric)), self.rng.choice([0, 0.3]))
        bad = np.isnan(numeric) & (self.rng.random(numeric.shape) < 0.5)
        return PredictionBlock(
            model="m",
            rows=np.arange(n),
            ids=Ids.of([str(i) for i in range(n)]),
            ts=self.ts,
            version=Coded(["1", "2"], self.rng.integers(0, 2, n).astype(np.int32)),
            predicted=predicted,
            score=score,
            ranking=None,
            numeric=numeric,
            numeric_bad=bad if bad.any() else None,
            categorical=[self.coded(["a", "b", "c"]) for _ in self.layout.categorical],
            tags={"country": self.coded(["DE", "FR"]), "user": self.coded(["u", "v", "w"])},
            latency=self.gaps(self.rng.exponential(20, n)),
            error=self.rng.random(n) < 0.2,
        )

    def labels(self, group: np.ndarray) -> LabelFacts:
        n, rng = self.count, self.rng
        predicted, score = self.outputs()
        actual = np.full(n, np.nan)
        if self.layout.classes:
            actual = rng.integers(0, len(self.layout.classes), n).astype(np.float64)
        elif self.layout.task == "regression":
            actual = np.where(rng.random(n) < 0.2, 0.0, self.numbers(n))
        first = rng.random(n) < 0.6
        sign = np.where(first | (rng.random(n) < 0.5), 1.0, -1.0)
        width = 1 + 3 * len(self.layout.top_k)
        ranking = rng.random((n, width)) if self.layout.task == "ranking" else None
        return LabelFacts(
            self.ts,
            group,
            sign,
            first,
            rng.integers(1, 5, n) / 4,
            predicted,
            score,
            actual,
            ranking,
            rng.exponential(5, n),
        )

    def outcomes(self, group: np.ndarray) -> OutcomeFacts:
        n, rng = self.count, self.rng
        first = rng.random(n) < 0.5
        return OutcomeFacts(
            self.ts,
            group,
            rng.integers(0, len(self.layout.outcomes), n),
            first,
            first & (rng.random(n) < 0.5),
            self.numbers(n),
        )


def bucket(value: float) -> int:
    return int(log_keys(np.array([value]))[0])


def moments(pairs: list[tuple[float, float]]) -> list[float]:
    """(weight, mean, squared deviations) of (value, weight) pairs."""
    weight = math.fsum(w for _, w in pairs)
    mean = math.fsum(w * x for x, w in pairs) / weight if weight else 0.0
    return [weight, mean, math.fsum(w * (x - mean) ** 2 for x, w in pairs)]


class Count:
    """Adds up numbers by cell and statistic: dense ones by place, sparse ones by key."""

    def __init__(self) -> None:
        self.dense: dict[tuple[Key, str], dict[int, list[float]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.sparse: dict[tuple[Key, str], dict[int, list[float]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.pairs: dict[tuple[Key, str], dict[int, list[tuple[float, float]]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.texts: dict[tuple[Key, str], Counter[str]] = defaultdict(Counter)
        self.cells: list[Key] = []

    def to(self, cells: list[Key]) -> "Count":
        self.cells = cells
        return self

    def add(self, name: str, place: int, value: float = 1.0) -> None:
        for cell in self.cells:
            self.dense[cell, name][place].append(value)

    def key(self, name: str, key: int, weight: float = 1.0) -> None:
        for cell in self.cells:
            self.sparse[cell, name][key].append(weight)

    def moment(self, name: str, value: float, weight: float = 1.0, place: int = 0) -> None:
        for cell in self.cells:
            self.pairs[cell, name][place].append((value, weight))

    def text(self, name: str, text: str) -> None:
        for cell in self.cells:
            self.texts[cell, name][text] += 1

    def check(self, table: CellTable | None) -> None:
        """Compare with a table: the same statistics of the same cells, in order."""
        said = table or CellTable([])
        assert len(set(said.keys)) == len(said.keys)
        for name, dense in said.dense.items():
            for row, key in zip(dense, said.keys, strict=True):
                wanted = self.dense.pop((key, name), {})
                expected = [math.fsum(wanted.pop(place, ())) for place in range(len(row))]
                np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-9, err_msg=name)
                assert not wanted
        assert not self.dense
        for name, column in said.sparse.items():
            pairs = list(zip(column.cells.tolist(), column.keys.tolist(), strict=True))
            assert pairs == sorted(set(pairs))
            for (cell, key), total in zip(pairs, column.sums.tolist(), strict=True):
                wanted = self.sparse[said.keys[cell], name]
                assert abs(math.fsum(wanted.pop(key)) - total) < 1e-9
        assert not any(self.sparse.values())
        for name, all_moments in said.moments.items():
            for row, key in zip(all_moments, said.keys, strict=True):
                by_place = self.pairs.pop((key, name), {})
                for place, three in enumerate(row.reshape(-1, 3)):
                    expected = moments(by_place.get(place, []))
                    np.testing.assert_allclose(three, expected, rtol=1e-9, atol=1e-9)
        assert not self.pairs
        for name, sketches in said.sketches.items():
            for data, key in zip(sketches, said.keys, strict=True):
                counts = self.texts.pop((key, name), None)
                assert (data is None) == (counts is None)
                if data is not None and counts is not None:
                    check_sketch(name, data, counts)
        assert not self.texts


def check_sketch(name: str, data: bytes, counts: Counter[str]) -> None:
    if name.startswith("frequent"):
        top = FrequentItems.from_bytes(data).top(1000)
        assert {one.item: one.estimate for one in top} == counts
    else:
        assert round(HyperLogLog.from_bytes(data).estimate()) == len(counts)


def cells(view: str, ts: int, version: str, segments: list[str], pane: int) -> list[Key]:
    start = ts - ts % pane
    return [(view, version, one, start) for one in ("*", *segments)]


def count_predictions(
    layout: Layout, block: PredictionBlock, members: list[tuple[str, ...]]
) -> tuple[Count, Count]:
    """Traffic and inputs of rows, one by one; ``members``: version and segments of each row."""
    traffic, inputs = Count(), Count()
    users = block.tags["user"].strings()
    texts = [column.strings() for column in block.categorical]
    for i, (version, *segments) in enumerate(members):
        own = cells("prediction_time", int(block.ts[i]), version, segments, layout.pane)
        to = traffic.to(own)
        to.add("counts", 0)
        to.add("counts", 1, float(block.error[i]))
        score = None if block.score is None else np.ravel(block.score[i])
        if score is not None and not math.isnan(score[0]):
            to.add("counts", 2)
            if layout.task == "binary":
                to.key("score", bisect.bisect_right(layout.score_bins.edges.tolist(), score[0]))
        said = float(block.predicted[i])
        if not math.isnan(said):
            if layout.classes:
                to.add("classes", int(said))
            else:
                to.key("prediction", bucket(said))
                to.moment("prediction", said)
                assert layout.prediction_bins is not None
                to.add("prediction_bins", bisect.bisect_right(layout.prediction_bins.edges, said))
        if not math.isnan(block.latency[i]):
            to.key("latency", bucket(block.latency[i]))
        user = users[i]
        if user is not None:
            to.text("distinct", user)
        _count_inputs(layout, block, i, [column[i] for column in texts], inputs.to(own[:1]))
    return traffic, inputs


def _count_inputs(
    layout: Layout, block: PredictionBlock, i: int, texts: list[str | None], to: Count
) -> None:
    for f, value in enumerate(block.numeric[i].tolist()):
        bad = block.numeric_bad is not None and bool(block.numeric_bad[i, f])
        if math.isnan(value):
            to.add("numeric", 4 * f + (2 if bad else 1))
            continue
        to.add("numeric", 4 * f)
        low, high = layout.ranges[f]
        to.add("numeric", 4 * f + 3, float(not low <= value <= high))
        to.moment("numeric", value, place=f)
        to.key("quantiles", f * QUANTILE_STRIDE + QUANTILE_OFFSET + bucket(value))
        bins = layout.feature_bins[f]
        if bins is not None:
            to.add("bins", layout.bin_offsets[f] + bisect.bisect_right(bins.edges, value))
    for g, text in enumerate(texts):
        if text is None:
            code = int(block.categorical[g].codes[i])
            to.add("categorical", 4 * g - code)
            continue
        known = [*layout.categories[g]]
        place = known.index(text) if text in known else len(known)
        to.add("categorical", 4 * g)
        to.add("categorical", 4 * g + 3, float(layout.closed[g] and place == len(known)))
        to.add("categories", layout.category_offsets[g] + place)
        to.text(f"frequent:{layout.categorical[g]}", text)
        to.text(f"distinct:{layout.categorical[g]}", text)


def count_labels(
    layout: Layout, facts: LabelFacts, members: list[tuple[str, ...]], at: int, into: Count
) -> None:
    """Quality of labels, one by one."""
    for i, (version, *segments) in enumerate(members):
        own = cells("prediction_time", int(facts.ts[i]), version, segments, layout.pane)
        if facts.first[i]:
            own += cells("label_time", at, version, segments, layout.pane)
        to = into.to(own)
        sign = float(facts.sign[i])
        w = sign * float(facts.weight[i])
        to.add("labels", 0, sign)
        to.add("labels", 1, w)
        to.add("labels", 2, float(sign > 0 and not facts.first[i]))
        if facts.first[i]:
            to.key("delay", bucket(facts.delay[i]))
        actual, said = float(facts.actual[i]), float(facts.predicted[i])
        if layout.classes:
            to.add("actual", int(actual), w)
        score = None if facts.score is None else facts.score[i]
        if layout.task == "binary":
            _count_binary(layout, to, int(actual == layout.positive), said, score, w)
        elif layout.task == "multiclass":
            _count_multiclass(layout, to, int(actual), said, score, w)
        elif layout.task == "regression" and not math.isnan(said):
            _count_regression(layout, to, actual, said, sign, w)
        elif facts.ranking is not None:
            for place, value in enumerate([1.0, *facts.ranking[i].tolist()]):
                to.add("ranking", place, w * value)


def _count_binary(layout: Layout, to: Count, truth: int, said: float, score: Any, w: float) -> None:
    if not math.isnan(said):
        to.add("confusion", {(1, 1): 0, (1, 0): 1, (0, 0): 2, (0, 1): 3}[int(said), truth], w)
    if score is None or math.isnan(score):
        return
    s = float(score)
    kept = min(max(s, EPS), 1 - EPS)
    to.add("loss", 0, w)
    to.add("loss", 1, -w * math.log(kept if truth else 1 - kept))
    to.add("loss", 2, w * (s - truth) ** 2)
    part = min(int(s * 10), 9)
    for place, value in enumerate((1.0, float(truth), s)):
        to.add("calibration", 3 * part + place, w * value)
    place = bisect.bisect_right(layout.score_bins.edges.tolist(), s)
    to.key("score", 2 * place + truth, w)


def _count_multiclass(
    layout: Layout, to: Count, truth: int, said: float, score: Any, w: float
) -> None:
    if not math.isnan(said):
        to.key("confusion", truth * len(layout.classes) + int(said), w)
    if score is None or not sum(score) > 0:
        return
    to.add("loss", 0, w)
    to.add("loss", 1, -w * math.log(min(max(score[truth] / sum(score), EPS), 1.0)))
    for k, s in enumerate(score.tolist()):
        place = k * len(layout.score_bins) + bisect.bisect_right(layout.score_bins.edges, s)
        to.key("class_score", 2 * place + (k == truth), w)


def _count_regression(
    layout: Layout, to: Count, truth: float, said: float, sign: float, w: float
) -> None:
    error = said - truth
    terms = [1.0, error, abs(error), error**2, float(truth != 0)]
    for place, value in enumerate([*terms, abs(error / truth) if truth else 0.0]):
        to.add("errors", place, w * value)
    to.moment("actual" if sign > 0 else "actual_removed", truth, abs(w))
    to.key("error", bucket(error), w)
    to.key("absolute_error", bucket(abs(error)), w)
    assert layout.label_bins is not None
    to.add("label_bins", bisect.bisect_right(layout.label_bins.edges, truth), w)


def count_outcomes(
    layout: Layout, facts: OutcomeFacts, members: list[tuple[str, ...]], at: int, into: Count
) -> None:
    """Outcomes, one by one."""
    for i, (version, *segments) in enumerate(members):
        own = cells("prediction_time", int(facts.ts[i]), version, segments, layout.pane)
        to = into.to(own + cells("label_time", at, version, segments, layout.pane))
        first = 3 * int(facts.outcome[i])
        to.add("outcomes", first, float(facts.first[i]))
        to.add("outcomes", first + 1)
        to.add("outcomes", first + 2, float(facts.value[i]))
        to.add("outcomes", 3 * len(layout.outcomes), float(facts.first_any[i]))
