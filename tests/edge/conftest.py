"""Shared by the tests of the edge: two partitions, unknown models accepted."""

from typing import Any

import pytest

from streams.config import PipelineConfig, Settings


@pytest.fixture
def make_settings() -> Any:
    """Make settings with ``make_settings(topics={...}, ...)``."""

    def make(**parts: Any) -> Settings:
        parts.setdefault("kafka", {"bootstrap_servers": "127.0.0.1:9092"})
        processing = {"unknown_models": "accept"} | parts.pop("processing", {})
        return Settings.build(PipelineConfig.model_validate(parts | {"processing": processing}))

    return make
