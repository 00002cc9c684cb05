"""One run of the demo, from the broker's start to the worker's end."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.config.pipeline import PipelineConfig
from streams.config.settings import Settings
from streams.demo import setup
from streams.demo.board import Board, ModelBoard
from streams.demo.feeder import Feeder
from streams.demo.figures import Figures
from streams.demo.front import Front
from streams.demo.process import WorkerProcess
from streams.demo.subscriber import Subscriber
from streams.demo.summary import Summary, problems, summarise
from streams.demo.traffic import Traffic
from streams.demo.world import DELIVERY, FRAUD
from streams.edge.embedded import EmbeddedBroker
from streams.edge.topics import declare

OPEN_ENDED_DRIFT = 25.0
"""Seconds until the drift when nobody says how long the run shall be."""
DRIFT_SHARE = 0.4
"""Part of the run after which the drift comes when somebody does."""
QUIET_SECONDS = 5.0
"""Traffic stops so long before the end of a run of given length."""

_SETTLE_WITHIN = 30.0
_VIEW_EVERY = 0.25
_ASK_EVERY = 1.0
_METRICS = {FRAUD: ("accuracy", "recall", "roc_auc"), DELIVERY: ("mae", "rmse", "r2")}


@dataclass(slots=True, frozen=True)
class Plan:
    """What to run.

    Attributes:
        seconds: length of the traffic with the end; None runs until somebody stops it.
        rate: predictions per second of each model.
        seed: where the traffic's chance begins.
        port: port of the worker's metrics.
        folder: for configuration, profiles and the worker's log.
    """

    seconds: float | None
    rate: float
    seed: int
    port: int
    folder: Path


@dataclass(slots=True, frozen=True)
class Result:
    """What came of it.

    Attributes:
        summary: the figures.
        problems: what went wrong, one sentence each.
    """

    summary: Summary
    problems: list[str]


class Session:
    """Runs broker, worker, traffic and view together.

    Args:
        plan: what to run.
        front: who is shown how it goes.
    """

    def __init__(self, plan: Plan, front: Front) -> None:
        self._plan = plan
        self._front = front
        self._stopped = threading.Event()

    def stop(self) -> None:
        """End the run early, in order; may be called from a signal handler."""
        self._stopped.set()

    def run(self) -> Result:
        """Run to the end.

        Raises:
            EmbeddedBrokerError: there can be no broker here.
            WorkerDiedError: the worker ended by itself.
        """
        with ExitStack() as stack:
            board, worker = self._start(stack)
            feeder = self._feed(board)
            stack.callback(feeder.stop)
            subscriber = _subscribe(stack, board)
            self._watch(board, worker, feeder, subscriber)
            return self._finish(board, worker, feeder, subscriber)

    def _start(self, stack: ExitStack) -> tuple[Board, WorkerProcess]:
        plan, front = self._plan, self._front
        front.note("starting a broker inside this process")
        topics = declare(Settings.build(PipelineConfig.model_validate(_ANYWHERE)))
        broker = stack.enter_context(EmbeddedBroker({t.name: t.partitions for t in topics}))
        front.note("writing the configuration, building reference profiles")
        files = setup.write(plan.folder, broker.bootstrap_servers, plan.port)
        front.note("starting a worker")
        worker = WorkerProcess(files.pipeline, plan.port, plan.folder / "worker.log")
        stack.callback(worker.stop)
        worker.start()
        worker.wait_until_ready()
        models = {
            name: ModelBoard(files.settings.models[name], metrics)
            for name, metrics in _METRICS.items()
        }
        return Board(files.settings, plan.port, str(files.pipeline), models), worker

    def _feed(self, board: Board) -> Feeder:
        """Start the traffic at once, and the drift on a whole second of it."""
        plan = self._plan
        board.started_at = board.now = time.time()
        board.seconds = plan.seconds
        wait = OPEN_ENDED_DRIFT if plan.seconds is None else DRIFT_SHARE * plan.seconds
        board.drift_at = float(math.ceil(board.started_at + wait))
        traffic = Traffic(board.started_at, plan.rate, seed=plan.seed, drift_at=board.drift_at)
        feeder = Feeder(board.bootstrap_servers, board.settings.pipeline.topics, traffic)
        feeder.start()
        return feeder

    def _watch(
        self, board: Board, worker: WorkerProcess, feeder: Feeder, subscriber: Subscriber
    ) -> None:
        board.phase = "running" + ("; Ctrl-C ends" if board.seconds is None else "")
        end = math.inf if board.seconds is None else board.seconds - QUIET_SECONDS
        asking = _Asking(worker)
        with asking.running():
            while not self._stopped.wait(_VIEW_EVERY) and board.elapsed < end:
                feeder.check()
                self._look(board, worker, subscriber, asking)

    def _look(
        self, board: Board, worker: WorkerProcess, subscriber: Subscriber, asking: "_Asking"
    ) -> None:
        worker.check()
        board.now = time.time()
        asking.give(board)
        self._front.show(board, board.take(subscriber.poll()))

    def _finish(
        self, board: Board, worker: WorkerProcess, feeder: Feeder, subscriber: Subscriber
    ) -> Result:
        """Stop the traffic, let the worker take all of it, stop the worker, read to the end."""
        board.phase = "traffic has stopped"
        stopped_at = time.time()
        stats = feeder.stop()
        asking = _Asking(worker)
        deadline = time.monotonic() + _SETTLE_WITHIN
        with asking.running():
            while not _settled(board, stats.delivered) and time.monotonic() < deadline:
                self._look(board, worker, subscriber, asking)
                time.sleep(_VIEW_EVERY)
        board.phase = "stopping the worker"
        self._front.show(board, [])
        code = worker.stop()
        news = board.take(subscriber.rest(5.0))
        board.phase = "done"
        self._front.show(board, news)
        drifted = stopped_at >= board.drift_at
        summary = summarise(
            board.figures,
            stats.delivered,
            board.alerts,
            board.drift_at if drifted else None,
            time.time() - board.started_at,
        )
        found = problems(summary, board.alerts, interrupted=self._stopped.is_set())
        if stats.lost_total:
            found.append(f"{stats.lost_total} events could not be published")
        if code != 0:
            found.append(
                "the worker did not stop in time"
                if code is None
                else f"the worker ended with code {code}"
            )
        return Result(summary, found)


_ANYWHERE = {
    "kafka": {"bootstrap_servers": "127.0.0.1:1"},
    "processing": {"unknown_models": "accept"},
}
"""Enough of a configuration to know the topics before the broker has an address."""


def _subscribe(stack: ExitStack, board: Board) -> Subscriber:
    name = board.settings.pipeline.topics.name
    subscriber = Subscriber(board.bootstrap_servers, [name("metrics"), name("alerts")])
    stack.callback(subscriber.close)
    return subscriber


def _settled(board: Board, delivered: int) -> bool:
    figures = board.figures
    return figures.rows >= delivered and figures.lag == 0 and figures.buffered == 0


class _Asking:
    """Asks the worker for its figures beside the view, which must not wait for the answers."""

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker
        self._ended = threading.Event()
        self._latest: Figures | None = None
        self._taken_at = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ask until the block ends."""
        thread = threading.Thread(target=self._run, name="demo-figures", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def give(self, board: Board) -> None:
        """Pass on the latest answer, if there is a new one."""
        latest, self._latest = self._latest, None
        if latest is not None:
            board.take_figures(latest, self._taken_at)

    def _run(self) -> None:
        while not self._ended.wait(_ASK_EVERY):
            figures = self._worker.figures()
            if figures is not None:
                self._taken_at = time.time()
                self._latest = figures
