"""Puts the stages together as a configuration says; the edge and the replay both start here."""

from streams.config import Settings
from streams.core.alerts.book import RuleBook
from streams.core.join.processor import JoinProcessor
from streams.core.monitor.processor import MonitorProcessor


def build_join(settings: Settings, partition: int) -> JoinProcessor:
    """Make a fresh join processor for one partition of predictions and feedback."""
    return JoinProcessor(settings, partition)


def build_monitor(settings: Settings, partition: int) -> MonitorProcessor:
    """Make a fresh monitor processor for one partition of partials."""
    return MonitorProcessor(settings, partition, RuleBook)
