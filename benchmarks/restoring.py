"""How fast a worker takes back a million waiting predictions.

A worker reads predictions whose labels never come, until all of them wait, and ends. A second one
is started on the same state; what it takes until it is ready, less what one takes on empty topics,
is the restore.
"""

import time
from typing import Any

from driftline_system import Variant, configure, ready, scraped, wait_until, worker_command
from measuring import Measured, Used
from systems import Bench, topics_of

from streams.config.load import load

WAITING = "driftline_predictions_waiting"
MODEL = {"label_horizon": "24h", "remember": "1h"}


def measure(bench: Bench) -> dict[str, Any]:
    """Fill a state, stop, start again.

    Raises:
        RuntimeError: a worker ended early, or lost some of its state.
    """
    bench.fill("batches", 1)
    feedback = "restore.feedback"
    bench.loader.create({feedback: 1})
    variant = Variant("restore", topics_of("batches")[0], feedback, model=MODEL)
    idle = bench.idle(variant.guarantee)
    config = configure(bench.bootstrap, variant, bench.workload, bench.folder / "restore")
    port = load(config).pipeline.http.port
    rows = bench.workload.rows
    with Measured(worker_command(config), config.with_name("first.log")) as worker:
        wait_until(lambda: scraped(port, WAITING) >= rows, worker)
        began = time.monotonic()
        code = worker.terminate()
        stopped = time.monotonic() - began
        if code:
            raise RuntimeError(f"the worker ended with code {code}:\n{worker.tail()}")
    with Measured(worker_command(config), config.with_name("second.log")) as worker:
        wait_until(lambda: ready(port), worker)
        used = worker.used()
        found = scraped(port, WAITING)
        worker.terminate()
    if found < rows:
        raise RuntimeError(f"{found:,.0f} of {rows:,} waiting predictions were restored")
    return _figures(rows, used, idle, stopped)


def _figures(rows: int, used: Used, idle: Used, stopped: float) -> dict[str, Any]:
    # Starts differ by a tenth of a second: less than that cannot be told, and is not claimed.
    wall = max(used.wall_seconds - idle.wall_seconds, 0.1)
    cpu = used.cpu_seconds - idle.cpu_seconds
    return {
        "rows": rows,
        "ready_s": round(used.wall_seconds, 2),
        "idle_ready_s": round(idle.wall_seconds, 2),
        "restore_s": round(wall, 2),
        "restore_cpu_s": round(cpu, 2),
        "rows_per_second": round(rows / wall),
        "peak_rss_bytes": used.peak_rss_bytes,
        "sigterm_to_exit_s": round(stopped, 2),
        "told": [
            (
                f"restore of {rows:,} waiting predictions: {wall:.2f} s ({rows / wall:,.0f} per "
                f"second), {cpu:.2f} CPU-seconds; from start to ready {used.wall_seconds:.1f} s"
            ),
            f"from SIGTERM to exit with them: {stopped:.2f} s",
        ],
    }
