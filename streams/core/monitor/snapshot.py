"""A snapshot as state records, and the marker that says which one counts."""

from collections.abc import Mapping
from typing import Any

import msgspec

from streams.core.processor import StateRecord

VERSION = 2
RECORD_BYTES = 700_000
"""Largest part of a snapshot, to stay below a broker's usual limit of one megabyte."""


class Marker(msgspec.Struct, frozen=True):
    """What a checkpoint says about the state.

    Attributes:
        version: form of snapshot and marker.
        number: number of the snapshot; 0 before the first.
        parts: how many records it has.
        taken_at: offset of the first record that the snapshot does not include.
        position: offset of the first record whose outputs are not all out.
        size: bytes of the snapshot.
    """

    version: int
    number: int
    parts: int
    taken_at: int
    position: int
    size: int

    def encode(self) -> bytes:
        """Encode for the state topic."""
        return msgspec.msgpack.encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Marker":
        """Decode; raises ValueError for a marker of another release."""
        try:
            marker = msgspec.msgpack.decode(data, type=cls)
        except msgspec.DecodeError as error:
            raise ValueError(f"not a marker of the monitor: {error}") from error
        if marker.version != VERSION:
            raise ValueError(f"monitor state has version {marker.version}; this reads {VERSION}")
        return marker


def name_of(number: int, part: int) -> str:
    """Name of a part of a snapshot."""
    return f"snap-{number}/{part}"


def split(number: int, state: Mapping[str, Any]) -> tuple[list[StateRecord], int]:
    """Encode a snapshot as records; returns them and their size in bytes."""
    data = msgspec.msgpack.encode(state)
    parts = [data[at : at + RECORD_BYTES] for at in range(0, len(data), RECORD_BYTES)]
    return [StateRecord(name_of(number, i), part) for i, part in enumerate(parts)], len(data)


def deletions(number: int, parts: int) -> list[StateRecord]:
    """Records that delete a snapshot."""
    return [StateRecord(name_of(number, part), None) for part in range(parts)]


def join(marker: Marker, records: Mapping[str, bytes]) -> dict[str, Any]:
    """Put the marker's snapshot together.

    Raises:
        ValueError: a part is missing.
    """
    try:
        data = b"".join(records[name_of(marker.number, part)] for part in range(marker.parts))
    except KeyError as error:
        raise ValueError(f"the monitor's state lacks {error}") from error
    state: dict[str, Any] = msgspec.msgpack.decode(data)
    return state
