"""The checkpoint protocol, with a crash before any one of its records."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from aiokafka.partitioner import DefaultPartitioner
from edge.logs import STATE, Crash, Logs
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.processor import Checkpoint, Saved, StateRecord
from streams.edge.checkpoint import AtLeastOnce
from streams.edge.envelope import PART_BYTES, seal
from streams.edge.errors import StateError
from streams.edge.keys import Keys
from streams.edge.saved import Marker, StateFold, pack_marker, pack_outputs, unpack_outputs
from streams.events.partitioner import partition_for
from streams.wire import Output

LARGE = random.Random(3).randbytes(PART_BYTES + 5)


def committer(logs: Logs) -> AtLeastOnce:
    return AtLeastOnce("join", STATE, logs, lambda name: f"app.{name}", logs.commit, lambda: None)


@dataclass
class Script:
    """A processor's life as plain data: what it writes and deletes, checkpoint by checkpoint."""

    state: dict[str, bytes] = field(default_factory=dict)
    number: int = 0

    def next(self, writes: list[bool], deletes: int) -> Checkpoint:
        self.number += 1
        gone = list(self.state)[:deletes]
        new = {
            f"piece-{self.number}-{i}": LARGE if large else f"{self.number}/{i}".encode()
            for i, large in enumerate(writes)
        }
        for name in gone:
            del self.state[name]
        self.state |= new
        records = [StateRecord(name, None) for name in gone]
        records += [StateRecord(name, value) for name, value in new.items()]
        id_ = str(self.number).encode()
        outputs = [Output("metrics", b"key", id_ + b"-out", (("id", id_),))]
        return Checkpoint({"predictions": self.number}, outputs, records, id_)


STEP = st.tuples(
    st.lists(st.sampled_from([False, False, False, True]), max_size=3),
    st.integers(0, 3),
    st.none() | st.integers(0, 12),
    st.none() | st.integers(0, 8),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=12))
def test_after_any_crash_the_state_is_that_of_a_checkpoint_and_no_output_is_missing(
    steps: list[tuple[list[bool], int, int | None, int | None]],
) -> None:
    asyncio.run(_live(steps))


async def _live(steps: list[tuple[list[bool], int, int | None, int | None]]) -> None:
    logs, script = Logs(), Script()
    restored = logs.restore()
    worker = committer(logs)
    await worker.adopt(0, restored)
    epoch, durable = restored.epoch, Script()
    for writes, deletes, fuse, compaction in steps:
        attempt = Script(dict(script.state), script.number)
        checkpoint = attempt.next(writes, deletes)
        logs.fuse = fuse
        epoch += 1
        try:
            await worker.commit(0, epoch, checkpoint)
            script = attempt
        except Crash:
            logs.fuse = None
            if compaction is not None:
                logs.compact(compaction)
            restored = logs.restore()
            number = int(restored.saved.marker) if restored.saved else 0
            assert number in {durable.number, attempt.number}
            script = attempt if number == attempt.number else durable
            if number:
                expected = Saved(str(number).encode(), script.state)
                assert restored.saved == expected
                assert list(restored.saved.records) == list(script.state)
                assert restored.positions == {"predictions": number}
            assert restored.epoch <= epoch
            epoch = restored.epoch
            worker = committer(logs)
            await worker.adopt(0, restored)
        logs.fuse = None
        durable = Script(dict(script.state), script.number)
        seen = [dict(r.headers)["id"] for r in logs.topics["app.metrics"]]
        assert list(dict.fromkeys(seen)) == [str(n).encode() for n in range(1, durable.number + 1)]
        assert all(c["predictions"] <= durable.number for c in logs.commits)
    await worker.tidy(0)
    newest = {record.key: record.value for record in logs.topics[STATE]}
    live = [key for key, value in newest.items() if key is not None and value is not None]
    names = {Keys("join", 0).parse(key)[0] for key in live}
    assert names <= set(durable.state) | {"marker"}


async def test_state_comes_before_marker_before_outputs_before_offsets() -> None:
    logs = Logs()
    order: list[str] = []
    logs.topics = _Watched(order)

    async def commit(partition: int, positions: object) -> None:
        order.append("commit")

    worker = AtLeastOnce("join", STATE, logs, lambda name: f"app.{name}", commit, lambda: None)
    await worker.commit(0, 1, Script().next([False, True], 0))
    keys = [entry for entry in order if entry.startswith(STATE)]
    assert keys[-1] == f"{STATE} join/0/marker"
    assert order == [*keys, "app.metrics key", "commit"]


