"""Partitions without events, live."""

import orjson

from streams.config import ModelConfig, PipelineConfig, Settings
from streams.core.join.processor import JoinProcessor
from streams.pipeline import build_join, build_monitor
from streams.wire import Chunk

START = 1_790_000_000_000
SETTINGS = Settings.build(
    PipelineConfig.model_validate(
        {
            "kafka": {"bootstrap_servers": "none:1"},
            "models": ["m.yaml"],
            "topics": {"partitions": 2},
            "processing": {"idle_timeout": 5_000},
            "windows": [{"size": "10s"}],
        }
    ),
    [ModelConfig.model_validate({"model": "m", "task": "regression", "alerts": []})],
)


def event(second: int) -> Chunk:
    ts = START + 1000 * second
    value = {"prediction_id": f"p{second}", "timestamp": ts, "model": "m", "prediction": 1.0}
    return Chunk("predictions", 0, [second], [b"k"], [orjson.dumps(value)], [ts], [()])


def test_a_partition_that_never_saw_an_event_does_not_hold_back_the_others() -> None:
    joins: list[JoinProcessor] = [build_join(SETTINGS, p) for p in range(2)]
    monitor = build_monitor(SETTINGS, 0)
    offset = 0
    windows = 0
    for second in range(60):
        now = START + 1000 * second
        joins[0].step(event(second), now)
        for join in joins:
            join.advance(now)
            checkpoint = join.checkpoint(now)
            for output in [] if checkpoint is None else checkpoint.outputs:
                monitor.step(
                    Chunk("partials", 0, [offset], [b""], [output.value], [now], [()]), now
                )
                offset += 1
        told = monitor.checkpoint(now)
        windows += 0 if told is None else len(told.outputs)
    assert windows >= 4


def test_a_partition_whose_records_are_only_not_read_yet_is_waited_for() -> None:
    join = build_join(SETTINGS, 1)
    for second in range(60):
        now = START + 1000 * second
        join.advance(now, behind=["predictions"])
        assert join.checkpoint(now) is None
