"""``driftline version``."""

import platform
from importlib.metadata import version as installed

import typer

from streams.cli import output

app = typer.Typer()


@app.command()
def version(*, json: output.JsonOption = False) -> None:
    """Print the version of Driftline and of Python."""
    versions = {"driftline": installed("driftline"), "python": platform.python_version()}
    if json:
        output.json_out(versions)
    else:
        output.line(f"driftline {versions['driftline']} (Python {versions['python']})")
