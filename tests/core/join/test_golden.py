"""States that earlier releases saved are read by this one, for ever."""

import json
from pathlib import Path
from typing import Any

import pytest
from core.join.driver import straight
from core.join.golden import FOLDER, content, load, run_of, told, topics_of
from core.join.topics import settings_of

from streams.core.join.state import Delta, Marker, StateError

GOLDEN = sorted(FOLDER.glob("*.json.gz"))

goldens = pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)


def test_there_are_golden_states() -> None:
    assert GOLDEN


@goldens
def test_a_golden_state_holds_everything_that_a_state_may_hold(path: Path) -> None:
    found: Any = load(path)["content"]
    rows = found["rows"]
    assert len(rows) >= 200
    tasks = {"fraud", "churn", "digits", "price", "feed", "shop"}
    assert {row["model"] for row in rows} == tasks
    assert {row["model"] for row in rows if row["matched"]} == tasks
    assert {row["model"] for row in rows if row["label_ts"]} == tasks - {"shop"}
    assert any(row["weight"] != 1 for row in rows)
    assert any(row["gains"] for row in rows)
    assert any(row["outcomes"] for row in rows)
    assert any(row["expired"] for row in rows)
    assert len({str(row["cells"]) for row in rows}) > 10
    assert any(one["event"] for one in found["early"])
    assert any(one["text"] for one in found["early"])
    assert any(one["batch_row"] is not None for one in found["early"])
    assert all(found["books"][f"feedback_{name}"] for name in ("corrected", "conflict", "waiting"))


@goldens
def test_a_golden_state_comes_back_row_by_row(path: Path) -> None:
    golden = load(path)
    assert json.loads(json.dumps(content(run_of(golden).join))) == golden["content"]


@goldens
def test_a_join_goes_on_from_a_golden_state_as_if_it_had_never_stopped(path: Path) -> None:
    golden = load(path)
    topics = topics_of(golden)
    calm = straight(settings_of(golden["models"]), topics["predictions"], topics["feedback"])
    run = run_of(golden)
    run.finish()
    assert run.join.books == calm.join.books
    before, after = told(calm.outputs), told(run.outputs)
    assert set(after) == set(before)
    for name, outputs in after.items():
        assert 0 < len(outputs) < len(before[name])
        assert before[name][-len(outputs) :] == outputs


@goldens
def test_a_state_of_another_version_or_broken_is_refused_by_name(path: Path) -> None:
    saved = load(path)["saved"]["records"]
    assert saved
    for data in (b"", b"\x93\x63\x00\x00", b"\x91\xff", b"\xff\x00"):
        with pytest.raises(StateError, match="delta-1"):
            Delta.decode("delta-1", data)
        with pytest.raises(StateError, match="marker"):
            Marker.decode(data)
