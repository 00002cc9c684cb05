"""A base install is light, and what it promises is there."""

import subprocess
import sys
from pathlib import Path

HEAVY = ("numpy", "faust", "river", "scipy", "pandas", "pydantic", "pyarrow", "aiokafka", "aiohttp")


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(' '.join(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_publishing_loads_nothing_of_the_worker() -> None:
    assert not loaded_after("from streams import Publisher").intersection(HEAVY)


def test_the_command_line_loads_nothing_of_the_worker_until_a_command_needs_it() -> None:
    assert not loaded_after("import streams.cli, streams.cli.publish").intersection(HEAVY)


def test_both_packages_say_that_they_are_typed(root: Path) -> None:
    assert (root / "streams" / "py.typed").is_file()
    assert (root / "detectors" / "py.typed").is_file()


def test_exported_names_exist_and_stand_once() -> None:
    import detectors  # noqa: PLC0415 - the test is about importing
    import streams  # noqa: PLC0415 - likewise

    for package in (streams, detectors):
        assert len(set(package.__all__)) == len(package.__all__)
        for name in package.__all__:
            assert getattr(package, name) is not None
