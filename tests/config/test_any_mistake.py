"""Whatever is written where: the files load, or say what is wrong; nothing else happens."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from streams.config.errors import ConfigError, Problem
from streams.config.load import load

CONFIG = Path(__file__).parents[2] / "config"
KEYS = st.sampled_from(["model", "kind", "on", "size", "hop", "rule", "name", "env", "é", ""])
VALUES = st.recursive(
    st.sampled_from(
        [None, True, 0, 1, -1, 10**400, 0.5, 1e308, "", "a", "5m", "0", "auto", "none"]
    ),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
FILES = ["driftline.yaml", "models/fraud.yaml", "models/feed.yaml"]


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the paths of all values in a file."""
    inside = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in inside:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Copy a file's data with one value replaced."""
    data = inner = copy.deepcopy(data)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return data


def problems(pipeline: Path) -> tuple[Problem, ...]:
    """Say what is wrong with the files; nothing, if they load."""
    try:
        load(pipeline, {})
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("file", FILES)
@given(draw=st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_at_any_place_is_taken_or_explained(
    file: str, draw: st.DataObject, tmp_path: Path
) -> None:
    data = YAML(typ="safe", pure=True).load(CONFIG / file)
    path = draw.draw(st.sampled_from(list(places(data))))
    text = json.dumps(changed(data, path, draw.draw(VALUES)), indent=1)
    pipeline = tmp_path / "driftline.yaml"
    pipeline.write_text("kafka: {bootstrap_servers: 'a:1'}\nmodels: [model.yaml]\n")
    (tmp_path / "model.yaml").write_text("model: m\ntask: regression\n")
    (tmp_path / "models").mkdir(exist_ok=True)
    (tmp_path / "models" / "x.yaml").write_text("model: x\ntask: regression\n")
    (pipeline if file == "driftline.yaml" else tmp_path / "model.yaml").write_text(text)
    for problem in problems(pipeline):
        assert problem.line is not None
        assert problem.message
        assert "Input should" not in problem.message
