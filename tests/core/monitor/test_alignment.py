from core.monitor.worlds import START
from hypothesis import given
from hypothesis import strategies as st

from streams.core.monitor.alignment import NEVER, Alignment
from streams.core.partials import Bundle, ModelNews

TICK = 1_000
BASE = START // TICK


def bundle(source: int, sequence: int, frontier: int, ticks: list[int], sources: int = 2) -> Bundle:
    news = [(BASE + t, {"m": ModelNews(f"{source}/{t}")}) for t in ticks]
    return Bundle(source, sources, sequence, BASE + frontier, TICK, news, {"in": frontier})


def offer(alignment: Alignment, one: Bundle) -> bool:
    return alignment.offer(one, one.encode())


def taken(alignment: Alignment) -> list[tuple[int, list[str]]]:
    return [
        (moment // TICK - BASE, [models["m"].layout for models in news])
        for moment, news in alignment.take()
    ]


def test_a_source_that_has_not_spoken_holds_everything_back() -> None:
    alignment = Alignment(TICK)
    assert offer(alignment, bundle(0, 1, 10, [1, 5]))
    assert alignment.frontier == NEVER
    assert taken(alignment) == []
    assert offer(alignment, bundle(1, 1, 4, [1, 2]))
    assert taken(alignment) == [(2, ["0/1", "1/1"]), (3, ["1/2"])]
    assert alignment.waiting() == 1
    assert offer(alignment, bundle(1, 2, 20, []))
    assert taken(alignment) == [(6, ["0/5"])]
    assert alignment.books() == {"in": 30}


def test_a_repeat_is_dropped_and_a_gap_is_counted() -> None:
    alignment = Alignment(TICK)
    assert offer(alignment, bundle(0, 7, 10, [1], sources=1))
    assert not offer(alignment, bundle(0, 7, 10, [1], sources=1))
    assert not offer(alignment, bundle(0, 6, 9, [1], sources=1))
    assert offer(alignment, bundle(0, 10, 12, [11], sources=1))
    assert (alignment.repeats, alignment.gaps) == (2, 2)


def test_a_source_that_lost_its_state_is_heard_again_once_it_tells_something_new() -> None:
    alignment = Alignment(TICK)
    offer(alignment, bundle(0, 5, 10, [3], sources=1))
    assert not offer(alignment, bundle(0, 1, 10, [3], sources=1))
    assert offer(alignment, bundle(0, 2, 12, [11], sources=1))
    assert not offer(alignment, bundle(0, 2, 12, [11], sources=1))
    assert offer(alignment, bundle(0, 3, 12, [], sources=1))
    assert taken(alignment) == [(4, ["0/3"]), (12, ["0/11"])]
    assert (alignment.restarts, alignment.repeats, alignment.gaps) == (1, 2, 0)


def test_news_of_a_closed_tick_joins_the_first_open_one() -> None:
    alignment = Alignment(TICK)
    offer(alignment, bundle(0, 1, 10, [3], sources=1))
    assert taken(alignment) == [(4, ["0/3"])]
    offer(alignment, bundle(1, 1, 20, [2, 15]))
    assert taken(alignment) == []
    offer(alignment, bundle(0, 2, 20, [10]))
    assert taken(alignment) == [(11, ["0/10", "1/2"]), (16, ["1/15"])]


@st.composite
def histories(draw: st.DrawFn) -> list[list[Bundle]]:
    found = []
    for source in range(3):
        low, bundles = 0, []
        for sequence in range(1, draw(st.integers(1, 4)) + 1):
            high = low + draw(st.integers(0, 5))
            ticks = sorted(draw(st.sets(st.integers(low, high - 1)))) if high > low else []
            bundles.append(bundle(source, sequence, high, ticks, sources=3))
            low = high
        found.append(bundles)
    return found


@given(history=histories(), data=st.data())
def test_the_order_is_the_same_for_every_interleaving_and_restart(
    history: list[list[Bundle]], data: st.DataObject
) -> None:
    def run(order: list[int], restarts: set[int]) -> list[tuple[int, list[str]]]:
        alignment = Alignment(TICK)
        queues = [list(bundles) for bundles in history]
        seen = []
        for at, source in enumerate(order):
            offer(alignment, queues[source].pop(0))
            seen += taken(alignment)
            if at in restarts:
                fresh = Alignment(TICK)
                fresh.restore(alignment.snapshot())
                alignment = fresh
        return seen

    plain = [source for source, bundles in enumerate(history) for _ in bundles]
    expected = run(plain, set())
    shuffled = data.draw(st.permutations(plain))
    restarts = data.draw(st.sets(st.sampled_from(range(len(plain)))))
    assert run(shuffled, restarts) == expected
