"""What is sent: predictions and labels of two models, with everything that goes wrong in life.

Labels come delayed at random, out of order, twice, corrected, contradicted, too late, before their
prediction, or about nothing; predictions come twice, out of order, too late; some are rubbish. In
every cycle the quality of one model drops for a while and the traffic of the other one dips.
Everything follows from the seed and the time of the start.
"""

import heapq
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streams.events.partitioner import partition_for

TICK = 1_000
SIZE, LARGE, HOP = 5_000, 10_000, 5_000
HORIZON, REMEMBER, LATENESS, DISORDER = 8_000, 4_000, 2_000, 1_000
"""Label horizon, time that ids are kept after it, allowed lateness, out-of-orderness; all in ms."""
CYCLE = 40_000
STEP = 50
FRAUD, PRICE = "fraud", "price"
SEGMENTS = {FRAUD: "country", PRICE: "region"}
LEAST_ACCURACY, LEAST_SAMPLES = 0.8, 30
PRICE_SHARE, DIP = 0.4, 0.1
SILENCE = 60_000
"""Event time between the last event and those that end the traffic: everything is final by then."""

_SHARED: dict[str, Any] = {
    "label_horizon": f"{HORIZON}ms",
    "remember": f"{REMEMBER}ms",
    "allowed_lateness": f"{LATENESS}ms",
    "out_of_orderness": f"{DISORDER}ms",
    "windows": [{"size": f"{SIZE}ms"}, {"size": f"{LARGE}ms", "hop": f"{HOP}ms"}],
    "detectors": [{"kind": "adwin", "on": "error"}],
    "features": {"amount": {"kind": "numeric"}, "channel": {"kind": "categorical"}},
}


def least_volume(rate: float) -> float:
    """Predictions per second of event time below which the volume rule breaches."""
    return rate * PRICE_SHARE / 2


def models(rate: float) -> dict[str, dict[str, Any]]:
    """Configure the two models.

    Args:
        rate: predictions per second of event time, of both together.
    """
    accuracy = {
        "rule": "threshold",
        "name": "accuracy",
        "metric": "accuracy",
        "below": LEAST_ACCURACY,
        "view": "label_time",
        "window": f"{SIZE}ms",
        "min_samples": LEAST_SAMPLES,
    }
    volume = {"rule": "volume", "name": "volume", "below": least_volume(rate)}
    return {
        FRAUD: _SHARED
        | {
            "model": FRAUD,
            "task": "binary",
            "classes": ["false", "true"],
            "segments": [SEGMENTS[FRAUD]],
            "alerts": [accuracy],
        },
        PRICE: _SHARED
        | {
            "model": PRICE,
            "task": "regression",
            "segments": [SEGMENTS[PRICE]],
            "alerts": [volume],
        },
    }


@dataclass(slots=True)
class Event:
    """One message.

    Attributes:
        side: "predictions" or "feedback".
        key: its key, the prediction's id.
        value: its bytes.
        body: what the bytes say; None when they are rubbish that nobody can read.
    """

    side: str
    key: str
    value: bytes
    body: dict[str, Any] | None


