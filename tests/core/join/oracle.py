"""The join read out of its documentation, row by row, with dictionaries and loops.

Nothing here is incremental: truth that was corrected is simply replaced, and what a prediction
counts for is worked out once, at the end.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from core.join.topics import Event, Record

from detectors.sketches.log_buckets import log_keys
from streams.config import ModelConfig, Settings
from streams.core.layout import Layout, layout_of
from streams.core.partials import CellKey

EPSILON = float(np.finfo(np.float64).eps)


@dataclass
class Truth:
    """A label that counts for its prediction, and when it arrived."""

    value: Any
    ts: int
    weight: float
    arrived: int


@dataclass
class Waiting:
    """A prediction that was let in."""

    event: Event
    model: ModelConfig
    group: tuple[str, ...]
    matched: bool = False
    truth: Truth | None = None
    first: Truth | None = None
    corrections: int = 0
    conflicts: int = 0
    events: list[tuple[str, float, int]] = field(default_factory=list)
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def retention(self) -> int:
        return self.model.label_horizon + self.model.remember


@dataclass
class Early:
    """Truth that waits for its prediction."""

    event: Event
    arrived: int


class Numbers:
    """What one cell has seen: sums by name and index, and weighted values for moments."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
        self.values: dict[tuple[str, int], list[tuple[float, float]]] = defaultdict(list)
        self.sets: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, name: str, index: int, amount: float = 1.0) -> None:
        self.sums[name][index] += amount

    def value(self, name: str, index: int, value: float, weight: float = 1.0) -> None:
        self.values[name, index].append((value, weight))

    def moments(self, name: str, index: int) -> tuple[float, float, float]:
        rows = self.values[name, index]
        total = math.fsum(w for _, w in rows)
        if total == 0:
            return 0.0, 0.0, 0.0
        mean = math.fsum(x * w for x, w in rows) / total
        return total, mean, math.fsum(w * (x - mean) ** 2 for x, w in rows)


Cells = dict[tuple[str, str], dict[CellKey, Numbers]]


