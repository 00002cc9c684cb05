"""Is the cost of an event flat? By monitored features, and by predictions that wait.

    python benchmarks/scaling.py features --count 20 --rows 100000
    python benchmarks/scaling.py waiting --count 1000000 --rows 50000

measures once, in this process and without a broker: chunks of records go through the join, what
it hands on through the monitor, and checkpoints are made once a second of event time. Encoding is
not counted. Prints JSON.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from driftline_system import Variant, settings_of
from measuring import resident_bytes
from systems import Bench, say
from workload import (
    MODEL,
    START_MS,
    VERSION,
    Ints,
    Rows,
    Workload,
    draw,
    single_feedback,
    single_predictions,
    uuids,
)

from streams.config import Settings
from streams.core.monitor.processor import MonitorProcessor
from streams.core.processor import Processor
from streams.payloads import Window
from streams.pipeline import build_join, build_monitor
from streams.rehearsal import rehearse
from streams.wire import Chunk

HERE = Path(__file__).resolve().parent
FEATURES = (1, 20, 50, 100, 200)
FEW_FEATURES = 50
WAITING = (10_000, 100_000, 1_000_000)
MOST_WAITING = 10_000_000
_ID_BYTES = 36
_CHUNK = 5_000


@dataclass(slots=True)
class Core:
    """A join and a monitor without Kafka, and the CPU time that they took.

    Attributes:
        join_s: CPU-seconds of the join.
        monitor_s: likewise.
        floor_s: CPU-seconds of orjson alone on the same messages.
        payload: bytes of the messages.
    """

    settings: Settings
    join_s: float = 0.0
    monitor_s: float = 0.0
    floor_s: float = 0.0
    payload: int = 0
    join: Processor = field(init=False)
    monitor: Processor = field(init=False)
    _offsets: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.join = build_join(self.settings, 0)
        self.monitor = build_monitor(self.settings, 0)

    def reset(self) -> None:
        """Count from here."""
        self.join_s = self.monitor_s = self.floor_s = 0.0
        self.payload = 0

    def feed(
        self,
        source: str,
        values: Sequence[bytes],
        keys: Sequence[str],
        stamp: int,
        *,
        floor: bool = True,
    ) -> None:
        """Give records to the join; with ``floor``, decode them with orjson alone too."""
        records = list(zip(values, keys, strict=True))
        for first in range(0, len(records), _CHUNK):
            part = records[first : first + _CHUNK]
            chunk = self._chunk(source, part, stamp)
            self.payload += sum(len(value) for value, _ in part)
            if floor:
                self.floor_s += _timed(lambda part=part: [orjson.loads(one) for one, _ in part])
            self.join_s += _timed(lambda chunk=chunk: self.join.step(chunk, stamp))

    def checkpoint(self, stamp: int) -> None:
        """Make checkpoints, and hand on what the join tells the monitor."""
        made = None

        def join() -> None:
            nonlocal made
            made = self.join.checkpoint(stamp)

        self.join_s += _timed(join)
        if made is None:
            return
        partials = [(one.value, "") for one in made.outputs if one.topic == "partials"]
        if partials:
            chunk = self._chunk("partials", partials, stamp)
            self.monitor_s += _timed(lambda: self.monitor.step(chunk, stamp))
            self.monitor_s += _timed(lambda: self.monitor.checkpoint(stamp))

    def _chunk(self, source: str, part: Sequence[tuple[bytes, str]], stamp: int) -> Chunk:
        first = self._offsets.get(source, 0)
        self._offsets[source] = first + len(part)
        n = len(part)
        return Chunk(
            source,
            0,
            list(range(first, first + n)),
            [key.encode() for _, key in part],
            [value for value, _ in part],
            [stamp] * n,
            [()] * n,
        )


def _timed(work: Callable[[], Any]) -> float:
    before = time.thread_time()
    work()
    return time.thread_time() - before


def by_features(count: int, rows: int) -> dict[str, float]:
    """Measure predictions with so many features, all with a reference, and their labels."""
    workload = Workload(rows=rows, features=count)
    rehearse()
    core = Core(_settings(workload))
    _run(core, workload)
    seconds = core.join_s + core.monitor_s
    return {
        "features": count,
        "rows": rows,
        "payload_bytes": core.payload / rows,
        "us_per_row": seconds / rows * 1e6,
        "join_us_per_row": core.join_s / rows * 1e6,
        "monitor_us_per_row": core.monitor_s / rows * 1e6,
        "decode_us_per_row": core.floor_s / rows * 1e6,
        "beside_decoding_us_per_row": (seconds - core.floor_s) / rows * 1e6,
        "times_decoding": seconds / core.floor_s,
    }


def _run(core: Core, workload: Workload) -> None:
    """Feed a workload; its first chunk is for whatever happens once, and is not counted."""
    pending: list[tuple[int, str, bytes]] = []
    for first in range(0, workload.rows + _CHUNK, _CHUNK):
        if first == _CHUNK:
            core.reset()
        drawn = draw(workload, first, _CHUNK)
        now = int(drawn.stamps[-1])
        core.feed("predictions", single_predictions(workload, drawn), drawn.ids, now)
        pending += _truths(drawn)
        pending.sort()
        cut = next((i for i, one in enumerate(pending) if one[0] > now), len(pending))
        due, pending = pending[:cut], pending[cut:]
        core.feed("feedback", [v for _, _, v in due], [i for _, i, _ in due], now)
        core.checkpoint(now)


def _truths(drawn: Rows) -> list[tuple[int, str, bytes]]:
    """Encode truth that comes within a second, as (time, id, message)."""
    stamps = (drawn.stamps + (drawn.truth_stamps - drawn.stamps) % 1000).tolist()
    return [
        (stamp, identity, single_feedback(identity, stamp, actual=actual))
        for stamp, identity, actual in zip(stamps, drawn.ids, drawn.actual.tolist(), strict=True)
    ]


def by_waiting(count: int, rows: int) -> dict[str, float]:
    """Measure predictions and labels while so many predictions wait."""
    workload = Workload(rows=count + rows, features=1, rate=max(2_000.0, count / 20))
    rehearse()
    core = Core(_settings(workload, label_horizon="24h"))
    before = resident_bytes()
    random = np.random.default_rng(7)
    ids = np.empty(count, dtype=f"S{_ID_BYTES}")
    for first in range(0, count, _CHUNK):
        stamps = START_MS + ((first + np.arange(_CHUNK)) * (1000 / workload.rate)).astype(np.int64)
        now = int(stamps[-1])
        made = uuids(stamps, random)
        ids[first : first + _CHUNK] = made
        core.feed("predictions", [_batch(workload, made, stamps)], made[:1], now, floor=False)
        _keep_pace(core, now)
    grown = resident_bytes() - before - ids.nbytes
    status = core.join.status()
    state = status["state_bytes"] / status["state_rows"]
    core.reset()
    chosen = ids[random.choice(count, min(rows, count // 2), replace=False)].astype(str).tolist()
    measured = 0
    for first in range(0, len(chosen), _CHUNK):
        part = chosen[first : first + _CHUNK]
        drawn = draw(workload, count + first, len(part))
        now = int(drawn.stamps[-1])
        core.feed("predictions", single_predictions(workload, drawn), drawn.ids, now)
        truths = [single_feedback(identity, now, actual=True) for identity in part]
        core.feed("feedback", truths, part, now)
        core.checkpoint(now)
        measured += len(part)
    seconds = core.join_s + core.monitor_s
    return {
        "waiting": count,
        "rows": measured,
        "us_per_row": seconds / measured * 1e6,
        "decode_us_per_row": core.floor_s / measured * 1e6,
        "resident_bytes_per_waiting_beside_id": grown / count - _ID_BYTES,
        "state_bytes_per_waiting_beside_id": state - _ID_BYTES,
    }


def _batch(workload: Workload, ids: list[str], stamps: Ints) -> bytes:
    """Encode one columnar message of predictions that are all alike."""
    n = len(ids)
    columns = {
        "prediction_id": ids,
        "timestamp": stamps.tolist(),
        "prediction": [True] * n,
        "score": [0.75] * n,
        "features": {workload.names[0]: [1.5] * n},
    }
    return orjson.dumps({"model": MODEL, "model_version": VERSION, "columns": columns})


def _keep_pace(core: Core, now: int) -> None:
    """Let the other source reach a moment too, by truth that nobody waits for."""
    stray = single_feedback(f"stray-{now}", now, actual=True)
    core.feed("feedback", [stray], [f"stray-{now}"], now, floor=False)
    core.checkpoint(now)


def _settings(workload: Workload, **model: Any) -> Settings:
    with tempfile.TemporaryDirectory() as folder:
        variant = Variant("scaling", "predictions", "feedback", model=model)
        return settings_of(workload, variant, Path(folder))


def windows_of(workload: Workload) -> list[Window]:
    """Give the latest windows that the monitor shows after a workload."""
    core = Core(_settings(workload))
    _run(core, workload)
    monitor = core.monitor
    if not isinstance(monitor, MonitorProcessor):
        raise TypeError("the monitor shows no windows")
    return list(monitor.latest().windows)


def features_of(bench: Bench) -> dict[str, Any]:
    """Measure all numbers of features, each in a process of its own."""
    most = min(100_000, bench.workload.rows)
    found = [
        _apart("features", count, most if count <= FEW_FEATURES else most // 2)
        for count in FEATURES
    ]
    first, last = found[0], found[-1]
    slope = (last["us_per_row"] - first["us_per_row"]) / (last["features"] - first["features"])
    floor = (last["decode_us_per_row"] - first["decode_us_per_row"]) / (
        last["features"] - first["features"]
    )
    bytes_per_feature = (last["payload_bytes"] - first["payload_bytes"]) / (
        last["features"] - first["features"]
    )
    listed = ", ".join(f"{one['features']}: {one['us_per_row']:.1f}" for one in found)
    against = ", ".join(f"{one['features']}: {one['times_decoding']:.2f}" for one in found)
    return {
        "by": found,
        "further_feature_over_decoding": round(slope / floor, 3),
        "us_per_further_feature": round(slope, 4),
        "decode_us_per_further_feature": round(floor, 4),
        "bytes_per_feature": round(bytes_per_feature, 1),
        "told": [
            f"CPU-us per event with its label, by monitored features: {listed}",
            f"the same as multiples of orjson alone on the same bytes: {against}",
            (
                f"each further feature ({bytes_per_feature:.0f} bytes): {slope:.3f} us, of which "
                f"orjson alone takes {floor:.3f}"
            ),
        ],
    }


def waiting_of(bench: Bench) -> dict[str, Any]:
    """Measure all numbers of waiting predictions, each in a process of its own."""
    counts = [count for count in WAITING if count <= max(bench.workload.rows, WAITING[1])]
    counts += [MOST_WAITING] if bench.full else []
    found = [_apart("waiting", count, 50_000) for count in counts]
    costs = [one["us_per_row"] for one in found]
    memory = found[-1]["state_bytes_per_waiting_beside_id"]
    listed = ", ".join(f"{one['waiting']:,}: {one['us_per_row']:.1f}" for one in found)
    sizes = ", ".join(
        f"{one['waiting']:,}: {one['state_bytes_per_waiting_beside_id']:.0f} "
        f"({one['resident_bytes_per_waiting_beside_id']:.0f} resident)"
        for one in found
    )
    return {
        "by": found,
        "flatness": round(max(costs) / min(costs), 3),
        "bytes_per_waiting": round(memory, 1),
        "told": [
            f"CPU-us per event with its label, by waiting predictions: {listed}",
            f"bytes per waiting prediction beside its id, by waiting predictions: {sizes}",
        ],
    }


def _apart(kind: str, count: int, rows: int) -> dict[str, float]:
    say(f"  {count:,} {kind}")
    command = [sys.executable, __file__, kind, "--count", str(count), "--rows", str(rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kind} {count}: {done.stderr[-2000:]}")
    found: dict[str, float] = orjson.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=("features", "waiting"))
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    measure = by_features if options.kind == "features" else by_waiting
    print(orjson.dumps(measure(options.count, options.rows)).decode())


if __name__ == "__main__":
    main()
