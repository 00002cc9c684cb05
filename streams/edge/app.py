"""The Faust application: two agents on the chunk transport, and the services around them."""

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import faust
from faust.tables.manager import TableManager
from faust.types import EventT

from streams.config import Settings
from streams.core.processor import Processor
from streams.edge.checkpoint import AtLeastOnce, Committer
from streams.edge.delivery import Delivery, TopicPartition
from streams.edge.exactly_once import ExactlyOnce
from streams.edge.http import HealthServer, Render
from streams.edge.ledger import OffsetLedger
from streams.edge.runtime import Runtime
from streams.edge.security import client_options, faust_credentials
from streams.edge.sender import KafkaSender
from streams.edge.stage import Stage
from streams.edge.state import StateReader
from streams.edge.status import EdgeStatus
from streams.edge.topics import check_layout, partition_counts
from streams.edge.transactions import KafkaTransactions
from streams.edge.transport import ChunkTransport, Fetching

log = logging.getLogger(__name__)

JOIN, MONITOR = "join", "monitor"
SOURCES = {JOIN: ("predictions", "feedback"), MONITOR: ("partials",)}
"""Logical names of the topics that each stage reads."""

QUEUED_CHUNKS = 4
"""Chunks per agent that wait in memory before reading pauses."""


class ChunkSchema(faust.Schema):
    """Hands the transport's deliveries through; there is nothing to decode."""

    def compile(self, app: Any, **_: Any) -> Callable[..., Any]:
        """Return the function that makes an event of a message."""

        async def decode(message: Any, *, propagate: bool = False) -> EventT:  # noqa: ARG001 - Faust's signature
            event: EventT = app.create_event(None, message.value, message.headers, message)
            return event

        return decode


@dataclass(slots=True)
class Link:
    """What the transport gets to see of the worker."""

    runtime: Runtime
    options: Mapping[str, Any]
    sources: Mapping[str, str]
    fetching: Fetching

    def held(self) -> frozenset[TopicPartition]:
        """Partitions that should not be read for now."""
        return self.runtime.held()

    async def seek_targets(self, tps: frozenset[TopicPartition]) -> dict[TopicPartition, int]:
        """Where to read partitions from."""
        return await self.runtime.seek_targets(tps)

    def committable(self) -> dict[TopicPartition, int]:
        """Offsets that may be committed and are not yet."""
        return self.runtime.committable()

    def note_committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """The broker took these offsets."""
        self.runtime.note_committed(offsets)


class NoTables(TableManager):
    """Faust's tables, of which there are none: starts without the second that it waits for them."""

    async def on_start(self) -> None:
        """Let the agents subscribe."""
        await self._update_channels()
        await self.recovery.start()


