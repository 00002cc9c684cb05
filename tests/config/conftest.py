from collections.abc import Callable
from pathlib import Path

import pytest

PIPELINE = """\
kafka:
  bootstrap_servers: broker:9092
models: [models/*.yaml]
"""

MODEL = """\
model: fraud
task: binary
classes: ["false", "true"]
features:
  amount: {kind: numeric}
  country: {kind: categorical}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a pipeline and its models; returns the pipeline's path."""

    def _write(pipeline: str = PIPELINE, **models: str) -> Path:
        (tmp_path / "models").mkdir(exist_ok=True)
        for name, text in (models or {"fraud": MODEL}).items():
            (tmp_path / "models" / f"{name}.yaml").write_text(text)
        path = tmp_path / "driftline.yaml"
        path.write_text(pipeline)
        return path

    return _write
