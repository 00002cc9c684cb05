"""The life of processors, with everything around them played by the tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import pytest
from edge.logs import STATE, Logs
from edge.totals import Totals

from streams.edge.checkpoint import AtLeastOnce
from streams.edge.delivery import Delivery, TopicPartition
from streams.edge.errors import EdgeError, OwnershipError, StateError, TopicError
from streams.edge.keys import Keys
from streams.edge.ledger import OffsetLedger
from streams.edge.runtime import Runtime
from streams.edge.saved import Restored, StateFold
from streams.edge.stage import Stage
from streams.wire import Chunk

SOURCES = {"predictions": "app.predictions", "feedback": "app.feedback"}
TPS = [TopicPartition(topic, 0) for topic in SOURCES.values()]


class Broker(Logs):
    """Plays the group's consumer and the reader of state as well."""

    def __init__(self) -> None:
        super().__init__()
        self.first = dict.fromkeys(TPS, 0)
        self.end = dict.fromkeys(TPS, 1000)
        self.sought: list[dict[TopicPartition, int]] = []
        self.counts = dict.fromkeys(SOURCES.values(), 1)
        self.offsets: dict[TopicPartition, int] = {}
        self.reads = 0
        self.member = True
        self.answering = asyncio.Event()
        self.answering.set()
        self.runtime: Runtime | None = None

    async def read(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Restored]:
        self.reads += 1
        found = {}
        for stage, partition in wanted:
            fold = StateFold(Keys(stage, partition), STATE)
            for offset, record in enumerate(self.topics[STATE]):
                fold.add(offset, record.key, record.value)
            found[stage, partition] = fold.finish()
        return found

    async def bounds(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int, int]]:
        return {tp: (self.first[tp], self.end[tp]) for tp in tps}

    async def seek_to(self, positions: Mapping[TopicPartition, int]) -> None:
        self.sought.append(dict(positions))

    async def commit(self, *_: object) -> bool:
        assert self.runtime is not None
        await self.answering.wait()
        offsets = self.runtime.committable()
        self.offsets |= offsets
        self.runtime.note_committed(offsets)
        return True

    def end_offset(self, tp: TopicPartition, within: float) -> int | None:
        return self.end[tp]

    def partition_count(self, topic: str) -> int:
        return self.counts[topic]

    def is_member(self) -> bool:
        return self.member


class World:
    """A runtime on a played broker; ``restart`` makes another one on the same records."""

    def __init__(self, committer: type[AtLeastOnce] = AtLeastOnce) -> None:
        self.broker = Broker()
        self.made = committer
        self.failures: list[BaseException] = []
        self.runtimes: list[Runtime] = []
        self.restart()

    def restart(self, session_timeout: float = 10.0, checkpoint_timeout: float = 5.0) -> Runtime:
        ledger = OffsetLedger()

        async def commit(partition: int, positions: Mapping[str, int]) -> None:
            await runtime.commit_offsets("join", partition, positions)

        committer = self.made(
            *("join", STATE, self.broker, lambda name: f"app.{name}", commit),
            check_ownership=lambda: runtime.check_ownership(),  # noqa: PLW0108 - set below
        )
        stage = Stage("join", SOURCES, lambda p: Totals(tuple(SOURCES), p), committer, ledger)
        self.stage, self.committer = stage, committer
        runtime = Runtime(
            [stage],
            ledger,
            self.broker,
            checkpoint_interval=0.05,
            checkpoint_timeout=checkpoint_timeout,
            shutdown_timeout=1.0,
            session_timeout=session_timeout,
        )
        self.broker.runtime = self.runtime = runtime
        runtime.start(self.broker, self.failures.append)
        self.runtimes.append(runtime)
        return runtime

    def deliver(self, source: str, start: int, end: int) -> None:
        n = end - start
        values: list[bytes | None] = [f"x:{offset}".encode() for offset in range(start, end)]
        chunk = Chunk(source, 0, list(range(start, end)), [None] * n, values, [-1] * n, [()] * n)
        tp = TopicPartition(SOURCES[source], 0)
        self.runtime.deliver(Delivery(tp, start, end, chunk))

    @property
    def processor(self) -> Totals:
        (processor,) = self.runtime.processors()
        assert isinstance(processor, Totals)
        return processor


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    for runtime in world.runtimes:
        await runtime.close()


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the loop run until a condition holds."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)


