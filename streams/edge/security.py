"""Turns the connection part of the configuration into what aiokafka and Faust take.

The configuration itself refuses what would be less safe than it looks, such as SASL without TLS.
"""

import ssl
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT
from pydantic import SecretStr

from streams.config.pipeline import KafkaConfig


class FixedToken(AbstractTokenProvider):
    """Gives the token that the configuration names."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        """Return the token."""
        return self._token


def ssl_context(kafka: KafkaConfig) -> ssl.SSLContext | None:
    """Build the TLS context; None when the connection is not encrypted.

    The broker's certificate and host name are always verified.
    """
    if kafka.security_protocol not in {"SSL", "SASL_SSL"}:
        return None
    tls = kafka.tls
    context = ssl.create_default_context(
        ssl.Purpose.SERVER_AUTH,
        cafile=str(tls.ca_file) if tls and tls.ca_file else None,
    )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls and tls.certificate_file:
        context.load_cert_chain(
            str(tls.certificate_file),
            str(tls.key_file) if tls.key_file else None,
            tls.key_password.get_secret_value() if tls.key_password else None,
        )
    return context


def client_options(kafka: KafkaConfig) -> dict[str, Any]:
    """Build the connection arguments that every aiokafka client takes."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "security_protocol": kafka.security_protocol,
        "request_timeout_ms": kafka.request_timeout,
        "ssl_context": ssl_context(kafka),
    }
    sasl = kafka.sasl
    if sasl is None:
        return options
    options["sasl_mechanism"] = sasl.mechanism
    if sasl.mechanism == "OAUTHBEARER":
        options["sasl_oauth_token_provider"] = FixedToken(_plain(sasl.token))
    else:
        options["sasl_plain_username"] = sasl.username
        options["sasl_plain_password"] = _plain(sasl.password)
    return options


def faust_credentials(kafka: KafkaConfig) -> CredentialsT | None:
    """Build the same for Faust; None for an unencrypted, unauthenticated connection.

    Faust takes SASL without a context of its own as SASL_PLAINTEXT, so the context always goes
    into the credentials.
    """
    context, sasl = ssl_context(kafka), kafka.sasl
    if sasl is None:
        return SSLCredentials(context) if context else None
    if sasl.mechanism == "OAUTHBEARER":
        provider = FixedToken(_plain(sasl.token))
        return OAuthCredentials(oauth_cb=provider, ssl_context=context)
    return SASLCredentials(
        username=sasl.username,
        password=_plain(sasl.password),
        mechanism=sasl.mechanism,
        ssl_context=context,
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
