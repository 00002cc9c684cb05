"""What a run shows is held against the goals and laid out for people."""

from typing import Any

import pytest
from as_markdown import render
from bench import MEASUREMENTS, NAMES, parse
from goals import judge
from latency import measure as measure_latency
from live_load import event_time, sent_at
from results import Result, document
from systems import SYSTEMS

PEERS = ("stock_faust", "stock_faust_dicts", "bytewax", "quix")


def result(name: str, rows: int, cpu: float, **details: Any) -> Result:
    return Result(name, "what it does", rows, 2 * cpu, cpu, 1_000_000, cpu, 2 * cpu, details)


def body(*results: Result, **measured: dict[str, Any]) -> dict[str, Any]:
    workload = {
        "rows": 1_000_000,
        "features": 20,
        "batch": 500,
        "payload_bytes": {
            "prediction": 637.2,
            "feedback": 96.5,
            "prediction_batch": 121_036.0,
            "feedback_batch": 29_306.0,
        },
    }
    return document(results, workload, "4.3.1", measured, {})


def goal(found: dict[str, Any], words: str) -> dict[str, Any]:
    (one,) = [one for one in found["goals"] if words in one["goal"]]
    return dict(one)


def test_a_goal_is_met_or_missed_by_its_figure() -> None:
    found = body(result("driftline", 1_000_000, 9.0), result("floor_orjson", 1_000_000, 4.0))
    assert goal(found, "one message per event")["met"]
    assert not goal(found, "share of the floor")["met"]
    slow = body(latency={"event_to_metric": {"p99_s": 2.5}, "told": []})
    assert not goal(slow, "p99")["met"]


def test_the_best_peer_counts_and_only_when_all_were_measured() -> None:
    ours = result("driftline", 1_000_000, 10.0)
    peers = [result(name, 10_000, 2.0 - i / 4) for i, name in enumerate(PEERS)]
    found = body(ours, *peers)
    assert goal(found, "best Python peer")["figure"] == 12.5
    without = body(ours, *peers[1:])
    assert not [one for one in without["goals"] if "best Python peer" in one["goal"]]


def test_what_was_not_measured_has_no_goal() -> None:
    assert judge({}, {}, {}) == []


def test_markdown_names_every_system_its_command_and_what_is_extrapolated() -> None:
    found = body(
        result("driftline", 1_000_000, 10.0, guarantee="exactly_once"),
        result("bytewax", 50_000, 5.0, versions={"bytewax": "0.21.1"}, extrapolated=True),
        result("quix", 20_000, 5.0, versions={"quixstreams": "3"}, miscounts=["labels"]),
        scrape={
            "scrape_ms": {"max": 9.0},
            "loop_blocked_ms": {"max": 1.0},
            "told": ["a scrape takes 9 ms"],
        },
    )
    text = render(found)
    assert "| Driftline, exactly once, one message per event | 100,000 | 10.0 |" in text
    assert "Bytewax 0.21.1 | 10,000 (from 50,000 rows) | 100.0 |" in text
    assert "Quix Streams 3; **miscounts**" in text
    assert "a scrape takes 9 ms" in text
    assert '`make bench ARGS="--only scrape"`' in text


def test_everything_that_can_be_measured_can_be_asked_for_alone() -> None:
    assert set(NAMES) == {*SYSTEMS, *MEASUREMENTS}
    for name in NAMES:
        assert parse(["--only", name]).only == [name]
    assert MEASUREMENTS["latency"] is measure_latency


@pytest.mark.parametrize("after", [0.0, 1.0, 17.5])
def test_when_events_were_sent_follows_from_their_time(after: float) -> None:
    started = 1_000.0
    assert sent_at(started, event_time(started, started + after)) == pytest.approx(started + after)
