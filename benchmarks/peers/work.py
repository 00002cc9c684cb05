"""What every peer has to do beside the framework's own part, written once and as fast as it goes.

Runs in a peer's own environment, so it imports nothing of Driftline's. Told by environment
variables: ``BENCH_BOOTSTRAP``, ``BENCH_PREDICTIONS``, ``BENCH_FEEDBACK``, ``BENCH_WINDOWS`` (topic
of the results), ``BENCH_REFERENCE`` (file), ``BENCH_STARTED`` (file), ``BENCH_ROWS``.
"""

import os
import resource
from collections import deque
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from river.drift import ADWIN

BOOTSTRAP = os.environ["BENCH_BOOTSTRAP"]
PREDICTIONS = os.environ["BENCH_PREDICTIONS"]
FEEDBACK = os.environ["BENCH_FEEDBACK"]
WINDOWS = os.environ["BENCH_WINDOWS"]
ROWS = int(os.environ["BENCH_ROWS"])
TUMBLING_MS, HOPPING_MS = 60_000, 300_000
_STARTED = Path(os.environ["BENCH_STARTED"])
_REFERENCE = orjson.loads(Path(os.environ["BENCH_REFERENCE"]).read_bytes())
_EDGES = [np.array(column["edges"]) for column in _REFERENCE.values()]
_EXPECTED = np.array([column["counts"] for column in _REFERENCE.values()], dtype=float)
_BATCH = 512

values_of = itemgetter(*_REFERENCE)
"""Values of the features of one prediction, as a tuple."""


def first_record() -> None:
    """Note what the process had used when it saw its first record; call it once."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    part = _STARTED.with_suffix(".part")
    part.write_bytes(orjson.dumps(used.ru_utime + used.ru_stime))
    part.rename(_STARTED)


class Histogram:
    """Counts of values in the reference's bins, of all features; numpy does many rows at once."""

    def __init__(self) -> None:
        self.counts = np.zeros(_EXPECTED.shape, dtype=np.int64)
        self._rows: list[Sequence[float]] = []

    def add(self, values: Sequence[float]) -> None:
        """Take the values of one prediction."""
        self._rows.append(values)
        if len(self._rows) == _BATCH:
            self.settle()

    def settle(self) -> None:
        """Count what was only kept so far."""
        if self._rows:
            self.take(self._rows)
            self._rows = []

    def take(self, rows: Sequence[Sequence[float]]) -> None:
        """Count many predictions at once."""
        size = self.counts.shape[1]
        for i, (edges, column) in enumerate(zip(_EDGES, np.array(rows).T, strict=True)):
            found = np.searchsorted(edges, column, side="right")
            self.counts[i] += np.bincount(found, minlength=size)

    def merge(self, other: "Histogram") -> "Histogram":
        """Add another's counts."""
        self.settle()
        other.settle()
        self.counts += other.counts
        return self


def psi(counts: Any) -> list[float]:
    """Population stability index of every feature; empty bins count as half a row."""
    found, expected = np.maximum(counts, 0.5), np.maximum(_EXPECTED, 0.5)
    p = found / found.sum(axis=1, keepdims=True)
    q = expected / expected.sum(axis=1, keepdims=True)
    return [float(value) for value in ((p - q) * np.log(p / q)).sum(axis=1)]


class Drift:
    """Hopping windows out of tumbling ones: the last five minutes' counts, merged."""

    def __init__(self) -> None:
        self._last: deque[tuple[int, Any]] = deque(maxlen=HOPPING_MS // TUMBLING_MS)

    def close(self, start_ms: int, histogram: Histogram) -> dict[str, Any]:
        """Compare the hopping window that ends with a tumbling one, in order of time."""
        histogram.settle()
        self._last.append((start_ms, histogram.counts))
        since = start_ms + TUMBLING_MS - HOPPING_MS
        counts = sum(counts for start, counts in self._last if start >= since)
        return {
            "window": "drift",
            "start": start_ms,
            "n": int(histogram.counts[0].sum()),
            "psi": psi(counts),
        }


class ErrorDrift:
    """River's ADWIN on the error."""

    def __init__(self) -> None:
        self.detector = ADWIN()
        self.alarms = 0

    def update(self, *, correct: bool) -> None:
        """Take one joined pair."""
        self.detector.update(not correct)
        self.alarms += self.detector.drift_detected


def window_result(kind_ms: int, start_ms: int, n: int, correct: int) -> dict[str, Any]:
    """Describe one closed window for the results' topic."""
    return {"window": str(kind_ms), "start": start_ms, "n": n, "correct": correct}
