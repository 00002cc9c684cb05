"""Peers are counted like Driftline, and told when they are wrong."""

from pathlib import Path

import orjson
from peer_system import DRIFT, HOPPING, PEERS, TUMBLING, Tally, versions, write_reference

from streams.profile.model import NumericReference, ReferenceProfile

CLOSING = 10_000_000


def result(kind: str, n: int, correct: int = 0, start: int = 0) -> bytes:
    return orjson.dumps({"window": kind, "start": start, "n": n, "correct": correct})


def tally(*results: bytes) -> Tally:
    found = Tally(CLOSING)
    for one in results:
        found.take(one)
    return found


RIGHT = (
    result(TUMBLING, 6, 4),
    result(TUMBLING, 4, 3, start=60_000),
    result(HOPPING, 50, 35),
    result(DRIFT, 10),
)


def test_a_peer_that_counts_every_row_once_is_right() -> None:
    assert tally(*RIGHT).wrong(10, 7) == []


def test_a_peer_that_loses_or_repeats_rows_is_told_what_is_wrong() -> None:
    assert tally(*RIGHT[1:]).wrong(10, 7) == [
        "labels in tumbling windows: 4 instead of 10",
        "right ones in tumbling windows: 3 instead of 7",
    ]
    assert tally(*RIGHT, result(DRIFT, 1)).wrong(10, 7) == [
        "predictions compared with the reference: 11 instead of 10"
    ]


def test_windows_of_the_closing_event_and_alarms_are_not_counted() -> None:
    extra = result(TUMBLING, 1, 1, start=CLOSING), result("alarms", 3)
    assert tally(*RIGHT, *extra).wrong(10, 7) == []


def test_every_peer_has_pinned_requirements() -> None:
    package = {"faust": "faust-streaming", "bytewax": "bytewax", "quix": "quixstreams"}
    for peer in PEERS:
        assert package[peer.environment] in versions(peer.environment)


def test_the_peers_reference_holds_all_rows_of_the_profile_in_fewer_bins(tmp_path: Path) -> None:
    column = NumericReference(
        n=256,
        missing=0,
        mean=0.0,
        variance=1.0,
        minimum=0.0,
        maximum=256.0,
        edges=tuple(float(i) for i in range(1, 256)),
        counts=(1,) * 256,
    )
    profile = ReferenceProfile(
        version=1, model="m", created="2025-01-01T00:00:00.000Z", rows=256, features={"a": column}
    )
    profile.write(tmp_path / "profile.json")
    write_reference(tmp_path / "profile.json", tmp_path / "peers.json")
    (found,) = orjson.loads((tmp_path / "peers.json").read_bytes()).values()
    assert found["counts"] == [4] * 64
    assert found["edges"] == [4.0 * i for i in range(1, 64)]
