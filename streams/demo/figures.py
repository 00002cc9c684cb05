"""What the worker says of itself on its metrics page: the books, and how far behind it is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_SAMPLE = re.compile(r"^driftline_(\w+?)(?:\{(.*)\})? ([-+0-9.eE]+)$")
_OUTCOME = re.compile(r'outcome="(\w+)"')
_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(slots=True, frozen=True)
class Figures:
    """Sums over all partitions.

    Attributes:
        predictions: rows by outcome; "in" is all of them.
        feedback: likewise.
        lag: records that the worker has not read yet.
        buffered: rows that it has read and not yet worked through.
    """

    predictions: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    feedback: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    lag: int = 0
    buffered: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every row that came in is in exactly one place."""
        return all(
            side.get("in", 0) == sum(n for outcome, n in side.items() if outcome != "in")
            for side in (self.predictions, self.feedback)
        )

    @property
    def rows(self) -> int:
        """All rows that came in."""
        return self.predictions.get("in", 0) + self.feedback.get("in", 0)


def read_figures(page: str) -> Figures:
    """Read a page in Prometheus's text format; lines that are not asked for are passed over."""
    books: dict[str, dict[str, int]] = {"predictions": {}, "feedback": {}}
    sums = {"lag_records": 0, "buffered_rows": 0}
    for line in page.splitlines():
        match = _SAMPLE.match(line)
        if match is None:
            continue
        name, labels, value = match[1], match[2] or "", float(match[3])
        side, _, rest = name.partition("_")
        if side in books:
            outcome = _OUTCOME.search(labels)
            if rest == "total" and outcome is not None:
                _add(books[side], outcome[1], value)
            elif rest == "waiting":
                _add(books[side], rest, value)
        elif side in {"join", "monitor"} and rest in sums:
            _add(sums, rest, value)
    return Figures(
        books["predictions"], books["feedback"], sums["lag_records"], sums["buffered_rows"]
    )


def _add(counts: dict[str, int], name: str, value: float) -> None:
    counts[name] = counts.get(name, 0) + round(value)
