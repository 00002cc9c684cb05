"""Identifiers of predictions: making them, and choosing a sample of them."""

import os
import time
from hashlib import blake2b
from random import Random

_SAMPLE_KEY = b"driftline.sample"
# Not the module's shared generator: programs seed that one, the same in every process.
_random = Random()  # noqa: S311 - ids have to be unique, not secret
os.register_at_fork(after_in_child=_random.seed)


def new_id() -> str:
    """Return a new UUIDv7 (RFC 9562): unique, and ordered by the millisecond of its making."""
    stamp = time.time_ns() // 1_000_000
    # The process id keeps children apart that were forked without running Python's hooks.
    noise = _random.getrandbits(74) ^ os.getpid()
    number = (
        (stamp & 0xFFFFFFFFFFFF) << 80
        | 0x7 << 76
        | (noise >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | noise & 0x3FFFFFFFFFFFFFFF
    )
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def in_sample(prediction_id: str, rate: float) -> bool:
    """Tell whether an id belongs to the sample that keeps the share ``rate`` of all ids.

    The answer depends on the id alone, so a prediction and its feedback are kept or left together
    by whichever processes publish them. The hash is independent of the partitioner's.
    """
    if rate >= 1:
        return True
    digest = blake2b(prediction_id.encode(), digest_size=8, key=_SAMPLE_KEY).digest()
    return int.from_bytes(digest) < rate * 2**64
