"""Ids lead to their predictions, whatever their hashes."""

from typing import Any

import numpy as np
import pytest
from core.join.topics import MODELS, settings_of
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.join.groups import CAP_FACTOR, MISSING_VALUE, OTHER_VALUE, Groups
from streams.core.join.index import ABSENT, IdIndex
from streams.core.join.pages import PAGE_BITS, PAGE_ROWS, NewRows, PageStore
from streams.core.join.waiting import Waiting
from streams.events.columns import MISSING, Coded, PredictionBlock
from streams.events.ids import Ids

IDS = [*"abcdefghij", "é", "日本", "x" * 300, "🙂🙂", "\x00", "a\x00b"]
HASHES = {
    "its own": lambda ids: ids.hashes,
    "one for all": lambda ids: np.full(len(ids), 7, dtype=np.int64),
    "by length": lambda ids: ids.size,
}


def hashed(ids: list[str], kind: str = "its own") -> Ids:
    column = Ids.of(ids)
    column.hashes = HASHES[kind](column)
    return column


def rows_of(ids: list[str], ts: int = 0, kind: str = "its own") -> NewRows:
    n = len(ids)
    return NewRows(
        hashed(ids, kind), np.full(n, ts, dtype=np.int64), np.zeros(n, dtype=np.int32), np.zeros(n)
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(0, 60), max_size=30), st.booleans()), max_size=20))
def test_the_index_finds_what_a_dictionary_finds(steps: list[tuple[list[int], bool]]) -> None:
    alive: set[int] = set()
    index = IdIndex(lambda handles: np.array([h in alive for h in handles.tolist()], dtype=bool))
    # A small table of clashing slots: few of the lower bits differ.
    model: dict[int, int] = {}
    handle = 0
    for keys, die in steps:
        hashes = np.array([(k << 12) | (k % 3) for k in dict.fromkeys(keys)], dtype=np.int64)
        if len(hashes):
            handles = np.arange(handle, handle + len(hashes), dtype=np.int64)
            handle += len(hashes)
            index.put(hashes, handles)
            alive.update(handles.tolist())
            model.update(zip(hashes.tolist(), handles.tolist(), strict=True))
        if die:
            alive.clear()
            index._rebuild(0)
            model = {h: v for h, v in model.items() if v in alive}
        asked = np.array([(k << 12) | (k % 3) for k in range(61)], dtype=np.int64)
        assert index.find(asked).tolist() == [model.get(h, ABSENT) for h in asked.tolist()]
        assert len(index) == len(model)


def test_the_index_grows_and_forgets_the_dead() -> None:
    rng = np.random.default_rng(1)
    limit = 0
    index = IdIndex(lambda handles: handles >= limit)
    hashes = rng.integers(-(2**63), 2**63 - 1, 300_000)
    for start in range(0, 300_000, 5_000):
        handles = np.arange(start, start + 5_000)
        limit = max(0, start - 20_000)
        index.put(hashes[handles], handles)
        recent = np.arange(limit, start + 5_000)
        assert (index.find(hashes[recent]) == recent).all()
    assert index.nbytes <= 1 << 21


@pytest.mark.parametrize("kind", list(HASHES))
@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.lists(st.sampled_from(IDS), max_size=8, unique=True),
            st.sampled_from(["add", "drop", "turn"]),
        ),
        max_size=25,
    )
)
def test_predictions_are_found_by_id_even_when_hashes_collide(
    kind: str, steps: list[tuple[list[str], str]]
) -> None:
    waiting = Waiting()
    model: dict[str, int] = {}
    models = 0
    for ids, what in steps:
        if what == "add":
            fresh = [one for one in ids if one not in model]
            if fresh:
                handles, _ = waiting.add(f"m{models}", 0, rows_of(fresh, kind=kind))
                model.update(zip(fresh, handles.tolist(), strict=True))
        elif what == "drop" and waiting.store.pages:
            page = min(waiting.store.pages)
            waiting.drop(page)
            model = {one: h for one, h in model.items() if h >> PAGE_BITS != page}
        else:
            models += 1
        found = waiting.find(hashed(IDS, kind))
        assert found.tolist() == [model.get(one, ABSENT) for one in IDS]


def test_rows_put_back_are_found_under_other_hashes() -> None:
    first = Waiting()
    handles, placed = first.add("m", 0, rows_of(IDS))
    second = Waiting()
    for part in placed:
        part.rows.ids.hashes[:] = 7
        second.put_back(part.page, part.start, "m", 0, part.rows)
    assert second.find(hashed(IDS, "one for all")).tolist() == handles.tolist()


@given(
    st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=5), min_size=1, max_size=6),
    st.data(),
)
def test_ids_come_back_from_pages_as_they_went_in(
    parts: list[list[str]], data: st.DataObject
) -> None:
    store = PageStore()
    for part in parts:
        store.append("m", 0, rows_of(part))
    whole = [one for part in parts for one in part]
    slots = np.array(
        data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=9)), dtype=np.int64
    )
    page = store.pages[0]
    assert page.ids(slots) == [whole[s] for s in slots.tolist()]
    others = data.draw(st.lists(st.text(max_size=6), min_size=len(slots), max_size=len(slots)))
    mixed = [
        whole[s] if i % 2 else o
        for i, (s, o) in enumerate(zip(slots.tolist(), others, strict=True))
    ]
    wanted = [whole[s] == o for s, o in zip(slots.tolist(), mixed, strict=True)]
    assert page.same_ids(slots, Ids.of(mixed).joined(), Ids.of(mixed).size).tolist() == wanted


