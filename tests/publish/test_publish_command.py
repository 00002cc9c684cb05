"""``driftline publish`` sends a file and says what became of it."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from publish.reading import TOPICS, read_messages, rows_of

from streams.cli.main import main
from support.embedded import StartBroker

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("DRIFTLINE_BOOTSTRAP_SERVERS", raising=False)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = main(["publish", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def events(rows: int) -> str:
    return "".join(
        orjson.dumps(
            {"prediction_id": f"id-{n}", "timestamp": 1_767_350_096_789 + n, "model": "m"}
            | {"model_version": "1", "score": n / rows}
        ).decode()
        + "\n"
        for n in range(rows)
    )


def test_every_event_of_a_file_arrives_byte_by_byte(
    tmp_path: Path, embedded: StartBroker, run: Run
) -> None:
    broker = embedded(TOPICS)
    path = tmp_path / "events.jsonl"
    path.write_text(events(2_000))
    code, out, err = run(path, "--bootstrap-servers", broker.bootstrap_servers)
    assert (code, err) == (0, "")
    assert out.startswith("published 2000 predictions to driftline.predictions in ")
    messages = read_messages(broker, "driftline.predictions", 2_000)
    assert sorted(message.value() for message in messages) == sorted(path.read_bytes().splitlines())


def test_a_flat_file_becomes_feedback(
    tmp_path: Path, embedded: StartBroker, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = embedded(TOPICS)
    # The share that services sample does not concern files.
    monkeypatch.setenv("DRIFTLINE_SAMPLE_RATE", "0")
    monkeypatch.setenv("DRIFTLINE_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    path = tmp_path / "labels.csv"
    path.write_text("txn,when,actual\na,2026-01-02 10:34:56,true\nb,2026-01-02 10:34:57,false\n")
    flags = ["--map", "prediction_id=txn", "--map", "timestamp=when"]
    code, out, _ = run(path, "--kind", "feedback", *flags, "--rate", 1_000, "--json")
    assert code == 0
    summary: dict[str, Any] = orjson.loads(out)
    assert summary.pop("seconds") >= 0
    assert summary == {
        "file": str(path),
        "kind": "feedback",
        "topic": "driftline.feedback",
        "delivered": 2,
        "lost": {},
    }
    messages = read_messages(broker, "driftline.feedback", 2)
    rows = sorted((row for m in messages for row in rows_of(m)), key=lambda row: row["timestamp"])
    assert [(row["prediction_id"], row["actual"]) for row in rows] == [("a", True), ("b", False)]


def test_a_lost_event_fails_the_command(tmp_path: Path, embedded: StartBroker, run: Run) -> None:
    broker = embedded(TOPICS)
    path = tmp_path / "events.jsonl"
    large = orjson.dumps({"tags": {"text": "x" * 300_000}}).decode()
    path.write_text(events(3) + large + "\n")
    flags = ["--bootstrap-servers", broker.bootstrap_servers, "--model", "m"]
    code, out, err = run(path, *flags, "--model-version", 1)
    assert code == 1
    assert out.startswith("published 3 predictions")
    assert err == "error: not everything was published: lost 1 too_large\n"


def test_a_bad_row_is_named_after_what_was_published(
    tmp_path: Path, embedded: StartBroker, run: Run
) -> None:
    broker = embedded(TOPICS)
    path = tmp_path / "events.jsonl"
    path.write_text(events(3) + "{\n")
    code, out, err = run(path, "--bootstrap-servers", broker.bootstrap_servers)
    assert code == 1
    assert out.startswith("published 3 predictions")
    assert "events.jsonl, row 4: no JSON" in err


def test_a_topic_that_does_not_exist_is_named(
    tmp_path: Path, embedded: StartBroker, run: Run
) -> None:
    broker = embedded(TOPICS)
    path = tmp_path / "events.jsonl"
    path.write_text(events(1))
    flags = ["--bootstrap-servers", broker.bootstrap_servers, "--topic", "other"]
    code, out, err = run(path, *flags)
    assert (code, out) == (1, "")
    assert "there is no topic 'other'" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no broker address"),
        (["--bootstrap-servers", "x:1", "--map", "a=b", "--mapping", "m.yaml"], "not both"),
        (["--bootstrap-servers", "x:1", "--map", "nonsense"], "'nonsense' is not FIELD=COLUMN"),
        (["--bootstrap-servers", "x:1", "--mapping", "gone.yaml"], "gone.yaml"),
        (["--kind", "other"], "other"),
    ],
)
def test_wrong_usage_ends_with_2(
    tmp_path: Path, run: Run, arguments: list[str], message: str
) -> None:
    code, out, err = run(tmp_path / "events.jsonl", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_missing_file_is_named(tmp_path: Path, run: Run) -> None:
    code, _, err = run(tmp_path / "gone.jsonl", "--bootstrap-servers", "127.0.0.1:1")
    assert code == 1
    assert "gone.jsonl: there is no such file" in err


def test_brokers_that_do_not_answer_are_named(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.cli.publish._REACH_SECONDS", 0.2)
    path = tmp_path / "events.jsonl"
    path.write_text(events(1))
    code, _, err = run(path, "--bootstrap-servers", "127.0.0.1:1")
    assert code == 1
    assert "no broker answers at 127.0.0.1:1" in err


def test_lines_of_events_are_published_by_a_base_install(
    tmp_path: Path, embedded: StartBroker
) -> None:
    broker = embedded(TOPICS)
    path = tmp_path / "events.jsonl"
    path.write_text(events(3))
    script = (
        "import sys\n"
        "for name in ('numpy', 'pyarrow', 'faust', 'ruamel', 'aiokafka'):\n"
        "    sys.modules[name] = None\n"
        "from streams.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["publish", str(path), "--bootstrap-servers", broker.bootstrap_servers]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    arguments[1] = str(path.with_suffix(".csv"))
    path.with_suffix(".csv").write_text("x\n1\n")
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "pip install 'driftline[worker]'" in done.stderr
