"""An alert opens, is updated and resolves by the rules of patience, whatever is measured."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.alerts.judgement import Judgement, Series, Span, no_evidence
from streams.core.alerts.lifecycle import Policy, State, step

SERIES = Series("low-recall", "*", "*")
MINUTE = 60_000
Windows = list[float | None]
LIMIT = 10.0
HYSTERESIS = 8.0


def judge(value: float | None, window: int, revision: int = 0) -> Judgement:
    """Judge a value against 'above 10, clear below 8'; None is a window without evidence."""
    end = window * MINUTE
    span = Span(end - MINUTE, end, MINUTE, "label_time", revision)
    if value is None:
        return no_evidence(SERIES, end, span)
    return Judgement(
        series=SERIES,
        at=end,
        breached=value > LIMIT,
        cleared=value < HYSTERESIS,
        metric="mae",
        value=value,
        threshold=LIMIT,
        n=100,
        summary=str,
        window=span,
    )


values = st.lists(st.none() | st.sampled_from([5.0, 7.9, 9.0, 10.0, 11.0, 20.0]), max_size=60)
policies = st.builds(
    Policy,
    severity=st.just("warning"),
    for_windows=st.integers(1, 4),
    resolve_windows=st.integers(1, 4),
    cooldown=st.integers(0, 6).map(lambda windows: windows * MINUTE),
)


def run(series: list[float | None], policy: Policy) -> list[tuple[int, str, int]]:
    """Step through one judgement per window; returns (window, status, revision)."""
    state = State()
    published: list[tuple[int, str, int]] = []
    for window, value in enumerate(series, start=1):
        status = step(state, policy, judge(value, window))
        if status is not None:
            published.append((window, status, state.revision))
    return published


@given(values, policies)
def test_an_alert_never_opens_twice_without_resolving_between(
    series: Windows, policy: Policy
) -> None:
    is_open = False
    for _, status, _ in run(series, policy):
        assert is_open == (status != "open")
        is_open = status != "resolved"


@given(values, policies)
def test_revisions_count_up_by_one_over_the_life_of_a_series(
    series: Windows, policy: Policy
) -> None:
    revisions = [revision for _, _, revision in run(series, policy)]
    assert revisions == list(range(len(revisions)))


def in_a_row(series: list[float | None], upto: int, *, breaching: bool) -> int:
    """Count the newest judged windows that all breach (or are all clear), by brute force."""
    count = 0
    for value in reversed(series[:upto]):
        if value is None:
            continue
        if (value > LIMIT) if breaching else (value < HYSTERESIS):
            count += 1
        else:
            break
    return count


@given(values, policies)
def test_it_opens_and_resolves_exactly_when_enough_windows_in_a_row_say_so(
    series: Windows, policy: Policy
) -> None:
    is_open, since, resolved_at = False, 0, None
    expected = []
    for window in range(1, len(series) + 1):
        if series[window - 1] is None:
            continue
        row = in_a_row(series[since:], window - since, breaching=not is_open)
        if not is_open:
            cooling = resolved_at is not None and window * MINUTE < resolved_at + policy.cooldown
            if row >= policy.for_windows and not cooling:
                expected.append((window, "open"))
                is_open, since = True, window
        elif row >= policy.resolve_windows:
            expected.append((window, "resolved"))
            is_open, since, resolved_at = False, window, window * MINUTE
    opened_or_resolved = [(w, s) for w, s, _ in run(series, policy) if s != "update"]
    assert opened_or_resolved == expected


@given(values, policies, st.integers(0, 60))
def test_a_state_that_was_stored_and_read_goes_on_as_if_nothing_had_happened(
    series: Windows, policy: Policy, cut: int
) -> None:
    state = State()
    published = []
    for window, value in enumerate(series, start=1):
        if window == cut:
            state = State.restore(state.snapshot())
        status = step(state, policy, judge(value, window))
        if status is not None:
            published.append((window, status, state.revision))
    assert published == run(series, policy)


@given(values, policies)
def test_revisions_of_a_judged_window_change_nothing(series: Windows, policy: Policy) -> None:
    state = State()
    published = []
    for window, value in enumerate(series, start=1):
        status = step(state, policy, judge(value, window))
        if status is not None:
            published.append((window, status, state.revision))
        if value is not None:
            assert step(state, policy, judge(99.0, window, revision=1)) is None
            assert step(state, policy, judge(0.0, window, revision=2)) is None
    assert published == run(series, policy)


def test_a_flapping_series_neither_opens_nor_resolves_before_its_turn() -> None:
    policy = Policy("warning", for_windows=2, resolve_windows=2)
    assert run([11.0, 5.0] * 10, policy) == []
    assert run([11.0, 11.0, *[5.0, 9.0] * 10], policy) == [(2, "open", 0)]


def test_a_value_between_limit_and_hysteresis_does_not_resolve() -> None:
    assert run([11.0, 9.0, 9.0, 7.0], Policy("warning")) == [
        (1, "open", 0),
        (4, "resolved", 1),
    ]


def test_after_a_resolve_the_alert_stays_closed_until_the_cooldown_is_over() -> None:
    policy = Policy("warning", cooldown=3 * MINUTE)
    assert run([11.0, 5.0, 11.0, 11.0, 11.0], policy) == [
        (1, "open", 0),
        (2, "resolved", 1),
        (5, "open", 2),
    ]


def test_an_update_needs_a_breaching_value_that_moved_by_a_tenth() -> None:
    published = run([12.0, 12.5, 13.1, 9.0, 13.2, 14.9], Policy("warning"))
    assert published == [(1, "open", 0), (6, "update", 1)]


def test_a_changed_severity_is_an_update_by_itself() -> None:
    state = State()
    assert step(state, Policy("warning"), judge(12.0, 1)) == "open"
    assert step(state, Policy("critical"), judge(12.0, 2)) == "update"
    assert state.severity == "critical"


@pytest.mark.parametrize("window", [1, 2])
def test_windows_that_end_before_the_last_judged_one_are_passed_over(window: int) -> None:
    state = State()
    assert step(state, Policy("warning"), judge(5.0, 2)) is None
    assert step(state, Policy("warning"), judge(11.0, window)) is None
    assert step(state, Policy("warning"), replace(judge(11.0, 3), n=1)) == "open"
