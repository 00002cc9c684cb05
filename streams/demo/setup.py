"""The demo's folder: its configuration and the models' reference profiles."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np

from streams.cli import profile_config
from streams.cli.profile import build
from streams.config import Settings
from streams.config.load import load
from streams.demo import world
from streams.demo.world import DELIVERY, FRAUD, Columns
from streams.profile.rows import ReferenceRows, Texts

REFERENCE_ROWS = 50_000
REFERENCE_SEED = 1

_ADDRESS = "bootstrap_servers: 127.0.0.1:9092"
_PORT = "port: 9464"


@dataclass(slots=True, frozen=True)
class Files:
    """What was written.

    Attributes:
        pipeline: the pipeline's file.
        settings: everything that the worker will run.
    """

    pipeline: Path
    settings: Settings


def write(folder: Path, bootstrap_servers: str, port: int) -> Files:
    """Write the configuration, and reference profiles of an undisturbed world, into a folder.

    Args:
        folder: where to; made if it is not there.
        bootstrap_servers: address of the broker.
        port: port of the worker's metrics and health.

    Raises:
        OSError: the folder cannot be written.
        ValueError: the shipped pipeline file has no place for the address or the port.
    """
    (folder / "models").mkdir(parents=True, exist_ok=True)
    shipped = files("streams.demo") / "config"
    text = (shipped / "driftline.yaml").read_text(encoding="utf-8")
    for line, value in ((_ADDRESS, bootstrap_servers), (_PORT, str(port))):
        if line not in text:
            raise ValueError(f"the demo's driftline.yaml has no line {line!r}")
        key = line.partition(":")[0]
        text = text.replace(line, f"{key}: {value}")
    pipeline = folder / "driftline.yaml"
    pipeline.write_text(text, encoding="utf-8")
    for model in (FRAUD, DELIVERY):
        name = f"{model}.yaml"
        source = shipped / "models" / name
        (folder / "models" / name).write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "references").mkdir(exist_ok=True)
    _build_references(pipeline)
    return Files(pipeline, load(pipeline))


def _build_references(pipeline: Path) -> None:
    samples: tuple[tuple[str, Callable[[np.random.Generator, int], ReferenceRows]], ...] = (
        (FRAUD, fraud_rows),
        (DELIVERY, delivery_rows),
    )
    for name, draw in samples:
        task = profile_config.find(pipeline, name)
        if task.out is None:
            raise ValueError(f"the demo's file of {name} names no reference")
        rows = draw(np.random.default_rng(REFERENCE_SEED), REFERENCE_ROWS)
        look = partial(list[ReferenceRows], [rows])
        build(task.model, look, "the demo's world before the drift").write(task.out)


def fraud_rows(random: np.random.Generator, n: int) -> ReferenceRows:
    """Draw undisturbed payments with what the model says and what is true."""
    data = world.fraud_features(random, np.zeros(n, dtype=np.bool_))
    score = world.fraud_probability(data)
    rows = _features(data, n)
    rows.predicted = (score >= world.THRESHOLD).astype(np.float64)
    rows.actual = (random.random(n) < score).astype(np.float64)
    rows.score = score
    return rows


def delivery_rows(random: np.random.Generator, n: int) -> ReferenceRows:
    """Draw parcels with what the model says and what is true."""
    data = world.delivery_features(random, n)
    rows = _features(data, n)
    rows.predicted = world.delivery_minutes(data)
    rows.actual = world.delivery_truth(random, rows.predicted)
    return rows


def _features(data: Columns, n: int) -> ReferenceRows:
    rows = ReferenceRows(n)
    for name, column in data.items():
        if column.dtype.kind == "f":
            rows.numeric[name] = column
        else:
            values, codes = np.unique(column, return_inverse=True)
            rows.categorical[name] = Texts(values.tolist(), codes.astype(np.int32))
    return rows
