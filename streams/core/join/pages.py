"""Where predictions wait: rows of 32 bytes in pages of one model each, dropped whole.

A row is referred to in two ways. In memory by its place in the arrays, which is given to others
once its page is gone. In the state by its *handle*, the page's number times the page's size plus
its slot: page numbers only grow, so a handle never comes to mean another row.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel
from streams.core.join.frames import Frames
from streams.events.ids import Ids as IdColumn

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PAGE_BITS = 11
PAGE_ROWS = 1 << PAGE_BITS

LABELLED = 1
"""The truth is known."""
MATCHED = 2
"""Some feedback, truth or outcome, has met the prediction."""
EXPIRED = 4
"""The horizon has passed."""
WEIGHTED = 8
"""The label's weight may be other than 1."""

NONE = -1
NEVER_EXPIRES = 2**62

ROW = np.dtype(
    [
        ("ts", np.int64),  # event time of the prediction, ms
        ("label_ts", np.int64),  # event time of the label that counts, ms
        ("id_at", np.uint32),  # where the id lies, in words
        ("group", np.int32),  # version and segments, by number
        ("predicted", np.int16),  # class; NONE without
        ("label", np.int16),  # class, once known
        ("flags", np.uint8),  # LABELLED, MATCHED, EXPIRED, WEIGHTED
    ],
    align=True,
)
MOST_CLASSES = np.iinfo(np.int16).max

_GRANULE = 1 << 11  # words; ids of a page lie in granules of 8 kB
OutcomeKey = tuple[int, str, int]
"""Outcome, item ("" for none) and event time: the same event sent twice has the same key."""


@dataclass(slots=True, frozen=True)
class Kind:
    """What a model's rows need.

    Attributes:
        name: the model.
        code: a number for it.
        width: scores of a row.
        regression: predictions and labels are numbers, not classes.
        horizon: how long labels count, ms.
        retention: how long a prediction is remembered, ms.
    """

    name: str
    code: int
    width: int
    regression: bool
    horizon: int
    retention: int

    @property
    def wide(self) -> int:
        """Numbers kept apart: the scores, or the prediction and its label."""
        return 2 if self.regression else self.width


class Page:
    """Up to 2,048 rows of one model.

    Attributes:
        number: the page's number.
        kind: the model.
        frame: where its rows are.
        wide_frame: where its numbers are.
        used: slots filled so far.
        newest: largest ``ts``; decides when the page may go.
        oldest: lower bound of ``ts`` over the rows that have not expired.
        due: when it has to be looked at.
        granules: where the ids are.
        rankings: ranked items by slot.
        weights: weight of the label that counts by slot, where it is not 1.
        gains: gain by item of the truth of a ranking, by slot.
        outcomes: outcome events seen, by slot.
    """

    __slots__ = (
        *("cursor", "due", "end", "frame", "gains", "granules", "kind", "newest", "number"),
        *("oldest", "outcomes", "rankings", "used", "weights", "wide_frame"),
    )

    def __init__(self, number: int, kind: Kind, frame: int, wide_frame: int) -> None:
        self.number = number
        self.kind = kind
        self.frame = frame
        self.wide_frame = wide_frame
        self.used = 0
        self.newest = -NEVER_EXPIRES
        self.oldest = NEVER_EXPIRES
        self.due = NEVER_EXPIRES
        self.granules: list[int] = []
        self.cursor = self.end = 0
        self.rankings: dict[int, list[str]] = {}
        self.weights: dict[int, float] = {}
        self.gains: dict[int, dict[str, float]] = {}
        self.outcomes: dict[int, set[OutcomeKey]] = {}

    @property
    def row(self) -> int:
        """Row of the first slot."""
        return self.frame << PAGE_BITS

    def next_due(self) -> int:
        """Moment after which rows expire or the page may go."""
        kind = self.kind
        if self.oldest == NEVER_EXPIRES:
            return self.newest + kind.retention
        return min(self.oldest + kind.horizon, self.newest + kind.retention)


