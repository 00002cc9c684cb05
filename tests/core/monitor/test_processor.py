"""The whole monitor: rows in bundles in, published records out."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from core.monitor.worlds import MINUTE, START, Row, Silent, World, chunk_of, processor, settings_of
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.config import Settings
from streams.core.monitor import processor as under_test
from streams.core.monitor.events import AlertBook, WindowClosed
from streams.core.processor import Saved
from streams.wire import Output

MODEL: dict[str, Any] = {
    "model": "churn",
    "task": "binary",
    "classes": ["no", "yes"],
    "segments": ["country"],
    "features": {"amount": {"kind": "numeric"}, "plan": {"kind": "categorical"}},
    "windows": [{"size": MINUTE}, {"size": 3 * MINUTE, "hop": MINUTE}],
    "label_horizon": 5 * MINUTE,
    "allowed_lateness": MINUTE,
    "out_of_orderness": 2_000,
    "detectors": [{"kind": "adwin", "params": {"delta": 0.3, "clock": 8}}],
    "alerts": [
        {"rule": "threshold", "name": "low", "metric": "accuracy", "below": 0.6, "min_samples": 5},
        {"rule": "detector", "name": "change", "detector": "adwin"},
        {"rule": "staleness", "name": "silent", "predictions_after": 3 * MINUTE},
        {"rule": "volume", "name": "volume", "below": 0.05, "min_samples": 1},
    ],
}
SETTINGS = settings_of(MODEL)
WORLD = World(SETTINGS)
QUIET = START + 15 * MINUTE
"""When every window of the rows below is final."""


@pytest.fixture(autouse=True, scope="module")
def _often_added() -> Iterator[None]:
    """Let news wait for less, so that adding it meets every other event."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.core.monitor.watch._MOST_STAGED", 7)
        yield


def rows_of(seed: int, n: int = 80, sources: int = 3, minutes: float = 3.0) -> list[Row]:
    rng = np.random.default_rng(seed)
    found = []
    for ts in sorted(rng.uniform(0, minutes * MINUTE, n).astype(int).tolist()):
        positive = rng.random() < 0.4
        score = float(rng.beta(3 if positive else 1.5, 2))
        delay = int(rng.exponential(MINUTE))
        labelled = rng.random() < 0.8 and delay < 4 * MINUTE
        found.append(
            Row(
                START + ts,
                version=str(rng.choice(["v1", "v2"], p=[0.8, 0.2])),
                tags={"country": str(rng.choice(["DE", "FR", "IT"]))},
                score=score,
                predicted=float(score >= 0.5),
                numeric={"amount": float(rng.normal(50, 10))},
                categorical={"plan": str(rng.choice(["free", "pro"]))},
                latency=float(rng.lognormal(3, 1)),
                source=int(rng.integers(sources)),
                actual=int(positive),
                arrival=START + ts + delay if labelled else None,
            )
        )
    return found


def records_of(
    rows: Sequence[Row],
    cuts: Mapping[int, Sequence[int]] | None = None,
    sources: int = 3,
    until: int = QUIET,
    world: World = WORLD,
) -> list[list[bytes]]:
    return [[b.encode() for b in each] for each in world.bundles(rows, until, sources, cuts)]


def run(
    records: Sequence[bytes], of: Settings = SETTINGS, book: AlertBook | None = None
) -> list[Output]:
    monitor = processor(of, book)
    monitor.step(chunk_of(records), 0)
    checkpoint = monitor.checkpoint(0)
    return [] if checkpoint is None else checkpoint.outputs


def payloads(outputs: Sequence[Output], kind: str = "window") -> list[dict[str, Any]]:
    return [p for p in (json.loads(o.value) for o in outputs) if p["type"] == kind]


def whole(outputs: Sequence[Output], view: str, size: int = 60) -> list[dict[str, Any]]:
    return [
        p
        for p in payloads(outputs)
        if (p["model_version"], p["segment"], p["view"], p["size_s"]) == ("*", "*", view, size)
    ]


def interleave(records: Sequence[Sequence[bytes]], order: Sequence[int]) -> list[bytes]:
    queues = [list(each) for each in records]
    return [queues[source].pop(0) for source in order]


