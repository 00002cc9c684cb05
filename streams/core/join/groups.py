"""Groups: the version and segments of a prediction, as one number per waiting row.

Predictions of a model that share version and segment values share a group, so that a waiting row
remembers all of them in four bytes, and a label finds its cells by looking its group up.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.compiled import kernel
from streams.config import ModelConfig
from streams.core.join.arrays import plain
from streams.core.partials import ALL
from streams.events.columns import Coded, PredictionBlock

Ints = NDArray[np.int64]

MISSING_VALUE = "__missing__"
OTHER_VALUE = "__other__"
CAP_FACTOR = 4
"""The join keeps this many times the configured segment values apart; the monitor, which sees all
partitions, applies the configured cap."""
MAX_VERSIONS = 200

_DENSE = 1 << 10


class Groups:
    """The groups of one model in one partition.

    Numbers are given in order of first appearance and never reused; segment values beyond the cap
    share ``__other__``.
    """

    def __init__(self, config: ModelConfig) -> None:
        self._segments = config.segments
        self._categorical = [n for n, f in config.features.items() if f.kind == "categorical"]
        self._values: list[dict[str, str]] = [{} for _ in config.segments]
        self._versions: dict[str, str] = {}
        self._numbers: dict[tuple[str, ...], int] = {}
        self.members: list[tuple[str, ...]] = []
        """Per group: version, then one "name=value" per segment."""
        self._cells: list[tuple[tuple[str, str], ...]] = []

    def __len__(self) -> int:
        """Count the groups."""
        return len(self.members)

    def cells(self, group: int) -> tuple[tuple[str, str], ...]:
        """(version, segment) pairs that a group's rows count in, the whole model's first."""
        return self._cells[group]

    def assign(self, block: PredictionBlock) -> NDArray[np.int32]:
        """Group number of each row of a block."""
        columns = [block.version, *(self._segment_column(s.by, block) for s in self._segments)]
        found, first = combinations(columns)
        numbers = np.zeros(len(first), dtype=np.int32)
        # In order of appearance, which is how new groups and values are numbered.
        for which, row in enumerate(first.tolist()):
            member = self._member([_text(column, row) for column in columns])
            number = self._numbers.get(member)
            numbers[which] = self._add(member) if number is None else number
        return numbers[found]

    def _member(self, texts: Sequence[str]) -> tuple[str, ...]:
        version = self._versions.get(texts[0])
        if version is None:
            version = texts[0] if len(self._versions) < MAX_VERSIONS else OTHER_VALUE
            if version != OTHER_VALUE:
                self._versions[texts[0]] = version
        member = [version]
        for segment, known, text in zip(self._segments, self._values, texts[1:], strict=True):
            value = known.get(text)
            if value is None:
                if text != OTHER_VALUE and len(known) < segment.max_values * CAP_FACTOR:
                    value = known[text] = f"{segment.name}={text}"
                else:
                    value = f"{segment.name}={OTHER_VALUE}"
            member.append(value)
        return tuple(member)

    def _add(self, member: tuple[str, ...]) -> int:
        number = self._numbers[member] = len(self.members)
        self.members.append(member)
        self._cells.append(((member[0], ALL), *((member[0], s) for s in member[1:])))
        return number

    def _segment_column(self, by: Sequence[str], block: PredictionBlock) -> Coded:
        columns = [self._source(name, block) for name in by]
        if len(columns) == 1:
            return columns[0]
        found, first = combinations(columns)
        values = ["|".join(_text(c, row) for c in columns) for row in first.tolist()]
        return Coded(values, found)

    def _source(self, name: str, block: PredictionBlock) -> Coded:
        if name in self._categorical:
            return block.categorical[self._categorical.index(name)]
        return block.tags.get(name) or Coded.absent(len(block))

    def added_since(self, count: int) -> list[list[str]]:
        """Members of the groups from number ``count`` on, for the state."""
        return [list(member) for member in self.members[count:]]

    def restore(self, members: Sequence[Sequence[str]]) -> None:
        """Add members that :meth:`added_since` gave.

        Segments may have been configured anew since then: values of segments that are gone are
        dropped, new segments hold no value for old rows.
        """
        for version, *segments in members:
            self._versions[version] = version
            texts = dict(segment.split("=", 1) for segment in segments)
            member = [version]
            for segment, known in zip(self._segments, self._values, strict=True):
                text = texts.get(segment.name, MISSING_VALUE)
                value = f"{segment.name}={text}"
                if text != OTHER_VALUE:
                    known[text] = value
                member.append(value)
            self._add(tuple(member))


def _text(column: Coded, row: int) -> str:
    code = int(column.codes[row])
    return column.values[code] if code >= 0 else MISSING_VALUE


def combinations(columns: Sequence[Coded]) -> tuple[NDArray[np.int32], Ints]:
    """Number the combinations of codes in order of first appearance.

    Returns:
        Number of each row, and the first row of each number.
    """
    rows = len(columns[0])
    numbers, first = np.zeros(rows, dtype=np.int32), np.zeros(1, dtype=np.int64)
    for column in columns:
        first = _refine(plain(column.codes), len(column.values) + 2, len(first), numbers)
    return numbers, first


@kernel
def _refine(codes: NDArray[np.int32], width: int, count: int, numbers: NDArray[np.int32]) -> Ints:
    """Number the pairs of number so far and code; return the first row of each new number.

    Args:
        codes: codes of -2 and more.
        width: codes are below this less 2.
        count: numbers so far are below this.
        numbers: number of each row so far; takes the new one.
    """
    rows = len(codes)
    first = np.empty(rows, np.int64)
    found = 0
    if count * width <= max(_DENSE, 4 * rows):
        known = np.full(count * width, -1, np.int32)
        for i in range(rows):
            pair = numbers[i] * width + codes[i] + 2
            if known[pair] < 0:
                known[pair] = found
                first[found] = i
                found += 1
            numbers[i] = known[pair]
        return first[:found].copy()
    # A hash table of at most half its places, which are found by multiplication.
    bits = 1
    while (1 << bits) < 2 * rows:
        bits += 1
    size = 1 << bits
    keys = np.full(size, -1, np.int64)
    held = np.empty(size, np.int32)
    for i in range(rows):
        pair = np.int64(numbers[i]) * width + codes[i] + 2
        hashed = np.uint64(pair) * np.uint64(0x9E3779B97F4A7C15)
        place = np.int64(hashed >> np.uint64(64 - bits))
        while keys[place] >= 0 and keys[place] != pair:
            place = (place + 1) & (size - 1)
        if keys[place] < 0:
            keys[place] = pair
            held[place] = found
            first[found] = i
            found += 1
        numbers[i] = held[place]
    return first[:found].copy()
