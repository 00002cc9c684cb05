"""What every sequential detector promises, checked on every one in the registry."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import KINDS, build, restore
from detectors.base import DriftDetector

PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "adwin": [{}, {"clock": 5, "delta": 0.2}, {"reset_on_alarm": True, "max_buckets": 2}],
    "ddm": [{}, {"warm_start": 0}],
    "eddm": [{}, {"warm_start": 5}],
    "hddm_a": [{}, {"two_sided_test": True, "drift_confidence": 0.1, "warning_confidence": 0.3}],
    "hddm_w": [{}, {"two_sided_test": True, "lambda_val": 0.2, "drift_confidence": 0.05}],
    "kswin": [{}, {"alpha": 0.05, "window_size": 40, "stat_size": 12}],
    "page_hinkley": [
        {"threshold": 5.0},
        {"threshold": 3.0, "alpha": 0.99, "mode": "up"},
        {"threshold": 0.9, "alpha": 0.3, "mode": "down", "delta": 0.0},
    ],
}
CASES = [(kind, params) for kind, many in PARAMETERS.items() for params in many]
every_case = pytest.mark.parametrize(("kind", "params"), CASES)
every_kind = pytest.mark.parametrize("kind", sorted(KINDS))


def errors(seed: int, *rates: float, each: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([(rng.random(each) < rate).astype(float) for rate in rates])


def in_pieces(detector: DriftDetector, xs: np.ndarray, cuts: list[int]) -> list[int]:
    alarms: list[int] = []
    start = 0
    for stop in [*sorted(cuts), xs.size]:
        alarms += (detector.update_many(xs[start:stop]) + start).tolist()
        start = stop
    return alarms


def facts(detector: DriftDetector) -> tuple[object, ...]:
    return detector.drift_detected, detector.warning_detected, detector.n_detections


def test_every_registered_detector_has_cases() -> None:
    assert sorted(PARAMETERS) == sorted(KINDS)


@every_case
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 1200), max_size=8))
def test_chunking_changes_nothing(
    kind: str, params: dict[str, Any], seed: int, cuts: list[int]
) -> None:
    xs = errors(seed, 0.1, 0.5, 0.2)
    whole, pieces = build(kind, **params), build(kind, **params)
    assert in_pieces(pieces, xs, cuts) == whole.update_many(xs).tolist()
    assert facts(pieces) == facts(whole)
    assert pieces.estimation == pytest.approx(whole.estimation, rel=1e-12)


@every_case
def test_items_one_by_one_are_a_chunk(kind: str, params: dict[str, Any]) -> None:
    xs = errors(3, 0.1, 0.6, each=300)
    whole, single = build(kind, **params), build(kind, **params)
    alarms = []
    for index, x in enumerate(xs.tolist()):
        single.update(x)
        if single.drift_detected:
            alarms.append(index)
    assert whole.update_many(xs).tolist() == alarms
    assert facts(single) == facts(whole)


@every_case
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), stops=st.lists(st.integers(0, 1200), max_size=4))
def test_a_snapshot_at_any_point_goes_on_as_the_original(
    kind: str, params: dict[str, Any], seed: int, stops: list[int]
) -> None:
    xs = errors(seed, 0.1, 0.5, 0.2)
    original = build(kind, **params)
    expected = original.update_many(xs).tolist()
    copy = build(kind, **params)
    alarms: list[int] = []
    start = 0
    for number, stop in enumerate([*sorted(stops), xs.size]):
        state = copy.snapshot()
        if number % 2:
            copy = restore(json.loads(json.dumps(state, allow_nan=False)))
        else:
            copy = restore(msgspec.msgpack.decode(msgspec.msgpack.encode(state)))
        assert copy.snapshot() == state
        alarms += (copy.update_many(xs[start:stop]) + start).tolist()
        start = stop
    assert alarms == expected
    assert facts(copy) == facts(original)


@every_case
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_alarms_ascend_lie_inside_and_are_counted(
    kind: str, params: dict[str, Any], seed: int
) -> None:
    detector = build(kind, **params)
    xs = errors(seed, 0.1, 0.7, 0.1)
    alarms = detector.update_many(xs)
    assert alarms.dtype == np.int64
    assert (np.diff(alarms) > 0).all()
    assert ((alarms >= 0) & (alarms < xs.size)).all()
    assert detector.n_detections == alarms.size
    assert detector.drift_detected == (xs.size - 1 in alarms)


@every_case
def test_everything_is_forgotten_after_an_alarm(kind: str, params: dict[str, Any]) -> None:
    if kind == "adwin":
        params = {**params, "reset_on_alarm": True}
    detector, fresh = build(kind, **params), build(kind, **params)
    xs = errors(11, 0.05, 0.9, 0.3)
    if params.get("mode") == "down":
        xs = xs[::-1]
    first = int(detector.update_many(xs)[0])
    assert detector.n_detections >= 1
    again = build(kind, **params)
    again.update_many(xs[: first + 1])
    assert again.drift_detected
    rest = xs[first + 1 :]
    assert again.update_many(rest).tolist() == fresh.update_many(rest).tolist()
    assert again.snapshot()["state"] == fresh.snapshot()["state"]
    assert again.n_detections == fresh.n_detections + 1


@every_case
@pytest.mark.parametrize("constant", [0.0, 1.0])
def test_a_constant_never_alarms(kind: str, params: dict[str, Any], constant: float) -> None:
    detector = build(kind, **params)
    assert detector.update_many(np.full(3000, constant)).size == 0
    assert detector.estimation == constant


@pytest.mark.parametrize("kind", ["adwin", "kswin", "page_hinkley"])
@pytest.mark.parametrize("constant", [-3.7, 1e-9, 123456.789, 1e12])
def test_a_constant_of_any_size_never_alarms(kind: str, constant: float) -> None:
    detector = build(kind)
    assert in_pieces(detector, np.full(3000, constant), [1, 700, 701]) == []
    assert detector.estimation == pytest.approx(constant, rel=1e-12)


@every_kind
def test_more_errors_alarm(kind: str) -> None:
    params = {"threshold": 20.0} if kind == "page_hinkley" else {}
    found = 0
    for seed in range(10):
        alarms = build(kind, **params).update_many(errors(seed, 0.1, 0.7, each=1000))
        found += bool(((alarms >= 1000) & (alarms < 1500)).any())
    assert found == 10


@pytest.mark.parametrize("kind", ["ddm", "hddm_a", "hddm_w"])
def test_fewer_errors_do_not_alarm_a_one_sided_detector(kind: str) -> None:
    for seed in range(5):
        alarms = build(kind).update_many(errors(seed, 0.7, 0.1, each=1000))
        assert not (alarms >= 1000).any()


@every_kind
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_refused_by_index_and_changes_nothing(
    kind: str, bad: float
) -> None:
    detector = build(kind)
    detector.update_many(errors(1, 0.2))
    before = detector.snapshot()
    with pytest.raises(ValueError, match="index 2"):
        detector.update_many([0.0, 1.0, bad, 1.0])
    assert detector.snapshot() == before


@pytest.mark.parametrize(("kind", "bad"), [("ddm", 1.5), ("hddm_a", -0.1), ("eddm", 0.5)])
def test_a_value_outside_an_error_stream_is_refused_by_index(kind: str, bad: float) -> None:
    with pytest.raises(ValueError, match=f"value at index 1 is {bad}"):
        build(kind).update_many([0.0, bad])


@every_kind
def test_a_table_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"one-dimensional array, got shape \(2, 2\)"):
        build(kind).update_many([[0.0, 1.0], [1.0, 0.0]])


@every_case
def test_no_items_change_nothing(kind: str, params: dict[str, Any]) -> None:
    detector = build(kind, **params)
    assert detector.estimation is None
    xs = errors(5, 0.1, 0.9, 0.1, 0.9)
    alarms = detector.update_many(xs)
    if alarms.size:
        detector = build(kind, **params)
        detector.update_many(xs[: alarms[0] + 1])
        assert detector.drift_detected
    before = detector.snapshot()
    assert detector.update_many([]).size == 0
    assert detector.snapshot() == before


@every_kind
def test_a_state_of_another_kind_or_version_is_refused(kind: str) -> None:
    state = build(kind).snapshot()
    other = next(name for name in KINDS if name != kind)
    with pytest.raises(ValueError, match=f"expected the state of a '{kind}', got kind '{other}'"):
        KINDS[kind].restore({**state, "kind": other})
    with pytest.raises(ValueError, match=f"{kind} state has version 99"):
        restore({**state, "version": 99})


@every_kind
def test_a_state_that_lacks_a_part_is_refused_by_name(kind: str) -> None:
    state = build(kind).snapshot()
    for part in state:
        if part not in {"kind", "version"}:
            damaged = {key: value for key, value in state.items() if key != part}
            with pytest.raises(ValueError, match=f"{kind} state lacks '{part}'"):
                restore(damaged)
    for part in state["state"]:
        inner = {key: value for key, value in state["state"].items() if key != part}
        with pytest.raises(ValueError, match=f"{kind} state lacks '{part}'"):
            restore({**state, "state": inner})


@every_kind
def test_a_state_of_the_wrong_shape_is_refused(kind: str) -> None:
    state = build(kind).snapshot()
    with pytest.raises(ValueError, match=f"{kind} state is damaged"):
        restore({**state, "state": [1, 2]})
    with pytest.raises(ValueError, match=f"{kind} state is damaged"):
        restore({**state, "parameters": {"nonsense": 1}})
