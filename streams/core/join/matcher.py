"""What feedback does to the predictions that it is about."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.core.join.books import Books
from streams.core.join.facts import LabelFacts, ModelFacts, OutcomeFacts
from streams.core.join.pages import LABELLED, MATCHED, PAGE_BITS, PAGE_ROWS
from streams.core.join.ranking import ranking_scores
from streams.core.join.truth import gains_of, read_truth
from streams.core.join.waiting import ModelState, OutcomeKey, Waiting
from streams.events.columns import FeedbackRows
from streams.events.reasons import Reason

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(slots=True)
class LabelChange:
    """Labels that were set, for the checkpoint's delta."""

    handles: Ints
    label: Floats
    label_ts: Ints


@dataclass(slots=True)
class Changes:
    """What feedback changed since the last checkpoint, besides the books.

    ``needed_until`` is the event time until which any of the predictions is remembered, ms.
    """

    labels: list[LabelChange] = field(default_factory=list)
    outcomes: list[tuple[int, OutcomeKey]] = field(default_factory=list)
    weights: dict[int, float] = field(default_factory=dict)
    gains: dict[int, dict[str, float]] = field(default_factory=dict)
    needed_until: int = 0

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.labels or self.outcomes or self.weights or self.gains)

    def take(self) -> "Changes":
        """Hand the changes over and begin anew."""
        taken = Changes(self.labels, self.outcomes, self.weights, self.gains, self.needed_until)
        self.labels, self.outcomes, self.weights, self.gains = [], [], {}, {}
        self.needed_until = 0
        return taken

    def touch(self, ts: Ints, retention: int) -> None:
        """Note that predictions of some event times are changed."""
        self.needed_until = max(self.needed_until, int(ts.max()) + retention)


@dataclass(slots=True)
class Verdict:
    """Rows of feedback that did not count."""

    refused: list[tuple[int, Reason, str]] = field(default_factory=list)
    conflicts: list[int] = field(default_factory=list)


