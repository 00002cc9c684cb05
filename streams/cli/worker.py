"""``driftline worker``: join, measure, watch, alert."""

import gc
import logging
import os
import sys

import structlog
import typer

from streams.cli import output
from streams.config.load import load
from streams.edge.errors import EdgeError
from streams.edge.run import run
from streams.edge.worker import worker_app

app = typer.Typer()


@app.command()
def worker(config: output.ConfigOption = output.DEFAULT_CONFIG) -> None:
    """Run a worker until SIGTERM or SIGINT; start as many as there are partitions to share."""
    settings = load(config)
    log_to_stderr()
    app_ = worker_app(settings)
    spare_the_collector()
    try:
        code = run(app_)
    except EdgeError as error:
        raise output.CommandError(str(error)) from error
    # Leaving the interpreter the long way makes the sketches' binding print pages of complaints
    # about objects that live as long as the process.
    logging.shutdown()
    os._exit(code)


def spare_the_collector() -> None:
    """Let the garbage collector look less often.

    Each fetch makes tens of thousands of records and events that live for a moment and hold no
    cycles. At the usual thresholds looking for cycles among them takes a sixth of the worker's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def log_to_stderr() -> None:
    """Log as JSON lines, or readably on a terminal; what is not ours from WARNING on."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("streams").setLevel(logging.INFO)