class _Watched(dict[str, list[object]]):
    def __init__(self, order: list[str]) -> None:
        super().__init__()
        self.order = order

    def __missing__(self, topic: str) -> list[object]:
        watch = _List()
        watch.topic, watch.order = topic, self.order
        self[topic] = watch
        return watch


class _List(list[object]):
    topic: str
    order: list[str]

    def append(self, record: object) -> None:
        self.order.append(f"{self.topic} {record.key.decode()}")  # type: ignore[attr-defined] # a Record
        super().append(record)


async def test_a_quarantined_record_that_no_broker_would_take_is_cut_and_says_so() -> None:
    logs = Logs()
    large = Output("quarantine_feedback", b"k" * 20_000, LARGE * 2, (("id", b"1"),))
    small = Output("quarantine_feedback", b"k", b"v", (("id", b"2"),))
    await committer(logs).commit(0, 1, Checkpoint({}, [large, small], [], b""))
    cut, kept = logs.topics["app.quarantine_feedback"]
    assert len(cut.key or b"") + len(cut.value or b"") < 1_000_000
    assert dict(cut.headers)["driftline.truncated"] == f"20000+{len(LARGE) * 2}".encode()
    assert (kept.value, kept.headers) == (b"v", small.headers)


@given(st.binary(max_size=40), st.integers(1, 50))
def test_outputs_go_to_the_partition_that_publishers_would_choose(key: bytes, count: int) -> None:
    partitions = list(range(count))
    assert DefaultPartitioner()(key, partitions, partitions) == partition_for(key, count)


@pytest.mark.parametrize("name", ["marker", "outbox/1", "a/~1", ""])
async def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a name"):
        await committer(Logs()).commit(0, 1, Checkpoint({}, [], [StateRecord(name, b"x")], b""))


def fold(*records: tuple[bytes | None, bytes | None]) -> StateFold:
    folded = StateFold(Keys("join", 0), STATE)
    for offset, (key, value) in enumerate(records):
        folded.add(offset, key, value)
    return folded


def marker(epoch: int) -> tuple[bytes, bytes]:
    return b"join/0/marker", seal(pack_marker(Marker(b"m", {}, [])), epoch)[0]


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([(b"join/0/a", b"\x09garbage"), marker(1)], r"'join/0/a' at offset 0 .*version 9"),
        ([(b"join/1/a", seal(b"x", 1)[0]), marker(1)], r"should start with 'join/0/'"),
        ([(b"monitor/0/a", seal(b"x", 1)[0])], r"should start with 'join/0/'"),
        ([(b"join/0/a", seal(LARGE, 1)[0]), marker(1)], r"part 1 of 2 is missing"),
        ([(b"join/0/a/~1", seal(LARGE, 1)[1]), marker(1)], r"first part of this value is missing"),
        ([(b"join/0/a/~1", seal(b"x", 1)[0]), marker(1)], r"part 0 under the key of part 1"),
        ([(b"join/0/marker", seal(b"\xc1", 1)[0])], r"unreadable marker"),
        ([(b"join/0/a", seal(b"x" * 999, 1)[0][:-2]), marker(1)], r"damaged"),
    ],
)
def test_a_broken_record_is_named_and_never_skipped(
    records: list[tuple[bytes, bytes]], reason: str
) -> None:
    with pytest.raises(StateError, match=reason) as caught:
        fold(*records).finish()
    assert f"{STATE}[0]" in str(caught.value)


def test_a_record_without_a_key_is_refused_at_once() -> None:
    with pytest.raises(StateError, match="has no key"):
        fold((None, b"x"))


def test_without_a_marker_nothing_counts_and_everything_is_stale() -> None:
    restored = fold((b"join/0/a", seal(b"x", 4)[0])).finish()
    assert restored.saved is None
    assert restored.epoch == 4
    assert restored.stale == [b"join/0/a"]


def test_outputs_come_back_as_they_were() -> None:
    outputs = [
        Output("metrics", b"k", b"v", (("id", b"1"), ("b", b""))),
        Output("alerts", None, b"", (), 3),
    ]
    assert unpack_outputs(pack_outputs(outputs)) == outputs
