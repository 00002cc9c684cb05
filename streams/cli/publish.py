"""``driftline publish``: send the events of a file to Kafka."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streams.cli import output
from streams.formats.errors import FormatError
from streams.formats.mapping import ColumnMapping, Kind
from streams.formats.reader import count_events, iter_events
from streams.publish.publisher import Publisher
from streams.publish.reach import UnreachableError, partition_count
from streams.publish.settings import PublisherSettings
from streams.publish.stats import Loss, PublisherStats

app = typer.Typer()

_CHECK_EVERY = 50
_MOST_PENDING = 5_000
_MOST_PENDING_BYTES = 16 * 1024 * 1024
_REACH_SECONDS = 10.0
_FINISH_SECONDS = 60.0
_SHORTEST_SLEEP = 0.005


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did."""

    file: str
    kind: str
    topic: str
    delivered: int
    lost: dict[str, int]
    seconds: float


@app.command()
def publish(
    file: Annotated[
        Path,
        typer.Argument(help="A .jsonl file of events, or a flat .csv or .parquet file."),
    ],
    *,
    kind: Annotated[Kind, typer.Option(help="What the rows are.")] = "predictions",
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(envvar="DRIFTLINE_BOOTSTRAP_SERVERS", help="host:port[,host:port]"),
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Topic; that of the kind when absent.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Most events per second.")] = None,
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="Column of a field of flat files, such as prediction_id=txn, scores.yes=p_yes, "
            "tags=country,channel, text=zip. May be repeated.",
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="YAML file with the mapping instead.", metavar="FILE")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model of rows that name none.")] = None,
    model_version: Annotated[
        str | None, typer.Option(help="Version of the model of rows that name none.")
    ] = None,
    as_json: output.JsonOption = False,
) -> None:
    """Publish the events of a file; rows without a time get the present one.

    The address and security of the brokers may come from the same DRIFTLINE_ variables that
    publishing services use. The exit code is 1 when an event was lost.
    """
    try:
        chosen = _mapping(mapped, mapping)
        settings = PublisherSettings.resolve(bootstrap_servers, {})
    except (ValueError, FormatError, OSError) as failure:
        raise output.CommandError(str(failure), output.USAGE) from None
    named = settings.predictions_topic if kind == "predictions" else settings.feedback_topic
    target = topic or named
    try:
        total = count_events(file)
        partition_count(settings, target, _REACH_SECONDS)
    except (FormatError, UnreachableError) as failure:
        raise output.CommandError(str(failure)) from None
    events = iter_events(
        file,
        kind,
        chosen,
        model=model,
        model_version=model_version,
        timestamp=time.time_ns() // 1_000_000,
    )
    started = time.monotonic()
    # Every row of a file counts, whatever share of its traffic a service samples.
    publisher = Publisher(bootstrap_servers, enabled=True, sample_rate=1.0)
    problem: str | None = None
    try:
        _send(publisher, target, events, rate, total)
    except FormatError as failure:
        problem = str(failure)
    finally:
        publisher.close(_FINISH_SECONDS)
    stats = publisher.stats()
    lost = {reason.value: count for reason, count in stats.lost.items()}
    seconds = round(time.monotonic() - started, 3)
    _report(Summary(str(file), kind, target, stats.delivered, lost, seconds), as_json=as_json)
    if problem is not None:
        raise output.CommandError(f"{problem}; the rows before it were published")
    if lost:
        listed = ", ".join(f"{count} {reason}" for reason, count in lost.items())
        raise output.CommandError(f"not everything was published: lost {listed}")


def _mapping(mapped: list[str] | None, mapping: Path | None) -> ColumnMapping | None:
    if mapped and mapping:
        raise ValueError("give --map or --mapping, not both")
    if mapping:
        return ColumnMapping.load(mapping)
    return ColumnMapping.parse(mapped) if mapped else None


def _send(
    publisher: Publisher,
    topic: str,
    events: Iterator[tuple[str, int, bytes]],
    rate: float | None,
    total: int,
) -> None:
    console = Console(stderr=True)
    with Progress(
        TextColumn("publishing"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("publishing", total=total)
        started = time.monotonic()
        for sent, (prediction_id, _, value) in enumerate(events):
            if rate is not None:
                ahead = sent / rate - (time.monotonic() - started)
                if ahead > _SHORTEST_SLEEP:
                    time.sleep(ahead)
            publisher.log_encoded(topic, prediction_id, value)
            if sent % _CHECK_EVERY == 0:
                progress.update(task, completed=sent)
                if not _keep_up(publisher):
                    return
        progress.update(task, completed=total)


def _keep_up(publisher: Publisher) -> bool:
    """Wait for the brokers to keep up; tell whether it makes sense to go on."""
    while _is_full(stats := publisher.stats()) and Loss.DELIVERY_FAILED not in stats.lost:
        publisher.flush(0.05)
    return Loss.DELIVERY_FAILED not in stats.lost


def _is_full(stats: PublisherStats) -> bool:
    return stats.pending > _MOST_PENDING or stats.pending_bytes > _MOST_PENDING_BYTES


def _report(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        output.json_out(asdict(summary))
        return
    speed = summary.delivered / max(summary.seconds, 0.001)
    noun = "predictions" if summary.kind == "predictions" else "pieces of feedback"
    output.line(
        f"published {summary.delivered} {noun} to {summary.topic} "
        f"in {summary.seconds:.1f} s ({speed:.0f} per second)"
    )
