"""A publisher is told what to do by arguments first and the environment second."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streams import Publisher
from streams.publish.settings import PublisherOptions, PublisherSettings, SaslOptions

SASL: SaslOptions = {"mechanism": "PLAIN", "username": "svc", "password": "hunter2-planted"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415 - only this fixture looks

    for name in list(os.environ):
        if name.startswith("DRIFTLINE_"):
            monkeypatch.delenv(name)


def test_the_environment_fills_what_arguments_leave_open(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2-planted\n")
    for name, value in {
        "BOOTSTRAP_SERVERS": "kafka:9092",
        "PREDICTIONS_TOPIC": "p",
        "FEEDBACK_TOPIC": "f",
        "ENABLED": "off",
        "SAMPLE_RATE": "0.5",
        "SASL_MECHANISM": "PLAIN",
        "SASL_USERNAME": "svc",
        "SASL_PASSWORD_FILE": str(secret),
        "TLS_CA_FILE": "ca.pem",
    }.items():
        monkeypatch.setenv(f"DRIFTLINE_{name}", value)
    settings = PublisherSettings.resolve(None, {"feedback_topic": "mine"})
    assert settings == PublisherSettings(
        bootstrap_servers="kafka:9092",
        predictions_topic="p",
        feedback_topic="mine",
        enabled=False,
        sample_rate=0.5,
        sasl=SASL,
        tls={"ca_file": "ca.pem"},
    )
    assert PublisherSettings.resolve("other:1", {}).bootstrap_servers == "other:1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sample_rate": 1.5}, "sample_rate"),
        ({"max_events": 0}, "max_events"),
        ({"delivery_timeout": 0.01}, "delivery_timeout"),
        ({"when_full": "block"}, "when_full"),
        ({"security_protocol": "SASL_SSL"}, "does not fit"),
        ({"security_protocol": "SASL_PLAINTEXT", "sasl": SASL}, "in the clear"),
    ],
)
def test_contradictions_are_refused(options: PublisherOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PublisherSettings.resolve("kafka:9092", options)


@pytest.mark.parametrize(("name", "value"), [("ENABLED", "perhaps"), ("SAMPLE_RATE", "half")])
def test_unreadable_variables_are_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"DRIFTLINE_{name}", value)
    with pytest.raises(ValueError, match=f"DRIFTLINE_{name} .*'{value}'"):
        Publisher("kafka:9092")


def test_a_missing_address_is_refused_when_the_publisher_is_made() -> None:
    with pytest.raises(ValueError, match="DRIFTLINE_BOOTSTRAP_SERVERS"):
        Publisher()


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"tls": {}}, "SSL"),
        ({"sasl": SASL}, "SASL_SSL"),
        ({"sasl": SASL, "tls": {}}, "SASL_SSL"),
        (
            {"sasl": SASL, "security_protocol": "SASL_PLAINTEXT", "allow_plaintext_sasl": True},
            "SASL_PLAINTEXT",
        ),
    ],
)
def test_librdkafka_understands_the_configuration(options: PublisherOptions, protocol: str) -> None:
    config = PublisherSettings.resolve("127.0.0.1:1", options).producer_config()
    assert config["security.protocol"] == protocol
    Producer(config)


def test_properties_of_librdkafka_win() -> None:
    config: dict[str, Any] = PublisherSettings.resolve(
        "kafka:9092", {"librdkafka": {"linger.ms": 5}}
    ).producer_config()
    assert config["linger.ms"] == 5


def test_secrets_do_not_show() -> None:
    settings = PublisherSettings.resolve("kafka:9092", {"sasl": SASL})
    assert "hunter2-planted" not in repr(settings)
