"""One scenario as it runs: installation, workers, load and watch, and the reckoning at its end."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chaos.installation import PARTITIONS, Installation
from chaos.load import Load, LoadError
from chaos.offsets import OffsetWatch
from chaos.oracle import expect
from chaos.traffic import LARGE, Traffic
from chaos.verify import Verdict, check_same, verify
from chaos.workers import STOP_SECONDS, Crew, NotInTimeError, wait_until

SPEED = 1.25
"""Seconds of event time per second."""
COMPILED_SECONDS = 300.0
"""The first worker of an installation compiles its loops and leaves them to the others."""
RECOVERY_SECONDS = 120.0
END_SECONDS = 240.0
VISIBLE_SECONDS = 30.0
NORMAL_LAG_SECONDS = 2.0
"""Lag is normal when no more waits than what comes in so much time."""


@dataclass(slots=True)
class Outcome:
    """What a scenario showed.

    Attributes:
        name: its name.
        rounds: how often something was done to the system.
        sent: messages that were sent.
        checked: numbers of things that were compared, by name.
        faults: what was wrong.
        repeats: outputs that came again, where that is allowed.
        recoveries: seconds from each fault to normal lag.
        stops: seconds from each SIGTERM to the exit.
        ended: what workers said that ended by themselves.
        notes: what else is worth telling.
        seconds: how long it took.
    """

    name: str
    rounds: int = 0
    sent: int = 0
    checked: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    repeats: int = 0
    recoveries: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What all scenarios of a run have in common.

    Attributes:
        folder: where files go.
        guarantee: of the pipelines under test.
        rate: predictions per second.
        seed: of everything random.
        replay: whether a replay of what was sent is compared, too.
    """

    folder: Path
    guarantee: str
    rate: float
    seed: int
    replay: bool = True


class Trial:
    """A running system that a scenario does something to.

    Args:
        terms: what all scenarios have in common.
        outcome: where to note what happens.
        bootstrap_servers: the brokers.
        replicas: copies of each partition.
        static: whether the workers are static members of their group.
    """

    def __init__(
        self,
        terms: Terms,
        outcome: Outcome,
        bootstrap_servers: str,
        *,
        replicas: int = 1,
        static: bool = False,
    ) -> None:
        self.outcome = outcome
        self.random = random.Random(f"{terms.seed}-{outcome.name}")
        self._terms = terms
        self._event_rate = terms.rate / SPEED
        name = f"chaos-{outcome.name.replace('_', '-')}-{int(time.time())}"
        self.installation = Installation(
            bootstrap_servers,
            name,
            terms.folder,
            rate=self._event_rate,
            guarantee=terms.guarantee,
            replicas=replicas,
        )
        self.crew = Crew(self.installation, static=static)
        self._watch = OffsetWatch(self.installation)

    @contextmanager
    def running(self, workers: int = 3) -> Iterator[Load]:
        """Start everything; in the end stop the load, let the workers finish, and compare."""
        started = time.monotonic()
        self.installation.create_topics()
        with self.crew:
            self.crew.hire()
            wait_until(lambda: self.crew.caught_up(0), "the first worker", COMPILED_SECONDS)
            self.crew.hire(workers - 1)
            wait_until(self.crew.all_at_work, "all workers", COMPILED_SECONDS)
            sides = {side: self.installation.topics.name(side) for side in _SIDES}
            start = int(time.time() * 1000) // LARGE * LARGE
            traffic = Traffic(self._terms.seed, start, self._event_rate)
            load = Load(self.installation.bootstrap_servers, sides, traffic, SPEED)
            load.start()
            self._watch.start()
            try:
                self.recovered()
                yield load
            except (NotInTimeError, LoadError) as failure:
                self.outcome.faults.append(str(failure))
            self._reckon(load)
        self.outcome.ended += self.crew.ended
        self.outcome.seconds = time.monotonic() - started

    def recovered(self) -> float:
        """Wait until all partitions are read again as fast as they fill; gives the seconds."""
        most = NORMAL_LAG_SECONDS * 2 * self._terms.rate
        return wait_until(lambda: self.crew.caught_up(most), "normal lag", RECOVERY_SECONDS)

    def note_recovery(self) -> None:
        """Wait as ``recovered`` does, and keep the time."""
        self.outcome.recoveries.append(self.recovered())

    def pause(self, least: float, most: float) -> None:
        """Let the system work for a random time, seconds."""
        time.sleep(self.random.uniform(least, most))

    # -- the reckoning ------------------------------------------------------------------------

    def _reckon(self, load: Load) -> None:
        outcome = self.outcome
        try:
            end, sent = load.finish(PARTITIONS)
        except LoadError as failure:
            outcome.faults.append(f"the load failed, nothing can be compared: {failure}")
            return
        outcome.sent = len(sent)
        try:
            wait_until(lambda: self.crew.read_until(end), "the end of the traffic", END_SECONDS)
        except NotInTimeError as failure:
            outcome.faults.append(str(failure))
        expected = expect(sent, end, self._event_rate)
        verdict = Verdict()

        def right() -> bool:
            nonlocal verdict
            books, published = self.crew.books(), self.installation.published()
            verdict = verify(expected, published, books, once=self.installation.once)
            return not verdict.faults

        # The last checkpoint makes visible what the workers show already. What is still wrong
        # after that time is a fault, and is told as such.
        with suppress(NotInTimeError):
            wait_until(right, "everything to be visible", VISIBLE_SECONDS)
        self.crew.dismiss_all()
        self._watch.finish()
        if self._terms.replay:
            published = self.installation.published()
            metrics, alerts = self.installation.replayed(sent, end)
            check_same(verdict, "metrics", published.metrics, metrics)
            check_same(verdict, "alerts", published.alerts, alerts)
        self._note(verdict)

    def _note(self, verdict: Verdict) -> None:
        outcome, watch = self.outcome, self._watch
        outcome.checked += verdict.checked
        outcome.faults += verdict.faults
        outcome.repeats = verdict.repeats
        outcome.checked["offset samples"] = watch.samples
        if watch.faults:
            outcome.faults.append(_few("offsets passed unprocessed rows", watch.faults))
        if not watch.samples:
            outcome.faults.append("committed offsets were never compared with the state")
        outcome.stops = [seconds for seconds, _ in self.crew.stops]
        slow = [f"{seconds:.1f} s" for seconds in outcome.stops if seconds > STOP_SECONDS]
        if slow:
            outcome.faults.append(_few("SIGTERM to exit took too long", slow))
        bad = [str(code) for _, code in self.crew.stops if code]
        if bad:
            outcome.faults.append(_few("exit codes after SIGTERM", bad))


_SIDES = ("predictions", "feedback")


def _few(what: str, found: Sequence[str]) -> str:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f"{what}: {'; '.join(found[:3])}{more}"
