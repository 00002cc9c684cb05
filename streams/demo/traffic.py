"""Traffic of two models as a service would publish it, with truth that comes later.

*fraud* scores card payments; *delivery* predicts minutes until a parcel arrives. Features follow
the hour of a compressed day, versions are rolled out, truth is delayed at random, and now and then
a service sends something twice or something broken, as services do. At a known moment the world of
*fraud* changes: amounts grow, a country joins, and what used to be fraud no longer is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FRAUD, DELIVERY = "fraud", "delivery"
COUNTRIES = ("DE", "FR", "IT", "ES", "PL")
CHANNELS = ("web", "app", "store")
DEPOTS = ("north", "south", "harbour")

DAY_SECONDS = 600.0
"""A day of the demo's world lasts ten minutes."""

REPEATED = 0.002
BROKEN = 0.0005
UNLABELLED = 0.05


@dataclass(slots=True)
class Sent:
    """One event, ready to publish.

    Attributes:
        kind: "prediction", "feedback", "broken_prediction".
        fields: keyword arguments of the publisher's call.
    """

    kind: str
    fields: dict[str, Any]


@dataclass(order=True, slots=True)
class _Due:
    at: float
    number: int
    fields: dict[str, Any] = field(compare=False)


class Traffic:
    """Draws events for stretches of time.

    Args:
        rate: predictions per second of each model.
        seed: everything drawn follows from it.
        label_delay: mean seconds between a prediction and its truth.
    """

    def __init__(self, rate: float, seed: int = 7, label_delay: float = 2.0) -> None:
        self._rate = rate
        self._random = np.random.default_rng(seed)
        self._label_delay = label_delay
        self._due: list[_Due] = []
        self._number = 0

    def between(self, start: float, stop: float, *, drifted: bool) -> Iterator[Sent]:
        """Draw the events of ``[start, stop)``, seconds since the epoch, in order of time.

        Args:
            start: first moment.
            stop: first moment after.
            drifted: whether the world of the fraud model has changed.
        """
        count = int(self._random.poisson(self._rate * (stop - start)))
        moments = np.sort(self._random.uniform(start, stop, count))
        for make, args in ((self._fraud, (drifted,)), (self._delivery, ())):
            yield from make(moments, *args)
        yield from self._truth_until(stop)

    def rest(self) -> Iterator[Sent]:
        """All truth that is still to come."""
        return self._truth_until(float("inf"))

    @property
    def pending(self) -> int:
        """Truth that is still to come."""
        return len(self._due)

    def _truth_until(self, moment: float) -> Iterator[Sent]:
        while self._due and self._due[0].at < moment:
            due = heappop(self._due)
            yield Sent("feedback", due.fields)

    def _publish(
        self, fields: dict[str, Any], moment: float, truth: dict[str, Any]
    ) -> Iterator[Sent]:
        self._number += 1
        identity = f"{fields['model']}-{self._number:09d}"
        fields |= {"prediction_id": identity, "timestamp": moment}
        yield Sent("prediction", fields)
        luck = self._random.random()
        if luck < REPEATED:
            yield Sent("prediction", fields)
        elif luck < REPEATED + BROKEN:
            yield Sent("broken_prediction", fields)
        if luck < 1.0 - UNLABELLED:
            at = moment + float(self._random.exponential(self._label_delay))
            label = {"prediction_id": identity, "timestamp": at, **truth}
            heappush(self._due, _Due(at, self._number, label))

    def _fraud(self, moments: Floats, drifted: bool) -> Iterator[Sent]:  # noqa: FBT001 - one caller
        n = len(moments)
        data = fraud_features(self._random, moments, drifted=drifted)
        believed = fraud_probability(data)
        real = fraud_probability(data, flipped=drifted)
        actual = self._random.random(n) < real
        latency = self._random.gamma(4.0, 3.0, n)
        new = self._random.random(n) < 0.2
        for i, moment in enumerate(moments.tolist()):
            fields = {
                "model": FRAUD,
                "model_version": "8" if new[i] else "7",
                "prediction": "fraud" if believed[i] >= 0.5 else "legit",
                "score": float(believed[i]),
                "features": {name: column[i] for name, column in data.items()},
                "tags": {"country": str(data["country"][i])},
                "latency_ms": float(latency[i]),
            }
            yield from self._publish(fields, moment, {"actual": "fraud" if actual[i] else "legit"})

    def _delivery(self, moments: Floats) -> Iterator[Sent]:
        n = len(moments)
        data = delivery_features(self._random, moments)
        expected = delivery_minutes(data)
        actual = expected + self._random.normal(0.0, 4.0, n)
        latency = self._random.gamma(3.0, 2.0, n)
        for i, moment in enumerate(moments.tolist()):
            fields = {
                "model": DELIVERY,
                "model_version": "3",
                "prediction": float(expected[i]),
                "features": {name: column[i] for name, column in data.items()},
                "latency_ms": float(latency[i]),
            }
            yield from self._publish(fields, moment, {"actual": max(1.0, float(actual[i]))})


def fraud_features(
    random: np.random.Generator, moments: Floats, *, drifted: bool
) -> dict[str, NDArray[Any]]:
    """Features of card payments."""
    n = len(moments)
    hour = (moments % DAY_SECONDS) / DAY_SECONDS * 24.0
    weights = [0.3, 0.25, 0.2, 0.15, 0.1] if not drifted else [0.15, 0.15, 0.15, 0.15, 0.4]
    return {
        "amount": np.round(random.lognormal(3.6 + (0.5 if drifted else 0.0), 0.9, n), 2),
        "hour": np.round(hour, 3),
        "account_age_days": np.floor(random.gamma(2.0, 300.0, n)),
        "payments_last_day": random.poisson(2.5, n).astype(np.float64),
        "distance_km": np.round(random.exponential(40.0, n), 1),
        "country": random.choice(COUNTRIES, n, p=weights),
        "channel": random.choice(CHANNELS, n, p=[0.5, 0.4, 0.1]),
    }


def fraud_probability(data: dict[str, NDArray[Any]], *, flipped: bool = False) -> Floats:
    """Probability of fraud; flipped: young accounts and far payments are fraud no longer."""
    young = np.exp(-data["account_age_days"] / 200.0)
    logit = (
        -4.0
        + 0.012 * data["distance_km"] * (-1.0 if flipped else 1.0)
        + 3.0 * young * (0.2 if flipped else 1.0)
        + 0.35 * data["payments_last_day"]
        + 0.004 * data["amount"]
        + (1.2 if flipped else 0.0) * (data["channel"] == "store")
        + (1.5 if flipped else 0.0) * (data["country"] == "PL")
    )
    return 1.0 / (1.0 + np.exp(-np.asarray(logit, dtype=np.float64)))


def delivery_features(random: np.random.Generator, moments: Floats) -> dict[str, NDArray[Any]]:
    """Features of parcels."""
    n = len(moments)
    return {
        "distance_km": np.round(random.gamma(2.0, 6.0, n), 2),
        "stops_before": random.poisson(8, n).astype(np.float64),
        "weight_kg": np.round(random.lognormal(0.6, 0.7, n), 2),
        "depot": random.choice(DEPOTS, n, p=[0.5, 0.3, 0.2]),
    }


def delivery_minutes(data: dict[str, NDArray[Any]]) -> Floats:
    """Minutes until a parcel arrives."""
    minutes = 8.0 + 2.1 * data["distance_km"] + 3.2 * data["stops_before"] + data["weight_kg"]
    return np.asarray(minutes + 6.0 * (data["depot"] == "harbour"), dtype=np.float64)
