"""How long a tick is when the configuration leaves it to the windows."""

import pytest

from streams.config import ModelConfig, PipelineConfig, Settings

MINUTE = 60_000
DAY = 1_440 * MINUTE


def tick(unknown: str, *models: ModelConfig) -> int:
    pipeline = PipelineConfig.model_validate(
        {
            "kafka": {"bootstrap_servers": "none:1"},
            "models": ["m.yaml"],
            "processing": {"unknown_models": unknown},
            "windows": [{"size": MINUTE}],
        }
    )
    return Settings.build(pipeline, models).tick_ms


DAILY = ModelConfig.model_validate(
    {"model": "m", "task": "regression", "windows": [{"size": DAY}], "alerts": []}
)
USUAL = ModelConfig.model_validate({"model": "n", "task": "regression", "alerts": []})


@pytest.mark.parametrize(
    ("unknown", "models", "expected"),
    [
        ("quarantine", (DAILY,), DAY // 60),
        ("accept", (DAILY,), 1_000),
        ("quarantine", (DAILY, USUAL), 1_000),
    ],
)
def test_only_windows_that_some_model_may_use_decide_the_tick(
    unknown: str, models: tuple[ModelConfig, ...], expected: int
) -> None:
    assert tick(unknown, *models) == expected
