"""Two topics are read in one order, whatever the order of arrival."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streams.core.ticks import NEVER, Slice, TickMerge, TickSource, cut

TICK, IDLE = 1_000, 5_000


class Topic:
    """A source whose records are their own clocks."""

    def __init__(self) -> None:
        self.source: TickSource[int] = TickSource()
        self.offset = 0

    def feed(self, merge: TickMerge, clock: int | None, now: int = 0) -> None:
        source = self.source
        after = source.clock if clock is None else max(source.clock, clock)
        tick = max(after // TICK, merge.frontier)
        part = Slice(tick, self.offset, self.offset + 1, after, 1, self.offset)
        self.offset += 1
        source.feed([part], self.offset, now, heard=clock is not None)


def merged() -> tuple[Topic, Topic, TickMerge]:
    one, two = Topic(), Topic()
    merge = TickMerge((one.source, two.source), TICK, IDLE)
    assert merge.complete(0) < 0
    return one, two, merge


def taken(
    topics: tuple[Topic, Topic], merge: TickMerge, now: int = 0
) -> list[tuple[int, int, int]]:
    """(tick, source, payload) of everything that is ready."""
    return [
        (tick, number, part.payload)
        for tick in merge.ready(merge.complete(now))
        for number, topic in enumerate(topics)
        for part in topic.source.take(tick)
    ]


CLOCKS = st.lists(st.integers(0, 20).map(lambda n: n * 300), max_size=15)


@given(CLOCKS, CLOCKS, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_interleaving(a: list[int], b: list[int], rng: object) -> None:
    def order(choices: list[int]) -> list[tuple[int, int, int]]:
        one, two, merge = merged()
        topics, left = (one, two), [list(a), list(b)]
        found = []
        for which in choices:
            topics[which].feed(merge, left[which].pop(0))
            found += taken(topics, merge)
        for topic in topics:
            topic.source.ended = True
        return found + [
            (tick, n, part.payload)
            for tick in merge.ready(100)
            for n, topic in enumerate(topics)
            for part in topic.source.take(tick)
        ]

    choices = [0] * len(a) + [1] * len(b)
    calm = order(choices)
    rng.shuffle(choices)  # type: ignore[attr-defined]  # a random.Random
    assert order(choices) == calm
    assert calm == sorted(calm)
    assert len(calm) == len(a) + len(b)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), max_size=30))
def test_the_frontier_never_falls_and_nothing_is_taken_before_all_have_passed(
    steps: list[tuple[int, int]],
) -> None:
    one, two, merge = merged()
    topics = (one, two)
    for which, clock in steps:
        topics[which].feed(merge, clock * 300)
        before = merge.frontier
        for tick, _, _ in taken(topics, merge):
            assert before <= tick < merge.frontier
            assert all((tick + 1) * TICK <= t.source.clock for t in topics)
        assert merge.frontier >= before


def test_rubbish_before_any_event_is_taken_at_once_and_time_stays_unknown() -> None:
    one, two, merge = merged()
    for n in range(3):
        one.feed(merge, None)
        assert [payload for _, _, payload in taken((one, two), merge)] == [n]
        assert merge.frontier == NEVER
    one.feed(merge, 5_000)
    assert taken((one, two), merge) == []
    two.feed(merge, 7_000)
    assert taken((one, two), merge) == []
    assert merge.frontier == 5


def test_a_silent_source_is_left_out_after_a_while() -> None:
    one, two, merge = merged()
    two.feed(merge, 1_000, now=0)
    one.feed(merge, 8_000, now=0)
    assert taken((one, two), merge, now=4_999) == []
    one.feed(merge, 9_500, now=4_999)
    assert [tick for tick, _, _ in taken((one, two), merge, now=5_000)] == [1, 8]
    assert merge.frontier == 9


def test_a_source_of_rubbish_counts_as_silent() -> None:
    one, two, merge = merged()
    one.feed(merge, 3_000, now=0)
    for now in range(0, 6_000, 500):
        one.feed(merge, 3_000 + now, now=now)
        two.feed(merge, None, now=now)
        taken((one, two), merge, now=now)
    assert merge.frontier == 8


def test_when_all_are_silent_time_goes_on_with_the_wall_clock() -> None:
    one, two, merge = merged()
    one.feed(merge, 3_000, now=100)
    two.feed(merge, 3_200, now=200)
    assert [tick for tick, _, _ in taken((one, two), merge, now=10_200)] == [3, 3]
    assert merge.frontier == 13


def test_what_comes_after_its_tick_joins_the_first_open_one() -> None:
    one, two, merge = merged()
    one.feed(merge, 3_000, now=0)
    taken((one, two), merge, now=20_000)
    assert merge.frontier == 23
    two.feed(merge, 1_000, now=20_000)
    assert two.source.pending[0].tick == 23


def test_an_ended_source_holds_nobody_back() -> None:
    one, two, merge = merged()
    one.feed(merge, 4_000)
    assert merge.complete(0) < 0
    two.source.ended = True
    assert merge.complete(0) == 4


def test_the_position_is_the_first_record_that_was_not_taken() -> None:
    one, two, merge = merged()
    assert one.source.position() is None
    for clock in (1_000, 1_500, 2_500):
        one.feed(merge, clock)
    two.feed(merge, 2_000)
    taken((one, two), merge)
    assert one.source.position() == 2
    assert one.source.taken_clock == 1_500
    assert one.source.pending_rows == 1
    assert merge.ahead(two.source) is False


@given(st.lists(st.integers(0, 4)).map(sorted))
def test_runs_cover_everything_once(ticks: list[int]) -> None:
    runs = cut(np.array(ticks, dtype=np.int64))
    assert [ticks[a] for a, _ in runs] == sorted(set(ticks))
    assert [i for a, b in runs for i in range(a, b)] == list(range(len(ticks)))


def test_a_source_with_unread_records_is_never_left_out_however_slow_its_reader() -> None:
    ahead: TickSource[str] = TickSource()
    slow: TickSource[str] = TickSource()
    merge = TickMerge((ahead, slow), 1_000, 5_000)
    slow.feed([Slice(1, 0, 1, 1_500, 1, "a")], 1, 0)
    ahead.feed([Slice(9, 0, 1, 9_500, 1, "b")], 1, 60_000)
    assert merge.complete(60_000) == 9
    slow.behind = True
    assert merge.complete(60_000) == 1
