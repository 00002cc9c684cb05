"""What feedback does to the predictions that it is about."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel
from streams.core.join.books import Books
from streams.core.join.facts import LabelFacts, ModelFacts, OutcomeFacts
from streams.core.join.pages import (
    LABELLED,
    MATCHED,
    NONE,
    PAGE_BITS,
    PAGE_ROWS,
    WEIGHTED,
    OutcomeKey,
)
from streams.core.join.ranking import ranking_scores
from streams.core.join.truth import gains_of, read_truth
from streams.core.join.waiting import ModelState, Waiting
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

    def touch(self, ts: int, retention: int) -> None:
        """Note that predictions up to some event time are changed."""
        self.needed_until = max(self.needed_until, ts + retention)


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
        self, model: ModelState, facts: ModelFacts, rows: FeedbackRows, index: Ints, places: Ints
    ) -> Verdict:
        """Apply chosen rows.

        Args:
            model: the model that all the predictions belong to.
            facts: takes what was learnt.
            rows: feedback.
            index: chosen rows, ascending.
            places: row of the prediction of each chosen row.

        Returns:
            The rows that did not count, by index into ``rows``.
        """
        verdict = Verdict()
        facts.last_label = max(facts.last_label, int(rows.ts[index].max()))
        is_event = rows.event.codes[index] >= 0
        if not is_event.any():
            self._labels(model, facts, rows, index, places, verdict)
            return verdict
        labels, events = np.flatnonzero(~is_event), np.flatnonzero(is_event)
        if len(labels):
            self._labels(model, facts, rows, index[labels], places[labels], verdict)
        self._outcomes(model, facts, rows, index[events], places[events], verdict)
        return verdict

    # -- labels -------------------------------------------------------------------------------

    def _labels(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        index: Ints,
        places: Ints,
        verdict: Verdict,
    ) -> None:
        truth = read_truth(model.layout, rows, index)
        values = truth.values
        if truth.refused:
            usable = np.ones(len(index), dtype=np.bool_)
            for position, reason, detail in truth.refused:
                usable[position] = False
                verdict.refused.append((int(index[position]), reason, detail))
            index, places, values = index[usable], places[usable], values[usable]
        if not len(index):
            return
        if model.config.task == "ranking":
            for i, row in zip(index.tolist(), places.tolist(), strict=True):
                self._ranked(model, facts, rows, i, row, verdict)
            return
        self._plain(model, facts, rows, index, places, values, verdict)

    def _plain(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        index: Ints,
        places: Ints,
        values: Floats,
        verdict: Verdict,
    ) -> None:
        """Take labels that are classes or numbers."""
        store, kind = self._waiting.store, model.kind
        made = _Made.room(2 * len(index), kind.width)
        ts, weight = rows.ts[index], rows.weight[index]
        counts = np.zeros(8, dtype=np.int64)
        conflicts = np.empty(len(index), dtype=np.int64)
        _match(
            store.rows,
            store.wide(kind),
            store.wide_at,
            kind.width,
            kind.regression,
            model.config.corrections == "first",
            places,
            values,
            ts,
            weight,
            made.ts,
            made.group,
            made.sign,
            made.first,
            made.weight,
            made.predicted,
            made.score,
            made.actual,
            made.delay,
            made.source,
            conflicts,
            counts,
        )
        joined, same, corrected, contradicted, matched, found, newest, weighted = counts.tolist()
        books = self._books
        books.feedback_joined += joined
        books.feedback_duplicate += same
        books.feedback_corrected += corrected
        books.feedback_conflict += contradicted
        self._matched(matched)
        if contradicted:
            against = conflicts[:contradicted]
            held = store.rows[places[against]]
            facts.conflicts.append((held["ts"].copy(), held["group"].copy()))
            verdict.conflicts += index[against].tolist()
        if not found:
            return
        changes = self._changes
        changes.needed_until = max(changes.needed_until, newest + model.retention)
        made = made.cut(found, kind.width)
        new = made.sign > 0
        if weighted:
            self._weigh(places, made, weight)
        source = made.source[new]
        changes.labels.append(
            LabelChange(store.handles(places[source]), made.actual[new], ts[source])
        )
        score = None
        if kind.width:
            score = made.score if kind.width == 1 else made.score.reshape(found, kind.width)
        facts.labels.append(
            LabelFacts(
                *(made.ts, made.group, made.sign, made.first, made.weight, made.predicted),
                *(score, made.actual, None, made.delay),
            )
        )

    def _weigh(self, places: Ints, made: "_Made", weight: Floats) -> None:
        """Keep the weights of labels that count, and look up those of labels taken back."""
        odd = (made.sign < 0) | (weight[made.source] != 1.0)
        odd[1:] |= made.sign[:-1] < 0
        for fact in np.flatnonzero(odd).tolist():
            source = int(made.source[fact])
            row = int(places[source])
            if made.sign[fact] < 0:
                made.weight[fact] = self._weight(row)
            else:
                self._set_weight(row, float(weight[source]))

    def _ranked(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        i: int,
        row: int,
        verdict: Verdict,
    ) -> None:
        """Take the truth of one ranking."""
        store, books = self._waiting.store, self._books
        page, slot = store.page_of(row), row & (PAGE_ROWS - 1)
        held = store.rows[row]
        gains, old = gains_of(rows.items[i]), page.gains.get(slot)
        if not held["flags"] & LABELLED:
            books.feedback_joined += 1
        elif old == gains:
            books.feedback_duplicate += 1
            return
        elif rows.ts[i] > held["label_ts"] and model.config.corrections != "first":
            books.feedback_corrected += 1
        else:
            books.feedback_conflict += 1
            facts.conflicts.append((store.rows["ts"][row : row + 1].copy(), _group(store, row)))
            verdict.conflicts.append(i)
            return
        first = not held["flags"] & LABELLED
        weight = float(rows.weight[i])
        if not first:
            taken = self._weight(row)
            self._tell(model, facts, row, old or {}, -1.0, taken, int(rows.ts[i]), first=False)
        if weight != 1.0 or not first:
            self._set_weight(row, weight)
        self._tell(model, facts, row, gains, 1.0, weight, int(rows.ts[i]), first=first)
        self._set_gains(row, gains)
        self._label(model, row, int(rows.ts[i]))

    def _tell(
        self,
        model: ModelState,
        facts: ModelFacts,
        row: int,
        gains: dict[str, float],
        sign: float,
        weight: float,
        at: int,
        *,
        first: bool,
    ) -> None:
        """Add a fact about a ranking."""
        store = self._waiting.store
        page = store.page_of(row)
        scores = ranking_scores(
            page.rankings.get(row & (PAGE_ROWS - 1), []), gains, model.layout.top_k
        )
        ts = store.rows["ts"][row : row + 1].copy()
        facts.labels.append(
            LabelFacts(
                ts,
                _group(store, row),
                np.array([sign]),
                np.array([first]),
                np.array([weight]),
                np.full(1, np.nan),
                None,
                np.full(1, np.nan),
                np.array([scores]),
                np.maximum(at - ts, 0) / 1000.0,
            )
        )

    def _label(self, model: ModelState, row: int, at: int) -> None:
        """Note that a ranking's truth is known."""
        store = self._waiting.store
        if not store.rows["flags"][row] & MATCHED:
            self._matched(1)
        store.rows["flags"][row] |= LABELLED | MATCHED
        store.rows["label_ts"][row] = at
        one = np.array([store.handle(row)])
        self._changes.labels.append(LabelChange(one, np.full(1, np.nan), np.array([at])))
        self._changes.touch(int(store.rows["ts"][row]), model.retention)

    def _matched(self, count: int) -> None:
        self._books.predictions_joined += count
        self._books.predictions_waiting -= count

    def _weight(self, row: int) -> float:
        return self._waiting.store.page_of(row).weights.get(row & (PAGE_ROWS - 1), 1.0)

    def _set_weight(self, row: int, weight: float) -> None:
        store = self._waiting.store
        store.rows["flags"][row] |= WEIGHTED
        store.page_of(row).weights[row & (PAGE_ROWS - 1)] = weight
        self._changes.weights[store.handle(row)] = weight

    def _set_gains(self, row: int, gains: dict[str, float]) -> None:
        store = self._waiting.store
        store.page_of(row).gains[row & (PAGE_ROWS - 1)] = gains
        self._changes.gains[store.handle(row)] = gains

    # -- outcomes -----------------------------------------------------------------------------

    def _outcomes(
        self,
        model: ModelState,
        facts: ModelFacts,
        rows: FeedbackRows,
        index: Ints,
        places: Ints,
        verdict: Verdict,
    ) -> None:
        books, store = self._books, self._waiting.store
        position = {name: i for i, name in enumerate(model.layout.outcomes)}
        place = np.array([position.get(name, NONE) for name in rows.event.values])
        outcome = place[rows.event.codes[index]]
        items = rows.item.take(index).strings()
        flags = store.rows["flags"]
        kept: list[int] = []
        first: list[bool] = []
        first_any: list[bool] = []
        for i, (row, kind) in enumerate(zip(places.tolist(), outcome.tolist(), strict=True)):
            at = int(index[i])
            if kind < 0:
                detail = "event: not among the outcomes of the prediction's model"
                verdict.refused.append((at, Reason.WRONG_TASK, detail))
                continue
            key = (kind, items[i] or "", int(rows.ts[at]))
            page = store.page_of(row)
            seen = page.outcomes.setdefault(row & (PAGE_ROWS - 1), set())
            if key in seen:
                books.feedback_duplicate += 1
                continue
            first.append(all(one[0] != kind for one in seen))
            first_any.append(not seen)
            seen.add(key)
            self._changes.outcomes.append((store.handle(row), key))
            books.feedback_joined += 1
            if not flags[row] & MATCHED:
                flags[row] |= MATCHED
                self._matched(1)
            kept.append(i)
            if model.config.task == "ranking" and items[i] is not None:
                self._relevant(model, facts, int(rows.ts[at]), row, str(items[i]))
        if not kept:
            return
        chosen = np.array(kept)
        held = store.rows[places[chosen]]
        self._changes.touch(int(held["ts"].max()), model.retention)
        value = rows.value[index[chosen]]
        facts.outcomes.append(
            OutcomeFacts(
                held["ts"].copy(),
                held["group"].copy(),
                outcome[chosen].astype(np.int64),
                np.array(first),
                np.array(first_any),
                np.where(np.isnan(value), 0.0, value),
            )
        )

    def _relevant(self, model: ModelState, facts: ModelFacts, at: int, row: int, item: str) -> None:
        """An outcome about an item of a ranking says that the item was relevant."""
        old = self._waiting.store.page_of(row).gains.get(row & (PAGE_ROWS - 1))
        new = {**(old or {}), item: 1.0}
        if new == old:
            return
        weight = self._weight(row)
        if old is not None:
            self._tell(model, facts, row, old, -1.0, weight, at, first=False)
        self._tell(model, facts, row, new, 1.0, weight, at, first=old is None)
        self._set_gains(row, new)
        self._label(model, row, at)


