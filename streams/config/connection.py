"""The connection to Kafka; what would be less safe than it looks is refused."""

from typing import Annotated, Literal

from pydantic import Field

from streams.config.base import Finding, Frozen
from streams.config.durations import PositiveDuration
from streams.config.files import ExistingFile
from streams.config.names import TopicName
from streams.config.secrets import Secret


class SaslConfig(Frozen):
    """Who the pipeline is to the brokers."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
    """How it proves that."""
    username: str | None = None
    """Name, for all mechanisms but OAUTHBEARER."""
    password: Secret | None = None
    """Password, for all mechanisms but OAUTHBEARER."""
    token: Secret | None = None
    """Token, for OAUTHBEARER."""

    def findings(self) -> list[Finding]:
        """Each mechanism has what it needs and nothing else."""
        needed = {"token"} if self.mechanism == "OAUTHBEARER" else {"username", "password"}
        given = {key for key in ("username", "password", "token") if getattr(self, key) is not None}
        return [
            Finding((), f"{self.mechanism} needs {key}; add it") for key in sorted(needed - given)
        ] + [
            Finding((key,), f"{self.mechanism} does not use {key}; remove it")
            for key in sorted(given - needed)
        ]


class TlsConfig(Frozen):
    """Certificates; the system's trusted authorities when ``ca_file`` is absent."""

    ca_file: ExistingFile | None = None
    """Authorities that may have signed the brokers' certificates, PEM."""
    certificate_file: ExistingFile | None = None
    """The pipeline's own certificate, PEM."""
    key_file: ExistingFile | None = None
    """Key of that certificate, PEM."""
    key_password: Secret | None = None
    """Password of that key."""

    def findings(self) -> list[Finding]:
        """A certificate comes with its key."""
        if (self.certificate_file is None) != (self.key_file is None):
            return [Finding((), "certificate_file and key_file belong together; give both")]
        if self.key_password is not None and self.key_file is None:
            return [Finding(("key_password",), "key_password needs key_file")]
        return []


class KafkaConfig(Frozen):
    """Where the brokers are and how to talk to them."""

    bootstrap_servers: Annotated[str, Field(pattern=r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$")]
    """Brokers to ask first: host:port, several with commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Encryption and authentication."""
    sasl: SaslConfig | None = None
    """Credentials, for the SASL protocols."""
    tls: TlsConfig | None = None
    """Certificates, for the SSL protocols."""
    allow_plaintext_sasl: bool = False
    """Send credentials without encryption. Only for test networks."""
    request_timeout: PositiveDuration = 30_000
    """How long a request may take."""
    session_timeout: PositiveDuration = 10_000
    """A worker that is silent for so long loses its partitions."""
    group_instance_id: TopicName | None = None
    """Static membership: a name for this worker that survives its restarts."""

    def findings(self) -> list[Finding]:
        """Credentials and certificates match the protocol; no password travels in the clear."""
        found = []
        protocol = self.security_protocol
        if protocol.startswith("SASL") and self.sasl is None:
            found.append(Finding((), f"{protocol} needs credentials; add sasl"))
        if self.sasl is not None and not protocol.startswith("SASL"):
            found.append(
                Finding(
                    ("sasl",), f"{protocol} does not use sasl; set security_protocol to SASL_SSL"
                )
            )
        if self.tls is not None and not protocol.endswith("SSL"):
            found.append(
                Finding(("tls",), f"{protocol} does not use tls; set security_protocol to SSL")
            )
        if protocol == "SASL_PLAINTEXT" and not self.allow_plaintext_sasl:
            found.append(
                Finding(
                    ("security_protocol",),
                    "SASL_PLAINTEXT sends the password unencrypted; use SASL_SSL, or set "
                    "allow_plaintext_sasl: true on a test network",
                )
            )
        return found
