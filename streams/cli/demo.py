"""``driftline demo``: everything on this machine, with traffic and a drift to find."""

import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from streams.cli import output
from streams.demo.front import PlainFront, choose_front
from streams.demo.process import WorkerDiedError, choose_port
from streams.demo.session import Plan, Result, Session
from streams.edge.embedded import EmbeddedBrokerError

app = typer.Typer()


@app.command()
def demo(
    *,
    seconds: Annotated[
        float | None, typer.Option(min=20, help="End by itself after so long; else by Ctrl-C.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=50, max=2000, help="Predictions per second of each model.")
    ] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Where the traffic's chance begins.")] = 7,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Port of /metrics; 9464 if free, else any."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="No view; the last line is one JSON object.")
    ] = False,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Keep configuration, profiles and log here."),
    ] = None,
) -> None:
    """Run a broker, a worker and traffic of two models, and watch a drift being found.

    Nothing has to be installed or running. Exit code 1: the drift was not found, or was found
    before it was there, or the books do not balance, or the worker died.
    """
    if keep is not None and keep.exists() and not keep.is_dir():
        raise output.CommandError(f"{keep} is not a folder", output.USAGE)
    console = Console(stderr=json)
    with ExitStack() as stack:
        folder = keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="driftline-demo-"))
        )
        front = stack.enter_context(PlainFront(console) if json else choose_front(console))
        try:
            session = Session(Plan(seconds, rate, seed, _port(port), folder), front)
            _stop_on_signals(session)
            result = session.run()
        except (EmbeddedBrokerError, WorkerDiedError) as failure:
            raise output.CommandError(str(failure)) from failure
    if json:
        for problem in result.problems:
            output.error(problem)
        output.line(orjson.dumps(result.summary.as_dict()).decode())
    else:
        _tell(result)
    if result.problems:
        raise typer.Exit(output.FAILURE)


def _port(wanted: int | None) -> int:
    try:
        return choose_port(wanted)
    except OSError as failure:
        raise output.CommandError(
            f"port {wanted} is taken; give another one, or 0 for any", output.USAGE
        ) from failure


def _stop_on_signals(session: Session) -> None:
    """End in order at the first Ctrl-C or SIGTERM, at once at the second."""

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.default_int_handler)
        session.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _tell(result: Result) -> None:
    """Say in a few lines how it went."""
    s = result.summary
    output.line()
    output.line(
        f"{s.predictions:,} predictions and {s.feedback:,} labels in {s.seconds:.0f} s; "
        f"{s.joined:,} predictions met their label."
    )
    if s.drift_injected_at is None:
        output.line("No drift was injected before the end.")
    elif s.drift_detected_at is None:
        output.line(f"Drift injected at {s.drift_injected_at}; not found.")
    else:
        output.line(
            f"Drift injected at {s.drift_injected_at}, found {s.detection_delay_seconds:.1f} s "
            f"later by {s.detected_by}; {s.alerts} alerts, {s.false_alerts} of them false."
        )
    if s.balanced:
        output.line("The books balance: every event is accounted for.")
    for problem in result.problems:
        output.error(problem)
