"""The systems that are compared: Driftline in its forms, the floor, and the peers."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson
from driftline_system import (
    Run,
    Variant,
    configure,
    guarantee_of,
    run_idle,
    run_worker,
)
from loading import Loader
from measuring import Measured, Used
from peer_system import PEERS, Peer, Tally, run_peer, versions, write_reference
from results import Result
from workload import CLOSING_DELAY_MS, Encoded, Messages, Workload, closing

from streams.events.partitioner import partition_for

HERE = Path(__file__).resolve().parent

VARIANTS = (
    Variant("driftline", "in1.predictions", "in1.feedback", guarantee="exactly_once"),
    Variant(
        "driftline_at_least_once", "in1.predictions", "in1.feedback", guarantee="at_least_once"
    ),
    Variant(
        "driftline_segment",
        "in1.predictions",
        "in1.feedback",
        segments=True,
        guarantee="exactly_once",
    ),
    Variant(
        "driftline_batches", "batches.predictions", "batches.feedback", guarantee="exactly_once"
    ),
)
FLOORS = {
    "floor_orjson": ("orjson", "in1"),
    "floor_msgspec": ("msgspec", "in1"),
    "floor_batches": ("orjson", "batches"),
}
SYSTEMS = (*(variant.name for variant in VARIANTS), *FLOORS, *(peer.name for peer in PEERS))


class Bench:
    """One run: a broker, topics that are filled when first needed, and what was measured.

    Args:
        bootstrap: the broker.
        workload: what is measured.
        made: the same as messages.
        folder: for files of this run.
        full: whether the run is of full size.
    """

    def __init__(
        self, bootstrap: str, workload: Workload, made: Encoded, folder: Path, *, full: bool = False
    ) -> None:
        self.bootstrap = bootstrap
        self.workload = workload
        self.made = made
        self.folder = folder
        self.full = full
        self.results: list[Result] = []
        self.loader = Loader(bootstrap)
        self._filled: set[str] = set()
        self._idle: dict[str, Used] = {}

    def system(self, name: str, peer_rows: int | None = None) -> Result:
        """Measure one system."""
        if name in FLOORS:
            result = self._floor(name, *FLOORS[name])
        elif peer := next((p for p in PEERS if p.name == name), None):
            result = self._peer(peer, peer_rows or peer.rows)
        else:
            result = self.driftline(next(v for v in VARIANTS if v.name == name))
        self.results.append(result)
        return result

    def driftline(
        self, variant: Variant, command: Callable[[Path], list[str]] | None = None
    ) -> Result:
        """Measure a worker."""
        idle = self.idle(variant.guarantee)
        self.fill(variant.predictions.partition(".")[0], variant.partitions)
        config = configure(self.bootstrap, variant, self.workload, self.folder / variant.name)
        run = run_worker(
            config, self.workload, self.made.correct, command=command and command(config)
        )
        used = run.used
        return Result(
            variant.name,
            _what(variant),
            self.workload.rows,
            used.wall_seconds,
            used.cpu_seconds,
            used.peak_rss_bytes,
            used.cpu_seconds - idle.cpu_seconds,
            used.wall_seconds - idle.wall_seconds,
            _details(run, idle, guarantee_of(variant.guarantee)),
        )

    def idle(self, guarantee: str) -> Used:
        """Return what a worker uses on empty topics until it is ready; measured once."""
        guarantee = guarantee_of(guarantee)
        if guarantee not in self._idle:
            name = f"idle_{guarantee}"
            topics = f"{name}.predictions", f"{name}.feedback"
            self.loader.create(dict.fromkeys(topics, 1))
            variant = Variant(name, *topics, guarantee=guarantee)
            config = configure(self.bootstrap, variant, self.workload, self.folder / name)
            if not self._idle:
                run_idle(config)  # compiles loops where this version never ran before
            self._idle[guarantee] = run_idle(config)
        return self._idle[guarantee]

    def _floor(self, system: str, decoder: str, prefix: str) -> Result:
        self.fill(prefix, 1)
        made = self.made
        messages = made.prediction_batches if prefix == "batches" else made.predictions
        script = (sys.executable, str(HERE / "floor.py"))
        arguments = (
            decoder,
            f"{prefix}.predictions",
            f"{prefix}.feedback",
            str(2 * len(messages) + 2),
        )
        log = self.folder / f"{system}.log"
        with Measured([*script, self.bootstrap, *arguments], log) as process:
            process.wait(600)
        found = orjson.loads(log.read_bytes().splitlines()[-1])
        what = f"reads both topics with aiokafka and decodes each message with {decoder}"
        return Result(system, what, self.workload.rows, **found)

    def _peer(self, peer: Peer, rows: int) -> Result:
        rows = min(rows, self.workload.rows)
        prefix = f"first{rows}"
        if prefix not in self._filled:
            self._filled.add(prefix)
            made = self.made.predictions.about(rows), self.made.feedback.about(rows)
            self._fill(prefix, 1, made, _closing(self.workload, 1))
        windows = f"bench-{peer.name}-windows"
        self.loader.create({windows: 1})
        reference = self.folder / "peers.json"
        if not reference.exists():
            variant = Variant("peers", f"{prefix}.predictions", f"{prefix}.feedback")
            config = configure(self.bootstrap, variant, self.workload, self.folder / "profile")
            write_reference(config.parent / "models" / "reference.json", reference)
        correct = self.made.correct_among(rows)
        run = run_peer(
            peer,
            self.bootstrap,
            {
                "BENCH_PREDICTIONS": f"{prefix}.predictions",
                "BENCH_FEEDBACK": f"{prefix}.feedback",
                "BENCH_WINDOWS": windows,
            },
            reference,
            self.folder / peer.name,
            rows,
            Tally(self.workload.closing_ms),
            correct,
        )
        used = run.used
        found = versions(peer.environment)
        shown = ("faust-streaming", "aiokafka", "bytewax", "quixstreams", "confluent-kafka")
        return Result(
            peer.name,
            peer.what,
            rows,
            used.wall_seconds,
            used.cpu_seconds,
            used.peak_rss_bytes,
            used.cpu_seconds - run.cpu_before,
            used.wall_seconds,
            {
                "versions": {name: found[name] for name in (*shown, "river") if name in found},
                "miscounts": run.wrong,
                "extrapolated": rows < self.workload.rows,
            },
        )

    def fill(self, prefix: str, partitions: int) -> None:
        """Create and fill the topics of a prefix, once."""
        if prefix in self._filled:
            return
        self._filled.add(prefix)
        made = self.made
        batched = prefix == "batches"
        predictions = made.prediction_batches if batched else made.predictions
        feedback = made.feedback_batches if batched else made.feedback
        last = _closing(self.workload, partitions)
        self._fill(prefix, partitions, (predictions, feedback), last)

    def _fill(
        self,
        prefix: str,
        partitions: int,
        messages: Sequence[Messages],
        last: dict[int, tuple[str, bytes, bytes]],
    ) -> None:
        self.loader.create(dict.fromkeys(topics_of(prefix), partitions))
        self.send(prefix, partitions, messages, last)

    def send(
        self,
        prefix: str,
        partitions: int,
        messages: Sequence[Messages],
        last: dict[int, tuple[str, bytes, bytes]],
    ) -> None:
        """Send predictions and feedback, and what closes all windows."""
        closings = ({p: e[1] for p, e in last.items()}, {p: e[2] for p, e in last.items()})
        stamps = self.workload.closing_ms, self.workload.closing_ms + CLOSING_DELAY_MS
        for topic, part, values, stamp in zip(
            topics_of(prefix), messages, closings, stamps, strict=True
        ):
            started = time.monotonic()
            self.loader.fill(topic, partitions, part)
            for place, value in values.items():
                self.loader.close(topic, partitions, place, last[place][0], value, stamp)
            say(f"filled {topic}: {len(part):,} in {time.monotonic() - started:.0f} s")

    def closing(self, partitions: int) -> dict[int, tuple[str, bytes, bytes]]:
        """Find a closing pair for every partition."""
        return _closing(self.workload, partitions)


def topics_of(prefix: str) -> tuple[str, str]:
    """Name the topics of a prefix."""
    return f"{prefix}.predictions", f"{prefix}.feedback"


def _closing(workload: Workload, partitions: int) -> dict[int, tuple[str, bytes, bytes]]:
    """Find a closing pair for every partition."""
    found: dict[int, tuple[str, bytes, bytes]] = {}
    number = 0
    while len(found) < partitions:
        pair = closing(workload, number)
        found.setdefault(partition_for(pair[0].encode(), partitions), pair)
        number += 1
    return found


def _what(variant: Variant) -> str:
    parts = [
        "one worker, state and outputs on Kafka",
        guarantee_of(variant.guarantee).replace("_", " "),
        "columnar messages" if variant.name.endswith("_batches") else "one message per event",
        "windows 1m and 5m/1m, ADWIN, PSI, Jensen-Shannon, Kolmogorov-Smirnov",
    ]
    return ", ".join(parts + ["one segment of five values"] * variant.segments)


def _details(run: Run, idle: Used, guarantee: str) -> dict[str, object]:
    return {
        "guarantee": guarantee,
        "checkpoint_interval_s": run.checkpoint_interval_s,
        "idle_start_cpu_seconds": round(idle.cpu_seconds, 3),
        "idle_start_wall_seconds": round(idle.wall_seconds, 3),
        "windows_published": len(run.books.seen),
        "distances_computed": run.books.drifts(),
        "detector_alarms": run.books.alarms,
        "cpu_seconds_by_thread": dict(list(run.threads.items())[:4]),
    }


def describe(workload: Workload, made: Encoded) -> dict[str, object]:
    """Say what the systems were given."""

    def mean(messages: Messages) -> float:
        return round(len(messages.values) / len(messages), 1)

    return {
        **asdict(workload),
        "payload_bytes": {
            "prediction": mean(made.predictions),
            "feedback": mean(made.feedback),
            "prediction_batch": mean(made.prediction_batches),
            "feedback_batch": mean(made.feedback_batches),
        },
    }


def say(text: str) -> None:
    """Tell how far the run is."""
    print(text, file=sys.stderr, flush=True)
