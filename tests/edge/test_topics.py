"""What topics should look like, and what is said when they do not."""

from typing import Any

import pytest

from streams.edge.errors import BrokerError, TopicError
from streams.edge.topics import check_layout, compare, declare, partition_counts


def found(partitions: int, replicas: int = 1) -> dict[str, Any]:
    return {"partitions": [{"replicas": list(range(replicas))} for _ in range(partitions)]}


def test_joined_topics_and_their_state_have_the_same_number_of_partitions(
    make_settings: Any,
) -> None:
    settings = make_settings(topics={"partitions": 6, "monitor_partitions": 2})
    counts = {spec.logical: spec.partitions for spec in declare(settings)}
    assert counts["predictions"] == counts["feedback"] == counts["state_join"] == 6
    assert counts["partials"] == counts["state_monitor"] == 2
    assert counts["metrics"] == 1


def test_state_and_alerts_are_compacted_and_the_rest_is_kept_for_a_while(
    make_settings: Any,
) -> None:
    specs = {s.logical: s for s in declare(make_settings(topics={"retention": "2d"}))}
    compacted = {n for n, s in specs.items() if s.config["cleanup.policy"] == "compact"}
    assert compacted == {"alerts", "state_join", "state_monitor"}
    assert specs["metrics"].config["retention.ms"] == "172800000"
    assert all("retention.ms" not in specs[name].config for name in compacted)


def test_source_topics_take_the_largest_batch_that_the_limits_allow(make_settings: Any) -> None:
    specs = {s.logical: s for s in declare(make_settings(limits={"max_batch_bytes": 5_000_000}))}
    for name in ("predictions", "feedback", "quarantine_predictions", "quarantine_feedback"):
        assert int(specs[name].config["max.message.bytes"]) > 5_000_000


def test_with_three_replicas_a_write_needs_a_majority(make_settings: Any) -> None:
    one, three = (
        declare(make_settings(topics={"replication_factor": factor})) for factor in (1, 3)
    )
    assert all("min.insync.replicas" not in spec.config for spec in one)
    assert {spec.config["min.insync.replicas"] for spec in three} == {"2"}


def test_every_difference_comes_with_what_to_do(make_settings: Any) -> None:
    spec = next(
        s
        for s in declare(make_settings(topics={"replication_factor": 3}))
        if s.logical == "state_join"
    )
    config = dict(spec.config) | {"cleanup.policy": "delete"}
    report = compare(spec, found(3, replicas=1), config)
    assert report.state == "differs"
    partitions, replicas, policy = report.advice
    assert "has 3 partitions, the configuration says 4" in partitions
    assert "kafka-reassign-partitions" in replicas
    assert "--add-config cleanup.policy=compact" in policy
    assert compare(spec, found(4, replicas=3), spec.config).state == "exists"


def test_missing_topics_are_all_named(make_settings: Any) -> None:
    with pytest.raises(TopicError, match=r"driftline\.predictions, driftline\.feedback.*create"):
        check_layout(make_settings(), {})


@pytest.mark.parametrize("odd", ["feedback", "state_join", "state_monitor"])
def test_numbers_of_partitions_that_differ_are_refused(make_settings: Any, odd: str) -> None:
    settings = make_settings()
    counts = {spec.name: spec.partitions for spec in declare(settings)}
    check_layout(settings, counts)
    name = settings.pipeline.topics.name(odd)
    with pytest.raises(TopicError, match=f"same number of partitions.*{name} has 9"):
        check_layout(settings, counts | {name: 9})


async def test_a_broker_that_does_not_answer_is_named_with_what_to_do() -> None:
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1: start one, or correct kafka\.boot"):
        await partition_counts({"bootstrap_servers": "127.0.0.1:1"})
