"""A processor for tests of the edge: exact sums of integers, with all that makes the edge work.

Records hold ``<name>:<integer>``. The last record of each source is held back until another one
comes or until ``hold_ms`` passed without one, as the real stages hold back unfinished ticks. Each
checkpoint writes one piece of state with what changed, every tenth replaces all pieces by one.
Predictions pause when they are far ahead of feedback; the tests send two to one.
"""

from collections.abc import Collection, Mapping

import orjson

from streams.core.processor import Checkpoint, Saved, StateRecord
from streams.wire import Chunk, Output

AHEAD = 500
"""Predictions may be so far ahead of what two of them for each feedback would be."""


class Totals:
    """Sums per name, and a check that no record is counted twice or left out."""

    def __init__(
        self, sources: tuple[str, ...], partition: int, topic: str = "metrics", hold_ms: int = 500
    ) -> None:
        self.sources, self.partition, self.topic, self.hold_ms = sources, partition, topic, hold_ms
        self.totals: dict[str, int] = {}
        self.counts = dict.fromkeys(sources, 0)
        self.read: dict[str, int] = {}
        self.held: dict[str, tuple[int, bytes]] = {}
        self.arrived: dict[str, int] = {}
        self.changed: set[str] = set()
        self.pieces: list[str] = []
        self.number = 0
        self.saved_positions: dict[str, int] = {}

    def restore(self, saved: Saved) -> None:
        marker = orjson.loads(saved.marker)
        self.number, self.pieces = marker["number"], marker["pieces"]
        assert list(saved.records) == self.pieces, (list(saved.records), self.pieces)
        for piece in self.pieces:
            self.totals |= orjson.loads(saved.records[piece])
        self.counts, self.read = marker["counts"], marker["read"]
        self.saved_positions = dict(self.read)

    def positions(self) -> Mapping[str, int]:
        return self.read | {source: offset for source, (offset, _) in self.held.items()}

    def step(self, chunk: Chunk, now_ms: int) -> None:
        for offset, value in zip(chunk.offsets, chunk.values, strict=True):
            if offset < self.read.get(chunk.source, 0):
                raise AssertionError(f"{chunk.source} {offset} again, at {self.read}")
            self._flush(chunk.source)
            if value == b"poison":
                raise ValueError("cannot be processed")
            self.held[chunk.source] = (offset, value or b"")
            self.read[chunk.source] = offset + 1
        self.arrived[chunk.source] = now_ms

    def advance(self, now_ms: int, behind: Collection[str] = ()) -> None:
        for source in list(self.held):
            if source not in behind and now_ms - self.arrived[source] >= self.hold_ms:
                self._flush(source)

    def awaited(self) -> bool:
        return False

    def paused(self) -> frozenset[str]:
        ahead = self.read.get("predictions", 0) - 2 * self.read.get("feedback", 0)
        return frozenset({"predictions"} if ahead > AHEAD else ())

    def checkpoint(self, now_ms: int) -> Checkpoint | None:
        positions = dict(self.positions())
        if positions == self.saved_positions:
            return None
        self.saved_positions = positions
        self.number += 1
        names = sorted(self.changed)
        self.changed.clear()
        outputs = [
            Output(
                self.topic,
                name.encode(),
                f"{name}:{self.totals[name]}".encode(),
                (("id", f"{self.partition}/{name}/{self.number}".encode()),),
            )
            for name in names
        ]
        state = []
        if self.number % 10 == 0:
            state += [StateRecord(piece, None) for piece in self.pieces]
            self.pieces, names = [], sorted(self.totals)
        if names:
            piece = f"sums-{self.number}"
            self.pieces = [*self.pieces, piece]
            state.append(StateRecord(piece, orjson.dumps({n: self.totals[n] for n in names})))
        marker = {
            "number": self.number,
            "pieces": self.pieces,
            "counts": self.counts,
            "read": positions,
        }
        return Checkpoint(positions, outputs, state, orjson.dumps(marker))

    def status(self) -> Mapping[str, float]:
        return {f"count_{source}": float(n) for source, n in self.counts.items()}

    def _flush(self, source: str) -> None:
        held = self.held.pop(source, None)
        if held is not None:
            name, number = held[1].decode().split(":")
            self.totals[name] = self.totals.get(name, 0) + int(number)
            self.counts[source] += 1
            self.changed.add(name)
