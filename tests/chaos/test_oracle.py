"""The oracle's own arithmetic, and that it agrees with a replay of the same events."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from chaos import oracle, verify
from chaos.installation import Installation
from chaos.oracle import Expected, Sent, starts
from hypothesis import given
from hypothesis import strategies as st

RATE = 120.0
Traffic = tuple[int, list[Sent]]


@given(ts=st.integers(0, 10**13), hops=st.integers(1, 6), hop=st.integers(1, 10_000))
def test_every_window_that_holds_a_moment_is_named_once(ts: int, hops: int, hop: int) -> None:
    found = list(starts(ts, hop * hops, hop))
    assert len(found) == len(set(found)) == hops
    assert all(start % hop == 0 and start <= ts < start + hop * hops for start in found)


def test_the_traffic_holds_every_kind_of_trouble(expected: Expected) -> None:
    outcomes = {
        "predictions": ("joined", "expired", "duplicate", "quarantined"),
        "feedback": (
            *("joined", "duplicate", "corrected", "conflict", "late", "orphan", "quarantined"),
        ),
    }
    for side, names in outcomes.items():
        for name in names:
            assert expected.books[f"{side}_{name}"] > 0, (side, name)
        total = sum(expected.books[f"{side}_{name}"] for name in names)
        assert expected.books[f"{side}_in"] == total
    statuses = {(alert.rule, alert.status) for alert in expected.alerts.values()}
    assert {(r, s) for r in ("accuracy", "volume") for s in ("open", "resolved")} <= statuses


def test_every_row_is_in_as_many_windows_as_hold_its_moment(expected: Expected) -> None:
    taken = sum(expected.books[f"predictions_{name}"] for name in ("joined", "expired"))
    for size, hop in oracle.WINDOWS:
        for version_all in (True, False):
            counted = sum(
                counts.predictions
                for where, counts in expected.windows.items()
                if where.view == oracle.BY_PREDICTION
                and where.size == size
                and where.segment == "*"
                and (where.version == "*") is version_all
            )
            assert counted == taken * size // hop


def test_the_same_seed_sends_the_same(sent: Traffic) -> None:
    from chaos.traffic import Traffic as Source  # noqa: PLC0415 - beside its only use

    _, messages = sent
    source = Source(3, 1_795_000_000_000, RATE)
    again = [event.value for event in source.until(1_795_000_075_000)]
    assert again == [one.value for one in messages[: len(again)]]


def test_oracle_and_replay_agree_on_windows_alerts_and_what_met_nothing(
    sent: Traffic, tmp_path: Path
) -> None:
    end, messages = sent
    # Rubbish is no part of the files that are replayed, so offsets are counted without it.
    messages = renumbered([one for one in messages if one.body is not None])
    expected = oracle.expect(messages, end, RATE)
    installation = Installation(
        "127.0.0.1:1", "replayed", tmp_path, rate=RATE, guarantee="at_least_once"
    )
    metrics, alerts = installation.replayed(messages, end)
    unmatched = (installation.folder / "replayed" / "unmatched.jsonl").read_bytes().splitlines()
    published = verify.Published(metrics, alerts, unmatched, [])
    verdict = verify.verify(expected, published, dict(expected.books), once=True)
    assert [fault for fault in verdict.faults if not fault.startswith("quarantined")] == []
    assert verdict.checked["windows counted"] == len(expected.windows) > 500
    assert verdict.checked["alerts"] == len(expected.alerts) > 3


def renumbered(messages: list[Sent]) -> list[Sent]:
    offsets: Counter[tuple[str, int]] = Counter()
    found = []
    for one in messages:
        offset = offsets[one.side, one.partition]
        offsets[one.side, one.partition] += 1
        found.append(replace(one, offset=offset))
    return found
