"""Headers of records, read when somebody asks for them."""

from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from streams.edge.walk import read_varint
from streams.wire import Header, Ints


class LazyHeaders(Mapping[int, tuple[Header, ...]]):
    """Headers by record index, as ``wire.Packed`` has them.

    Services put tracing into headers of every record, and hardly any is ever looked at.
    """

    __slots__ = ("_at", "_data")

    def __init__(self, data: NDArray[np.uint8], at: Ints) -> None:
        """Keep where the headers are; ``walk`` has checked them.

        Args:
            data: the bytes of the records; shape [bytes].
            at: where the number of headers of each record stands, -1 when it has none.
        """
        self._data = data
        self._at = at

    def __len__(self) -> int:
        """Count the records that have headers."""
        return int(np.count_nonzero(self._at >= 0))

    def __iter__(self) -> Iterator[int]:
        """Go through the records that have headers."""
        return iter(np.flatnonzero(self._at >= 0).tolist())

    def __contains__(self, record: object) -> bool:
        """Tell whether a record has headers."""
        return isinstance(record, int) and 0 <= record < len(self._at) and self._at[record] >= 0

    def __getitem__(self, record: int) -> tuple[Header, ...]:
        """Read the headers of a record."""
        if record not in self:
            raise KeyError(record)
        count, at = self._number(int(self._at[record]))
        found = []
        for _ in range(count):
            name, at = self._bytes(at)
            value, at = self._bytes(at)
            # Broken UTF-8 in a name is no reason to lose the record.
            found.append(((name or b"").decode(errors="replace"), value))
        return cast("tuple[Header, ...]", tuple(found))  # None is a possible value, if a rare one

    def _number(self, at: int) -> tuple[int, int]:
        value, behind = read_varint(self._data, at, len(self._data))
        return int(value), int(behind)

    def _bytes(self, at: int) -> tuple[bytes | None, int]:
        size, at = self._number(at)
        if size < 0:
            return None, at
        return self._data[at : at + size].tobytes(), at + size
