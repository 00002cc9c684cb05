"""What the pipeline runs and how: typed configuration, read from YAML files."""

from streams.config.model import ModelConfig
from streams.config.pipeline import PipelineConfig
from streams.config.settings import LoadedModel, Settings

__all__ = ["LoadedModel", "ModelConfig", "PipelineConfig", "Settings"]
