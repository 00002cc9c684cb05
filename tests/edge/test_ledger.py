"""The books on offsets, against a model that remembers every single record."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.edge.delivery import Delivery, TopicPartition, drop_before
from streams.edge.errors import LedgerError
from streams.edge.ledger import OffsetLedger, Verdict
from streams.wire import Chunk

TP = TopicPartition("predictions", 0)


def chunk(offsets: list[int]) -> Chunk:
    n = len(offsets)
    return Chunk("predictions", 0, offsets, [None] * n, [b""] * n, [-1] * n, [()] * n)


def delivery(start: int, end: int, offsets: list[int] | None = None) -> Delivery:
    return Delivery(TP, start, end, chunk(list(range(start, end)) if offsets is None else offsets))


@settings(max_examples=300, deadline=None)
@given(
    # Offsets that hold a record; the others are gaps.
    records=st.lists(st.booleans(), min_size=1, max_size=60),
    begin=st.integers(0, 10),
    moves=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.booleans()), max_size=60),
)
def test_no_history_loses_repeats_or_commits_too_much(
    records: list[bool], begin: int, moves: list[tuple[int, int, bool]]
) -> None:
    """Deliveries come lost, repeated, overlapping; checkpoints cover what was processed so far."""
    ledger = OffsetLedger()
    ledger.begin(TP, begin)
    processed: list[int] = []
    committed = begin
    for start, length, checkpoints in moves:
        end = min(start + length, len(records))
        offered = [o for o in range(start, end) if records[o]]
        known = ledger.expected(TP)
        if ledger.take(delivery(start, end, offered)) is Verdict.TAKE:
            processed += drop_before(chunk(offered), known).offsets
        if checkpoints:
            ledger.durable(TP, ledger.expected(TP))
            for tp, offset in ledger.committable().items():
                assert tp == TP
                assert offset > committed
                committed = offset
                ledger.committed(tp, offset)
        reached = ledger.expected(TP)
        wanted = [o for o in range(begin, min(reached, len(records))) if records[o]]
        assert processed == wanted
        assert committed <= reached


def test_a_delivery_that_starts_too_late_is_a_gap_and_changes_nothing() -> None:
    ledger = OffsetLedger()
    ledger.begin(TP, 5)
    assert ledger.take(delivery(6, 9)) is Verdict.GAP
    assert ledger.expected(TP) == 5


def test_offsets_without_records_are_passed() -> None:
    ledger = OffsetLedger()
    ledger.begin(TP, 5)
    assert ledger.take(delivery(5, 90, [])) is Verdict.TAKE
    assert ledger.take(delivery(90, 91)) is Verdict.TAKE


def test_a_partition_that_is_not_followed_is_foreign() -> None:
    ledger = OffsetLedger()
    assert ledger.take(delivery(0, 1)) is Verdict.FOREIGN
    ledger.begin(TP, 0)
    ledger.forget([TP])
    assert ledger.take(delivery(0, 1)) is Verdict.FOREIGN
    assert ledger.committable() == {}


def test_nothing_is_committable_before_a_checkpoint_is_durable() -> None:
    ledger = OffsetLedger()
    ledger.begin(TP, 0)
    ledger.take(delivery(0, 10))
    assert ledger.committable() == {}
    ledger.durable(TP, 7)
    assert ledger.committable() == {TP: 7}


@pytest.mark.parametrize("position", [11, 3])
def test_a_checkpoint_that_claims_too_much_or_goes_back_is_refused(position: int) -> None:
    ledger = OffsetLedger()
    ledger.begin(TP, 0)
    ledger.take(delivery(0, 10))
    ledger.durable(TP, 4)
    with pytest.raises(LedgerError, match=f"claims position {position}"):
        ledger.durable(TP, position)


def test_what_retention_removed_is_counted_once() -> None:
    ledger = OffsetLedger()
    ledger.begin(TP, 3)
    assert ledger.skip_to(TP, 10) == 7
    assert ledger.skip_to(TP, 10) == 0
    assert ledger.take(delivery(10, 11)) is Verdict.TAKE


def test_a_commit_that_comes_back_after_the_partition_went_is_ignored() -> None:
    ledger = OffsetLedger()
    ledger.committed(TP, 4)
    assert TP not in ledger
