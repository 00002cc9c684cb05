"""Everything that is published as JSON, field by field.

A value that cannot be computed is absent: no payload holds NaN or a null in place of a number.
Readers must ignore fields that they do not know. All times are RFC 3339 in UTC with milliseconds.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

import msgspec

View = Literal["prediction_time", "label_time"]
Severity = Literal["info", "warning", "critical"]
Status = Literal["open", "update", "resolved"]
UnmatchedReason = Literal["late", "orphan", "conflict", "expired"]
Number = int | float

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)
def rfc3339(ms: int) -> str:
    """Write milliseconds since the epoch as RFC 3339 in UTC.

    >>> rfc3339(1_795_600_800_250)
    '2026-11-25T10:00:00.250Z'
    """
    moment = _EPOCH + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(ms: int) -> Number:
    """Milliseconds as seconds; a whole number where they are whole.

    >>> seconds(60_000), seconds(1_500)
    (60, 1.5)
    """
    whole, rest = divmod(ms, 1000)
    return ms / 1000 if rest else whole


def join_id(parts: Sequence[str]) -> str:
    """Join the parts of an id with ``|``; a bar inside a part is written ``%7C``.

    >>> join_id(["churn", "a|b", "*"])
    'churn|a%7Cb|*'
    """
    return "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)


class MetricValue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measured number and how sure it is.

    Attributes:
        value: the number.
        n: what it was computed from: rows, or their weight where labels carry weights.
        low: lower end of the 95 % interval.
        high: upper end of the 95 % interval.
        error_bound: how far the value can be from the exact one because scores were counted in
            bins; already part of the interval.
    """

    value: float
    n: float
    low: float | None = None
    high: float | None = None
    error_bound: float | None = None


class FrequentValue(msgspec.Struct, frozen=True, kw_only=True):
    """A frequent value of a categorical feature and its estimated count."""

    value: str
    count: int


