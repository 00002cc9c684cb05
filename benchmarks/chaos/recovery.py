"""How long a killed worker takes to come back when a million predictions wait for their labels."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field

from confluent_kafka import Producer

from chaos.installation import PARTITIONS, Installation
from chaos.load import Load
from chaos.traffic import LARGE, PRICE, Traffic, models
from chaos.trial import COMPILED_SECONDS, END_SECONDS, NORMAL_LAG_SECONDS, SPEED, Terms
from chaos.workers import Crew, NotInTimeError, wait_until
from streams.events.partitioner import partition_for
from support.kafka import RealKafka

SPREAD_MS = 30_000
"""Event time over which the waiting predictions are spread."""
FILL_SECONDS = 600.0
_RESTORED = re.compile(r"restored \d+ partitions from (\d+) state records in ([0-9.]+) s")


@dataclass(slots=True)
class Recovery:
    """One restart after SIGKILL, with static membership.

    Attributes:
        waiting: predictions that waited for their labels, on all partitions of the one worker.
        records: state records that were read.
        restoring: seconds that restoring them took.
        ready: seconds from the kill until the worker was ready.
        full_speed: seconds from the kill until lag was normal again.
        faults: what was wrong.
    """

    waiting: int
    records: int = 0
    restoring: float = 0.0
    ready: float = 0.0
    full_speed: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def rows_per_second(self) -> float:
        """Predictions restored per second."""
        return self.waiting / self.restoring if self.restoring else 0.0


def measure(terms: Terms, waiting: int) -> Recovery:
    """Let predictions wait, kill the worker under load, and watch it come back."""
    found = Recovery(waiting)
    rate = terms.rate / SPEED
    patient = {"label_horizon": "1h", "remember": "1h"}
    with RealKafka(heap="768m") as node:
        installation = Installation(
            node.bootstrap_servers,
            "chaos-recovery",
            terms.folder,
            rate=rate,
            guarantee=terms.guarantee,
            configs={name: config | patient for name, config in models(rate).items()},
        )
        installation.create_topics()
        start = int(time.time() * 1000) // LARGE * LARGE
        _fill(installation, waiting, start)
        sides = {side: installation.topics.name(side) for side in ("predictions", "feedback")}
        traffic = Traffic(terms.seed, start, rate)
        load = Load(node.bootstrap_servers, sides, traffic, SPEED)
        with Crew(installation, static=True) as crew:
            crew.hire()
            wait_until(lambda: crew.books()["predictions_in"] > 0, "the worker", COMPILED_SECONDS)
            load.start()
            try:
                _watch(crew, found, most=NORMAL_LAG_SECONDS * 2 * terms.rate)
            except NotInTimeError as failure:
                found.faults.append(str(failure))
            end, sent = load.finish(PARTITIONS)
            wait_until(lambda: crew.read_until(end), "the end of the traffic", END_SECONDS)
            counts = Counter(one.side for one in sent)
            _check(crew.books(), found, waiting + counts["predictions"] - PARTITIONS)
            crew.dismiss_all()
    return found


def _fill(installation: Installation, waiting: int, start: int) -> None:
    """Publish the predictions that wait, and a label in each partition so that time passes."""
    producer = Producer(
        {
            "bootstrap.servers": installation.bootstrap_servers,
            "log_level": 0,
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
            "partitioner": "murmur2_random",
        }
    )
    predictions, feedback = map(installation.topics.name, ("predictions", "feedback"))
    marked: set[int] = set()
    for number in range(waiting):
        one = f"w-{number}"
        ts = start - SPREAD_MS + number * SPREAD_MS // waiting
        value = (
            f'{{"prediction_id":"{one}","timestamp":{ts},"model":"{PRICE}","model_version":"v1",'
            f'"prediction":{100 + number % 50},"features":{{"amount":{number % 97},'
            f'"channel":"web"}},"tags":{{"region":"north"}}}}'
        )
        producer.produce(predictions, value, one)
        partition = partition_for(one.encode(), PARTITIONS)
        if partition not in marked:
            marked.add(partition)
            label = f'{{"prediction_id":"{one}","timestamp":{start},"actual":100}}'
            producer.produce(feedback, label, one)
        if number % 10_000 == 0:
            while len(producer) > 500_000:
                producer.poll(0.1)
            producer.poll(0)
    producer.flush(120)


def _watch(crew: Crew, found: Recovery, most: float) -> None:
    def filled() -> bool:
        return crew.books()["predictions_in"] >= found.waiting and crew.caught_up(most)

    wait_until(filled, "the predictions to be taken in", FILL_SECONDS)
    time.sleep(3.0)  # some checkpoints under steady load
    found.waiting = round(crew.books()["predictions_waiting"])
    crew.kill(crew.workers()[0])
    started = time.monotonic()
    (worker,) = crew.workers()

    def ready() -> bool:
        return worker.figures().get("driftline_worker_ready") == 1.0

    wait_until(ready, "the worker to be ready", 180)
    found.ready = time.monotonic() - started
    wait_until(lambda: crew.caught_up(most), "full speed", 180)
    found.full_speed = time.monotonic() - started
    restored = _RESTORED.search(worker.log.read_text(encoding="utf-8", errors="replace"))
    if restored is None:
        found.faults.append("the worker did not say what it restored")
        return
    found.records, found.restoring = int(restored[1]), float(restored[2])


def _check(books: dict[str, float], found: Recovery, sent: int) -> None:
    outcomes = ("joined", "expired", "duplicate", "quarantined", "waiting")
    accounted = sum(books[f"predictions_{outcome}"] for outcome in outcomes)
    if not books["predictions_in"] == accounted == sent:
        found.faults.append(
            f"{sent} predictions were sent, {books['predictions_in']:.0f} came in, "
            f"{accounted:.0f} are accounted for"
        )
