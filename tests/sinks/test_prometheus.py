"""The page shows what is latest, within its limits, and nothing else."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from streams.payloads import (
    Alert,
    Distance,
    Evidence,
    Input,
    MetricValue,
    Window,
)
from streams.sinks.exposition import CONTENT_TYPE
from streams.sinks.prometheus import Exporter


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def window(version: str = "*", segment: str = "*", **more: Any) -> Window:
    figures: dict[str, Any] = {
        "id": f"fraud|{version}|{segment}|{more}",
        "model": "fraud",
        "model_version": version,
        "segment": segment,
        "view": "prediction_time",
        "start": "2026-11-25T14:00:00.000Z",
        "end": "2026-11-25T14:05:00.000Z",
        "size_s": 300,
        "hop_s": 60,
        "revision": 0,
        "final": False,
        "published_at_event_time": "2026-11-25T14:05:02.000Z",
        "labels": 40,
        "predictions": 500,
        "label_coverage": 0.08,
        "metrics": {"roc_auc": MetricValue(value=0.9, n=40)},
        "operation": {"latency_p95": MetricValue(value=120.0, n=500)},
    }
    return Window(**(figures | more))


def alert(rule: str = "low", status: str = "open") -> Alert:
    return Alert(
        id="0-0",
        fingerprint="0",
        revision=0,
        status="open" if status == "open" else "resolved",
        severity="critical",
        rule=rule,
        model="fraud",
        model_version="*",
        segment="*",
        summary="",
        opened_at="2026-11-25T14:05:00.000Z",
        at="2026-11-25T14:05:00.000Z",
        evidence=Evidence(metric="recall"),
    )


def page(exporter: Exporter) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read a page as numbers by name and labels, each of which must be there once."""
    body, content_type = exporter.render()
    assert content_type == CONTENT_TYPE
    found = {}
    for family in text_string_to_metric_families(body.decode()):
        for s in family.samples:
            key = (s.name, frozenset(s.labels.items()))
            assert key not in found
            found[key] = s.value
    return found


def named(figures: Mapping[tuple[str, frozenset[tuple[str, str]]], float], name: str) -> Any:
    """Pick the samples of one name: by labels."""
    return [(dict(labels), v) for (n, labels), v in figures.items() if n == f"driftline_{name}"]


LABELS = {
    "model": "fraud",
    "model_version": "*",
    "segment": "*",
    "window": "5m/1m",
    "view": "prediction_time",
}


