"""The events that services publish, field by field.

These are the public forms: what the JSON Schemas are generated from and what producers may build
on. The intake decodes with structures of its own that know the configured features.
"""

from typing import Annotated

import msgspec

Scalar = str | int | float | bool
Item = str | int | float

PredictionId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=256,
        description="Identifies the prediction; its feedback carries the same. Also the record's "
        "key, in UTF-8.",
        examples=["req-7f3a-0001"],
    ),
]
Timestamp = Annotated[
    str | int | float,
    msgspec.Meta(
        description="When it happened: RFC 3339 with an offset, or a number of seconds, "
        "milliseconds, microseconds or nanoseconds since the epoch, told apart by magnitude "
        "(below 1e11, 1e14, 1e17, else).",
        examples=["2026-11-20T10:00:00.000Z", 1_795_600_800_000],
    ),
]
Model = Annotated[
    str, msgspec.Meta(min_length=1, description="Name of the model, as in its configuration.")
]
Version = Annotated[
    str | int | float | None,
    msgspec.Meta(description='Version of the model; "unknown" when absent.'),
]
PredictedValue = Annotated[
    Scalar | list[Item] | None,
    msgspec.Meta(
        description="What the model said: a class label, a number, or for rankings the items in "
        "order. May be absent when there is a score or the prediction failed."
    ),
]
Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Score = Annotated[
    float | dict[str, Probability] | None,
    msgspec.Meta(
        description="Binary: probability of the positive class. Several classes: probability per "
        "class; classes left out have none."
    ),
]
Latency = Annotated[
    float | None, msgspec.Meta(description="How long the prediction took, in milliseconds.")
]
Failed = Annotated[bool | None, msgspec.Meta(description="Whether the prediction failed.")]
Variant = Annotated[
    Scalar | None, msgspec.Meta(description="Arm of an experiment, such as canary.")
]
Features = Annotated[
    dict[str, Scalar | None],
    msgspec.Meta(
        description="Inputs of the model by name. Those that its configuration does not name are "
        "ignored; values of the wrong type are counted, the event is kept."
    ),
]
Tags = Annotated[
    dict[str, Scalar | None],
    msgspec.Meta(description="Context for segments, such as the country; not seen by the model."),
]
Actual = Annotated[
    Scalar | list[Item] | dict[str, float] | None,
    msgspec.Meta(
        description="What was true: a class label, a number, or for rankings the relevant items, "
        "or the gain of each item. Required unless `event` is given."
    ),
]
Value = Annotated[
    float | None, msgspec.Meta(description="What the outcome is worth, such as an amount of money.")
]
Weight = Annotated[
    float | None, msgspec.Meta(description="Weight of the label, 0 or more; 1 when absent.")
]
Event = Annotated[
    str | None, msgspec.Meta(description="Name of an outcome, such as click, instead of a label.")
]
ShownItem = Annotated[
    Item | None, msgspec.Meta(description="Item of the ranking that the outcome is about.")
]


class Prediction(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One prediction of a model (predictions topic).

    Attributes:
        prediction_id: identifies the prediction; its feedback carries the same.
        timestamp: when it was made.
        model: name of the model.
        model_version: version of the model.
        prediction: what it said.
        score: how sure it was.
        features: its inputs.
        tags: context for segments.
        latency_ms: how long it took.
        error: whether it failed.
        variant: arm of an experiment.
    """

    prediction_id: PredictionId
    timestamp: Timestamp
    model: Model
    model_version: Version = None
    prediction: PredictedValue = None
    score: Score = None
    features: Features = {}
    tags: Tags = {}
    latency_ms: Latency = None
    error: Failed = None
    variant: Variant = None


class Feedback(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What turned out to be true of a prediction (feedback topic).

    Attributes:
        prediction_id: the prediction that it is about.
        timestamp: when it became known.
        actual: what was true.
        value: what an outcome is worth.
        weight: weight of the label.
        event: name of an outcome.
        item: item of the ranking that the outcome is about.
    """

    prediction_id: PredictionId
    timestamp: Timestamp
    actual: Actual = None
    value: Value = None
    weight: Weight = None
    event: Event = None
    item: ShownItem = None


class PredictionColumns(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Predictions as columns: every list has one entry per prediction.

    Attributes:
        prediction_id: as of ``Prediction``; likewise all others.
        timestamp: one per prediction, or one for all.
        score: one list, or one list per class.
        features: one list per feature.
        tags: one list per tag.
    """

    prediction_id: list[PredictionId]
    timestamp: list[Timestamp] | Timestamp
    prediction: list[PredictedValue] | None = None
    score: list[float | None] | dict[str, list[Probability | None]] | None = None
    features: dict[str, list[Scalar | None]] = {}
    tags: dict[str, list[Scalar | None]] = {}
    latency_ms: list[Latency] | None = None
    error: list[Failed] | None = None
    variant: list[Variant] | None = None


class PredictionBatch(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Many predictions of one model version in one record (predictions topic).

    All of them must belong to the partition that the record is written to.

    Attributes:
        model: name of the model.
        model_version: version of the model.
        columns: the predictions.
    """

    model: Model
    model_version: Version = None
    columns: PredictionColumns


class FeedbackColumns(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Feedback as columns: every list has one entry per label or outcome.

    Attributes:
        prediction_id: as of ``Feedback``; likewise all others.
        timestamp: one per row, or one for all.
    """

    prediction_id: list[PredictionId]
    timestamp: list[Timestamp] | Timestamp
    actual: list[Actual] | None = None
    value: list[Value] | None = None
    weight: list[Weight] | None = None
    event: list[Event] | None = None
    item: list[ShownItem] | None = None


class FeedbackBatch(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Many labels or outcomes in one record (feedback topic).

    All of them must belong to the partition that the record is written to.

    Attributes:
        columns: the labels and outcomes.
    """

    columns: FeedbackColumns
