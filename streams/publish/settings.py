"""Settings of a publisher, from arguments and environment, and librdkafka's form of them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Required, Self, TypedDict

from streams.publish.queue import OverflowPolicy
from streams.publish.stats import LossCallback

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]

MAX_EVENT_BYTES = 262_144
"""Largest JSON of one event; the pipeline quarantines larger ones."""
MAX_BATCH_BYTES = 900_000
"""Largest JSON of one batch message; brokers and clients refuse messages of about 1 MB."""
_LINGER_MS = 20


class SaslOptions(TypedDict, total=False):
    """How to authenticate with SASL."""

    mechanism: Required[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]]
    username: Required[str]
    password: Required[str]


class TlsOptions(TypedDict, total=False):
    """Paths of PEM files; the system's authorities are trusted when ``ca_file`` is absent."""

    ca_file: str
    certificate_file: str
    key_file: str
    key_password: str


class PublisherOptions(TypedDict, total=False):
    """Keyword arguments of a publisher; see ``PublisherSettings`` for their meaning."""

    predictions_topic: str
    feedback_topic: str
    enabled: bool
    sample_rate: float
    max_events: int
    max_bytes: int
    when_full: OverflowPolicy
    delivery_timeout: float
    on_loss: LossCallback | None
    strict: bool
    security_protocol: SecurityProtocol | None
    sasl: SaslOptions | None
    tls: TlsOptions | None
    allow_plaintext_sasl: bool
    librdkafka: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherSettings:
    """Everything a publisher can be told.

    Attributes:
        bootstrap_servers: ``host:port[,host:port]``; environment DRIFTLINE_BOOTSTRAP_SERVERS.
        predictions_topic: DRIFTLINE_PREDICTIONS_TOPIC.
        feedback_topic: DRIFTLINE_FEEDBACK_TOPIC.
        enabled: False turns every call into one that only returns an id; DRIFTLINE_ENABLED.
        sample_rate: share of ids that are published, chosen by a hash of the id, in [0, 1];
            DRIFTLINE_SAMPLE_RATE.
        max_events: most events held, queued or on their way; a batch counts once.
        max_bytes: most bytes of JSON held.
        when_full: "drop_newest" refuses the event at hand, "drop_oldest" makes room for it.
        delivery_timeout: seconds until an unconfirmed event counts as lost.
        on_loss: called with a reason and a number of events at each loss, from any thread.
        strict: raise ``InvalidEventError`` for invalid events instead of counting them.
        security_protocol: follows from ``sasl`` and ``tls`` when None;
            DRIFTLINE_SECURITY_PROTOCOL.
        sasl: DRIFTLINE_SASL_MECHANISM, _USERNAME, and _PASSWORD or _PASSWORD_FILE.
        tls: DRIFTLINE_TLS_CA_FILE, _CERTIFICATE_FILE, _KEY_FILE, and _KEY_PASSWORD or
            _KEY_PASSWORD_FILE.
        allow_plaintext_sasl: accept SASL without TLS, which shows the password to the network.
        librdkafka: further properties of librdkafka; they win over ours.
    """

    bootstrap_servers: str
    predictions_topic: str = "driftline.predictions"
    feedback_topic: str = "driftline.feedback"
    enabled: bool = True
    sample_rate: float = 1.0
    max_events: int = 10_000
    max_bytes: int = 32 * 1024 * 1024
    when_full: OverflowPolicy = "drop_newest"
    delivery_timeout: float = 30.0
    on_loss: LossCallback | None = None
    strict: bool = False
    security_protocol: SecurityProtocol | None = None
    sasl: SaslOptions | None = field(default=None, repr=False)
    tls: TlsOptions | None = field(default=None, repr=False)
    allow_plaintext_sasl: bool = False
    librdkafka: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.enabled and not self.bootstrap_servers:
            raise ValueError(
                "no broker address: give bootstrap_servers or set DRIFTLINE_BOOTSTRAP_SERVERS",
            )
        if not 0 <= self.sample_rate <= 1:
            raise ValueError(f"sample_rate has to lie in [0, 1], not {self.sample_rate}")
        if self.max_events < 1 or self.max_bytes < 1:
            raise ValueError("max_events and max_bytes have to be at least 1")
        if self.delivery_timeout * 1000 <= _LINGER_MS:
            raise ValueError(f"delivery_timeout has to exceed {_LINGER_MS / 1000} s")
        if self.when_full not in {"drop_newest", "drop_oldest"}:
            raise ValueError(f"when_full is drop_newest or drop_oldest, not {self.when_full!r}")
        protocol = self.resolved_protocol
        if protocol.startswith("SASL") != (self.sasl is not None):
            raise ValueError(f"security_protocol {protocol} does not fit the sasl option")
        if protocol == "SASL_PLAINTEXT" and not self.allow_plaintext_sasl:
            raise ValueError(
                "SASL_PLAINTEXT sends the password in the clear; "
                "use SASL_SSL or set allow_plaintext_sasl=True",
            )

    @classmethod
    def resolve(cls, bootstrap_servers: str | None, options: PublisherOptions) -> Self:
        """Fill what the arguments leave open from the environment.

        Raises:
            ValueError: when the settings contradict each other or cannot be read.
        """
        chosen: dict[str, Any] = {**_from_environment(os.environ), **options}
        if bootstrap_servers is not None:
            chosen["bootstrap_servers"] = bootstrap_servers
        chosen.setdefault("bootstrap_servers", "")
        return cls(**chosen)

    @property
    def resolved_protocol(self) -> SecurityProtocol:
        """The security protocol, as given or as it follows from ``sasl`` and ``tls``."""
        if self.security_protocol is not None:
            return self.security_protocol
        if self.sasl is not None:
            return "SASL_SSL"
        return "PLAINTEXT" if self.tls is None else "SSL"

    def producer_config(self) -> dict[str, Any]:
        """Return the configuration of the confluent-kafka producer."""
        config: dict[str, Any] = {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "driftline-publisher",
            "security.protocol": self.resolved_protocol,
            # Predictions and feedback have to meet in the same partition as other clients' do.
            "partitioner": "murmur2",
            "acks": "all",
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": _LINGER_MS,
            "delivery.timeout.ms": int(self.delivery_timeout * 1000),
            # The limits that matter are ours; these only must not be the tighter ones.
            "queue.buffering.max.messages": self.max_events + 100_000,
            "queue.buffering.max.kbytes": max(self.max_bytes // 512, 65_536),
            # Trouble with a broker is told by the losses it causes, not line by line.
            "log_level": 2,
        }
        if self.sasl is not None:
            config["sasl.mechanism"] = self.sasl["mechanism"]
            config["sasl.username"] = self.sasl["username"]
            config["sasl.password"] = self.sasl["password"]
        names = {
            "ca_file": "ssl.ca.location",
            "certificate_file": "ssl.certificate.location",
            "key_file": "ssl.key.location",
            "key_password": "ssl.key.password",
        }
        for option, value in (self.tls or {}).items():
            config[names[option]] = value
        config.update(self.librdkafka)
        return config


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    def read(name: str) -> str | None:
        return environment.get(f"DRIFTLINE_{name}") or None

    def secret(name: str) -> str | None:
        path = read(f"{name}_FILE")
        return read(name) if path is None else Path(path).read_text("utf-8").strip()

    found: dict[str, Any] = {
        "bootstrap_servers": read("BOOTSTRAP_SERVERS"),
        "predictions_topic": read("PREDICTIONS_TOPIC"),
        "feedback_topic": read("FEEDBACK_TOPIC"),
        "security_protocol": read("SECURITY_PROTOCOL"),
    }
    if (enabled := read("ENABLED")) is not None:
        if enabled.lower() not in {"0", "1", "true", "false", "yes", "no", "on", "off"}:
            raise ValueError(f"DRIFTLINE_ENABLED is true or false, not {enabled!r}")
        found["enabled"] = enabled.lower() in {"1", "true", "yes", "on"}
    if (rate := read("SAMPLE_RATE")) is not None:
        try:
            found["sample_rate"] = float(rate)
        except ValueError:
            raise ValueError(f"DRIFTLINE_SAMPLE_RATE is a number, not {rate!r}") from None
    if (mechanism := read("SASL_MECHANISM")) is not None:
        found["sasl"] = {
            "mechanism": mechanism,
            "username": read("SASL_USERNAME") or "",
            "password": secret("SASL_PASSWORD") or "",
        }
    tls = {
        "ca_file": read("TLS_CA_FILE"),
        "certificate_file": read("TLS_CERTIFICATE_FILE"),
        "key_file": read("TLS_KEY_FILE"),
        "key_password": secret("TLS_KEY_PASSWORD"),
    }
    found["tls"] = {name: value for name, value in tls.items() if value is not None} or None
    return {name: value for name, value in found.items() if value is not None}