def show(*windows: Window, **more: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    exporter = Exporter(**more)
    exporter.update(windows, [], {})
    return page(exporter)


def test_a_window_becomes_one_metric_per_figure_in_base_units() -> None:
    figures = show(window())
    for name, value in {
        "quality_roc_auc_ratio": 0.9,
        "operation_latency_p95_seconds": 0.12,
        "window_predictions": 500.0,
        "window_labels": 40.0,
        "window_label_coverage_ratio": 0.08,
        "window_end_timestamp_seconds": 1_795_615_500.0,
    }.items():
        assert named(figures, name) == [(LABELS, value)]


def test_every_window_shows_its_own_numbers_whatever_the_one_before_it_told() -> None:
    clock = Clock()
    exporter = Exporter(clock=clock)
    feature = Input(kind="numeric", n=5, present=5, missing_rate=0.0, type_error_rate=0.0)
    told: list[dict[str, Any]] = [
        {"labels": 1},
        {"labels": 2},
        {"labels": 3, "label_coverage": None},
        {"labels": 4, "metrics": {}, "inputs": {"a": feature}},
        {"labels": 5, "metrics": {"f1": MetricValue(value=0.5, n=4)}, "inputs": {"b": feature}},
        {"labels": 1},
    ]
    for figures in told:
        windows = [window(version, **figures) for version in ("v1", "v2")]
        exporter.update(windows, [], {})
        clock.now += 1.0
        alone = [show(one) for one in windows]
        shown = {key for key in page(exporter).items() if dict(key[0][1]).get("model_version")}
        assert shown == {
            key for one in alone for key in one.items() if dict(key[0][1]).get("model_version")
        }


def test_drift_and_inputs_carry_their_feature_and_outputs_are_apart() -> None:
    figures = show(
        window(
            drift={
                "feature:score": {"psi": Distance(value=0.3, n=500)},
                "score": {"psi": Distance(value=0.1, n=500)},
            },
            inputs={
                "score": Input(
                    kind="numeric", n=500, present=400, missing_rate=0.2, type_error_rate=0.0
                )
            },
        )
    )
    assert named(figures, "drift_psi") == [(LABELS | {"feature": "score"}, 0.3)]
    assert named(figures, "output_drift_psi") == [(LABELS | {"output": "score"}, 0.1)]
    assert named(figures, "input_missing_ratio") == [(LABELS | {"feature": "score"}, 0.2)]
    assert named(figures, "input_mean") == []


def test_metrics_of_classes_carry_their_class() -> None:
    classes = {"cat": {"precision": MetricValue(value=0.5, n=10)}}
    figures = show(window(per_class=classes))
    assert named(figures, "class_precision_ratio") == [(LABELS | {"class": "cat"}, 0.5)]


def test_a_version_that_is_told_no_longer_vanishes_and_is_counted() -> None:
    clock = Clock()
    exporter = Exporter(clock=clock)
    exporter.update([window("v1"), window("v2")], [], {})
    page(exporter)
    exporter.update([window("v2")], [], {})
    clock.now = 5.0
    figures = page(exporter)
    (only,) = named(figures, "window_predictions")
    assert only[0]["model_version"] == "v2"
    assert named(figures, "labels_retired_total") == [({}, 1.0)]


def test_quality_goes_before_drift_and_inputs_when_there_is_not_room_for_all() -> None:
    feature = Input(kind="numeric", n=5, present=5, missing_rate=0.0, type_error_rate=0.0)
    full = window(
        drift={f"feature:f{i}": {"psi": Distance(value=0.1, n=500)} for i in range(10)},
        inputs={f"f{i}": feature for i in range(10)},
    )
    figures = show(full, window("v1"), max_series=14)
    assert len(named(figures, "quality_roc_auc_ratio")) == 2
    assert len(named(figures, "drift_psi")) == 2
    assert named(figures, "input_missing_ratio") == []
    limited = {labels["reason"]: v for labels, v in named(figures, "series_limited_total")}
    assert limited == {"max_series": 28.0, "max_label_values": 0.0}


def test_labels_with_too_many_values_are_shown_first_come_first_served() -> None:
    clock = Clock()
    exporter = Exporter(max_label_values=3, clock=clock)
    exporter.update([window("v5"), window("v6"), window()], [], {})
    page(exporter)
    exporter.update([window(f"v{i}") for i in range(9)] + [window()], [], {})
    clock.now = 1.0
    figures = page(exporter)
    shown = {labels["model_version"] for labels, _ in named(figures, "window_predictions")}
    assert shown == {"*", "v5", "v6"}
    limited = {labels["reason"]: v for labels, v in named(figures, "series_limited_total")}
    assert limited["max_label_values"] == 7 * 6


def test_a_place_that_becomes_free_is_taken() -> None:
    clock = Clock()
    exporter = Exporter(max_label_values=2, clock=clock)
    exporter.update([window(), window("v1"), window("v2")], [], {})
    exporter.update([window(), window("v2")], [], {})
    shown = {labels["model_version"] for labels, _ in named(page(exporter), "window_predictions")}
    assert shown == {"*", "v2"}


def test_features_beyond_the_limit_are_left_out() -> None:
    drift = {f"feature:f{i}": {"psi": Distance(value=0.1, n=500)} for i in range(10)}
    figures = show(window(drift=drift), max_label_values=4)
    assert [labels["feature"] for labels, _ in named(figures, "drift_psi")] == [
        "f0",
        "f1",
        "f2",
        "f3",
    ]


def test_open_alerts_are_counted_by_rule_and_resolved_ones_are_zero() -> None:
    exporter = Exporter()
    exporter.update([], [alert(), alert(), alert("silent", "resolved")], {})
    counts = {labels["rule"]: v for labels, v in named(page(exporter), "alerts_open")}
    assert counts == {"low": 2.0, "silent": 0.0}


def test_figures_of_the_pipeline_are_counters_or_gauges_by_their_names() -> None:
    exporter = Exporter()
    exporter.update(
        [],
        [],
        {
            "waiting_predictions": 17.0,
            "lag": {(("topic", "p"), ("partition", "0")): 3.0},
            "quarantined_total": {(("reason", "late"),): 4.0},
            "watermark_timestamp_seconds": float("nan"),
        },
    )
    figures = page(exporter)
    assert named(figures, "waiting_predictions") == [({}, 17.0)]
    assert named(figures, "lag") == [({"topic": "p", "partition": "0"}, 3.0)]
    assert named(figures, "quarantined_total") == [({"reason": "late"}, 4.0)]
    assert named(figures, "watermark_timestamp_seconds") == []
    body = exporter.render()[0].decode()
    assert "# TYPE driftline_quarantined_total counter" in body
    assert "# TYPE driftline_lag gauge" in body
    assert "process_cpu_seconds_total" in body


def test_a_figure_of_the_pipeline_never_takes_the_name_of_another_metric() -> None:
    exporter = Exporter()
    exporter.update([window()], [alert()], {"alerts_open": 3.0, "window_labels": 1.0, "a-b": 2.0})
    figures = page(exporter)
    assert named(figures, "pipeline_alerts_open") == [({}, 3.0)]
    assert named(figures, "pipeline_window_labels") == [({}, 1.0)]
    assert named(figures, "a_b") == [({}, 2.0)]
    body = exporter.render()[0].decode()
    types = [line for line in body.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))


def test_a_page_is_rendered_at_most_once_a_second_and_only_when_something_changed() -> None:
    clock = Clock()
    exporter = Exporter(clock=clock)
    exporter.update([window()], [], {})
    first = exporter.render()[0]
    exporter.update([], [], {})
    clock.now = 0.9
    assert exporter.render()[0] is first
    clock.now = 1.0
    second = exporter.render()[0]
    assert b"driftline_window_predictions" not in second
    clock.now = 99.0
    assert exporter.render()[0] is second
