"""``driftline replay`` as its users meet it: what it reads, writes and refuses."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

T0 = 1_795_615_200_000
MODEL: dict[str, Any] = {
    "model": "churn",
    "task": "binary",
    "classes": ["no", "yes"],
    "features": {"age": {"kind": "numeric"}},
    "label_horizon": "10m",
    "alerts": [{"rule": "threshold", "name": "wrong", "metric": "accuracy", "below": 0.9}],
}
FILES = {
    "windows.jsonl",
    "drift.jsonl",
    "alerts.jsonl",
    "unmatched.jsonl",
    "quarantine-predictions.jsonl",
    "quarantine-feedback.jsonl",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    pipeline = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "windows": [{"size": "1m"}],
        "models": ["churn.yaml"],
    }
    (tmp_path / "churn.yaml").write_text(json.dumps(MODEL), encoding="utf-8")
    path = tmp_path / "driftline.yaml"
    path.write_text(json.dumps(pipeline), encoding="utf-8")
    return path


def driftline(config: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams.cli", "replay", "--config", str(config)]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def table(rows: int) -> pa.Table:
    return pa.table(
        {
            "customer": [f"c{i}" for i in range(rows)],
            "at": pa.array([T0 + 1_000 * i for i in range(rows)], pa.timestamp("ms")),
            "guess": ["yes" if i % 2 else "no" for i in range(rows)],
            "age": [20.0 + i for i in range(rows)],
        }
    )


def labels(path: Path, rows: int) -> Path:
    events = [
        {"prediction_id": f"c{i}", "timestamp": T0 + 1_000 * i + 500, "actual": "yes"}
        for i in range(rows)
    ]
    path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    return path


def test_all_kinds_of_files_give_the_same_windows(config: Path, tmp_path: Path) -> None:
    rows = 200
    truth = labels(tmp_path / "truth.jsonl", rows)
    csv.write_csv(table(rows), tmp_path / "p.csv")
    parquet.write_table(table(rows), tmp_path / "p.parquet")
    events = [
        {
            "prediction_id": f"c{i}",
            "timestamp": T0 + 1_000 * i,
            "model": "churn",
            "model_version": "3",
            "prediction": "yes" if i % 2 else "no",
            "features": {"age": 20.0 + i},
        }
        for i in range(rows)
    ]
    (tmp_path / "p.jsonl").write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in events))
    flat = ["--model", "churn", "--model-version", "3"]
    for assignment in ("prediction_id=customer", "timestamp=at", "prediction=guess"):
        flat += ["--predictions-map", assignment]
    written = []
    for name, options in (("p.csv", flat), ("p.parquet", flat), ("p.jsonl", [])):
        out = tmp_path / f"out-{name}"
        files = ("--predictions", tmp_path / name, "--feedback", truth, "--out", out)
        done = driftline(config, *files, *options, "--json")
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert summary["balanced"]
        assert summary["predictions"]["joined"] == rows
        assert summary["alerts_opened"] == 1
        assert {path.name for path in out.iterdir()} == FILES
        for file, lines in summary["written"].items():
            assert len((out / file).read_bytes().splitlines()) == lines
        written.append([(out / file).read_bytes() for file in ("windows.jsonl", "alerts.jsonl")])
    assert written[0] == written[1] == written[2]


def test_rows_that_cannot_be_used_are_written_with_their_reason(
    config: Path, tmp_path: Path
) -> None:
    good = {"prediction_id": "a", "timestamp": T0, "model": "churn", "model_version": "1"}
    rows = [good | {"prediction": "yes"}, good | {"prediction_id": "b", "prediction": "maybe"}]
    (tmp_path / "p.jsonl").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    out = tmp_path / "deep" / "out"
    done = driftline(config, "--predictions", tmp_path / "p.jsonl", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "1 quarantined" in done.stdout
    (line,) = (out / "quarantine-predictions.jsonl").read_bytes().splitlines()
    found = orjson.loads(line)
    assert found["headers"]["driftline.reason"] == "unknown_class"
    assert json.loads(found["value"]) == rows[1]
    windows = [orjson.loads(one) for one in (out / "windows.jsonl").read_bytes().splitlines()]
    assert {window["predictions"] for window in windows} == {1}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--predictions", "none.csv"], 2, "none.csv: there is no such file"),
        (["--predictions", "p.txt"], 2, ".jsonl"),
        (["--predictions", "p.csv", "--predictions-map", "guess"], 2, "'guess' is not FIELD"),
        (["--predictions", "p.csv", "--predictions-map", "prediction=wrong"], 1, "'wrong'"),
        (["--predictions", "p.csv", "--predictions-map", "timestamp=at"], 1, "--model"),
    ],
)
def test_a_mistake_is_named_in_one_line_without_a_traceback(
    config: Path, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    csv.write_csv(table(3), tmp_path / "p.csv")
    (tmp_path / "p.txt").write_text("")
    given = [tmp_path / one if one.startswith(("p.", "none")) else one for one in arguments]
    done = driftline(config, *given, "--out", tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
