"""Models that no file describes, where the configuration lets them in."""

import orjson

from streams.config import PipelineConfig, Settings
from streams.replay import Replay


def test_a_model_that_no_file_describes_is_counted_where_such_models_are_let_in() -> None:
    pipeline = {
        "kafka": {"bootstrap_servers": "none:1"},
        "processing": {"unknown_models": "accept"},
        "topics": {"partitions": 1},
        "windows": [{"size": "10s"}],
    }
    settings = Settings.build(PipelineConfig.model_validate(pipeline))
    written: list[bytes] = []
    start = 1_790_000_000_000
    events = [
        (
            f"p{i}",
            start + 1000 * i,
            orjson.dumps({"prediction_id": f"p{i}", "timestamp": start + 1000 * i, "model": "new"}),
        )
        for i in range(25)
    ]
    Replay(settings, lambda output: written.append(output.value)).run(events, [])
    windows = [orjson.loads(value) for value in written]
    final = [w for w in windows if w["type"] == "window" and w["final"]]
    counted = [w["predictions"] for w in final if w["model_version"] == "*"]
    assert {w["model"] for w in final} == {"new"}
    assert sum(counted) == len(events)
