"""Each rule says breached, cleared or nothing, and says why in one sentence."""

from typing import Any

import numpy as np
import pytest

from streams.config.windows import WindowConfig
from streams.core.alerts.drift import adjusted
from streams.core.partials import Cell
from streams.payloads import Contributor, Distance, Input, MetricValue
from streams.profile.model import (
    CategoricalReference,
    NumericReference,
    ReferenceProfile,
)
from support.alerting import FIVE, MINUTE, T0, alarm, book, statuses, time, window

RECALL = {"rule": "threshold", "name": "low-recall", "metric": "recall", "below": 0.8}


def reference(**metrics: float) -> ReferenceProfile:
    return ReferenceProfile(
        version=1,
        model="fraud",
        created="2026-11-01T00:00:00.000Z",
        rows=1_000,
        features={
            "amount": NumericReference(
                n=1_000,
                missing=0,
                mean=0.0,
                variance=1.0,
                minimum=0.0,
                maximum=40.0,
                edges=(10.0, 20.0, 30.0),
                counts=(250, 250, 250, 250),
            ),
            "country": CategoricalReference(
                n=1_000, missing=0, categories=("DE", "FR"), counts=(600, 300), other=100
            ),
        },
        metrics=metrics,
    )


class TestThreshold:
    def test_the_sentence_names_model_metric_interval_labels_limit_and_time(self) -> None:
        metric = MetricValue(value=0.7143, n=412, low=0.6502, high=0.7713)
        (alert,) = book(RECALL).on_window(window(metrics={"recall": metric}))
        assert alert.summary == (
            "fraud: recall 0.71 (0.65 to 0.77, 412 labels) is below 0.80 in 14:00\u201314:05 UTC"
        )
        assert alert.evidence.value == metric.value
        assert alert.evidence.threshold == 0.8
        assert (alert.evidence.low, alert.evidence.high, alert.evidence.n) == (0.6502, 0.7713, 412)
        assert alert.evidence.window is not None
        assert alert.evidence.window.start == "2026-11-25T14:00:00.000Z"

    def test_the_resolve_carries_the_value_that_cleared_it(self) -> None:
        rules = book(RECALL)
        rules.on_window(window(0, metrics={"recall": (0.7, 100)}))
        (alert,) = rules.on_window(window(1, metrics={"recall": (0.85, 120)}))
        assert alert.status == "resolved"
        assert alert.evidence.value == 0.85
        assert alert.summary == (
            "fraud: recall 0.85 (120 labels) is no longer below 0.80 in 14:05\u201314:10 UTC"
        )
        assert alert.opened_at == "2026-11-25T14:05:00.000Z"
        assert alert.at == "2026-11-25T14:10:00.000Z"

    def test_too_few_samples_are_no_evidence_either_way(self) -> None:
        rules = book(RECALL)
        assert rules.on_window(window(0, metrics={"recall": (0.1, 29)})) == []
        assert statuses(rules.on_window(window(1, metrics={"recall": (0.1, 30)}))) == ["open"]
        assert rules.on_window(window(2, metrics={"recall": (0.99, 29)})) == []
        assert rules.on_window(window(3)) == []

    def test_a_limit_relative_to_the_reference_follows_the_direction_of_the_metric(self) -> None:
        relative: dict[str, Any] = {"rule": "threshold", "relative_to_reference": 0.1}
        rules = book(
            {**relative, "name": "recall", "metric": "recall"},
            {**relative, "name": "loss", "metric": "log_loss"},
            reference=reference(recall=0.8, log_loss=0.5),
        )
        fine = {"recall": (0.721, 50), "log_loss": (0.549, 50)}
        assert rules.on_window(window(0, metrics=fine)) == []
        worse = {"recall": (0.719, 50), "log_loss": (0.551, 50)}
        recall, loss = rules.on_window(window(1, metrics=worse))
        assert recall.evidence.threshold == pytest.approx(0.72)
        assert "is below 0.720, 10 % worse than the reference's 0.800" in recall.summary
        assert loss.evidence.threshold == pytest.approx(0.55)

    def test_without_the_reference_a_relative_limit_is_not_judged(self) -> None:
        rule = {
            "rule": "threshold",
            "name": "r",
            "metric": "recall",
            "relative_to_reference": 0.1,
        }
        assert book(rule).on_window(window(metrics={"recall": (0.0, 500)})) == []

    def test_a_rule_that_wants_mature_labels_judges_the_first_revision_that_has_them(self) -> None:
        rules = book(RECALL | {"min_coverage": 0.9})
        told = []
        for revision, (coverage, value) in enumerate(
            [(0.1, 0.2), (0.5, 0.9), (0.91, 0.7), (0.99, 0.9)]
        ):
            told += rules.on_window(
                window(
                    view="prediction_time",
                    revision=revision,
                    coverage=coverage,
                    metrics={"recall": (value, 100)},
                )
            )
        assert [(alert.status, alert.evidence.value) for alert in told] == [("open", 0.7)]
        assert told[0].evidence.window is not None
        assert told[0].evidence.window.revision == 2

    def test_it_watches_one_view_and_one_window_alone(self) -> None:
        rules = book(RECALL)
        bad = {"recall": (0.1, 500)}
        assert rules.on_window(window(view="prediction_time", metrics=bad)) == []
        assert rules.on_window(window(config=WindowConfig(size=MINUTE), metrics=bad)) == []
        assert statuses(rules.on_window(window(metrics=bad))) == ["open"]

    def test_traffic_metrics_are_watched_by_the_time_of_the_prediction(self) -> None:
        rule = {"rule": "threshold", "name": "slow", "metric": "latency_p95", "above": 200}
        closed = window(view="prediction_time", operation={"latency_p95": (412.0, 900)})
        (alert,) = book(rule).on_window(closed)
        assert alert.summary == (
            "fraud: latency p95 412 ms (900 predictions) is above 200 ms in 14:00\u201314:05 UTC"
        )

    def test_the_worst_segments_of_the_window_are_named(self) -> None:
        rules = book(RECALL, segments=["country"])
        for segment, value, n in [
            ("country=DE", 0.9, 300),
            ("country=FR", 0.5, 60),
            ("country=IT", 0.4, 30),
            ("country=US", 0.0, 10),
        ]:
            closed = window(segment=segment, metrics={"recall": (value, n)})
            assert rules.on_window(closed) == []
        (alert,) = rules.on_window(window(metrics={"recall": (0.75, 400)}))
        assert alert.evidence.contributors == [
            Contributor(name="country=IT", share=0.075, value=0.4),
            Contributor(name="country=FR", share=0.15, value=0.5),
        ]

    def test_segments_and_versions_have_alerts_of_their_own(self) -> None:
        rules = book(RECALL | {"segments": "all", "versions": "each"}, segments=["country"])
        bad = {"recall": (0.1, 500)}
        assert rules.on_window(window(metrics=bad)) == []
        opened = [
            *rules.on_window(window(version="v1", metrics=bad)),
            *rules.on_window(window(version="v2", metrics=bad)),
            *rules.on_window(window(version="v2", segment="country=DE", metrics=bad)),
        ]
        assert statuses(opened) == ["open"] * 3
        assert len({alert.fingerprint for alert in opened}) == 3
        assert opened[2].summary.startswith("fraud version v2, country=DE: recall 0.10")

    def test_a_list_of_segments_leaves_the_others_alone(self) -> None:
        rules = book(RECALL | {"segments": ["country"]}, segments=["country", "device"])
        bad = {"recall": (0.1, 500)}
        assert rules.on_window(window(metrics=bad)) == []
        assert rules.on_window(window(segment="device=tv", metrics=bad)) == []
        assert len(rules.on_window(window(segment="country=DE", metrics=bad))) == 1


