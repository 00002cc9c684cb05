"""Compares what was published with what must have come out; every difference is a fault."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum, isclose
from typing import Any

import orjson

from chaos.oracle import BY_PREDICTION, Alert, Counts, Expected, Where
from chaos.traffic import FRAUD

Headers = Mapping[str, bytes]
SHOWN = 5


@dataclass(slots=True)
class Published:
    """What was read of the topics that Driftline writes.

    Attributes:
        metrics: windows and drift events as they were published, in topic order.
        alerts: likewise.
        unmatched: likewise.
        quarantined: headers of the records of both quarantine topics.
    """

    metrics: list[bytes]
    alerts: list[bytes]
    unmatched: list[bytes]
    quarantined: Sequence[Headers]


@dataclass(slots=True)
class Verdict:
    """What was compared and what was found.

    Attributes:
        checked: numbers of things that were compared, by name.
        faults: differences, one sentence each.
        repeats: outputs that came again, the same to the byte, where that is allowed.
    """

    checked: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    repeats: int = 0

    def fault(self, what: str, found: Iterable[Any]) -> None:
        """Note differences of one kind, if there are any."""
        told = [str(one) for one in found]
        if told:
            more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
            self.faults.append(f"{what}: {'; '.join(told[:SHOWN])}{more}")


def verify(
    expected: Expected, published: Published, figures: Mapping[str, float], *, once: bool
) -> Verdict:
    """Compare everything.

    Args:
        expected: what must have come out.
        published: what came out.
        figures: the books as the workers show them, by side and outcome.
        once: whether outputs must not be repeated; otherwise a repeat with the same id and the
            same bytes is dropped, as readers do.
    """
    verdict = Verdict()
    metrics = _by_id(verdict, "metrics", published.metrics, once=once)
    windows = {one: body for one, body in metrics.items() if body["type"] == "window"}
    verdict.checked["windows published"] = len(windows)
    _check_windows(verdict, expected.windows, windows.values())
    alerts = _by_id(verdict, "alerts", published.alerts, once=once)
    _check_alerts(verdict, expected.alerts, alerts)
    unmatched = _by_id(verdict, "unmatched", published.unmatched, once=once)
    verdict.checked["unmatched"] = len(unmatched)
    _check_counts(verdict, "unmatched", expected.unmatched, Counter(unmatched.keys()))
    _check_quarantine(verdict, expected, published.quarantined, once=once)
    _check_books(verdict, expected.books, figures)
    return verdict


def check_same(
    verdict: Verdict, what: str, published: Iterable[bytes], due: Iterable[bytes]
) -> None:
    """Compare payloads with those of a replay of the same events, byte for byte."""
    ours = {orjson.loads(one)["id"]: one for one in published}
    theirs = {orjson.loads(one)["id"]: one for one in due}
    verdict.checked[f"{what} same as replay"] = len(theirs)
    verdict.fault(f"{what} that a replay does not publish", sorted(ours.keys() - theirs.keys()))
    verdict.fault(f"{what} that only a replay publishes", sorted(theirs.keys() - ours.keys()))
    differing = [one for one in sorted(ours.keys() & theirs.keys()) if ours[one] != theirs[one]]
    verdict.fault(f"{what} unlike the replay's", differing)


def _by_id(
    verdict: Verdict, what: str, values: Iterable[bytes], *, once: bool
) -> dict[str, dict[str, Any]]:
    first: dict[str, bytes] = {}
    repeated: list[str] = []
    changed: list[str] = []
    for value in values:
        one = orjson.loads(value)["id"]
        if one in first:
            (repeated if first[one] == value else changed).append(one)
        else:
            first[one] = value
    verdict.fault(f"{what} published again with another content", changed)
    verdict.repeats += len(repeated)
    if once:
        verdict.fault(f"{what} published twice", repeated)
    return {one: orjson.loads(value) for one, value in first.items()}


# -- windows ----------------------------------------------------------------------------------


def milliseconds(text: str) -> int:
    """Read a time of a payload."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def _where(window: Mapping[str, Any]) -> Where:
    return Where(
        window["model"],
        window["model_version"],
        window["segment"],
        window["view"],
        round(window["size_s"] * 1000),
        milliseconds(window["start"]),
    )


