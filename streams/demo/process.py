"""The demo's worker: a process of its own, as in production."""

import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from streams.demo.figures import Figures, read_figures

READY_WITHIN = 60.0
STOP_WITHIN = 10.0
_ASK_TIMEOUT = 2.0
_LAST_LINES = 15


class WorkerDiedError(RuntimeError):
    """The worker ended by itself; the message holds the end of its log."""


class WorkerProcess:
    """Starts ``driftline worker``, asks it how it is, and stops it in order.

    Args:
        config: the pipeline's file.
        port: port of its metrics and health.
        log: file for everything that it says.
    """

    def __init__(self, config: Path, port: int, log: Path) -> None:
        self._config = config
        self._address = f"http://127.0.0.1:{port}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; :meth:`ready` says when it works."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "streams.cli", "worker", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C ends the demo, which then stops the worker
            )

    def wait_until_ready(self) -> None:
        """Wait until it works.

        Raises:
            WorkerDiedError: it ended instead, or took too long.
        """
        deadline = time.monotonic() + READY_WITHIN
        while self._ask("/readyz") is None:
            self.check()
            if time.monotonic() > deadline:
                raise WorkerDiedError(
                    f"the worker is not ready after {READY_WITHIN:g} s{self._said()}"
                )
            time.sleep(0.1)

    def check(self) -> None:
        """Raise WorkerDiedError when it has ended."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise WorkerDiedError(f"the worker ended with code {code}{self._said()}")

    def figures(self) -> Figures | None:
        """What it says of itself; None when it is too busy to answer."""
        page = self._ask("/metrics")
        return None if page is None else read_figures(page)

    def stop(self) -> int | None:
        """Stop it in order, and by force if that takes too long.

        Returns:
            Its exit code; None when force was needed or it was never started.
        """
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None

    def _ask(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self._address + path, timeout=_ASK_TIMEOUT) as answer:  # noqa: S310 - http on loopback
                body: bytes = answer.read()
        except (urllib.error.URLError, OSError):
            return None
        return body.decode()

    def _said(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "".join(f"\n  {line}" for line in lines[-_LAST_LINES:])


def choose_port(wanted: int | None, usual: int = 9464) -> int:
    """Choose a port for the worker.

    Args:
        wanted: the only one that will do; 0 or None leaves the choice.
        usual: taken when it is free and nothing is wanted.

    Raises:
        OSError: the wanted port is taken.
    """
    if wanted:
        return _bound(wanted)
    try:
        return _bound(usual) if wanted is None else _bound(0)
    except OSError:
        return _bound(0)


def _bound(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        bound: int = probe.getsockname()[1]
        return bound
