"""Alert rules: one type per kind of rule, told apart by ``rule``."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from detectors.distances.registry import NAMES
from streams.config.base import Finding, Frozen
from streams.config.durations import Duration, PositiveDuration
from streams.config.names import Name

MINUTE_MS = 60_000

Severity = Literal["info", "warning", "critical"]
DistanceName = Annotated[str, Field(json_schema_extra={"enum": [*NAMES]})]
Check = Literal[
    "missing_rate", "type_error_rate", "range_violation_rate", "category_violation_rate"
]


def _watched(value: object) -> object:
    if value in ("none", "all"):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise PydanticCustomError("segments", "must be none, all, or a list of names of segments")


Watched = Annotated[Literal["none", "all"] | tuple[str, ...], BeforeValidator(_watched)]


class _Rule(Frozen):
    """What every rule has."""

    name: Name
    """Name of the rule; unique within the model, and part of the alert's identity."""
    severity: Severity = "warning"
    """How loud the alert is."""
    cooldown: Duration = 0
    """After a resolve, the alert does not open again sooner than this."""
    for_windows: int = Field(default=1, ge=1)
    """Windows in a row that must breach before the alert opens."""
    resolve_windows: int = Field(default=1, ge=1)
    """Windows in a row that must be clear before the alert resolves."""
    min_samples: int = Field(default=30, ge=1)
    """Windows with fewer samples neither open nor resolve the alert."""
    runbook: str | None = None
    """Where the reader of the alert finds what to do; the model's runbook when absent."""
    segments: Watched = "none"
    """Which segments the rule watches: none (the whole model), all, or a list of their names."""
    versions: Literal["rollup", "each"] = "rollup"
    """Watch all versions together, or each version on its own."""


class ThresholdRule(_Rule):
    """A metric passes a limit, or becomes worse than in the reference."""

    rule: Literal["threshold"]
    """Kind of the rule."""
    metric: str
    """Name of the metric."""
    above: float | None = None
    """Breach when the metric is above this."""
    below: float | None = None
    """Breach when the metric is below this."""
    relative_to_reference: float | None = Field(default=None, gt=0)
    """Breach when the metric is worse than the reference's by this share: 0.1 is 10 % worse."""
    clear_above: float | None = None
    """With ``below``: the alert resolves only above this (hysteresis)."""
    clear_below: float | None = None
    """With ``above``: the alert resolves only below this (hysteresis)."""
    view: Literal["prediction_time", "label_time"] = "label_time"
    """Quality by when the prediction was made, or by when its truth arrived."""
    window: PositiveDuration | None = None
    """Size of the window that is watched; the model's largest when absent."""
    min_coverage: float = Field(default=0.0, ge=0, le=1)
    """Share of predictions whose truth must be known before the window is judged."""

    def findings(self) -> list[Finding]:
        """A limit is given, and hysteresis lies on the clear side of it."""
        found = []
        if self.above is None and self.below is None and self.relative_to_reference is None:
            found.append(Finding((), "give a limit: above, below or relative_to_reference"))
        if self.above is not None and self.below is not None and self.above <= self.below:
            found.append(Finding(("above",), "above must be greater than below"))
        if self.clear_below is not None and (self.above is None or self.clear_below > self.above):
            found.append(Finding(("clear_below",), "clear_below needs an above that is not lower"))
        if self.clear_above is not None and (self.below is None or self.clear_above < self.below):
            found.append(Finding(("clear_above",), "clear_above needs a below that is not higher"))
        return found


class DriftRule(_Rule):
    """A distribution moved away from the reference."""

    rule: Literal["drift"]
    """Kind of the rule."""
    distance: DistanceName = "psi"
    """Which distance is watched; one of the model's ``drift.distances``."""
    on: str = "features"
    """What is watched: features (any), prediction, score, label, or feature:<name>."""
    above: float | None = Field(default=None, gt=0)
    """Breach when the distance is above this; a default per distance when absent."""
    p_value: float | None = Field(default=None, gt=0, lt=1)
    """Breach only when the distance has at most this probability without drift."""
    min_features: int = Field(default=1, ge=1)
    """With ``on: features``: how many features must have moved."""
    min_samples: int = Field(default=200, ge=1)
    """Windows with fewer samples neither open nor resolve the alert."""


class DetectorRule(_Rule):
    """A sequential detector raised an alarm."""

    rule: Literal["detector"]
    """Kind of the rule."""
    detector: str
    """Name or kind of one of the model's detectors."""
    hold: PositiveDuration = 3_600_000
    """The alert resolves after so long without a further alarm."""


class QualityRule(_Rule):
    """Inputs are missing, malformed, out of range, or of unknown categories."""

    rule: Literal["quality"]
    """Kind of the rule."""
    check: Check
    """Which share of a feature's values is watched."""
    feature: str = "any"
    """Name of the feature, or any."""
    above: float = Field(ge=0, lt=1)
    """Breach when the share is above this."""


class VolumeRule(_Rule):
    """Traffic is too low, too high, or changed too much."""

    rule: Literal["volume"]
    """Kind of the rule."""
    below: float | None = Field(default=None, gt=0)
    """Breach below so many predictions per second."""
    above: float | None = Field(default=None, gt=0)
    """Breach above so many predictions per second."""
    change: float | None = Field(default=None, gt=0)
    """Breach when traffic differs from the window before by more than this share."""

    def findings(self) -> list[Finding]:
        """A limit is given, and the limits leave room between them."""
        if self.below is None and self.above is None and self.change is None:
            return [Finding((), "give a limit: below, above or change")]
        if self.below is not None and self.above is not None and self.above <= self.below:
            return [Finding(("above",), "above must be greater than below")]
        return []


class StalenessRule(_Rule):
    """Predictions or truth stopped coming."""

    rule: Literal["staleness"]
    """Kind of the rule."""
    predictions_after: PositiveDuration | None = None
    """Breach after so long without a prediction."""
    labels_after: PositiveDuration | None = None
    """Breach after so long without truth."""

    def findings(self) -> list[Finding]:
        """A limit is given."""
        if self.predictions_after is None and self.labels_after is None:
            return [Finding((), "give a limit: predictions_after or labels_after")]
        return []


AlertRuleConfig = Annotated[
    ThresholdRule | DriftRule | DetectorRule | QualityRule | VolumeRule | StalenessRule,
    Field(discriminator="rule"),
]


def default_rules(
    *, features: bool, reference: bool, detectors: Sequence[str]
) -> tuple[AlertRuleConfig, ...]:
    """Rules of a model that gives none: those of a small set that can be judged for it.

    Args:
        features: whether the model declares features.
        reference: whether it has a reference profile to drift away from.
        detectors: kinds of its detectors.
    """
    rules: list[AlertRuleConfig] = []
    if features and reference:
        rules.append(DriftRule(rule="drift", name="feature-drift", distance="psi", above=0.25))
    if "adwin" in detectors:
        rules.append(
            DetectorRule(
                rule="detector", name="error-change", detector="adwin", severity="critical"
            )
        )
    rules.append(StalenessRule(rule="staleness", name="silent", predictions_after=15 * MINUTE_MS))
    if features:
        rules.append(QualityRule(rule="quality", name="missing", check="missing_rate", above=0.5))
    return tuple(rules)
