"""Throw damaged messages at the intakes and check that the books balance.

Each chunk mixes valid messages with mutated ones: flipped bits, cut and spliced bytes, values
swapped for others of any type. Whatever comes, no exception may escape, every row is either
accepted or rejected with a reason, no valid message suffers from its neighbours, every rejection
can be written to quarantine, and cutting the chunk differently changes nothing.

    python benchmarks/fuzz.py --messages 1000000
"""

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np

from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.config.settings import Settings
from streams.events.columns import NO_CLOCK, FeedbackRows, PredictionRows
from streams.events.intake import Decoded, FeedbackIntake, PredictionIntake
from streams.events.quarantine import to_outputs
from streams.wire import Chunk

NOW = 1_700_000_000_000
CHUNK = 250
VALID_SHARE = 0.25

MODELS = (
    {
        "model": "fraud",
        "task": "binary",
        "classes": [False, True],
        "features": {
            "amount": {"kind": "numeric"},
            "age": {"kind": "numeric"},
            "channel": {"kind": "categorical"},
        },
        "segments": ["country"],
    },
    {
        "model": "digit",
        "task": "multiclass",
        "classes": ["a", 1, 2.0],
        "features": {"ink": {"kind": "numeric"}, "channel": {"kind": "numeric"}},
    },
    {"model": "price", "task": "regression", "features": {"amount": {"kind": "numeric"}}},
    {"model": "rank", "task": "ranking"},
    {"model": "click", "task": "outcome", "outcomes": {"click": {"role": "click"}}},
)


def build_settings() -> Settings:
    """Configure one model of each task, some with features of the same name."""
    pipeline = {"kafka": {"bootstrap_servers": "localhost:9092"}, "models": ["*.yaml"]}
    return Settings.build(
        PipelineConfig.model_validate(pipeline), [ModelConfig.model_validate(m) for m in MODELS]
    )


def _common(rng: random.Random, model: str) -> dict[str, Any]:
    return {
        "prediction_id": f"id-{rng.randrange(10**6)}",
        "timestamp": rng.choice([NOW, NOW / 1000, "2023-11-14T22:13:20Z", NOW * 1000]),
        "model": model,
        "model_version": rng.choice(["1", 2, None]),
        "latency_ms": rng.choice([None, 2.5, 7]),
        "tags": {"country": rng.choice(["DE", "FR", None])},
    }


def valid_prediction(rng: random.Random) -> dict[str, Any]:
    """Make a prediction that must be accepted."""
    if rng.random() < 0.15:
        n = rng.randrange(1, 6)
        columns = {
            "prediction_id": [f"b-{rng.randrange(10**6)}" for _ in range(n)],
            "timestamp": rng.choice([NOW, [NOW] * n]),
            "score": rng.choice([[0.5] * n, {"true": [0.5] * n}]),
            "features": {"amount": [rng.random() for _ in range(n)], "channel": ["web"] * n},
            "tags": {"country": ["DE"] * n},
        }
        return {"model": "fraud", "model_version": "3", "columns": columns}
    model = rng.choice(MODELS)["model"]
    event = _common(rng, str(model))
    if model == "fraud":
        event |= {"score": rng.random(), "prediction": rng.choice([True, "false", None])}
        event["features"] = {"amount": rng.random() * 100, "age": 7, "channel": "web"}
    elif model == "digit":
        event |= {"prediction": rng.choice(["a", 1, "2"]), "features": {"ink": 1.5, "channel": 4}}
        event["score"] = rng.choice([None, {"a": 0.5, "1": 0.25, "2": 0.25}])
    elif model == "price":
        event |= {"prediction": rng.random() * 1e6, "features": {"amount": 3}}
    elif model == "rank":
        event["prediction"] = ["x", 5, "z"]
    return event


