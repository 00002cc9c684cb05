"""The topics that the pipeline needs: what they should look like, creating them, checking them."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, for_code

from streams.config import Settings
from streams.config.pipeline import TOPICS, TopicsConfig
from streams.edge.errors import BrokerError, TopicError
from streams.edge.security import client_options

State = Literal["missing", "created", "exists", "differs"]

_MESSAGE_OVERHEAD = 64 * 1024
_DEFAULT_MESSAGE_BYTES = 1_048_588
_STATE_SEGMENT_BYTES = 64 * 1024 * 1024
_TOPIC_ALREADY_EXISTS = 36
_VISIBLE_SECONDS = 30.0
_LOOK_AGAIN_SECONDS = 0.05
_COMPACTED = frozenset({"alerts", "state_join", "state_monitor"})
_JOIN_SIDE = frozenset({"predictions", "feedback", "state_join"})
_MONITOR_SIDE = frozenset({"partials", "state_monitor"})


@dataclass(slots=True, frozen=True)
class TopicSpec:
    """What a topic should look like.

    Attributes:
        logical: name in the code, such as "state_join".
        name: name in Kafka.
        partitions: number of partitions.
        replication_factor: copies of each partition.
        config: settings that differ from what a broker does by itself.
    """

    logical: str
    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


@dataclass(slots=True, frozen=True)
class TopicReport:
    """What was found, and what to do about it.

    Attributes:
        spec: what the topic should look like.
        state: "missing", "created", "exists" (as it should) or "differs".
        advice: one line per difference, saying what to do.
    """

    spec: TopicSpec
    state: State
    advice: list[str] = field(default_factory=list)


def declare(settings: Settings) -> list[TopicSpec]:
    """Work out every topic from the configuration."""
    topics = settings.pipeline.topics
    return [
        TopicSpec(
            logical,
            topics.name(logical),
            _partitions(topics, logical),
            topics.replication_factor,
            _config(settings, logical),
        )
        for logical in TOPICS
    ]


def _partitions(topics: TopicsConfig, logical: str) -> int:
    if logical in _JOIN_SIDE:
        return topics.partitions
    return topics.monitor_partitions if logical in _MONITOR_SIDE else topics.output_partitions


def _config(settings: Settings, logical: str) -> dict[str, str]:
    topics = settings.pipeline.topics
    config = {"cleanup.policy": "delete", "retention.ms": str(topics.retention)}
    if logical in _COMPACTED:
        config = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.2"}
    if logical in {"state_join", "state_monitor"}:
        # Only closed segments are compacted, and a restoring worker reads what is not.
        config["segment.bytes"] = str(_STATE_SEGMENT_BYTES)
    batch = settings.pipeline.limits.max_batch_bytes + _MESSAGE_OVERHEAD
    if logical.removeprefix("quarantine_") in {"predictions", "feedback"}:
        config["max.message.bytes"] = str(max(batch, _DEFAULT_MESSAGE_BYTES))
    if topics.replication_factor >= 3:
        # A write counts when a majority has it, and the topic survives the loss of a broker.
        config["min.insync.replicas"] = str(topics.replication_factor // 2 + 1)
    return config


def check_layout(settings: Settings, counts: Mapping[str, int]) -> None:
    """Check that a worker can run on the topics that exist.

    Args:
        settings: the configuration.
        counts: number of partitions by name of topic.

    Raises:
        TopicError: topics are missing, or numbers of partitions that must be equal are not.
    """
    name = settings.pipeline.topics.name
    missing = [name(logical) for logical in TOPICS if name(logical) not in counts]
    if missing:
        raise TopicError(
            f"topics missing: {', '.join(missing)}. Create them with: driftline topics create"
        )
    for group in (("predictions", "feedback", "state_join"), ("partials", "state_monitor")):
        found = {name(logical): counts[name(logical)] for logical in group}
        if len(set(found.values())) > 1:
            listed = ", ".join(f"{topic} has {n}" for topic, n in found.items())
            raise TopicError(
                f"these topics must have the same number of partitions, but {listed}. Create the "
                "wrong ones anew (driftline topics create) under another topics.prefix, or delete "
                "them first; adding partitions to a topic in use would send keys elsewhere"
            )


async def inspect(settings: Settings) -> list[TopicReport]:
    """Compare the topics in Kafka with what the configuration asks for; changes nothing."""
    return await _run(settings, create_missing=False)


async def create(settings: Settings) -> list[TopicReport]:
    """Create the topics that are missing and compare the others; safe to repeat.

    Raises:
        TopicError: the broker refused to create a topic.
    """
    return await _run(settings, create_missing=True)


async def partition_counts(options: Mapping[str, Any]) -> dict[str, int]:
    """Ask the broker for the number of partitions of every topic.

    Args:
        options: connection arguments, see ``security.client_options``.

    Raises:
        BrokerError: no broker answers.
    """
    admin = AIOKafkaAdminClient(**options)
    try:
        await admin.start()
        return _counts(await admin.describe_topics())
    except KafkaConnectionError as error:
        raise BrokerError(
            f"no broker answers at {options['bootstrap_servers']}: start one, or correct "
            f"kafka.bootstrap_servers and, where brokers are secured, kafka.security_protocol "
            f"({error})"
        ) from error
    finally:
        await admin.close()


async def _run(settings: Settings, *, create_missing: bool) -> list[TopicReport]:
    admin = AIOKafkaAdminClient(**client_options(settings.pipeline.kafka))
    try:
        await admin.start()
        specs = declare(settings)
        found = {topic["topic"]: topic for topic in await admin.describe_topics()}
        missing = [spec for spec in specs if spec.name not in found]
        present = [spec for spec in specs if spec.name in found]
        configs = await _configs(admin, [spec.name for spec in present])
        reports = [compare(spec, found[spec.name], configs[spec.name]) for spec in present]
        if create_missing:
            reports += [await _create(admin, spec) for spec in missing]
            await _wait_until_visible(admin, {spec.name for spec in missing})
        else:
            advice = ["create it with: driftline topics create"]
            reports += [TopicReport(spec, "missing", advice) for spec in missing]
    finally:
        await admin.close()
    order = {spec.name: i for i, spec in enumerate(specs)}
    return sorted(reports, key=lambda report: order[report.spec.name])


def compare(
    spec: TopicSpec, found: Mapping[str, Any], config: Mapping[str, str | None]
) -> TopicReport:
    """Compare one topic with what it should look like.

    Args:
        spec: what it should look like.
        found: the broker's description, with "partitions", each with "replicas".
        config: the topic's settings as the broker tells them.
    """
    advice = []
    partitions = found["partitions"]
    if len(partitions) != spec.partitions:
        advice.append(
            f"it has {len(partitions)} partitions, the configuration says {spec.partitions}: set "
            "topics.partitions, monitor_partitions or output_partitions to match, or use another "
            "topics.prefix; adding partitions to a topic in use would send keys elsewhere"
        )
    replicas = min((len(p["replicas"]) for p in partitions), default=0)
    if replicas < spec.replication_factor:
        advice.append(
            f"it has {replicas} replicas, the configuration says {spec.replication_factor}: "
            "reassign its partitions with kafka-reassign-partitions"
        )
    advice += [
        f"{key} is {config.get(key)}, should be {value}: kafka-configs --alter --topic {spec.name} "
        f"--add-config {key}={value}"
        for key, value in spec.config.items()
        if config.get(key) != value
    ]
    return TopicReport(spec, "differs" if advice else "exists", advice)


def _counts(described: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


async def _configs(
    admin: AIOKafkaAdminClient, names: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configs: dict[str, dict[str, str | None]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries, *_ in response.resources:
            if code:
                raise TopicError(f"the settings of {name} cannot be read: {message or code}")
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs


async def _wait_until_visible(admin: AIOKafkaAdminClient, names: set[str]) -> None:
    """Return when brokers tell of new topics; they learn of them a moment after the controller."""
    deadline = time.monotonic() + _VISIBLE_SECONDS
    while names - set(_counts(await admin.describe_topics())):
        if time.monotonic() > deadline:
            raise TopicError(f"created but not visible yet: {', '.join(sorted(names))}; try again")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _create(admin: AIOKafkaAdminClient, spec: TopicSpec) -> TopicReport:
    new = NewTopic(
        spec.name, spec.partitions, spec.replication_factor, topic_configs=dict(spec.config)
    )
    response = await admin.create_topics([new])
    for _, code, message, *_ in response.topic_errors:
        if code == _TOPIC_ALREADY_EXISTS:
            return TopicReport(spec, "exists")
        if code:
            reason = message or for_code(code).__name__
            raise TopicError(f"{spec.name} could not be created: {reason}")
    return TopicReport(spec, "created")
