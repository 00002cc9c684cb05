"""Quality of rankings."""

from streams.core.layout import Layout
from streams.core.monitor.metrics.values import NOTHING, keep, plain, rate
from streams.core.partials import Cell
from streams.payloads import MetricValue


def ranking(cell: Cell, layout: Layout) -> dict[str, MetricValue]:
    """Metrics of a quality cell: means over the rankings whose relevant items are known."""
    sums = cell.dense.get("ranking")
    if sums is None or sums[0] <= NOTHING:
        return {}
    n = float(sums[0])
    found: dict[str, MetricValue | None] = {"mrr": plain(sums[1] / n, n)}
    for index, k in enumerate(layout.top_k):
        gain, hits, precision = sums[2 + 3 * index : 5 + 3 * index].tolist()
        found[f"ndcg_at_{k}"] = plain(gain / n, n)
        found[f"hit_rate_at_{k}"] = rate(hits, n)
        found[f"map_at_{k}"] = plain(precision / n, n)
    return keep(found)
