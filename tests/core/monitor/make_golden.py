"""Writes a golden snapshot of the monitor: ``PYTHONPATH=tests python -m core.monitor.make_golden``.

A golden file is made once for each form of snapshot and kept for ever, so that every later release
shows that it still reads what this one wrote. It holds the configuration, a saved marker with its
records, the records of the partials topic from the snapshot on, and what the run that was never
interrupted published from the marker's position on.
"""

import gzip
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
from core.monitor.worlds import (
    MINUTE,
    START,
    Row,
    World,
    chunk_of,
    processor,
    settings_of,
    together,
)

from streams.core.monitor import processor as monitors
from streams.core.monitor.snapshot import VERSION
from streams.core.processor import Checkpoint

FOLDER = Path(__file__).parent / "golden"
QUIET = START + 11 * MINUTE
SOURCES = 2
_COMMON: dict[str, Any] = {
    "windows": [{"size": MINUTE}, {"size": 3 * MINUTE, "hop": MINUTE}],
    "label_horizon": 3 * MINUTE,
    "allowed_lateness": MINUTE,
    "out_of_orderness": 2_000,
    "features": {"amount": {"kind": "numeric"}, "plan": {"kind": "categorical"}},
    "distinct": "user",
}
MODELS: list[dict[str, Any]] = [
    {
        **_COMMON,
        "model": "churn",
        "task": "binary",
        "classes": ["no", "yes"],
        "segments": ["country"],
        "detectors": [{"kind": "adwin", "params": {"delta": 0.3, "clock": 4}}],
        "alerts": [
            {
                "rule": "threshold",
                "name": "low",
                "metric": "accuracy",
                "below": 0.95,
                "min_samples": 3,
            },
            {"rule": "staleness", "name": "silent", "predictions_after": 3 * MINUTE},
            {"rule": "volume", "name": "volume", "below": 0.05, "min_samples": 1},
        ],
    },
    {**_COMMON, "model": "price", "task": "regression", "segments": [], "alerts": []},
]


def _rows(task: str) -> list[Row]:
    rng = np.random.default_rng(11)
    found = []
    for ts in sorted(rng.uniform(0, 3 * MINUTE, 36).astype(int).tolist()):
        score = float(np.round(rng.beta(2, 2), 3))
        delay = int(rng.exponential(MINUTE))
        found.append(
            Row(
                START + ts,
                version=str(rng.choice(["v1", "v2"], p=[0.8, 0.2])),
                tags={"country": str(rng.choice(["DE", "FR"]))},
                score=score if task == "binary" else None,
                predicted=float(score >= 0.5) if task == "binary" else 10 * score,
                numeric={"amount": float(np.round(rng.normal(50, 10), 2))},
                categorical={"plan": str(rng.choice(["free", "pro"]))},
                latency=float(np.round(rng.lognormal(3, 1), 2)),
                user=f"u{rng.integers(9)}",
                source=int(rng.integers(SOURCES)),
                actual=int(rng.random() < score) if task == "binary" else 9.5 * score,
                arrival=START + ts + delay if delay < 2 * MINUTE else None,
            )
        )
    return found


def make() -> dict[str, Any]:
    """Run the monitor, and take its state in the middle of everything."""
    settings = settings_of({"models": MODELS})
    ticks = list(range(START // 1000 + 20, START // 1000 + 320, 20))
    worlds = [World(settings, model["model"]) for model in MODELS]
    cuts = dict.fromkeys(range(SOURCES), ticks)
    bundles = together([w.bundles(_rows(w.config.task), QUIET, SOURCES, cuts) for w in worlds])
    # The second source is one bundle behind, so that the snapshot holds news that waits.
    first, second = ([bundle.encode() for bundle in each] for each in bundles)
    log = [first[0], *(one for pair in zip(first[1:], second, strict=False) for one in pair)]
    log.append(second[-1])
    taken, marked = len(log) // 2, len(log) // 2 + 5
    monitor = processor(settings)
    saved: list[Checkpoint] = []
    outputs = []
    for offset, value in enumerate(log):
        monitor.step(chunk_of([value], offset), 0)
        if offset + 1 in (taken, marked, len(log)):
            least_log = 1 if offset + 1 == taken else 10**9
            with patch.object(monitors, "_LEAST_LOG", least_log):
                checkpoint = monitor.checkpoint(0)
            assert checkpoint is not None
            saved.append(checkpoint)
            outputs = checkpoint.outputs
    state = saved[0].state
    return {
        "models": MODELS,
        "marker": saved[1].marker,
        "records": {record.name: record.value for record in state},
        "first": taken,
        "log": log[taken:],
        "outputs": [[o.topic, o.key, o.value, o.headers] for o in outputs],
    }


if __name__ == "__main__":
    path = FOLDER / f"monitor-{VERSION}.msgpack.gz"
    if path.exists():
        raise SystemExit(f"{path.name} is kept for ever: a changed form needs another version")
    FOLDER.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(msgspec.msgpack.encode(make()), 9, mtime=0))
