import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from streams.cli.main import main
from streams.config.load import load
from streams.config.schema import model_schema, pipeline_schema

SHIPPED = Path(__file__).parents[2] / "config" / "driftline.yaml"

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "driftline.yaml"
    path.write_text("kafka: {bootstrap_servers: 'a:1'}\nmodels: [m.yaml]\nhttp: {prot: 1}\n")
    (tmp_path / "m.yaml").write_text("model: m\ntask: binary\nclasses: [a]\n")
    return path


def test_check_prints_every_problem_at_its_line_and_fails_as_usage(
    wrong: Path, capsys: Captured
) -> None:
    assert main(["config", "check", str(wrong)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    count = "a binary model has exactly two classes, not 1; list both"
    assert captured.err.splitlines() == [
        f"{wrong}:3: http.prot: unknown key 'prot' (did you mean 'port'?)",
        f"{wrong.parent}/m.yaml:3: classes: {count}",
        "2 problems",
    ]


def test_check_gives_problems_as_json_too(wrong: Path, capsys: Captured) -> None:
    assert main(["config", "check", "--json", str(wrong)]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["problems"][0] == {
        "file": str(wrong),
        "line": 3,
        "key": "http.prot",
        "message": "unknown key 'prot'",
        "hint": "did you mean 'port'?",
    }


def test_check_says_what_will_run(capsys: Captured) -> None:
    assert main(["config", "check", str(SHIPPED)]) == 0
    out = capsys.readouterr().out
    assert f"{SHIPPED} is fine." in out
    assert "driftline.quarantine-predictions" in out
    assert "model fraud: binary, waits 7d for truth" in out
    assert "adwin on error" in out
    assert "1m, 5m/1m, 1h/5m" in out


def test_check_gives_what_will_run_as_json_too(capsys: Captured) -> None:
    assert main(["config", "check", "--json", str(SHIPPED)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is True
    assert [model["model"] for model in report["models"]] == ["feed", "fraud", "price", "topic"]
    assert report["models"][0]["tags"] == ["country", "user"]
    assert {"topic": "feedback", "name": "driftline.feedback", "partitions": 4} in report["topics"]


def test_show_prints_the_effective_configuration_as_json_and_yaml(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("DRIFTLINE__HTTP__PORT", "9999")
    expected = load(SHIPPED).dump_public()
    assert expected["pipeline"]["http"]["port"] == 9999
    assert main(["config", "show", "--json", str(SHIPPED)]) == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert main(["config", "show", str(SHIPPED)]) == 0
    assert YAML(typ="safe", pure=True).load(capsys.readouterr().out) == expected


def test_show_of_a_wrong_configuration_fails_as_usage(wrong: Path, capsys: Captured) -> None:
    assert main(["config", "show", str(wrong)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {wrong}:3: http.prot:")


def test_schema_prints_either_schema(capsys: Captured) -> None:
    assert main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == pipeline_schema()
    assert main(["config", "schema", "--model"]) == 0
    assert json.loads(capsys.readouterr().out) == model_schema()
