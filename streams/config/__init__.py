"""What the pipeline runs and how: typed configuration, read from YAML files."""

from streams.config.alerts import AlertRuleConfig
from streams.config.model import (
    DetectorConfig,
    DriftConfig,
    FeatureConfig,
    ModelConfig,
    OutcomeConfig,
    SegmentConfig,
)
from streams.config.pipeline import (
    HttpConfig,
    KafkaConfig,
    LimitsConfig,
    PipelineConfig,
    ProcessingConfig,
    SaslConfig,
    SinksConfig,
    TlsConfig,
    TopicsConfig,
)
from streams.config.settings import LoadedModel, Settings
from streams.config.windows import WindowConfig

__all__ = [
    "AlertRuleConfig",
    "DetectorConfig",
    "DriftConfig",
    "FeatureConfig",
    "HttpConfig",
    "KafkaConfig",
    "LimitsConfig",
    "LoadedModel",
    "ModelConfig",
    "OutcomeConfig",
    "PipelineConfig",
    "ProcessingConfig",
    "SaslConfig",
    "SegmentConfig",
    "Settings",
    "SinksConfig",
    "TlsConfig",
    "TopicsConfig",
    "WindowConfig",
]
