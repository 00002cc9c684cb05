"""Quality of regressions."""

import math

from streams.core.monitor.metrics.values import NOTHING, keep, mean, plain, quantiles
from streams.core.partials import Cell, without
from streams.payloads import MetricValue


def regression(cell: Cell) -> dict[str, MetricValue]:
    """Metrics of a quality cell; the error is prediction minus truth.

    Rows whose truth is 0 are left out of MAPE (and of its ``n``). R2 is absent where the truth does
    not vary.
    """
    errors = cell.dense.get("errors")
    if errors is None or errors[0] <= NOTHING:
        return {}
    n, total, absolute, squares, nonzero, relative = (float(value) for value in errors)
    squares = max(squares, 0.0)
    found = {
        "me": mean(total, squares, n),
        "mae": mean(absolute, squares, n),
        "rmse": plain(math.sqrt(squares / n), n),
        "mape": plain(relative / nonzero, nonzero) if nonzero > NOTHING else None,
    }
    actual = cell.moments.get("actual")
    if actual is not None and n > 1.0:
        removed = cell.moments.get("actual_removed")
        actual = actual if removed is None else without(actual, removed)
        weight, centre, deviations = (float(value) for value in actual)
        # Truth that does not vary still leaves a rounding of its squares.
        if deviations > 1e-12 * weight * centre * centre:
            found["r2"] = plain(1.0 - squares / deviations, n)
    return {
        **keep(found),
        **quantiles(
            cell.sparse.get("error"),
            {"error_p05": 0.05, "error_p50": 0.5, "error_p95": 0.95},
        ),
        **quantiles(cell.sparse.get("absolute_error"), {"absolute_error_p95": 0.95}),
    }
