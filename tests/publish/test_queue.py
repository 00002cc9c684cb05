"""The bounded queue keeps its limits and its books."""

from hypothesis import given
from hypothesis import strategies as st

from streams.publish.queue import Entry, EventQueue, OverflowPolicy
from streams.publish.stats import Loss


def entry(name: str, size: int = 1, rows: int = 1) -> Entry:
    return Entry(name, b"key", b"x" * size, rows, 0.0)


def names(entries: list[Entry]) -> list[str]:
    return [taken.topic for taken in entries]


def test_drop_newest_keeps_what_came_first() -> None:
    queue = EventQueue(2, 100, "drop_newest")
    assert [queue.put(entry(name)) for name in "abc"] == [None, None, (Loss.QUEUE_FULL, 1)]
    assert names(queue.take(9, wait=False)) == ["a", "b"]


def test_drop_oldest_makes_room_for_what_came_last() -> None:
    queue = EventQueue(2, 100, "drop_oldest")
    assert [queue.put(entry(name)) for name in "abc"] == [None, None, (Loss.QUEUE_FULL, 1)]
    assert names(queue.take(9, wait=False)) == ["b", "c"]


def test_drop_oldest_spares_what_is_on_its_way() -> None:
    queue = EventQueue(2, 100, "drop_oldest")
    queue.put(entry("a"))
    queue.put(entry("b"))
    queue.take(2, wait=False)
    assert queue.put(entry("c")) == (Loss.QUEUE_FULL, 1)
    queue.settle(1, 1, delivered=1)
    assert queue.put(entry("c")) is None


def test_an_entry_beyond_the_limit_of_bytes_drives_nobody_out() -> None:
    queue = EventQueue(10, 100, "drop_oldest")
    queue.put(entry("a", size=50))
    assert queue.put(entry("b", size=101, rows=7)) == (Loss.QUEUE_FULL, 7)
    assert names(queue.take(9, wait=False)) == ["a"]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 60), st.integers(1, 5)),
        st.tuples(st.just("take"), st.integers(0, 3), st.just(0)),
        st.tuples(st.sampled_from(["deliver", "fail", "refuse"]), st.just(0), st.integers(1, 5)),
        st.tuples(st.just("close"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(ACTIONS, st.sampled_from(["drop_newest", "drop_oldest"]))
def test_the_books_balance_and_the_limits_hold_after_any_history(
    actions: list[tuple[str, int, int]], policy: OverflowPolicy
) -> None:
    queue = EventQueue(4, 100, policy)
    taken: list[Entry] = []
    reported = 0
    for action, size, rows in actions:
        if action == "put":
            loss = queue.put(entry("t", size, rows))
            reported += loss[1] if loss else 0
        elif action == "take":
            taken += queue.take(size, wait=False)
        elif action == "refuse":
            queue.refuse(Loss.INVALID, rows)
            reported += rows
        elif action == "close":
            queue.close(0)
        elif taken:
            done = taken.pop()
            if action == "deliver":
                queue.settle(1, len(done.value), delivered=done.rows)
            else:
                queue.settle(1, len(done.value), lost={Loss.DELIVERY_FAILED: done.rows})
                reported += done.rows
        stats = queue.stats()
        assert stats.logged == stats.delivered + stats.pending + stats.lost_total
        assert stats.lost_total == reported
        assert stats.pending_bytes <= 100
        assert queue._held_entries <= 4
    waiting = queue.take(100, wait=False)
    assert queue.stats().pending == sum(held.rows for held in taken + waiting)
