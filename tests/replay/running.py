"""Runs Driftline's commands as a user does, and reads what they write."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

COMMAND = str(Path(sys.executable).with_name("driftline"))
Json = dict[str, Any]


def run(*arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``driftline``; it has to end with the code."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def write_config(folder: Path, pipeline: Json, model: Json) -> Path:
    """Write the two files of a configuration (JSON is YAML); returns the pipeline's."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / pipeline["models"][0]).write_text(json.dumps(model), encoding="utf-8")
    path = folder / "driftline.yaml"
    path.write_text(json.dumps(pipeline), encoding="utf-8")
    return path


def build_profile(config: Path, model: Json, data: Path, options: Sequence[str]) -> Json:
    """Build the reference profile and name it in the model's file; returns the profile."""
    folder = config.parent
    run("profile", data, "--config", config, "--out", folder / "reference.json", *options)
    name = orjson.loads(config.read_bytes())["models"][0]
    (folder / name).write_text(
        json.dumps(model | {"reference": "reference.json"}), encoding="utf-8"
    )
    profile: Json = orjson.loads((folder / "reference.json").read_bytes())
    return profile


def replay(
    config: Path,
    out: Path,
    predictions: Path,
    feedback: Path | None = None,
    columns: Iterable[str] = (),
    model: str = "loan",
) -> Json:
    """Replay files; returns the summary."""
    options: list[str | Path] = ["--predictions", predictions, "--out", out]
    if feedback is not None:
        options += ["--feedback", feedback]
    for column in columns:
        options += ["--predictions-map", column]
    if predictions.suffix == ".csv":
        options += ["--model", model, "--model-version", "1"]
    done = run("replay", "--config", config, *options, "--json")
    summary: Json = json.loads(done.stdout)
    assert summary["balanced"]
    return summary


def lines(path: Path) -> list[Json]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def ms(text: str) -> int:
    """Read a time of a payload."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def select(windows: Iterable[Json], **fields: Any) -> dict[tuple[int, int], Json]:
    """Pick windows by fields; the highest revision of each (start, end) in ms."""
    found: dict[tuple[int, int], Json] = {}
    for window in windows:
        if all(window.get(name) == value for name, value in fields.items()):
            key = (ms(window["start"]), ms(window["end"]))
            if key not in found or found[key]["revision"] < window["revision"]:
                found[key] = window
    return found


def value(window: Mapping[str, Any], metric: str) -> float | None:
    found: float | None = window["metrics"].get(metric, {}).get("value")
    return found
