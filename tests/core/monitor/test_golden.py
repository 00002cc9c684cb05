"""Snapshots that earlier releases wrote are still read, and lead to the same outputs."""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from core.monitor.make_golden import FOLDER, make
from core.monitor.worlds import chunk_of, processor, settings_of

from streams.core.monitor.snapshot import VERSION
from streams.core.processor import Saved

FILES = sorted(FOLDER.glob("*.msgpack.gz"))


def same(ours: Any, theirs: Any) -> bool:
    """Whether two payloads agree, numbers up to rounding."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(ours[k], theirs[k]) for k in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float):
        return bool(ours == pytest.approx(theirs, rel=1e-9, abs=1e-12))
    return bool(ours == theirs)


def continued(golden: dict[str, Any]) -> list[list[Any]]:
    """What a monitor publishes that goes on from the golden snapshot."""
    monitor = processor(settings_of({"models": golden["models"]}))
    monitor.restore(Saved(golden["marker"], golden["records"]))
    first = monitor.positions()["partials"]
    assert first == golden["first"]
    monitor.step(chunk_of(golden["log"], first), 0)
    checkpoint = monitor.checkpoint(0)
    assert checkpoint is not None
    return [[o.topic, o.key, o.value, [list(h) for h in o.headers]] for o in checkpoint.outputs]


def check(golden: dict[str, Any]) -> None:
    ours, theirs = continued(golden), golden["outputs"]
    assert [(t, k, h) for t, k, _, h in ours] == [
        (t, k, [list(one) for one in h]) for t, k, _, h in theirs
    ]
    for (_, _, mine, _), (_, _, its, _) in zip(ours, theirs, strict=True):
        assert same(json.loads(mine), json.loads(its))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_snapshot_continues_to_the_same_outputs(path: Path) -> None:
    golden = msgspec.msgpack.decode(gzip.decompress(path.read_bytes()))
    assert golden["outputs"]
    check(golden)


def test_there_is_a_golden_snapshot_of_the_form_that_is_written_today() -> None:
    assert f"monitor-{VERSION}.msgpack.gz" in {path.name for path in FILES}


def test_what_is_written_today_is_read_likewise() -> None:
    golden = msgspec.msgpack.decode(msgspec.msgpack.encode(make()))
    check(golden)
