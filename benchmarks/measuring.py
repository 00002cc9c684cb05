"""What a process has used, as Linux counts it."""

import os
import platform
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used since it was started.

    Attributes:
        cpu_seconds: user and system time of all its threads.
        wall_seconds: time since the start.
        peak_rss_bytes: most memory that it ever held.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_rss_bytes: int


def parse_cpu_seconds(stat: str) -> float:
    """Read user and system time from the text of ``/proc/<pid>/stat``."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def parse_peak_rss(status: str) -> int:
    """Read the most memory ever held, in bytes, from the text of ``/proc/<pid>/status``."""
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def resident_bytes() -> int:
    """Return what memory this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """Return user and system time of a process."""
    return parse_cpu_seconds(Path(f"/proc/{pid}/stat").read_text(encoding="ascii"))


def used_by(pid: int, started: float) -> Used:
    """Return what a process has used so far.

    Args:
        pid: its number.
        started: monotonic time of its start.
    """
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return Used(cpu_seconds(pid), time.monotonic() - started, parse_peak_rss(status))


def cpu_by_thread(pid: int) -> dict[str, float]:
    """Return user and system time by thread: ``name-id``, most first."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        text = (task / "stat").read_text(encoding="ascii", errors="replace")
        name = text[text.index("(") + 1 : text.rindex(")")]
        found[f"{name}-{task.name}"] = parse_cpu_seconds(text)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


class Measured:
    """A child process that is measured; a context manager that ends it."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start it.

        Args:
            command: what to run.
            log: file for all that it writes.
            environment: variables beside those of this process.
        """
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            )
        self._started = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def used(self) -> Used:
        """Return what it has used so far."""
        return used_by(self.process.pid, self._started)

    def check_alive(self) -> None:
        """Raise with the end of its log when it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"it ended with code {self.process.returncode}:\n{self.tail()}")

    def terminate(self) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def wait(self, seconds: float) -> None:
        """Wait until it has ended by itself; raise when it failed."""
        if self.process.wait(seconds):
            raise RuntimeError(f"it ended with code {self.process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """Return the end of its log."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-4000:]


def machine() -> dict[str, str | int]:
    """Describe this machine."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = next(
        (line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = Path("/proc/meminfo").read_text(encoding="ascii").split()[1]
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": name,
        "memory_bytes": int(memory) * 1024,
        "system": f"{platform.system()} {platform.release()}",
    }
