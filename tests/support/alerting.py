"""Models, windows and alarms for the tests of alert rules, with everything plain by default."""

from collections.abc import Mapping
from typing import Any

from streams.config.model import DetectorConfig, ModelConfig
from streams.config.settings import LoadedModel
from streams.config.windows import WindowConfig
from streams.core.alerts.book import RuleBook
from streams.core.monitor.events import DriftDetected, TimePassed, WindowClosed
from streams.core.partials import Cell
from streams.payloads import (
    Alert,
    Distance,
    DriftEvent,
    Input,
    MetricValue,
    Window,
    rfc3339,
    seconds,
)
from streams.profile.model import ReferenceProfile

MINUTE = 60_000
FIVE = WindowConfig(size=5 * MINUTE)
T0 = 1_795_615_200_000  # 2026-11-25 14:00 UTC


def loaded(
    *rules: Mapping[str, Any], reference: ReferenceProfile | None = None, **config: Any
) -> LoadedModel:
    """Build a binary model with one window of five minutes and these rules."""
    base: dict[str, Any] = {
        "model": "fraud",
        "task": "binary",
        "classes": ["no", "yes"],
        "alerts": list(rules),
        "reference": "profile.json",
        "features": {
            "amount": {"kind": "numeric", "range": [0, 40]},
            "age": {"kind": "numeric"},
            "country": {"kind": "categorical"},
        },
    }
    return LoadedModel(ModelConfig.model_validate(base | config), (FIVE,), reference)


def book(*rules: Mapping[str, Any], **options: Any) -> RuleBook:
    """Build the rules of such a model."""
    return RuleBook(loaded(*rules, **options))


def window(
    index: int = 0,
    *,
    view: str = "label_time",
    version: str = "*",
    segment: str = "*",
    revision: int = 0,
    predictions: int | None = None,
    coverage: float | None = None,
    metrics: Mapping[str, tuple[float, float] | MetricValue] | None = None,
    operation: Mapping[str, tuple[float, float]] | None = None,
    inputs: dict[str, Input] | None = None,
    drift: Mapping[str, float | Distance] | None = None,
    config: WindowConfig = FIVE,
    cells: Mapping[str, Cell] | None = None,
) -> WindowClosed:
    """Build the ``index``-th window after 14:00; metrics are (value, n), drift is PSI."""
    start = T0 + index * config.step
    end = start + config.size
    return WindowClosed(
        payload=Window(
            id=f"{index}|{revision}",
            model="fraud",
            model_version=version,
            segment=segment,
            view="label_time" if view == "label_time" else "prediction_time",
            start=rfc3339(start),
            end=rfc3339(end),
            size_s=seconds(config.size),
            hop_s=seconds(config.step),
            revision=revision,
            final=False,
            published_at_event_time=rfc3339(end),
            labels=0,
            predictions=predictions,
            label_coverage=coverage,
            metrics=_values(metrics),
            operation=_values(operation),
            inputs=inputs,
            drift=None
            if drift is None
            else {
                column: {"psi": d if isinstance(d, Distance) else Distance(value=d, n=5_000)}
                for column, d in drift.items()
            },
        ),
        config=config,
        start=start,
        end=end,
        now=end,
        published=True,
        **(cells or {}),
    )


def _values(
    metrics: Mapping[str, tuple[float, float] | MetricValue] | None,
) -> dict[str, MetricValue]:
    return {
        name: m if isinstance(m, MetricValue) else MetricValue(value=m[0], n=m[1])
        for name, m in (metrics or {}).items()
    }


def alarm(at: int, *, before: float | None = 0.1, after: float | None = 0.2) -> DriftDetected:
    """Build an alarm of the model's ADWIN on the error."""
    return DriftDetected(
        payload=DriftEvent(
            id=f"fraud|adwin|{at}|1",
            model="fraud",
            detector="adwin",
            kind="adwin",
            on="error",
            at=rfc3339(at),
            severity="warning",
            n=12_345,
            alarms=1,
            estimation_before=before,
            estimation_after=after,
        ),
        config=DetectorConfig(kind="adwin"),
        now=at,
    )


def time(now: int, *, prediction: int = -1, label: int = -1, since: int = T0) -> TimePassed:
    """Build the news that time passed."""
    return TimePassed(
        model="fraud", now=now, last_prediction=prediction, last_label=label, watched_since=since
    )


def statuses(alerts: list[Alert]) -> list[str]:
    """Reduce alerts to what happened."""
    return [alert.status for alert in alerts]
