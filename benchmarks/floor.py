"""The floor: a process that reads two topics and decodes each message, nothing else.

    floor.py BOOTSTRAP DECODER PREDICTIONS FEEDBACK MESSAGES

DECODER is ``orjson`` (plain objects) or ``msgspec`` (typed structs, all fields). It ends when it
has read so many messages and prints what that took.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import aiokafka
import msgspec
import orjson
from measuring import Used, used_by
from workload import Workload


class Feedback(msgspec.Struct):
    """Truth of one prediction."""

    prediction_id: str
    timestamp: int
    actual: bool


def typed_decoders() -> tuple[Callable[[bytes], Any], Callable[[bytes], Any]]:
    """Make decoders of predictions and of feedback."""
    features = msgspec.defstruct("Features", [(name, float) for name in Workload().names])
    prediction = msgspec.defstruct(
        "Prediction",
        [
            *(("prediction_id", str), ("timestamp", int), ("model", str), ("model_version", str)),
            *(("prediction", bool), ("score", float), ("features", features)),
            *(("tags", dict[str, str]), ("latency_ms", float)),
        ],
    )
    return msgspec.json.Decoder(prediction).decode, msgspec.json.Decoder(Feedback).decode


async def read(
    bootstrap: str, decoders: dict[str, Callable[[bytes], Any]], messages: int
) -> tuple[Used, Used]:
    """Read and decode so many messages; return what was used at the first one and at the last."""
    consumer = aiokafka.AIOKafkaConsumer(
        *decoders,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        fetch_max_bytes=32 * 1024 * 1024,
    )
    started = time.monotonic()
    await consumer.start()
    seen = 0
    first = None
    try:
        while seen < messages:
            for tp, records in (await consumer.getmany(timeout_ms=250, max_records=8192)).items():
                first = first or used_by(os.getpid(), started)
                decode = decoders[tp.topic]
                for record in records:
                    decode(record.value)
                seen += len(records)
        last = used_by(os.getpid(), started)
    finally:
        await consumer.stop()
    return first or last, last


def main() -> None:
    """Read as told by the arguments."""
    bootstrap, kind, predictions, feedback, messages = sys.argv[1:]
    decoders = typed_decoders() if kind == "msgspec" else (orjson.loads, orjson.loads)
    by_topic = dict(zip((predictions, feedback), decoders, strict=True))
    first, last = asyncio.run(read(bootstrap, by_topic, int(messages)))
    report = {
        **asdict(last),
        "cpu_seconds_net": last.cpu_seconds - first.cpu_seconds,
        "wall_seconds_net": last.wall_seconds - first.wall_seconds,
    }
    print(orjson.dumps(report).decode())


if __name__ == "__main__":
    main()
