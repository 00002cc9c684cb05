"""The worker as it runs in production.

``driftline worker`` calls ``worker_app``. Faust's own command starts the same application, with
the environment variable ``DRIFTLINE_CONFIG`` naming the configuration file::

    DRIFTLINE_CONFIG=config/driftline.yaml faust -A streams.edge.worker worker
"""

import logging
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from streams.config import Settings
from streams.config.load import load
from streams.core.join.processor import JoinProcessor
from streams.core.processor import Processor
from streams.edge.app import EdgeApp, create_app
from streams.edge.scrape import scraper
from streams.pipeline import build_join, build_monitor
from streams.rehearsal import rehearse

log = logging.getLogger(__name__)

CONFIG_VARIABLE = "DRIFTLINE_CONFIG"
DEFAULT_CONFIG = "config/driftline.yaml"
HINT_INTERVAL = 5.0
"""Seconds between two looks for producers that use wrong partitions."""


def worker_app(settings: Settings) -> EdgeApp:
    """Put the real stages, the transport and the Prometheus page together, ready for events."""
    rehearse()
    app = create_app(
        settings,
        partial(build_join, settings),
        partial(build_monitor, settings),
        render=lambda app: scraper(settings, app.status, app.runtime.processors),
    )
    told: set[str] = set()

    async def watch_placement() -> None:
        while not app.should_stop:
            tell_of_misplaced(app.runtime.processors(), told)
            await app.sleep(HINT_INTERVAL)

    app.task(watch_placement)
    return app


def tell_of_misplaced(processors: Iterable[Processor], told: set[str]) -> None:
    """Log what producers should change so that their keys reach the right partition.

    Args:
        processors: the processors at work.
        told: hints that were logged already; each is logged once.
    """
    for processor in processors:
        if not isinstance(processor, JoinProcessor):
            continue
        hint = processor.misplaced_hint
        if hint is not None and hint not in told:
            told.add(hint)
            log.warning("keys are on wrong partitions, and their events may never meet: %s", hint)


def __getattr__(name: str) -> EdgeApp:
    """Make ``app`` when Faust's command asks for it."""
    if name != "app":
        raise AttributeError(name)
    app = worker_app(load(Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))))
    globals()["app"] = app
    return app
