"""How a run of the demo went: counts, books, and whether the drift was found in time."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from streams.demo.figures import Figures
from streams.demo.world import FRAUD
from streams.payloads import Alert, rfc3339

NOT_ABOUT_DRIFT = frozenset({"silent"})
"""Rules that the injected drift does not break."""

PREDICTIONS = ("joined", "waiting", "expired", "duplicate", "quarantined")
"""What can become of a prediction."""

FEEDBACK = (
    "joined",
    "waiting",
    "duplicate",
    "corrected",
    "conflict",
    "late",
    "orphan",
    "quarantined",
)
"""What can become of a label."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Summary:
    """The result; ``predictions = joined + waiting + expired + duplicates + quarantined``.

    Attributes:
        seconds: length of the run.
        predictions: predictions that the worker took, readable or not.
        joined: met their truth.
        waiting: still wait for it.
        expired: never got it in time.
        duplicates: had been seen before.
        quarantined: could not be read.
        feedback: truths that the worker took; the next eight add up to it.
        feedback_joined: met their prediction.
        feedback_waiting: still wait for it.
        feedback_duplicates: had been seen before.
        feedback_corrected: replaced an earlier truth.
        feedback_conflicts: contradicted an earlier truth that stands.
        feedback_late: came after the horizon.
        orphans: waited for a prediction that never came.
        feedback_quarantined: could not be read.
        lost: events that were delivered to the broker and that the worker has not taken.
        balanced: every event that was delivered is in exactly one of these places.
        drift_injected_at: when the world changed, RFC 3339; None when it did not get to that.
        drift_detected_at: event time of the first alert that the change caused.
        detected_by: rule of that alert.
        detection_delay_seconds: time between the two.
        alerts: alerts that opened.
        false_alerts: those that opened before the change, or about a model to which nothing
            happened.
    """

    seconds: float
    predictions: int
    joined: int
    waiting: int
    expired: int
    duplicates: int
    quarantined: int
    feedback: int
    feedback_joined: int
    feedback_waiting: int
    feedback_duplicates: int
    feedback_corrected: int
    feedback_conflicts: int
    feedback_late: int
    orphans: int
    feedback_quarantined: int
    lost: int
    balanced: bool
    drift_injected_at: str | None
    drift_detected_at: str | None
    detected_by: str | None
    detection_delay_seconds: float | None
    alerts: int
    false_alerts: int

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return asdict(self)


def about_drift(alert: Alert) -> bool:
    """Whether an alert is one that the injected drift can cause."""
    return alert.status == "open" and alert.model == FRAUD and alert.rule not in NOT_ABOUT_DRIFT


def detection(alerts: Iterable[Alert], injected_at: float) -> Alert | None:
    """Find the first alert that the drift caused.

    Args:
        alerts: alerts in any order.
        injected_at: seconds since the epoch.
    """
    found = [a for a in alerts if about_drift(a) and moment(a.opened_at) >= injected_at]
    return min(found, key=lambda alert: moment(alert.opened_at), default=None)


def summarise(
    figures: Figures,
    delivered: int,
    alerts: Iterable[Alert],
    injected_at: float | None,
    seconds: float,
) -> Summary:
    """Put the result together.

    Args:
        figures: the worker's last figures.
        delivered: events that the broker confirmed.
        alerts: everything read from the alerts topic; repeats count once.
        injected_at: when the world changed, seconds since the epoch; None when it did not.
        seconds: length of the run.
    """
    opened = [a for a in {a.id: a for a in alerts}.values() if a.status == "open"]
    found = None if injected_at is None else detection(opened, injected_at)
    delay = None
    if found is not None and injected_at is not None:
        delay = round(moment(found.opened_at) - injected_at, 3)
    p, f = figures.predictions, figures.feedback
    lost = delivered - figures.rows
    named = sum(p.get(o, 0) for o in PREDICTIONS), sum(f.get(o, 0) for o in FEEDBACK)
    return Summary(
        seconds=round(seconds, 1),
        predictions=p.get("in", 0),
        joined=p.get("joined", 0),
        waiting=p.get("waiting", 0),
        expired=p.get("expired", 0),
        duplicates=p.get("duplicate", 0),
        quarantined=p.get("quarantined", 0),
        feedback=f.get("in", 0),
        feedback_joined=f.get("joined", 0),
        feedback_waiting=f.get("waiting", 0),
        feedback_duplicates=f.get("duplicate", 0),
        feedback_corrected=f.get("corrected", 0),
        feedback_conflicts=f.get("conflict", 0),
        feedback_late=f.get("late", 0),
        orphans=f.get("orphan", 0),
        feedback_quarantined=f.get("quarantined", 0),
        lost=lost,
        balanced=lost == 0 and named == (p.get("in", 0), f.get("in", 0)),
        drift_injected_at=None if injected_at is None else rfc3339(round(injected_at * 1000)),
        drift_detected_at=None if found is None else found.opened_at,
        detected_by=None if found is None else found.rule,
        detection_delay_seconds=delay,
        alerts=len(opened),
        false_alerts=sum(
            injected_at is None or a.model != FRAUD or moment(a.opened_at) < injected_at
            for a in opened
        ),
    )


def problems(summary: Summary, alerts: Iterable[Alert], *, interrupted: bool) -> list[str]:
    """Say what went wrong, one sentence each; empty when the run did what it should.

    Args:
        summary: the result.
        alerts: the alerts that it was made of.
        interrupted: whether somebody ended the run, perhaps before there was a drift to find.
    """
    found = []
    if not summary.balanced:
        found.append(
            f"the books do not balance: {summary.lost} events are not accounted for"
            if summary.lost
            else "the books do not balance: the outcomes do not add up to the events"
        )
    if summary.drift_injected_at is None:
        return found if interrupted else [*found, "the run ended before the drift"]
    if summary.drift_detected_at is None and not interrupted:
        found.append("the drift was not found")
    injected_at = moment(summary.drift_injected_at)
    early = {a.rule for a in alerts if about_drift(a) and moment(a.opened_at) < injected_at}
    if early:
        found.append(f"false alarm before the drift: {', '.join(sorted(early))}")
    return found


def moment(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time."""
    return datetime.fromisoformat(text).timestamp()
