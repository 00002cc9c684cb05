"""Runs a worker in this process until it is told to stop or fails."""

import asyncio
from typing import NoReturn

import faust

from streams.edge.app import EdgeApp


class _Worker(faust.Worker):
    async def _sentinel_task(self) -> None:
        """Do not wait another second when everything has stopped."""


def run(app: EdgeApp) -> int:
    """Run until SIGTERM or SIGINT, or until the worker fails.

    Returns:
        The exit code for the process: 0 after an orderly stop, 1 after a failure.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = _Worker(app, loop=loop, loglevel=None, redirect_stdouts=False, quiet=True)
    worker.spinner = None
    try:
        _execute(worker)
    except SystemExit as end:
        return 1 if end.code else 0


def _execute(worker: faust.Worker) -> NoReturn:
    worker.execute_from_commandline()
    raise SystemExit(0)
