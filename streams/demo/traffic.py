"""Traffic of two models as services would publish it, with truth that comes later.

Versions are rolled out, truth is delayed at random, some events arrive late and out of order, and
now and then a service sends something twice, something broken, or truth about nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Literal

import numpy as np
import orjson

from streams.demo import world
from streams.demo.world import DELIVERY, FRAUD, Columns, Floats

Kind = Literal["prediction", "feedback", "broken_prediction", "broken_feedback"]

SLICE_SECONDS = 0.1
"""Traffic is drawn in slices of this length, so that it does not depend on who asks when."""


@dataclass(slots=True, frozen=True)
class Shares:
    """How much of what happens; shares of predictions.

    Attributes:
        unlabelled: never get their truth.
        late: predictions and truths sent some time after their timestamp, hence out of order.
        repeated: predictions and truths sent twice.
        corrected: truths that are taken back and replaced.
        broken: unreadable events beside the good ones, on each topic.
        orphans: truths about predictions that were never made.
        canary: fraud predictions made by the new version.
    """

    unlabelled: float = 0.05
    late: float = 0.03
    repeated: float = 0.003
    corrected: float = 0.002
    broken: float = 0.001
    orphans: float = 0.001
    canary: float = 0.2


SHARES = Shares()
LATE_SECONDS = 1.5
"""The latest event is sent so long after its timestamp."""


@dataclass(slots=True, frozen=True)
class Sent:
    """One event, ready to publish.

    Attributes:
        at: when it is sent, seconds since the epoch; its timestamp may be earlier.
        kind: what it is.
        id: id of the prediction.
        fields: keyword arguments of the publisher's call; empty for broken events.
        body: bytes of a broken event.
    """

    at: float
    kind: Kind
    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""


class Traffic:
    """Draws events in order of sending; everything follows from the arguments.

    Args:
        start: first moment, seconds since the epoch.
        rate: predictions per second of each model.
        seed: where chance begins.
        drift_at: when the world of the fraud model changes, seconds since the epoch.
        label_delay: mean seconds between a prediction and its truth.
        shares: how much goes wrong.
    """

    def __init__(
        self,
        start: float,
        rate: float,
        *,
        seed: int = 7,
        drift_at: float = float("inf"),
        label_delay: float = 2.0,
        shares: Shares = SHARES,
    ) -> None:
        self._start = start
        self._rate = rate
        self._random = np.random.default_rng(seed)
        self._drift_at = drift_at
        self._label_delay = label_delay
        self._shares = shares
        self._slices = 0
        self._due: list[tuple[float, int, Sent]] = []
        self._scheduled = 0
        self._made = 0

    def until(self, moment: float) -> Iterator[Sent]:
        """Give the events that are sent before a moment and were not given yet.

        Args:
            moment: seconds since the epoch; slices that it cuts wait for the next call.
        """
        while (stop := self._start + (self._slices + 1) * SLICE_SECONDS) <= moment:
            begin = self._start + self._slices * SLICE_SECONDS
            self._slices += 1
            self._draw_fraud(self._moments(begin, stop))
            self._draw_delivery(self._moments(begin, stop))
            while self._due and self._due[0][0] < stop:
                yield heappop(self._due)[2]

    def _moments(self, begin: float, stop: float) -> Floats:
        count = int(self._random.poisson(self._rate * (stop - begin)))
        return np.sort(self._random.uniform(begin, stop, count))

    def _draw_fraud(self, moments: Floats) -> None:
        changed = moments >= self._drift_at
        data = world.fraud_features(self._random, changed)
        believed = world.fraud_probability(data)
        real = world.fraud_probability(data, changed)
        canary = self._random.random(len(moments)) < self._shares.canary
        outputs = {
            "model_version": np.where(canary, "8", "7"),
            "prediction": _class_names(believed >= world.THRESHOLD),
            "score": np.round(believed, 6),
            "latency_ms": np.round(self._random.gamma(4.0, 3.0, len(moments)), 3),
        }
        actual = _class_names(self._random.random(len(moments)) < real)
        self._schedule(FRAUD, moments, data, outputs, actual)

    def _draw_delivery(self, moments: Floats) -> None:
        data = world.delivery_features(self._random, len(moments))
        expected = world.delivery_minutes(data)
        outputs = {
            "model_version": np.full(len(moments), "3"),
            "prediction": np.round(expected, 2),
            "latency_ms": np.round(self._random.gamma(3.0, 2.0, len(moments)), 3),
        }
        actual = np.round(world.delivery_truth(self._random, expected), 2)
        self._schedule(DELIVERY, moments, data, outputs, actual)

    def _schedule(
        self, model: str, moments: Floats, data: Columns, outputs: Columns, actual: Any
    ) -> None:
        """Put a slice's predictions, their truth and what goes wrong on the way in the queue."""
        n = len(moments)
        shares = self._shares
        chance = self._random.random((6, n))
        lag = self._random.uniform(0.05, LATE_SECONDS, (2, n)) * (chance[:2] < shares.late)
        sent_lag, told_lag = lag.tolist()
        labelled, again, spoilt, told = chance[2:].tolist()
        delay = self._random.exponential(self._label_delay, n).tolist()
        names = list(data)
        features = zip(*(_plain(column) for column in data.values()), strict=True)
        rows = zip(*(column.tolist() for column in outputs.values()), strict=True)
        truths = actual.tolist()
        for i, (moment, values, row) in enumerate(
            zip(moments.tolist(), features, rows, strict=True)
        ):
            self._made += 1
            identity = f"{model}-{self._made:09d}"
            timestamp = round(moment, 3)
            fields = {
                "model": model,
                "timestamp": timestamp,
                "features": dict(zip(names, values, strict=True)),
                **dict(zip(outputs, row, strict=True)),
            }
            self._send(Sent(moment + sent_lag[i], "prediction", identity, fields))
            if again[i] < shares.repeated:
                self._send(Sent(moment + sent_lag[i] + 0.2, "prediction", identity, fields))
            if spoilt[i] < shares.broken:
                self._break(moment, identity, fields)
            if labelled[i] >= shares.unlabelled:
                known = round(moment + delay[i], 3)
                self._tell(known, told_lag[i], identity, truths[i], told[i])
            if spoilt[i] > 1.0 - shares.orphans:
                self._tell(timestamp, 0.0, f"lost-{identity}", truths[i], 1.0)

    def _tell(self, known: float, lag: float, identity: str, actual: Any, luck: float) -> None:
        """Queue the truth about a prediction; with luck below the shares, more than once."""
        fields = {"actual": actual, "timestamp": known}
        self._send(Sent(known + lag, "feedback", identity, fields))
        if luck < self._shares.repeated:
            self._send(Sent(known + lag + 0.3, "feedback", identity, fields))
        elif luck < self._shares.repeated + self._shares.corrected:
            other = _other(actual)
            later = {"actual": other, "timestamp": round(known + 0.5, 3)}
            self._send(Sent(known + lag + 0.5, "feedback", identity, later))
        elif luck < self._shares.repeated + self._shares.corrected + self._shares.broken:
            body = orjson.dumps({"prediction_id": identity, "timestamp": known})
            self._send(Sent(known + lag, "broken_feedback", identity, body=body))

    def _break(self, moment: float, identity: str, fields: dict[str, Any]) -> None:
        """Queue a broken event beside the good one, under an id of its own."""
        mine = f"broken-{identity}"
        event = {"prediction_id": mine, **fields}
        whole = orjson.dumps(event)
        bodies = (
            whole[: len(whole) // 2],
            orjson.dumps({**event, "model": "fruad"}),
            orjson.dumps({**event, "timestamp": "yesterday"}),
            orjson.dumps({**event, "prediction": {"class": "fraud"}}),
            b"\x00\x01" + whole,
        )
        body = bodies[self._made % len(bodies)]
        self._send(Sent(moment, "broken_prediction", mine, body=body))

    def _send(self, sent: Sent) -> None:
        self._scheduled += 1
        heappush(self._due, (sent.at, self._scheduled, sent))


def _class_names(positive: Any) -> Any:
    return np.where(positive, world.CLASSES[1], world.CLASSES[0])


def _other(actual: Any) -> Any:
    if isinstance(actual, str):
        return world.CLASSES[actual == world.CLASSES[0]]
    return round(actual + 1.0, 2)


def _plain(column: Any) -> list[Any]:
    """Values as plain Python; numbers that are not known become None."""
    values: list[Any] = column.tolist()
    if column.dtype.kind != "f":
        return values
    return [None if value != value else value for value in values]  # noqa: PLR0124 - NaN alone
