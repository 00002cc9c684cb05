"""A few made-up events through the whole pipeline, before the real ones come.

Compiled loops are made ready when they first run: loaded from disk in milliseconds, or compiled in
seconds where they never ran before. A worker that met its first events unprepared would stand still
meanwhile, in a group that waits for it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import orjson

from streams.config import Settings
from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.core.join.tick_join import FEEDBACK, PREDICTIONS
from streams.core.processor import Checkpoint, Processor, Saved
from streams.payloads import rfc3339
from streams.pipeline import build_join, build_monitor
from streams.profile.build import ProfileBuilder
from streams.profile.model import ReferenceProfile
from streams.profile.rows import ReferenceRows, Texts
from streams.wire import Chunk

Make = Callable[[dict[str, Any], int], dict[str, Any]]

ROWS = 40
"""Predictions of each model."""
_START = 1_735_689_600_000
_STEP_MS = 500
_FEATURES = {
    "amount": {"kind": "numeric", "range": [0, 30]},
    "age": {"kind": "numeric"},
    "country": {"kind": "categorical", "categories": ["DE", "FR"]},
}
_COMMON: dict[str, Any] = {
    "features": _FEATURES,
    "segments": ["country"],
    "label_horizon": "1m",
    "remember": "10s",
    "allowed_lateness": "1m",
    "distinct": "user",
    "drift": {"min_rows": 2},
}
_MODELS: tuple[dict[str, Any], ...] = (
    {"model": "binary", "task": "binary", "classes": ["no", "yes"]},
    {"model": "multiclass", "task": "multiclass", "classes": ["a", "b", "c"]},
    {"model": "regression", "task": "regression", "detectors": [{"kind": "page_hinkley"}]},
    {"model": "ranking", "task": "ranking", "outcomes": {"click": {"role": "click"}}},
    {"model": "outcome", "task": "outcome", "outcomes": {"click": {"value": True}}},
)


@cache
def rehearse() -> None:
    """Run every task once: single events and batches, early truth and corrections, a restart.

    Further calls in the same process do nothing.
    """
    settings = _settings()
    join, monitor = build_join(settings, 0), build_monitor(settings, 0)
    checkpoints: list[Checkpoint] = []
    offset = 0
    for events in (_singles, _batches):
        predictions = [value for model in _MODELS for value in events(model, _prediction)]
        truths = [value for model in _MODELS for value in events(model, _truth)]
        early, late = truths[:3], truths[3:] + truths[:3]
        for source, values in ((FEEDBACK, early), (PREDICTIONS, predictions), (FEEDBACK, late)):
            join.step(_chunk(source, values, offset), 0)
            offset += len(values)
            _pass_on(join, monitor, checkpoints)
    join.end(PREDICTIONS)
    join.end(FEEDBACK)
    join.finish()
    build_join(settings, 0).restore(_saved(checkpoints))
    _pass_on(join, monitor, checkpoints)


def _settings() -> Settings:
    pipeline = PipelineConfig.model_validate(
        {
            "kafka": {"bootstrap_servers": "localhost:9092"},
            "windows": [{"size": "2s"}, {"size": "4s", "hop": "2s"}],
            "topics": {"partitions": 1},
            "models": ["models/*.yaml"],
        }
    )
    models = [ModelConfig.model_validate(m | _COMMON) for m in _MODELS]
    return Settings.build(pipeline, models, {"binary": _reference(models[0])})


def _reference(model: ModelConfig) -> ReferenceProfile:
    """Profile the binary model, so that its inputs are compared with something."""
    rows = ReferenceRows(
        n=ROWS,
        numeric={name: np.linspace(0.0, 30.0, ROWS) for name in ("amount", "age")},
        categorical={"country": Texts(["DE", "FR"], np.arange(ROWS, dtype=np.int32) % 2)},
        predicted=np.ones(ROWS),
        actual=np.zeros(ROWS),
        score=np.full(ROWS, 0.75),
    )
    builder = ProfileBuilder(model)
    builder.learn(rows)
    builder.settle()
    builder.count(rows)
    return builder.finish(rfc3339(_START), "made up")


def _prediction(model: dict[str, Any], i: int) -> dict[str, Any]:
    """Make one event; all of a model's events have the same fields, so that they make a batch."""
    said, score = {
        "binary": ("yes", 0.75),
        "multiclass": ("a", {"a": 0.5, "b": 0.25, "c": 0.25}),
        "regression": (1.5 + i, None),
        "ranking": (["x", "y"], None),
        "outcome": (None, 0.5),
    }[model["task"]]
    return {
        "prediction_id": f"{model['model']}-{i}",
        "timestamp": _START + i * _STEP_MS,
        "prediction": said,
        "score": score,
        "latency_ms": 12.5,
        "error": False,
        "features": {"amount": 1.25 * i, "age": i, "country": "DE" if i % 2 else "FR"},
        "tags": {"user": f"u{i}"},
    }


def _truth(model: dict[str, Any], i: int) -> dict[str, Any]:
    actual = {"binary": "no", "multiclass": "b", "regression": 1.25, "ranking": ["y"]}
    told: dict[str, Any] = {"actual": actual.get(model["task"])}
    if model["task"] == "outcome":
        told = {"event": "click", "value": 1.5}
    return {
        "prediction_id": f"{model['model']}-{i}",
        "timestamp": _START + i * _STEP_MS + 250,
        **told,
    }


def _singles(model: dict[str, Any], make: Make) -> list[bytes]:
    events = [make(model, i) for i in range(ROWS)]
    if make is _prediction:
        events = [{"model": model["model"], "model_version": "1"} | one for one in events]
    return [orjson.dumps(one) for one in events]


def _batches(model: dict[str, Any], make: Make) -> list[bytes]:
    events = [make(model, i) for i in range(ROWS, 2 * ROWS)]
    head = {"model": model["model"], "model_version": "1"} if make is _prediction else {}
    return [orjson.dumps(head | {"columns": _columns(events)})]


def _columns(events: list[dict[str, Any]]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, first in events[0].items():
        column = [one[name] for one in events]
        columns[name] = _columns(column) if isinstance(first, dict) else column
    return columns


def _pass_on(join: Processor, monitor: Processor, checkpoints: list[Checkpoint]) -> None:
    made = join.checkpoint(0)
    if made is None:
        return
    checkpoints.append(made)
    partials = [one.value for one in made.outputs if one.topic == "partials"]
    monitor.step(_chunk("partials", partials, 10_000 * len(checkpoints)), 0)
    monitor.checkpoint(0)


def _saved(checkpoints: list[Checkpoint]) -> Saved:
    records: dict[str, bytes] = {}
    for checkpoint in checkpoints:
        for record in checkpoint.state:
            if record.value is None:
                records.pop(record.name, None)
            else:
                records[record.name] = record.value
    return Saved(checkpoints[-1].marker, records)


def _chunk(source: str, values: list[bytes], offset: int) -> Chunk:
    n = len(values)
    offsets = list(range(offset, offset + n))
    return Chunk(source, 0, offsets, [b"key"] * n, list(values), [_START + 60_000] * n, [()] * n)
