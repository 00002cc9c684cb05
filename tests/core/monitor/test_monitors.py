"""Several monitors share the models: together they publish what one would, each record once."""

import json
from collections import Counter

from core.monitor.test_processor import MODEL, QUIET, rows_of
from core.monitor.worlds import World, processor, settings_of, together
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.config import Settings
from streams.core.join.bundling import Bundler
from streams.core.processor import feed
from streams.events.partitioner import partition_for
from streams.wire import Chunk, Output

NAMES = [f"model{i}" for i in range(5)]
ROWS = rows_of(1, n=30, sources=2)


def settings_for(monitors: int) -> Settings:
    models = [{**MODEL, "model": name, "segments": []} for name in NAMES]
    return settings_of({"models": models}, {"topics": {"monitor_partitions": monitors}})


def published(monitors: int, cut: int) -> list[list[Output]]:
    """What each monitor publishes of what two joins send."""
    config = settings_for(monitors)
    worlds = [World(config, name) for name in NAMES]
    cuts = {0: [cut], 1: [cut + 40]}
    sources = together([world.bundles(ROWS, QUIET, 2, cuts) for world in worlds])
    sent: list[list[Output]] = [[] for _ in range(monitors)]
    for source, bundles in enumerate(sources):
        bundler = Bundler(source, 2, monitors, config.tick_ms)
        for bundle in bundles:
            for output in bundler.pack(bundle.ticks, bundle.frontier, bundle.books):
                assert output.partition is not None
                sent[output.partition].append(output)
    found = []
    for monitor, outputs in enumerate(sent):
        each = processor(config, partition=monitor)
        n = len(outputs)
        values = [output.value for output in outputs]
        chunk = Chunk(
            "partials", monitor, list(range(n)), [None] * n, list(values), [-1] * n, [()] * n
        )
        feed(each, [chunk], 0)
        status = each.status()
        assert (status["gaps"], status["repeats"], status["news_unknown"]) == (0, 0, 0)
        assert status["book_predictions_in"] == len(ROWS)
        checkpoint = each.checkpoint(0)
        assert checkpoint is not None
        found.append(checkpoint.outputs)
    return found


@settings(max_examples=3, deadline=None)
@given(
    monitors=st.sampled_from([2, 3]),
    cut=st.integers(ROWS[0].ts // 1000 + 1, ROWS[-1].ts // 1000),
)
def test_monitors_together_publish_what_one_would_each_record_once(monitors: int, cut: int) -> None:
    (alone,) = published(1, cut)
    shared = published(monitors, cut)
    assert Counter(o for each in shared for o in each) == Counter(alone)
    ids = [o.headers for each in shared for o in each]
    assert len(ids) == len(set(ids))
    for monitor, outputs in enumerate(shared):
        models = {json.loads(o.value)["model"] for o in outputs}
        assert models == {n for n in NAMES if partition_for(n.encode(), monitors) == monitor}
    assert sum(bool(each) for each in shared) > 1
