"""The demo's traffic: reproducible, in order, and as disorderly as promised."""

import itertools
from collections import Counter

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.demo import world
from streams.demo.traffic import LATE_SECONDS, SHARES, SLICE_SECONDS, Sent, Traffic

START = 1_795_600_800.0


def draw(
    seconds: float, rate: float = 400.0, *, seed: int = 7, drift_after: float = 1e9
) -> list[Sent]:
    return list(
        Traffic(START, rate, seed=seed, drift_at=START + drift_after).until(START + seconds)
    )


@settings(max_examples=20)
@given(
    st.integers(0, 2**32),
    st.lists(st.floats(0.0, 0.7), min_size=1, max_size=8),
)
def test_the_events_do_not_depend_on_how_often_one_asks(seed: int, steps: list[float]) -> None:
    traffic = Traffic(START, 60.0, seed=seed, drift_at=START + 1.0)
    asked = [s for moment in itertools.accumulate(steps) for s in traffic.until(START + moment)]
    again = Traffic(START, 60.0, seed=seed, drift_at=START + 1.0)
    assert asked == list(again.until(START + list(itertools.accumulate(steps))[-1]))


def test_another_seed_is_another_traffic() -> None:
    assert draw(1.0, seed=1) == draw(1.0, seed=1)
    assert draw(1.0, seed=1) != draw(1.0, seed=2)


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.floats(0.5, 4.0))
def test_events_come_in_order_of_sending_and_not_before_they_happened(
    seed: int, seconds: float
) -> None:
    events = draw(seconds, 100.0, seed=seed)
    sent_at = [event.at for event in events]
    assert sent_at == sorted(sent_at)
    assert all(START <= at < START + seconds for at in sent_at)
    for event in events:
        if event.fields:
            lag = event.at - event.fields["timestamp"]
            assert -0.001 <= lag <= LATE_SECONDS + 0.5


def test_some_events_are_out_of_order() -> None:
    times = [e.fields["timestamp"] for e in draw(5.0) if e.kind == "prediction"]
    latest = np.maximum.accumulate(times)
    behind = np.mean(latest - np.array(times) > SLICE_SECONDS)
    assert 0.5 * SHARES.late < behind < 2.0 * SHARES.late


def test_everything_that_goes_wrong_has_its_promised_share() -> None:
    events = draw(60.0)
    predictions = [e for e in events if e.kind == "prediction"]
    distinct = {e.id for e in predictions}
    n = len(distinct)
    assert abs(n - 2 * 400 * 60) < 5 * np.sqrt(2 * 400 * 60)

    def near(count: int, share: float) -> bool:
        return bool(abs(count - share * n) < 5 * np.sqrt(share * n) + 1)

    assert near(len(predictions) - n, SHARES.repeated)
    kinds = Counter(e.kind for e in events)
    assert near(kinds["broken_prediction"], SHARES.broken)
    truths = Counter(e.id for e in events if e.kind == "feedback")
    orphans = [i for i in truths if i not in distinct]
    assert near(sum(i.startswith("lost-") for i in orphans), SHARES.orphans)
    # Truth about the last seconds is still to come.
    old = {e.id for e in predictions if e.fields["timestamp"] < START + 40.0}
    assert abs(1.0 - len(old & truths.keys()) / len(old) - SHARES.unlabelled) < 0.01
    said: dict[str, list[object]] = {}
    for event in events:
        if event.kind == "feedback":
            said.setdefault(event.id, []).append(event.fields["actual"])
    repeated = sum(len(a) == 2 and a[0] == a[1] for a in said.values())
    corrected = sum(len(a) == 2 and a[0] != a[1] for a in said.values())
    assert near(repeated, SHARES.repeated)
    assert near(corrected, SHARES.corrected)


def test_labels_take_about_two_seconds() -> None:
    events = draw(40.0, 100.0)
    made = {e.id: e.fields["timestamp"] for e in events if e.kind == "prediction"}
    delays = [
        e.fields["timestamp"] - made[e.id]
        for e in events
        if e.kind == "feedback" and made.get(e.id, START + 99) < START + 20.0
    ]
    assert abs(np.mean(delays) - 2.0) < 0.2
    assert min(delays) >= -0.001


def test_the_model_gets_worse_exactly_when_the_world_changes() -> None:
    events = draw(60.0, drift_after=30.0)
    made = {e.id: e.fields for e in events if e.kind == "prediction"}
    right: dict[tuple[str, bool], list[bool]] = {}
    for event in events:
        fields = made.get(event.id)
        if event.kind == "feedback" and fields is not None and fields["model"] == world.FRAUD:
            drifted = fields["timestamp"] >= START + 30.0
            agreed = fields["prediction"] == event.fields["actual"]
            right.setdefault((world.FRAUD, drifted), []).append(agreed)
    assert np.mean(right[world.FRAUD, False]) > 0.94
    assert np.mean(right[world.FRAUD, True]) < 0.80


def test_what_the_world_draws_before_the_drift_does_not_know_of_it() -> None:
    calm, later = draw(3.0, 50.0), draw(3.0, 50.0, drift_after=2.0)
    before = [e for e in calm if e.kind == "prediction" and e.fields["timestamp"] < START + 2.0]
    assert before == [
        e for e in later if e.kind == "prediction" and e.fields["timestamp"] < START + 2.0
    ]


def test_broken_events_are_of_several_kinds() -> None:
    bodies = [e.body for e in draw(60.0) if e.kind == "broken_prediction"]
    readable = 0
    for body in bodies:
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            continue
        readable += 1
    assert 0 < readable < len(bodies)