def valid_feedback(rng: random.Random) -> dict[str, Any]:
    """Make feedback that must be accepted."""
    if rng.random() < 0.15:
        n = rng.randrange(1, 6)
        columns = {"prediction_id": ["p"] * n, "timestamp": NOW, "actual": [True] * n}
        return {"columns": columns}
    event = {"prediction_id": f"id-{rng.randrange(10**6)}", "timestamp": NOW}
    event["actual"] = rng.choice([True, 1, 2.5, "yes", ["x", 5], {"x": 1.5}, None])
    if event["actual"] is None or rng.random() < 0.2:
        event |= {"event": "click", "item": rng.choice(["x", 5, None]), "value": 2.5, "weight": 1}
    return event


ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**25, 10**400, -(10**19), 0.5, -0.0, 1e300, 5e-324, "", "x",
    "5", "true", "\u0000", "\U0001f600", "x" * 5000, [], [[]], {}, {"a": 1}, [1, "x", None],
    {"columns": []}, "2023-11-14T22:13:20Z", "0000-00-00T00:00:00Z", [None] * 3, NOW, NOW * 10**6,
)  # fmt: skip
TOKENS = (
    b"NaN", b"Infinity", b"1e999", b"-1e999", b"null", b"true", b"{}", b"[]", b'""', b"\x00",
    b"\xff", b"\xed\xa0\x80", b'"\\ud800"', b"\xef\xbb\xbf", b",", b"}", b"{", b"]", b"[", b'"',
    b"9" * 5000, b"[" * 2000, b'"columns"', b'"columns":{', b"1E400", b"-", b"\\", b"\r\n",
)  # fmt: skip
_VALUE = re.compile(rb'(?<=[:,\[])\s*("[^"]*"|[-0-9.eE]+|true|false|null)')


def _swap(document: Any, rng: random.Random) -> Any:
    """Replace, remove, rename or add one thing somewhere in a document."""
    holders: list[Any] = []

    def walk(node: Any) -> None:
        if isinstance(node, (dict, list)) and node:
            holders.append(node)
            for child in node.values() if isinstance(node, dict) else node:
                walk(child)

    walk(document)
    if not holders or rng.random() < 0.02:
        return deepcopy(rng.choice(ODD))
    holder = rng.choice(holders)
    key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    action = rng.random()
    if action < 0.75:
        holder[key] = deepcopy(rng.choice(ODD))
    elif action < 0.85:
        del holder[key]
    elif isinstance(holder, dict):
        holder[rng.choice([*holder, "columns", "features", "extra"])] = deepcopy(holder[key])
    else:
        holder.insert(key, deepcopy(rng.choice(ODD)))
    return document


