"""What the README shows works as it is shown."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import streams
from streams.cli.main import COMMANDS
from streams.config import ModelConfig
from streams.payloads import decode

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_publishing_example_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    published = streams.InMemoryPublisher()
    monkeypatch.setattr("streams.Publisher", lambda _: published, raising=False)
    (example,) = blocks("python")
    exec(compile(example, "README.md", "exec"), {})
    assert published.predictions[0]["model"] == "fraud"
    assert published.feedback[0]["prediction_id"] == published.predictions[0]["prediction_id"]


def test_the_model_example_is_a_valid_configuration() -> None:
    (example,) = blocks("yaml")
    assert ModelConfig.model_validate(YAML(typ="safe").load(example)).model == "fraud"


def test_the_alert_example_is_what_the_schema_describes() -> None:
    (example,) = blocks("json")
    assert type(decode(example.encode())).__name__ == "Alert"


def commands() -> list[list[str]]:
    lines = "\n".join(blocks("sh")).splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line for line in words if line[:1] == ["driftline"]]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_and_its_options_exist(words: list[str]) -> None:
    name, *rest = words[1:]
    assert name in COMMANDS
    inner = [rest[0]] if rest and rest[0] in {"check", "create"} else []
    shown = subprocess.run(
        [sys.executable, "-m", "streams.cli", name, *inner, "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in (word for word in rest if word.startswith("--")):
        assert option in shown


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", TEXT))
def test_each_linked_file_is_there(target: str) -> None:
    assert (ROOT / target).exists()
