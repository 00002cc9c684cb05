"""What every measured system is given: predictions of one model and their delayed truth.

A binary model with numeric features; every prediction gets its truth, late and out of order. All of
it follows from a seed. Encoding takes longer than measuring, so messages are kept on disk.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Self

import numpy as np
import orjson
from numpy.typing import NDArray

from streams.publish.encode import encode_columns, encode_feedback, encode_prediction

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MODEL, VERSION = "risk", "2025-01"
COUNTRIES = ("DE", "ES", "FR", "IT", "PL")
START_MS = 1_735_689_600_000
"""2025-01-01: fixed, so that the bytes are the same in every run."""
MOST_DELAY_MS = 60_000
SHUFFLE_MS = 1_000
"""Truth arrives up to so much later than its own timestamp says, each piece by another delay."""
CLOSING_MS = 3_600_000
"""The last event is so far behind the others that every window before it becomes final."""
CLOSING_DELAY_MS = 1_000
"""Its truth comes later, for those who look up the past alone."""
FORMAT = 1
_SLICE = 50_000
_ID_BYTES = 36


@dataclass(frozen=True, slots=True)
class Workload:
    """What is drawn.

    Attributes:
        rows: predictions; each gets one label.
        rate: predictions per second of event time.
        features: numeric features of each.
        batch: rows per message of the columnar form.
        seed: everything drawn follows from it.
    """

    rows: int = 1_000_000
    rate: float = 5_000.0
    features: int = 20
    batch: int = 500
    seed: int = 7

    @property
    def names(self) -> list[str]:
        """Names of the features."""
        return [f"feature_{i:02d}" for i in range(self.features)]

    @property
    def closing_ms(self) -> int:
        """Time of the event that closes all windows."""
        return START_MS + int(self.rows / self.rate * 1000) + CLOSING_MS


@dataclass(slots=True)
class Rows:
    """Some predictions with their truth; all columns of length n.

    Attributes:
        ids: version 7 UUIDs.
        stamps: times of the predictions, ms.
        matrix: features, [n, features].
        score: P(positive).
        latency: ms.
        country: index into COUNTRIES.
        actual: the truth.
        truth_stamps: times of the truth, ms.
    """

    ids: list[str]
    stamps: Ints
    matrix: Floats
    score: Floats
    latency: Floats
    country: Ints
    actual: NDArray[np.bool_]
    truth_stamps: Ints

    @property
    def correct(self) -> int:
        """Predictions that turn out to be right."""
        return int(((self.score >= 0.5) == self.actual).sum())

    def part(self, first: int, stop: int) -> "Rows":
        """Select the rows ``first:stop``."""
        chosen = slice(first, stop)
        return Rows(
            self.ids[chosen],
            self.stamps[chosen],
            self.matrix[chosen],
            self.score[chosen],
            self.latency[chosen],
            self.country[chosen],
            self.actual[chosen],
            self.truth_stamps[chosen],
        )


def draw(workload: Workload, first: int, n: int) -> Rows:
    """Draw rows ``first`` to ``first + n``; ``first`` is also part of the seed."""
    random = np.random.default_rng([workload.seed, first])
    stamps = START_MS + ((first + np.arange(n)) * (1000 / workload.rate)).astype(np.int64)
    scale = 10.0 ** (np.arange(workload.features) % 4)
    matrix = np.round(random.normal(1.0, 1.0, (n, workload.features)) * scale, 4)
    weight = np.where(np.arange(workload.features) < 5, 0.9, 0.0) / scale
    logit = (matrix - scale) @ weight
    score = np.round(1.0 / (1.0 + np.exp(-logit)), 6)
    return Rows(
        ids=uuids(stamps, random),
        stamps=stamps,
        matrix=matrix,
        score=score,
        latency=np.round(random.gamma(4.0, 3.0, n), 2),
        country=random.integers(0, len(COUNTRIES), n),
        actual=random.random(n) < score,
        truth_stamps=stamps + random.integers(0, MOST_DELAY_MS, n),
    )


def uuids(stamps: Ints, random: np.random.Generator) -> list[str]:
    """Make a version 7 UUID of each time."""
    raw = random.integers(0, 256, (len(stamps), 16), dtype=np.uint8)
    raw[:, :6] = stamps.astype(">i8").view(np.uint8).reshape(-1, 8)[:, 2:]
    raw[:, 6] = raw[:, 6] & 0x0F | 0x70
    raw[:, 8] = raw[:, 8] & 0x3F | 0x80
    text = raw.tobytes().hex()
    return [
        f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
        for h in (text[i : i + 32] for i in range(0, len(text), 32))
    ]


def arrival_order(workload: Workload, truth_stamps: Ints) -> Ints:
    """Return in which order the truth arrives: by time, but not exactly."""
    shuffle = np.random.default_rng([workload.seed, 1 << 40]).integers(
        0, SHUFFLE_MS, len(truth_stamps)
    )
    return np.argsort(truth_stamps + shuffle, kind="stable")


def single_predictions(workload: Workload, rows: Rows) -> list[bytes]:
    """Encode one message per prediction, as the publisher does."""
    names = workload.names
    columns = zip(
        rows.ids,
        rows.stamps.tolist(),
        rows.score.tolist(),
        rows.matrix.tolist(),
        rows.country.tolist(),
        rows.latency.tolist(),
        strict=True,
    )
    return [
        encode_prediction(
            prediction_id=identity,
            timestamp=stamp,
            model=MODEL,
            model_version=VERSION,
            prediction=score >= 0.5,
            score=score,
            features=dict(zip(names, values, strict=True)),
            tags={"country": COUNTRIES[country]},
            latency_ms=latency,
            error=None,
            variant=None,
        )
        for identity, stamp, score, values, country, latency in columns
    ]


def batch_predictions(workload: Workload, rows: Rows) -> bytes:
    """Encode one columnar message of all rows."""
    columns = {
        "prediction_id": rows.ids,
        "timestamp": rows.stamps.tolist(),
        "prediction": (rows.score >= 0.5).tolist(),
        "score": rows.score.tolist(),
        "features": dict(zip(workload.names, rows.matrix.T.tolist(), strict=True)),
        "tags": {"country": [COUNTRIES[i] for i in rows.country.tolist()]},
        "latency_ms": rows.latency.tolist(),
    }
    return encode_columns({"model": MODEL, "model_version": VERSION}, columns, len(rows.ids))


def single_feedback(identity: str, stamp: int, *, actual: bool) -> bytes:
    """Encode the truth of one prediction."""
    return encode_feedback(
        prediction_id=identity,
        timestamp=stamp,
        actual=actual,
        value=None,
        weight=None,
        event=None,
        item=None,
    )


def closing(workload: Workload, number: int) -> tuple[str, bytes, bytes]:
    """Make the pair that closes all windows: id, prediction, truth."""
    rows = draw(workload, workload.rows + number, 1)
    rows.stamps[:] = workload.closing_ms
    truth = single_feedback(rows.ids[0], workload.closing_ms + CLOSING_DELAY_MS, actual=True)
    return rows.ids[0], single_predictions(workload, rows)[0], truth


@dataclass(slots=True)
class Messages:
    """Messages of one topic in order.

    Attributes:
        values: all of them, one after the other.
        ends: where each one ends in ``values``.
        stamps: record timestamps, ms.
        keys: an id each, without separators.
        row: number of the (first) prediction that each is about.
    """

    values: bytes
    ends: Ints
    stamps: Ints
    keys: bytes
    row: Ints

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Give value, key and timestamp of each."""
        start = 0
        for i, (end, stamp) in enumerate(
            zip(self.ends.tolist(), self.stamps.tolist(), strict=True)
        ):
            key = self.keys[i * _ID_BYTES : (i + 1) * _ID_BYTES]
            yield self.values[start:end], key, stamp
            start = end

    def about(self, rows: int) -> Self:
        """Keep the messages about the first so many predictions."""
        chosen = [m for m, row in zip(self, self.row.tolist(), strict=True) if row < rows]
        values, keys, stamps = zip(*chosen, strict=True)
        return self.of(list(values), b"".join(keys), np.array(stamps), self.row[self.row < rows])

    @classmethod
    def of(cls, values: list[bytes], keys: bytes, stamps: Ints, row: Ints) -> Self:
        """Put messages together."""
        ends = np.cumsum([len(value) for value in values], dtype=np.int64)
        return cls(b"".join(values), ends, stamps, keys, row)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what ``write`` wrote."""
        arrays = np.load(path.with_suffix(".npz"))
        values, keys = path.with_suffix(".values"), path.with_suffix(".keys")
        row, stamps, ends = arrays["row"], arrays["stamps"], arrays["ends"]
        return cls(values.read_bytes(), ends, stamps, keys.read_bytes(), row)

    def write(self, path: Path) -> None:
        """Write to three files beside each other."""
        path.with_suffix(".values").write_bytes(self.values)
        path.with_suffix(".keys").write_bytes(self.keys)
        np.savez(path.with_suffix(".npz"), ends=self.ends, stamps=self.stamps, row=self.row)


@dataclass(slots=True)
class Encoded:
    """A workload as messages.

    Attributes:
        predictions: one message each, in order of time.
        feedback: one message each, in order of arrival.
        prediction_batches: the same in columnar messages.
        feedback_batches: likewise.
        correct: predictions that turn out to be right.
    """

    predictions: Messages
    feedback: Messages
    prediction_batches: Messages
    feedback_batches: Messages
    correct: int

    def correct_among(self, rows: int) -> int:
        """Count right ones among the first so many predictions."""
        said = {}
        for value, _, _ in self.predictions.about(rows):
            event = orjson.loads(value)
            said[event["prediction_id"]] = event["prediction"]
        truths = (orjson.loads(value) for value, _, _ in self.feedback.about(rows))
        return sum(said[truth["prediction_id"]] == truth["actual"] for truth in truths)


_PARTS = ("predictions", "feedback", "prediction_batches", "feedback_batches")


def encoded(workload: Workload, cache: Path) -> Encoded:
    """Read a workload's messages from the cache, or make them and put them there."""
    body = json.dumps(asdict(workload) | {"format": FORMAT}, sort_keys=True)
    folder = cache / blake2b(body.encode(), digest_size=6).hexdigest()
    done = folder / "workload.json"
    if done.exists():
        correct = orjson.loads(done.read_bytes())["correct"]
        return Encoded(*(Messages.read(folder / part) for part in _PARTS), correct)
    made = encode(workload)
    folder.mkdir(parents=True, exist_ok=True)
    for part in _PARTS:
        getattr(made, part).write(folder / part)
    done.write_bytes(orjson.dumps(asdict(workload) | {"correct": made.correct}))
    return made


