"""A peer under measurement: its own environment, its run, and whether it counted right."""

import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from confluent_kafka import Consumer, TopicPartition
from measuring import Measured, Used

from streams.profile.model import NumericReference, ReferenceProfile

HERE = Path(__file__).resolve().parent / "peers"
ENVIRONMENTS = HERE.parents[1] / ".driftline" / "peers"
TUMBLING, HOPPING, DRIFT = "60000", "300000", "drift"
OVERLAP = int(HOPPING) // int(TUMBLING)
BINS = 64
"""As many as Driftline compares at most."""
_PATIENCE, _QUIET = 300.0, 30.0


@dataclass(slots=True, frozen=True)
class Peer:
    """A framework and how its app is run.

    Attributes:
        name: in the results.
        environment: name of its requirements and of its environment.
        what: what it does, for people.
        command: arguments of its interpreter; ``{folder}`` is a folder of its own.
        variables: environment variables; likewise.
        rows: rows that it gets: rates are taken from fewer rows, since peers are slow.
    """

    name: str
    environment: str
    what: str
    command: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)
    rows: int = 10_000


_FAUST = ("{app}/faust_app.py", "--datadir={folder}/data", "worker", "--loglevel=warn")
PEERS = (
    Peer(
        "stock_faust",
        "faust",
        "two agents, tables for the join and both windows (memory store, changelog topics); "
        "ADWIN and histograms in memory; at least once, commits every 2.8 s",
        _FAUST,
        {"BENCH_STATE": "tables"},
    ),
    Peer(
        "stock_faust_dicts",
        "faust",
        "the same with plain dictionaries in place of tables: nothing survives a restart",
        _FAUST,
        {"BENCH_STATE": "dicts"},
    ),
    Peer(
        "bytewax",
        "bytewax",
        "join, fold_window, stateful operators, one worker; recovery store on disk, a snapshot "
        "every 10 s; at least once towards Kafka",
        (
            *("-m", "bytewax.run", "bytewax_app:flow"),
            *("--recovery-directory", "{folder}/recovery"),
            *("--snapshot-interval", "10", "--backup-interval", "0"),
        ),
        rows=50_000,
    ),
    Peer(
        "quix",
        "quix",
        "join_asof, tumbling_window, hopping_window; RocksDB with changelog topics; ADWIN in "
        "memory; at least once, commits every 5 s",
        ("{app}/quix_app.py",),
        {"BENCH_STATE_DIR": "{folder}/state"},
        rows=20_000,
    ),
)


