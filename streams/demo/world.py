"""The world that the demo's two models live in: payments and parcels, and what becomes of them.

*fraud* scores card payments; *delivery* predicts minutes until a parcel arrives. At a known moment
the world of *fraud* changes in two ways: what comes in (larger amounts, another mix of countries)
and what it means (the fraudsters have learnt to look like old customers close to home). The model
does not know.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Columns = dict[str, NDArray[Any]]

FRAUD, DELIVERY = "fraud", "delivery"
COUNTRIES = np.array(["DE", "FR", "IT", "ES", "PL"])
CHANNELS = np.array(["app", "store", "web"])
DEPOTS = np.array(["harbour", "north", "south"])
CLASSES = ("legit", "fraud")
THRESHOLD = 0.5
MISSING = 0.01
"""Share of distances and weights that are not known."""

_CALM_MIX = (0.30, 0.25, 0.20, 0.15, 0.10)
_DRIFTED_MIX = (0.15, 0.15, 0.15, 0.15, 0.40)
_MINUTES_OFF = 4.0


def fraud_features(random: np.random.Generator, drifted: Bools) -> Columns:
    """Draw payments.

    Args:
        random: source of chance.
        drifted: per payment whether the world has changed, shape [n].

    Returns:
        Columns of shape [n]: amount in euros, hour of the payer's day, account age in days,
        payments of the last day, distance from home in km (NaN: not known), country, channel.
    """
    n = len(drifted)
    country = np.where(
        drifted, _choose(random, n, _DRIFTED_MIX), _choose(random, n, _CALM_MIX)
    ).astype(np.int64)
    return {
        "amount": np.round(random.lognormal(3.6 + 0.5 * drifted, 0.9, n), 2),
        "hour": np.round(random.normal(14.5, 4.5, n) % 24.0, 2),
        "account_age_days": np.floor(random.gamma(2.0, 300.0, n)),
        "payments_last_day": random.poisson(2.5, n).astype(np.float64),
        "distance_km": _sometimes_missing(random, np.round(random.exponential(40.0, n), 1)),
        "country": COUNTRIES[country],
        "channel": CHANNELS[_choose(random, n, (0.4, 0.1, 0.5))],
    }


def fraud_probability(data: Columns, changed: Bools | None = None) -> Floats:
    """Probability that each payment is fraud, shape [n].

    Args:
        data: columns as :func:`fraud_features` draws them.
        changed: per payment whether fraud has learnt; None, as the model believes, if it never did.
    """
    calm = (
        0.035 * np.nan_to_num(data["distance_km"], nan=40.0)
        + 5.0 * np.exp(-data["account_age_days"] / 150.0)
        + 0.5 * data["payments_last_day"]
        + 0.008 * data["amount"]
        - 7.0
    )
    learnt = (
        2.5 * (data["country"] == "PL")
        + 1.5 * (data["channel"] == "store")
        + 0.5 * data["payments_last_day"]
        - 4.0
    )
    logit = calm if changed is None else np.where(changed, learnt, calm)
    return np.asarray(1.0 / (1.0 + np.exp(-1.5 * logit)), dtype=np.float64)


def delivery_features(random: np.random.Generator, n: int) -> Columns:
    """Draw n parcels.

    Returns:
        Columns of shape [n]: distance in km, stops before, weight in kg (NaN: not known), depot.
    """
    return {
        "distance_km": np.round(random.gamma(2.0, 6.0, n), 2),
        "stops_before": random.poisson(8.0, n).astype(np.float64),
        "weight_kg": _sometimes_missing(random, np.round(random.lognormal(0.6, 0.7, n), 2)),
        "depot": DEPOTS[_choose(random, n, (0.2, 0.5, 0.3))],
    }


def delivery_minutes(data: Columns) -> Floats:
    """Minutes that the model expects, shape [n]."""
    minutes = 8.0 + 2.1 * data["distance_km"] + 3.2 * data["stops_before"]
    minutes += np.nan_to_num(data["weight_kg"], nan=2.0) + 6.0 * (data["depot"] == "harbour")
    return np.asarray(minutes, dtype=np.float64)


def delivery_truth(random: np.random.Generator, expected: Floats) -> Floats:
    """Minutes that it really took, shape [n]."""
    return np.maximum(1.0, expected + random.normal(0.0, _MINUTES_OFF, len(expected)))


def _choose(random: np.random.Generator, n: int, shares: tuple[float, ...]) -> NDArray[np.int64]:
    # The last edge is dropped: shares that add up to a little less than 1 leave no gap.
    return np.searchsorted(np.cumsum(shares)[:-1], random.random(n), side="right")


def _sometimes_missing(random: np.random.Generator, values: Floats) -> Floats:
    values[random.random(len(values)) < MISSING] = np.nan
    return values
