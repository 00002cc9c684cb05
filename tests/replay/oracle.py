"""What windows should say, from pandas, scikit-learn and scipy on the same rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from sklearn import metrics

Floats = NDArray[np.float64]
Json = dict[str, Any]
EXACT = 1e-9


def check_binary(
    window: Json, actual: Floats, predicted: Floats, score: Floats, *, thorough: bool = True
) -> None:
    """Compare a window of a binary classifier; rows are those whose truth is known.

    Counts, rates and losses are always compared; the curves, and all of it with scikit-learn,
    only where ``thorough``, as scikit-learn takes its time.
    """
    tp, fp, tn, fn = (
        int(((predicted == said) & (actual == true)).sum())
        for said, true in ((1, 1), (1, 0), (0, 0), (0, 1))
    )
    assert window["labels"] == len(actual)
    assert window["confusion"] == {"tp": tp, "fp": fp, "tn": tn, "fn": fn}
    right = np.clip(np.where(actual == 1, score, 1 - score), np.finfo(float).eps, None)
    expected = {
        "accuracy": (tp + tn) / len(actual),
        "positive_rate": actual.mean(),
        "precision": tp / (tp + fp) if tp + fp else None,
        "recall": tp / (tp + fn) if tp + fn else None,
        "specificity": tn / (tn + fp) if tn + fp else None,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None,
        "log_loss": -np.log(right).mean(),
        "brier": ((score - actual) ** 2).mean(),
    }
    _same(window, expected)
    if not thorough or not 0 < actual.sum() < len(actual):
        return
    _same(
        window,
        {
            "accuracy": metrics.accuracy_score(actual, predicted),
            "precision": metrics.precision_score(actual, predicted),
            "recall": metrics.recall_score(actual, predicted),
            "specificity": metrics.recall_score(actual, predicted, pos_label=0),
            "f1": metrics.f1_score(actual, predicted),
            "log_loss": metrics.log_loss(actual, score),
            "brier": metrics.brier_score_loss(actual, score),
        },
    )
    curves = {
        "roc_auc": metrics.roc_auc_score(actual, score),
        "average_precision": metrics.average_precision_score(actual, score),
    }
    found = window["metrics"]
    for name, wanted in curves.items():
        assert abs(found[name]["value"] - wanted) <= found[name]["error_bound"] + EXACT, name
    assert set(found) == set(expected) | set(curves) | {"calibration_error"}


def _same(window: Json, expected: Mapping[str, float | None]) -> None:
    for name, wanted in expected.items():
        found = window["metrics"].get(name, {}).get("value")
        if wanted is None:
            assert found is None, name
        else:
            assert found == pytest.approx(wanted, rel=EXACT, abs=EXACT), name


def check_regression(window: Json, actual: Floats, predicted: Floats) -> None:
    """Compare a window of a regression; rows are those whose truth is known."""
    error = predicted - actual
    assert window["labels"] == len(actual)
    expected = {
        "me": error.mean(),
        "mae": metrics.mean_absolute_error(actual, predicted),
        "rmse": metrics.root_mean_squared_error(actual, predicted),
        "mape": metrics.mean_absolute_percentage_error(actual, predicted),
    }
    if len(actual) > 1:
        expected["r2"] = metrics.r2_score(actual, predicted)
    _same(window, expected)
    found = window["metrics"]
    quantiles = {
        **{
            f"error_p{q:02d}": np.quantile(error, q / 100, method="inverted_cdf")
            for q in (5, 50, 95)
        },
        "absolute_error_p95": np.quantile(abs(error), 0.95, method="inverted_cdf"),
    }
    for name, wanted in quantiles.items():
        assert found[name]["value"] == pytest.approx(float(wanted), rel=0.01), name
    assert set(found) == set(expected) | set(quantiles)


def check_numeric(found: Json, values: pd.Series) -> None:
    """Compare the summary of a numeric feature."""
    present = values.dropna().to_numpy(np.float64)
    assert (found["n"], found["present"]) == (len(values), len(present))
    assert found["missing_rate"] == pytest.approx(values.isna().mean(), abs=EXACT)
    assert found["type_error_rate"] == 0.0
    assert found["mean"] == pytest.approx(present.mean(), rel=EXACT)
    if len(present) > 1:
        assert found["variance"] == pytest.approx(present.var(ddof=1), rel=EXACT)
    for q in (5, 25, 50, 75, 95):
        wanted = float(np.quantile(present, q / 100, method="inverted_cdf"))
        assert found[f"p{q:02d}"] == pytest.approx(wanted, rel=0.01)


def check_categorical(found: Json, values: pd.Series) -> None:
    """Compare the summary of a categorical feature of few values."""
    counts = values.value_counts()
    assert (found["n"], found["present"]) == (len(values), int(values.notna().sum()))
    assert found["missing_rate"] == pytest.approx(values.isna().mean(), abs=EXACT)
    assert found["cardinality"] == pytest.approx(len(counts), rel=1e-3)
    assert {item["value"]: item["count"] for item in found["frequent"]} == counts.to_dict()


def check_drift(found: Json, column: Json, values: pd.Series) -> None:
    """Compare the distances of one feature with those of counts in the profile's own bins."""
    reference = np.array(column["counts"], np.float64)
    if column["kind"] == "numeric":
        bins = np.searchsorted(column["edges"], values.to_numpy(np.float64), side="right")
        current = np.bincount(bins, minlength=len(reference)).astype(np.float64)
        gap = np.cumsum(reference) / reference.sum() - np.cumsum(current) / len(values)
        assert found["kolmogorov_smirnov"]["value"] == pytest.approx(abs(gap).max(), abs=EXACT)
        reference, current = _neighbourhoods(reference, current)
    else:
        counts = values.value_counts()
        current = np.array([counts.get(name, 0) for name in column["categories"]], np.float64)
        assert current.sum() == len(values)
        assert (reference / reference.sum() * len(values) >= 5).all()
    used = reference + current > 0
    p, q = reference[used], current[used]
    if not (p.all() and q.all()):
        p, q = p + 0.5, q + 0.5
    p, q = p / p.sum(), q / q.sum()
    assert found["psi"]["value"] == pytest.approx(((q - p) * np.log(q / p)).sum(), abs=EXACT)
    wanted = jensenshannon(reference, current, base=2)
    assert found["jensen_shannon"]["value"] == pytest.approx(wanted, abs=1e-7)
    assert {distance["n"] for distance in found.values()} == {len(values)}


def _neighbourhoods(reference: Floats, current: Floats) -> tuple[Floats, Floats]:
    """Put bins together as documented: about a hundred rows each, at least ten, at most 64."""
    groups = min(max(int(current.sum()) // 100, 10), 64)
    together: dict[int, list[float]] = {}
    before = 0.0
    for expected, observed in zip(reference, current, strict=True):
        group = int((before + expected / 2) / reference.sum() * groups)
        sums = together.setdefault(group, [0.0, 0.0])
        sums[0] += expected
        sums[1] += observed
        before += expected
    pairs = np.array([together[group] for group in sorted(together)])
    return pairs[:, 0], pairs[:, 1]