def _group(store: Any, row: int) -> NDArray[np.int32]:
    held: NDArray[np.int32] = store.rows["group"][row : row + 1].copy()
    return held


@dataclass(slots=True)
class _Made:
    """Columns of :class:`LabelFacts` as they are made; ``source`` is the label's position."""

    ts: Ints
    group: NDArray[np.int32]
    sign: Floats
    first: Bools
    weight: Floats
    predicted: Floats
    score: Floats
    actual: Floats
    delay: Floats
    source: Ints

    @classmethod
    def room(cls, n: int, width: int) -> "_Made":
        """Make room for ``n`` facts."""
        return cls(
            np.empty(n, dtype=np.int64),
            np.empty(n, dtype=np.int32),
            np.empty(n),
            np.empty(n, dtype=np.bool_),
            np.empty(n),
            np.empty(n),
            np.empty(n * width),
            np.empty(n),
            np.empty(n),
            np.empty(n, dtype=np.int64),
        )

    def cut(self, n: int, width: int) -> "_Made":
        """Keep the first ``n``."""
        return _Made(
            *(self.ts[:n], self.group[:n], self.sign[:n], self.first[:n], self.weight[:n]),
            *(self.predicted[:n], self.score[: n * width], self.actual[:n], self.delay[:n]),
            self.source[:n],
        )