async def test_a_chunk_lost_on_the_way_is_read_again(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    world.deliver("predictions", 20, 30)
    await until(lambda: world.broker.sought, "a seek")
    assert world.broker.sought == [{TPS[0]: 10}]
    world.deliver("predictions", 10, 25)
    world.deliver("predictions", 5, 30)
    assert world.processor.read["predictions"] == 30
    assert world.processor.counts["predictions"] == 29  # the last one is held back
    assert world.processor.totals["x"] == sum(range(29))


async def test_what_retention_removed_is_told_and_does_not_stop_the_work(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    world.broker.first[TPS[0]] = 50
    world.deliver("predictions", 50, 60)
    await until(lambda: world.broker.sought, "a seek")
    world.deliver("predictions", 50, 60)
    (partition,) = world.runtime.status().partitions
    assert [s.lost for s in partition.sources] == [40, 0]
    assert world.processor.read["predictions"] == 60


async def test_a_rebalance_that_gives_the_partition_back_keeps_the_processor(
    world: World,
) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    before = world.processor
    await world.runtime.revoked()
    world.deliver("predictions", 10, 20)  # comes too late, is dropped
    await world.runtime.assigned(TPS, 2)
    assert world.processor is before
    assert await world.runtime.seek_targets(frozenset(TPS)) == {TPS[0]: 10, TPS[1]: 0}
    assert world.broker.reads == 1


async def test_a_partition_that_others_may_have_had_is_restored(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    before = world.processor
    await world.runtime.revoked()
    await world.runtime.assigned(TPS, 3)
    assert world.processor is not before
    assert world.broker.reads == 2
    # The record that the processor held back is not part of its state and is read again.
    assert await world.runtime.seek_targets(frozenset(TPS)) == {TPS[0]: 9, TPS[1]: 0}


async def test_a_worker_that_the_group_lost_sight_of_writes_no_state_and_restores(
    world: World,
) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    await until(lambda: world.broker.offsets, "a checkpoint")
    world.broker.member = False
    world.deliver("predictions", 10, 20)
    written = len(world.broker.topics[STATE])
    await asyncio.sleep(0.2)
    await world.runtime.revoked()
    assert len(world.broker.topics[STATE]) == written
    assert world.runtime.processors() == []
    world.broker.member = True
    await world.runtime.assigned(TPS, 2)
    assert world.broker.reads == 2
    assert await world.runtime.seek_targets(frozenset(TPS)) == {TPS[0]: 9, TPS[1]: 0}
    assert world.failures == []


async def test_membership_lost_during_a_checkpoint_keeps_the_marker_from_being_written(
    world: World,
) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    await until(lambda: world.broker.offsets, "a checkpoint")
    markers = [r for r in world.broker.topics[STATE] if r.key == b"join/0/marker"]
    world.deliver("predictions", 10, 20)
    world.broker.member = False
    with pytest.raises(OwnershipError, match="no longer knows"):
        await world.stage.checkpoint(world.stage.slots[0], 10**13)
    assert markers == [r for r in world.broker.topics[STATE] if r.key == b"join/0/marker"]


async def test_committed_offsets_follow_the_state_and_never_pass_it(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    await until(lambda: world.broker.offsets, "a commit")
    assert world.broker.offsets[TPS[0]] == 9


async def test_a_partition_without_its_partner_is_refused(world: World) -> None:
    with pytest.raises(TopicError, match=r"without that of \['feedback'\]"):
        await world.runtime.assigned(TPS[:1], 1)


async def test_topics_of_different_width_are_refused(world: World) -> None:
    world.broker.counts["app.feedback"] = 2
    with pytest.raises(TopicError, match="same number of partitions"):
        await world.runtime.assigned(TPS, 1)


async def test_state_ahead_of_its_topic_is_refused(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    await world.runtime.close()
    world.broker.end = dict.fromkeys(TPS, 3)
    with pytest.raises(StateError, match="up to offset 9, but the topic ends at 3"):
        await world.restart().assigned(TPS, 1)


async def test_a_failure_in_a_processor_ends_the_work_without_another_write(
    world: World,
) -> None:
    await world.runtime.assigned(TPS, 1)
    poison = Chunk("predictions", 0, [0, 1], [None] * 2, [b"x:1", b"poison"], [-1] * 2, [()] * 2)
    world.runtime.deliver(Delivery(TPS[0], 0, 2, poison))
    assert isinstance(world.failures[0], ValueError)
    written = len(world.broker.topics[STATE])
    world.deliver("feedback", 0, 5)
    await world.runtime.close()
    assert len(world.broker.topics[STATE]) == written
    assert world.runtime.committable() == {}
    assert world.runtime.status().phase == "failed"


async def test_a_broker_that_refuses_state_ends_the_work(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.broker.fuse = 0
    world.deliver("predictions", 0, 10)
    await until(lambda: world.failures, "a failure")
    assert "failed" in world.runtime.status().reason


async def test_a_last_checkpoint_that_hangs_ends_the_worker_instead_of_the_rebalance(
    world: World,
) -> None:
    await world.runtime.assigned(TPS, 1)
    world.broker.answering.clear()
    world.deliver("predictions", 0, 10)
    await world.runtime.revoked()
    world.broker.answering.set()
    assert isinstance(world.failures[0], OwnershipError)


async def test_a_process_that_stood_still_for_too_long_gives_up_its_partitions(
    world: World,
) -> None:
    runtime = world.restart(session_timeout=-1.0)
    await runtime.assigned(TPS, 1)
    await until(lambda: world.failures, "a failure")
    assert isinstance(world.failures[0], EdgeError)
    assert "stood still" in str(world.failures[0])


async def test_a_source_with_unread_records_is_not_taken_for_idle(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.broker.end = {TPS[0]: 10, TPS[1]: 6}
    world.deliver("predictions", 0, 10)
    world.deliver("feedback", 0, 5)
    world.processor.arrived = {"predictions": 0, "feedback": 0}
    await until(lambda: "predictions" not in world.processor.held, "time to pass for predictions")
    assert "feedback" in world.processor.held
    world.deliver("feedback", 5, 6)
    await until(lambda: not world.processor.held, "time to pass")


async def test_a_source_that_is_far_ahead_is_held_until_the_other_has_caught_up(
    world: World,
) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 600)
    assert world.runtime.held() == {TPS[0]}
    world.deliver("feedback", 0, 300)
    assert world.runtime.held() == frozenset()


async def test_an_orderly_end_leaves_nothing_superfluous_in_the_state(world: World) -> None:
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    await world.runtime.close()
    restored = world.broker.restore()
    assert restored.stale == []
    assert restored.outbox == []
    assert restored.saved is not None
