import numpy as np
import pytest

from detectors.registry import build
from streams.config import DetectorConfig
from streams.core.monitor.series import Sentinels

ADWIN = DetectorConfig(kind="adwin", severity="critical")
HINKLEY = DetectorConfig(kind="page_hinkley", name="scores", on="score", params={"threshold": 5.0})


def stream() -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.random(4_000) < np.repeat([0.1, 0.5], 2_000)).astype(float)


def test_alarms_are_those_of_the_detector_on_the_whole_series() -> None:
    errors = stream()
    sentinels = Sentinels("m", [ADWIN, HINKLEY])
    found = []
    for tick, run in enumerate(np.array_split(errors, 57)):
        halves = np.array_split(run, 2)
        found += sentinels.feed({"error": halves, "score": [run]}, 1_000 * tick)
    for name, detector in (
        ("adwin", build("adwin")),
        ("scores", build("page_hinkley", threshold=5.0)),
    ):
        expected = detector.update_many(errors)
        mine = [event for event in found if event.payload.detector == name]
        assert [event.payload.n for event in mine] == (expected + 1).tolist()
        assert [event.payload.alarms for event in mine] == list(range(1, len(expected) + 1))
    first = next(event for event in found if event.payload.detector == "adwin")
    assert first.payload.id == f"m|adwin|{first.now}|1"
    assert first.payload.severity == "critical"
    assert first.payload.estimation_before == pytest.approx(0.1, abs=0.03)
    assert first.payload.estimation_after is not None
    assert first.payload.estimation_after > 0.3


def test_a_restart_between_runs_changes_nothing() -> None:
    plain, restarted = Sentinels("m", [ADWIN, HINKLEY]), Sentinels("m", [ADWIN, HINKLEY])
    for tick, run in enumerate(np.array_split(stream(), 23)):
        fresh = Sentinels("m", [ADWIN, HINKLEY])
        fresh.restore(restarted.snapshot())
        restarted = fresh
        runs = {"error": [run], "score": [run]}
        assert restarted.feed(runs, tick) == plain.feed(runs, tick)


def test_a_detector_that_was_configured_anew_starts_anew() -> None:
    old = Sentinels("m", [ADWIN, HINKLEY])
    old.feed({"error": [stream()], "score": [stream()]}, 0)
    changed = ADWIN.model_copy(update={"params": {"delta": 0.01}})
    new = Sentinels("m", [changed, HINKLEY])
    new.restore(old.snapshot())
    kept, fresh = new.snapshot()[1], new.snapshot()[0]
    assert kept == old.snapshot()[1]
    assert fresh["read"] == 0


def test_a_run_that_a_detector_cannot_take_is_counted_and_passed_over() -> None:
    sentinels = Sentinels("m", [DetectorConfig(kind="ddm", on="score")])
    assert sentinels.feed({"score": [np.array([0.5, 7.0])]}, 0) == []
    assert sentinels.refused == 1
    assert sentinels.snapshot()[0]["read"] == 0


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown detector"):
        Sentinels("m", [DetectorConfig(kind="adwim")])