@kernel
def _match(
    rows: NDArray[Any],
    wide: Floats,
    wide_at: Ints,
    width: int,
    regression: bool,  # noqa: FBT001 - a kernel takes arguments by position
    keep_first: bool,  # noqa: FBT001 - likewise
    places: Ints,
    values: Floats,
    label_ts: Ints,
    weights: Floats,
    ts: Ints,
    group: NDArray[np.int32],
    sign: Floats,
    first: Bools,
    weight: Floats,
    predicted: Floats,
    score: Floats,
    actual: Floats,
    delay: Floats,
    source: Ints,
    conflicts: Ints,
    counts: Ints,
) -> None:
    """Apply labels one after the other; see :class:`Matcher`.

    ``counts`` takes labels that joined, duplicates, corrections and conflicts, predictions that
    nothing had met before, facts that were made, the largest event time among them, and labels
    that have or had a weight.
    """
    made = 0
    stride = 2 if regression else width
    for i in range(len(places)):
        row = places[i]
        base = np.int64(0)
        if stride:
            base = wide_at[row >> PAGE_BITS] + (row & (PAGE_ROWS - 1)) * stride
        known = rows[row].flags & LABELLED
        value = values[i]
        old = np.nan
        if known:
            old = wide[base + 1] if regression else np.float64(rows[row].label)
            if old == value:
                counts[1] += 1
                continue
            if keep_first or label_ts[i] <= rows[row].label_ts:
                conflicts[counts[3]] = i
                counts[3] += 1
                continue
            counts[2] += 1
        else:
            counts[0] += 1
        if not rows[row].flags & MATCHED:
            counts[4] += 1
        said = np.nan
        if regression:
            said = wide[base]
        elif rows[row].predicted != NONE:
            said = np.float64(rows[row].predicted)
        for new in range(0 if known else 1, 2):
            ts[made] = rows[row].ts
            group[made] = rows[row].group
            sign[made] = 1.0 if new else -1.0
            first[made] = not known
            weight[made] = weights[i]
            predicted[made] = said
            for j in range(width):
                score[made * width + j] = wide[base + j]
            actual[made] = value if new else old
            delay[made] = max(label_ts[i] - rows[row].ts, 0) / 1000.0
            source[made] = i
            made += 1
        counts[6] = max(counts[6], rows[row].ts)
        if weights[i] != 1.0 or rows[row].flags & WEIGHTED:
            counts[7] += 1
        rows[row].flags |= LABELLED | MATCHED
        rows[row].label_ts = label_ts[i]
        if regression:
            wide[base + 1] = value
        else:
            rows[row].label = np.int16(value)
    counts[5] = made
