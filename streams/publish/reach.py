"""Asking the brokers before much is sent to them."""

from confluent_kafka import KafkaException, Producer

from streams.publish.settings import PublisherSettings


class UnreachableError(Exception):
    """No broker answers, or the topic does not exist; the message says which."""


def partition_count(settings: PublisherSettings, topic: str, timeout: float) -> int:
    """Return the number of partitions of a topic, without creating it.

    Args:
        settings: address and security of the brokers.
        topic: name of the topic.
        timeout: most seconds to wait.

    Raises:
        UnreachableError: when there is no answer or no such topic.
    """
    try:
        # A request for one topic by name might create it.
        topics = Producer(settings.producer_config()).list_topics(timeout=timeout).topics
    except KafkaException as failure:
        reason = failure.args[0].str()
        raise UnreachableError(
            f"no broker answers at {settings.bootstrap_servers}: {reason}"
        ) from None
    if topic not in topics:
        raise UnreachableError(
            f"there is no topic {topic!r} at {settings.bootstrap_servers}; create it with "
            "`driftline topics create` or name another with --topic"
        )
    return len(topics[topic].partitions)