def mutate(raw: bytes, other: bytes, rng: random.Random) -> bytes | None:
    """Damage a message, perhaps with parts of another."""
    kind = rng.randrange(10)
    spot = rng.randrange(len(raw))
    if kind == 0:
        flipped = bytearray(raw)
        for _ in range(rng.randrange(1, 4)):
            flipped[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if kind == 1:
        return raw[:spot]
    if kind == 2:
        return raw[:spot] + raw[spot + rng.randrange(1, 9) :]
    if kind == 3:
        return raw[:spot] + rng.choice(TOKENS) + raw[spot:]
    if kind == 4:
        return raw[:spot] + other[rng.randrange(len(other)) :]
    if kind == 5:
        values = list(_VALUE.finditer(raw))
        if values:
            hit = rng.choice(values)
            return raw[: hit.start()] + rng.choice(TOKENS) + raw[hit.end() :]
    if kind == 6 and rng.random() < 0.1:
        return rng.choice([None, b"", b" ", raw * 3, raw + b"," + other, b"[" + raw + b"]"])
    document = json.loads(raw)
    for _ in range(rng.randrange(1, 4)):
        document = _swap(document, rng)
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()


def check_columns(rows: PredictionRows | FeedbackRows) -> None:
    """Check what holds for all rows, whatever they were made of."""
    n = len(rows)
    assert len(rows.ts) == len(rows.clock) == len(rows.offset) == n
    assert (np.diff(rows.clock) >= 0).all()
    assert (rows.clock >= rows.ts).all()
    assert (np.diff(rows.offset) >= 0).all()
    if isinstance(rows, FeedbackRows):
        assert not np.isinf(rows.number).any()
        assert (rows.weight >= 0).all()
        assert all(0 <= row < n for row in rows.items)
        assert len(rows.ids) == len(rows.text) == len(rows.event) == len(rows.raw) == n
        return
    seen = np.concatenate([block.rows for block in rows.blocks]) if rows.blocks else np.zeros(0)
    assert sorted(seen.tolist()) == list(range(n))
    for block in rows.blocks:
        m = len(block)
        assert (rows.ts[block.rows] == block.ts).all()
        assert len(block.version) == len(block.latency) == len(block.numeric) == m
        assert not np.isinf(block.numeric).any()
        if block.score is not None:
            assert len(block.score) == m
            assert not np.isinf(block.score).any()
        for column in (block.version, *block.categorical, *block.tags.values()):
            assert len(column) == m
            assert m == 0 or -2 <= column.codes.min() <= column.codes.max() < len(column.values)
            "".join(column.values).encode()
        "".join(block.ids).encode()


def build_chunk(source: str, values: list[bytes | None], start: int) -> Chunk:
    """Wrap values as records."""
    n = len(values)
    offsets = list(range(start, start + n))
    return Chunk(source, 0, offsets, [b"k"] * n, values, [NOW] * n, [()] * n)


def _ids(rows: PredictionRows | FeedbackRows) -> list[tuple[int, str]]:
    if isinstance(rows, FeedbackRows):
        return list(zip(rows.offset.tolist(), rows.ids, strict=True))
    return [
        (int(rows.offset[row]), one)
        for _, row, one in sorted(
            (row, row, one)
            for block in rows.blocks
            for row, one in zip(block.rows.tolist(), block.ids, strict=True)
        )
    ]


def run_chunk(
    intake: PredictionIntake | FeedbackIntake,
    source: str,
    make: Callable[[random.Random], dict[str, Any]],
    rng: random.Random,
    *,
    cut: bool,
) -> Counter[str]:
    """Fuzz one chunk; returns how many rows met which fate."""
    good: list[int] = []
    values: list[bytes | None] = []
    raws = [json.dumps(make(rng)).encode() for _ in range(CHUNK)]
    for i, raw in enumerate(raws):
        if rng.random() < VALID_SHARE:
            good.append(i)
            values.append(raw)
        else:
            values.append(mutate(raw, rng.choice(raws), rng))
    chunk = build_chunk(source, values, 0)
    decoded: Decoded[Any] = intake.decode(chunk, NO_CLOCK, NOW)
    assert decoded.records == len(values)
    assert decoded.rows_in == len(decoded.rows) + len(decoded.rejected)
    check_columns(decoded.rows)
    spoiled = {one.record for one in decoded.rejected} & set(good)
    assert not spoiled, [one for one in decoded.rejected if one.record in spoiled]
    outputs = to_outputs(chunk, decoded.rejected, "topic")
    assert len(outputs) == len(decoded.rejected)
    assert len({dict(output.headers)["driftline.id"] for output in outputs}) == len(outputs)
    assert all(len(one.detail) <= 200 for one in decoded.rejected)
    if cut:
        _check_cut(intake, source, values, decoded, rng)
    fates = Counter(str(one.reason) for one in decoded.rejected)
    fates["accepted"] = len(decoded.rows)
    return fates


def _check_cut(
    intake: PredictionIntake | FeedbackIntake,
    source: str,
    values: list[bytes | None],
    whole: Decoded[Any],
    rng: random.Random,
) -> None:
    """Check that the chunk in two pieces comes out the same."""
    at = rng.randrange(len(values))
    first: Decoded[Any] = intake.decode(build_chunk(source, values[:at], 0), NO_CLOCK, NOW)
    clock = int(first.rows.clock[-1]) if len(first.rows) else NO_CLOCK
    second: Decoded[Any] = intake.decode(build_chunk(source, values[at:], at), clock, NOW)
    joined = type(whole.rows).concat([first.rows, second.rows])
    assert _ids(joined) == _ids(whole.rows)
    assert (joined.ts == whole.rows.ts).all()
    assert (joined.clock == whole.rows.clock).all()
    parts = [(one.reason, one.detail, one.record, one.row) for one in first.rejected]
    parts += [(one.reason, one.detail, one.record + at, one.row) for one in second.rejected]
    assert parts == [(one.reason, one.detail, one.record, one.row) for one in whole.rejected]


def fuzz(messages: int, seed: int, *, progress: bool = False) -> Counter[str]:
    """Fuzz both intakes with about ``messages`` messages; returns the fates of all rows."""
    rng = random.Random(seed)
    settings = build_settings()
    predictions, feedback = PredictionIntake(settings), FeedbackIntake(settings)
    fates: Counter[str] = Counter()
    for i in range(max(1, messages // CHUNK)):
        try:
            if i % 3 < 2:
                found = run_chunk(
                    predictions, "predictions", valid_prediction, rng, cut=i % 10 == 0
                )
            else:
                found = run_chunk(feedback, "feedback", valid_feedback, rng, cut=i % 10 == 2)
        except Exception:
            print(f"failed at chunk {i} of seed {seed}")
            raise
        fates += found
        if progress and i % 400 == 399:
            print(f"{(i + 1) * CHUNK:>10,} messages", flush=True)
    return fates


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Fuzz the intakes.")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    fates = fuzz(options.messages, options.seed, progress=True)
    took = time.perf_counter() - start
    for fate, rows in fates.most_common():
        print(f"{fate:<20}{rows:>10,}")
    print(f"{options.messages:,} messages in {took:.0f} s; the books balance")


if __name__ == "__main__":
    main()
