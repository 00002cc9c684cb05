"""The same data gives the same columns from CSV, Parquet and JSON lines."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from streams.cli.profile_files import read_files
from streams.config.model import ModelConfig
from streams.profile.columns import ColumnReader, OutputColumns
from streams.profile.model import ProfileError
from streams.profile.rows import ReferenceRows

RECORDS: list[dict[str, Any]] = [
    {"amount": 1, "country": "DE", "score": 0.9, "actual": True, "other": "x"},
    {"amount": None, "country": None, "score": 0.2, "actual": False, "other": 5},
    {"amount": 2.5, "country": "FR", "score": None, "actual": None, "other": None},
]


def config(**more: Any) -> ModelConfig:
    base: dict[str, Any] = {
        "model": "fraud",
        "task": "binary",
        "classes": [False, True],
        "features": {"amount": {"kind": "numeric"}, "country": {"kind": "categorical"}},
    }
    return ModelConfig.model_validate(base | more)


def write(folder: Path, kind: str, records: list[dict[str, Any]]) -> Path:
    path = folder / f"data.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path
    frame = pd.DataFrame(records)
    frame["other"] = frame["other"].astype(str) if "other" in frame else None
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def read(path: Path, model: ModelConfig | None = None, **columns: str) -> ReferenceRows:
    reader = ColumnReader(model or config(), OutputColumns(**columns))
    (rows,) = read_files([path], reader, "fraud")
    return rows


KINDS = ["csv", "parquet", "jsonl"]


@pytest.mark.parametrize("kind", KINDS)
def test_features_outputs_and_gaps_are_read_alike(kind: str, tmp_path: Path) -> None:
    rows = read(write(tmp_path, kind, RECORDS))
    assert rows.n == 3
    np.testing.assert_array_equal(rows.numeric["amount"], [1.0, np.nan, 2.5])
    country = rows.categorical["country"]
    names = list(country.values)
    assert [None if c < 0 else names[c] for c in country.codes] == ["DE", None, "FR"]
    assert rows.score is not None
    np.testing.assert_array_equal(rows.score, [0.9, 0.2, np.nan])
    assert rows.actual is not None
    np.testing.assert_array_equal(rows.actual, [1.0, 0.0, np.nan])
    # no prediction column: from a half on
    assert rows.predicted is not None
    np.testing.assert_array_equal(rows.predicted, [1.0, 0.0, np.nan])


def test_events_with_nested_features_and_scores_by_class_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    records: list[dict[str, Any]] = [
        {"model": "churn", "features": {"amount": "x"}, "score": 5},
        {"features": {"amount": 3, "country": "IT"}, "score": {"true": 0.7, "false": 0.3}},
        {"model": "fraud", "features": {"amount": 4.5}, "score": {"true": 0.1, "false": 0.9}},
    ]
    path.write_text("\n".join(json.dumps(record) for record in records))
    rows = read(path)
    np.testing.assert_array_equal(rows.numeric["amount"], [3.0, 4.5])
    assert rows.score is not None
    np.testing.assert_array_equal(rows.score, [0.7, 0.1])
    assert rows.actual is None


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_may_have_other_names(kind: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "features.amount": [1.0],
            "features.country": ["DE"],
            "p": [0.4],
            "y": ["True"],
            "guess": ["false"],
        }
    )
    path = tmp_path / f"d.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    rows = read(path, score="p", label="y", prediction="guess")
    assert rows.actual is not None
    assert rows.predicted is not None
    assert (rows.actual[0], rows.predicted[0]) == (1.0, 0.0)


def test_a_threshold_goes_before_the_prediction_column(tmp_path: Path) -> None:
    record = {"amount": 1, "country": "DE", "score": 0.4, "prediction": False}
    rows = read(write(tmp_path, "jsonl", [record]), config(threshold=0.3))
    assert rows.predicted is not None
    assert rows.predicted[0] == 1.0


def test_classes_that_are_numbers_are_found_however_a_file_spells_them(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("amount,country,actual\n1,DE,1.0\n2,DE,0\n")
    rows = read(path, config(classes=[0, 1]))
    assert rows.actual is not None
    np.testing.assert_array_equal(rows.actual, [1.0, 0.0])


def test_probabilities_by_class_are_read_in_order_of_the_classes(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("amount,country,score_b,score.a\n1,DE,0.9,0.1\n")
    rows = read(path, config(task="multiclass", classes=["a", "b"]))
    assert rows.score is not None
    np.testing.assert_array_equal(rows.score, [[0.1, 0.9]])


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_feature_is_refused_by_name(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind, [{"amount": 1, "other": 1}])
    with pytest.raises(ProfileError, match=rf"data\.{kind}: there is no column 'country'"):
        read(path)


@pytest.mark.parametrize("kind", KINDS)
def test_text_where_numbers_belong_is_refused_by_file_and_column(kind: str, tmp_path: Path) -> None:
    path = write(tmp_path, kind, [{"amount": "a lot", "country": "DE"}])
    with pytest.raises(ProfileError, match=rf"data\.{kind}: .*amount"):
        read(path)


def test_an_unknown_class_is_refused_by_file_column_and_value(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", [{"amount": 1, "country": "DE", "actual": "maybe"}])
    with pytest.raises(ProfileError, match=r"column 'actual' holds 'maybe', which is none of"):
        read(path)


def test_scores_and_numbers_beyond_reason_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("amount,country,score\n1,DE,1.5\n")
    with pytest.raises(ProfileError, match="'score' holds scores outside 0 to 1"):
        read(path)
    path.write_text("amount,country\ninf,DE\n")
    with pytest.raises(ProfileError, match="'amount' holds an infinite number"):
        read(path)


def test_a_field_that_rows_carried_before_may_be_missing_for_long(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    rare = {"amount": 1, "country": "DE"}
    path.write_text(
        "".join(f"{json.dumps(rare if row == 0 else {'amount': 1})}\n" for row in range(50_001))
    )
    pieces = list(read_files([path], ColumnReader(config()), "fraud"))
    assert [piece.n for piece in pieces] == [50_000, 1]
    assert pieces[1].categorical["country"].codes.tolist() == [-1]


def test_objects_in_parquet_are_read_like_events(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    features = [{"amount": 1.0, "country": "DE"}, {"amount": 2.0, "country": None}]
    pd.DataFrame({"features": features, "score": [0.1, 0.9]}).to_parquet(path)
    np.testing.assert_array_equal(read(path).numeric["amount"], [1.0, 2.0])


def test_an_unknown_kind_or_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="has to end in one of"):
        read(tmp_path / "d.xlsx")
    for kind in KINDS:
        with pytest.raises(ProfileError, match="no such file"):
            read(tmp_path / f"absent.{kind}")


def test_a_file_is_read_in_pieces(tmp_path: Path) -> None:
    n = 150_000
    pd.DataFrame({"amount": np.arange(n), "country": "DE"}).to_parquet(tmp_path / "d.parquet")
    pieces = list(read_files([tmp_path / "d.parquet"], ColumnReader(config()), "fraud"))
    assert len(pieces) > 1
    together = np.concatenate([piece.numeric["amount"] for piece in pieces])
    np.testing.assert_array_equal(together, np.arange(n))
