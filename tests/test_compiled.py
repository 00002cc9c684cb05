"""Machine code is kept, and never older than what it was made of."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streams import compiled

INNER = """
from streams.compiled import kernel
SIZE = {size}
@kernel
def one(x: int) -> int:
    return x + {add}
"""
OUTER = """
from inner import SIZE, one
from streams.compiled import kernel
@kernel
def two(x: int) -> int:
    return one(x) * SIZE
"""
SCRIPT = "from outer import two\nprint(two(1), sum(two.stats.cache_hits.values()))"


def run(folder: Path, *, cache: str = "cache") -> tuple[int, int]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / cache)}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    result, hits = map(int, done.stdout.split())
    return result, hits


def write(folder: Path, add: int, size: int) -> None:
    (folder / "inner.py").write_text(INNER.format(add=add, size=size))
    (folder / "outer.py").write_text(OUTER)


def test_a_second_process_finds_the_machine_code_of_the_first(tmp_path: Path) -> None:
    write(tmp_path, add=1, size=10)

    assert run(tmp_path) == (20, 0)
    assert run(tmp_path) == (20, 1)


def test_a_change_in_another_file_is_compiled_in(tmp_path: Path) -> None:
    write(tmp_path, add=1, size=10)
    run(tmp_path)

    write(tmp_path, add=2, size=10)
    assert run(tmp_path) == (30, 0)

    write(tmp_path, add=2, size=100)
    assert run(tmp_path) == (300, 0)


def test_without_a_place_to_keep_it_machine_code_is_made_anew(tmp_path: Path) -> None:
    write(tmp_path, add=1, size=10)
    (tmp_path / "file").write_text("in the way")

    assert run(tmp_path, cache="file") == (20, 0)


def test_machine_code_that_an_image_brings_is_used_from_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "kernel.nbc").write_bytes(b"code")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda *_: False)

    copy = compiled._folder.__wrapped__()

    assert copy != tmp_path
    assert (copy / "one" / "kernel.nbc").read_bytes() == b"code"
