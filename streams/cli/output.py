"""How commands speak: results on stdout, everything else on stderr, one shape for errors."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

OK = 0
FAILURE = 1
USAGE = 2

DEFAULT_CONFIG = Path("config/driftline.yaml")

ConfigOption = Annotated[
    Path,
    typer.Option(
        "--config", "-c", envvar="DRIFTLINE_CONFIG", help="The pipeline's file.", metavar="FILE"
    ),
]
"""Option of commands that need the configuration; its default is ``DEFAULT_CONFIG``."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
"""Option of commands that read; its default is False."""


class CommandError(Exception):
    """A command cannot do its work; the message says what went wrong and what to do."""

    def __init__(self, message: str, code: int = FAILURE) -> None:
        super().__init__(message)
        self.code = code


def line(text: str = "") -> None:
    """Print a line of the result."""
    typer.echo(text)


def json_out(value: Any) -> None:
    """Print the result as one indented JSON document."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())


def note(text: str) -> None:
    """Tell the person at the terminal something that is no result."""
    typer.echo(text, err=True)


def error(text: str) -> None:
    """Print an error, in red where that can be seen and is wanted."""
    prefix = typer.style("error:", fg="red", bold=True) if coloured() else "error:"
    typer.echo(f"{prefix} {text}", err=True, color=coloured())


def coloured() -> bool:
    """Tell whether stderr shows colours and nobody asked for none (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and sys.stderr.isatty()


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows in aligned columns, two spaces apart, without borders."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    for row in (headers, *cells):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(text.rstrip())
