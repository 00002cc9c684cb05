"""Memory per waiting prediction: what a join keeps of a million of them, printed as JSON.

Run with ``python benchmarks/memory.py [rows]``. The ids are 36 characters, as UUIDs are; their own
bytes are listed apart.
"""

import json
import sys
import tracemalloc
import uuid
from pathlib import Path

import numpy as np

from streams.core.join.index import hash_ids
from streams.core.join.pages import NewRows
from streams.core.join.waiting import Waiting

CHUNK = 5_000


def resident() -> int:
    """Resident memory of this process, bytes; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(one for one in status.read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def fill(rows: int) -> Waiting:
    """Let predictions of one binary model wait."""
    waiting = Waiting()
    rng = np.random.default_rng(0)
    for start in range(0, rows, CHUNK):
        n = min(CHUNK, rows - start)
        ids = [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(n)]
        score = rng.random(n)
        new = NewRows(
            ids,
            np.arange(start, start + n, dtype=np.int64),
            np.zeros(n, dtype=np.int32),
            (score > 0.5).astype(np.float64),
            score,
        )
        waiting.add("model", 1, new, hash_ids(ids))
    return waiting


def measure(rows: int) -> dict[str, float]:
    """Measure once by the arrays' own sizes and the process, and once by tracemalloc."""
    fill(10_000)
    before = resident()
    waiting = fill(rows)
    grown = resident() - before
    pages = waiting.store.pages.values()
    columns = sum(page.nbytes for page in pages)
    ids = sum(page.id_nbytes for page in pages)
    index = waiting.index.nbytes
    del waiting, pages
    tracemalloc.start()
    traced = fill(rows)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del traced
    return {
        "rows": rows,
        "columns_bytes_per_row": columns / rows,
        "index_bytes_per_row": index / rows,
        "bytes_per_row_besides_ids": (columns + index) / rows,
        "id_bytes_per_row": ids / rows,
        "traced_bytes_per_row": held / rows,
        "resident_bytes_per_row": grown / rows,
    }


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print(json.dumps(measure(count), indent=2))
