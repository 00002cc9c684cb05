"""The one state machine behind every rule: when an alert opens, is updated, and resolves.

* An alert opens when ``for_windows`` judgements in a row breach and the cooldown since the last
  resolve is over.
* It is updated at most once per judgement, and only when a value that still breaches moved by a
  notable share (a tenth) of the larger of limit and last published value, or when the rule's
  severity was changed.
* It resolves when ``resolve_windows`` judgements in a row are clear. A value between the limit and
  the hysteresis bound interrupts both counts.
* A judgement without evidence changes nothing.
* A window counts once: revisions of a judged window, and windows that end before it, are passed
  over.
"""

from dataclasses import astuple, dataclass
from typing import Any

from streams.core.alerts.judgement import Judgement
from streams.payloads import Severity, Status

NEVER = -1


@dataclass(slots=True, frozen=True)
class Policy:
    """How patient a rule is; durations in ms.

    Attributes:
        severity: how loud the alert is.
        for_windows: judgements in a row that must breach before it opens.
        resolve_windows: judgements in a row that must be clear before it resolves.
        cooldown: least time between a resolve and the next opening.
        notable: by what share of the larger of limit and last published value a value must move
            to be worth an update.
    """

    severity: Severity
    for_windows: int = 1
    resolve_windows: int = 1
    cooldown: int = 0
    notable: float = 0.1


@dataclass(slots=True)
class State:
    """What is remembered about one series; times in ms of event time.

    Attributes:
        breaches: judgements in a row that breached, while the alert is closed.
        clears: judgements in a row that were clear, while it is open.
        judged_end: end of the last window that counted.
        revision: revision of the last alert published, from 0; NEVER before the first.
        opened_at: when the open alert opened; NEVER while closed.
        resolved_at: when the last one resolved.
        breached_at: the last breach.
        seen_at: the last time anything was known about the series.
        value: value of the last alert published.
        severity: severity of the last alert published.
    """

    breaches: int = 0
    clears: int = 0
    judged_end: int = NEVER
    revision: int = NEVER
    opened_at: int = NEVER
    resolved_at: int = NEVER
    breached_at: int = NEVER
    seen_at: int = NEVER
    value: float = 0.0
    severity: Severity = "info"

    @property
    def is_open(self) -> bool:
        """Whether an alert is open."""
        return self.opened_at != NEVER

    def snapshot(self) -> list[Any]:
        """Plain values, for :meth:`restore`."""
        return list(astuple(self))

    @classmethod
    def restore(cls, values: list[Any]) -> "State":
        """Rebuild a state from :meth:`snapshot`."""
        return cls(*values)


def step(state: State, policy: Policy, judgement: Judgement) -> Status | None:
    """Take one judgement; returns what is to be published, if anything."""
    state.seen_at = max(state.seen_at, judgement.at)
    if judgement.breached is None:
        return None
    if judgement.window is not None:
        if judgement.window.end <= state.judged_end:
            return None
        state.judged_end = judgement.window.end
    if judgement.breached:
        state.breached_at = judgement.at
    if state.is_open:
        return _while_open(state, policy, judgement)
    return _while_closed(state, policy, judgement)


def _while_closed(state: State, policy: Policy, judgement: Judgement) -> Status | None:
    if not judgement.breached:
        state.breaches = 0
        return None
    state.breaches += 1
    if state.breaches < policy.for_windows or _cooling(state, policy, judgement.at):
        return None
    state.opened_at = judgement.at
    state.breaches = state.clears = 0
    return _publish(state, policy, judgement.value, "open")


def _cooling(state: State, policy: Policy, at: int) -> bool:
    return state.resolved_at != NEVER and at < state.resolved_at + policy.cooldown


def _while_open(state: State, policy: Policy, judgement: Judgement) -> Status | None:
    state.clears = state.clears + 1 if judgement.cleared else 0
    if state.clears >= policy.resolve_windows:
        return resolve(state, policy, judgement.at, judgement.value)
    moved = abs(judgement.value - state.value)
    notable = policy.notable * max(abs(judgement.threshold), abs(state.value))
    if (judgement.breached and moved > notable) or policy.severity != state.severity:
        return _publish(state, policy, judgement.value, "update")
    return None


def resolve(state: State, policy: Policy, at: int, value: float) -> Status:
    """Close an open alert, whatever its counts say."""
    state.opened_at = NEVER
    state.resolved_at = at
    state.breaches = state.clears = 0
    return _publish(state, policy, value, "resolved")


def _publish(state: State, policy: Policy, value: float, status: Status) -> Status:
    state.revision += 1
    state.value = value
    state.severity = policy.severity
    return status