class Input(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One feature in one window.

    Attributes:
        kind: "numeric" or "categorical".
        n: predictions that could have carried the feature.
        present: those that carried a usable value.
        missing_rate: share without a value.
        type_error_rate: share with a value of the wrong type.
        range_violation_rate: share of the present values outside the configured range.
        category_violation_rate: share of the present values outside the configured categories.
        mean: mean of the present values.
        variance: their variance, divided by n - 1.
        p05: their 5th percentile, within 1 % of its value; likewise the next four.
        cardinality: estimated number of distinct values.
        frequent: most frequent values, most frequent first.
    """

    kind: Literal["numeric", "categorical"]
    n: int
    present: int
    missing_rate: float
    type_error_rate: float
    range_violation_rate: float | None = None
    category_violation_rate: float | None = None
    mean: float | None = None
    variance: float | None = None
    p05: float | None = None
    p25: float | None = None
    p50: float | None = None
    p75: float | None = None
    p95: float | None = None
    cardinality: float | None = None
    frequent: list[FrequentValue] | None = None


class Distance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a distribution is from the reference.

    Attributes:
        value: the distance.
        n: rows of the window that were compared.
        p_value: probability of so large a distance without drift, where a test is known.
    """

    value: float
    n: int
    p_value: float | None = None


class Window(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="window"
):
    """What was measured in one window for one series (metrics topic).

    Attributes:
        id: model, version, segment, view, window, start in ms and revision, joined with ``|``;
            the same after any replay.
        model: the model.
        model_version: its version; "*" stands for all versions together.
        segment: "*" or "name=value".
        view: "prediction_time": by when the prediction was made, revised while truth arrives;
            "label_time": by when its truth arrived, published once.
        start: first moment of the window.
        end: first moment after it.
        size_s: its length in seconds.
        hop_s: seconds between the starts of two windows.
        revision: 0, 1, 2, ...; a higher one replaces the lower ones.
        final: no revision follows.
        published_at_event_time: event time at which this revision was computed.
        predictions: predictions in the window; absent in view "label_time".
        labels: predictions whose truth is known (label_time: truths that arrived).
        label_coverage: labels / predictions; absent in view "label_time".
        metrics: quality, by metric name.
        operation: traffic, latency and label delay, by metric name.
        confusion: binary: weights of tp, fp, tn, fn.
        confusion_matrix: multiclass: actual class -> predicted class -> weight; zeros absent.
        per_class: multiclass: class -> metric name -> value.
        inputs: by feature; only for segment "*" and until predictions can no longer be late.
        drift: by column ("prediction", "score", "label" or a feature's name prefixed with
            "feature:"), then by distance; where ``inputs`` are ("label": wherever truth is), and
            only for segment "*" in windows of the size that is compared.
        score_histogram: predictions by score: twenty equal ranges of [0, 1].
    """

    id: str
    model: str
    model_version: str
    segment: str
    view: View
    start: str
    end: str
    size_s: Number
    hop_s: Number
    revision: int
    final: bool
    published_at_event_time: str
    labels: int
    predictions: int | None = None
    label_coverage: float | None = None
    metrics: dict[str, MetricValue]
    operation: dict[str, MetricValue]
    confusion: dict[str, float] | None = None
    confusion_matrix: dict[str, dict[str, float]] | None = None
    per_class: dict[str, dict[str, MetricValue]] | None = None
    inputs: dict[str, Input] | None = None
    drift: dict[str, dict[str, Distance]] | None = None
    score_histogram: list[float] | None = None


class DriftEvent(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="drift"
):
    """A sequential detector raised an alarm (metrics topic).

    Attributes:
        id: model, detector, time in ms and number of the alarm, joined with ``|``.
        model: the model; detectors read all its versions together.
        detector: name of the detector in the model's configuration.
        kind: its algorithm.
        on: what it watches: "error", "score", "prediction" or "feature:<name>".
        at: event time of the alarm, to the tick.
        severity: as configured for the detector.
        n: items that the detector has read, up to and including the one that raised the alarm.
        alarms: alarms that it has raised so far.
        estimation_before: its estimate of the mean before the run of items with the alarm.
        estimation_after: mean of the run of items with the alarm.
    """

    id: str
    model: str
    detector: str
    kind: str
    on: str
    at: str
    severity: Severity
    n: int
    alarms: int
    estimation_before: float | None = None
    estimation_after: float | None = None


class EvidenceWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The window that an alert was judged by; fields as in :class:`Window`."""

    start: str
    end: str
    size_s: Number
    view: View
    revision: int


class Contributor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A segment, version or feature that contributes to what an alert reports.

    Attributes:
        name: for example "country=DE" or a feature's name.
        share: its share of the whole, 0 to 1.
        value: its own value of the metric.
    """

    name: str
    share: float | None = None
    value: float | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The numbers behind an alert.

    Attributes:
        metric: name of what was judged.
        value: its value.
        threshold: the limit that it passed, or that it came back behind.
        n: what the value was computed from.
        low: lower end of the value's 95 % interval.
        high: upper end of it.
        p_value: probability of so large a value without a change.
        window: the window; absent for rules that judge no window.
        contributors: what contributes most, largest first.
    """

    metric: str
    value: float | None = None
    threshold: float | None = None
    n: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    window: EvidenceWindow | None = None
    contributors: list[Contributor] = []


class Alert(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="alert"
):
    """A rule opened, updated or resolved an alert (alerts topic).

    Attributes:
        id: fingerprint and revision, joined with ``-``; the same after any replay.
        fingerprint: identity of the alert through its life, hex.
        revision: 0, 1, 2, ... per fingerprint.
        status: "open", "update" or "resolved".
        severity: how loud it is.
        rule: name of the rule in the model's configuration.
        model: the model.
        model_version: the version that it is about, or "*".
        segment: the segment that it is about, or "*".
        summary: one plain sentence with numbers and units.
        opened_at: event time at which it opened.
        at: event time of this revision.
        evidence: the numbers behind it.
        subject: feature or detector, where one rule can fire for several.
        runbook: where the reader finds what to do.
        owner: who answers for the model.
    """

    id: str
    fingerprint: str
    revision: int
    status: Status
    severity: Severity
    rule: str
    model: str
    model_version: str
    segment: str
    summary: str
    opened_at: str
    at: str
    evidence: Evidence
    subject: str | None = None
    runbook: str | None = None
    owner: str | None = None


class Unmatched(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="unmatched"
):
    """A prediction or a truth that could not be matched (unmatched topic).

    Attributes:
        id: reason, partition and what names the event there; the same after any replay.
        reason: "late": truth after the label horizon; "orphan": truth whose prediction never came;
            "conflict": truth that contradicts an earlier one; "expired": a prediction whose truth
            never came.
        prediction_id: the id that predictions and truths share.
        timestamp: when the event says that it happened.
        at: event time at which the pipeline gave up on it.
        model: the model, where the prediction is known.
        model_version: its version, likewise.
        delay_s: seconds from prediction to truth, where both are known.
        actual: the truth, where there is one.
    """

    id: str
    reason: UnmatchedReason
    prediction_id: str
    timestamp: str
    at: str
    model: str | None = None
    model_version: str | None = None
    delay_s: float | None = None
    actual: str | float | None = None


Payload = Window | DriftEvent | Alert | Unmatched

_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Payload] = msgspec.json.Decoder(Payload)


def encode(payload: Payload) -> bytes:
    """Encode a payload as JSON."""
    return _ENCODER.encode(payload)


def decode(data: bytes) -> Payload:
    """Decode any payload; raises ValueError (msgspec.DecodeError) for anything else."""
    return _DECODER.decode(data)
