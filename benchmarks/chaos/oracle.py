"""What must come out, worked out from what was sent with dictionaries and loops.

Nothing here knows the pipeline's code: the rules are read out of its documentation. Each partition
is read in the order of its offsets, event time by event time; what a prediction counts for is
decided once, at the end.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from chaos import traffic
from chaos.traffic import DISORDER, FRAUD, HORIZON, LATENESS, PRICE, REMEMBER, TICK

WINDOWS = ((traffic.SIZE, traffic.SIZE), (traffic.LARGE, traffic.HOP))
BY_PREDICTION, BY_LABEL = "prediction_time", "label_time"


@dataclass(slots=True)
class Sent:
    """One message and where it went.

    Attributes:
        side: "predictions" or "feedback".
        partition: partition of that topic.
        offset: offset there.
        key: the prediction's id.
        value: its bytes.
        body: what they say; None when they are rubbish.
    """

    side: str
    partition: int
    offset: int
    key: str
    value: bytes
    body: dict[str, Any] | None


class Where(NamedTuple):
    """A window of a series; times in ms."""

    model: str
    version: str
    segment: str
    view: str
    size: int
    start: int


@dataclass(slots=True)
class Counts:
    """What a window counted.

    Attributes:
        predictions: predictions in it.
        labels: predictions in it whose truth is known; by label time, first truths.
        confusion: tp, fp, tn, fn.
        errors: absolute errors, of a regression.
    """

    predictions: int = 0
    labels: int = 0
    confusion: Counter[str] = field(default_factory=Counter)
    errors: list[float] = field(default_factory=list)

    @property
    def accuracy(self) -> float:
        """Share of right predictions."""
        return (self.confusion["tp"] + self.confusion["tn"]) / self.labels


class Alert(NamedTuple):
    """What an alert says, as far as it can be recomputed."""

    fingerprint: str
    revision: int
    status: str
    rule: str
    at: str
    value: float


@dataclass(slots=True)
class Expected:
    """Everything that must come out.

    Attributes:
        windows: final counts by window.
        books: events by side and outcome, such as "predictions_joined".
        unmatched: ids of the records of the unmatched topic.
        quarantined: (side, partition, offset) of what could not be read or came too late.
        alerts: all revisions, by id.
    """

    windows: dict[Where, Counts]
    books: Counter[str]
    unmatched: Counter[str]
    quarantined: Counter[tuple[str, int, int]]
    alerts: dict[str, Alert]


@dataclass(slots=True)
class _Truth:
    actual: Any
    ts: int
    arrived: int


@dataclass(slots=True)
class _Taken:
    """A prediction that was let in; ``tick`` is that of its partition's clock."""

    body: dict[str, Any]
    tick: int
    matched: bool = False
    truth: _Truth | None = None
    first: _Truth | None = None

    @property
    def ts(self) -> int:
        ts: int = self.body["timestamp"]
        return ts


@dataclass(slots=True)
class _Early:
    sent: Sent
    arrived: int


