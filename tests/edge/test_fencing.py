"""What happens to a partition whose transactions the broker does not take any more."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from aiokafka.errors import KafkaError
from edge.test_runtime import TPS, World, until

from streams.core.processor import Checkpoint
from streams.edge.checkpoint import AtLeastOnce
from streams.edge.errors import FencedError, StuckError
from streams.edge.saved import Restored
from streams.edge.transactions import KafkaTransactions


class Fencing(AtLeastOnce):
    """Keeps former owners from writing, on the word of the test."""

    fences = True
    fenced = False
    stuck = False
    order: list[str]

    async def prepare(self, partition: int) -> None:
        self.order.append("prepare")
        self.fenced = False

    async def commit(self, partition: int, epoch: int, checkpoint: Checkpoint) -> None:
        if self.fenced:
            raise FencedError("another one has the partition")
        if self.stuck:
            await asyncio.Event().wait()
        await super().commit(partition, epoch, checkpoint)


class Watched(World):
    """A world with fencing, that notes in which order partitions are taken over."""

    committer: Fencing

    def __init__(self) -> None:
        super().__init__(Fencing)
        self.order: list[str] = []

    def begin(self, session_timeout: float = 0.3, checkpoint_timeout: float = 5.0) -> None:
        self.restart(session_timeout, checkpoint_timeout)
        self.committer.order = self.order
        read = self.broker.read

        async def noted(wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], Restored]:
            self.order.append("read")
            return await read(wanted)

        self.broker.read = noted  # type: ignore[method-assign] # the test listens


@pytest.fixture
async def world() -> AsyncIterator[Watched]:
    world = Watched()
    yield world
    for runtime in world.runtimes:
        await runtime.close()


async def test_former_owners_are_fenced_before_the_state_is_read(world: Watched) -> None:
    world.begin()
    await world.runtime.assigned(TPS, 1)
    assert world.order == ["prepare", "read"]


async def test_a_fenced_partition_stops_at_once_and_is_restored_if_it_stays_this_workers(
    world: Watched,
) -> None:
    world.begin()
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    await until(lambda: world.broker.offsets, "a checkpoint")
    world.committer.fenced = True
    world.deliver("predictions", 10, 20)
    await until(lambda: not world.runtime.processors(), "the partition to be given up")
    world.deliver("predictions", 20, 30)  # goes nowhere
    await until(world.runtime.processors, "it to be restored")
    await until(lambda: world.broker.sought, "a seek")
    assert world.broker.sought[-1] == {TPS[0]: 9, TPS[1]: 0}
    assert world.order == ["prepare", "read"] * 2
    assert world.runtime.status().fencings == 1
    world.deliver("predictions", 9, 30)
    assert world.processor.counts["predictions"] == 29
    assert world.failures == []


async def test_a_fenced_partition_that_the_group_gave_to_another_is_not_taken_back(
    world: Watched,
) -> None:
    world.begin(session_timeout=30.0)
    await world.runtime.assigned(TPS, 1)
    world.committer.fenced = True
    world.deliver("predictions", 0, 10)
    await until(lambda: not world.runtime.processors(), "the partition to be given up")
    await world.runtime.revoked()
    await world.runtime.assigned([], 2)
    await asyncio.sleep(0.3)
    assert world.order == ["prepare", "read"]
    assert world.failures == []
    await world.runtime.revoked()
    await world.runtime.assigned(TPS, 3)
    assert world.order == ["prepare", "read"] * 2
    assert len(world.runtime.processors()) == 1


async def test_a_partition_that_is_fenced_while_the_group_rebalances_does_no_harm(
    world: Watched,
) -> None:
    world.begin()
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    world.committer.fenced = True
    await world.runtime.revoked()
    await world.runtime.assigned(TPS, 2)
    assert world.order == ["prepare", "read"] * 2
    assert world.failures == []


async def test_a_checkpoint_that_hangs_before_a_rebalance_is_given_up_and_the_worker_lives(
    world: Watched,
) -> None:
    world.begin()
    await world.runtime.assigned(TPS, 1)
    world.committer.stuck = True
    world.deliver("predictions", 0, 10)
    await world.runtime.revoked()
    assert world.failures == []
    assert world.runtime.processors() == []
    world.committer.stuck = False
    await world.runtime.assigned(TPS, 2)
    assert world.order == ["prepare", "read"] * 2


async def test_a_worker_with_fencing_may_stand_still(world: Watched) -> None:
    world.begin(session_timeout=-1.0)
    await world.runtime.assigned(TPS, 1)
    world.deliver("predictions", 0, 10)
    await until(lambda: world.broker.offsets, "a checkpoint")
    assert world.failures == []


async def test_a_checkpoint_that_never_ends_stops_the_worker_and_says_what_to_look_at(
    world: Watched,
) -> None:
    world.begin(checkpoint_timeout=0.2)
    await world.runtime.assigned(TPS, 1)
    world.committer.stuck = True
    world.deliver("predictions", 0, 10)
    await until(lambda: world.failures, "a failure")
    (failure,) = world.failures
    assert isinstance(failure, StuckError)
    assert "full or broken disk" in str(failure)


async def test_a_worker_without_partitions_is_not_told_that_it_lost_them(
    world: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    world.begin()
    world.broker.member = False
    await world.runtime.revoked()
    assert "lost sight" not in caplog.text
    world.broker.member = True
    await world.runtime.assigned(TPS, 1)
    world.broker.member = False
    await world.runtime.revoked()
    assert "lost sight" in caplog.text


def test_whatever_else_the_broker_refuses_is_told_with_what_to_look_at() -> None:
    transactions = KafkaTransactions({}, "group", "group-join-0", timeout=1.0)
    error = transactions._explained(KafkaError("Unexpected error during batch delivery"))

    assert isinstance(error, StuckError)
    assert "full or broken disk" in str(error)
    fault = ZeroDivisionError()
    assert transactions._explained(fault) is fault
