"""``driftline topics``: create and check what the pipeline reads and writes."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import asdict
from typing import Any

import typer
from aiokafka.errors import KafkaError

from streams.cli import output
from streams.config import Settings
from streams.config.load import load
from streams.edge import topics as kafka_topics
from streams.edge.errors import EdgeError
from streams.edge.topics import TopicReport

app = typer.Typer(no_args_is_help=True)


@app.command()
def create(
    config: output.ConfigOption = output.DEFAULT_CONFIG, *, json: output.JsonOption = False
) -> None:
    """Create the topics that are missing, and say which differ from what they should be."""
    _report(_ask(kafka_topics.create(settings := load(config)), settings), json=json)


@app.command()
def check(
    config: output.ConfigOption = output.DEFAULT_CONFIG, *, json: output.JsonOption = False
) -> None:
    """Say which topics are missing or differ; changes nothing."""
    _report(_ask(kafka_topics.inspect(settings := load(config)), settings), json=json)


def _ask(question: Coroutine[Any, Any, list[TopicReport]], settings: Settings) -> list[TopicReport]:
    try:
        return asyncio.run(question)
    except (EdgeError, KafkaError, OSError) as error:
        servers = settings.pipeline.kafka.bootstrap_servers
        raise output.CommandError(f"cannot ask the brokers at {servers}: {error}") from error


def _report(reports: Sequence[TopicReport], *, json: bool) -> None:
    good = all(report.state in {"created", "exists"} for report in reports)
    if json:
        output.json_out({"ok": good, "topics": [asdict(report) for report in reports]})
    else:
        output.table(
            ("topic", "partitions", "state"),
            [(r.spec.name, str(r.spec.partitions), r.state) for r in reports],
        )
        for report in reports:
            for line in report.advice:
                output.note(f"{report.spec.name}: {line}")
    if not good:
        raise typer.Exit(output.FAILURE)
