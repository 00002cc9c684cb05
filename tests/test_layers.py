"""Imports point only downwards."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

# Each layer may import itself and what stands below it.
LAYERS = [
    ("streams.cli", "streams.demo"),
    ("streams.edge.worker",),
    ("streams.rehearsal", "streams.replay"),
    ("streams.pipeline",),
    ("streams.edge",),
    ("streams.sinks",),
    ("streams.core",),
    ("streams.events", "streams.formats", "streams.publish"),
    ("streams.profile", "streams.config", "streams.payloads"),
    ("streams.wire",),
    ("detectors",),
    ("streams.compiled",),
]

# What the pure packages must never reach for.
IMPURE = {
    "streams.core": {
        "aiohttp", "aiokafka", "asyncio", "confluent_kafka", "faust", "os", "pathlib", "socket",
        "subprocess", "threading", "time",
    },
    "detectors": {"aiokafka", "asyncio", "faust", "os", "pathlib", "socket", "threading", "time"},
}  # fmt: skip

# The two modules that turn the core's and the profile's files into objects at load time.
LAZY = {"streams.config.load"}


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    for package in ("streams", "detectors"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer(module: str) -> int | None:
    best = None
    for level, names in enumerate(LAYERS):
        for name in names:
            inside = module == name or module.startswith(name + ".")
            if inside and (best is None or len(name) > best[1]):
                best = (level, len(name))
    return None if best is None else best[0]


def test_every_module_stands_in_a_layer(root: Path) -> None:
    lost = [name for name, _ in modules(root) if name != "streams" and layer(name) is None]
    assert not lost


def test_imports_point_only_downwards(root: Path) -> None:
    upward = []
    for name, path in modules(root):
        mine = layer(name)
        if mine is None or name in LAZY:
            continue
        for imported in imports(path):
            theirs = layer(imported)
            if theirs is not None and theirs < mine:
                upward.append(f"{name} imports {imported}")
    assert not upward


@pytest.mark.parametrize("package", sorted(IMPURE))
def test_the_pure_packages_do_no_io_and_ask_no_clock(root: Path, package: str) -> None:
    found = []
    for name, path in modules(root):
        if name == package or name.startswith(package + "."):
            found += [
                f"{name} imports {imported}"
                for imported in imports(path)
                if imported.partition(".")[0] in IMPURE[package]
            ]
    assert not found
