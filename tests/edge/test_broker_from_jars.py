"""The test broker says what is missing where it cannot run."""

from pathlib import Path

import pytest

from support import kafka


def test_without_java_the_reason_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(kafka.KafkaUnavailableError, match="java is not installed"):
        kafka.jars()


def test_without_maven_jars_that_were_fetched_before_still_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kafka.shutil, "which", lambda name: name if name == "java" else None)
    monkeypatch.setattr(kafka, "CACHE", tmp_path)
    with pytest.raises(kafka.KafkaUnavailableError, match="mvn is not installed"):
        kafka.jars()
    library = tmp_path / kafka.kafka_version() / "lib"
    library.mkdir()
    assert kafka.jars() == library
