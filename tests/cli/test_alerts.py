"""``driftline alerts`` tells what is open, what happened, and what happens."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streams.cli.alerts import Listing, text_of
from streams.cli.main import main
from streams.payloads import Alert, Contributor, Evidence, encode
from support.embedded import StartBroker

TOPIC = "driftline.alerts"
Captured = pytest.CaptureFixture[str]


def alert(mark: str = "aa", revision: int = 0, **more: Any) -> Alert:
    base: dict[str, Any] = {
        "id": f"{mark}-{revision}",
        "fingerprint": mark,
        "revision": revision,
        "status": "open",
        "severity": "warning",
        "rule": "low",
        "model": "fraud",
        "model_version": "*",
        "segment": "*",
        "summary": f"fraud: {mark} {revision}",
        "opened_at": "2026-11-25T14:05:00.000Z",
        "at": f"2026-11-25T14:{5 + revision:02}:00.000Z",
        "evidence": Evidence(metric="recall"),
    }
    return Alert(**(base | more))


def test_the_last_revision_of_a_fingerprint_decides_whether_it_is_open() -> None:
    listing = Listing()
    for record in [
        alert("aa"),
        alert("bb"),
        alert("aa", 1, status="update"),
        alert("bb", 1, status="resolved"),
        alert("bb", 0),  # a repeat after a restart
    ]:
        listing.take(encode(record))
    assert [(a.fingerprint, a.revision) for a in listing.open()] == [("aa", 1)]


def test_repeats_and_what_is_no_alert_are_passed_over() -> None:
    listing = Listing()
    assert listing.take(encode(alert())) is not None
    assert listing.take(encode(alert())) is None
    assert listing.take(None) is None
    assert listing.take(b"{}") is None
    assert listing.take(b'{"type":"drift"}') is None
    assert listing.unreadable == 2


def test_model_and_severity_narrow_the_list() -> None:
    listing = Listing("fraud", "critical")
    assert listing.take(encode(alert("aa"))) is None
    assert listing.take(encode(alert("bb", severity="critical", model="churn"))) is None
    assert listing.take(encode(alert("cc", severity="critical"))) is not None
    assert [a.fingerprint for a in listing.open()] == ["cc"]


def test_the_text_names_what_contributes_and_the_runbook() -> None:
    evidence = Evidence(metric="psi", contributors=[Contributor(name="amount", share=0.8)])
    text = text_of(alert(evidence=evidence, runbook="https://wiki/drift")).plain
    assert "open      warning   fraud: aa 0" in text
    assert "look at: amount (80 %)" in text
    assert "runbook: https://wiki/drift" in text


Publish = Callable[[Alert], None]


@pytest.fixture
def published(embedded: StartBroker, tmp_path: Path) -> tuple[Publish, str]:
    """Start a broker; gives how to publish an alert, and the pipeline's file."""
    broker = embedded({TOPIC: 3})
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})

    def publish(record: Alert) -> None:
        producer.produce(TOPIC, encode(record), key=record.fingerprint)
        assert producer.flush(20) == 0

    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"kafka: {{bootstrap_servers: '{broker.bootstrap_servers}'}}\n"
        "processing: {unknown_models: accept}\n"
    )
    return publish, str(config)


@pytest.mark.embedded
def test_open_alerts_come_from_all_partitions(
    published: tuple[Publish, str], capsys: Captured
) -> None:
    publish, config = published
    for record in [alert("aa"), alert("bb"), alert("cc"), alert("bb", 1, status="resolved")]:
        publish(record)
    assert main(["alerts", "-c", config, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(line["fingerprint"] for line in lines) == ["aa", "cc"]
    assert main(["alerts", "-c", config]) == 0
    out = capsys.readouterr().out
    assert "fraud: aa 0" in out
    assert "fraud: bb" not in out


@pytest.mark.embedded
def test_since_tells_all_that_happened(published: tuple[Publish, str], capsys: Captured) -> None:
    publish, config = published
    for record in [alert("bb"), alert("bb", 1, status="resolved")]:
        publish(record)
    assert main(["alerts", "-c", config, "--since", "1h", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["fingerprint"], line["status"]) for line in lines] == [
        ("bb", "open"),
        ("bb", "resolved"),
    ]
    assert main(["alerts", "-c", config]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "nothing is open" in captured.err


@pytest.mark.embedded
def test_follow_goes_on_with_what_comes(published: tuple[Publish, str]) -> None:
    publish, config = published
    publish(alert("aa"))
    command = [sys.executable, "-c", "from streams.cli.main import main; main()", "alerts"]
    process = subprocess.Popen(
        [*command, "-c", config, "--follow", "--json"], stdout=subprocess.PIPE, text=True
    )
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["status"] == "open"
        publish(alert("aa", 1, status="resolved"))
        assert json.loads(process.stdout.readline())["status"] == "resolved"
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.mark.embedded
def test_a_topic_that_is_not_there_is_named(
    embedded: StartBroker, tmp_path: Path, capsys: Captured
) -> None:
    broker = embedded({"other": 1})
    config = tmp_path / "driftline.yaml"
    config.write_text(
        f"kafka: {{bootstrap_servers: '{broker.bootstrap_servers}'}}\n"
        "processing: {unknown_models: accept}\n"
    )
    assert main(["alerts", "-c", str(config)]) == 1
    assert f"there is no topic {TOPIC}" in capsys.readouterr().err


def test_a_duration_that_is_none_is_a_usage_error(tmp_path: Path, capsys: Captured) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text("kafka: {bootstrap_servers: 'a:1'}\nprocessing: {unknown_models: accept}\n")
    assert main(["alerts", "-c", str(config), "--since", "soon"]) == 2
    assert "--since: a duration is" in capsys.readouterr().err