ticks = st.integers(START // 1000, START // 1000 + 10 * 60)
all_cuts = st.fixed_dictionaries({s: st.lists(ticks, max_size=5) for s in range(3)})
seeds = st.integers(0, 3)
EXPECTED: dict[int, list[Output]] = {}


def expected(seed: int) -> list[Output]:
    if seed not in EXPECTED:
        records = records_of(rows_of(seed))
        EXPECTED[seed] = run([record for each in records for record in each])
    return EXPECTED[seed]


@settings(max_examples=8, deadline=None)
@given(seed=seeds, cuts=all_cuts, data=st.data())
def test_neither_chunking_nor_interleaving_nor_repeats_change_a_byte(
    seed: int, cuts: dict[int, list[int]], data: st.DataObject
) -> None:
    records = records_of(rows_of(seed), cuts)
    plain = [source for source, each in enumerate(records) for _ in each]
    stream = interleave(records, data.draw(st.permutations(plain)))
    repeated = []
    for index, record in enumerate(stream):
        repeated.append(record)
        if data.draw(st.booleans()):
            repeated.append(stream[data.draw(st.integers(0, index))])
    assert run(repeated) == expected(seed)


@settings(max_examples=8, deadline=None)
@given(seed=seeds, cuts=all_cuts, data=st.data())
def test_a_restart_at_any_record_changes_nothing_in_total(
    seed: int, cuts: dict[int, list[int]], data: st.DataObject
) -> None:
    records = records_of(rows_of(seed), cuts)
    plain = [source for source, each in enumerate(records) for _ in each]
    stream = interleave(records, data.draw(st.permutations(plain)))
    least_log = data.draw(st.sampled_from([1, 30_000, 10**9]))
    indices = st.integers(0, len(stream) - 1)
    restarts = data.draw(st.lists(indices, max_size=2))
    checkpoints = data.draw(st.sets(indices, max_size=6))
    seen: list[Output] = []
    live: dict[str, bytes] = {}
    marker = b""
    monitor, at = processor(SETTINGS), 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "_LEAST_LOG", least_log)
        patch.setattr("streams.core.monitor.snapshot.RECORD_BYTES", 5_000)
        while at < 7 + len(stream):
            monitor.step(chunk_of([stream[at - 7]], at), 0)
            at += 1
            if at - 8 in checkpoints:
                checkpoint = monitor.checkpoint(0)
                assert checkpoint is not None
                seen += checkpoint.outputs
                marker = checkpoint.marker
                for record in checkpoint.state:
                    if record.value is None:
                        del live[record.name]
                    else:
                        live[record.name] = record.value
            if at - 8 in restarts:
                restarts.remove(at - 8)
                monitor = processor(SETTINGS)
                at = 7
                if marker:
                    monitor.restore(Saved(marker, live))
                    at = monitor.positions()["partials"]
        last = monitor.checkpoint(0)
    seen += [] if last is None else last.outputs
    assert seen == expected(seed)


@settings(max_examples=6, deadline=None)
@given(seed=seeds)
def test_final_tumbling_windows_add_up_to_what_the_bundles_hold(seed: int) -> None:
    rows = rows_of(seed)
    found = expected(seed)
    final = [p for p in whole(found, "prediction_time") if p["final"]]
    labelled = sum(row.arrival is not None for row in rows)
    assert sum(p["predictions"] for p in final) == len(rows)
    assert sum(p["labels"] for p in final) == labelled
    assert sum(p["labels"] for p in whole(found, "label_time")) == labelled
    by_country: dict[str, int] = defaultdict(int)
    for p in payloads(found):
        is_final = p["view"] == "prediction_time" and p["final"] and p["size_s"] == 60
        if is_final and p["segment"] != "*" and p["model_version"] != "*":
            by_country[p["segment"]] += p["predictions"]
    assert sum(by_country.values()) == len(rows)


