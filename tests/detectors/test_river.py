"""Alarm for alarm equality with river, on random streams, chunks and parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from river import drift
from river.drift import binary

from detectors import ADWIN, DDM, EDDM, HDDMA, HDDMW, KSWIN, DriftDetector, PageHinkley

Choice = Callable[[np.random.Generator], dict[str, Any]]


def stream(rng: np.random.Generator, form: str, length: int) -> np.ndarray:
    """Draw up to four stretches of one kind of data, each with its own mean."""
    parts = []
    scale = rng.choice([0.02, 0.2, 1.0])
    for size in np.diff(np.sort([0, *rng.integers(0, length, rng.integers(0, 4)), length])):
        level = rng.random() * scale
        if form == "errors":
            parts.append((rng.random(size) < level).astype(float))
        elif form == "shares":
            parts.append(rng.beta(0.5 + 5 * level, 3, size))
        else:
            parts.append(rng.normal(3 * level, 1, size) + rng.choice([0, 1000]))
    return np.concatenate(parts)


def in_chunks(detector: DriftDetector, xs: np.ndarray, rng: np.random.Generator) -> list[int]:
    alarms: list[int] = []
    cuts = np.sort(rng.integers(0, xs.size, rng.integers(0, 6)))
    start = 0
    for part in np.split(xs, cuts):
        alarms += (detector.update_many(part) + start).tolist()
        start += part.size
    return alarms


def one_by_one(detector: Any, xs: np.ndarray) -> tuple[list[int], bool]:
    alarms = []
    for index, x in enumerate(xs.tolist()):
        detector.update(x)
        if detector.drift_detected:
            alarms.append(index)
    return alarms, getattr(detector, "warning_detected", False)


def page_hinkley(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "alpha": float(rng.choice([1.0, 0.9999, 0.99, 0.5, 0.0])),
        "threshold": float(rng.choice([2.0, 10.0, 50.0])),
        "delta": float(rng.choice([0.005, 0.1])),
        "min_instances": int(rng.choice([1, 30])),
        "mode": str(rng.choice(["up", "down", "both"])),
    }


def confidences(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "drift_confidence": float(rng.choice([0.001, 0.05])),
        "warning_confidence": float(rng.choice([0.005, 0.2])),
        "two_sided_test": bool(rng.random() < 0.5),
    }


class Case(NamedTuple):
    """A detector, river's, how to draw parameters, forms of data, and streams by length."""

    ours: type[DriftDetector]
    theirs: Any
    choose: Choice
    forms: list[str]
    streams: dict[int, int]


CASES = [
    Case(
        PageHinkley,
        drift.PageHinkley,
        page_hinkley,
        ["errors", "shares", "numbers"],
        {500: 1000, 10_000: 12},
    ),
    Case(
        DDM,
        binary.DDM,
        lambda rng: {"warm_start": int(rng.choice([0, 5, 30]))},
        ["errors", "shares"],
        {500: 1000, 10_000: 12},
    ),
    Case(
        EDDM,
        binary.EDDM,
        lambda rng: {"warm_start": int(rng.choice([5, 30]))},
        ["errors"],
        {500: 1000, 10_000: 12},
    ),
    Case(
        HDDMA,
        binary.HDDMA,
        confidences,
        ["errors", "shares"],
        {300: 400, 6000: 5},
    ),
    Case(
        HDDMW,
        binary.HDDMW,
        lambda rng: {**confidences(rng), "lambda_val": float(rng.choice([0.05, 0.2]))},
        ["errors", "shares"],
        {300: 400, 6000: 5},
    ),
    Case(
        KSWIN,
        drift.KSWIN,
        lambda rng: {
            "alpha": float(rng.choice([0.005, 0.05])),
            "window_size": int(rng.choice([60, 100])),
            "stat_size": int(rng.choice([20, 30])),
            "seed": int(rng.integers(0, 100)),
        },
        ["errors", "shares", "numbers"],
        {350: 9},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.ours.kind)
def test_alarms_and_warnings_are_those_of_river(case: Case) -> None:
    total = 0
    lengths = [length for length, streams in case.streams.items() for _ in range(streams)]
    for seed, length in enumerate(lengths):
        rng = np.random.default_rng(seed)
        xs = stream(rng, case.forms[seed % len(case.forms)], length)
        params = case.choose(rng)
        detector = case.ours(**params)
        alarms = in_chunks(detector, xs, rng)
        expected, warning = one_by_one(case.theirs(**params), xs)
        assert alarms == expected, f"stream {seed} with {params}"
        assert detector.warning_detected == warning, f"stream {seed} with {params}"
        total += len(alarms)
    assert total > len(lengths) / 10


def test_adwin_that_ticks_at_every_item_and_resets_alarms_as_river_does() -> None:
    total = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        xs = stream(rng, ["errors", "shares", "numbers"][seed % 3], 2000)
        params: dict[str, Any] = {
            "delta": float(rng.choice([0.002, 0.05, 0.3])),
            "clock": 1,
            "max_buckets": int(rng.choice([3, 5])),
            "min_window_length": int(rng.choice([1, 5])),
            "grace_period": int(rng.choice([10, 100])),
        }
        alarms = in_chunks(ADWIN(**params, reset_on_alarm=True), xs, rng)
        expected, _ = one_by_one(drift.ADWIN(**params), xs)
        assert alarms == expected, f"stream {seed} with {params}"
        total += len(alarms)
    assert total > 30
