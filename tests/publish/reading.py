"""Reading back what a publisher sent."""

from collections.abc import Iterator
from typing import Any

import confluent_kafka
import orjson

from streams.edge.embedded import EmbeddedBroker

TOPICS = {"driftline.predictions": 4, "driftline.feedback": 4}


def read_messages(broker: EmbeddedBroker, topic: str, rows: int) -> list[confluent_kafka.Message]:
    """Read messages until they hold ``rows`` rows."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
        }
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, p, 0) for p in range(TOPICS[topic])])
    messages: list[confluent_kafka.Message] = []
    found = 0
    try:
        while found < rows:
            message = consumer.poll(20)
            assert message is not None
            assert message.error() is None
            messages.append(message)
            found += len(list(rows_of(message)))
    finally:
        consumer.close()
    return messages


def rows_of(message: confluent_kafka.Message) -> Iterator[dict[str, Any]]:
    """Yield the events of a message, single or batch."""
    event = orjson.loads(message.value())
    columns = event.pop("columns", None)
    if columns is None:
        yield event
        return
    for row in range(len(columns["prediction_id"])):
        yield {**event, **_row(columns, row)}


def _row(columns: dict[str, Any], row: int) -> dict[str, Any]:
    return {
        name: _row(column, row)
        if isinstance(column, dict)
        else column[row]
        if isinstance(column, list)
        else column
        for name, column in columns.items()
    }
