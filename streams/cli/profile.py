"""``driftline profile``: build the reference profile that drift is measured against."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from streams.cli import output, profile_config, profile_topics
from streams.cli.profile_files import read_files
from streams.cli.profile_quality import ReferenceQuality
from streams.config.settings import LoadedModel
from streams.profile.build import ProfileBuilder
from streams.profile.columns import ColumnReader, OutputColumns
from streams.profile.model import ProfileError, ReferenceProfile
from streams.profile.rows import ReferenceRows

app = typer.Typer()

Look = Callable[[], Iterable[ReferenceRows]]
"""Gives the reference data from its beginning, as often as it is asked."""


@app.command()
def profile(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE...", help="CSV, Parquet or JSON lines.")
    ] = None,
    *,
    config: output.ConfigOption = output.DEFAULT_CONFIG,
    model: Annotated[str | None, typer.Option(help="The model; needless if there is one.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write; the model's `reference`.")
    ] = None,
    prediction: Annotated[
        str, typer.Option(help="Column of the predictions.")
    ] = OutputColumns.prediction,
    score: Annotated[str, typer.Option(help="Column of the scores.")] = OutputColumns.score,
    label: Annotated[str, typer.Option(help="Column of the truth.")] = OutputColumns.label,
    text: Annotated[
        list[str] | None,
        typer.Option(
            help="Column whose values stay as they are written, such as 00501; repeatable."
        ),
    ] = None,
    from_topics: Annotated[
        bool, typer.Option("--from-topics", help="Read the topics instead of files.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.0, help="With --from-topics: how far back.")] = 60,
    max_rows: Annotated[
        int, typer.Option(min=1, help="With --from-topics: predictions to keep at most.")
    ] = 500_000,
    json: output.JsonOption = False,
) -> None:
    """Build a reference profile: a few kilobytes of JSON, no row of the data.

    Rows are looked at twice: to learn bins at quantiles, then to count exactly.
    """
    if bool(files) == from_topics:
        raise output.CommandError("give files, or --from-topics", output.USAGE)
    task = profile_config.find(config, model)
    target = out or task.out
    if target is None:
        raise output.CommandError(
            "say where to write: --out FILE, or `reference` in the model's file", output.USAGE
        )
    name = task.model.config.model
    if files:
        reader = ColumnReader(task.model.config, OutputColumns(prediction, score, label))
        source = ", ".join(file.name for file in files)
        look: Look = lambda: read_files(files, reader, name, text or ())  # noqa: E731 a name would say no more
    else:
        rows = _from_topics(task, minutes, max_rows)
        source = f"topics, the last {minutes:g} minutes"
        look = lambda: rows  # noqa: E731 a name would say no more
    try:
        built = build(task.model, look, source)
        target.parent.mkdir(parents=True, exist_ok=True)
        built.write(target)
    except ProfileError as error:
        raise output.CommandError(str(error)) from error
    except OSError as error:
        raise output.CommandError(f"{target}: cannot be written: {error.strerror}") from error
    if json:
        output.json_out({"model": name, "file": str(target), **_summary(built)})
    else:
        _print(built, target)


def build(model: LoadedModel, look: Look, source: str) -> ReferenceProfile:
    """Build a profile by two looks at the data.

    Raises:
        ProfileError: there are no rows, or the data cannot be read.
    """
    builder = ProfileBuilder(model.config)
    created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        learning = bar.add_task("learning bins", total=None)
        rows = 0
        for piece in look():
            builder.learn(piece)
            rows += piece.n
            bar.update(learning, description=f"learning bins: {rows:,} rows")
        builder.settle()
        bar.remove_task(learning)
        counting = bar.add_task("counting", total=rows)
        quality = ReferenceQuality(replace(model, reference=builder.finish(created)))
        for piece in look():
            builder.count(piece)
            quality.add(piece)
            bar.update(counting, advance=piece.n)
    return builder.finish(created, source, quality.metrics())


def _from_topics(task: profile_config.Task, minutes: float, max_rows: int) -> list[ReferenceRows]:
    name = task.model.config.model
    console = Console(stderr=True)
    with console.status("reading topics") as status:
        rows = asyncio.run(
            profile_topics.read_topics(
                task.settings,
                name,
                minutes,
                max_rows,
                lambda count: status.update(f"reading topics: {count:,} predictions"),
            )
        )
    if not rows:
        raise output.CommandError(f"the topics hold no prediction of {name} in that time")
    count = sum(piece.n for piece in rows)
    if count >= max_rows:
        output.note(f"stopped at {count:,} predictions; raise --max-rows for more")
    return rows


def _summary(built: ReferenceProfile) -> dict[str, object]:
    return {
        "rows": built.rows,
        "features": len(built.features),
        "score": built.score is not None,
        "label": built.label is not None,
        "metrics": built.metrics,
    }


def _print(built: ReferenceProfile, target: Path) -> None:
    size = target.stat().st_size / 1000
    output.line(f"{target}: {built.rows:,} rows of {built.model}, {size:.0f} kB")
    rows = [
        (name, column.n, column.missing, f"{len(column.counts)} bins")
        for name, column in built.features.items()
    ]
    if rows:
        output.table(("feature", "values", "missing", "kept"), rows)
    if built.metrics:
        output.line()
        output.table(
            ("metric", "value"), [(name, f"{value:.4g}") for name, value in built.metrics.items()]
        )
    else:
        output.line("no truth in the data: quality is not part of the profile")