@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_the_last_revision_of_every_window_is_that_of_its_rows(seed: int) -> None:
    rows = rows_of(seed)
    newest = {}
    for p in payloads(expected(seed)):
        newest[p["model_version"], p["segment"], p["view"], p["size_s"], p["start"]] = p
    for (version, segment, view, size, _), p in newest.items():
        start = int(p["id"].split("|")[-2])

        def inside(at: int | None, start: int = start, size: int = size) -> bool:
            return at is not None and start <= at < start + 1000 * size

        mine = [
            r
            for r in rows
            if version in {"*", r.version}
            and segment in {"*", f"country={r.tags['country']}"}
            and inside(r.ts if view == "prediction_time" else r.arrival)
        ]
        truth = [r for r in mine if r.arrival is not None]
        assert p["labels"] == len(truth)
        if view == "prediction_time":
            assert p["predictions"] == len(mine)
            assert p["final"]
            assert p["label_coverage"] == pytest.approx(len(truth) / len(mine))
            assert p["operation"]["predictions_per_second"]["value"] == len(mine) / size
            assert sum(p["score_histogram"]) == len(mine)
        if truth:
            right = np.mean([r.actual == r.predicted for r in truth])
            assert p["metrics"]["accuracy"]["value"] == pytest.approx(right, abs=1e-9)


def test_revisions_count_up_and_never_repeat_content_except_for_the_final_mark() -> None:
    seen: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for p in payloads(expected(0)):
        key = ("model_version", "segment", "view", "size_s", "hop_s", "start")
        seen[tuple(str(p[k]) for k in key)].append(p)
    changing = ("id", "revision", "final", "published_at_event_time")
    for history in seen.values():
        assert [p["revision"] for p in history] == list(range(len(history)))
        assert [p["final"] for p in history] == [False] * (len(history) - 1) + [True]
        contents = [{k: v for k, v in p.items() if k not in changing} for p in history]
        assert all(before != after for before, after in pairwise(contents[:-1]))
    assert max(len(history) for history in seen.values()) > 3


def test_ids_are_unique_and_name_their_window() -> None:
    found = expected(1)
    ids = [dict(o.headers)["driftline.id"] for o in found]
    assert len(ids) == len(set(ids))
    first = whole(found, "prediction_time")[0]
    assert first["id"] == f"churn|*|*|prediction_time|1m|{START}|0"
    assert {o.key for o in found if o.topic == "metrics"} == {b"churn"}
    alerts = [o for o in found if o.topic == "alerts"]
    assert alerts
    assert all(o.key == json.loads(o.value)["fingerprint"].encode() for o in alerts)


def moments(outputs: Sequence[Output]) -> list[int]:
    return [
        int(np.datetime64(p["published_at_event_time"][:-1], "ms").astype(int))
        for p in whole(outputs, "prediction_time")
        if p["id"].split("|")[-2] == str(START)
    ]


def test_a_window_is_published_when_the_stream_has_passed_it_and_revised_as_truth_comes() -> None:
    ages = [5, 30, 90, 170, 300]
    rows = [Row(START + 1000, score=0.7, predicted=1.0, actual=1, arrival=None)]
    rows += [
        Row(START + 2000, score=0.6, predicted=1.0, actual=1, arrival=START + MINUTE + age * 1000)
        for age in ages
    ]
    found = run(records_of(rows, sources=1)[0], book=Silent())
    end = START + MINUTE
    revised = [2_000, 60_000, 120_000, 240_000, 362_000]
    assert [m - end for m in moments(found)] == revised
    labels = [
        p["labels"] for p in whole(found, "prediction_time") if p["start"].endswith("00:00.000Z")
    ]
    assert labels[: len(revised)] == [0, 2, 3, 4, 5]


def test_inputs_and_traffic_are_fixed_once_predictions_can_no_longer_be_late() -> None:
    rows = [
        Row(
            START + 1000 * i,
            score=0.7,
            predicted=1.0,
            numeric={"amount": 3.0},
            latency=20.0,
            actual=1,
            arrival=START + MINUTE * (1 + i),
        )
        for i in range(5)
    ]
    history = [
        p
        for p in whole(run(records_of(rows, sources=1)[0], book=Silent()), "prediction_time")
        if p["id"].split("|")[-2] == str(START)
    ]
    assert ["inputs" in p for p in history] == [True, True, *[False] * (len(history) - 2)]
    assert len({p["operation"]["latency_p50"]["value"] for p in history}) == 1
    assert all(p["predictions"] == 5 for p in history)
    assert [p["labels"] for p in history] == [1, 2, 4, 5]


