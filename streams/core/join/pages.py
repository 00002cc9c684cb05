"""Where predictions wait: columns in pages of one model each, dropped whole when they expire.

A row is referred to by its *handle*, page number times the page's size plus its slot. Page numbers
only grow, so a handle never comes to mean another row.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.events.ids import Ids as IdColumn

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

PAGE_BITS = 15
PAGE_ROWS = 1 << PAGE_BITS

LABELLED = 1
"""The truth is known."""
MATCHED = 2
"""Some feedback, truth or outcome, has met the prediction."""
EXPIRED = 4
"""The horizon has passed."""

LABEL_UNKNOWN = np.nan
NEVER_EXPIRES = 2**62


class Page:
    """Up to 32,768 rows of one model.

    Attributes:
        model: the model.
        used: slots filled so far.
        ts: event time of the prediction, ms.
        group: version and segments, by number (see :mod:`streams.core.join.groups`).
        predicted: class index or number; NaN for none.
        score: (rows,) or (rows, K) scores; None for tasks without.
        label: class index or number once known.
        label_ts: event time of the label that counts, ms.
        outcomes: one bit per configured outcome that was seen.
        flags: LABELLED, MATCHED, EXPIRED.
        rankings: ranked items by slot (ranking).
        newest: largest ``ts``; decides when the page may go.
        oldest_waiting: lower bound of ``ts`` over the rows that have not expired.
    """

    def __init__(self, model: str, score_width: int) -> None:
        self.model = model
        self.used = 0
        self.ts: Ints = np.zeros(0, dtype=np.int64)
        self.group = np.zeros(0, dtype=np.int32)
        self.predicted: Floats = np.zeros(0)
        self.score: Floats | None = (
            None if score_width == 0 else np.zeros(0 if score_width == 1 else (0, score_width))
        )
        self.label: Floats = np.zeros(0)
        self.label_ts: Ints = np.zeros(0, dtype=np.int64)
        self.outcomes = np.zeros(0, dtype=np.uint32)
        self.flags = np.zeros(0, dtype=np.uint8)
        self.rankings: dict[int, list[str]] = {}
        self.newest = -(2**62)
        self.oldest_waiting = NEVER_EXPIRES
        self._id_ends = np.zeros(0, dtype=np.uint32)
        self._id_bytes = np.zeros(0, dtype=np.uint8)
        self._id_used = 0

    def _reserve(self, rows: int) -> None:
        if rows <= len(self.ts):
            return
        # Quiet models keep small pages; busy ones double up to the full size.
        size = min(PAGE_ROWS, max(256, 1 << (rows - 1).bit_length()))
        for name in ("ts", "group", "predicted", "score", "label", "label_ts", "outcomes", "flags"):
            old = getattr(self, name)
            if old is not None:
                new = np.zeros((size, *old.shape[1:]), dtype=old.dtype)
                new[: len(old)] = old
                setattr(self, name, new)
        ends = np.zeros(size, dtype=np.uint32)
        ends[: len(self._id_ends)] = self._id_ends
        self._id_ends = ends

    def append(self, rows: "NewRows") -> None:
        """Append rows; the caller has made sure that they fit."""
        start, stop = self.used, self.used + len(rows.ids)
        self._reserve(stop)
        joined, lengths = rows.ids.joined(), rows.ids.size
        behind = self._id_used + len(joined)
        if behind > len(self._id_bytes):
            grown = np.zeros(max(behind, len(self._id_bytes) * 3 // 2), dtype=np.uint8)
            grown[: self._id_used] = self._id_bytes[: self._id_used]
            self._id_bytes = grown
        self._id_bytes[self._id_used : behind] = joined
        self._id_ends[start:stop] = self._id_used + np.cumsum(lengths)
        self._id_used = behind
        self.ts[start:stop] = rows.ts
        self.group[start:stop] = rows.group
        self.predicted[start:stop] = rows.predicted
        if self.score is not None:
            self.score[start:stop] = np.nan if rows.score is None else rows.score
        self.label[start:stop] = LABEL_UNKNOWN
        if rows.rankings is not None:
            self.rankings.update(zip(range(start, stop), rows.rankings, strict=True))
        self.used = stop
        self.newest = max(self.newest, int(rows.ts.max()))
        self.oldest_waiting = min(self.oldest_waiting, int(rows.ts.min()))

    def skip(self, rows: int) -> None:
        """Leave slots empty; they count as expired."""
        start, stop = self.used, self.used + rows
        self._reserve(stop)
        self._id_ends[start:stop] = self._id_used
        self.flags[start:stop] = EXPIRED
        self.used = stop

    def id_bytes(self, slot: int) -> bytes:
        """Id of a row."""
        start = int(self._id_ends[slot - 1]) if slot else 0
        return self._id_bytes[start : int(self._id_ends[slot])].tobytes()

    def same_ids(self, slots: Ints, joined: NDArray[np.uint8], lengths: Ints) -> NDArray[np.bool_]:
        """Compare the ids of rows with others, byte by byte but all at once.

        Args:
            slots: the rows.
            joined: the other ids' bytes, one after the other.
            lengths: bytes of each.
        """
        ends = self._id_ends[slots].astype(np.int64)
        starts = np.where(slots > 0, self._id_ends[slots - 1], 0).astype(np.int64)
        same: NDArray[np.bool_] = (ends - starts) == lengths
        if not same.all():
            keep = np.repeat(same, lengths)
            joined, lengths, starts = joined[keep], lengths[same], starts[same]
        behind = np.cumsum(lengths)
        shift = np.repeat(starts - (behind - lengths), lengths)
        differs = self._id_bytes[shift + np.arange(len(joined))] != joined
        if differs.any():
            wrong = np.searchsorted(behind, np.flatnonzero(differs), side="right")
            same[np.flatnonzero(same)[wrong]] = False
        return same

    def ids(self, slots: Ints) -> list[str]:
        """Ids of rows."""
        return [self.id_bytes(slot).decode() for slot in slots.tolist()]

    def expire(self, before: int) -> Ints:
        """Mark rows with ``ts`` below a moment as expired; gives the slots that were not yet."""
        if self.oldest_waiting >= before:
            return np.zeros(0, dtype=np.int64)
        waiting = (self.flags[: self.used] & EXPIRED) == 0
        due = waiting & (self.ts[: self.used] < before)
        slots = np.flatnonzero(due)
        self.flags[slots] |= EXPIRED
        rest = self.ts[: self.used][waiting & ~due]
        self.oldest_waiting = int(rest.min()) if len(rest) else NEVER_EXPIRES
        return slots

    def waiting(self) -> int:
        """Count the rows that nothing has met and whose horizon has not passed."""
        return int(((self.flags[: self.used] & (EXPIRED | MATCHED)) == 0).sum())

    @property
    def nbytes(self) -> int:
        """Memory of the columns, the ids' own bytes left out."""
        columns = (self.ts, self.group, self.predicted, self.label, self.label_ts)
        rest = (self.outcomes, self.flags, self._id_ends)
        score = 0 if self.score is None else self.score.nbytes
        return sum(c.nbytes for c in columns) + sum(c.nbytes for c in rest) + score

    @property
    def id_nbytes(self) -> int:
        """Memory of the ids' own bytes."""
        return self._id_used


