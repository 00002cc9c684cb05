"""``driftline replay``: run recorded events through the pipeline, without Kafka."""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streams.cli import output
from streams.config.load import load
from streams.formats.errors import FormatError
from streams.formats.mapping import ColumnMapping, Kind
from streams.formats.reader import count_events, iter_events
from streams.replay import Event, Replay
from streams.wire import Output

app = typer.Typer()

FILES = {
    "windows": "windows.jsonl",
    "drift": "drift.jsonl",
    "alerts": "alerts.jsonl",
    "unmatched": "unmatched.jsonl",
    "quarantine_predictions": "quarantine-predictions.jsonl",
    "quarantine_feedback": "quarantine-feedback.jsonl",
}
"""What is written, by kind of output."""

_Map = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=COLUMN", help="Column of a field of a flat file; repeatable."),
]


@dataclass(frozen=True, slots=True)
class Summary:
    """What a replay did.

    Attributes:
        predictions: predictions read, by what became of them.
        feedback: truth likewise.
        written: lines per file.
        alerts_opened: alerts that opened.
        balanced: whether every event is accounted for.
    """

    predictions: dict[str, int]
    feedback: dict[str, int]
    written: dict[str, int]
    alerts_opened: int
    balanced: bool


@app.command()
def replay(
    *,
    config: output.ConfigOption = output.DEFAULT_CONFIG,
    predictions: Annotated[Path, typer.Option(help="JSONL, CSV or Parquet.", metavar="FILE")],
    feedback: Annotated[
        Path | None, typer.Option(help="JSONL, CSV or Parquet.", metavar="FILE")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.", metavar="DIR")],
    predictions_map: _Map = None,
    feedback_map: _Map = None,
    model: Annotated[str | None, typer.Option(help="Model of rows that name none.")] = None,
    model_version: Annotated[
        str | None, typer.Option(help="Version of the model of rows that name none.")
    ] = None,
    json: output.JsonOption = False,
) -> None:
    """Write windows.jsonl and alerts.jsonl as the live pipeline would have published them.

    Also drift.jsonl, unmatched.jsonl and quarantine-*.jsonl. Rows must be in the order in which
    they were published; how late they may be is the models' configuration.
    """
    settings = load(config)
    try:
        total = count_events(predictions) + (0 if feedback is None else count_events(feedback))
        maps = {
            "predictions": ColumnMapping.parse(predictions_map) if predictions_map else None,
            "feedback": ColumnMapping.parse(feedback_map) if feedback_map else None,
        }
    except (FormatError, ValueError) as failure:
        raise output.CommandError(str(failure), output.USAGE) from None

    def events(path: Path | None, kind: Kind) -> Iterable[Event]:
        if path is None:
            return ()
        return iter_events(path, kind, maps[kind], model=model, model_version=model_version)

    out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        files = {kind: stack.enter_context((out / name).open("wb")) for kind, name in FILES.items()}
        writer = _Writer(files)
        run = Replay(settings, writer)
        console = Console(stderr=True)
        progress = stack.enter_context(
            Progress(
                TextColumn("replaying"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                disable=not console.is_terminal,
            )
        )
        task = progress.add_task("replaying", total=total)
        try:
            run.run(
                events(predictions, "predictions"),
                events(feedback, "feedback"),
                lambda read: progress.update(task, completed=read),
            )
        except FormatError as failure:
            raise output.CommandError(str(failure)) from None
    _report(_summary(run, writer), out, json=json)


class _Writer:
    """Writes outputs to the files of their kinds."""

    def __init__(self, files: Mapping[str, BinaryIO]) -> None:
        self._files = files
        self.written: Counter[str] = Counter()
        self.opened = 0

    def __call__(self, record: Output) -> None:
        kind = record.topic
        line = record.value
        if kind == "metrics":
            kind = "drift" if _Kind.decode(line).type == "drift" else "windows"
        elif kind == "alerts":
            self.opened += _Kind.decode(line).status == "open"
        elif kind.startswith("quarantine"):
            line = msgspec.json.encode(
                {
                    "headers": {
                        name: text.decode(errors="replace") for name, text in record.headers
                    },
                    "value": record.value.decode(errors="backslashreplace"),
                }
            )
        self._files[kind].write(line + b"\n")
        self.written[FILES[kind]] += 1


class _Tag(msgspec.Struct):
    type: str
    status: str = ""


_Kind = msgspec.json.Decoder(_Tag)


def _summary(run: Replay, writer: _Writer) -> Summary:
    books: Counter[str] = Counter()
    for join in run.joins:
        books.update(join.books.snapshot())

    def side(name: str) -> dict[str, int]:
        return {
            key.removeprefix(f"{name}_"): count
            for key, count in books.items()
            if key.startswith(name)
        }

    return Summary(
        predictions=side("predictions"),
        feedback=side("feedback"),
        written={name: writer.written[name] for name in FILES.values()},
        alerts_opened=writer.opened,
        balanced=all(join.books.difference() == (0, 0) for join in run.joins),
    )


def _report(summary: Summary, out: Path, *, json: bool) -> None:
    if json:
        output.json_out(asdict(summary))
    else:
        for name, counts in (("predictions", summary.predictions), ("feedback", summary.feedback)):
            shown = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
            output.line(f"{name}: {shown or 'none'}")
        output.line(f"alerts opened: {summary.alerts_opened}")
        for name, count in summary.written.items():
            output.line(f"{out / name}: {count:,} lines")
    if not summary.balanced:
        raise output.CommandError("the books do not balance: this is a fault in Driftline")
