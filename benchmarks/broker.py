"""The tests' real Apache Kafka, for benchmarks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.kafka import (
    KafkaUnavailableError,
    RealKafka,
    kafka_version,
)

__all__ = ["KafkaUnavailableError", "RealKafka", "kafka_version"]
