"""What the project wants of its speed, and whether a run got there."""

from collections.abc import Iterator, Mapping
from typing import Any

PYTHON_PEERS = ("stock_faust", "stock_faust_dicts", "bytewax", "quix")
FLAT_WITHIN = 1.25
"""Costs are called flat when the dearest is at most so many times the cheapest."""


def judge(
    systems: Mapping[str, Mapping[str, Any]],
    ratios: Mapping[str, float],
    measured: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Hold figures against goals; what was not measured is left out.

    Returns:
        Dictionaries with ``goal``, ``target``, ``figure`` and ``met``.
    """
    found = []
    for goal, figure, at_least, target in _figures(systems, ratios, measured):
        met = figure >= target if at_least else figure <= target
        found.append({"goal": goal, "target": target, "figure": figure, "met": met})
    return found


def _figures(
    systems: Mapping[str, Mapping[str, Any]],
    ratios: Mapping[str, float],
    measured: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[str, float, bool, float]]:
    """Give goal, figure, whether more is better, and target."""
    rate = "rows_per_cpu_second_net"
    if (one := systems.get("driftline")) is not None:
        yield (
            "rows per CPU-second once started, one message per event, at least 100,000",
            one[rate],
            True,
            1e5,
        )
    if (one := systems.get("driftline_batches")) is not None:
        yield (
            "rows per CPU-second once started, columnar batches, at least 600,000",
            one[rate],
            True,
            6e5,
        )
    if (ratio := ratios.get("driftline / floor_orjson")) is not None:
        yield "share of the floor's rate, at least 0.5", ratio, True, 0.5
    if (ratio := ratios.get("driftline / stock_faust")) is not None:
        yield "times stock Faust, at least 50", ratio, True, 50.0
    compared = [ratios[f"driftline / {p}"] for p in PYTHON_PEERS if f"driftline / {p}" in ratios]
    if len(compared) == len(PYTHON_PEERS):
        yield "times the best Python peer, at least 5", min(compared), True, 5.0
    if (features := measured.get("features")) is not None:
        goal = "cost of a further feature over that of decoding it (orjson), at most 1.25"
        yield goal, features["further_feature_over_decoding"], False, FLAT_WITHIN
    if (waiting := measured.get("waiting")) is not None:
        goal = "dearest over cheapest event, 10,000 waiting predictions to most, at most 1.25"
        yield goal, waiting["flatness"], False, FLAT_WITHIN
        goal = "bytes per waiting prediction beside the id, at most 64"
        yield goal, waiting["bytes_per_waiting"], False, 64.0
    if (found := measured.get("latency")) is not None:
        goal = "seconds from event to published metric at half load, p99, below 2"
        yield goal, found["event_to_metric"]["p99_s"], False, 2.0
    if (found := measured.get("two_workers")) is not None:
        yield "times one worker, two workers, at least 1.8", found["speed_up"], True, 1.8
    if (found := measured.get("scrape")) is not None:
        yield "ms of a scrape of 10,000 series, at most 20", found["scrape_ms"]["max"], False, 20.0
        goal = "ms for which a scrape blocks the event loop, at most 5"
        yield goal, found["loop_blocked_ms"]["max"], False, 5.0
    if (found := measured.get("restore")) is not None:
        yield "rows restored per second, at least 200,000", found["rows_per_second"], True, 2e5
        goal = "seconds from start to ready with the state of a restart, at most 10"
        yield goal, found["ready_s"], False, 10.0
