"""Connection settings reach aiokafka and Faust alike."""

import asyncio
import ssl
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from streams.config.pipeline import KafkaConfig
from streams.edge.security import client_options, faust_credentials


def kafka(**parts: Any) -> KafkaConfig:
    return KafkaConfig.model_validate({"bootstrap_servers": "broker:9093"} | parts)


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setenv("KAFKA_SECRET", "hush")
    return {"env": "KAFKA_SECRET"}


def test_a_plain_connection_has_neither_context_nor_credentials() -> None:
    options = client_options(kafka())
    assert options["security_protocol"] == "PLAINTEXT"
    assert options["ssl_context"] is None
    assert faust_credentials(kafka()) is None


def test_an_encrypted_connection_verifies_the_broker() -> None:
    context = client_options(kafka(security_protocol="SSL"))["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
def test_faust_and_aiokafka_log_in_the_same_way(
    password: dict[str, str], protocol: str, mechanism: str
) -> None:
    config = kafka(
        security_protocol=protocol,
        allow_plaintext_sasl=True,
        sasl={"mechanism": mechanism, "username": "me", "password": password},
    )
    options = client_options(config)
    auth = credentials_to_aiokafka_auth(faust_credentials(config))
    assert options["sasl_plain_password"] == auth["sasl_plain_password"] == "hush"
    for key in ("security_protocol", "sasl_mechanism", "sasl_plain_username"):
        assert options[key] == auth[key]
    assert (auth["ssl_context"] is not None) == (protocol == "SASL_SSL")


def test_a_token_is_given_when_asked_for(password: dict[str, str]) -> None:
    config = kafka(
        security_protocol="SASL_SSL", sasl={"mechanism": "OAUTHBEARER", "token": password}
    )
    provider = client_options(config)["sasl_oauth_token_provider"]
    assert asyncio.run(provider.token()) == "hush"
    auth = credentials_to_aiokafka_auth(faust_credentials(config))
    assert auth["security_protocol"] == "SASL_SSL"
    assert asyncio.run(auth["sasl_oauth_token_provider"].token()) == "hush"


def test_the_password_shows_in_no_representation(password: dict[str, str]) -> None:
    config = kafka(
        security_protocol="SASL_SSL",
        sasl={"mechanism": "PLAIN", "username": "me", "password": password},
    )
    assert "hush" not in repr(config) + repr(faust_credentials(config))