def test_many_rows_fill_page_after_page_and_only_whole_pages_go() -> None:
    store = PageStore()
    ids = [f"id-{i}" for i in range(2 * PAGE_ROWS + 10)]
    rows = rows_of(ids)
    rows.ts[:] = np.arange(len(ids))
    handles, placed = store.append("m", 0, rows)
    assert sorted(store.pages) == [0, 1, 2]
    assert [(p.page, p.start, len(p.rows)) for p in placed] == [
        (0, 0, PAGE_ROWS), (1, 0, PAGE_ROWS), (2, 0, 10),
    ]  # fmt: skip
    (ts,) = store.gather(handles[::-1], ("ts",))
    assert ts.tolist() == list(range(len(ids)))[::-1]
    store.drop(0)
    assert store.alive(handles).tolist() == [False] * PAGE_ROWS + [True] * (PAGE_ROWS + 10)


def test_handles_are_never_given_out_twice_after_a_restart() -> None:
    store = PageStore()
    store.append("m", 0, rows_of(["a", "b"]))
    gone, _ = store.append("m", 0, rows_of(["c"]))
    again = PageStore()
    again.restore(0, 0, "m", 0, rows_of(["a", "b"]))
    again.reopen(store.open_pages(), store.next_page)
    assert again.holds(gone).all()
    handles, _ = again.append("m", 0, rows_of(["d"]))
    assert handles.tolist() == (gone + 1).tolist()
    assert again.pages[0].waiting() == 3
    empty = PageStore()
    empty.reopen({}, store.next_page)
    handles, _ = empty.append("m", 0, rows_of(["e"]))
    assert handles[0] >> PAGE_BITS == store.next_page


# -- groups -----------------------------------------------------------------------------------


def block_of(countries: list[str | None], version: str = "1") -> PredictionBlock:
    n = len(countries)
    values = list(dict.fromkeys(c for c in countries if c is not None))
    codes = [MISSING if c is None else values.index(c) for c in countries]
    nothing: Any = np.zeros((n, 0))
    return PredictionBlock(
        model="m", rows=np.arange(n), ids=Ids.of([""] * n), ts=np.zeros(n, dtype=np.int64),
        version=Coded([version], np.zeros(n, dtype=np.int32)), predicted=np.zeros(n), score=None,
        ranking=None, numeric=nothing, numeric_bad=None, categorical=[],
        tags={"country": Coded(values, np.array(codes, dtype=np.int32))},
        latency=np.full(n, np.nan), error=np.zeros(n, dtype=bool),
    )  # fmt: skip


def groups_with(*segments: Any) -> Groups:
    model = {**MODELS[5], "segments": list(segments)}
    return Groups(settings_of([model]).models["shop"].config)


COUNTRY = {"name": "country", "by": ["country"], "max_values": 1}


@given(st.lists(st.lists(st.sampled_from([*"abcdefgh", None]), min_size=1), min_size=1))
def test_values_beyond_the_cap_share_a_segment_in_order_of_appearance(
    blocks: list[list[str | None]],
) -> None:
    groups = groups_with(COUNTRY)
    seen: list[str] = []
    for countries in blocks:
        numbers = groups.assign(block_of(countries))
        for country, number in zip(countries, numbers.tolist(), strict=True):
            text = MISSING_VALUE if country is None else country
            if text not in seen and len(seen) < CAP_FACTOR:
                seen.append(text)
            value = text if text in seen else OTHER_VALUE
            assert groups.cells(number) == (("1", "*"), ("1", f"country={value}"))
    assert len(set(groups.members)) == len(groups)


@given(st.lists(st.sampled_from([*"abcdef", None, OTHER_VALUE]), min_size=1), st.integers(0, 5))
def test_restored_groups_go_on_as_if_nothing_had_happened(
    countries: list[str | None], cut: int
) -> None:
    calm, before, after = (groups_with(COUNTRY) for _ in range(3))
    whole = [calm.assign(block_of([c])).tolist() for c in countries]
    parts = [before.assign(block_of([c])).tolist() for c in countries[:cut]]
    after.restore(before.added_since(0))
    parts += [after.assign(block_of([c])).tolist() for c in countries[cut:]]
    assert parts == whole
    assert after.members == calm.members


def test_groups_keep_their_numbers_when_segments_are_configured_anew() -> None:
    before = groups_with(COUNTRY)
    before.assign(block_of(["DE", "FR", None]))
    fewer, other = groups_with(), groups_with({"name": "plan", "by": ["plan"]}, COUNTRY)
    fewer.restore(before.added_since(0))
    assert [fewer.cells(g) for g in range(3)] == [(("1", "*"),)] * 3
    other.restore(before.added_since(0))
    assert other.cells(1) == (("1", "*"), ("1", "plan=__missing__"), ("1", "country=FR"))
    # Rows that are like old ones join a group that is there.
    assert other.assign(block_of(["FR"])).tolist() == [1]
    assert fewer.assign(block_of(["IT"])).tolist()[0] in range(3)
