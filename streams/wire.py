"""Records as they come from and go to topics, before and after any meaning is given to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Header = tuple[str, bytes]
Ints = NDArray[np.int64]

NULL = -1
"""Size of a key or value that is absent."""


@dataclass(slots=True, frozen=True, eq=False)
class Packed:
    """Records as columns over one buffer; all arrays have one entry per record.

    Attributes:
        data: bytes, in which the records' keys and values lie anywhere; shape [bytes].
        offsets: offset of each record; ascending, gaps allowed.
        timestamps: broker timestamp of each record in ms since the epoch; -1 where unknown.
        key_at: where each key begins in ``data``.
        key_size: bytes of each key; ``NULL`` where there is none.
        value_at: where each value begins in ``data``.
        value_size: bytes of each value; ``NULL`` where there is none.
        headers: headers by record index, of the records that have any.
    """

    data: NDArray[np.uint8]
    offsets: Ints
    timestamps: Ints
    key_at: Ints
    key_size: Ints
    value_at: Ints
    value_size: Ints
    headers: Mapping[int, tuple[Header, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Count the records."""
        return len(self.offsets)

    def slice(self, start: int, stop: int) -> Self:
        """Select the records ``start:stop``; the buffer is shared."""
        part = slice(start, stop)
        headers = {i - start: held for i, held in self.headers.items() if start <= i < stop}
        return type(self)(
            self.data,
            self.offsets[part],
            self.timestamps[part],
            self.key_at[part],
            self.key_size[part],
            self.value_at[part],
            self.value_size[part],
            headers,
        )

    def spell(self, at: Ints, size: Ints) -> list[bytes | None]:
        """Make objects of keys or values."""
        view = memoryview(self.data.data)
        return [
            None if length == NULL else bytes(view[start : start + length])
            for start, length in zip(at.tolist(), size.tolist(), strict=True)
        ]


class Chunk:
    """Consecutive records of one partition of one source, in offset order.

    Made of lists or of a ``Packed``; each form is made of the other when it is first asked for, so
    that what only looks at columns never makes an object per record.

    Args:
        source: logical name of the source topic: "predictions", "feedback" or "partials".
        partition: partition that the records came from.
        offsets: offset of each record; ascending, gaps allowed.
        keys: key bytes of each record.
        values: value bytes of each record.
        timestamps: broker timestamp of each record in ms since the epoch; -1 where unknown.
        headers: headers of each record.
    """

    __slots__ = (
        *("_headers", "_keys", "_offsets", "_packed", "_timestamps", "_values"),
        *("partition", "source"),
    )

    def __init__(
        self,
        source: str,
        partition: int,
        offsets: list[int],
        keys: list[bytes | None],
        values: list[bytes | None],
        timestamps: list[int],
        headers: list[tuple[Header, ...]],
    ) -> None:
        self.source = source
        self.partition = partition
        self._offsets: list[int] | None = offsets
        self._keys: list[bytes | None] | None = keys
        self._values: list[bytes | None] | None = values
        self._timestamps: list[int] | None = timestamps
        self._headers: list[tuple[Header, ...]] | None = headers
        self._packed: Packed | None = None

    @classmethod
    def of(cls, source: str, partition: int, packed: Packed) -> Self:
        """Make a chunk of columns."""
        chunk = cls.__new__(cls)
        chunk._fill(source, partition, packed)  # noqa: SLF001 - of its own class
        return chunk

    def _fill(self, source: str, partition: int, packed: Packed) -> None:
        self.source, self.partition, self._packed = source, partition, packed
        self._offsets = self._keys = self._values = self._timestamps = self._headers = None

    def __len__(self) -> int:
        """Count the records."""
        return len(self._packed) if self._offsets is None else len(self._offsets)  # type: ignore[arg-type]  # one of the two is there

    def __eq__(self, other: object) -> bool:
        """Compare the records."""
        return isinstance(other, Chunk) and self._all() == other._all()

    __hash__ = None  # type: ignore[assignment]  # its lists may grow

    def _all(self) -> tuple[Any, ...]:
        return (
            *(self.source, self.partition, self.offsets, self.keys, self.values),
            *(self.timestamps, self.headers),
        )

    @property
    def packed(self) -> Packed:
        """The records as columns; lists that were given must not change any more."""
        if self._packed is None:
            self._packed = _pack(
                self.offsets, self.keys, self.values, self.timestamps, self.headers
            )
        return self._packed

    @property
    def offsets(self) -> list[int]:
        """Offset of each record."""
        if self._offsets is None:
            self._offsets = self.packed.offsets.tolist()
        return self._offsets

    @property
    def keys(self) -> list[bytes | None]:
        """Key of each record."""
        if self._keys is None:
            self._keys = self.packed.spell(self.packed.key_at, self.packed.key_size)
        return self._keys

    @property
    def values(self) -> list[bytes | None]:
        """Value of each record."""
        if self._values is None:
            self._values = self.packed.spell(self.packed.value_at, self.packed.value_size)
        return self._values

    @property
    def timestamps(self) -> list[int]:
        """Broker timestamp of each record."""
        if self._timestamps is None:
            self._timestamps = self.packed.timestamps.tolist()
        return self._timestamps

    @property
    def headers(self) -> list[tuple[Header, ...]]:
        """Headers of each record."""
        if self._headers is None:
            held = self.packed.headers
            self._headers = [held.get(i, ()) for i in range(len(self.packed))]
        return self._headers

    def slice(self, start: int, stop: int) -> "Chunk":
        """Select the records ``start:stop``."""
        return Chunk.of(self.source, self.partition, self.packed.slice(start, stop))

    def alone(self, index: int) -> "Chunk":
        """Make a chunk of one record that keeps nothing else in memory."""
        packed = self.packed
        one = packed.slice(index, index + 1)
        key, value = one.spell(one.key_at, one.key_size), one.spell(one.value_at, one.value_size)
        return Chunk(
            self.source,
            self.partition,
            one.offsets.tolist(),
            key,
            value,
            one.timestamps.tolist(),
            [one.headers.get(0, ())],
        )


def _pack(
    offsets: Sequence[int],
    keys: Sequence[bytes | None],
    values: Sequence[bytes | None],
    timestamps: Sequence[int],
    headers: Sequence[tuple[Header, ...]],
) -> Packed:
    key_size = np.array([NULL if one is None else len(one) for one in keys], dtype=np.int64)
    value_size = np.array([NULL if one is None else len(one) for one in values], dtype=np.int64)
    sizes = np.concatenate([key_size, value_size])
    behind = np.cumsum(np.maximum(sizes, 0))
    starts = behind - np.maximum(sizes, 0)
    data = b"".join(one for one in (*keys, *values) if one is not None)
    return Packed(
        np.frombuffer(data, np.uint8),
        np.array(offsets, dtype=np.int64),
        np.array(timestamps, dtype=np.int64),
        starts[: len(keys)],
        key_size,
        starts[len(keys) :],
        value_size,
        {i: held for i, held in enumerate(headers) if held},
    )


@dataclass(slots=True, frozen=True)
class Output:
    """One record for a downstream topic.

    Attributes:
        topic: logical name: "partials", "metrics", "alerts", "unmatched",
            "quarantine_predictions" or "quarantine_feedback".
        key: key bytes; decides the partition (murmur2) unless ``partition`` is given.
        value: value bytes.
        headers: headers; every output carries ``driftline.id``, the same after any replay.
        partition: explicit partition, or None.
    """

    topic: str
    key: bytes | None
    value: bytes
    headers: tuple[Header, ...] = ()
    partition: int | None = None
