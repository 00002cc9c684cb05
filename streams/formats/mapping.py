"""Which column of a flat file is which field of an event."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from streams.formats.errors import FormatError

Kind = Literal["predictions", "feedback"]

SCORE_PREFIX = "score_"

_PREDICTION_FIELDS = (
    "prediction_id",
    "timestamp",
    "model",
    "model_version",
    "prediction",
    "score",
    "latency_ms",
    "error",
    "variant",
    "actual",
)
_FEEDBACK_FIELDS = ("prediction_id", "timestamp", "actual", "value", "weight", "event", "item")
_TEXT_FIELDS = frozenset(
    {"prediction_id", "timestamp", "model", "model_version", "variant", "event", "item"}
)


class ColumnMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of columns; a field that is not named is taken from the column of its own name.

    Columns ``score_<class>`` hold the probability of a class each. Every further column of a file
    of predictions is a feature unless it is listed as a tag or ignored; a column ``actual`` is kept
    apart from the features for tools that want predictions and truth from one file.

    Attributes:
        prediction_id: ids; rows without one are named after the row's number.
        timestamp: when the prediction was made or the truth was known.
        model: name of the model.
        model_version: version of the model.
        prediction: class label or number.
        score: probability of the positive class.
        scores: column of the probability of each class.
        latency_ms: duration of the prediction in milliseconds.
        error: whether the model failed.
        variant: arm of an experiment.
        actual: true label or number.
        value: worth of the outcome.
        weight: weight of the observation.
        event: name of the outcome.
        item: item of a ranking.
        features: columns that are features; all that are nothing else when absent.
        tags: columns that are tags.
        text: columns whose values stay text even where they look like numbers.
        ignore: columns to leave out.
    """

    prediction_id: str | None = None
    timestamp: str | None = None
    model: str | None = None
    model_version: str | None = None
    prediction: str | None = None
    score: str | None = None
    scores: dict[str, str] = {}
    latency_ms: str | None = None
    error: str | None = None
    variant: str | None = None
    actual: str | None = None
    value: str | None = None
    weight: str | None = None
    event: str | None = None
    item: str | None = None
    features: list[str] | None = None
    tags: list[str] = []
    text: list[str] = []
    ignore: list[str] = []

    @classmethod
    def parse(cls, assignments: Iterable[str]) -> "ColumnMapping":
        """Read assignments such as ``prediction_id=txn``, ``scores.yes=p_yes``, ``tags=a,b``.

        Raises:
            ValueError: when an assignment is not one or names no field.
        """
        raw: dict[str, object] = {}
        for assignment in assignments:
            field, equals, column = assignment.partition("=")
            if not equals or not column:
                raise ValueError(f"{assignment!r} is not FIELD=COLUMN")
            name, dot, label = field.partition(".")
            if name in {"features", "tags", "text", "ignore"}:
                raw[name] = column.split(",")
            elif name == "scores" and dot:
                scores = raw.setdefault("scores", {})
                if isinstance(scores, dict):
                    scores[label] = column
            else:
                raw[field] = column
        try:
            return msgspec.convert(raw, cls)
        except msgspec.ValidationError as failure:
            raise ValueError(str(failure)) from None

    @classmethod
    def load(cls, path: Path) -> "ColumnMapping":
        """Read a YAML or JSON file with the attributes as keys.

        Raises:
            FormatError: when it holds anything else.
        """
        from ruamel.yaml import YAML  # noqa: PLC0415 - a base install has no ruamel
        from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - as above

        try:
            return msgspec.convert(YAML(typ="safe", pure=True).load(path) or {}, cls)
        except (YAMLError, msgspec.ValidationError) as failure:
            raise FormatError(path, str(failure)) from None


@dataclass(frozen=True, slots=True)
class Roles:
    """What each column of one file is.

    Attributes:
        fields: column by field, for the fields that the file has.
        scores: column by class.
        features: columns that are features.
        tags: columns that are tags.
        text: columns whose values stay text.
    """

    fields: dict[str, str]
    scores: dict[str, str]
    features: list[str]
    tags: list[str]
    text: frozenset[str]


def resolve(path: Path, names: Sequence[str], kind: Kind, mapping: ColumnMapping) -> Roles:
    """Find the role of each column of a file.

    Raises:
        FormatError: when the mapping names a column that the file does not have.
    """
    present = set(names)
    if len(present) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise FormatError(path, "the name occurs twice", column=twice)

    def known(column: str, purpose: str) -> str:
        if column not in present:
            listed = ", ".join(names)
            raise FormatError(path, f"{purpose} is no column; the file has {listed}", column=column)
        return column

    fields: dict[str, str] = {}
    for field in _PREDICTION_FIELDS if kind == "predictions" else _FEEDBACK_FIELDS:
        column: str | None = getattr(mapping, field)
        if column is not None:
            fields[field] = known(column, field)
        elif field in present:
            fields[field] = field
    text = {fields[field] for field in fields if field in _TEXT_FIELDS} - {fields.get("timestamp")}
    text |= {known(column, "text") for column in mapping.text}
    if kind == "feedback":
        return Roles(fields, {}, [], [], frozenset(filter(None, text)))
    if mapping.scores:
        scores = {label: known(column, "score") for label, column in mapping.scores.items()}
    else:
        scores = {
            name.removeprefix(SCORE_PREFIX): name for name in names if name.startswith(SCORE_PREFIX)
        }
    tags = [known(column, "tag") for column in mapping.tags]
    taken = {*fields.values(), *scores.values(), *tags}
    if mapping.features is None:
        left_out = taken | {known(column, "ignore") for column in mapping.ignore}
        features = [name for name in names if name not in left_out]
    else:
        features = [known(column, "feature") for column in mapping.features]
    return Roles(fields, scores, features, tags, frozenset(filter(None, text | set(tags))))
