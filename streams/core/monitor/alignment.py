"""One order for the bundles of all sources, whatever order they arrived in.

News of a tick is handed over when every source has passed the tick: by moment (the end of the
tick), then by source, then in the source's own order. Bundles carry a sequence number per source,
so that a repeat is known and dropped.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.core.partials import Bundle, ModelNews

NEVER = -(2**62)
"""Frontier of a source that has passed nothing."""

News = dict[str, ModelNews]


@dataclass(slots=True)
class _Waiting:
    """A bundle with news that cannot be handed over yet.

    Attributes:
        raw: the bundle as it was received, for the snapshot.
        news: (moment, index in the bundle, news), moments ascending.
    """

    raw: bytes
    news: deque[tuple[int, int, News]]


@dataclass(slots=True)
class _Source:
    sequence: int = 0
    frontier: int = NEVER
    waiting: deque[_Waiting] = field(default_factory=deque)
    books: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Alignment:
    """The sources' sequence numbers, frontiers and waiting news; times in ms.

    Attributes:
        tick_ms: length of a tick.
        done: every moment up to this one was handed over.
        repeats: bundles dropped because they had been seen.
        gaps: sequence numbers that were never seen.
        restarts: sources that began to number again.
    """

    tick_ms: int
    done: int = NEVER
    repeats: int = 0
    gaps: int = 0
    restarts: int = 0
    _expected: int = 0
    _sources: dict[int, _Source] = field(default_factory=dict)

    def offer(self, bundle: Bundle, raw: bytes) -> bool:
        """Take a bundle; False when it is a repeat.

        A source that lost its state numbers from 1 again. What it tells of ticks that it had passed
        before is dropped as repeats are; from there on it counts anew.

        News of a moment that was handed over already, which only a source that is new can have,
        joins the first open tick.
        """
        source = self._sources.setdefault(bundle.source, _Source())
        frontier = bundle.frontier * bundle.tick_ms
        if bundle.sequence <= source.sequence:
            if frontier <= source.frontier:
                self.repeats += 1
                return False
            self.restarts += 1
        elif source.sequence:
            self.gaps += bundle.sequence - source.sequence - 1
        self._expected = max(self._expected, bundle.sources)
        source.sequence = bundle.sequence
        source.frontier = max(source.frontier, frontier)
        source.books = bundle.books
        first_open = (self.done // self.tick_ms + 1) * self.tick_ms
        news = deque(
            (max((tick + 1) * bundle.tick_ms, first_open), index, models)
            for index, (tick, models) in enumerate(bundle.ticks)
        )
        if news:
            source.waiting.append(_Waiting(raw, news))
        return True

    @property
    def frontier(self) -> int:
        """Every moment up to this one is complete in all sources; ``NEVER`` until all spoke.

        A source that says that it has no event time yet, a partition without events, holds nobody
        back.
        """
        if not self._sources or len(self._sources) < self._expected:
            return NEVER
        passed = (source.frontier for source in self._sources.values())
        return min((moment for moment in passed if moment > NEVER), default=NEVER)

    def take(self) -> list[tuple[int, list[News]]]:
        """Hand over all news up to the frontier: by moment, sources ascending within one."""
        frontier = self.frontier
        found: dict[int, list[News]] = {}
        for _, source in sorted(self._sources.items()):
            while source.waiting:
                news = source.waiting[0].news
                while news and news[0][0] <= frontier:
                    moment, _, models = news.popleft()
                    found.setdefault(moment, []).append(models)
                if news:
                    break
                source.waiting.popleft()
        self.done = max(self.done, frontier)
        return sorted(found.items())

    def waiting(self) -> int:
        """Count the bundles that wait."""
        return sum(len(source.waiting) for source in self._sources.values())

    def books(self) -> dict[str, int]:
        """The newest balances of all sources, added up by name."""
        total: dict[str, int] = {}
        for source in self._sources.values():
            for name, count in source.books.items():
                total[name] = total.get(name, 0) + count
        return total

    def snapshot(self) -> dict[str, Any]:
        """Plain containers."""
        return {
            "done": self.done,
            "repeats": self.repeats,
            "gaps": self.gaps,
            "restarts": self.restarts,
            "expected": self._expected,
            "sources": [
                [
                    number,
                    source.sequence,
                    max(source.frontier, NEVER),
                    source.books,
                    [
                        [w.raw, [[moment, index] for moment, index, _ in w.news]]
                        for w in source.waiting
                    ],
                ]
                for number, source in self._sources.items()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state that :meth:`snapshot` gave."""
        self.done, self.restarts = state["done"], state["restarts"]
        self.repeats, self.gaps = state["repeats"], state["gaps"]
        self._expected = state["expected"]
        for number, sequence, frontier, books, waiting in state["sources"]:
            queue: deque[_Waiting] = deque()
            for raw, places in waiting:
                ticks = Bundle.decode(raw).ticks
                queue.append(_Waiting(raw, deque((m, i, ticks[i][1]) for m, i in places)))
            self._sources[number] = _Source(sequence, frontier, queue, books)