@dataclass(slots=True)
class NewRows:
    """Rows to append, all of one model.

    Attributes:
        ids: ids.
        ts: event time, ms.
        group: version and segments.
        predicted: class or number; NaN for none.
        score: (n,) or (n, width) scores; None where no row has any.
        rankings: ranked items of each row, or None.
    """

    ids: IdColumn
    ts: Ints
    group: NDArray[np.int32]
    predicted: Floats
    score: Floats | None = None
    rankings: list[list[str]] | None = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ts)


class PageStore:
    """All pages of a partition.

    Attributes:
        pages: the pages by number.
        retention: per frame, how long its rows are remembered, ms.
        horizon: per frame, how long labels of its rows count, ms.
        model_of: per frame, the number of its model.
        wide_at: per frame, where its numbers begin.
        appended: first new slot of the pages that were appended to since :meth:`harvest`.
    """

    def __init__(self) -> None:
        self.pages: dict[int, Page] = {}
        self.next_page = 0
        self.appended: dict[int, int] = {}
        self._open: dict[str, int] = {}
        self._rows = Frames(ROW, PAGE_ROWS)
        self._words = Frames(np.uint32, _GRANULE)
        self._wide: dict[int, Frames] = {}
        self._by_frame: list[Page | None] = []
        self._due: list[tuple[int, int]] = []
        self.retention: Ints = np.zeros(1, dtype=np.int64)
        self.horizon: Ints = np.zeros(1, dtype=np.int64)
        self.wide_at: Ints = np.zeros(1, dtype=np.int64)
        self.model_of = np.zeros(1, dtype=np.int32)
        self._number_of: Ints = np.zeros(1, dtype=np.int64)

    # -- arrays; none may be kept while rows are appended or pages dropped ---------------------

    @property
    def rows(self) -> NDArray[np.void]:
        """All rows."""
        return self._rows.data

    @property
    def words(self) -> NDArray[np.uint32]:
        """The ids, each behind its size, as words."""
        return self._words.data

    @property
    def text(self) -> NDArray[np.uint8]:
        """The same as bytes."""
        return self._words.data.view(np.uint8)

    def wide(self, kind: Kind) -> Floats:
        """Numbers kept apart, of all models with as many."""
        frames = self._wide.get(kind.wide)
        return np.zeros(0) if frames is None else frames.data

    @property
    def nbytes(self) -> int:
        """Memory of everything but the ids' own words."""
        wide = sum(frames.nbytes for frames in self._wide.values())
        tables = (self.retention, self.horizon, self.wide_at, self.model_of, self._number_of)
        return self._rows.nbytes + wide + sum(table.nbytes for table in tables)

    @property
    def id_nbytes(self) -> int:
        """Memory of the ids."""
        return self._words.nbytes

    def __len__(self) -> int:
        """Count the rows."""
        return sum(page.used for page in self.pages.values())

    # -- appending ------------------------------------------------------------------------------

    def append(self, kind: Kind, rows: NewRows) -> Iterator[tuple[int, int, int]]:
        """Store rows of a model; gives (start, stop, first row) of the stretches they went to.

        Each stretch is stored before it is given.
        """
        start = 0
        while start < len(rows):
            page = self.pages.get(self._open.get(kind.name, -1))
            if page is None or page.used == PAGE_ROWS:
                page = self._make(self.next_page, kind)
                self._open[kind.name] = page.number
                self.next_page += 1
            stop = min(len(rows), start + PAGE_ROWS - page.used)
            self.appended.setdefault(page.number, page.used)
            yield start, stop, self._fill(page, rows, start, stop)
            start = stop

    def restore(self, number: int, start: int, kind: Kind, rows: NewRows) -> int:
        """Put rows back where they were, pages in slot order; gives the first row."""
        page = self.pages.get(number)
        if page is None:
            page = self._make(number, kind)
        if start > page.used:
            # Rows before these expired and were forgotten: their slots stay empty.
            self._skip(page, start - page.used)
        return self._fill(page, rows, 0, len(rows))

    def _make(self, number: int, kind: Kind) -> Page:
        frame = self._rows.take()
        wide_frame = 0
        if kind.wide:
            wide = self._wide.get(kind.wide)
            if wide is None:
                wide = self._wide[kind.wide] = Frames(np.float64, PAGE_ROWS * kind.wide)
            wide_frame = wide.take()
        while frame >= len(self.retention):
            for name in ("retention", "horizon", "wide_at", "model_of", "_number_of"):
                table = getattr(self, name)
                setattr(self, name, np.concatenate([table, np.zeros_like(table)]))
        self._by_frame += [None] * (frame + 1 - len(self._by_frame))
        self.retention[frame] = kind.retention
        self.horizon[frame] = kind.horizon
        self.wide_at[frame] = wide_frame * PAGE_ROWS * kind.wide
        self.model_of[frame] = kind.code
        self._number_of[frame] = number
        page = self.pages[number] = self._by_frame[frame] = Page(number, kind, frame, wide_frame)
        return page

    def _fill(self, page: Page, rows: NewRows, start: int, stop: int) -> int:
        """Append rows to a page; gives the first."""
        kind, slot = page.kind, page.used
        first = page.row + slot
        self._write_ids(page, rows.ids, start, stop, first)
        part, ts = slice(start, stop), rows.ts[start:stop]
        target = self.rows[first : first + stop - start]
        target["ts"] = ts
        target["label_ts"] = 0
        target["group"] = rows.group[part]
        target["label"] = NONE
        target["flags"] = 0
        predicted = rows.predicted[part]
        if kind.regression:
            target["predicted"] = NONE
            numbers = self._numbers(page, slot, slot + stop - start)
            numbers[:, 0] = predicted
            numbers[:, 1] = np.nan
        else:
            target["predicted"] = np.where(np.isnan(predicted), NONE, predicted)
            if kind.width:
                numbers = self._numbers(page, slot, slot + stop - start)
                score = rows.score
                numbers[:] = (
                    np.nan if score is None else score[part].reshape(stop - start, kind.width)
                )
        if rows.rankings is not None:
            page.rankings.update(zip(range(slot, slot + stop - start), rows.rankings[part]))  # noqa: B905 - as many
        page.used += stop - start
        page.newest = max(page.newest, int(ts.max()))
        page.oldest = min(page.oldest, int(ts.min()))
        self._schedule(page)
        return first

    def _numbers(self, page: Page, start: int, stop: int) -> Floats:
        """Numbers of some slots, (slots, width)."""
        width = page.kind.wide
        base = int(self.wide_at[page.frame])
        flat: Floats = self._wide[width].data[base + start * width : base + stop * width]
        return flat.reshape(stop - start, width)

    def _write_ids(self, page: Page, ids: IdColumn, start: int, stop: int, row: int) -> None:
        while start < stop:
            done, page.cursor = _write_ids(
                *(self.rows, self.words, self.text, row, page.cursor, page.end),
                *(ids.data, ids.at, ids.size, start, stop),
            )
            row += done - start
            start = done
            if start < stop:
                self._more_room(page, 1 + (int(ids.size[start]) + 3) // 4)

    def _more_room(self, page: Page, words: int) -> None:
        count = -(-words // _GRANULE)
        first = self._words.take(count)
        page.granules += range(first, first + count)
        page.cursor, page.end = first * _GRANULE, (first + count) * _GRANULE

    def _skip(self, page: Page, rows: int) -> None:
        """Leave slots empty; they count as expired, and their id as nothing."""
        if page.cursor == page.end:
            self._more_room(page, 1)
        self.words[page.cursor] = 0
        first = page.row + page.used
        target = self.rows[first : first + rows]
        target[:] = np.zeros(1, dtype=ROW)
        target["id_at"] = page.cursor
        target["flags"] = EXPIRED
        page.cursor += 1
        page.used += rows

    def harvest(self) -> list[tuple[Page, int]]:
        """Pages that were appended to and are still there, with their first new slot."""
        found = [(self.pages[n], start) for n, start in self.appended.items() if n in self.pages]
        self.appended = {}
        return found

    def open_pages(self) -> dict[str, list[int]]:
        """Per model the page that takes new rows, and how many of its slots are in use."""
        return {model: [page, self.pages[page].used] for model, page in self._open.items()}

    def reopen(self, open_pages: Mapping[str, Sequence[int]], next_page: int) -> None:
        """Go on where :meth:`open_pages` was read, after :meth:`restore`.

        Handles that were given out before are never given out again, though their rows may be gone.
        """
        self.next_page = next_page
        for model, (number, used) in open_pages.items():
            page = self.pages.get(number)
            if page is not None:
                if used > page.used:
                    self._skip(page, used - page.used)
                self._open[model] = number

    # -- reading --------------------------------------------------------------------------------

    def page_of(self, row: int) -> Page:
        """Page of a row."""
        page = self._by_frame[row >> PAGE_BITS]
        assert page is not None  # noqa: S101 - rows that are referred to are there
        return page

    def handles(self, rows: Ints) -> Ints:
        """Handles of rows."""
        pages = self._number_of[rows >> PAGE_BITS]
        handles: Ints = (pages << PAGE_BITS) | (rows & (PAGE_ROWS - 1))
        return handles

    def handle(self, row: int) -> int:
        """Handle of one row."""
        return (self.page_of(row).number << PAGE_BITS) + (row & (PAGE_ROWS - 1))

    def rows_of(self, handles: Ints) -> Ints:
        """Rows of handles, -1 where the row is gone."""
        numbers, inverse = np.unique(handles >> PAGE_BITS, return_inverse=True)
        pages = [self.pages.get(n) for n in numbers.tolist()]
        frames = np.array([-1 if p is None else p.frame for p in pages], dtype=np.int64)
        used = np.array([0 if p is None else p.used for p in pages], dtype=np.int64)
        slots = handles & (PAGE_ROWS - 1)
        return np.where(slots < used[inverse], (frames[inverse] << PAGE_BITS) + slots, -1)

    def row_of(self, handle: int) -> int:
        """Row of one handle, -1 where it is gone."""
        page, slot = self.pages.get(handle >> PAGE_BITS), handle & (PAGE_ROWS - 1)
        return -1 if page is None or slot >= page.used else page.row + slot

    def ids(self, page: Page, start: int = 0) -> IdColumn:
        """Ids of a page's slots from ``start`` on, copied."""
        first = page.row + start
        at = self.rows["id_at"][first : page.row + page.used].astype(np.int64)
        return IdColumn.spans(self.text, 4 * at + 4, self.words[at].astype(np.int64))

    def id_bytes(self, row: int) -> bytes:
        """Id of a row."""
        at = int(self.rows["id_at"][row])
        return self.text[4 * at + 4 : 4 * at + 4 + int(self.words[at])].tobytes()

    def columns(self, page: Page, start: int) -> NewRows:
        """Rows of a page from a slot on, as they were appended."""
        kind = page.kind
        rows = self.rows[page.row + start : page.row + page.used]
        if kind.regression:
            predicted, score = self._numbers(page, start, page.used)[:, 0].copy(), None
        else:
            predicted = np.where(rows["predicted"] == NONE, np.nan, rows["predicted"])
            score = self._numbers(page, start, page.used).copy() if kind.width else None
        rankings = None
        if page.rankings:
            rankings = [page.rankings.get(slot, []) for slot in range(start, page.used)]
        group, ts = rows["group"].copy(), rows["ts"].copy()
        return NewRows(self.ids(page, start), ts, group, predicted, score, rankings)

    def label(self, rows: Ints, label: Floats, label_ts: Ints) -> None:
        """Write labels back; several of one row in the order in which they counted."""
        flags = self.rows["flags"]
        flags[rows] |= LABELLED | MATCHED
        self.rows["label_ts"][rows] = label_ts
        # No model has labels of both kinds; those of rankings are neither.
        self.rows["label"][rows] = np.where(
            (label >= 0) & (label <= MOST_CLASSES), label, NONE
        ).astype(np.int16)
        frames = rows >> PAGE_BITS
        for frame in np.unique(frames).tolist():
            page = self._by_frame[frame]
            if page is not None and page.kind.regression:
                mine = frames == frame
                slots = rows[mine] & (PAGE_ROWS - 1)
                self._numbers(page, 0, page.used)[slots, 1] = label[mine]

    # -- time -----------------------------------------------------------------------------------

    def _schedule(self, page: Page) -> None:
        due = page.next_due()
        if due < page.due:
            page.due = due
            heapq.heappush(self._due, (due, page.number))

    def expire(self, moment: int) -> Iterator[tuple[Page, Ints, int]]:
        """Mark rows whose horizon has passed.

        Gives each page in which rows expired or that may go: the page, those of its rows that
        nothing has met, and 1 where the page may go, else 0.
        """
        while self._due and self._due[0][0] < moment:
            due, number = heapq.heappop(self._due)
            page = self.pages.get(number)
            if page is None or page.due != due:
                continue
            unmet = np.empty(page.used, dtype=np.int64)
            before = moment - page.kind.horizon
            count, page.oldest = _expire(self.rows, page.row, page.used, before, unmet)
            gone = page.newest + page.kind.retention < moment
            page.due = NEVER_EXPIRES
            if not gone:
                self._schedule(page)
            yield page, unmet[:count], gone

    def waiting(self) -> int:
        """Count the rows that nothing has met and whose horizon has not passed."""
        return sum(
            int(((self.rows["flags"][p.row : p.row + p.used] & (EXPIRED | MATCHED)) == 0).sum())
            for p in self.pages.values()
        )

    def drop(self, page: Page) -> None:
        """Forget a page."""
        del self.pages[page.number]
        self._by_frame[page.frame] = None
        self._rows.give(page.frame)
        if page.kind.wide:
            self._wide[page.kind.wide].give(page.wide_frame)
        for granule in page.granules:
            self._words.give(granule)
        if self._open.get(page.kind.name) == page.number:
            del self._open[page.kind.name]


@kernel
def _write_ids(
    rows: NDArray[Any],
    words: NDArray[np.uint32],
    text: NDArray[np.uint8],
    row: int,
    cursor: int,
    end: int,
    data: NDArray[np.uint8],
    at: Ints,
    size: Ints,
    start: int,
    stop: int,
) -> tuple[int, int]:
    """Store ids while there is room; gives the first that is not stored, and the next free word."""
    for i in range(start, stop):
        needed = 1 + (size[i] + 3) // 4
        if cursor + needed > end:
            return i, cursor
        words[cursor] = size[i]
        base = 4 * cursor + 4
        for j in range(size[i]):
            text[base + j] = data[at[i] + j]
        rows[row + i - start].id_at = cursor
        cursor += needed
    return stop, cursor


@kernel
def _expire(
    rows: NDArray[Any], first: int, count: int, before: int, unmet: Ints
) -> tuple[int, int]:
    """Mark rows; gives how many of them nothing had met, and the oldest ``ts`` that is left."""
    found = 0
    oldest = NEVER_EXPIRES
    for row in range(first, first + count):
        if rows[row].flags & EXPIRED:
            continue
        if rows[row].ts < before:
            rows[row].flags |= EXPIRED
            if not rows[row].flags & MATCHED:
                unmet[found] = row
                found += 1
        else:
            oldest = min(oldest, rows[row].ts)
    return found, oldest