class Matcher:
    """Applies feedback to the predictions that it is about, all of one model.

    Labels of one prediction are taken in order: the first counts; the same again is a duplicate; a
    different one with a later timestamp corrects it, unless the model keeps the first; any other
    contradicts it without effect.
    """

    def __init__(self, waiting: Waiting, books: Books, changes: Changes) -> None:
        self._waiting = waiting
        self._books = books
        self._changes = changes

    def apply(
        self, model: ModelState, facts: ModelFacts, rows: FeedbackRows, index: Ints, handles: Ints
    ) -> Verdict:
        """Apply chosen rows.

        Args:
            model: the model that all the predictions belong to.
            facts: takes what was learnt.
            rows: feedback.
            index: chosen rows, ascending.
            handles: prediction of each chosen row.

        Returns:
            The rows that did not count, by index into ``rows``.
        """
        verdict = Verdict()
        facts.last_label = max(facts.last_label, int(rows.ts[index].max()))
        is_event = rows.event.codes[index] >= 0
        labels = np.flatnonzero(~is_event)
        if len(labels):
            self._labels(model, facts, rows, index[labels], handles[labels], verdict)
        if is_event.any():
            events = np.flatnonzero(is_event)
            self._outcomes(model, facts, rows, index[events], handles[events], verdict)
        return verdict

    # -- labels -------------------------------------------------------------------------------

    def _labels(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        index: Ints,
        handles: Ints,
        verdict: Verdict,
    ) -> None:
        truth = read_truth(model.layout, rows, index)
        if truth.refused:
            usable = np.ones(len(index), dtype=np.bool_)
            for position, reason, detail in truth.refused:
                usable[position] = False
                verdict.refused.append((int(index[position]), reason, detail))
            index, handles, values = index[usable], handles[usable], truth.values[usable]
        else:
            values = truth.values
        # Several labels of one prediction must be taken one after the other.
        while len(index):
            _, first = np.unique(handles, return_index=True)
            if len(first) == len(index):
                self._label_round(model, facts, rows, index, handles, values, verdict)
                return
            first.sort()
            self._label_round(
                model, facts, rows, index[first], handles[first], values[first], verdict
            )
            rest = np.ones(len(index), dtype=np.bool_)
            rest[first] = False
            index, handles, values = index[rest], handles[rest], values[rest]

    def _label_round(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        index: Ints,
        handles: Ints,
        values: Floats,
        verdict: Verdict,
    ) -> None:
        books = self._books
        store = self._waiting.store
        names = ("ts", "group", "predicted", "label", "label_ts", "flags")
        ts, group, predicted, label, label_ts, flags = store.gather(handles, names)
        labelled = (flags & LABELLED) != 0
        rankings = model.config.task == "ranking"
        gains = [gains_of(rows.items[i]) for i in index.tolist()] if rankings else []
        if rankings:
            known = self._waiting.extras.gains
            same = np.fromiter(
                (known.get(h) == g for h, g in zip(handles.tolist(), gains, strict=True)),
                np.bool_,
                len(index),
            )
        else:
            same = label == values
        new = ~labelled
        differs = labelled & ~same
        corrected = differs & (rows.ts[index] > label_ts)
        if model.config.corrections == "first":
            corrected[:] = False
        conflict = differs & ~corrected
        books.feedback_joined += int(new.sum())
        books.feedback_duplicate += int((labelled & same).sum())
        books.feedback_corrected += int(corrected.sum())
        books.feedback_conflict += int(conflict.sum())
        if conflict.any():
            facts.conflicts.append((ts[conflict], group[conflict]))
            verdict.conflicts += index[conflict].tolist()
        counts = np.flatnonzero(new | corrected)
        if not len(counts):
            return
        self._changes.touch(ts[counts], model.retention)
        weight = rows.weight[index]
        delay = np.maximum(rows.ts[index] - ts, 0) / 1000.0
        score = store.gather(handles, ("score",))[0] if model.score_width else None

        def made(rows_: Ints, sign: float, actual: Floats, w: Floats, ranked: Any) -> None:
            facts.labels.append(
                LabelFacts(
                    ts[rows_],
                    group[rows_],
                    np.full(len(rows_), sign),
                    new[rows_] & (sign > 0),
                    w,
                    predicted[rows_],
                    None if score is None else score[rows_],
                    actual,
                    ranked,
                    delay[rows_],
                )
            )

        back = np.flatnonzero(corrected)
        if len(back):
            old = np.array([self._weight(h) for h in handles[back].tolist()])
            taken = None
            if rankings:
                held = self._waiting.extras.gains
                taken = self._ranking(model, handles[back], [held[h] for h in handles[back]])
            made(back, -1.0, label[back], old, taken)
        now = None
        if rankings:
            now = self._ranking(model, handles[counts], [gains[i] for i in counts.tolist()])
            for i in counts.tolist():
                self._set_gains(int(handles[i]), gains[i])
        made(counts, 1.0, values[counts], weight[counts], now)
        for i in np.concatenate([counts[weight[counts] != 1.0], back]).tolist():
            self._set_weight(int(handles[i]), float(weight[i]))
        self._write(handles[counts], values[counts], rows.ts[index[counts]], flags[counts])

    def _write(self, handles: Ints, label: Floats, label_ts: Ints, flags: NDArray[Any]) -> None:
        self._matched(int(((flags & MATCHED) == 0).sum()))
        for _, page, positions, slots in self._waiting.store.by_page(handles):
            page.label[slots] = label[positions]
            page.label_ts[slots] = label_ts[positions]
            page.flags[slots] |= LABELLED | MATCHED
        self._changes.labels.append(LabelChange(handles, label, label_ts))

    def _matched(self, count: int) -> None:
        self._books.predictions_joined += count
        self._books.predictions_waiting -= count

    def _weight(self, handle: int) -> float:
        return self._waiting.extras.weights.get(handle, 1.0)

    def _set_weight(self, handle: int, weight: float) -> None:
        self._waiting.extras.weights[handle] = weight
        self._changes.weights[handle] = weight

    def _set_gains(self, handle: int, gains: dict[str, float]) -> None:
        self._waiting.extras.gains[handle] = gains
        self._changes.gains[handle] = gains

    def _ranking(self, model: ModelState, handles: Ints, gains: list[dict[str, float]]) -> Floats:
        pages = self._waiting.store.pages
        scores = [
            ranking_scores(
                pages[h >> PAGE_BITS].rankings.get(h & (PAGE_ROWS - 1), []), g, model.layout.top_k
            )
            for h, g in zip(handles.tolist(), gains, strict=True)
        ]
        return np.array(scores).reshape(len(handles), 1 + 3 * len(model.layout.top_k))

    # -- outcomes -----------------------------------------------------------------------------

    def _outcomes(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        index: Ints,
        handles: Ints,
        verdict: Verdict,
    ) -> None:
        books = self._books
        position = {name: i for i, name in enumerate(model.layout.outcomes)}
        place = np.array([position.get(name, -1) for name in rows.event.values])
        outcome = place[rows.event.codes[index]]
        items = rows.item.take(index).strings()
        ts, group = self._waiting.store.gather(handles, ("ts", "group"))
        kept: list[int] = []
        first: list[bool] = []
        first_any: list[bool] = []
        for i, (handle, kind) in enumerate(zip(handles.tolist(), outcome.tolist(), strict=True)):
            row = int(index[i])
            if kind < 0:
                detail = "event: not among the outcomes of the prediction's model"
                verdict.refused.append((row, Reason.WRONG_TASK, detail))
                continue
            key = (kind, items[i] or "", int(rows.ts[row]))
            seen = self._waiting.extras.outcomes.setdefault(handle, set())
            if key in seen:
                books.feedback_duplicate += 1
                continue
            seen.add(key)
            self._changes.outcomes.append((handle, key))
            books.feedback_joined += 1
            page = self._waiting.store.pages[handle >> PAGE_BITS]
            slot = handle & (PAGE_ROWS - 1)
            bit = 1 << kind
            before = int(page.outcomes[slot])
            first.append(not (before & bit))
            first_any.append(not before)
            page.outcomes[slot] = before | bit
            if not page.flags[slot] & MATCHED:
                page.flags[slot] |= MATCHED
                self._matched(1)
            kept.append(i)
            if model.config.task == "ranking" and items[i] is not None:
                self._relevant(model, facts, rows, row, handle, str(items[i]))
        if kept:
            chosen = np.array(kept)
            self._changes.touch(ts[chosen], model.retention)
            value = rows.value[index[chosen]]
            facts.outcomes.append(
                OutcomeFacts(
                    ts[chosen],
                    group[chosen],
                    outcome[chosen].astype(np.int64),
                    np.array(first),
                    np.array(first_any),
                    np.where(np.isnan(value), 0.0, value),
                )
            )

    def _relevant(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        row: int,
        handle: int,
        item: str,
    ) -> None:
        """An outcome about an item of a ranking says that the item was relevant."""
        old = self._waiting.extras.gains.get(handle)
        new = {**(old or {}), item: 1.0}
        if new == old:
            return
        one = np.array([handle])
        names = ("ts", "group", "predicted", "flags")
        ts, group, predicted, flags = self._waiting.store.gather(one, names)
        delay = np.maximum(rows.ts[row] - ts, 0) / 1000.0
        nothing = np.full(1, np.nan)
        for sign, gains in ((-1.0, old), (1.0, new)):
            if gains is not None:
                first = np.array([sign > 0 and old is None])
                scores = self._ranking(model, one, [gains])
                weight = np.array([self._weight(handle)])
                facts.labels.append(
                    LabelFacts(
                        ts,
                        group,
                        np.array([sign]),
                        first,
                        weight,
                        predicted,
                        None,
                        nothing,
                        scores,
                        delay,
                    )
                )
        self._set_gains(handle, new)
        self._write(one, nothing, rows.ts[row : row + 1], flags)
