"""The pipeline: brokers, topics, processing, limits, and where the models are."""

from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from streams.config.base import Finding, Frozen
from streams.config.connection import KafkaConfig, SaslConfig, TlsConfig
from streams.config.durations import (
    Duration,
    PositiveDuration,
    format_duration,
    from_code,
    parse_duration,
)
from streams.config.names import TopicName
from streams.config.windows import WindowConfig, window_findings

__all__ = [
    "TOPICS",
    "HttpConfig",
    "KafkaConfig",
    "LimitsConfig",
    "PipelineConfig",
    "ProcessingConfig",
    "SaslConfig",
    "SinksConfig",
    "TlsConfig",
    "TopicsConfig",
]

Logical = Literal[
    "predictions",
    "feedback",
    "partials",
    "metrics",
    "alerts",
    "unmatched",
    "quarantine_predictions",
    "quarantine_feedback",
    "state_join",
    "state_monitor",
]


class TopicsConfig(Frozen):
    """Names and shapes of the topics."""

    prefix: TopicName = "driftline"
    """First part of every name that is not set below."""
    predictions: TopicName | None = None
    """What models predicted."""
    feedback: TopicName | None = None
    """What turned out to be true."""
    partials: TopicName | None = None
    """Between the two stages."""
    metrics: TopicName | None = None
    """What was measured."""
    alerts: TopicName | None = None
    """Alerts that opened and resolved; compacted."""
    unmatched: TopicName | None = None
    """Truth that found no prediction, and predictions that found no truth."""
    quarantine_predictions: TopicName | None = None
    """Predictions that could not be read."""
    quarantine_feedback: TopicName | None = None
    """Truth that could not be read."""
    state_join: TopicName | None = None
    """State of the join; compacted."""
    state_monitor: TopicName | None = None
    """State of the monitor; compacted."""
    partitions: int = Field(default=4, ge=1, le=10_000)
    """Partitions of predictions, feedback and the join's state: how far the join scales."""
    monitor_partitions: int = Field(default=1, ge=1, le=10_000)
    """Partitions of partials and the monitor's state: how far the monitor scales."""
    output_partitions: int = Field(default=1, ge=1, le=10_000)
    """Partitions of metrics, alerts, unmatched and quarantine."""
    replication_factor: int = Field(default=1, ge=1, le=100)
    """Copies of each partition; 3 in production."""
    retention: PositiveDuration = 604_800_000
    """How long events and outputs are kept."""

    def name(self, logical: str) -> str:
        """Name of a topic in Kafka.

        Args:
            logical: how the code calls it, such as ``quarantine_predictions``.

        Raises:
            KeyError: there is no such topic.
        """
        if logical not in TOPICS:
            raise KeyError(logical)
        override: str | None = getattr(self, logical)
        return override or f"{self.prefix}.{logical.replace('_', '-')}"

    def partitions_of(self, logical: str) -> int:
        """Partitions that a topic has.

        Args:
            logical: how the code calls it.

        Raises:
            KeyError: there is no such topic.
        """
        if logical not in TOPICS:
            raise KeyError(logical)
        if logical in {"predictions", "feedback", "state_join"}:
            return self.partitions
        if logical in {"partials", "state_monitor"}:
            return self.monitor_partitions
        return self.output_partitions

    def findings(self) -> list[Finding]:
        """No two topics share a name."""
        seen: dict[str, str] = {}
        found = []
        for logical in TOPICS:
            other = seen.setdefault(self.name(logical), logical)
            if other != logical:
                found.append(
                    Finding(
                        (logical,),
                        f"{other} and {logical} are both named {self.name(logical)}; rename one",
                    )
                )
        return found


TOPICS: tuple[str, ...] = get_args(Logical)


def _tick(value: object, info: ValidationInfo) -> object:
    if value == "auto" or from_code(value, info):
        return value
    try:
        milliseconds = parse_duration(value)
    except ValueError as error:
        raise PydanticCustomError("duration", "{reason}, or auto", {"reason": str(error)}) from None
    if milliseconds == 0:
        raise PydanticCustomError("duration", "a tick is more than 0; write 1s or auto")
    return milliseconds


Tick = Annotated[
    int | Literal["auto"],
    BeforeValidator(_tick),
    PlainSerializer(
        lambda tick: tick if tick == "auto" else format_duration(tick),
        return_type=str,
        when_used="json",
    ),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(auto|[0-9]+(\.[0-9]+)?(ms|s|m|h|d))$"},
        mode="validation",
    ),
]


