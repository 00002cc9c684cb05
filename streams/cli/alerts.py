"""``driftline alerts``: what is wrong now, what was, and what is about to be."""

import asyncio
import time
from contextlib import aclosing
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from streams.cli import output
from streams.cli.reading import read
from streams.config.durations import parse_duration
from streams.config.load import load_pipeline
from streams.config.pipeline import PipelineConfig
from streams.payloads import Alert, Severity, decode, encode

app = typer.Typer()

_COLOURS = {"critical": "bold red", "warning": "yellow", "info": "blue"}
_MOST_CONTRIBUTORS = 5


@app.command()
def alerts(
    *,
    config: output.ConfigOption = output.DEFAULT_CONFIG,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what comes; Ctrl-C ends.")
    ] = False,
    model: Annotated[str | None, typer.Option(help="Of this model only.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Of this severity only.")] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="All that happened since, such as 1h, not what is open."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print alerts as JSON, one a line.")] = False,
) -> None:
    """Print open alerts; with --since, everything that happened.

    Reads all of the alerts topic and leaves no trace there.
    """
    pipeline = load_pipeline(config)
    try:
        past = None if since is None else parse_duration(since)
    except ValueError as error:
        raise output.CommandError(f"--since: {error}", output.USAGE) from error
    book = Listing(model, severity)
    asyncio.run(_run(pipeline, book, past, follow=follow, json=json))


class Listing:
    """What was read so far, as far as somebody asked for it.

    Args:
        model: only alerts of this model.
        severity: only alerts of this severity.
    """

    def __init__(self, model: str | None = None, severity: Severity | None = None) -> None:
        self._model = model
        self._severity = severity
        self._newest: dict[str, Alert] = {}
        self.unreadable = 0

    def take(self, value: bytes | None) -> Alert | None:
        """Read a record; None when it is a repeat, is not asked for, or cannot be read."""
        if value is None:  # compaction's way to say that an alert is forgotten
            return None
        try:
            alert = decode(value)
        except ValueError:
            self.unreadable += 1
            return None
        if not isinstance(alert, Alert):
            self.unreadable += 1
            return None
        known = self._newest.get(alert.fingerprint)
        if known is not None and known.revision >= alert.revision and known.at >= alert.at:
            return None
        self._newest[alert.fingerprint] = alert
        wanted = self._model in {None, alert.model} and self._severity in {None, alert.severity}
        return alert if wanted else None

    def open(self) -> list[Alert]:
        """Alerts whose last revision is not a resolve, the newest last."""
        return sorted(
            (
                alert
                for alert in self._newest.values()
                if alert.status != "resolved"
                and self._model in {None, alert.model}
                and self._severity in {None, alert.severity}
            ),
            key=lambda alert: (alert.opened_at, alert.fingerprint),
        )


async def _run(
    pipeline: PipelineConfig, listing: Listing, past: int | None, *, follow: bool, json: bool
) -> None:
    since = None if past is None else int(time.time() * 1000) - past
    history: list[Alert] = []
    caught_up = False
    topic = pipeline.topics.name("alerts")
    async with aclosing(read(pipeline.kafka, topic, since, follow=follow)) as pieces:
        async for records in pieces:
            taken = [alert for r in records if (alert := listing.take(r.value)) is not None]
            if caught_up:
                _show(taken, json=json)
            elif not records:
                _show(listing.open() if past is None else history, json=json)
                caught_up = True
            elif past is not None:
                history += taken
    if not caught_up:
        found = listing.open() if past is None else history
        _show(found, json=json)
        if not found and not json:
            output.note("nothing is open" if past is None else "nothing happened")
    if listing.unreadable:
        output.note(f"{listing.unreadable} records could not be read as alerts")


def _show(alerts: list[Alert], *, json: bool) -> None:
    ordered = sorted(alerts, key=lambda alert: alert.at)
    if json:
        for alert in ordered:
            output.line(encode(alert).decode())
        return
    console = Console(soft_wrap=True, highlight=False)
    for alert in ordered:
        console.print(text_of(alert))


def text_of(alert: Alert) -> Text:
    """Write an alert for people: a line, and one for what contributes most."""
    colour = "green" if alert.status == "resolved" else _COLOURS[alert.severity]
    text = Text.assemble(
        (alert.at, "dim"),
        "  ",
        (f"{alert.status:<8}", colour),
        "  ",
        (f"{alert.severity:<8}", colour),
        "  ",
        alert.summary,
    )
    contributors = alert.evidence.contributors
    if contributors and alert.status != "resolved":
        named = ", ".join(
            c.name if c.share is None else f"{c.name} ({100 * c.share:.0f} %)"
            for c in contributors[:_MOST_CONTRIBUTORS]
        )
        text.append(f"\n{'':26}look at: {named}")
    if alert.runbook and alert.status == "open":
        text.append(f"\n{'':26}runbook: {alert.runbook}")
    return text