class TestDrift:
    def rule(self, **more: Any) -> dict[str, Any]:
        return {"rule": "drift", "name": "moved", "distance": "psi", **more}

    def test_features_are_one_alert_with_the_largest_distances_first(self) -> None:
        rules = book(self.rule(), reference=reference())
        drift = {"feature:amount": 0.3, "feature:country": 0.5, "score": 9.0}
        (alert,) = rules.on_window(window(view="prediction_time", drift=drift))
        assert alert.summary == (
            "fraud: 2 of 2 features drifted from the reference: country 0.50, amount 0.30 "
            "(PSI above 0.25, 5,000 rows) in 14:00\u201314:05 UTC"
        )
        assert [c.name for c in alert.evidence.contributors] == ["country", "amount"]

    def test_within_a_feature_the_parts_with_the_largest_share_of_psi_are_named(self) -> None:
        rules = book(self.rule(), reference=reference())
        cell = Cell(
            dense={
                "bins": np.array([10.0, 100.0, 100.0, 190.0]),
                "categories": np.array([60.0, 30.0, 10.0]),
            }
        )
        drift = {"feature:amount": 0.6, "feature:country": 0.3}
        closed = window(view="prediction_time", drift=drift, cells={"inputs": cell})
        (alert,) = rules.on_window(closed)
        names = [c.name for c in alert.evidence.contributors]
        # country did not move within its parts, so none of them is named
        assert names[:3] == ["amount", "amount below 10.0", "amount from 30.0"]
        assert names[-1] == "country"
        below = alert.evidence.contributors[1]
        shares = np.array([0.025, 0.25, 0.25, 0.475])
        terms = (shares - 0.25) * np.log(shares / 0.25)
        assert below.share == pytest.approx(terms[0] / terms.sum())
        assert below.value == pytest.approx(0.025)

    def test_one_column_can_be_watched(self) -> None:
        rules = book(self.rule(on="score", above=0.2))
        assert rules.on_window(window(drift={"feature:amount": 3.0})) == []
        (alert,) = rules.on_window(window(1, drift={"score": 0.204}))
        assert "score drifted from the reference: PSI 0.204 is above 0.200 (5,000 rows)" in (
            alert.summary
        )

    def test_several_features_can_be_required(self) -> None:
        rules = book(self.rule(min_features=2))
        three = {"feature:a": 0.9, "feature:b": 0.1, "feature:c": 0.1}
        assert rules.on_window(window(0, drift=three)) == []
        (alert,) = rules.on_window(window(1, drift=three | {"feature:b": 0.4}))
        assert alert.evidence.value == 0.4
        (alert,) = rules.on_window(window(2, drift=three))
        assert alert.status == "resolved"
        assert "fewer than 2 features drift" in alert.summary

    def test_a_large_distance_that_chance_explains_does_not_count(self) -> None:
        rules = book(self.rule(p_value=0.01))
        lucky = {"feature:a": Distance(value=0.9, n=300, p_value=0.02)}
        assert rules.on_window(window(0, drift=lucky)) == []
        real = {"feature:a": Distance(value=0.9, n=300, p_value=0.001)}
        (alert,) = rules.on_window(window(1, drift=real))
        assert alert.evidence.p_value == 0.001
        (alert,) = rules.on_window(window(2, drift=lucky))
        assert "no longer beyond chance" in alert.summary

    def test_few_rows_are_no_evidence(self) -> None:
        rules = book(self.rule())
        assert rules.on_window(window(drift={"feature:a": Distance(value=9.0, n=199)})) == []

    def test_windows_of_another_size_are_passed_over(self) -> None:
        closed = window(drift={"feature:a": 9.0}, config=WindowConfig(size=MINUTE))
        assert book(self.rule()).on_window(closed) == []

    def test_p_values_are_adjusted_as_scipy_does(self) -> None:
        from scipy.stats import false_discovery_control  # noqa: PLC0415 slow to import

        p_values = [0.001, 0.2, 0.03, 0.03, 0.9, 0.0]
        assert adjusted(p_values) == pytest.approx(false_discovery_control(p_values))