class Traffic:
    """Makes the events of a stretch of event time.

    Args:
        seed: of everything random.
        start: first moment, ms since the epoch.
        rate: predictions per second of event time.
    """

    def __init__(self, seed: int, start: int, rate: float) -> None:
        self.start = start
        self.now = start
        self._rate = rate
        self._random = random.Random(seed)
        self._due: list[tuple[int, int, Event]] = []
        self._order = itertools.count()
        self._ids = itertools.count()
        self._owed = {FRAUD: 0.0, PRICE: 0.0}

    def until(self, moment: int) -> Iterator[Event]:
        """Give the events up to a moment of event time, in the order of publishing."""
        while self.now + STEP <= moment:
            self.now += STEP
            self._step()
            while self._due and self._due[0][0] <= self.now:
                yield heapq.heappop(self._due)[2]

    def end(self, partitions: int) -> tuple[int, list[Event]]:
        """Give the moment that ends everything, and an event of each kind in every partition.

        They are from so late that everything before is final when they have been read. They
        themselves stay unprocessed, as nothing follows them.
        """
        moment = (self.now + SILENCE) // LARGE * LARGE
        events = []
        for partition in range(partitions):
            one = next(
                name
                for name in (f"end-{partition}-{i}" for i in itertools.count())
                if partition_for(name.encode(), partitions) == partition
            )
            events.append(self._prediction(PRICE, one, moment))
            events.append(_event("feedback", one, _truth(one, moment, 1.0)))
        return moment, events

    # -- predictions --------------------------------------------------------------------------

    def _step(self) -> None:
        phase = (self.now - self.start) % CYCLE
        dip = DIP if phase >= 26_000 else 1.0
        for model, share in ((FRAUD, 1 - PRICE_SHARE), (PRICE, PRICE_SHARE * dip)):
            self._owed[model] += self._rate * share * STEP / 1000
            while self._owed[model] >= 1:
                self._owed[model] -= 1
                self._predict(model, bad=14_000 <= phase < 26_000)

    def _predict(self, model: str, *, bad: bool) -> None:
        rng = self._random
        one = f"{model[0]}-{next(self._ids)}"
        ts = self.now - rng.randrange(1_200)
        if rng.random() < 0.003:
            ts -= rng.randrange(2_000, 5_000)  # too late for its partition's clock, mostly
        event = self._prediction(model, one, ts)
        # Some labels are there before their prediction.
        early = rng.random() < 0.01
        self._push(self.now + (1_500 if early else 0), event)
        if rng.random() < 0.01:
            self._push(self.now + rng.randrange(3_000), event)
        if rng.random() < 0.003:
            self._push(self.now, Event("predictions", one, self._rubbish(one), None))
        self._label(model, one, ts, event, bad=bad)

    def _prediction(self, model: str, one: str, ts: int) -> Event:
        rng = self._random
        body: dict[str, Any] = {
            "prediction_id": one,
            "timestamp": ts,
            "model": model,
            "model_version": rng.choice(("v1", "v1", "v2")),
            "features": {
                "amount": round(rng.lognormvariate(3, 1), 3),
                "channel": rng.choice(("web", "app", "shop")),
            },
            "tags": {SEGMENTS[model]: rng.choice(("north", "south", "west"))},
            "latency_ms": round(rng.uniform(1, 20), 2),
        }
        if model == FRAUD:
            said = rng.random() < 0.3
            score = rng.uniform(0.5, 1.0) if said else rng.uniform(0.0, 0.499)
            body |= {"prediction": said, "score": round(score, 6)}
        else:
            body["prediction"] = round(rng.uniform(50, 150), 3)
        return _event("predictions", one, body)

    def _rubbish(self, one: str) -> bytes:
        known = {"prediction_id": one, "timestamp": self.now, "model": FRAUD}
        return self._random.choice(
            (
                b"{broken",
                b"[" * 500,
                json.dumps(known | {"model": "nobody", "prediction": 1}).encode(),
                json.dumps({"prediction_id": one, "model": FRAUD, "prediction": True}).encode(),
                json.dumps(known | {"prediction": "perhaps"}).encode(),
            )
        )

    # -- labels -------------------------------------------------------------------------------

    def _label(self, model: str, one: str, ts: int, prediction: Event, *, bad: bool) -> None:
        rng = self._random
        if rng.random() < 0.005:
            self._feed(self.now, f"nobody-{one}", rng.random() < 0.5)
        if rng.random() < 0.003:
            self._push(self.now, Event("feedback", one, b'{"prediction_id": 7', None))
        if rng.random() < 0.07:
            return
        actual = self._actual(model, prediction, bad=bad)
        at = self.now + self._delay()
        self._feed(at, one, actual)
        if rng.random() < 0.02:
            self._feed(at + rng.randrange(2_000), one, actual)
        if rng.random() < 0.03:
            later = at + rng.randrange(500, 3_000)
            other = (not actual) if model == FRAUD else actual + 5
            # One with an earlier time of its own contradicts, one with a later time corrects.
            said = later if rng.random() < 0.7 else ts - 10_000
            self._push(later, _event("feedback", one, _truth(one, said, other)))

    def _actual(self, model: str, prediction: Event, *, bad: bool) -> Any:
        assert prediction.body is not None
        said = prediction.body["prediction"]
        wrong = self._random.random() < (0.45 if bad else 0.05)
        if model == FRAUD:
            return said != wrong
        return round(said + self._random.gauss(0, 30 if wrong else 3), 3)

    def _delay(self) -> int:
        rng = self._random
        kind = rng.random()
        if kind < 0.90:
            return rng.randrange(200, 5_000)
        if kind < 0.95:
            return rng.randrange(5_000, HORIZON - 1_000)
        return rng.randrange(HORIZON, HORIZON + REMEMBER + 3_000)

    def _feed(self, at: int, one: str, actual: Any) -> None:
        said = at - self._random.randrange(800)
        self._push(at, _event("feedback", one, _truth(one, said, actual)))

    def _push(self, at: int, event: Event) -> None:
        heapq.heappush(self._due, (at, next(self._order), event))


def _truth(one: str, ts: int, actual: Any) -> dict[str, Any]:
    return {"prediction_id": one, "timestamp": ts, "actual": actual}


def _event(side: str, key: str, body: dict[str, Any]) -> Event:
    return Event(side, key, json.dumps(body).encode(), body)
