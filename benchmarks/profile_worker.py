"""Where a worker spends its time: the benchmark's main run under cProfile.

    python benchmarks/profile_worker.py --rows 200000 [--variant driftline_batches]

Only the event loop's thread is profiled, which does everything but reading from the broker; what
the reading thread uses is part of the totals by thread. cProfile slows small functions down most:
the figures show where to look, not how much a change gains.
"""

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from pathlib import Path

from bench import CACHE
from broker import RealKafka
from systems import VARIANTS, Bench, say
from workload import Workload, encoded

from streams.config.load import load
from streams.edge.run import run
from streams.edge.worker import worker_app


def profiled_worker(config: Path, out: Path) -> int:
    """Run a worker in this process until it is told to stop, and write its profile."""
    profile = cProfile.Profile(time.thread_time)  # other processes do not blur it
    app = worker_app(load(config))
    code = profile.runcall(run, app)
    profile.dump_stats(out)
    return code


def main() -> int:
    """Profile a run, or be the worker of such a run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--variant", choices=[v.name for v in VARIANTS], default=VARIANTS[0].name)
    parser.add_argument("--sort", default="tottime")
    parser.add_argument("--lines", type=int, default=45)
    parser.add_argument("--out", type=Path, default=CACHE / "worker.prof")
    parser.add_argument("--be-worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_worker:
        return profiled_worker(options.be_worker, options.out)
    workload = Workload(rows=options.rows)
    made = encoded(workload, CACHE)
    variant = next(v for v in VARIANTS if v.name == options.variant)
    with RealKafka(heap="1g") as node, tempfile.TemporaryDirectory() as folder:
        bench = Bench(node.bootstrap_servers, workload, made, Path(folder))
        result = bench.driftline(
            variant,
            lambda config: [
                *(sys.executable, __file__, "--be-worker", str(config)),
                *("--out", str(options.out)),
            ],
        )
    say(f"{result.cpu_seconds:.1f} CPU-seconds with the profiler, by thread: {result.details}")
    pstats.Stats(str(options.out)).strip_dirs().sort_stats(options.sort).print_stats(options.lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