class TestQuality:
    rule = {"rule": "quality", "name": "missing", "check": "missing_rate", "above": 0.5}  # noqa: RUF012 a constant

    def inputs(self, **rates: float) -> dict[str, Input]:
        return {
            name: Input(
                kind="numeric",
                n=1_000,
                present=round(1_000 * (1 - rate)),
                missing_rate=rate,
                type_error_rate=0.0,
            )
            for name, rate in rates.items()
        }

    def test_every_feature_has_an_alert_of_its_own(self) -> None:
        rules = book(self.rule)
        opened = rules.on_window(
            window(view="prediction_time", inputs=self.inputs(age=0.62, amount=0.9, sex=0.1))
        )
        assert [(a.subject, a.status) for a in opened] == [("age", "open"), ("amount", "open")]
        assert opened[0].summary == (
            "fraud: the share of age that is missing, 62 % of 1,000 predictions, is above 50 % in "
            "14:00\u201314:05 UTC"
        )
        (alert,) = rules.on_window(
            window(1, view="prediction_time", inputs=self.inputs(age=0.2, amount=0.9, sex=0.1))
        )
        assert (alert.subject, alert.status) == ("age", "resolved")

    def test_a_rule_may_watch_one_feature(self) -> None:
        rules = book(self.rule | {"feature": "age"})
        opened = rules.on_window(window(inputs=self.inputs(age=0.9, amount=0.9)))
        assert [alert.subject for alert in opened] == ["age"]

    def test_a_rate_that_could_not_be_computed_is_no_evidence(self) -> None:
        rules = book(self.rule | {"check": "range_violation_rate"})
        assert rules.on_window(window(inputs=self.inputs(age=0.0))) == []


