"""One monitored model: what it predicts, what is measured, and when to tell somebody."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from detectors.registry import KINDS
from streams.config.alerts import AlertRuleConfig, DistanceName, Severity, default_rules
from streams.config.base import Finding, Frozen
from streams.config.durations import Duration, PositiveDuration
from streams.config.files import ExistingFile
from streams.config.labels import Label
from streams.config.metrics import Task
from streams.config.names import Name, Text
from streams.config.rules import model_findings
from streams.config.windows import WindowConfig

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class FeatureConfig(Frozen):
    """One input of the model."""

    kind: Literal["numeric", "categorical"]
    """Numbers, or strings out of a vocabulary."""
    range: tuple[float | None, float | None] | None = None
    """Lowest and highest plausible number; null leaves a side open."""
    categories: tuple[Text, ...] | None = None
    """All known categories; others count as violations."""
    required: bool = False
    """Whether an event without this feature is counted as missing it even in sparse models."""

    def findings(self) -> list[Finding]:
        """A range belongs to numbers and is not empty; categories belong to strings."""
        found = []
        if self.range is not None:
            low, high = self.range
            if self.kind == "categorical":
                found.append(Finding(("range",), "a categorical feature has no range; remove it"))
            elif low is not None and high is not None and low >= high:
                found.append(Finding(("range",), f"the low end {low:g} must be under {high:g}"))
        if self.categories is not None and self.kind == "numeric":
            found.append(Finding(("categories",), "a numeric feature has no categories; remove it"))
        return found


class SegmentConfig(Frozen):
    """A way to slice the traffic."""

    name: Name
    """Name of the slicing in metrics and alerts."""
    by: tuple[Text, ...] = Field(min_length=1, max_length=3)
    """Tags or categorical features; a name that is no feature is a tag."""
    max_values: int = Field(default=50, ge=1, le=1_000)
    """How many values are kept apart; later ones are counted together."""


def _expand_segment(value: object) -> object:
    return {"name": value, "by": (value,)} if isinstance(value, str) else value


Segment = Annotated[
    SegmentConfig, BeforeValidator(_expand_segment, json_schema_input_type=str | SegmentConfig)
]


class OutcomeConfig(Frozen):
    """An event that may follow a prediction, such as a click."""

    value: bool = False
    """Whether the event carries an amount of money or the like."""
    role: Literal["click", "conversion", "other"] = "other"
    """Clicks make the click-through rate, conversions the conversion rate."""


def _parameter(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise PydanticCustomError("parameter", "must be a number, text, true or false")
    return value


Parameter = Annotated[bool | int | float | str, BeforeValidator(_parameter)]


class DetectorConfig(Frozen):
    """A sequential change detector on one stream of numbers."""

    kind: str = Field(json_schema_extra={"enum": [*KINDS]})
    """Algorithm, such as adwin or page_hinkley."""
    name: Name = Field(default_factory=lambda data: data.get("kind", ""))
    """Name in alerts; the kind when absent."""
    on: str = "error"
    """What it watches: error, score, prediction or feature:<name>."""
    params: dict[str, Parameter] = Field(default_factory=dict)
    """Parameters of the algorithm; its own defaults where absent."""
    severity: Severity = "warning"
    """How loud its alarms are."""


class DriftConfig(Frozen):
    """How distributions are compared with the reference."""

    distances: tuple[DistanceName, ...] = ("psi", "jensen_shannon", "kolmogorov_smirnov")
    """Which distances are computed."""
    window: PositiveDuration | None = None
    """Size of the window that is compared; the model's largest when absent."""
    min_rows: int = Field(default=200, ge=1)
    """Windows with fewer rows are not compared."""
    bins: int = Field(default=64, ge=2, le=1_024)
    """Bins per numeric feature, at quantiles of the reference."""


def _second_class(data: dict[str, Any]) -> str | None:
    classes = data.get("classes", ())
    return classes[1] if data.get("task") == "binary" and len(classes) == 2 else None


def _default_detectors(data: dict[str, Any]) -> tuple[DetectorConfig, ...]:
    has_error = data.get("task") in {"binary", "multiclass", "regression", "ranking"}
    return (DetectorConfig(kind="adwin"),) if has_error else ()


def _default_alerts(data: dict[str, Any]) -> tuple[AlertRuleConfig, ...]:
    return default_rules(
        features=bool(data.get("features")),
        reference=data.get("reference") is not None,
        detectors=[detector.kind for detector in data.get("detectors", ())],
    )


class ModelConfig(Frozen):
    """One monitored model: a file under ``config/models``."""

    model: Name
    """Name of the model, as events carry it."""
    task: Task
    """What the model does."""
    classes: tuple[Label, ...] = ()
    """All class labels, of classification tasks."""
    positive_class: Label | None = Field(default_factory=_second_class)
    """Binary: the class whose probability is the score; the second one when absent."""
    threshold: float | None = Field(default=None, gt=0, lt=1)
    """Binary: scores from here on predict the positive class, whatever the event says."""
    features: dict[Text, FeatureConfig] = Field(default_factory=dict)
    """Inputs by name."""
    segments: tuple[Segment, ...] = ()
    """Slices that are measured on their own."""
    label_horizon: PositiveDuration = DAY_MS
    """How long a prediction waits for its truth."""
    remember: Duration = HOUR_MS
    """How long ids are kept after the horizon, to tell late truth from orphans."""
    truth_wait: PositiveDuration = Field(
        default_factory=lambda data: data.get("label_horizon", DAY_MS)
    )
    """How long truth waits for its prediction; the label horizon when absent."""
    corrections: Literal["newest", "first"] = "newest"
    """Which of several labels of one prediction counts."""
    allowed_lateness: PositiveDuration = 600_000
    """Predictions older than the stream by more than this are quarantined."""
    out_of_orderness: Duration = 2_000
    """A window is first published when the stream has passed its end by this much."""
    windows: tuple[WindowConfig, ...] | None = None
    """Windows of this model; the pipeline's when absent."""
    outcomes: dict[Text, OutcomeConfig] = Field(default_factory=dict)
    """Events that may follow a prediction, by name."""
    distinct: Text | None = None
    """Tag or feature whose distinct values are counted, such as a user id."""
    top_k: tuple[Annotated[int, Field(ge=1, le=1_000)], ...] = (5, 10)
    """Ranking: the cut-offs of metrics at k."""
    detectors: tuple[DetectorConfig, ...] = Field(default_factory=_default_detectors)
    """Sequential detectors; ADWIN on the error when absent, of tasks that have one."""
    drift: DriftConfig = DriftConfig()
    """How distributions are compared with the reference."""
    reference: ExistingFile | None = None
    """Reference profile; relative to this file."""
    alerts: tuple[AlertRuleConfig, ...] = Field(default_factory=_default_alerts)
    """Alert rules; a default set when absent."""
    runbook: str | None = None
    """Where the reader of an alert finds what to do."""
    owner: str | None = None
    """Who answers for the model."""

    def findings(self) -> list[Finding]:
        """Everything that is referred to exists, and fits the task."""
        return model_findings(self)


def unknown_model(name: str) -> ModelConfig:
    """Describe a model that no file does but that is let in: its traffic is counted, no more."""
    # Not validated: any name will do, and a model without outcomes has nothing else to configure.
    return ModelConfig.model_construct(model=name, task="outcome", alerts=())
