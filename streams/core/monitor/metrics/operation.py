"""Traffic, latency and label delay."""

from detectors.intervals import rate_interval
from detectors.sketches.hyperloglog import HyperLogLog
from streams.core.monitor.metrics.values import keep, plain, quantiles, rate
from streams.core.partials import Cell
from streams.payloads import MetricValue

_LATENCY = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
_DELAY = {"label_delay_p50": 0.5, "label_delay_p95": 0.95, "label_delay_p99": 0.99}


def predictions_of(traffic: Cell | None) -> int:
    """Predictions that a traffic cell has counted."""
    return (
        0 if traffic is None or "counts" not in traffic.dense else int(traffic.dense["counts"][0])
    )


def operation(traffic: Cell | None, size_ms: int) -> dict[str, MetricValue]:
    """Metrics of a traffic cell over a window of ``size_ms``; latency in milliseconds."""
    predictions = predictions_of(traffic)
    seconds = size_ms / 1000.0
    interval = rate_interval(predictions, seconds)
    found: dict[str, MetricValue | None] = {
        "predictions": plain(predictions, predictions),
        "predictions_per_second": MetricValue(
            value=predictions / seconds, n=float(predictions), low=interval.low, high=interval.high
        ),
    }
    if traffic is not None and predictions:
        found["error_share"] = rate(float(traffic.dense["counts"][1]), predictions)
        found |= quantiles(traffic.sparse.get("latency"), _LATENCY)
        found["distinct_users"] = _distinct(traffic, predictions)
    return keep(found)


def _distinct(traffic: Cell, predictions: int) -> MetricValue | None:
    sketch = traffic.sketches.get("distinct")
    if not isinstance(sketch, HyperLogLog):
        return None
    interval = sketch.bounds()
    return MetricValue(
        value=sketch.estimate(), n=float(predictions), low=interval.low, high=interval.high
    )


def label_delay(quality: Cell) -> dict[str, MetricValue]:
    """Quantiles of the time from prediction to first truth, in seconds."""
    return quantiles(quality.sparse.get("delay"), _DELAY)