class TestVolume:
    rule = {"rule": "volume", "name": "traffic"}  # noqa: RUF012 a constant

    def run(
        self, rule: dict[str, Any], counts: list[int], config: WindowConfig = FIVE
    ) -> list[Any]:
        rules = book(rule)
        told = []
        for index, count in enumerate(counts):
            closed = window(index, view="prediction_time", predictions=count, config=config)
            told += [(index, alert.status) for alert in rules.on_window(closed)]
        return told

    def test_silence_is_a_volume_of_zero(self) -> None:
        told = self.run(self.rule | {"below": 1.0}, [600, 600, 0, 600])
        assert told == [(2, "open"), (3, "resolved")]

    def test_the_window_in_which_traffic_began_is_not_judged(self) -> None:
        assert self.run(self.rule | {"below": 1.0}, [0, 0, 10, 600]) == []

    def test_a_change_is_relative_to_the_window_before(self) -> None:
        told = self.run(self.rule | {"change": 0.5}, [600, 600, 250, 240, 600, 590])
        assert told == [(2, "open"), (3, "resolved"), (4, "open"), (5, "resolved")]

    def test_a_change_between_thin_windows_is_no_evidence(self) -> None:
        assert self.run(self.rule | {"change": 0.5}, [20, 20, 2, 20, 0, 29]) == []

    def test_the_sentence_tells_rate_and_count(self) -> None:
        rules = book(self.rule | {"below": 1.0})
        for index, count in enumerate([600, 600]):
            rules.on_window(window(index, view="prediction_time", predictions=count))
        (alert,) = rules.on_window(window(2, view="prediction_time", predictions=150))
        assert alert.summary == (
            "fraud: traffic of 0.50 predictions/s (150 predictions) is below 1.0 predictions/s in "
            "14:10\u201314:15 UTC"
        )

    def test_the_sentence_of_a_change_tells_both_counts(self) -> None:
        rules = book(self.rule | {"change": 0.5})
        for index, count in enumerate([600, 600]):
            rules.on_window(window(index, view="prediction_time", predictions=count))
        (alert,) = rules.on_window(window(2, view="prediction_time", predictions=150))
        assert alert.summary == (
            "fraud: traffic fell by 75 % to 150 predictions in 14:10\u201314:15 UTC from 600 in "
            "the 5m before, more than the allowed 50 %"
        )


class TestStaleness:
    rule = {"rule": "staleness", "name": "silent", "predictions_after": 15 * MINUTE}  # noqa: RUF012 a constant

    def test_it_opens_after_so_long_and_resolves_when_predictions_come_again(self) -> None:
        rules = book(self.rule)
        told = [
            [
                (minute, alert.status)
                for alert in rules.on_time(
                    time(T0 + minute * MINUTE, prediction=T0 + last * MINUTE, since=0)
                )
            ]
            for minute, last in [(5, 0), (15, 0), (16, 0), (17, 0), (18, 17), (19, 17)]
        ]
        assert [item for step in told for item in step] == [(16, "open"), (18, "resolved")]

    def test_what_never_came_is_missed_since_watching_began(self) -> None:
        rules = book(self.rule | {"labels_after": 60 * MINUTE})
        assert rules.on_time(time(T0 + 15 * MINUTE)) == []
        (alert,) = rules.on_time(time(T0 + 16 * MINUTE))
        assert alert.subject == "predictions"
        assert alert.summary == (
            "fraud: no predictions for 16m, since watching began at 25 Nov 14:00 UTC; "
            "the limit is 15m"
        )
        assert [
            alert.subject for alert in rules.on_time(time(T0 + 61 * MINUTE, prediction=T0))
        ] == ["predictions", "labels"]

    def test_a_growing_silence_is_told_again_only_when_it_has_doubled(self) -> None:
        rules = book(self.rule)
        told = [
            minute
            for minute in range(300)
            for _ in rules.on_time(time(T0 + minute * MINUTE, prediction=T0))
        ]
        assert told == [16, 33, 67, 135, 271]


class TestDetector:
    rule = {"rule": "detector", "name": "change", "detector": "adwin", "hold": 60 * MINUTE}  # noqa: RUF012 a constant

    def test_an_alarm_opens_and_the_end_of_the_hold_resolves(self) -> None:
        rules = book(self.rule)
        (alert,) = rules.on_drift(alarm(T0))
        assert alert.subject == "adwin"
        assert alert.summary == (
            "fraud: the mean error moved from 0.10 to 0.20 at 25 Nov 14:00 UTC, found by adwin "
            "after 12,345 items"
        )
        assert rules.on_time(time(T0 + 59 * MINUTE)) == []
        assert rules.on_drift(alarm(T0 + 59 * MINUTE)) == []
        assert rules.on_time(time(T0 + 118 * MINUTE)) == []
        assert statuses(rules.on_time(time(T0 + 119 * MINUTE))) == ["resolved"]

    def test_alarms_of_other_detectors_are_passed_over(self) -> None:
        rule = self.rule | {"detector": "other"}
        rules = book(rule, detectors=[{"kind": "adwin"}, {"kind": "ddm", "name": "other"}])
        assert rules.on_drift(alarm(T0)) == []

    def test_an_alarm_without_estimates_is_told_too(self) -> None:
        (alert,) = book(self.rule).on_drift(alarm(T0, before=None, after=None))
        assert "the mean error changed at 25 Nov 14:00 UTC" in alert.summary