def environment(name: str) -> Path:
    """Make a peer's environment where it is not there yet; return its interpreter.

    Raises:
        RuntimeError: its packages cannot be had.
    """
    requirements = HERE / "requirements" / f"{name}.txt"
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    stamp = folder / "installed"
    digest = blake2b(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(
                f"the packages of {requirements.name} could not be installed (is a package index "
                f"within reach, and has it wheels for this Python?): {done.stderr[-600:]}"
            )
    stamp.write_text(digest, encoding="ascii")
    return python


def versions(name: str) -> dict[str, str]:
    """Read the pinned versions of a peer's packages."""
    lines = (HERE / "requirements" / f"{name}.txt").read_text(encoding="ascii").split()
    return dict(line.split("==") for line in lines)


def write_reference(profile: Path, path: Path) -> None:
    """Write the bins and counts of the reference's features for the peers, in 64 bins each."""
    found = {}
    for name, column in ReferenceProfile.read(profile).features.items():
        if not isinstance(column, NumericReference):
            raise TypeError(f"{name} is not numeric")
        size = len(column.counts)
        cuts = np.unique(np.linspace(0, size, min(BINS, size) + 1).astype(int))
        counts = [sum(column.counts[a:b]) for a, b in pairwise(cuts.tolist())]
        found[name] = {
            "edges": [column.edges[i - 1] for i in cuts[1:-1].tolist()],
            "counts": counts,
        }
    path.write_bytes(orjson.dumps(found))


@dataclass(slots=True)
class Tally:
    """Adds up the windows that a peer publishes.

    Attributes:
        closing_ms: windows that end after it are left out.
        n: rows by kind of window.
        correct: right predictions by kind of window.
    """

    closing_ms: int
    n: Counter[str] = field(default_factory=Counter)
    correct: Counter[str] = field(default_factory=Counter)

    def take(self, value: bytes) -> None:
        """Take one result."""
        body: dict[str, Any] = orjson.loads(value)
        if body["window"] == "alarms" or body["start"] + int(HOPPING) > self.closing_ms:
            return
        self.n[body["window"]] += body["n"]
        self.correct[body["window"]] += body.get("correct", 0)

    def wrong(self, rows: int, correct: int) -> list[str]:
        """Say what does not add up to so many rows."""
        expected = {
            "labels in tumbling windows": (self.n[TUMBLING], rows),
            "labels in hopping windows": (self.n[HOPPING], OVERLAP * rows),
            "right ones in tumbling windows": (self.correct[TUMBLING], correct),
            "right ones in hopping windows": (self.correct[HOPPING], OVERLAP * correct),
            "predictions compared with the reference": (self.n[DRIFT], rows),
        }
        return [f"{what}: {a} instead of {b}" for what, (a, b) in expected.items() if a != b]


@dataclass(slots=True, frozen=True)
class PeerRun:
    """What a run showed.

    Attributes:
        used: what it had used when its last result was there.
        cpu_before: what it had used at its first record.
        wrong: what it miscounted.
    """

    used: Used
    cpu_before: float
    wrong: list[str]


def run_peer(
    peer: Peer,
    bootstrap: str,
    topics: dict[str, str],
    reference: Path,
    folder: Path,
    rows: int,
    tally: Tally,
    correct: int,
) -> PeerRun:
    """Run a peer over topics that are filled already, until all its results are there.

    Args:
        peer: which.
        bootstrap: the broker.
        topics: BENCH_PREDICTIONS, BENCH_FEEDBACK and BENCH_WINDOWS.
        reference: what ``write_reference`` wrote.
        folder: for its files.
        rows: predictions in the topics, but for the closing one.
        tally: adds up what it publishes.
        correct: right ones among them.

    Raises:
        RuntimeError: it cannot be run, or ended early, or published nothing.
    """
    python = environment(peer.environment)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "recovery").mkdir(parents=True)
    started = folder / "started.json"
    place = {"folder": str(folder), "app": str(HERE)}
    variables = {
        **topics,
        **{name: value.format(**place) for name, value in peer.variables.items()},
        "BENCH_BOOTSTRAP": bootstrap,
        "BENCH_REFERENCE": str(reference),
        "BENCH_STARTED": str(started),
        "BENCH_ROWS": str(rows),
        "PYTHONPATH": str(HERE),
    }
    if "bytewax.run" in peer.command:
        prepare = [str(python), "-m", "bytewax.recovery", str(folder / "recovery"), "1"]
        subprocess.run(prepare, check=True, capture_output=True)
    consumer = _watch(bootstrap, topics["BENCH_WINDOWS"])
    command = [str(python), *(part.format(**place) for part in peer.command)]
    with Measured(command, folder / "peer.log", variables) as process:
        used, heard, begun = None, time.monotonic(), time.monotonic()
        while tally.wrong(rows, correct):
            found = [m.value() for m in consumer.consume(500, 0.05) if not m.error()]
            for value in found:
                tally.take(value)
            if found:
                used, heard = process.used(), time.monotonic()
            process.check_alive()
            now = time.monotonic()
            if now - begun > _PATIENCE or (used is not None and now - heard > _QUIET):
                break
        if used is None:
            raise RuntimeError(f"it published nothing:\n{process.tail()}")
    consumer.close()
    return PeerRun(used, orjson.loads(started.read_bytes()), tally.wrong(rows, correct))


def _watch(bootstrap: str, topic: str) -> Consumer:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "log_level": 0, "group.id": "bench-watch-peer"}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    return consumer