def _check_windows(
    verdict: Verdict, expected: Mapping[Where, Counts], windows: Iterable[dict[str, Any]]
) -> None:
    revisions: dict[Where, dict[int, dict[str, Any]]] = defaultdict(dict)
    for window in windows:
        revisions[_where(window)][window["revision"]] = window
    verdict.checked["windows counted"] = len(expected)
    verdict.fault("windows missing", sorted(expected.keys() - revisions.keys()))
    verdict.fault("windows of nothing", sorted(revisions.keys() - expected.keys()))
    for where, found in sorted(revisions.items()):
        last = max(found)
        if sorted(found) != list(range(last + 1)):
            verdict.fault("revisions missing", [f"{where}: only {sorted(found)}"])
        if [number for number, one in found.items() if one["final"]] != [last]:
            verdict.fault("windows without one final revision", [where])
        if where in expected:
            _check_counts_of(verdict, where, expected[where], found[last])


def _check_counts_of(
    verdict: Verdict, where: Where, due: Counts, window: Mapping[str, Any]
) -> None:
    verdict.checked["labels counted"] += due.labels
    pairs: list[tuple[str, float, float]] = [("labels", window["labels"], due.labels)]
    if where.view == BY_PREDICTION:
        verdict.checked["predictions counted"] += due.predictions
        pairs.append(("predictions", window["predictions"], due.predictions))
    if where.model == FRAUD and due.labels:
        said = window.get("confusion") or {}
        pairs += [
            (name, said.get(name, 0), due.confusion[name]) for name in ("tp", "fp", "tn", "fn")
        ]
    elif due.labels:
        mae = window["metrics"]["mae"]
        pairs.append(("values of mae", mae["n"], len(due.errors)))
        mean = fsum(due.errors) / len(due.errors)
        if not isclose(mae["value"], mean, rel_tol=1e-9):
            pairs.append(("mae", mae["value"], mean))
    wrong = [
        f"{name} {found:g} instead of {right:g}" for name, found, right in pairs if found != right
    ]
    if wrong:
        verdict.fault("window counted wrong", [f"{where}: {', '.join(wrong)}"])


# -- alerts, quarantine, books ----------------------------------------------------------------


def _check_alerts(
    verdict: Verdict, expected: Mapping[str, Alert], found: Mapping[str, Mapping[str, Any]]
) -> None:
    verdict.checked["alerts"] = len(expected)
    verdict.fault("alerts lost", [expected[one] for one in sorted(expected.keys() - found.keys())])
    verdict.fault("alerts too many", sorted(found.keys() - expected.keys()))
    for one in sorted(expected.keys() & found.keys()):
        alert, due = found[one], expected[one]
        same = (
            (alert["fingerprint"], alert["revision"], alert["status"], alert["rule"], alert["at"])
            == due[:5]
        ) and isclose(alert["evidence"]["value"], due.value, rel_tol=1e-9)
        if not same:
            verdict.fault("alert unlike the right one", [f"{dict(alert)} instead of {due}"])


def _check_counts(verdict: Verdict, what: str, expected: Counter[Any], found: Counter[Any]) -> None:
    verdict.fault(f"{what} lost", sorted((expected - found).elements()))
    verdict.fault(f"{what} too many", sorted((found - expected).elements()))


def _check_quarantine(
    verdict: Verdict, expected: Expected, quarantined: Iterable[Headers], *, once: bool
) -> None:
    found: Counter[tuple[str, int, int]] = Counter()
    for headers in quarantined:
        side = headers["driftline.source.topic"].decode().rpartition(".")[2]
        partition = int(headers["driftline.source.partition"])
        found[side, partition, int(headers["driftline.source.offset"])] += 1
    if not once:
        verdict.repeats += found.total() - len(found)
        found = Counter(found.keys())
    verdict.checked["quarantined"] = found.total()
    _check_counts(verdict, "quarantined", expected.quarantined, found)


_OUTCOMES = {
    "predictions": ("joined", "expired", "duplicate", "quarantined"),
    "feedback": ("joined", "duplicate", "corrected", "conflict", "late", "orphan", "quarantined"),
}


def _check_books(verdict: Verdict, expected: Counter[str], figures: Mapping[str, float]) -> None:
    for side, outcomes in _OUTCOMES.items():
        accounted = sum(figures.get(f"{side}_{outcome}", 0) for outcome in outcomes)
        entered = figures.get(f"{side}_in", 0)
        verdict.checked[f"{side} booked"] = round(entered)
        if entered != accounted + figures.get(f"{side}_waiting", 0):
            verdict.fault(f"books of {side} out of balance", [f"{entered:g} in, {accounted:g} out"])
        for outcome in ("in", *outcomes, "waiting"):
            name = f"{side}_{outcome}"
            if figures.get(name, 0) != expected[name]:
                told = f"{name} {figures.get(name, 0):g} instead of {expected[name]:g}"
                verdict.fault("books wrong", [told])
