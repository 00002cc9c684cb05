"""All alert rules of one model, with their state: what the monitor tells events to."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from streams.config.alerts import (
    AlertRuleConfig,
    DetectorRule,
    DriftRule,
    QualityRule,
    StalenessRule,
    ThresholdRule,
    VolumeRule,
)
from streams.config.settings import LoadedModel
from streams.core.alerts import detector, drift, quality, staleness, threshold, volume
from streams.core.alerts.context import Context, Memory
from streams.core.alerts.judgement import Judgement, Series
from streams.core.alerts.lifecycle import NEVER, Policy, State, resolve, step
from streams.core.alerts.threshold import TRAFFIC_METRICS
from streams.core.alerts.words import day_and_clock, place
from streams.core.layout import layout_of
from streams.core.monitor.events import DriftDetected, TimePassed, WindowClosed
from streams.core.partials import ALL
from streams.payloads import (
    Alert,
    Evidence,
    EvidenceWindow,
    Status,
    join_id,
    rfc3339,
    seconds,
)

HOUR_MS = 3_600_000
_STALENESS_NOTABLE = 1.0
"""A silence grows all the time: it is told again when it has doubled."""


def fingerprint(model: str, series: Series) -> str:
    """Give an alert its identity: the same through its whole life and in every run."""
    name = join_id([model, series.rule, series.version, series.segment, series.subject])
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def policy_of(rule: AlertRuleConfig) -> Policy:
    """Give the patience of a rule.

    Rules that judge no windows count none: staleness waits by its own limits, and a detector's
    alarm is already a matter of many items.
    """
    if isinstance(rule, StalenessRule):
        return Policy(rule.severity, cooldown=rule.cooldown, notable=_STALENESS_NOTABLE)
    if isinstance(rule, DetectorRule):
        return Policy(rule.severity, for_windows=rule.for_windows, cooldown=rule.cooldown)
    return Policy(rule.severity, rule.for_windows, rule.resolve_windows, rule.cooldown)


class RuleBook:
    """The rules of one model.

    A version or a segment other than "*" that has not been measured for three of the largest
    windows, and at least an hour (with quality, which waits for labels, the label horizon on top),
    is forgotten; if an alert on it is open it resolves, saying that nothing is measured any more.
    So does an open alert whose rule was taken out of the configuration.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._config = model.config
        self._rules = {rule.name: rule for rule in model.config.alerts}
        self._policies = {name: policy_of(rule) for name, rule in self._rules.items()}
        watched = (r.metric for r in self._rules.values() if isinstance(r, ThresholdRule))
        self._memory = Memory(metrics=frozenset(watched))
        self._context = Context(model, layout_of(model), self._memory)
        self._states: dict[Series, State] = {}
        self._live_for = max(HOUR_MS, 3 * max(window.size for window in model.windows))
        self._swept_at = NEVER

    def on_window(self, event: WindowClosed) -> list[Alert]:
        """Judge a window; returns alerts to publish, in order of the rules."""
        self._remember(event)
        alerts: list[Alert] = []
        for rule in self._rules.values():
            if _watches(rule, event):
                alerts += self._take(rule.name, self._judge(rule, event))
        return alerts

    def _remember(self, event: WindowClosed) -> None:
        """Keep what some rule will ask for, so that nothing is kept that no rule forgets."""
        of_version = [rule for rule in self._rules.values() if _watches_version(rule, event)]
        if event.payload.segment != ALL and any(isinstance(r, ThresholdRule) for r in of_version):
            self._memory.note_segment(event)
        if any(
            isinstance(rule, VolumeRule)
            and _watches(rule, event)
            and volume.concerns(event, self._context)
            for rule in of_version
        ):
            self._memory.note_traffic(event)

    def _judge(self, rule: AlertRuleConfig, event: WindowClosed) -> list[Judgement]:
        match rule:
            case ThresholdRule():
                return threshold.judge(rule, event, self._context)
            case DriftRule():
                return drift.judge(rule, event, self._context)
            case QualityRule():
                return quality.judge(rule, event, self._context)
            case VolumeRule():
                return volume.judge(rule, event, self._context)
            case DetectorRule() | StalenessRule():
                return []

    def on_drift(self, event: DriftDetected) -> list[Alert]:
        """Judge a detector's alarm; returns alerts to publish, in order of the rules."""
        return [
            alert
            for rule in self._rules.values()
            if isinstance(rule, DetectorRule)
            for alert in self._take(rule.name, detector.judge(rule, event))
        ]

    def on_time(self, event: TimePassed) -> list[Alert]:
        """Judge what did not happen; returns alerts to publish, in order of the rules."""
        alerts: list[Alert] = []
        for rule in self._rules.values():
            if isinstance(rule, StalenessRule):
                alerts += self._take(rule.name, staleness.judge(rule, event))
        for series, state in self._states.items():
            rule_of_series = self._rules.get(series.rule)
            if state.is_open and isinstance(rule_of_series, DetectorRule):
                quiet = detector.judge_silence(
                    rule_of_series, self._config.model, series, state.breached_at, event.now
                )
                alerts += self._take(series.rule, [] if quiet is None else [quiet])
        return alerts + self._sweep(event.now)

    def _take(self, rule: str, judgements: Iterable[Judgement]) -> list[Alert]:
        alerts = []
        for judgement in judgements:
            state = self._states.setdefault(judgement.series, State())
            opened_at = state.opened_at
            status = step(state, self._policies[rule], judgement)
            if status is not None:
                since = judgement.at if opened_at == NEVER else opened_at
                alerts.append(self._alert(judgement, state, status, since))
        return alerts

    def _sweep(self, now: int) -> list[Alert]:
        """Forget series that are measured no longer; resolves what is open on them."""
        if self._swept_at != NEVER and now - self._swept_at < self._live_for // 3:
            return []
        self._swept_at = now
        alerts = []
        for series, state in list(self._states.items()):
            removed = series.rule not in self._rules
            partial = series.version != ALL or series.segment != ALL
            gone = partial and now - state.seen_at > self._patience(series.rule)
            if not removed and not gone:
                continue
            if state.is_open:
                alerts.append(self._give_up(series, state, now, removed=removed))
            if gone:
                self._memory.forget(series.version, series.segment)
            if state.revision == NEVER:
                del self._states[series]
        return alerts

    def _patience(self, name: str) -> int:
        """How long a series of a rule may go without being measured, ms."""
        rule = self._rules.get(name)
        of_labels = isinstance(rule, ThresholdRule) and rule.metric not in TRAFFIC_METRICS
        return self._live_for + (self._config.label_horizon if of_labels else 0)

    def _give_up(self, series: Series, state: State, now: int, *, removed: bool) -> Alert:
        reason = (
            f"the rule {series.rule} is no longer configured"
            if removed
            else f"no longer measured: nothing came since {day_and_clock(state.seen_at)} UTC"
        )
        opened_at, value = state.opened_at, state.value
        policy = self._policies.get(series.rule, Policy(state.severity))
        status = resolve(state, policy, now, value)
        judgement = Judgement(
            series=series,
            at=now,
            breached=None,
            cleared=True,
            metric="",
            value=value,
            threshold=0.0,
            n=0,
            summary=lambda: f"{place(self._config.model, series)}: {reason}",
        )
        return self._alert(judgement, state, status, opened_at)

    def _alert(self, judgement: Judgement, state: State, status: Status, opened_at: int) -> Alert:
        series = judgement.series
        identity = fingerprint(self._config.model, series)
        rule = self._rules.get(series.rule)
        return Alert(
            id=f"{identity}-{state.revision}",
            fingerprint=identity,
            revision=state.revision,
            status=status,
            severity=state.severity,
            rule=series.rule,
            model=self._config.model,
            model_version=series.version,
            segment=series.segment,
            summary=judgement.summary(),
            opened_at=rfc3339(opened_at),
            at=rfc3339(judgement.at),
            evidence=_evidence(judgement),
            subject=series.subject or None,
            runbook=(None if rule is None else rule.runbook) or self._config.runbook,
            owner=self._config.owner,
        )

    def snapshot(self) -> Mapping[str, Any]:
        """The whole state as plain containers that survive MessagePack."""
        return {
            "series": [[list(series), state.snapshot()] for series, state in self._states.items()],
            "memory": self._memory.snapshot(),
            "swept_at": self._swept_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the state that :meth:`snapshot` gave; only on a fresh book."""
        self._states = {
            Series(*series): State.restore(values) for series, values in state["series"]
        }
        self._memory.restore(state["memory"])
        self._swept_at = state["swept_at"]


def _watches_version(rule: AlertRuleConfig, event: WindowClosed) -> bool:
    return (rule.versions == "rollup") == (event.payload.model_version == ALL)


def _watches(rule: AlertRuleConfig, event: WindowClosed) -> bool:
    """Tell whether a rule watches a window's version and segment.

    ``segments: all`` is the whole model and every segment; a list is the named ones alone.
    """
    if not _watches_version(rule, event):
        return False
    segment = event.payload.segment
    if rule.segments == "all":
        return True
    if rule.segments == "none":
        return segment == ALL
    return segment.partition("=")[0] in rule.segments


def _evidence(judgement: Judgement) -> Evidence:
    if judgement.breached is None:
        return Evidence(metric=judgement.metric)
    window = judgement.window
    return Evidence(
        metric=judgement.metric,
        value=judgement.value,
        threshold=judgement.threshold,
        n=judgement.n,
        low=judgement.low,
        high=judgement.high,
        p_value=judgement.p_value,
        window=None
        if window is None
        else EvidenceWindow(
            start=rfc3339(window.start),
            end=rfc3339(window.end),
            size_s=seconds(window.size),
            view=window.view,
            revision=window.revision,
        ),
        contributors=list(judgement.contributors()),
    )