class EdgeApp(faust.App):
    """A worker: Faust runs the group, the agents and the life cycle; the runtime does the rest.

    Attributes:
        edge: what the transport sees of it.
        runtime: drives the processors.
        health: its HTTP server.
    """

    edge: Link
    runtime: Runtime
    health: HealthServer
    _settings: Settings
    _sender: KafkaSender | None
    _crashing: asyncio.Task[None] | None = None

    def status(self) -> EdgeStatus:
        """Describe the worker."""
        return self.runtime.status()

    async def on_start(self) -> None:
        """Check the topics, connect, listen; before Faust starts its own services."""
        counts = await partition_counts(self.edge.options)
        check_layout(self._settings, counts)
        if self._sender is not None:
            await self._sender.start()
        await self.health.start()
        log.info("health and metrics on port %s", self.health.port)
        self.runtime.start(self.consumer, self._on_failure)
        await super().on_start()

    async def on_stop(self) -> None:
        """Make the last checkpoint, then let Faust stop; within the shutdown timeout."""
        self._limit_shutdown()
        if self._consumer is not None:
            self._consumer.stop_flow()
            self.flow_control.suspend()
        await self.runtime.close()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        """Disconnect when everything else has stopped."""
        await super().on_shutdown()
        await self.runtime.disconnect()
        if self._sender is not None:
            if self.runtime.failed:
                await self._sender.abort()  # others may own the state by now
            else:
                await self._sender.stop()
        await self.health.stop()

    async def on_group_revoked(self, *_: Any, **__: Any) -> None:
        """Faust's signal: the group takes the partitions away."""
        await self.runtime.revoked()

    async def on_group_assigned(self, *_: Any, **__: Any) -> None:
        """Faust's signal: the new partitions are known and nothing has been read yet."""
        assigned = [TopicPartition(*tp) for tp in self.consumer.assignment()]
        try:
            await self.runtime.assigned(assigned, self.consumer_generation_id)
        except Exception as error:
            self.runtime.fail(error)
            raise

    def on_rebalance_start(self) -> None:
        """Note at once that partitions are about to move."""
        self.runtime.rebalancing()
        super().on_rebalance_start()

    def _on_failure(self, error: BaseException) -> None:
        self._crashing = asyncio.create_task(self.crash(error), name="crash")

    def _limit_shutdown(self) -> None:
        """End the process when stopping takes too long; what is durable stays exact."""
        seconds = self._settings.pipeline.processing.shutdown_timeout / 1000
        if self.in_worker:
            timer = threading.Timer(seconds, _give_up, (seconds,))
            timer.daemon = True
            timer.start()

    def _new_transport(self) -> ChunkTransport:
        return ChunkTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Create none: nothing is kept on disk."""


def _give_up(seconds: float) -> None:
    log.critical("stopping took longer than %g s; ending at once", seconds)
    logging.shutdown()
    os._exit(1)


def create_app(
    settings: Settings,
    build_join: Callable[[int], Processor],
    build_monitor: Callable[[int], Processor],
    *,
    render: Callable[[EdgeApp], Render] | None = None,
    fetching: Fetching | None = None,
) -> EdgeApp:
    """Put a worker together.

    Args:
        settings: the configuration.
        build_join: makes a fresh join processor for a partition.
        build_monitor: makes a fresh monitor processor for a partition.
        render: given the app, returns what renders ``/metrics``.
        fetching: how much is fetched at a time.
    """
    pipeline = settings.pipeline
    kafka, processing, name = pipeline.kafka, pipeline.processing, pipeline.topics.name
    app = EdgeApp(
        pipeline.application,
        broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=faust_credentials(kafka),
        broker_request_timeout=max(kafka.request_timeout, kafka.session_timeout + 1_000) / 1000,
        broker_session_timeout=kafka.session_timeout / 1000,
        broker_heartbeat_interval=kafka.session_timeout / 4000,
        broker_rebalance_timeout=max(60.0, 2 * processing.shutdown_timeout / 1000),
        broker_commit_interval=processing.checkpoint_interval / 1000,
        consumer_group_instance_id=kafka.group_instance_id,
        consumer_auto_offset_reset="earliest",
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        web_enabled=False,
        web_bind="127.0.0.1",
        web_tables_enabled=False,
        web_router_enabled=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=QUEUED_CHUNKS,
        stream_recovery_delay=0.0,
        worker_redirect_stdouts=False,
        autodiscover=False,
        store="memory://",
        TableManager=NoTables,
    )
    # Faust's command would switch the web server on again, on all interfaces.
    app.boot_strategy = faust.app.base.BootStrategy(
        app, enable_kafka_producer=False, enable_web=False
    )
    options = client_options(kafka)
    transactional = processing.guarantee == "exactly_once"
    sender = None if transactional else KafkaSender(options, f"{pipeline.application}-edge")
    ledger = OffsetLedger()
    builds = {JOIN: build_join, MONITOR: build_monitor}
    stages = [
        Stage(
            stage,
            {source: name(source) for source in SOURCES[stage]},
            build,
            _committer(app, settings, stage, sender),
            ledger,
        )
        for stage, build in builds.items()
    ]
    app.runtime = Runtime(
        stages,
        ledger,
        StateReader(options, {stage: name(f"state_{stage}") for stage in SOURCES}),
        checkpoint_timeout=processing.checkpoint_timeout / 1000,
        checkpoint_interval=processing.checkpoint_interval / 1000,
        shutdown_timeout=processing.shutdown_timeout / 1000,
        session_timeout=kafka.session_timeout / 1000,
    )
    sources = {name(source): source for group in SOURCES.values() for source in group}
    app.edge = Link(app.runtime, options, sources, fetching or Fetching())
    rendered = render(app) if render is not None else lambda: (b"", "text/plain; version=0.0.4")
    http = pipeline.http
    app.health = HealthServer(http.host, http.port, app.runtime.status, rendered)
    app._settings, app._sender = settings, sender  # noqa: SLF001 - Faust owns the constructor
    app.on_partitions_revoked.connect(app.on_group_revoked)
    app.on_rebalance_complete.connect(app.on_group_assigned)

    async def feed(stream: AsyncIterable[Delivery]) -> None:
        async for delivery in stream:
            app.runtime.deliver(delivery)

    for stage, logical in SOURCES.items():
        channel = app.topic(*map(name, logical), schema=ChunkSchema(), acks=False)
        app.agent(channel, name=stage)(feed)
    return app


def _committer(
    app: EdgeApp, settings: Settings, stage: str, sender: KafkaSender | None
) -> Committer:
    """Make what makes a stage's checkpoints durable: with a sender of its own, or transactions."""
    pipeline = settings.pipeline
    name, state_topic = pipeline.topics.name, pipeline.topics.name(f"state_{stage}")
    if sender is not None:
        return AtLeastOnce(
            stage,
            state_topic,
            sender,
            name,
            lambda partition, positions: app.runtime.commit_offsets(stage, partition, positions),
            lambda: app.runtime.check_ownership(),  # noqa: PLW0108 - the runtime is set later
        )

    async def open_transactions(stage: str, partition: int) -> KafkaTransactions:
        transactions = KafkaTransactions(
            client_options(pipeline.kafka),
            pipeline.application,
            f"{pipeline.application}-{stage}-{partition}",
            pipeline.processing.checkpoint_timeout / 1000,
        )
        await transactions.open()
        return transactions

    return ExactlyOnce(
        stage,
        state_topic,
        open_transactions,
        name,
        lambda partition, positions: app.runtime.offsets(stage, partition, positions),
        lambda partition, positions: app.runtime.note_stored(stage, partition, positions),
    )