@dataclass(slots=True)
class NewRows:
    """Rows to append, all of one model; columns as in :class:`Page`."""

    ids: IdColumn
    ts: Ints
    group: NDArray[np.int32]
    predicted: Floats
    score: Floats | None = None
    rankings: list[list[str]] | None = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ids)

    def part(self, start: int, stop: int) -> "NewRows":
        """Rows ``start:stop``."""
        return NewRows(
            self.ids.slice(start, stop),
            self.ts[start:stop],
            self.group[start:stop],
            self.predicted[start:stop],
            None if self.score is None else self.score[start:stop],
            None if self.rankings is None else self.rankings[start:stop],
        )


@dataclass(slots=True)
class Placed:
    """Rows of one page that were just appended: for the checkpoint's delta."""

    page: int
    start: int
    rows: NewRows


@dataclass
class PageStore:
    """All pages of a partition."""

    pages: dict[int, Page] = field(default_factory=dict)
    next_page: int = 0
    _open: dict[str, int] = field(default_factory=dict)

    def append(self, model: str, score_width: int, rows: NewRows) -> tuple[Ints, list[Placed]]:
        """Store rows of a model; gives their handles and where they went."""
        handles: list[Ints] = []
        placed: list[Placed] = []
        start = 0
        while start < len(rows):
            number = self._open.get(model, -1)
            page = self.pages.get(number)
            if page is None or page.used == PAGE_ROWS:
                number = self.next_page
                self.next_page += 1
                page = self.pages[number] = Page(model, score_width)
                self._open[model] = number
            stop = min(len(rows), start + PAGE_ROWS - page.used)
            part = rows.part(start, stop)
            slot = page.used
            page.append(part)
            placed.append(Placed(number, slot, part))
            handles.append(np.arange(slot, page.used, dtype=np.int64) + (number << PAGE_BITS))
            start = stop
        return (np.concatenate(handles) if handles else np.zeros(0, dtype=np.int64)), placed

    def restore(self, page: int, start: int, model: str, score_width: int, rows: NewRows) -> None:
        """Put rows back where :meth:`append` placed them; pages come back in slot order."""
        target = self.pages.get(page)
        if target is None:
            target = self.pages[page] = Page(model, score_width)
        if start > target.used:
            # Rows before these expired and were forgotten: their slots stay empty.
            target.skip(start - target.used)
        target.append(rows)

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
                    page.skip(used - page.used)
                self._open[model] = number

    def holds(self, handles: Ints) -> NDArray[np.bool_]:
        """Which handles lead to a slot that is in use."""
        held = self.alive(handles)
        there = np.flatnonzero(held)
        for _, page, positions, slots in self.by_page(handles[there]):
            held[there[positions]] = slots < page.used
        return held

    def alive(self, handles: Ints) -> NDArray[np.bool_]:
        """Which handles lead to a page that is still there."""
        numbers, inverse = np.unique(handles >> PAGE_BITS, return_inverse=True)
        there = np.fromiter((n in self.pages for n in numbers.tolist()), np.bool_, len(numbers))
        return there[inverse]

    def slot_in_use(self, handle: int) -> bool:
        """Whether one handle leads to a slot that is in use."""
        page = self.pages.get(handle >> PAGE_BITS)
        return page is not None and (handle & (PAGE_ROWS - 1)) < page.used

    def by_page(self, handles: Ints) -> Iterator[tuple[int, Page, Ints, Ints]]:
        """Split handles by page: page number, page, positions in ``handles``, slots.

        Positions ascend within a page.
        """
        if not len(handles):
            return
        numbers = handles >> PAGE_BITS
        first = int(numbers[0])
        if (numbers == first).all():
            yield first, self.pages[first], np.arange(len(handles)), handles & (PAGE_ROWS - 1)
            return
        order = np.argsort(numbers, kind="stable")
        ordered = numbers[order]
        bounds = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(order)]
        for low, high in itertools.pairwise(bounds):
            number = int(ordered[low])
            positions = order[low:high]
            yield number, self.pages[number], positions, handles[positions] & (PAGE_ROWS - 1)

    def gather(self, handles: Ints, names: tuple[str, ...]) -> list[NDArray[Any]]:
        """Columns of rows by handle, all of one model."""
        out: list[NDArray[Any]] = []
        for _, page, positions, slots in self.by_page(handles):
            for i, name in enumerate(names):
                column = getattr(page, name)
                if len(out) <= i:
                    out.append(np.empty((len(handles), *column.shape[1:]), dtype=column.dtype))
                out[i][positions] = column[slots]
        return out

    def drop(self, page: int) -> None:
        """Forget a page."""
        model = self.pages.pop(page).model
        if self._open.get(model) == page:
            del self._open[model]
