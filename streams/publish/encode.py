"""From arguments of a call to the JSON of an event or a batch; numpy is accepted, not imported."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

MAX_ID_LENGTH = 256

# Times without a zone are UTC, as numpy's always are.
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC


class InvalidEventError(ValueError):
    """An event has a field that no event can carry."""


def encode_prediction(
    *,
    prediction_id: str,
    timestamp: Any,
    model: str,
    model_version: str,
    prediction: Any,
    score: Any,
    features: Mapping[str, Any] | None,
    tags: Mapping[str, Any] | None,
    latency_ms: float | None,
    error: bool | None,
    variant: str | None,
) -> bytes:
    """Encode one prediction.

    Raises:
        InvalidEventError: when a field cannot be part of an event.
    """
    check_id(prediction_id)
    check_model(model, model_version)
    event: dict[str, Any] = {
        "prediction_id": prediction_id,
        "timestamp": timestamp,
        "model": model,
        "model_version": model_version,
    }
    if prediction is not None:
        event["prediction"] = prediction
    if score is not None:
        event["score"] = score
    if features is not None:
        event["features"] = features
    if tags is not None:
        event["tags"] = tags
    if latency_ms is not None:
        event["latency_ms"] = latency_ms
    if error is not None:
        event["error"] = error
    if variant is not None:
        event["variant"] = variant
    return dumps(event)


def encode_feedback(
    *,
    prediction_id: str,
    timestamp: Any,
    actual: Any,
    value: float | None,
    weight: float | None,
    event: str | None,
    item: str | None,
) -> bytes:
    """Encode one piece of feedback.

    Raises:
        InvalidEventError: when a field cannot be part of an event.
    """
    check_id(prediction_id)
    check_outcome(actual, event)
    fields = {"actual": actual, "value": value, "weight": weight, "event": event, "item": item}
    body: dict[str, Any] = {"prediction_id": prediction_id, "timestamp": timestamp}
    body.update((name, given) for name, given in fields.items() if given is not None)
    return dumps(body)


def encode_columns(head: Mapping[str, str], columns: Mapping[str, Any], rows: int) -> bytes:
    """Encode a batch.

    Args:
        head: fields beside the columns: model and version of predictions.
        columns: column by field name; columns of features, tags and scores per class are nested
            one level deeper. A scalar timestamp holds for all rows.
        rows: number of rows that every column has to have.

    Raises:
        InvalidEventError: when a column cannot be part of a batch.
    """
    for name, column in columns.items():
        if name == "timestamp" and not _is_column(column):
            continue
        nested = dict(column.items()) if isinstance(column, Mapping) else {None: column}
        for inner, leaf in nested.items():
            label = name if inner is None else f"{name}.{inner}"
            if not _is_column(leaf):
                raise InvalidEventError(f"column {label} is a {type(leaf).__name__}, no sequence")
            if len(leaf) != rows:
                raise InvalidEventError(f"column {label} has {len(leaf)} rows instead of {rows}")
    for prediction_id in columns["prediction_id"]:
        check_id(prediction_id)
    return dumps({**head, "columns": columns})


def check_id(prediction_id: Any) -> None:
    """Refuse what the pipeline would not take as an id."""
    if not isinstance(prediction_id, str):
        raise InvalidEventError(
            f"prediction_id has to be a string, not a {type(prediction_id).__name__}",
        )
    if not 0 < len(prediction_id) <= MAX_ID_LENGTH:
        raise InvalidEventError(
            f"prediction_id has {len(prediction_id)} characters; 1 to {MAX_ID_LENGTH} are allowed",
        )


def check_model(model: Any, model_version: Any) -> None:
    """Refuse names of models and versions that are no names."""
    for field, name in (("model", model), ("model_version", model_version)):
        if not isinstance(name, str) or not name:
            raise InvalidEventError(f"{field} has to be a string that is not empty")


def check_outcome(actual: Any, event: Any) -> None:
    """Refuse feedback that says nothing."""
    if actual is None and event is None:
        raise InvalidEventError("feedback needs `actual` or `event`")


def dumps(body: Any) -> bytes:
    """Encode as JSON; NaN and infinities become null, that is: missing.

    Raises:
        InvalidEventError: when a value has no JSON form.
    """
    try:
        return orjson.dumps(body, _default, _OPTIONS)
    except orjson.JSONEncodeError:
        # Keys such as numpy's classes_ are rare; the fast path does not pay for them.
        try:
            return orjson.dumps(_text_keys(body), _default, _OPTIONS)
        except (orjson.JSONEncodeError, RecursionError) as failure:
            raise InvalidEventError(f"a value has no JSON form: {failure}") from None


def _default(value: Any) -> Any:
    tolist: Callable[[], Any] | None = getattr(value, "tolist", None)
    if tolist is not None:
        return tolist()
    if isinstance(value, datetime):
        if value != value:  # noqa: PLR0124 - pandas' NaT is a datetime that differs from itself
            return None
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not supported")


def _text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_label(key): _text_keys(inner) for key, inner in value.items()}
    return value


def _label(key: Any) -> str:
    """Write a class label as the pipeline does: true, 1, 1 for 1.0."""
    plain = key.item() if hasattr(key, "item") else key
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if isinstance(plain, float) and plain.is_integer():
        return str(int(plain))
    if isinstance(plain, str | int | float):
        return str(plain)
    raise InvalidEventError(f"a {type(plain).__name__} cannot name a field or a class")


def _is_column(value: Any) -> bool:
    if isinstance(value, str | bytes | Mapping):
        return False
    return isinstance(value, Sequence) or (hasattr(value, "__len__") and hasattr(value, "tolist"))
