"""Fixtures for all tests; brokers are started once a session and shared."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.embedded import embedded
from support.kafka import kafka

__all__ = ["embedded", "kafka"]

ROOT = Path(__file__).parent.parent

# Machines differ and share their cores: no test may fail for being slow.
settings.register_profile(
    "driftline", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("driftline")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI everything runs: a skipped test fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = max(int(exitstatus), 1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def nannyml_data() -> Path:
    """Folder of the data sets in the NannyML wheel, which ``make data`` unpacks."""
    folder = ROOT / ".driftline" / "data" / "nannyml" / "datasets" / "data"
    if not folder.is_dir():
        reason = f"the data sets are not there: run 'make data' (looked in {folder})"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
