"""Checkpoints as transactions on a real Apache Kafka: all or nothing, and for one owner alone."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from edge.harness import ROOT

from streams.core.processor import Checkpoint, StateRecord
from streams.edge import delivery
from streams.edge.checkpoint import AtLeastOnce, Committer
from streams.edge.errors import FencedError, TransactionError
from streams.edge.exactly_once import ExactlyOnce
from streams.edge.saved import Restored
from streams.edge.sender import KafkaSender, Record
from streams.edge.state import StateReader
from streams.edge.transactions import KafkaTransactions
from streams.wire import Output
from support.embedded import StartBroker
from support.kafka import RealKafka
from support.waiting import wait_for

TIMEOUT = 20.0
MAIN = Path(__file__).with_name("transaction_main.py")


class App:
    """The topics of a stage of one partition, and what an onlooker sees of them."""

    def __init__(self, node: RealKafka, name: str) -> None:
        node.create_topics({f"{name}.{t}": 1 for t in ("state-join", "metrics", "predictions")})
        self.name, self.servers = name, node.bootstrap_servers
        self.options = {"bootstrap_servers": node.bootstrap_servers}
        self.opened: list[KafkaTransactions] = []

    async def open(self, stage: str, partition: int) -> KafkaTransactions:
        transactions = KafkaTransactions(
            self.options, self.name, f"{self.name}-{stage}-{partition}", TIMEOUT
        )
        await transactions.open()
        self.opened.append(transactions)
        return transactions

    def exactly_once(self) -> ExactlyOnce:
        tp = delivery.TopicPartition(f"{self.name}.predictions", 0)
        return ExactlyOnce(
            "join",
            f"{self.name}.state-join",
            self.open,
            lambda name: f"{self.name}.{name}",
            lambda _, positions: {tp: positions["predictions"]},
            lambda *_: None,
        )

    def at_least_once(self, sender: KafkaSender) -> AtLeastOnce:
        async def commit(partition: int, positions: Mapping[str, int]) -> None:
            """Leave the offsets alone."""

        topic = f"{self.name}.state-join"
        return AtLeastOnce(
            "join", topic, sender, lambda n: f"{self.name}.{n}", commit, lambda: None
        )

    async def restore(self) -> Restored:
        reader = StateReader(self.options, {"join": f"{self.name}.state-join"})
        return (await reader.read([("join", 0)]))["join", 0]

    def outputs(self, isolation: str = "read_committed") -> list[bytes]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": "onlooker",
                "isolation.level": isolation,
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition(f"{self.name}.metrics", 0, 0)])
        found = []
        try:
            while True:
                message = consumer.poll(20)
                assert message is not None
                if message.error() is not None:
                    return found
                found.append(message.value())
        finally:
            consumer.close()

    def committed(self) -> int:
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": self.name,
                "isolation.level": "read_uncommitted",
            }
        )
        try:
            (tp,) = consumer.committed([TopicPartition(f"{self.name}.predictions", 0)], timeout=20)
        finally:
            consumer.close()
        offset: int = tp.offset
        return max(offset, 0)


def checkpoint(number: int) -> Checkpoint:
    """Make the checkpoint that writes a piece of state and deletes the one before."""
    state = [StateRecord(f"piece-{number}", b"%d" % number)]
    if number > 1:
        state.append(StateRecord(f"piece-{number - 1}", None))
    outputs = [Output("metrics", b"k", b"out-%d" % number)]
    return Checkpoint({"predictions": number * 10}, outputs, state, b"%d" % number)


async def take_over(committer: Committer, app: App) -> Restored:
    await committer.prepare(0)
    restored = await app.restore()
    await committer.adopt(0, restored)
    return restored


@pytest.mark.kafka
async def test_state_outputs_and_offsets_appear_together(kafka: RealKafka) -> None:
    app = App(kafka, "together")
    committer = app.exactly_once()
    assert (await take_over(committer, app)).saved is None
    for number in range(1, 4):
        await committer.commit(0, number, checkpoint(number))
        assert app.committed() == number * 10
    await committer.close()
    restored = await app.restore()
    assert restored.saved is not None
    assert (restored.saved.marker, restored.saved.records) == (b"3", {"piece-3": b"3"})
    assert (restored.stale, restored.outbox) == ([], [])
    assert app.outputs() == [b"out-1", b"out-2", b"out-3"]


@pytest.mark.kafka
async def test_a_former_owner_is_fenced_and_nothing_of_its_work_is_seen(kafka: RealKafka) -> None:
    app = App(kafka, "zombie")
    zombie, heir = app.exactly_once(), app.exactly_once()
    await take_over(zombie, app)
    await zombie.commit(0, 1, checkpoint(1))
    # It stops in the middle of a transaction, with everything sent but the end.
    producer: Any = app.opened[0]._producer
    reached, woken, end = asyncio.Event(), asyncio.Event(), producer.commit_transaction

    async def end_late() -> None:
        reached.set()
        await woken.wait()
        await end()

    producer.commit_transaction = end_late
    late = checkpoint(2)
    late.outputs[:] = [Output("metrics", b"k", b"never")]
    work = asyncio.create_task(zombie.commit(0, 2, late))
    await reached.wait()
    restored = await take_over(heir, app)
    assert restored.saved is not None
    assert list(restored.saved.records) == ["piece-1"]
    assert app.committed() == 10
    woken.set()
    with pytest.raises(FencedError, match="another one has the partition"):
        await work
    with pytest.raises(FencedError):
        await zombie.commit(0, 2, checkpoint(2))
    await heir.commit(0, 2, checkpoint(2))
    assert app.outputs() == [b"out-1", b"out-2"]
    assert b"never" in app.outputs("read_uncommitted")
    assert app.committed() == 20
    await asyncio.gather(zombie.close(), heir.close())


@pytest.mark.kafka
async def test_an_idle_former_owner_is_fenced_at_its_next_checkpoint(kafka: RealKafka) -> None:
    app = App(kafka, "idle")
    zombie, heir = app.exactly_once(), app.exactly_once()
    await take_over(zombie, app)
    await take_over(heir, app)
    with pytest.raises(FencedError, match="another one has the partition"):
        await zombie.commit(0, 1, checkpoint(1))
    await heir.commit(0, 1, checkpoint(1))
    assert app.outputs() == [b"out-1"]
    await asyncio.gather(zombie.close(), heir.close())


@pytest.mark.kafka
async def test_each_guarantee_goes_on_from_the_state_of_the_other(kafka: RealKafka) -> None:
    app = App(kafka, "switch")
    sender = KafkaSender(app.options, "switch")
    await sender.start()
    number = 0
    for turn in range(4):
        committer: Committer = app.at_least_once(sender) if turn % 2 == 0 else app.exactly_once()
        restored = await take_over(committer, app)
        if number:
            assert restored.saved is not None
            assert restored.saved.records == {f"piece-{number}": b"%d" % number}
            # Only what was written without transactions may have to be sent again.
            assert [o.value for o in restored.outbox] == ([b"out-%d" % number] if turn % 2 else [])
        for _ in range(2):
            number += 1
            await committer.commit(0, restored.epoch + number, checkpoint(number))
        await committer.close()
    await sender.stop()
    assert list(dict.fromkeys(app.outputs())) == [b"out-%d" % n for n in range(1, number + 1)]
    restored = await app.restore()
    assert restored.stale == []
    assert restored.saved is not None
    assert restored.saved.records == {f"piece-{number}": b"%d" % number}


@pytest.mark.kafka
@pytest.mark.parametrize("moment", ["begun", "sent", "offsets", "committed"])
async def test_a_kill_at_any_moment_of_a_checkpoint_leaves_all_of_it_or_nothing(
    kafka: RealKafka, moment: str
) -> None:
    app = App(kafka, f"kill-{moment}")
    process = subprocess.Popen(  # noqa: ASYNC220 - starting it takes no time
        [sys.executable, str(MAIN), app.servers, app.name, moment],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])},
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"reached\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    last = 2 if moment == "committed" else 1
    heir = app.exactly_once()
    restored = await take_over(heir, app)
    assert restored.saved is not None
    assert restored.saved.marker == b"%d" % last
    assert restored.saved.records == {f"piece-{last}": b"%d" % last}
    assert app.committed() == last * 10
    await heir.commit(0, restored.epoch + 1, checkpoint(last + 1))
    assert app.outputs() == [b"out-%d" % n for n in range(1, last + 2)]
    await heir.close()


@pytest.mark.kafka
async def test_a_record_that_is_refused_undoes_the_whole_checkpoint(kafka: RealKafka) -> None:
    app = App(kafka, "refused")
    committer = app.exactly_once()
    await take_over(committer, app)
    await committer.commit(0, 1, checkpoint(1))
    bad = checkpoint(2)
    bad.outputs.append(Output("metrics", b"k", b"x" * 3_000_000))
    with pytest.raises(Exception, match="3000"):
        await committer.commit(0, 2, bad)
    with pytest.raises(FencedError):
        await committer.commit(0, 3, checkpoint(3))
    wait_for(lambda: app.outputs() == [b"out-1"], "the transaction to be aborted")
    restored = await app.restore()
    assert restored.saved is not None
    assert restored.saved.marker == b"1"
    assert app.committed() == 10
    await committer.close()


@pytest.mark.kafka
async def test_a_timeout_beyond_the_brokers_says_what_to_lower(kafka: RealKafka) -> None:
    options = {"bootstrap_servers": kafka.bootstrap_servers}
    transactions = KafkaTransactions(options, "g", "too-long", 3600.0)
    with pytest.raises(TransactionError, match=r"processing\.checkpoint_timeout .3600 s. is more"):
        await transactions.open()


@pytest.mark.embedded
async def test_a_broker_that_does_not_answer_for_transactions_names_the_setting(
    embedded: StartBroker,
) -> None:
    broker = embedded({"t": 1})
    options = {"bootstrap_servers": broker.bootstrap_servers, "request_timeout_ms": 500}
    transactions = KafkaTransactions(options, "g", "id", 1.0)
    opening = asyncio.create_task(transactions.open())
    broker.down()
    with pytest.raises(Exception, match=r"processing\.guarantee: at_least_once|KafkaConnection"):
        await opening


async def test_a_transaction_that_was_closed_takes_nothing_more() -> None:
    transactions = KafkaTransactions({"bootstrap_servers": "127.0.0.1:1"}, "g", "id", 1.0)
    with pytest.raises(FencedError, match="have ended"):
        await transactions.commit([Record("t", b"k", b"v")], {})
