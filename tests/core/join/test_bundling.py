"""Bundles are numbered alike for every monitor and cut to a bearable size."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.join import bundling
from streams.core.join.bundling import Bundler, TickNews
from streams.core.partials import Bundle, ModelNews
from streams.events.partitioner import partition_for

MODELS = ["a", "b", "c"]
TICKS = st.dictionaries(
    st.integers(0, 50),
    st.dictionaries(st.sampled_from(MODELS), st.integers(0, 300), min_size=1),
    max_size=12,
)


def news_of(drawn: dict[int, dict[str, int]]) -> list[TickNews]:
    return [
        (tick, {m: ModelNews("layout", runs={"score": np.arange(n) + 0.5}) for m, n in one.items()})
        for tick, one in sorted(drawn.items())
    ]


@settings(max_examples=60, deadline=None)
@given(TICKS, st.integers(1, 3), st.sampled_from([2_500, 6_000, 700_000]))
def test_what_is_packed_arrives_once_in_order_and_in_small_pieces(
    drawn: dict[int, dict[str, int]], monitors: int, largest: int
) -> None:
    bundler = Bundler(1, 4, monitors, 1_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundling, "LARGEST_BUNDLE", largest)
        patch.setattr(bundling, "_HEAD", 200)
        outputs = bundler.pack(news_of(drawn), 60, {"predictions_in": 7})
    arrived: dict[int, dict[str, int]] = defaultdict(dict)
    numbers: dict[int | None, list[int]] = defaultdict(list)
    for output in outputs:
        bundle = Bundle.decode(output.value)
        assert (bundle.source, bundle.sources, bundle.tick_ms) == (1, 4, 1_000)
        assert bundle.books == {"predictions_in": 7}
        assert len(output.value) <= largest or len(bundle.ticks) == 1
        numbers[output.partition].append(bundle.sequence)
        ticks = [tick for tick, _ in bundle.ticks]
        assert ticks == sorted(ticks)
        assert all(tick < bundle.frontier for tick in ticks)
        for tick, models in bundle.ticks:
            for name, news in models.items():
                assert partition_for(name.encode(), monitors) == output.partition
                assert name not in arrived[tick]
                arrived[tick][name] = len(news.runs["score"])
    assert arrived == drawn
    assert list(numbers) == list(range(monitors))
    assert all(each == list(range(1, bundler.sequence + 1)) for each in numbers.values())
    last = {output.partition: output for output in outputs}
    assert all(Bundle.decode(output.value).frontier == 60 for output in last.values())


def test_the_first_tick_of_the_next_bundle_is_the_frontier_of_the_one_before() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundling, "LARGEST_BUNDLE", 3_000)
        outputs = Bundler(0, 1, 1, 1_000).pack(
            news_of({tick: {"a": 100} for tick in (3, 5, 9)}), 20, {}
        )
    bundles = [Bundle.decode(output.value) for output in outputs]
    assert [bundle.frontier for bundle in bundles] == [5, 9, 20]
    assert [[tick for tick, _ in bundle.ticks] for bundle in bundles] == [[3], [5], [9]]
