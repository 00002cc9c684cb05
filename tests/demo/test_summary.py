"""The demo's verdict."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.demo.figures import Figures, read_figures
from streams.demo.summary import FEEDBACK, PREDICTIONS, problems, summarise
from streams.payloads import Alert, Evidence, rfc3339

DRIFT = 1_795_600_800.0


def alert(
    after: float,
    *,
    rule: str = "error-change",
    model: str = "fraud",
    status: str = "open",
    name: str = "a",
) -> Alert:
    at = rfc3339(round((DRIFT + after) * 1000))
    return Alert(
        id=f"{name}-0",
        fingerprint=name,
        revision=0,
        status=status,  # type: ignore[arg-type]  # a plain string in tests
        severity="critical",
        rule=rule,
        model=model,
        model_version="*",
        segment="*",
        summary="",
        opened_at=at,
        at=at,
        evidence=Evidence(metric="error"),
    )


def balanced(scale: int = 1) -> Figures:
    sides = []
    for outcomes in (PREDICTIONS, FEEDBACK):
        counts = {outcome: scale * (i + 1) for i, outcome in enumerate(outcomes)}
        sides.append({"in": sum(counts.values()), **counts})
    return Figures(sides[0], sides[1])


def judge(figures: Figures, alerts: list[Alert], *, interrupted: bool = False) -> list[str]:
    summary = summarise(figures, figures.rows, alerts, DRIFT, 45.0)
    return problems(summary, alerts, interrupted=interrupted)


counts = st.integers(0, 10**7)


@given(st.lists(counts, min_size=5, max_size=5), st.lists(counts, min_size=8, max_size=8))
def test_predictions_and_feedback_are_the_sums_of_what_became_of_them(
    predictions: list[int], feedback: list[int]
) -> None:
    p = dict(zip(PREDICTIONS, predictions, strict=True))
    f = dict(zip(FEEDBACK, feedback, strict=True))
    figures = Figures({"in": sum(p.values()), **p}, {"in": sum(f.values()), **f})
    s = summarise(figures, figures.rows, [], DRIFT, 1.0)
    assert s.balanced
    assert s.predictions == s.joined + s.waiting + s.expired + s.duplicates + s.quarantined
    assert s.feedback == (
        s.feedback_joined
        + s.feedback_waiting
        + s.feedback_duplicates
        + s.feedback_corrected
        + s.feedback_conflicts
        + s.feedback_late
        + s.orphans
        + s.feedback_quarantined
    )


@given(st.sampled_from(["in", *PREDICTIONS]), st.integers(-5, 5).filter(bool))
def test_a_single_row_out_of_place_is_noticed(outcome: str, error: int) -> None:
    good = balanced(10)
    bad = dict(good.predictions)
    bad[outcome] += error
    figures = Figures(bad, good.feedback)
    assert not summarise(figures, figures.rows, [], DRIFT, 1.0).balanced
    assert any("balance" in text for text in judge(figures, [alert(2.0)]))


@given(st.integers(-5, 5).filter(bool))
def test_an_event_that_the_worker_never_saw_is_noticed(missing: int) -> None:
    figures = balanced()
    summary = summarise(figures, figures.rows + missing, [alert(1.0)], DRIFT, 1.0)
    assert summary.lost == missing
    assert not summary.balanced


def test_a_good_run_has_no_problems() -> None:
    assert judge(balanced(), [alert(2.0), alert(9.0, rule="feature-drift", name="b")]) == []


def test_the_first_alert_about_the_drift_is_the_detection() -> None:
    alerts = [
        alert(9.0, rule="feature-drift", name="b"),
        alert(3.0, name="c"),
        alert(1.0, rule="silent", name="d"),
        alert(0.5, model="delivery", name="e"),
        alert(0.2, status="resolved", name="f"),
    ]
    summary = summarise(balanced(), balanced().rows, alerts, DRIFT, 45.0)
    assert summary.detected_by == "error-change"
    assert summary.drift_detected_at == rfc3339(round((DRIFT + 3.0) * 1000))
    assert summary.detection_delay_seconds == 3.0
    assert summary.alerts == 4
    assert summary.false_alerts == 1


def test_an_alert_that_was_published_twice_counts_once() -> None:
    summary = summarise(balanced(), balanced().rows, [alert(2.0), alert(2.0)], DRIFT, 45.0)
    assert summary.alerts == 1


def test_a_drift_that_was_not_found_is_a_problem_unless_the_run_was_cut_short() -> None:
    assert judge(balanced(), []) == ["the drift was not found"]
    assert judge(balanced(), [], interrupted=True) == []


def test_an_alarm_before_the_drift_is_a_problem_even_if_another_one_came_after() -> None:
    found = judge(balanced(), [alert(-3.0), alert(4.0, rule="feature-drift", name="b")])
    assert found == ["false alarm before the drift: error-change"]


def test_a_run_that_ended_before_the_drift_did_not_do_its_work() -> None:
    summary = summarise(balanced(), balanced().rows, [], None, 5.0)
    assert problems(summary, [], interrupted=False) == ["the run ended before the drift"]
    assert problems(summary, [], interrupted=True) == []


def test_the_summary_is_one_line_of_json_with_the_promised_keys() -> None:
    summary = summarise(balanced(), balanced().rows, [alert(2.0)], DRIFT, 45.0)
    text = orjson.dumps(summary.as_dict()).decode()
    assert "\n" not in text
    assert {
        *("predictions", "feedback", "joined", "waiting", "expired", "duplicates"),
        *("quarantined", "orphans", "balanced", "drift_injected_at", "drift_detected_at"),
        *("alerts", "seconds", "false_alerts", "detection_delay_seconds"),
    } <= orjson.loads(text).keys()


@pytest.mark.parametrize("partitions", [1, 3])
def test_figures_are_sums_over_partitions(partitions: int) -> None:
    lines = ["# HELP driftline_predictions_total text", "process_cpu_seconds_total 1.5"]
    for i in range(partitions):
        lines += [
            f'driftline_predictions_total{{partition="{i}",outcome="in"}} 10',
            f'driftline_predictions_total{{partition="{i}",outcome="joined"}} 7.0',
            f'driftline_predictions_waiting{{partition="{i}"}} 3',
            f'driftline_feedback_total{{partition="{i}",outcome="in"}} 1e1',
            f'driftline_feedback_total{{partition="{i}",outcome="joined"}} 10',
            f'driftline_join_lag_records{{partition="{i}",source="feedback"}} 4',
            f'driftline_monitor_lag_records{{partition="{i}",source="partials"}} 1',
            f'driftline_join_buffered_rows{{partition="{i}"}} 2',
        ]
    figures = read_figures("\n".join(lines))
    assert figures.predictions == {
        "in": 10 * partitions,
        "joined": 7 * partitions,
        "waiting": 3 * partitions,
    }
    assert figures.rows == 20 * partitions
    assert (figures.lag, figures.buffered) == (5 * partitions, 2 * partitions)
    assert figures.balanced
