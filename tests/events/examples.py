"""Models and chunks that the tests of this package share."""

import json
from typing import Any

import numpy as np

from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.config.settings import Settings
from streams.events.columns import Coded, FeedbackRows, PredictionRows
from streams.wire import Chunk

NOW = 1_700_000_000_000

FRAUD = {
    "model": "fraud",
    "task": "binary",
    "classes": [False, True],
    "features": {
        "amount": {"kind": "numeric"},
        "age": {"kind": "numeric"},
        "channel": {"kind": "categorical"},
    },
    "segments": ["country", {"name": "channel", "by": ["channel", "variant"]}],
    "distinct": "user",
}
DIGIT = {
    "model": "digit",
    "task": "multiclass",
    "classes": ["a", 1, 2.0],
    "features": {"ink": {"kind": "numeric"}, "channel": {"kind": "numeric"}},
}
PRICE = {"model": "price", "task": "regression", "features": {"amount": {"kind": "numeric"}}}
RANK = {"model": "rank", "task": "ranking"}
CLICK = {"model": "click", "task": "outcome", "outcomes": {"click": {"role": "click"}}}


def build_settings(*models: dict[str, Any], **pipeline: Any) -> Settings:
    document = {
        "kafka": {"bootstrap_servers": "localhost:9092"},
        "models": ["models/*.yaml"],
        **pipeline,
    }
    return Settings.build(
        PipelineConfig.model_validate(document),
        [
            ModelConfig.model_validate(model)
            for model in models or (FRAUD, DIGIT, PRICE, RANK, CLICK)
        ],
    )


def build_chunk(
    values: list[Any], source: str = "predictions", *, start: int = 0, keys: Any = None, **more: Any
) -> Chunk:
    n = len(values)
    raw = [
        one if one is None or isinstance(one, bytes) else json.dumps(one).encode() for one in values
    ]
    return Chunk(
        source,
        more.get("partition", 0),
        list(range(start, start + n)),
        keys or [b"key"] * n,
        raw,
        more.get("timestamps") or [NOW] * n,
        more.get("headers") or [()] * n,
    )


def spell(column: Coded) -> list[str | None]:
    strings = column.strings()
    return [
        "(wrong type)" if code == -2 else text
        for code, text in zip(column.codes.tolist(), strings, strict=True)
    ]


def flatten(rows: PredictionRows | FeedbackRows) -> list[tuple[Any, ...]]:
    """Every row by itself, comparable, its offset last."""
    if isinstance(rows, FeedbackRows):
        flags = [False] * len(rows) if rows.is_bool is None else rows.is_bool.tolist()
        return list(
            zip(
                rows.ids,
                rows.ts.tolist(),
                rows.clock.tolist(),
                map(repr, rows.number.tolist()),
                spell(rows.text),
                [rows.items.get(i) for i in range(len(rows))],
                flags,
                spell(rows.event),
                spell(rows.item),
                map(repr, rows.value.tolist()),
                rows.weight.tolist(),
                [raw.chunk.values[raw.record] for raw in rows.raw],
                [raw.row for raw in rows.raw],
                rows.offset.tolist(),
                strict=True,
            )
        )
    out: list[Any] = [None] * len(rows)
    for block in rows.blocks:
        words = [spell(column) for column in (block.version, *block.categorical)]
        tags = {name: spell(column) for name, column in block.tags.items()}
        for i, row in enumerate(block.rows.tolist()):
            assert block.ts[i] == rows.ts[row]
            score = (
                None if block.score is None or np.isnan(block.score[i]).all() else block.score[i]
            )
            bad = block.numeric_bad
            out[row] = (
                block.model,
                block.ids[i],
                int(block.ts[i]),
                int(rows.clock[row]),
                [column[i] for column in words],
                {name: column[i] for name, column in tags.items()},
                repr(float(block.predicted[i])),
                None if score is None else _rounded(score),
                None if block.ranking is None else block.ranking[i],
                str(block.numeric[i].tolist()),
                [] if bad is None or not bad[i].any() else bad[i].tolist(),
                repr(float(block.latency[i])),
                bool(block.error[i]),
                int(rows.offset[row]),
            )
    return out


def _rounded(score: Any) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):  # numbers near the end of the range
        return np.round(score, 12).tolist()
