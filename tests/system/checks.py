"""What must hold of a pipeline that has read all its traffic."""

from system.live import System, WorkerProcess, published_at, total
from system.traffic import Traffic

from support.waiting import wait_for


def figures_of(*workers: WorkerProcess) -> dict[str, float]:
    """Add up what several workers show, each of what it owns."""
    together: dict[str, float] = {}
    for worker in workers:
        for series, value in worker.figures().items():
            together[series] = together.get(series, 0.0) + value
    return together


def wait_until_done(traffic: Traffic, *workers: WorkerProcess) -> None:
    """Wait until the monitor has published everything up to the end of the traffic."""

    def done() -> bool:
        shown = [worker.figures() for worker in workers]
        moment = max(total(one, "driftline_monitor_event_time_seconds") for one in shown)
        return moment * 1000 >= traffic.end and all(
            total(one, "driftline_join_lag_records") == 0
            and total(one, "driftline_monitor_lag_records") == 0
            for one in shown
        )

    wait_for(done, "the end of the traffic")


def check_books(traffic: Traffic, *workers: WorkerProcess) -> dict[str, float]:
    """Compare the books on ``/metrics``; the traffic's very end is still buffered."""
    figures = figures_of(*workers)

    def booked(side: str, outcome: str) -> float:
        return total(figures, f"driftline_{side}_total", f'outcome="{outcome}"')

    for side, outcomes in (
        ("predictions", ("joined", "expired", "duplicate", "quarantined")),
        (
            "feedback",
            ("joined", "duplicate", "corrected", "conflict", "late", "orphan", "quarantined"),
        ),
    ):
        waiting = total(figures, f"driftline_{side}_waiting")
        accounted = sum(booked(side, outcome) for outcome in outcomes) + waiting
        assert booked(side, "in") == accounted
        assert booked(side, "in") + 4 == traffic.count(side)
    return figures


def check_same(system: System, traffic: Traffic) -> None:
    """Compare what was published with the replay of the same events, byte for byte."""
    replayed = system.replayed(traffic.predictions, traffic.feedback)
    for logical, expected in zip(("metrics", "alerts"), replayed, strict=True):
        published = system.published(logical)
        due = {one: line for one, line in expected.items() if published_at(line) <= traffic.end}
        assert published.keys() - due.keys() == set()
        assert due.keys() - published.keys() == set()
        assert [one for one in due if published[one] != due[one]] == []
        assert due
