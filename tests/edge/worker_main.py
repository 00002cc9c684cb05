"""A worker process for tests: ``python worker_main.py settings.json``; sums instead of stages."""

import json
import logging
import pathlib
import sys

import orjson
from edge.totals import Totals

from streams.config import PipelineConfig, Settings
from streams.edge.app import EdgeApp, create_app
from streams.edge.run import run


def build(path: str) -> EdgeApp:
    with pathlib.Path(path).open(encoding="utf-8") as file:
        given = json.load(file)
    settings = Settings.build(PipelineConfig.model_validate(given))
    return create_app(
        settings,
        lambda partition: Totals(("predictions", "feedback"), partition, "partials"),
        lambda partition: Totals(("partials",), partition),
        render=lambda app: lambda: (orjson.dumps(app.status()), "application/json"),
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    sys.exit(run(build(sys.argv[1])))
