"""Names of the published metrics, which task has which, and which direction is worse."""

from collections.abc import Iterable
from typing import Literal

Task = Literal["binary", "multiclass", "regression", "ranking", "outcome"]

QUALITY: dict[Task, tuple[str, ...]] = {
    "binary": (
        "accuracy",
        "precision",
        "recall",
        "f1",
        "specificity",
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "calibration_error",
        "positive_rate",
    ),
    "multiclass": (
        "accuracy",
        "precision_macro",
        "recall_macro",
        "f1_macro",
        "precision_weighted",
        "recall_weighted",
        "f1_weighted",
        "log_loss",
        "roc_auc_ovr",
    ),
    "regression": (
        "me",
        "mae",
        "rmse",
        "mape",
        "r2",
        "error_p05",
        "error_p50",
        "error_p95",
        "absolute_error_p95",
    ),
    "ranking": ("mrr",),
    "outcome": (),
}
"""Metrics that compare predictions with the truth; ranking has those of ``RANKING_AT_K`` too."""

RANKING_AT_K = ("ndcg", "hit_rate", "map")
OUTCOMES = ("ctr", "cvr", "value_per_prediction", "value_total")
DISTINCT = "distinct_users"
OPERATION = (
    "predictions",
    "predictions_per_second",
    "error_share",
    "latency_p50",
    "latency_p95",
    "latency_p99",
    "label_delay_p50",
    "label_delay_p95",
    "label_delay_p99",
)

_WORSE_WHEN_LOWER = (
    "accuracy",
    "precision",
    "recall",
    "f1",
    "specificity",
    "roc_auc",
    "average_precision",
    "r2",
    "ndcg",
    "mrr",
    "hit_rate",
    "map_at_",
    "ctr",
    "cvr",
)


def worse_when(metric: str) -> Literal["lower", "higher"]:
    """Tell in which direction a metric gets worse."""
    return "lower" if metric.startswith(_WORSE_WHEN_LOWER) else "higher"


def quality_metrics(task: Task, top_k: Iterable[int]) -> tuple[str, ...]:
    """List the metrics that compare predictions with the truth.

    Args:
        task: what the model does.
        top_k: ranking cut-offs; other tasks ignore them.
    """
    if task != "ranking":
        return QUALITY[task]
    return (*QUALITY[task], *(f"{name}_at_{k}" for k in top_k for name in RANKING_AT_K))
