"""What a state partition's records mean: pure, fed record by record in offset order.

A record belongs to the checkpoint (epoch) that wrote it. Only what the newest marker covers counts;
what a later, unfinished checkpoint left behind is listed for deletion.
"""

from dataclasses import dataclass, field

import msgspec

from streams.core.processor import Saved
from streams.edge.envelope import EnvelopeError, Part, join_parts, open_part
from streams.edge.errors import StateError
from streams.edge.keys import MARKER, OUTBOX, Keys
from streams.wire import Output

_HINT = (
    "Nothing was skipped or repaired. Run the version that wrote it, or start afresh under another "
    "`application` name"
)


class Marker(msgspec.Struct, frozen=True, array_like=True):
    """The end of a checkpoint.

    Attributes:
        marker: the processor's own description of its state.
        positions: per source, the first offset that the state does not include.
        deleted: names that this checkpoint deleted; their records may still be there.
    """

    marker: bytes
    positions: dict[str, int]
    deleted: list[str]


class _Out(msgspec.Struct, frozen=True, array_like=True):
    topic: str
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int | None


_encode = msgspec.msgpack.Encoder().encode
_decode_outputs = msgspec.msgpack.Decoder(list[_Out]).decode
_decode_marker = msgspec.msgpack.Decoder(Marker).decode


def pack_marker(marker: Marker) -> bytes:
    """Write a marker as bytes."""
    return _encode(marker)


def pack_outputs(outputs: list[Output]) -> bytes:
    """Write outputs as bytes, so that they can be sent again after a crash."""
    return _encode([(o.topic, o.key, o.value, list(o.headers), o.partition) for o in outputs])


def unpack_outputs(packed: bytes) -> list[Output]:
    """Read what ``pack_outputs`` wrote."""
    return [
        Output(o.topic, o.key, o.value, tuple(o.headers), o.partition)
        for o in _decode_outputs(packed)
    ]


@dataclass(slots=True, frozen=True)
class Restored:
    """All that a partition of a stage starts again from.

    Attributes:
        saved: what the processor restores; None when no checkpoint was ever finished.
        positions: per source, where to read from, as the marker says.
        epoch: highest epoch seen; the next checkpoint takes a higher one.
        outbox: outputs of the last checkpoint, which may not have reached their topics.
        stale: keys of records that mean nothing any more; delete them with the next checkpoint.
        parts: number of parts of every live value that has more than one.
        records: records read.
    """

    saved: Saved | None = None
    positions: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    outbox: list[Output] = field(default_factory=list)
    stale: list[bytes] = field(default_factory=list)
    parts: dict[str, int] = field(default_factory=dict)
    records: int = 0


class StateFold:
    """Collects the records of one state partition."""

    def __init__(self, keys: Keys, topic: str) -> None:
        self._keys = keys
        self._topic = topic
        self._latest: dict[bytes, tuple[int, bytes]] = {}
        self._count = 0

    def add(self, offset: int, key: bytes | None, value: bytes | None) -> None:
        """Take the next record.

        Raises:
            StateError: it has no key.
        """
        self._count += 1
        if key is None:
            raise self._broken(offset, key, "it has no key")
        self._latest.pop(key, None)  # so that the order is that of the newest writes
        if value is not None:
            self._latest[key] = (offset, value)

    def finish(self) -> Restored:
        """Work out what the records mean.

        Raises:
            StateError: a record cannot be read; the message says which one.
        """
        pieces: dict[str, dict[int, tuple[bytes, int, Part]]] = {}
        epoch = 0
        for key, (offset, value) in self._latest.items():
            try:
                name, index = self._keys.parse(key)
                part = open_part(value)
                if part.index != index:
                    raise EnvelopeError(f"part {part.index} under the key of part {index}")
            except ValueError as error:
                raise self._broken(offset, key, str(error)) from None
            pieces.setdefault(name, {})[index] = (key, offset, part)
            epoch = max(epoch, part.epoch)
        return self._interpret(pieces, epoch)

    def _interpret(
        self, pieces: dict[str, dict[int, tuple[bytes, int, Part]]], epoch: int
    ) -> Restored:
        head = pieces.pop(MARKER, {}).get(0)
        if head is None:
            stale = [key for parts in pieces.values() for key, _, _ in parts.values()]
            return Restored(epoch=epoch, stale=stale, records=self._count)
        marker = self._read_marker(*head)
        finished = head[2].epoch
        deleted = set(marker.deleted)
        live: dict[str, bytes] = {}
        counts: dict[str, int] = {}
        stale = []
        outbox: list[Output] = []
        for name, parts in pieces.items():
            first = parts.get(0)
            current = (
                {i: p for i, p in parts.items() if p[2].epoch == first[2].epoch}
                if first is not None and first[2].epoch <= finished
                else {}
            )
            is_outbox = name.startswith(OUTBOX)
            if is_outbox or name in deleted:
                stale += [key for key, _, _ in parts.values()]
                is_last = is_outbox and first is not None and first[2].epoch == finished
                if is_last and len(current) == first[2].count:  # type: ignore[index] # is_last
                    outbox = self._read_outbox(current)
                continue
            stale += [key for i, (key, _, _) in parts.items() if i not in current]
            if not current:
                self._check_only_unfinished(parts, finished)
                continue
            live[name] = self._assemble(current)
            if len(current) > 1:
                counts[name] = len(current)
        return Restored(
            saved=Saved(marker.marker, live),
            positions=marker.positions,
            epoch=epoch,
            outbox=outbox,
            stale=stale,
            parts=counts,
            records=self._count,
        )

    def _check_only_unfinished(
        self, parts: dict[int, tuple[bytes, int, Part]], finished: int
    ) -> None:
        for key, offset, part in parts.values():
            if part.epoch <= finished and 0 not in parts:
                raise self._broken(offset, key, "the first part of this value is missing")

    def _assemble(self, parts: dict[int, tuple[bytes, int, Part]]) -> bytes:
        key, offset, first = parts[0]
        missing = [i for i in range(first.count) if i not in parts]
        if missing:
            raise self._broken(offset, key, f"part {missing[0]} of {first.count} is missing")
        try:
            return join_parts([parts[i][2] for i in range(first.count)])
        except EnvelopeError as error:
            raise self._broken(offset, key, str(error)) from None

    def _read_marker(self, key: bytes, offset: int, part: Part) -> Marker:
        try:
            return _decode_marker(join_parts([part]))
        except (EnvelopeError, msgspec.MsgspecError) as error:
            raise self._broken(offset, key, f"unreadable marker: {error}") from None

    def _read_outbox(self, parts: dict[int, tuple[bytes, int, Part]]) -> list[Output]:
        key, offset, _ = parts[0]
        packed = self._assemble(parts)
        try:
            return unpack_outputs(packed)
        except msgspec.MsgspecError as error:
            raise self._broken(offset, key, f"unreadable outputs: {error}") from None

    def _broken(self, offset: int, key: bytes | None, why: str) -> StateError:
        return StateError(
            f"state record {key!r} at offset {offset} of {self._topic}[{self._keys.partition}] "
            f"cannot be read: {why}. {_HINT}"
        )