def test_a_late_prediction_revises_its_window_while_the_window_is_not_settled() -> None:
    rows = [
        Row(START, score=0.7, predicted=1.0),
        Row(START + 1000, score=0.7, predicted=1.0, seen=START + 2 * MINUTE + 1_500),
    ]
    history = [
        p
        for p in whole(run(records_of(rows, sources=1)[0], book=Silent()), "prediction_time")
        if p["id"].split("|")[-2] == str(START)
    ]
    assert [p["predictions"] for p in history] == [1, 2, 2]
    assert moments(run(records_of(rows, sources=1)[0], book=Silent())) == [
        START + MINUTE + 2_000,
        START + 2 * MINUTE + 2_000,
        START + 7 * MINUTE + 2_000,
    ]


def test_an_empty_window_is_told_to_the_rules_but_not_published() -> None:
    book = Silent()
    rows = [Row(START + m * MINUTE, score=0.7, predicted=1.0) for m in (0, 1, 5)]
    found = run(records_of(rows, sources=1)[0], book=book)
    published = {p["start"] for p in whole(found, "prediction_time")}
    assert len(published) == 3
    told = [e for e in book.windows if e.config.size == MINUTE and not e.published]
    assert [(e.start - START) // MINUTE for e in told] == [2, 3, 4, *range(6, 14)]
    assert all(e.payload.predictions == 0 for e in told)


def test_segments_are_told_before_the_whole_and_versions_before_their_roll_up() -> None:
    book = Silent()
    stream = [r for each in records_of(rows_of(2)) for r in each]
    run(stream, book=book)
    groups: dict[tuple[Any, ...], list[WindowClosed]] = defaultdict(list)
    for event in book.windows:
        groups[event.now, event.config.name, event.start, event.payload.view].append(event)
    for events in groups.values():
        order = [(e.payload.segment == "*", e.payload.model_version == "*") for e in events]
        assert [segment for segment, _ in order] == sorted(segment for segment, _ in order)
        assert order[-1][1]


def test_time_is_told_at_every_pane_with_the_newest_timestamps() -> None:
    book = Silent()
    rows = rows_of(3)
    run([r for each in records_of(rows) for r in each], book=book)
    assert [t.now for t in book.times] == list(range(START + MINUTE, QUIET + 1, MINUTE))
    at = book.times[1]
    before = [r for r in rows if r.ts < at.now]
    assert at.last_prediction == max(r.ts for r in before)
    assert at.last_label == max(r.arrival for r in rows if r.arrival and r.arrival < at.now)
    assert at.watched_since == min(r.ts for r in rows) // 1000 * 1000


def test_a_model_without_any_news_is_watched_too() -> None:
    both = settings_of({"models": [MODEL, {**MODEL, "model": "quiet"}]})
    monitor = processor(both)
    monitor.step(chunk_of(records_of(rows_of(0, sources=1), sources=1)[0]), 0)
    checkpoint = monitor.checkpoint(0)
    assert checkpoint is not None
    alerts = payloads(checkpoint.outputs, "alert")
    assert any(a["model"] == "quiet" and a["rule"] == "silent" for a in alerts)


def test_only_models_of_the_partition_are_watched() -> None:
    names = [f"m{i}" for i in range(12)]
    many = settings_of(
        {"models": [{**MODEL, "model": name} for name in names]},
        {"topics": {"monitor_partitions": 3}},
    )
    counts = [processor(many, partition=p).status()["models"] for p in range(3)]
    assert sum(counts) == 12
    assert max(counts) < 12


def test_what_cannot_be_read_is_counted_and_skipped() -> None:
    monitor = processor(SETTINGS)
    good = records_of(rows_of(0, sources=1), sources=1)[0]
    other = settings_of({**MODEL, "classes": ["maybe", "yes"]})
    foreign = records_of(rows_of(0, sources=1), sources=1, world=World(other))[0]
    monitor.step(chunk_of([b"", b"{}", b"\x97\x01\x00\x01\x01\x05\x05\x05", *foreign]), 0)
    monitor.step(chunk_of([*good, *good], 10), 0)
    status = monitor.status()
    assert status["rejected"] == 3
    assert status["news_mismatched"] > 0
    assert status["repeats"] == 2
    assert status["windows_published"] == 0


def test_unknown_models_are_counted() -> None:
    monitor = processor(settings_of({**MODEL, "model": "other"}))
    monitor.step(chunk_of(records_of(rows_of(0, sources=1), sources=1)[0]), 0)
    assert monitor.status()["news_unknown"] > 0
    assert monitor.latest().windows == []


def test_values_beyond_the_cap_are_counted_together() -> None:
    capped = settings_of({**MODEL, "segments": [{"name": "c", "by": ["country"], "max_values": 1}]})
    world = World(capped)
    rows = [
        Row(START + 100 * i, score=0.7, predicted=1.0, tags={"country": c})
        for i, c in enumerate(["DE", "FR", "DE", "IT", "FR"])
    ]
    found = run(records_of(rows, sources=1, world=world)[0], capped, Silent())
    counts = {
        p["segment"]: p["predictions"]
        for p in payloads(found)
        if p["model_version"] == "*" and p["size_s"] == 60
    }
    assert counts == {"*": 5, "c=DE": 2, "c=__other__": 3}


def test_the_live_view_holds_the_newest_window_of_every_series_that_is_alive() -> None:
    monitor = processor(SETTINGS)
    rows = rows_of(0, sources=1)
    early = records_of(rows, sources=1, until=START + 5 * MINUTE)[0]
    monitor.step(chunk_of(early), 0)
    live = monitor.latest()
    keys = [(w.model_version, w.segment, w.size_s, w.view) for w in live.windows]
    assert len(keys) == len(set(keys))
    newest = max(w.start for w in live.windows if w.view == "prediction_time")
    assert newest.endswith("02:00.000Z")
    late = WORLD.bundles([], START + 300 * MINUTE)[0][0]
    late.sequence = 2
    monitor.step(chunk_of([late.encode()], 1), 0)
    live = monitor.latest()
    assert {(w.model_version, w.segment) for w in live.windows} == {("*", "*")}
    assert [a.rule for a in live.alerts if a.rule == "silent"] == ["silent"]
    assert live.status["cells"] == 0
    assert live.status["event_time_seconds"] == START // 1000 + 300 * 60
    assert live.status["book_predictions_in"] == 0


def test_a_checkpoint_needs_something_new() -> None:
    monitor = processor(SETTINGS)
    assert monitor.checkpoint(0) is None
    assert monitor.positions() == {}
    monitor.step(chunk_of([b"x"], 40), 0)
    monitor.advance(0)
    assert monitor.paused() == frozenset()
    checkpoint = monitor.checkpoint(0)
    assert checkpoint is not None
    assert checkpoint.positions == {"partials": 41}
    assert monitor.checkpoint(0) is None
    fresh = processor(SETTINGS)
    fresh.restore(Saved(checkpoint.marker, {}))
    assert fresh.positions() == {"partials": 40}
    assert fresh.checkpoint(0) is None


def test_state_that_is_incomplete_or_foreign_is_refused() -> None:
    with pytest.raises(ValueError, match="not a marker"):
        processor(SETTINGS).restore(Saved(b"nonsense", {}))
    monitor = processor(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "_LEAST_LOG", 1)
        monitor.step(chunk_of(records_of(rows_of(0, sources=1), sources=1)[0]), 0)
        checkpoint = monitor.checkpoint(0)
    assert checkpoint is not None
    with pytest.raises(ValueError, match="lacks 'snap-1/0'"):
        processor(SETTINGS).restore(Saved(checkpoint.marker, {}))


def test_a_change_of_layout_drops_the_cells_but_keeps_the_rest() -> None:
    monitor = processor(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(under_test, "_LEAST_LOG", 1)
        records = records_of(rows_of(0, sources=1), sources=1, until=START + 3 * MINUTE)[0]
        monitor.step(chunk_of(records), 0)
        checkpoint = monitor.checkpoint(0)
    assert checkpoint is not None
    live = {r.name: r.value for r in checkpoint.state if r.value is not None}
    changed = processor(settings_of({**MODEL, "classes": ["never", "yes"]}))
    changed.restore(Saved(checkpoint.marker, live))
    assert changed.status()["cells"] == 0
    assert changed.status()["bundles"] == 1
