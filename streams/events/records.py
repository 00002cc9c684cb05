"""Walk through the records of a chunk: single events, batches, and what cannot be read.

Events are decoded one at a time rather than joined into one JSON list. Joining gains less than a
tenth, and two broken records can together form a list of the right length.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import numpy as np

from streams.config.pipeline import LimitsConfig
from streams.events.batches import BatchError
from streams.events.columns import Bools, Ints
from streams.events.diagnosis import DECODE_ERRORS, diagnose, explain, has_infinity, parse_leniently
from streams.events.reasons import Reason, Rejected, Verdicts
from streams.wire import Chunk

_MARK = b'"columns"'
# Records shorter than this are tried as single events first, which costs nothing; longer ones are
# searched for the mark of a batch in as many of their first bytes.
SNIFF = 1024
_GROUP = 512  # records


class Codec(Protocol):
    """How one kind of event is decoded.

    Attributes:
        strict: decodes an event whose every value has its usual type.
        lenient: decodes an event with odd values that do not forbid its use.
        batch: decodes a whole batch of usual values.
        rows_in: counts the rows of such a batch; raises ``BatchError``.
        split: cuts a parsed batch into single events as dictionaries; raises ``BatchError``.
        convert: makes a lenient event of such a dictionary.
    """

    strict: Callable[[bytes], Any]
    lenient: Callable[[bytes], Any]
    batch: Callable[[bytes], Any]

    def rows_in(self, batch: Any) -> int:
        """Count the rows."""

    def split(self, document: Any) -> Iterator[dict[str, Any]]:
        """Cut into single events."""

    def convert(self, event: dict[str, Any]) -> Any:
        """Make an event."""


class _Kind(msgspec.Struct):
    """Just enough to tell a batch from an event."""

    columns: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    prediction_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_kind = msgspec.json.Decoder(_Kind).decode


@dataclass(slots=True)
class Reading:
    """A few decoded records, not yet columns.

    Rows are numbered through the chunk; a record that cannot be read counts as one row.

    Attributes:
        strict: events of usual types, and the row of each.
        lenient: events with odd values, and the row of each.
        batches: batches, and the first row of each.
    """

    strict: tuple[list[Any], list[int]] = field(default_factory=lambda: ([], []))
    lenient: tuple[list[Any], list[int]] = field(default_factory=lambda: ([], []))
    batches: list[tuple[Any, int]] = field(default_factory=list)


@dataclass(slots=True)
class Places:
    """Where the rows of a chunk came from.

    Attributes:
        record: index of each row's record.
        row: index in its batch; -1 for rows that are whole records.
    """

    record: Ints
    row: Ints

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.record)

    def rejected(self, verdicts: Verdicts) -> list[Rejected]:
        """List the rejected rows in topic order."""
        found = []
        for position in verdicts.rows():
            reason, detail = verdicts.of(position)
            row = int(self.row[position])
            found.append(
                Rejected(reason, detail, int(self.record[position]), row if row >= 0 else None)
            )
        return found

    def kept(self, verdicts: Verdicts) -> Bools:
        """Mark the rows that are not rejected."""
        kept = np.ones(len(self), dtype=np.bool_)
        if len(verdicts):
            kept[verdicts.rows()] = False
        return kept


class Reader:
    """Decodes records one by one; no record can keep another from being read.

    Args:
        chunk: the records.
        codec: how they are decoded.
        limits: how large they may be.
        records: which of them are to be read, ascending; somebody else has read all others.
        counts: rows of each record, 1 for those to be read; changed as they are.
        batched: marks the batches that somebody else has read; changed likewise.

    Attributes:
        verdicts: rows rejected so far.
    """

    def __init__(
        self,
        chunk: Chunk,
        codec: Codec,
        limits: LimitsConfig,
        records: Ints,
        counts: Ints,
        batched: Bools,
    ) -> None:
        self.verdicts = Verdicts()
        packed = chunk.packed
        self._values = packed.spell(packed.value_at[records], packed.value_size[records])
        self._records = records.tolist()
        self._codec = codec
        self._limits = limits
        self._reading = Reading()
        self._position = 0
        self._counts = counts
        self._batched = batched
        self._starts = (np.cumsum(counts) - counts)[records].tolist()

    def readings(self) -> Iterator[Reading]:
        """Decode group by group.

        Groups are small so that what is decoded is still in the processor's cache when its
        columns are taken out, and its memory is used again for the next: a sixth faster than
        groups of 1,024.
        """
        more = 0  # rows beyond one per record
        for start in range(0, len(self._values), _GROUP):
            self._reading = Reading()
            group = slice(start, start + _GROUP)
            for record, value, first in zip(
                self._records[group], self._values[group], self._starts[group], strict=True
            ):
                self._position = first + more
                count = self._read(value, record)
                if count != 1:
                    self._counts[record] = count
                    more += count - 1
            yield self._reading

    def places(self) -> Places:
        """Tell where all rows came from, once all are read."""
        counts = self._counts
        total = int(counts.sum())
        if not self._batched.any():
            return Places(np.arange(total), np.full(total, -1))
        record = np.repeat(np.arange(len(counts)), counts)
        row = np.arange(total) - (np.cumsum(counts) - counts)[record]
        row[~self._batched[record]] = -1
        return Places(record, row)

    def first_rows(self, records: Ints) -> Ints:
        """Give the first row of records, once all are read."""
        if not self._batched.any():
            return records
        first: Ints = (np.cumsum(self._counts) - self._counts)[records]
        return first

    def _read(self, value: bytes | None, record: int) -> int:
        """Read a record; returns its number of rows."""
        if not value:
            return self._reject(Reason.EMPTY, "the record has no value")
        if len(value) > SNIFF and (
            len(value) > self._limits.max_event_bytes or value.find(_MARK, 0, SNIFF) >= 0
        ):
            return self._read_large(value, record)
        return self._read_event(value, record)

    def _read_event(self, value: bytes, record: int) -> int:
        try:
            event = self._codec.strict(value)
        except DECODE_ERRORS:
            return self._read_odd(value, record)
        self._reading.strict[0].append(event)
        self._reading.strict[1].append(self._position)
        return 1

    def _read_large(self, value: bytes, record: int) -> int:
        """Read a record that may be a batch; returns its number of rows."""
        if len(value) > self._limits.max_batch_bytes:
            limit = self._limits.max_batch_bytes
            return self._reject(Reason.TOO_LARGE, f"larger than limits.max_batch_bytes ({limit})")
        if value.find(_MARK, 0, SNIFF) >= 0:
            try:
                return self._take_batch(self._codec.batch(value), record)
            except BatchError as error:
                return self._reject(error.reason, error.detail)
            except DECODE_ERRORS as error:
                if _is_batch(value):
                    return self._read_rows(value, error, record)
        if len(value) > self._limits.max_event_bytes:
            limit = self._limits.max_event_bytes
            return self._reject(Reason.TOO_LARGE, f"larger than limits.max_event_bytes ({limit})")
        return self._read_odd(value, record)

    def _read_odd(self, value: bytes, record: int) -> int:
        """Read a record that is no usual event; returns its number of rows."""
        try:
            event = self._codec.lenient(value)
        except DECODE_ERRORS as error:
            if not _is_batch(value):
                return self._reject(*diagnose(value, error))
        else:
            self._reading.lenient[0].append(event)
            self._reading.lenient[1].append(self._position)
            return 1
        try:
            return self._take_batch(self._codec.batch(value), record)
        except BatchError as error:
            return self._reject(error.reason, error.detail)
        except DECODE_ERRORS as error:
            return self._read_rows(value, error, record)

    def _take_batch(self, batch: Any, record: int) -> int:
        count = self._codec.rows_in(batch)
        self._reading.batches.append((batch, self._position))
        self._batched[record] = True
        return count

    def _read_rows(self, value: bytes, error: Exception, record: int) -> int:
        """Read a batch with odd values row by row, so that only the rows at fault suffer."""
        try:
            events = list(self._codec.split(parse_leniently(value)))
        except BatchError as problem:
            return self._reject(problem.reason, problem.detail)
        except DECODE_ERRORS:
            return self._reject(*diagnose(value, error))
        held, rows = self._reading.lenient
        for row, event in enumerate(events, start=self._position):
            try:
                if has_infinity(event):
                    self.verdicts.add(row, Reason.NOT_FINITE, "a number is out of range")
                    continue
                held.append(self._codec.convert(event))
            except DECODE_ERRORS as problem:
                self.verdicts.add(row, *explain(problem))
            else:
                rows.append(row)
        self._batched[record] = True
        return len(events)

    def _reject(self, reason: Reason, detail: str) -> int:
        """Reject the record at hand as a whole."""
        self.verdicts.add(self._position, reason, detail)
        return 1


def _is_batch(value: bytes) -> bool:
    if _MARK not in value:
        return False
    try:
        kind = _kind(value)
    except DECODE_ERRORS:
        return False
    return kind.columns is not msgspec.UNSET and kind.prediction_id is msgspec.UNSET