class _Partition:
    """One partition of both topics, joined."""

    def __init__(self, number: int, end: int, found: Expected) -> None:
        self.number = number
        self.taken: list[_Taken] = []
        self._end = end
        self._found = found
        self._books = found.books
        self._held: dict[str, _Taken] = {}
        self._early: list[_Early] = []

    def read(self, sent: Iterable[Sent]) -> None:
        """Read both topics up to the end."""
        sides: dict[str, list[Sent]] = {"predictions": [], "feedback": []}
        for one in sent:
            sides[one.side].append(one)
        predictions = self._by_tick(sides["predictions"], LATENESS)
        feedback = self._by_tick(sides["feedback"], None)
        for tick in sorted({*predictions, *feedback}):
            if tick * TICK >= self._end:
                break
            self._give_up(tick * TICK)
            self._predictions(predictions.get(tick, []), tick)
            for one in feedback.get(tick, []):
                self._feedback(one, tick * TICK)
        self._give_up(self._end)
        for taken in self.taken:
            self._books["predictions_joined" if taken.matched else "predictions_expired"] += 1
            if not taken.matched:
                self._unmatched("expired", f"{taken.body['prediction_id']}|{taken.ts}")

    def _by_tick(self, sent: list[Sent], lateness: int | None) -> dict[int, list[Sent]]:
        """Deal the rows to ticks of the clock, which is the newest time so far."""
        clock = None
        found: dict[int, list[Sent]] = defaultdict(list)
        for one in sorted(sent, key=lambda one: one.offset):
            ts = None if one.body is None else one.body["timestamp"]
            if ts is not None and ts >= self._end:
                break
            self._books[f"{one.side}_in"] += 1
            late = ts is not None and lateness is not None and clock is not None
            if ts is None or (late and ts < clock - lateness):  # type: ignore[operator]  # late
                self._books[f"{one.side}_quarantined"] += 1
                self._found.quarantined[one.side, one.partition, one.offset] += 1
                continue
            clock = ts if clock is None else max(clock, ts)
            found[clock // TICK].append(one)
        return found

    def _give_up(self, moment: int) -> None:
        for early in [e for e in self._early if e.arrived + HORIZON < moment]:
            self._early.remove(early)
            self._books["feedback_orphan"] += 1
            self._unmatched("orphan", f"{early.sent.offset}|")

    def _unmatched(self, reason: str, rest: str) -> None:
        self._found.unmatched[f"{reason}|{self.number}|{rest}"] += 1

    def _predictions(self, sent: list[Sent], tick: int) -> None:
        for model in (FRAUD, PRICE):
            fresh = set()
            for one in sent:
                body = one.body
                if body is None or body["model"] != model:
                    continue
                held = self._held.get(one.key)
                if held is not None and held.ts + HORIZON + REMEMBER >= tick * TICK:
                    self._books["predictions_duplicate"] += 1
                    continue
                self._held[one.key] = taken = _Taken(body, tick)
                self.taken.append(taken)
                fresh.add(one.key)
            met = [early for early in self._early if early.sent.key in fresh]
            self._early = [early for early in self._early if early.sent.key not in fresh]
            for early in met:
                self._feedback(early.sent, tick * TICK)

    def _feedback(self, sent: Sent, moment: int) -> None:
        held = self._held.get(sent.key)
        if held is None or moment - held.ts > HORIZON + REMEMBER:
            self._early.append(_Early(sent, moment))
            return
        if moment - held.ts > HORIZON:
            self._books["feedback_late"] += 1
            self._unmatched("late", f"{sent.offset}|")
            return
        assert sent.body is not None
        actual, ts = sent.body["actual"], sent.body["timestamp"]
        if held.truth is None:
            self._books["feedback_joined"] += 1
            held.matched = True
            held.truth = held.first = _Truth(actual, ts, moment)
        elif held.truth.actual == actual:
            self._books["feedback_duplicate"] += 1
        elif ts > held.truth.ts:
            self._books["feedback_corrected"] += 1
            held.truth = _Truth(actual, ts, moment)
        else:
            self._books["feedback_conflict"] += 1
            self._unmatched("conflict", f"{sent.offset}|")


def expect(sent: Iterable[Sent], end: int, rate: float) -> Expected:
    """Work out what must come out.

    Args:
        sent: all messages.
        end: moment from which on nothing is processed, ms.
        rate: predictions per second of event time, as the models were configured with.
    """
    found = Expected({}, Counter(), Counter(), Counter(), {})
    partitions: dict[int, list[Sent]] = defaultdict(list)
    for one in sent:
        partitions[one.partition].append(one)
    taken: list[_Taken] = []
    for number, mine in sorted(partitions.items()):
        partition = _Partition(number, end, found)
        partition.read(mine)
        taken += partition.taken
    for prediction in taken:
        _count(found.windows, prediction)
    alerts = [*_accuracy_alerts(found.windows), *_volume_alerts(taken, end, rate)]
    found.alerts = {f"{alert.fingerprint}-{alert.revision}": alert for alert in alerts}
    return found


def starts(ts: int, size: int, hop: int) -> Iterator[int]:
    """Give the starts of the windows that hold a moment, the latest first."""
    start = ts - ts % hop
    while start > ts - size:
        yield start
        start -= hop


def _series(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    name = traffic.SEGMENTS[body["model"]]
    for version in (body["model_version"], "*"):
        for segment in ("*", f"{name}={body['tags'][name]}"):
            yield version, segment


def _cells(
    windows: dict[Where, Counts], body: dict[str, Any], view: str, ts: int
) -> Iterator[Counts]:
    for version, segment in _series(body):
        for size, hop in WINDOWS:
            for start in starts(ts, size, hop):
                where = Where(body["model"], version, segment, view, size, start)
                yield windows.setdefault(where, Counts())


def _count(windows: dict[Where, Counts], one: _Taken) -> None:
    for counts in _cells(windows, one.body, BY_PREDICTION, one.ts):
        counts.predictions += 1
        if one.truth is not None:
            _count_label(counts, one, one.truth)
    if one.first is not None:
        for counts in _cells(windows, one.body, BY_LABEL, one.first.arrived):
            _count_label(counts, one, one.first)


def _count_label(counts: Counts, one: _Taken, truth: _Truth) -> None:
    counts.labels += 1
    said = one.body["prediction"]
    if one.body["model"] == FRAUD:
        counts.confusion[("t" if said == truth.actual else "f") + ("p" if said else "n")] += 1
    else:
        counts.errors.append(abs(said - truth.actual))


# -- alerts -----------------------------------------------------------------------------------


class _Rule:
    """The life of one alert that breaches below a limit, judged window by window."""

    def __init__(self, model: str, name: str, below: float) -> None:
        # Identity: model, rule, version, segment and subject.
        joined = f"{model}|{name}|*|*|"
        self._fingerprint = hashlib.blake2b(joined.encode(), digest_size=8).hexdigest()
        self._name = name
        self._below = below
        self._open = False
        self._value = 0.0
        self._revision = -1

    def judge(self, value: float, at: int) -> Iterator[Alert]:
        breached = value < self._below
        status = ""
        if not self._open and breached:
            status = "open"
        elif self._open and not breached:
            status = "resolved"
        elif self._open and abs(value - self._value) > 0.1 * max(self._below, abs(self._value)):
            status = "update"
        if status:
            self._open = status != "resolved"
            self._value = value
            self._revision += 1
            stamp = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")
            moment = stamp.replace("+00:00", "Z")
            yield Alert(self._fingerprint, self._revision, status, self._name, moment, value)


def _accuracy_alerts(windows: dict[Where, Counts]) -> Iterator[Alert]:
    rule = _Rule(FRAUD, "accuracy", traffic.LEAST_ACCURACY)
    watched = (FRAUD, "*", "*", BY_LABEL, traffic.SIZE)
    for where in sorted(where for where in windows if where[:5] == watched):
        if windows[where].labels >= traffic.LEAST_SAMPLES:
            yield from rule.judge(windows[where].accuracy, where.start + traffic.SIZE)


def _volume_alerts(taken: list[_Taken], end: int, rate: float) -> Iterator[Alert]:
    """Judge each large window by what had been read when it was first published."""
    rule = _Rule(PRICE, "volume", traffic.least_volume(rate))
    counts: Counter[int] = Counter()
    for one in taken:
        if one.body["model"] == PRICE:
            for start in starts(one.ts, traffic.LARGE, traffic.HOP):
                if (one.tick + 1) * TICK <= start + traffic.LARGE + DISORDER:
                    counts[start] += 1
    if not counts:
        return
    first = min(counts)
    for start in range(first, end, traffic.HOP):
        due = start + traffic.LARGE + DISORDER
        # Windows that begin before the traffic does are no evidence.
        if start >= first + traffic.LARGE and due <= end:
            yield from rule.judge(counts[start] * 1000 / traffic.LARGE, due)
