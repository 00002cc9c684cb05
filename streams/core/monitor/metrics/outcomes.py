"""What followed predictions: clicks, conversions, value."""

from collections.abc import Mapping

from streams.config.model import OutcomeConfig
from streams.core.monitor.metrics.values import keep, plain, rate
from streams.core.partials import Cell
from streams.payloads import MetricValue


def outcomes(
    cell: Cell, configs: Mapping[str, OutcomeConfig], predictions: int | None
) -> dict[str, MetricValue]:
    """Metrics of a quality cell of a model with configured outcomes.

    ``ctr`` and ``cvr`` are shares of the *predictions* that were followed by a click or by a
    conversion; where several outcomes have one role, the most frequent of them counts.

    Args:
        cell: quality cell.
        configs: the model's outcomes, in configured order.
        predictions: predictions in the window; None where that is not known (label time), which
            leaves out all shares of predictions.
    """
    sums = cell.dense.get("outcomes")
    if sums is None or not configs:
        return {}
    rows = sums[:-1].reshape(len(configs), 3)
    found: dict[str, MetricValue | None] = {}
    if predictions:
        for role, name in (("click", "ctr"), ("conversion", "cvr")):
            followed = [
                float(row[0])
                for row, config in zip(rows, configs.values(), strict=True)
                if config.role == role
            ]
            if followed:
                found[name] = rate(max(followed), predictions)
    if any(config.value for config in configs.values()):
        total = sum(
            float(row[2])
            for row, config in zip(rows, configs.values(), strict=True)
            if config.value
        )
        found["value_total"] = plain(total, float(rows[:, 1].sum()))
        if predictions:
            found["value_per_prediction"] = plain(total / predictions, predictions)
    return keep(found)
