"""The results as a file, and as tables for people.

    python benchmarks/results.py [FILE]

prints a results file (the committed one, unless told otherwise) as Markdown, for the README.
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from as_markdown import render
from goals import judge
from measuring import machine

HERE = Path(__file__).resolve().parent
LATEST = HERE / "results" / "latest.json"
PARTIAL = HERE.parent / ".driftline" / "bench" / "partial.json"
METHOD = (
    "One run, one machine, one Apache Kafka with one node. Predictions and truth are in the "
    "topics before a system starts; it reads from the beginning to the end as fast as it can. "
    "A row is one prediction with its truth. cpu_seconds is user and system time of all "
    "threads of the system's one process from its start until the last row's result was "
    "published and committed (driftline: until the last final window was; every final window is "
    "added up, and a run with wrong counts fails). Results are read at read_committed; the "
    "guarantee and the checkpoint interval are named with each system. "
    "rows_per_cpu_second is rows / cpu_seconds: nothing is subtracted. The figures that end in "
    "_net leave out starting, as does every ratio and every goal about rates: driftline less what "
    "a worker used on empty topics until it was ready, the others counted from their first "
    "record. Peers run in environments of their own, are given fewer rows, and what they used is "
    "extrapolated to a million (memory is not: theirs is the peak of the fewer rows). Their "
    "windows are added up too, and what "
    "they miscount is named. Driftline publishes windows by prediction time and by label time, "
    "with all figures of the inputs and three distances; the peers count windows once and compute "
    "one distance, which favours them as well."
)
PACKAGES = (
    "driftline",
    "faust-streaming",
    "aiokafka",
    "numpy",
    "orjson",
    "msgspec",
    "confluent-kafka",
    "river",
)
PEER_NAMES = ("stock_faust", "stock_faust_dicts", "bytewax", "quix")


@dataclass(slots=True)
class Result:
    """One measured system.

    Attributes:
        system: its name.
        what: what it did.
        rows: predictions with their truth.
        wall_seconds: from its start until the last result.
        cpu_seconds: user and system time, likewise.
        peak_rss_bytes: most memory that it ever held.
        cpu_seconds_net: without starting.
        wall_seconds_net: likewise, where known.
        details: what else is worth knowing.
    """

    system: str
    what: str
    rows: int
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    cpu_seconds_net: float
    wall_seconds_net: float
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Rows per CPU-second; nothing subtracted."""
        return self.rows / self.cpu_seconds

    @property
    def rate_net(self) -> float:
        """Rows per CPU-second without starting."""
        return self.rows / self.cpu_seconds_net

    def as_json(self) -> dict[str, Any]:
        """Give all that is known, rounded."""
        body = {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}
        return body | {
            "rows_per_cpu_second": round(self.rate),
            "rows_per_cpu_second_net": round(self.rate_net),
            "cpu_seconds_per_million": round(1e6 / self.rate, 2),
            "cpu_seconds_per_million_net": round(1e6 / self.rate_net, 2),
            "command": f'make bench ARGS="--only {self.system}"',
        }


def ratios(results: Sequence[Result]) -> dict[str, float]:
    """Compare every Driftline row with its floors and with the peers."""
    by_name = {result.system: result for result in results}
    found = {}
    for name, result in by_name.items():
        if not name.startswith("driftline"):
            continue
        batches = name.endswith("_batches")
        floors = ("floor_batches",) if batches else ("floor_orjson", "floor_msgspec")
        for other in floors:
            if other in by_name:
                found[f"{name} / {other}"] = round(result.rate_net / by_name[other].rate_net, 3)
        for other in PEER_NAMES:
            if other in by_name:
                found[f"{name} / {other}"] = round(result.rate_net / by_name[other].rate_net, 1)
    return found


def document(
    results: Sequence[Result],
    workload: Mapping[str, Any],
    kafka: str,
    measured: Mapping[str, Mapping[str, Any]],
    failures: Mapping[str, str],
) -> dict[str, Any]:
    """Put everything into the form of the results file."""
    systems = {result.system: result.as_json() for result in results}
    compared = ratios(results)
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": "make bench",
        "method": METHOD,
        "machine": machine(),
        "versions": {
            "python": platform.python_version(),
            "kafka": kafka,
            **{name: version(name) for name in PACKAGES},
        },
        "workload": dict(workload),
        "systems": systems,
        "ratios": compared,
        "measurements": {
            name: {"command": f'make bench ARGS="--only {name}"', **body}
            for name, body in measured.items()
        },
        "goals": judge(systems, compared, measured),
        "failures": dict(failures),
    }


def write(path: Path, body: Mapping[str, Any]) -> None:
    """Write the results file, indented."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n")


def table(results: Sequence[Result]) -> str:
    """Lay the results out as text."""
    head = ("system", "rows", "wall s", "cpu s", "cpu s/1M", "rows/cpu s", "net", "peak MB")
    lines = [
        (
            result.system,
            f"{result.rows:,}",
            f"{result.wall_seconds:.1f}",
            f"{result.cpu_seconds:.1f}",
            f"{1e6 / result.rate:.1f}",
            f"{result.rate:,.0f}",
            f"{result.rate_net:,.0f}",
            f"{result.peak_rss_bytes / 1e6:,.0f}",
        )
        for result in results
    ]
    widths = [max(len(line[i]) for line in (head, *lines)) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in (head, *lines)
    )


def main() -> None:
    """Print a results file as Markdown."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else LATEST
    print(render(orjson.loads(path.read_bytes())))


if __name__ == "__main__":
    main()
