"""The worker as it runs in production.

``driftline worker`` calls ``worker_app``. Faust's own command starts the same application, with
the environment variable ``DRIFTLINE_CONFIG`` naming the configuration file::

    DRIFTLINE_CONFIG=config/driftline.yaml faust -A streams.edge.worker worker
"""

import os
from functools import partial
from pathlib import Path

from streams.config import Settings
from streams.config.load import load
from streams.edge.app import EdgeApp, create_app
from streams.edge.scrape import scraper
from streams.pipeline import build_join, build_monitor

CONFIG_VARIABLE = "DRIFTLINE_CONFIG"
DEFAULT_CONFIG = "config/driftline.yaml"


def worker_app(settings: Settings) -> EdgeApp:
    """Put the real stages, the transport and the Prometheus page together."""
    return create_app(
        settings,
        partial(build_join, settings),
        partial(build_monitor, settings),
        render=lambda app: scraper(settings, app.status, app.runtime.processors),
    )


def __getattr__(name: str) -> EdgeApp:
    """Make ``app`` when Faust's command asks for it."""
    if name != "app":
        raise AttributeError(name)
    app = worker_app(load(Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG))))
    globals()["app"] = app
    return app