def encode(workload: Workload) -> Encoded:
    """Draw and encode everything."""
    if _SLICE % workload.batch:
        raise ValueError(f"the batch size has to divide {_SLICE}")
    values: list[bytes] = []
    batches: list[bytes] = []
    ids: list[str] = []
    parts = []
    for first in range(0, workload.rows, _SLICE):
        rows = draw(workload, first, min(_SLICE, workload.rows - first))
        values += single_predictions(workload, rows)
        ids += rows.ids
        batches += [batch_predictions(workload, part) for part in _cut(rows, workload.batch)]
        parts.append((rows.stamps, rows.actual, rows.truth_stamps, rows.correct))
    stamps, actual, truth_stamps = (
        np.concatenate([part[column] for part in parts]) for column in range(3)
    )
    order = arrival_order(workload, truth_stamps)
    truth = _truth([ids[i] for i in order.tolist()], actual[order], truth_stamps[order], order)
    starts = np.arange(0, workload.rows, workload.batch)
    return Encoded(
        predictions=Messages.of(values, "".join(ids).encode(), stamps, np.arange(workload.rows)),
        feedback=truth[0],
        prediction_batches=Messages.of(
            batches, "".join(ids[i] for i in starts.tolist()).encode(), stamps[starts], starts
        ),
        feedback_batches=_batched(truth[1], workload.batch),
        correct=sum(part[3] for part in parts),
    )


