"""Write a golden state of this release: ``python tests/core/join/make_golden.py NAME``.

A golden state is what some release saved. Files that are there are never written again, or they
would no longer show that this release reads what earlier ones wrote; a new form of the state gets a
file of its own, beside the old ones.
"""

import gzip
import json
import sys
from pathlib import Path
from random import Random

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[3])]

from core.join.driver import Run  # noqa: E402 - found by the paths above
from core.join.golden import FOLDER, content, run_of, spelled  # noqa: E402 - found by the paths above
from core.join.topics import MODELS, feedback, prediction, settings_of, topic  # noqa: E402 - found by the paths above

LONG = {"label_horizon": "40s", "remember": "60s", "truth_wait": "90s"}


def main(name: str) -> None:
    path = FOLDER / f"{name}.json.gz"
    if path.exists():
        raise SystemExit(f"{path} is there already, and is never written again")
    rng = Random(2)
    models = [{**model, **LONG} for model in MODELS]
    made = [prediction(rng, models) for _ in range(420)]
    for i, event in enumerate(made):
        if i % 12 and event.id:
            event.fields["prediction_id"] = f"{event.id}-{i}"
    truth = [feedback(rng, models, made) for _ in range(700)]
    topics = {
        "predictions": topic(rng, made, of_predictions=True),
        "feedback": topic(rng, truth, of_predictions=False),
    }
    run = Run(settings_of(models), topics)
    for _ in range(9):
        for source, records in topics.items():
            run.feed(source, len(records) // 12)
        run.checkpoint()
    # As it comes back: what is no longer needed was left behind.
    golden = {
        "models": models,
        "topics": {
            source: [[r.offset, spelled(r.value)] for r in records]
            for source, records in topics.items()
        },
        "saved": {
            "marker": spelled(run.state.marker or b""),
            "positions": run.state.positions,
            "records": {name: spelled(value) for name, value in run.state.records.items()},
        },
    }
    golden["content"] = content(run_of(golden).join)
    FOLDER.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(json.dumps(golden).encode(), mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
