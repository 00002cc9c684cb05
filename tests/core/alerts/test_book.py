"""The rules of a model together: the same events give the same alerts, wherever they are split."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.alerts.book import RuleBook, fingerprint
from streams.core.alerts.judgement import Series
from streams.core.monitor.events import DriftDetected, TimePassed, WindowClosed
from streams.payloads import Alert, Input, encode
from support.alerting import MINUTE, T0, alarm, book, loaded, statuses, time, window

RULES: list[dict[str, Any]] = [
    {
        "rule": "threshold",
        "name": "low-recall",
        "metric": "recall",
        "below": 0.8,
        "clear_above": 0.85,
        "for_windows": 2,
        "cooldown": 20 * MINUTE,
        "segments": "all",
    },
    {"rule": "drift", "name": "moved", "distance": "psi", "resolve_windows": 2},
    {"rule": "quality", "name": "missing", "check": "missing_rate", "above": 0.5},
    {"rule": "volume", "name": "traffic", "below": 1.0, "change": 0.5},
    {"rule": "staleness", "name": "silent", "predictions_after": 15 * MINUTE},
    {"rule": "detector", "name": "change", "detector": "adwin", "hold": 30 * MINUTE},
]

Event = WindowClosed | DriftDetected | TimePassed


def tell(rules: RuleBook, event: Event) -> list[Alert]:
    if isinstance(event, WindowClosed):
        return rules.on_window(event)
    return rules.on_drift(event) if isinstance(event, DriftDetected) else rules.on_time(event)


def fresh() -> RuleBook:
    return book(*RULES, segments=["country"])


def missing(rate: float) -> dict[str, Input]:
    return {"amount": Input(kind="numeric", n=500, present=1, missing_rate=rate, type_error_rate=0)}


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Draw what a monitor tells over some windows: windows in both views, alarms, time."""
    events: list[Event] = []
    last = T0
    for index in range(draw(st.integers(1, 25))):
        now = T0 + (index + 1) * 5 * MINUTE
        rates = st.sampled_from([0.3, 0.82, 0.9])
        counts = st.sampled_from([10, 400])
        for segment in ("country=DE", "*"):
            recall = (draw(rates), draw(counts))
            events.append(window(index, segment=segment, metrics={"recall": recall}))
        predictions = draw(st.sampled_from([0, 100, 600]))
        last = now if predictions else last
        psi = {"feature:amount": draw(st.sampled_from([0.1, 0.3]))}
        events.append(
            window(
                index,
                view="prediction_time",
                predictions=predictions,
                inputs=missing(draw(st.sampled_from([0.1, 0.9]))) if predictions else None,
                drift=psi if predictions else None,
            )
        )
        if draw(st.booleans()):
            events.append(alarm(now))
        events.append(time(now, prediction=last))
    return events


@settings(max_examples=60, deadline=None)
@given(histories(), st.data())
def test_stored_and_read_at_any_event_the_rules_go_on_as_if_nothing_had_happened(
    events: list[Event], data: st.DataObject
) -> None:
    straight = fresh()
    expected = [encode(alert) for event in events for alert in tell(straight, event)]
    cut = data.draw(st.integers(0, len(events)))
    rules = fresh()
    told = [encode(alert) for event in events[:cut] for alert in tell(rules, event)]
    stored = msgspec.msgpack.encode(rules.snapshot())
    rules = fresh()
    rules.restore(msgspec.msgpack.decode(stored))
    told += [encode(alert) for event in events[cut:] for alert in tell(rules, event)]
    assert told == expected
    assert msgspec.msgpack.encode(rules.snapshot()) == msgspec.msgpack.encode(straight.snapshot())


@settings(max_examples=60, deadline=None)
@given(histories())
def test_every_alert_opens_resolves_and_opens_in_turn_with_revisions_without_gaps(
    events: list[Event],
) -> None:
    rules = fresh()
    revisions: dict[str, int] = {}
    opened: dict[str, str] = {}
    for event in events:
        for alert in tell(rules, event):
            mark = alert.fingerprint
            assert alert.revision == revisions.get(mark, -1) + 1
            assert alert.id == f"{mark}-{alert.revision}"
            assert (alert.status == "open") == (mark not in opened)
            assert opened.setdefault(mark, alert.opened_at) == alert.opened_at
            revisions[mark] = alert.revision
            if alert.status == "resolved":
                del opened[mark]


