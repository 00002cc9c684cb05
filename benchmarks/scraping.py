"""What a scrape of 10,000 series takes, and for how long it blocks the event loop.

Windows as a monitor publishes them, of as many versions as it takes, are shown by the exporter and
served by the worker's own HTTP server. Between two scrapes every window is replaced, which is the
worst case; whoever scrapes is a process of its own. Beside it a coroutine wants to run every
millisecond: the longest that it has to wait is how long the event loop is blocked.

    python benchmarks/scraping.py
"""

import asyncio
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from typing import Any

import msgspec
import numpy as np
import orjson
from scaling import windows_of
from systems import Bench
from workload import Workload

from streams.edge.http import HealthServer
from streams.edge.status import EdgeStatus
from streams.payloads import Window
from streams.sinks.prometheus import Exporter

SERIES = 10_000
ROUNDS = 30
_PAUSE_S = 0.2
_CLIENT = """
import sys, time, urllib.request
for address in sys.stdin:
    started = time.perf_counter()
    with urllib.request.urlopen(address.strip()) as answer:
        size = len(answer.read())
    print((time.perf_counter() - started) * 1000, size, flush=True)
"""


def measure(_: Bench) -> dict[str, Any]:
    """Measure in a process of its own.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, Any] = orjson.loads(done.stdout.splitlines()[-1])
    return found


class Page:
    """Renders the page of windows that change between any two scrapes."""

    def __init__(self) -> None:
        self._made = windows_of(Workload(rows=30_000, rate=250.0))
        self._scrapes = 0
        self._next: list[Window] = []
        self._exporter = Exporter(SERIES, 1_000, self._clock)
        self.changed_ms: list[float] = []
        self.same_ms: list[float] = []

    def _clock(self) -> float:
        """Move on far enough for a new page."""
        self._scrapes += 1
        return self._scrapes * 10.0

    def windows(self) -> list[Window]:
        """Copy the windows as so many versions as fill the page, all of them new."""
        self._scrapes += 1
        copies = -(-SERIES // sum(map(_series, self._made)))
        return [
            msgspec.structs.replace(
                window, id=f"{window.id}|{copy}|{self._scrapes}", model_version=f"v{copy}"
            )
            for copy in range(copies)
            for window in self._made
        ]

    def prepare(self) -> None:
        """Have new windows published."""
        self._next = self.windows()

    def render(self) -> tuple[bytes, str]:
        """Show new windows, as the worker's handler does."""
        started = time.thread_time()
        self._exporter.update(self._next, [], {"worker_ready": 1.0})
        page = self._exporter.render()
        self.changed_ms.append((time.thread_time() - started) * 1000)
        return page

    def render_again(self) -> None:
        """Show the same windows once more."""
        windows = self.windows()
        self._exporter.update(windows, [], {"worker_ready": 1.0})
        self._exporter.render()
        started = time.thread_time()
        self._exporter.update(windows, [], {"worker_ready": 2.0})
        self._exporter.render()
        self.same_ms.append((time.thread_time() - started) * 1000)


def _series(window: Window) -> int:
    """Count the series of a window."""
    exporter = Exporter()
    exporter.update([window], [], {})
    return _count(exporter.render()[0]) - _count(Exporter().render()[0])


def _count(page: bytes) -> int:
    return sum(line.startswith(b"driftline_") for line in page.splitlines())


async def _ticker(longest: list[float]) -> None:
    """Note how much later than asked for the event loop gives a turn, ms."""
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(0.001)
        longest.append((time.perf_counter() - asked) * 1000 - 1)


async def _measure() -> dict[str, Any]:
    page = Page()
    page.render_again()
    for _ in range(ROUNDS):
        page.render_again()
    page.changed_ms.clear()
    status = EdgeStatus("running", "", (), 0, 0.0)
    server = HealthServer("127.0.0.1", 0, lambda: status, page.render)
    await server.start()
    blocked: list[float] = []
    taken: list[float] = []
    size = 0
    client = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _CLIENT), stdin=PIPE, stdout=PIPE
    )
    assert client.stdin is not None
    assert client.stdout is not None
    for _ in range(ROUNDS):
        page.prepare()
        turns: list[float] = []
        ticker = asyncio.create_task(_ticker(turns))
        await asyncio.sleep(_PAUSE_S)
        turns.clear()
        client.stdin.write(f"http://127.0.0.1:{server.port}/metrics\n".encode())
        milliseconds, length = (await client.stdout.readline()).split()
        taken.append(float(milliseconds))
        size = int(length)
        await asyncio.sleep(0.005)
        ticker.cancel()
        blocked.append(max(turns))
    client.stdin.close()
    await client.wait()
    await server.stop()
    series = _count(page.render()[0])
    changed, same, loop = _spread(page.changed_ms), _spread(page.same_ms), _spread(blocked)
    return {
        "series": series,
        "page_bytes": size,
        "scrape_ms": _spread(taken),
        "render_all_changed_ms": changed,
        "render_nothing_changed_ms": same,
        "loop_blocked_ms": loop,
        "told": [
            (
                f"scrape of {series:,} series over HTTP, all of them changed: p50 "
                f"{_spread(taken)['p50']:.1f} ms, most {_spread(taken)['max']:.1f} ms"
            ),
            (
                f"rendering alone, CPU time: p50 {changed['p50']:.1f} ms, most "
                f"{changed['max']:.1f} ms; when "
                f"nothing changed {same['p50']:.1f} ms"
            ),
            f"the event loop is blocked for p50 {loop['p50']:.1f} ms, most {loop['max']:.1f} ms",
        ],
    }


def _spread(figures: list[float]) -> dict[str, float]:
    return {"p50": round(float(np.median(figures)), 2), "max": round(max(figures), 2)}


def main() -> None:
    """Measure and print JSON."""
    print(orjson.dumps(asyncio.run(_measure())).decode())


if __name__ == "__main__":
    main()