def canonical(value: Any) -> str | None:
    """A label or category as text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(int(value)) if float(value).is_integer() else repr(float(value))
    return None


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def score_of(layout: Layout, event: Event) -> float | list[float] | None:
    given = event.get("score")
    if given is None:
        return None
    if layout.task == "multiclass":
        return [float(given.get(name, 0.0)) for name in layout.classes]
    return float(given)


def predicted_of(model: ModelConfig, layout: Layout, event: Event) -> float | None:
    """The number, or the index of the class, that a prediction says."""
    if event.get("error") or layout.task in {"ranking", "outcome"}:
        return None
    said, score = event.get("prediction"), score_of(layout, event)
    if layout.task == "regression":
        return float(said)
    if (
        layout.task == "binary"
        and score is not None
        and (model.threshold is not None or said is None)
    ):
        above = score >= (model.threshold or 0.5)  # type: ignore[operator]  # binary: a number
        return float(layout.positive if above else 1 - layout.positive)
    if said is None:
        return float(max(range(len(score)), key=lambda i: score[i]))  # type: ignore[arg-type, index]  # multiclass: a list
    return float(layout.classes.index(canonical(said)))  # type: ignore[arg-type]  # a class


class Oracle:
    """Reads two topics and keeps books, cells, series and what met nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.models = {name: loaded.config for name, loaded in settings.models.items()}
        self.layouts = {name: layout_of(loaded) for name, loaded in settings.models.items()}
        self.wait = max(model.truth_wait for model in self.models.values())
        self.books: Counter[str] = Counter()
        self.unmatched: list[tuple[str, str]] = []
        self.runs: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.cells: Cells = defaultdict(lambda: defaultdict(Numbers))
        self.accepted: list[Waiting] = []
        self.held: dict[str, Waiting] = {}
        self.early: list[Early] = []
        self.values: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.label_time: list[tuple[Waiting, Truth]] = []

    # -- time ---------------------------------------------------------------------------------

    def ticks(self, records: list[Record], side: str) -> dict[int, list[Event]]:
        """Accepted rows by tick: that of the clock once their record is counted in."""
        clock: int | None = None
        found: dict[int, list[Event]] = defaultdict(list)
        for record in records:
            if not record.events:
                self.books[f"{side}_in"] += 1
                self.books[f"{side}_quarantined"] += 1
            good = []
            for event in record.events:
                self.books[f"{side}_in"] += 1
                late = (
                    not event.refused
                    and side == "predictions"
                    and clock is not None
                    and event.ts < clock - self.models[event.get("model")].allowed_lateness
                )
                if event.refused or late:
                    self.books[f"{side}_quarantined"] += 1
                    continue
                good.append(event)
                clock = event.ts if clock is None else max(clock, event.ts)
            if good and clock is not None:
                found[clock // self.settings.tick_ms] += good
        return found

    def read(self, predictions: list[Record], feedback: list[Record]) -> None:
        """Read both topics to their ends, and let time pass until nothing waits."""
        mine, theirs = self.ticks(predictions, "predictions"), self.ticks(feedback, "feedback")
        for tick in sorted({*mine, *theirs}):
            moment = tick * self.settings.tick_ms
            self.give_up(moment)
            for name in sorted({event.get("model") for event in mine.get(tick, [])}):
                block = [e for e in mine[tick] if e.get("model") == name]
                fresh = []
                for i, event in enumerate(block):
                    if any(event.id == other.id for other in block[:i]):
                        self.books["predictions_duplicate"] += 1
                    elif one := self.take(event, moment):
                        fresh.append(one)
                ids = {one.event.id for one in fresh}
                met = [early for early in self.early if early.event.id in ids]
                self.early = [early for early in self.early if early.event.id not in ids]
                self.truth([early.event for early in met], moment)
            self.truth(theirs.get(tick, []), moment)
        self.give_up(1 << 60)
        for one in self.accepted:
            self.books["predictions_joined" if one.matched else "predictions_expired"] += 1
            if not one.matched:
                self.unmatched.append(("expired", one.event.id))
            self.quality(one)
        for one, truth in self.label_time:
            self.label(one, truth, "label_time", truth.arrived, first=truth)

    def give_up(self, moment: int) -> None:
        for early in [e for e in self.early if e.arrived + self.wait < moment]:
            self.early.remove(early)
            self.books["feedback_orphan"] += 1
            self.unmatched.append(("orphan", early.event.id))

    # -- predictions --------------------------------------------------------------------------

    def take(self, event: Event, moment: int) -> Waiting | None:
        known = self.held.get(event.id)
        if known is not None and known.event.ts + known.retention >= moment:
            self.books["predictions_duplicate"] += 1
            return None
        model = self.models[event.get("model")]
        one = Waiting(event, model, self.group(model, event))
        self.held[event.id] = one
        self.accepted.append(one)
        self.traffic(one)
        return one

    def group(self, model: ModelConfig, event: Event) -> tuple[str, ...]:
        version = canonical(event.get("model_version")) or "unknown"
        group = [version]
        for i, segment in enumerate(model.segments):
            texts = [self.text(model, event, name) or "__missing__" for name in segment.by]
            text = "|".join(texts)
            known = self.values[model.model, i]
            if text not in known and len(known) < 4 * segment.max_values and text != "__other__":
                known.add(text)
            group.append(f"{segment.name}={text if text in known else '__other__'}")
        return tuple(group)

    def text(self, model: ModelConfig, event: Event, name: str) -> str | None:
        if name == "variant":
            return canonical(event.get("variant"))
        part = "features" if name in model.features else "tags"
        return canonical((event.get(part) or {}).get(name))

    def of(
        self, kind: str, one: Waiting, view: str, ts: int, *, segments: bool = True
    ) -> Iterable[Numbers]:
        pane = ts - ts % self.layouts[one.model.model].pane
        for segment in ("*", *(one.group[1:] if segments else ())):
            yield self.cells[kind, one.model.model][CellKey(view, one.group[0], segment, pane)]

    def traffic(self, one: Waiting) -> None:
        event, model, layout = one.event, one.model, self.layouts[one.model.model]
        score, predicted = score_of(layout, event), predicted_of(model, layout, event)
        shown = score if not isinstance(score, list) else max(score)
        series = {"score": shown, "prediction": predicted}
        for detector in model.detectors:
            if detector.on.startswith("feature:"):
                x = (event.get("features") or {}).get(detector.on[8:])
                series[detector.on] = float(x) if is_number(x) else None
            if series.get(detector.on) is not None:
                self.runs[model.model, detector.on].append(float(series[detector.on]))  # type: ignore[arg-type]  # not None
        for cell in self.of("traffic", one, "prediction_time", event.ts):
            cell.add("counts", 0)
            cell.add("counts", 1, float(event.get("error") is True))
            cell.add("counts", 2, float(score is not None))
            if layout.classes and predicted is not None:
                cell.add("classes", int(predicted))
            if layout.task == "binary" and score is not None:
                cell.add("score", bin_of(layout.score_bins.edges, score))
            if layout.task == "regression" and predicted is not None:
                cell.add("prediction", key_of(predicted))
                cell.value("prediction", 0, predicted)
                assert layout.prediction_bins is not None
                cell.add("prediction_bins", bin_of(layout.prediction_bins.edges, predicted))
            if event.get("latency_ms") is not None:
                cell.add("latency", key_of(event.get("latency_ms")))
            if model.distinct is not None:
                value = self.text(model, event, model.distinct)
                if model.distinct in layout.numeric:
                    x = (event.get("features") or {}).get(model.distinct)
                    value = repr(float(x)) if is_number(x) else None
                if value is not None:
                    cell.sets["distinct"][value] += 1
        for cell in self.of("inputs", one, "prediction_time", event.ts, segments=False):
            self.inputs(one, layout, cell)

    def inputs(self, one: Waiting, layout: Layout, cell: Numbers) -> None:
        features = one.event.get("features") or {}
        for i, name in enumerate(layout.numeric):
            x = features.get(name)
            if not is_number(x):
                cell.add("numeric", 4 * i + (1 if x is None else 2))
                continue
            low, high = layout.ranges[i]
            cell.add("numeric", 4 * i)
            cell.add("numeric", 4 * i + 3, float(not low <= x <= high))
            cell.value("numeric", i, float(x))
            cell.add("quantiles", i * 65536 + 32768 + key_of(x))
            bins = layout.feature_bins[i]
            if bins is not None:
                cell.add("bins", layout.bin_offsets[i] + bin_of(bins.edges, x))
        for g, name in enumerate(layout.categorical):
            given = features.get(name)
            text = canonical(given)
            if text is None:
                cell.add("categorical", 4 * g + (1 if given is None else 2))
                continue
            known = layout.categories[g]
            place = known.index(text) if text in known else len(known)
            cell.add("categorical", 4 * g)
            cell.add("categorical", 4 * g + 3, float(layout.closed[g] and place == len(known)))
            cell.add("categories", layout.category_offsets[g] + place)
            cell.sets[f"frequent:{name}"][text] += 1
            cell.sets[f"distinct:{name}"][text] += 1

    # -- feedback -----------------------------------------------------------------------------

    def truth(self, events: list[Event], moment: int) -> None:
        usable: dict[str, list[tuple[Event, Waiting]]] = defaultdict(list)
        for event in events:
            one = self.held.get(event.id)
            age = math.inf if one is None else moment - one.event.ts
            if one is None or age > one.retention:
                self.early.append(Early(event, moment))
            elif age > one.model.label_horizon:
                self.books["feedback_late"] += 1
                self.unmatched.append(("late", event.id))
            else:
                usable[one.model.model].append((event, one))
        for name in sorted(usable):
            for event, one in usable[name]:
                if event.get("event") is None:
                    self.take_label(event, one, moment)
            for event, one in usable[name]:
                if event.get("event") is not None:
                    self.take_outcome(event, one, moment)

    def read_actual(self, one: Waiting, actual: Any) -> Any:
        layout = self.layouts[one.model.model]
        if layout.task == "regression":
            return float(actual) if is_number(actual) else None
        if layout.task == "ranking":
            if isinstance(actual, dict):
                return {item: float(gain) for item, gain in actual.items() if gain > 0}
            return dict.fromkeys(map(canonical, actual), 1.0) if isinstance(actual, list) else None
        if layout.task == "outcome":
            return None
        text = canonical(actual)
        return layout.classes.index(text) if text in layout.classes else None

    def take_label(self, event: Event, one: Waiting, moment: int) -> None:
        value = self.read_actual(one, event.get("actual"))
        if value is None:
            self.books["feedback_quarantined"] += 1
            return
        weight = 1.0 if event.get("weight") is None else float(event.get("weight"))
        truth = Truth(value, event.ts, weight, moment)
        if one.truth is None:
            self.books["feedback_joined"] += 1
            self.first_truth(one, truth)
        elif one.truth.value == value:
            self.books["feedback_duplicate"] += 1
        elif event.ts > one.truth.ts and one.model.corrections == "newest":
            self.books["feedback_corrected"] += 1
            one.truth = truth
            one.corrections += 1
        else:
            self.books["feedback_conflict"] += 1
            self.unmatched.append(("conflict", event.id))
            one.conflicts += 1

    def first_truth(self, one: Waiting, truth: Truth) -> None:
        one.truth = one.first = truth
        one.matched = True
        self.label_time.append((one, truth))
        layout = self.layouts[one.model.model]
        if all(detector.on != "error" for detector in one.model.detectors):
            return
        predicted = predicted_of(one.model, layout, one.event)
        if layout.task == "ranking":
            ranked = [canonical(i) or "" for i in one.event.get("prediction") or []]
            wrong = 1 - ranking(ranked, truth.value, ())[0]
            self.runs[one.model.model, "error"].append(wrong)
        elif predicted is not None:
            wrong = (
                float(predicted != truth.value) if layout.classes else abs(predicted - truth.value)
            )
            self.runs[one.model.model, "error"].append(wrong)

    def take_outcome(self, event: Event, one: Waiting, moment: int) -> None:
        kind = event.get("event")
        if kind not in one.model.outcomes:
            self.books["feedback_quarantined"] += 1
            return
        item = canonical(event.get("item"))
        key = (kind, item or "", event.ts)
        if key in one.seen:
            self.books["feedback_duplicate"] += 1
            return
        one.seen.add(key)
        self.books["feedback_joined"] += 1
        one.matched = True
        one.events.append((kind, float(event.get("value") or 0.0), moment))
        if one.model.task != "ranking" or item is None:
            return
        if one.truth is None:
            self.first_truth(one, Truth({item: 1.0}, event.ts, 1.0, moment))
        elif one.truth.value.get(item) != 1.0:
            gains = {**one.truth.value, item: 1.0}
            one.truth = Truth(gains, event.ts, one.truth.weight, moment)
            one.corrections += 1

    # -- quality ------------------------------------------------------------------------------

    def quality(self, one: Waiting) -> None:
        if one.truth is not None:
            assert one.first is not None
            self.label(one, one.truth, "prediction_time", one.event.ts, first=one.first)
        if one.corrections or one.conflicts:
            for cell in self.of("quality", one, "prediction_time", one.event.ts):
                cell.add("labels", 2, one.corrections)
                cell.add("labels", 3, one.conflicts)
        names = list(one.model.outcomes)
        seen: set[str] = set()
        for kind, value, arrived in one.events:
            place = names.index(kind)
            for view, ts in (("prediction_time", one.event.ts), ("label_time", arrived)):
                for cell in self.of("quality", one, view, ts):
                    cell.add("outcomes", 3 * place, float(kind not in seen))
                    cell.add("outcomes", 3 * place + 1)
                    cell.add("outcomes", 3 * place + 2, value)
                    cell.add("outcomes", 3 * len(names), float(not seen))
            seen.add(kind)

    def label(self, one: Waiting, truth: Truth, view: str, ts: int, *, first: Truth) -> None:
        layout = self.layouts[one.model.model]
        for cell in self.of("quality", one, view, ts):
            w = truth.weight
            cell.add("labels", 0)
            cell.add("labels", 1, w)
            cell.add("delay", key_of(max(first.ts - one.event.ts, 0) / 1000))
            predicted = predicted_of(one.model, layout, one.event)
            score = score_of(layout, one.event)
            match layout.task:
                case "binary":
                    self.binary(layout, cell, w, truth.value, predicted, score)
                case "multiclass":
                    self.multiclass(layout, cell, w, truth.value, predicted, score)
                case "regression":
                    if predicted is not None:
                        self.regression(layout, cell, w, truth.value, predicted)
                case _:
                    cell.add("ranking", 0, w)
                    ranked = [canonical(i) or "" for i in one.event.get("prediction") or []]
                    for i, x in enumerate(ranking(ranked, truth.value, layout.top_k)):
                        cell.add("ranking", 1 + i, w * x)

    def binary(
        self,
        layout: Layout,
        cell: Numbers,
        w: float,
        actual: int,
        predicted: float | None,
        score: Any,
    ) -> None:
        positive = actual == layout.positive
        cell.add("actual", actual, w)
        if predicted is not None:
            said = predicted == layout.positive
            cell.add("confusion", {(1, 1): 0, (0, 1): 1, (0, 0): 2, (1, 0): 3}[positive, said], w)
        if score is None:
            return
        given = min(max(score if positive else 1 - score, EPSILON), 1 - EPSILON)
        for i, x in enumerate((1.0, -math.log(given), (score - positive) ** 2)):
            cell.add("loss", i, w * x)
        place = min(int(score * 10), 9)
        for i, x in enumerate((1.0, float(positive), score)):
            cell.add("calibration", 3 * place + i, w * x)
        cell.add("score", 2 * bin_of(layout.score_bins.edges, score) + positive, w)

    def multiclass(
        self,
        layout: Layout,
        cell: Numbers,
        w: float,
        actual: int,
        predicted: float | None,
        score: Any,
    ) -> None:
        cell.add("actual", actual, w)
        if predicted is not None:
            cell.add("confusion", actual * len(layout.classes) + int(predicted), w)
        if score is None or sum(score) == 0:
            return
        given = min(max(score[actual] / sum(score), EPSILON), 1.0)
        cell.add("loss", 0, w)
        cell.add("loss", 1, -w * math.log(given))
        for c, p in enumerate(score):
            place = c * len(layout.score_bins) + bin_of(layout.score_bins.edges, p)
            cell.add("class_score", 2 * place + (c == actual), w)

    def regression(
        self, layout: Layout, cell: Numbers, w: float, actual: float, predicted: float
    ) -> None:
        e = predicted - actual
        relative = abs(e / actual) if actual else 0.0
        for i, x in enumerate((1.0, e, abs(e), e * e, float(actual != 0), relative)):
            cell.add("errors", i, w * x)
        cell.value("actual", 0, actual, w)
        cell.add("error", key_of(e), w)
        cell.add("absolute_error", key_of(abs(e)), w)
        assert layout.label_bins is not None
        cell.add("label_bins", bin_of(layout.label_bins.edges, actual), w)


def bin_of(edges: Iterable[float], x: Any) -> int:
    return sum(1 for edge in edges if edge <= x)


def key_of(x: float) -> int:
    return int(log_keys(np.array([float(x)]))[0])


def ranking(ranked: list[str], gains: dict[str, float], cutoffs: Iterable[int]) -> list[float]:
    """Reciprocal rank; NDCG, hit and average precision at each cut-off."""
    relevant = [i for i, item in enumerate(ranked) if item in gains]
    found = [1 / (relevant[0] + 1) if relevant else 0.0]
    for k in cutoffs:
        dcg = sum(gains[ranked[i]] / math.log2(i + 2) for i in relevant if i < k)
        best = sum(g / math.log2(i + 2) for i, g in enumerate(sorted(gains.values())[::-1][:k]))
        hits = [i for i in relevant if i < k]
        precision = sum((n + 1) / (i + 1) for n, i in enumerate(hits))
        found += [
            dcg / best if gains else 0.0,
            float(bool(hits)),
            precision / min(k, len(gains)) if gains else 0.0,
        ]
    return found
