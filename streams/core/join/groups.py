"""Groups: the version and segments of a prediction, as one number per waiting row.

Predictions of a model that share version and segment values share a group, so that a waiting row
remembers all of them in four bytes, and a label finds its cells by looking its group up.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.config import ModelConfig
from streams.core.partials import ALL
from streams.events.columns import Coded, PredictionBlock

Ints = NDArray[np.int64]

MISSING_VALUE = "__missing__"
OTHER_VALUE = "__other__"
CAP_FACTOR = 4
"""The join keeps this many times the configured segment values apart; the monitor, which sees all
partitions, applies the configured cap."""
MAX_VERSIONS = 200


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
        combined = np.zeros(len(block), dtype=np.int64)
        for column in columns:
            # Codes -1 and -2 are shifted up; products stay far below 2**63.
            width = len(column.values) + 2
            combined = combined * width + (column.codes + 2)
            if width * max(1, int(combined.max(initial=0))) > 1 << 40:
                _, combined = np.unique(combined, return_inverse=True)
        unique, first, inverse = np.unique(combined, return_index=True, return_inverse=True)
        numbers = np.zeros(len(unique), dtype=np.int32)
        # New groups and values are numbered in order of appearance, not of code.
        for which in np.argsort(first, kind="stable").tolist():
            row = int(first[which])
            texts = [_text(column, row) for column in columns]
            member = self._member(texts)
            number = self._numbers.get(member)
            numbers[which] = self._add(member) if number is None else number
        return numbers[inverse]

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
        texts = ["|".join(parts) for parts in zip(*(_texts(c) for c in columns), strict=True)]
        values, codes = np.unique(np.array(texts, dtype=object), return_inverse=True)
        return Coded(values.tolist(), codes.astype(np.int32))

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


def _texts(column: Coded) -> list[str]:
    return [MISSING_VALUE if text is None else text for text in column.strings()]