def test_a_fingerprint_depends_on_every_part_of_the_identity() -> None:
    parts = ("fraud", "r", "v", "s", "x")
    variants = [parts, *((*parts[:i], "other", *parts[i + 1 :]) for i in range(5))]
    marks = {fingerprint(model, Series(*rest)) for model, *rest in variants}
    assert len(marks) == 6
    assert fingerprint("fraud", Series("a|b", "c", "*")) != fingerprint(
        "fraud", Series("a", "b|c", "*")
    )


def test_an_alert_on_a_version_that_is_measured_no_longer_resolves_and_says_so() -> None:
    rules = book(
        RULES[0] | {"versions": "each", "for_windows": 1, "cooldown": 0},
        label_horizon=120 * MINUTE,
    )
    bad = {"recall": (0.1, 500)}
    assert statuses(rules.on_window(window(version="v1", metrics=bad))) == ["open"]
    early = [
        alert
        for minute in range(5, 185)
        for alert in rules.on_time(time(T0 + minute * MINUTE, prediction=T0 + minute * MINUTE))
    ]
    assert early == []
    told = [
        alert
        for minute in range(185, 300)
        for alert in rules.on_time(time(T0 + minute * MINUTE, prediction=T0 + minute * MINUTE))
    ]
    assert statuses(told) == ["resolved"]
    assert told[0].summary == (
        "fraud version v1: no longer measured: nothing came since 25 Nov 14:05 UTC"
    )
    assert told[0].evidence.threshold is None
    assert statuses(rules.on_window(window(90, version="v1", metrics=bad))) == ["open"]


def test_an_alert_on_the_whole_model_stays_open_however_long_nothing_is_measured() -> None:
    rules = book(RULES[0] | {"for_windows": 1})
    assert statuses(rules.on_window(window(metrics={"recall": (0.1, 500)}))) == ["open"]
    assert [a for h in range(48) for a in rules.on_time(time(T0 + h * 60 * MINUTE))] == []


def test_an_open_alert_of_a_rule_that_was_removed_resolves() -> None:
    rules = book(RULES[0] | {"for_windows": 1})
    rules.on_window(window(metrics={"recall": (0.1, 500)}))
    after = book(RULES[4])
    after.restore(rules.snapshot())
    (alert,) = after.on_time(time(T0 + 6 * MINUTE, prediction=T0 + 6 * MINUTE))
    assert (alert.rule, alert.status) == ("low-recall", "resolved")
    assert "is no longer configured" in alert.summary


def test_the_runbook_of_the_rule_goes_before_that_of_the_model() -> None:
    bad = {"recall": (0.1, 500)}
    rule = RULES[0] | {"for_windows": 1}
    (alert,) = book(rule, runbook="model", owner="risk").on_window(window(metrics=bad))
    assert (alert.runbook, alert.owner) == ("model", "risk")
    (alert,) = book(rule | {"runbook": "rule"}, runbook="model").on_window(window(metrics=bad))
    assert alert.runbook == "rule"


def test_what_was_never_alerted_is_forgotten_with_its_version() -> None:
    each = {"versions": "each"}
    rules = RuleBook(loaded(RULES[0] | each, RULES[3] | each, label_horizon=MINUTE))
    for index in range(40):
        version = f"v{index}"
        rules.on_window(window(index, version=version, metrics={"recall": (0.9, 500)}))
        rules.on_window(window(index, version=version, view="prediction_time", predictions=9))
        rules.on_time(time(T0 + index * 5 * MINUTE, prediction=T0 + index * 5 * MINUTE))
    state = rules.snapshot()
    assert len(state["series"]) < 40
    assert len(state["memory"]["traffic"]) < 20


def test_nothing_is_remembered_that_no_rule_asks_for() -> None:
    rules = book(RULES[1])
    rules.on_window(window(segment="country=DE", metrics={"recall": (0.9, 500)}))
    rules.on_window(window(view="prediction_time", predictions=9))
    assert rules.snapshot()["memory"] == {"segments": [], "traffic": [], "complete_from": []}