class ProcessingConfig(Frozen):
    """How events are worked through."""

    guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """What a crash may do: nothing; or, without transactions, repeat outputs under the same ids."""
    checkpoint_interval: PositiveDuration = 1_000
    """Time between checkpoints: how much work a crash repeats."""
    checkpoint_timeout: PositiveDuration = 60_000
    """How long a checkpoint may take; at most the brokers' transaction.max.timeout.ms."""
    tick: Tick = "auto"
    """Event time is worked through in steps of this length; auto fits it to the windows."""
    idle_timeout: PositiveDuration = 5_000
    """A partition without events for so long no longer holds back the others."""
    unknown_models: Literal["quarantine", "accept"] = "quarantine"
    """What happens to events of models that have no file."""
    shutdown_timeout: PositiveDuration = 10_000
    """How long a stopping worker may take to finish its checkpoint."""
    max_buffered_rows: int = Field(default=200_000, ge=1_000)
    """Rows per partition that wait for the other sources before reading pauses."""


class LimitsConfig(Frozen):
    """What an event may be at most; events beyond are quarantined."""

    max_id_length: int = Field(default=256, ge=1, le=4_096)
    """Bytes of a prediction id."""
    max_event_bytes: int = Field(default=262_144, ge=1_024)
    """Bytes of a single event."""
    max_batch_bytes: int = Field(default=1_000_000, ge=1_024)
    """Bytes of a batch of events."""
    max_future: Duration = 300_000
    """How far ahead of the broker's clock a timestamp may be."""
    max_age: PositiveDuration | None = 2_592_000_000
    """How far behind the broker's clock a timestamp may be; null for no limit."""
    max_features: int = Field(default=500, ge=1, le=100_000)
    """Features of an event."""
    max_unknown_models: int = Field(default=100, ge=0, le=100_000)
    """Models without a file that are accepted, when they are."""

    def findings(self) -> list[Finding]:
        """A batch may be at least as large as an event."""
        if self.max_batch_bytes < self.max_event_bytes:
            return [Finding(("max_batch_bytes",), "max_batch_bytes is under max_event_bytes")]
        return []


class HttpConfig(Frozen):
    """Metrics for Prometheus, and health."""

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 in a container."""
    port: int = Field(default=9464, ge=0, le=65_535)
    """Port to listen on; 0 takes any free one."""
    max_series: int = Field(default=10_000, ge=100)
    """Time series that one worker shows at most."""
    max_label_values: int = Field(default=100, ge=1)
    """Values of one label of one model; further ones are left out and counted."""


class SinksConfig(Frozen):
    """What is published beside metrics and alerts."""

    publish_unmatched: Annotated[
        frozenset[Literal["late", "orphan", "conflict", "expired"]],
        PlainSerializer(sorted, return_type=list[str], when_used="json"),
    ] = frozenset({"late", "orphan", "conflict"})
    """Which events that found no partner go to the unmatched topic."""


class PipelineConfig(Frozen):
    """The pipeline: ``config/driftline.yaml``."""

    application: TopicName = "driftline"
    """Consumer group, and first part of the state topics' and transactions' names."""
    kafka: KafkaConfig
    """Where the brokers are and how to talk to them."""
    topics: TopicsConfig = TopicsConfig()
    """Names and shapes of the topics."""
    processing: ProcessingConfig = ProcessingConfig()
    """How events are worked through."""
    limits: LimitsConfig = LimitsConfig()
    """What an event may be at most."""
    windows: tuple[WindowConfig, ...] = (
        WindowConfig(size=60_000),
        WindowConfig(size=300_000, hop=60_000),
    )
    """Windows of models that set none."""
    http: HttpConfig = HttpConfig()
    """Metrics for Prometheus, and health."""
    sinks: SinksConfig = SinksConfig()
    """What is published beside metrics and alerts."""
    models: tuple[Path, ...] = ()
    """Model files: paths or globs, relative to this file."""

    def findings(self) -> list[Finding]:
        """The windows fit together; events of undeclared models have somewhere to go."""
        found = [
            Finding(("windows", *finding.path), finding.message, finding.hint)
            for finding in window_findings(self.windows)
        ]
        if not self.models and self.processing.unknown_models == "quarantine":
            found.append(
                Finding(
                    (),
                    "no models: list their files under models, such as models/*.yaml, or set "
                    "processing.unknown_models: accept",
                )
            )
        return found
