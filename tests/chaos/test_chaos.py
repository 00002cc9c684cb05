"""The short form of the proof, on a real Apache Kafka."""

from pathlib import Path

import pytest
from chaos.scenarios import quick
from chaos.trial import Outcome, Terms

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.usefixtures("kafka")
def test_everything_is_counted_exactly_once_through_kills_a_zombie_and_a_rebalance(
    tmp_path: Path,
) -> None:
    outcome = Outcome("quick")
    quick(Terms(tmp_path, "exactly_once", rate=250.0, seed=1, replay=False), outcome, 1)
    assert outcome.faults == []
    assert outcome.rounds >= 4
    assert outcome.checked["windows counted"] > 100
    assert outcome.checked["offset samples"] > 0
