"""``driftline profile`` writes what a worker then measures against."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from confluent_kafka import Producer
from sklearn.metrics import f1_score, log_loss, roc_auc_score

from streams.cli.main import main
from streams.config.load import load
from streams.profile.model import CategoricalReference, ReferenceProfile
from support.embedded import StartBroker

Captured = pytest.CaptureFixture[str]

MODEL = """
model: fraud
task: binary
classes: ["no", "yes"]
features:
  amount: {kind: numeric}
  country: {kind: categorical}
reference: profiles/fraud.json
alerts:
  - {rule: drift, name: moved, distance: psi}
  - {rule: threshold, name: worse, metric: roc_auc, relative_to_reference: 0.1}
"""


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    """Write a pipeline whose model names a profile that does not exist."""

    def configure(bootstrap: str = "localhost:9092") -> Path:
        path = tmp_path / "driftline.yaml"
        path.write_text(f"kafka: {{bootstrap_servers: '{bootstrap}'}}\nmodels: ['m*.yaml']\n")
        (tmp_path / "model.yaml").write_text(MODEL)
        return path

    return configure


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    score = rng.beta(1, 3, size=4_000)
    return pd.DataFrame(
        {
            "amount": rng.lognormal(size=4_000),
            "country": rng.choice(["DE", "FR", "IT"], 4_000),
            "score": score,
            "prediction": np.where(score >= 0.5, "yes", "no"),
            "actual": np.where(rng.uniform(size=4_000) < score, "yes", "no"),
        }
    )


def test_the_profile_of_files_makes_the_configuration_complete(
    configured: Callable[..., Path], frame: pd.DataFrame, tmp_path: Path, capsys: Captured
) -> None:
    config = configured()
    frame[:1_500].to_csv(tmp_path / "a.csv", index=False)
    frame[1_500:].to_parquet(tmp_path / "b.parquet")
    files = [str(tmp_path / "a.csv"), str(tmp_path / "b.parquet")]
    assert main(["profile", *files, "--config", str(config)]) == 0
    assert "4,000 rows of fraud" in capsys.readouterr().out
    profile = load(config, {}).models["fraud"].reference
    assert profile is not None
    assert profile.rows == 4_000
    assert profile.source == "a.csv, b.parquet"
    country = profile.features["country"]
    assert isinstance(country, CategoricalReference)
    counts = frame["country"].value_counts()
    assert dict(zip(country.categories, country.counts, strict=True)) == counts.to_dict()
    truth, answer = frame["actual"] == "yes", frame["prediction"] == "yes"
    assert profile.metrics["f1"] == pytest.approx(f1_score(truth, answer))
    assert profile.metrics["roc_auc"] == pytest.approx(
        roc_auc_score(truth, frame["score"]), abs=1e-3
    )
    assert profile.metrics["log_loss"] == pytest.approx(log_loss(truth, frame["score"]))


def test_without_truth_there_is_no_quality(
    configured: Callable[..., Path], frame: pd.DataFrame, tmp_path: Path, capsys: Captured
) -> None:
    frame.drop(columns="actual").to_parquet(tmp_path / "d.parquet")
    out = tmp_path / "elsewhere.json"
    arguments = ["--config", str(configured()), "--out", str(out), "--json"]
    assert main(["profile", str(tmp_path / "d.parquet"), *arguments]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["label"], report["metrics"]) == (4_000, False, {})
    assert ReferenceProfile.read(out).label is None


def test_what_is_wrong_is_said_and_nothing_written(
    configured: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    config = ["--config", str(configured())]
    (tmp_path / "d.csv").write_text("amount,country\n1,DE\nmuch,DE\n")
    assert main(["profile", str(tmp_path / "d.csv"), *config]) == 1
    assert "d.csv: column 'amount' holds string, not numbers" in capsys.readouterr().err
    assert main(["profile", *config]) == 2
    assert "give files, or --from-topics" in capsys.readouterr().err
    assert main(["profile", "d.csv", "--model", "churn", *config]) == 2
    assert "no model 'churn'; known are fraud" in capsys.readouterr().err
    assert not (tmp_path / "profiles").exists()


def test_a_mistake_in_the_models_file_is_shown_with_its_line(
    configured: Callable[..., Path], tmp_path: Path, capsys: Captured
) -> None:
    config = configured()
    (tmp_path / "model.yaml").write_text(MODEL + "owner: 5\n")
    assert main(["profile", "d.csv", "--config", str(config)]) == 2
    assert "model.yaml:12: owner" in capsys.readouterr().err


@pytest.mark.embedded
def test_the_profile_of_topics_joins_predictions_with_their_truth(
    configured: Callable[..., Path], embedded: StartBroker, frame: pd.DataFrame, capsys: Captured
) -> None:
    broker = embedded({"driftline.predictions": 2, "driftline.feedback": 2})
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    for row, record in enumerate(frame[:300].to_dict("records")):
        stamp = pd.Timestamp.now("UTC").isoformat()
        prediction = {
            "prediction_id": f"p{row}",
            "timestamp": stamp,
            "model": "fraud",
            "model_version": "1",
            "prediction": record["prediction"],
            "score": record["score"],
            "features": {"amount": record["amount"], "country": record["country"]},
        }
        truth = {"prediction_id": f"p{row}", "timestamp": stamp, "actual": record["actual"]}
        producer.produce("driftline.predictions", json.dumps(prediction), key=f"p{row}")
        if row % 2:
            producer.produce("driftline.feedback", json.dumps(truth), key=f"p{row}")
    producer.produce("driftline.predictions", b"not json", key="x")
    assert producer.flush(20) == 0
    config = configured(broker.bootstrap_servers)
    assert main(["profile", "--from-topics", "--minutes", "5", "-c", str(config), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["rows"] == 300
    half = frame[1:300:2]
    truth, answer = half["actual"] == "yes", half["prediction"] == "yes"
    assert report["metrics"]["f1"] == pytest.approx(f1_score(truth, answer))
