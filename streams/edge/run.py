"""Runs a worker in this process until it is told to stop or fails."""

import asyncio
import logging

import faust

from streams.edge.app import EdgeApp

log = logging.getLogger(__name__)


def run(app: EdgeApp) -> int:
    """Run until SIGTERM or SIGINT, or until the worker fails.

    Returns:
        The exit code for the process: 0 after an orderly stop, 1 after a failure.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(app, loop=loop, loglevel=None, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    try:
        worker.execute_from_commandline()
    except SystemExit as end:
        return 1 if end.code else 0
    except Exception as error:  # noqa: BLE001 - the last line of a failing process says why
        log.critical("the worker failed: %s", error)
        return 1
