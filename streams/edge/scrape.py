"""What ``/metrics`` shows of a worker: its models, and how the pipeline itself is doing.

On the event loop there is only a look at what is latest, which is never changed once published;
the page is written in a thread.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable

from streams.config import Settings
from streams.core.monitor.processor import MonitorProcessor
from streams.core.processor import Processor
from streams.edge.status import EdgeStatus, PartitionStatus
from streams.payloads import Alert, Window
from streams.sinks.prometheus import SHORTEST_INTERVAL, Exporter, Figure, Labels

BOOKS = ("predictions", "feedback")


def scraper(
    settings: Settings,
    status: Callable[[], EdgeStatus],
    processors: Callable[[], Iterable[Processor]],
) -> Callable[[], Awaitable[tuple[bytes, str]]]:
    """Make the function that renders ``/metrics``; it must not be called while it is at work.

    Args:
        settings: the configuration.
        status: describes the worker.
        processors: gives the processors at work.
    """
    http = settings.pipeline.http
    collected = float("-inf")
    exporter = Exporter(http.max_series, http.max_label_values, lambda: collected)

    async def render() -> tuple[bytes, str]:
        nonlocal collected
        now = time.monotonic()
        if now - collected < SHORTEST_INTERVAL:
            return exporter.render()
        collected = now
        live = [p.latest() for p in processors() if isinstance(p, MonitorProcessor)]
        windows = [window for one in live for window in one.windows]
        alerts = [alert for one in live for alert in one.alerts]
        return await asyncio.to_thread(_write, exporter, windows, alerts, figures(status()))

    return render


def _write(
    exporter: Exporter,
    windows: list[Window],
    alerts: list[Alert],
    pipeline: dict[str, Figure],
) -> tuple[bytes, str]:
    exporter.update(windows, alerts, pipeline)
    return exporter.render()


def figures(status: EdgeStatus) -> dict[str, Figure]:
    """Name the figures of a worker and of the partitions that it owns."""
    named: dict[str, dict[Labels, float]] = {}

    def tell(name: str, value: float | None, *labels: tuple[str, str]) -> None:
        if value is not None:
            named.setdefault(name, {})[labels] = value

    tell("worker_ready", float(status.ready))
    tell("worker_heartbeat_age_seconds", status.heartbeat_age)
    tell("rebalances_total", status.rebalances)
    tell("fencings_total", status.fencings)
    for partition in status.partitions:
        _tell_partition(tell, partition)
    return dict(named)


def _tell_partition(tell: Callable[..., None], partition: PartitionStatus) -> None:
    stage = partition.stage
    label = ("partition", str(partition.partition))
    for source in partition.sources:
        which = ("source", source.source)
        tell(f"{stage}_lag_records", source.lag, label, which)
        tell(f"{stage}_records_total", source.consumed, label, which)
        tell(f"{stage}_lost_records_total", source.lost, label, which)
    tell(f"{stage}_checkpoint_age_seconds", partition.checkpoint_age, label)
    tell(f"{stage}_checkpoint_duration_seconds", partition.checkpoint_duration, label)
    tell(f"{stage}_checkpoints_total", partition.checkpoints, label)
    tell(f"{stage}_restored_records", partition.restored_records, label)
    for name, value in partition.processor.items():
        side, _, outcome = name.partition("_")
        if name.startswith("quarantined:"):
            _, source_name, reason = name.split(":")
            tell("quarantined_total", value, label, ("source", source_name), ("reason", reason))
        elif stage == "join" and side in BOOKS:
            if outcome == "waiting":
                tell(f"{side}_waiting", value, label)
            else:
                tell(f"{side}_total", value, label, ("outcome", outcome))
        else:
            tell(f"{stage}_{name}", value, label)
