"""The AsyncAPI 3.0 description of all public topics, made from the structures.

python -m streams.events.asyncapi > docs/asyncapi.yaml
"""

import sys
from dataclasses import dataclass
from io import StringIO
from typing import Any

import msgspec
from ruamel.yaml import YAML

from streams.events.jsonschema import DOCUMENTS, components
from streams.events.reasons import Reason

_BINDING = {"bindingVersion": "0.5.0"}
_PREFIX = "driftline"


@dataclass(frozen=True)
class Topic:
    """One public topic.

    Attributes:
        name: logical name; the topic is ``<prefix>.<name>`` unless the configuration says other.
        action: what the pipeline does: "receive" or "send".
        messages: names of schemas that may come on it.
        key: what the record key is.
        text: what it is for.
    """

    name: str
    action: str
    messages: tuple[str, ...]
    key: str
    text: str


_PLACED = (
    "The partition is that of Kafka's Java client, murmur2 of the key: predictions and feedback "
    "meet only if both are placed so (librdkafka: partitioner=murmur2_random) and both topics have "
    "the same number of partitions."
)
_KEYED = "The prediction id in UTF-8; of a batch, the id of its first row."

TOPICS = (
    Topic(
        "predictions",
        "receive",
        ("prediction", "prediction-batch"),
        _KEYED,
        f"What models predicted, one event or one batch per record. {_PLACED}",
    ),
    Topic(
        "feedback",
        "receive",
        ("feedback", "feedback-batch"),
        _KEYED,
        f"What turned out to be true, and outcomes. {_PLACED}",
    ),
    Topic(
        "metrics",
        "send",
        ("window", "drift"),
        "Name of the model.",
        "What was measured in each window, and alarms of sequential detectors.",
    ),
    Topic(
        "alerts",
        "send",
        ("alert",),
        "Fingerprint of the alert, so that compaction keeps its last state.",
        "Alerts as they open, change and are resolved.",
    ),
    Topic(
        "unmatched",
        "send",
        ("unmatched",),
        "The prediction id.",
        "Predictions and truths that could not be matched.",
    ),
    Topic(
        "quarantine-predictions",
        "send",
        ("quarantined",),
        "The key of the rejected record.",
        "Predictions that could not be used, unchanged; headers say why.",
    ),
    Topic(
        "quarantine-feedback",
        "send",
        ("quarantined",),
        "The key of the rejected record.",
        "Feedback that could not be used, unchanged; headers say why.",
    ),
)

_HEADERS = {
    "driftline.reason": "Why it was rejected.",
    "driftline.detail": "Which field, and what was expected; never a value of the payload.",
    "driftline.source.topic": "Topic that it came from.",
    "driftline.source.partition": "Partition that it came from.",
    "driftline.source.offset": "Offset of the record that it came from.",
    "driftline.row": "Row of the batch that it was; empty for records as a whole.",
    "driftline.id": "topic-partition-offset-row; the same after any replay.",
    "driftline.version": "Version of Driftline that rejected it.",
}


def document() -> dict[str, Any]:
    """Describe all topics, their messages and the operations on them."""
    references, schemas = components(DOCUMENTS.values(), "#/components/schemas/{name}")
    messages = {
        name: _message(name, kind, reference)
        for (name, kind), reference in zip(DOCUMENTS.items(), references, strict=True)
    }
    messages["quarantined"] = _quarantined()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Driftline",
            "version": "1.0.0",
            "description": "The topics that Driftline reads and writes. Names are the defaults; "
            "the configuration can change the prefix and each of them.",
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "localhost:9092",
                "protocol": "kafka",
                "description": "The brokers that `kafka.bootstrap_servers` names.",
            }
        },
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": {f"{topic.action}-{topic.name}": _operation(topic) for topic in TOPICS},
        "components": {"messages": messages, "schemas": schemas},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    address = f"{_PREFIX}.{topic.name}"
    return {
        "address": address,
        "description": f"{topic.text} Key: {topic.key}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in topic.messages},
        "bindings": {"kafka": {"topic": address, **_BINDING}},
    }


def _operation(topic: Topic) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": topic.action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": topic.text.partition(". ")[0].rstrip("."),
        "messages": [
            {"$ref": f"#/channels/{topic.name}/messages/{name}"} for name in topic.messages
        ],
    }
    if topic.action == "receive":
        group = {"type": "string", "const": _PREFIX}
        operation["bindings"] = {"kafka": {"groupId": group, **_BINDING}}
    return operation


def _message(name: str, kind: type[msgspec.Struct], reference: dict[str, Any]) -> dict[str, Any]:
    key = {"type": "string", "description": _key(name)}
    return {
        "name": name,
        "title": name.replace("-", " ").capitalize(),
        "summary": (kind.__doc__ or "").partition("\n")[0],
        "contentType": "application/json",
        "payload": reference,
        "bindings": {"kafka": {"key": key, **_BINDING}},
    }


def _quarantined() -> dict[str, Any]:
    properties: dict[str, Any] = {
        name: {"type": "string", "description": text} for name, text in _HEADERS.items()
    }
    properties["driftline.reason"]["enum"] = [reason.value for reason in Reason]
    return {
        "name": "quarantined",
        "title": "Quarantined",
        "summary": "A record that could not be used, unchanged, or one row of a batch as an event.",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": properties, "required": list(_HEADERS)},
        "payload": {"description": "The bytes of the rejected record, whatever they are."},
        "bindings": {
            "kafka": {"key": {"description": "The key of the rejected record."}, **_BINDING}
        },
    }


def _key(message: str) -> str:
    return next(topic.key for topic in TOPICS if message in topic.messages)


def render() -> str:
    """Write the description as YAML."""
    yaml = YAML()
    yaml.width = 100
    yaml.default_flow_style = False
    yaml.representer.ignore_aliases = lambda _: True
    out = StringIO()
    yaml.dump(document(), out)
    return out.getvalue()


if __name__ == "__main__":
    sys.stdout.write(render())
