"""Worker processes and whoever looks after them."""

import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from driftline_system import free_port, worker_command
from measuring import Measured
from system.live import total

from chaos.installation import PARTITIONS, Installation

STOP_SECONDS = 10.0
"""Within this time a worker must have ended after SIGTERM."""
_LOOK_EVERY = 0.2


class NotInTimeError(RuntimeError):
    """Something that had to happen did not."""


def wait_until(condition: Callable[[], Any], what: str, seconds: float) -> float:
    """Wait for a condition; returns how long it took, in seconds.

    Raises:
        NotInTimeError: it did not come true in time.
    """
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise NotInTimeError(f"waited {seconds:g} s for {what}")
        time.sleep(_LOOK_EVERY)
    return time.monotonic() - started


class Worker:
    """``driftline worker``.

    Args:
        installation: what it works for.
        log: file for what it writes.
        instance: its name in the group, for static membership.
    """

    def __init__(self, installation: Installation, log: Path, instance: str | None) -> None:
        self.log = log
        self.instance = instance
        self.stopped = False
        port = free_port()
        environment = {"DRIFTLINE__HTTP__PORT": str(port)}
        if instance is not None:
            environment["DRIFTLINE__KAFKA__GROUP_INSTANCE_ID"] = instance
        self._url = f"http://127.0.0.1:{port}/metrics"
        self.process = Measured(worker_command(installation.config), log, environment).process

    @property
    def alive(self) -> bool:
        """Whether the process runs; also when it is stopped."""
        return self.process.poll() is None

    def figures(self) -> dict[str, float]:
        """Scrape: value by series; empty while it does not answer."""
        if self.stopped:
            return {}
        try:
            with urllib.request.urlopen(self._url, timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            return {}
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if line[:1] not in {"#", ""})
        return {name: float(value) for name, value in samples}

    def kill(self) -> None:
        """End it at once, also when it is stopped."""
        self.process.kill()
        self.process.wait(10)

    def pause(self) -> None:
        """Let it stand still."""
        self.stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.stopped = False
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> tuple[float, int]:
        """Stop it in order; gives the seconds that it took, and its exit code."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        return time.monotonic() - started, code


class Crew:
    """Workers, and a supervisor that starts anew what ended by itself, as any would in production.

    Args:
        installation: what they work for.
        static: whether they are static members of the group.
    """

    def __init__(self, installation: Installation, *, static: bool = False) -> None:
        self.installation = installation
        self.ended: list[str] = []
        """What workers said last that ended without being asked to."""
        self.stops: list[tuple[float, int]] = []
        """Seconds from SIGTERM to the exit, and its code."""
        self._static = static
        self._started = 0
        self._workers: list[Worker] = []
        self._lock = threading.RLock()
        self._supervised = True
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._look_after, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        """Begin to look after the workers."""
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End whatever still runs."""
        self._over.set()
        self._supervisor.join()
        for worker in self._workers:
            if worker.alive:
                worker.kill()

    def hire(self, count: int = 1) -> None:
        """Start workers."""
        with self._lock:
            taken = {worker.instance for worker in self._workers}
            names = (name for i in range(100) if (name := f"worker-{i}") not in taken)
            for name, _ in zip(names, range(count), strict=False):
                self._workers.append(self._start(name if self._static else None))

    def dismiss(self, worker: Worker) -> None:
        """Stop a worker in order, for good; not before it is up and can take the signal."""
        wait_until(lambda: not worker.alive or worker.figures(), "a worker to be up", 60)
        with self._lock:
            if not worker.alive:
                return  # it ended by itself, and the supervisor has seen to it
            self._workers.remove(worker)
        self.stops.append(worker.terminate())

    def dismiss_all(self) -> None:
        """Stop all in order, one after the other."""
        for worker in self.workers():
            self.dismiss(worker)

    def kill(self, worker: Worker) -> None:
        """Kill a worker; another one takes its place at once."""
        with self._lock:
            worker.kill()
            self._replace(worker)

    def workers(self) -> list[Worker]:
        """Return those that should be at work."""
        with self._lock:
            return list(self._workers)

    @contextmanager
    def unsupervised(self) -> Iterator[None]:
        """Let workers that end stay ended for a while."""
        self._supervised = False
        try:
            yield
        finally:
            self._supervised = True

    def _start(self, instance: str | None) -> Worker:
        self._started += 1
        log = self.installation.folder / f"worker-{self._started}.log"
        return Worker(self.installation, log, instance)

    def _replace(self, worker: Worker) -> None:
        self._workers[self._workers.index(worker)] = self._start(worker.instance)

    def _look_after(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            if not self._supervised:
                continue
            with self._lock:
                for worker in [one for one in self._workers if not one.alive]:
                    self.ended.append(f"code {worker.process.returncode}: {last_words(worker)}")
                    self._replace(worker)

    # -- what they show -----------------------------------------------------------------------

    def figures(self) -> dict[str, float]:
        """Add up what the workers show, each of what it owns; the latest event time."""
        together: Counter[str] = Counter()
        moments = [0.0]
        for worker in self.workers():
            shown = worker.figures()
            moments.append(total(shown, "driftline_monitor_event_time_seconds"))
            together.update(shown)
        return {**together, "event_time": max(moments)}

    def caught_up(self, most: float) -> bool:
        """Tell whether every partition has an owner and no more than so many records wait."""
        shown = self.figures()
        owned = {name for name in shown if name.startswith("driftline_join_checkpoints_total")}
        watched = any(name.startswith("driftline_monitor_checkpoints_total") for name in shown)
        lag = total(shown, "driftline_join_lag_records")
        return len(owned) == PARTITIONS and watched and lag <= most

    def all_at_work(self) -> bool:
        """Tell whether every worker has partitions and is ready."""
        shown = [worker.figures() for worker in self.workers()]
        return all(one.get("driftline_worker_ready") == 1.0 for one in shown)

    def read_until(self, end: int) -> bool:
        """Tell whether everything up to a moment of event time has been read, ms."""
        shown = self.figures()
        return (
            shown["event_time"] * 1000 >= end
            and total(shown, "driftline_join_lag_records") == 0
            and total(shown, "driftline_monitor_lag_records") == 0
        )

    def books(self) -> dict[str, float]:
        """Return the books of all partitions, by side and outcome."""
        shown = self.figures()
        found = {}
        for side in ("predictions", "feedback"):
            found[f"{side}_waiting"] = total(shown, f"driftline_{side}_waiting")
            for outcome in (
                *("in", "joined", "expired", "duplicate", "quarantined"),
                *("corrected", "conflict", "late", "orphan"),
            ):
                label = f'outcome="{outcome}"'
                found[f"{side}_{outcome}"] = total(shown, f"driftline_{side}_total", label)
        return found


def last_words(worker: Worker) -> str:
    """Return the last message of weight in a worker's log."""
    lines = worker.log.read_text(encoding="utf-8", errors="replace").splitlines()
    reasons = [line for line in lines if "the worker stops" in line]
    heavy = [line for line in lines if "critical" in line.lower()]
    return (reasons or heavy or lines or [""])[-1][:400]
