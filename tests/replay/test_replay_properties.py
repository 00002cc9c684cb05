"""What a replay gives does not depend on how its files are cut, nor its totals on partitions."""

from collections import Counter
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import replay
from streams.config import ModelConfig, PipelineConfig, Settings
from streams.wire import Output

MINUTE = 60_000
T0 = 1_795_615_200_000
MODEL: dict[str, Any] = {
    "model": "m",
    "task": "binary",
    "classes": ["no", "yes"],
    "features": {"x": {"kind": "numeric"}, "c": {"kind": "categorical"}},
    "segments": ["c"],
    "label_horizon": 20 * MINUTE,
    "allowed_lateness": 3 * MINUTE,
    "windows": [{"size": MINUTE}, {"size": 4 * MINUTE, "hop": 2 * MINUTE}],
}

times = st.integers(0, 15 * MINUTE)
identities = st.integers(0, 40).map(lambda number: f"p{number}")
predictions = st.fixed_dictionaries(
    {
        "prediction_id": identities,
        "timestamp": times.map(lambda at: T0 + at),
        "model": st.sampled_from(["m", "m", "m", "other"]),
        "model_version": st.sampled_from(["1", "2"]),
        "prediction": st.sampled_from(["no", "yes", "perhaps"]),
        "score": st.sampled_from([0.1, 0.4, 0.4, 0.9, 2.0]),
        "features": st.fixed_dictionaries(
            {"x": st.sampled_from([0.5, -1.0, None, "a"]), "c": st.sampled_from(["u", "v", None])}
        ),
    }
)
feedback = st.fixed_dictionaries(
    {
        "prediction_id": identities,
        "timestamp": times.map(lambda at: T0 + 2 * at),
        "actual": st.sampled_from(["no", "yes", "other"]),
    }
)


def events(rows: list[dict[str, Any]], shift: list[int]) -> list[replay.Event]:
    """Put rows in the order of their times, some of them later than they belong."""
    late = [shift[i % len(shift)] * MINUTE for i in range(len(rows))]
    order = sorted(range(len(rows)), key=lambda i: (rows[i]["timestamp"] + late[i], i))
    return [(rows[i]["prediction_id"], rows[i]["timestamp"], orjson.dumps(rows[i])) for i in order]


files = st.tuples(
    st.lists(predictions, max_size=60),
    st.lists(feedback, max_size=60),
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
)
Files = tuple[list[dict[str, Any]], list[dict[str, Any]], list[int]]


def run(files: Files, chunk: int, partitions: int) -> tuple[list[Output], replay.Replay]:
    pipeline = PipelineConfig.model_validate(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:1"},
            "topics": {"partitions": partitions},
            "models": ["m.yaml"],
            "limits": {"max_age": None},
            "sinks": {"publish_unmatched": ["late", "orphan", "conflict", "expired"]},
        }
    )
    written: list[Output] = []
    ready = replay.Replay(
        Settings.build(pipeline, [ModelConfig.model_validate(MODEL)]), written.append
    )
    with patch.object(replay, "CHUNK_ROWS", chunk):
        ready.run(events(files[0], files[2]), events(files[1], files[2]))
    return written, ready


def books(done: replay.Replay) -> Counter[str]:
    found: Counter[str] = Counter()
    for join in done.joins:
        assert join.books.difference() == (0, 0)
        found.update(join.books.snapshot())
    return found


@settings(max_examples=20)
@given(files, st.integers(1, 70), st.integers(1, 70), st.integers(1, 4))
def test_chunks_of_any_size_give_the_same_bytes(
    files: Files, one: int, other: int, partitions: int
) -> None:
    first, done = run(files, one, partitions)
    second, again = run(files, other, partitions)
    assert books(done) == books(again)
    # Kinds go to files of their own, and the order between files means nothing; nor does that
    # between the rows that partitions set aside.
    for topic in {output.topic for output in first + second}:
        mine = [output for output in first if output.topic == topic]
        others = [output for output in second if output.topic == topic]
        if topic not in {"metrics", "alerts"}:
            mine, others = (sorted(some, key=identity) for some in (mine, others))
        assert mine == others, topic


def identity(output: Output) -> bytes:
    return dict(output.headers)["driftline.id"]


@settings(max_examples=20)
@given(files, st.integers(1, 70), st.integers(2, 5))
def test_partitions_change_no_total(files: Files, chunk: int, partitions: int) -> None:
    # Lateness is judged by the clock of each partition, so nothing may be late here.
    on_time: Files = (files[0], files[1], [0])
    one, single = run(on_time, chunk, 1)
    many, several = run(on_time, chunk, partitions)
    assert books(single) == books(several)
    assert rows_by_minute(one) == rows_by_minute(many)


def rows_by_minute(outputs: list[Output]) -> dict[str, tuple[int, Any, Any]]:
    """Predictions, labels and confusion of each final window by prediction time."""
    found = {}
    for output in outputs:
        if output.topic == "metrics":
            window = orjson.loads(output.value)
            if window["type"] == "window" and window["final"] and "predictions" in window:
                name = window["id"].rpartition("|")[0]
                found[name] = (window["predictions"], window["labels"], window.get("confusion"))
    return found