@dataclass(slots=True)
class _Truth:
    ids: list[str]
    actual: list[bool]
    stamps: Ints
    row: Ints


def _truth(
    ids: list[str], actual: NDArray[np.bool_], stamps: Ints, row: Ints
) -> tuple[Messages, _Truth]:
    truth = _Truth(ids, actual.tolist(), stamps, row)
    values = [
        single_feedback(identity, stamp, actual=found)
        for identity, stamp, found in zip(ids, stamps.tolist(), truth.actual, strict=True)
    ]
    return Messages.of(values, "".join(ids).encode(), stamps, row), truth


def _batched(truth: _Truth, size: int) -> Messages:
    starts = np.arange(0, len(truth.ids), size)
    values = []
    for a in starts.tolist():
        part = slice(a, a + size)
        columns = {
            "prediction_id": truth.ids[part],
            "timestamp": truth.stamps[part].tolist(),
            "actual": truth.actual[part],
        }
        values.append(encode_columns({}, columns, len(truth.ids[part])))
    keys = "".join(truth.ids[a] for a in starts.tolist()).encode()
    return Messages.of(values, keys, truth.stamps[starts], truth.row[starts])


def _cut(rows: Rows, size: int) -> Iterator[Rows]:
    for a in range(0, len(rows.ids), size):
        yield rows.part(a, a + size)
