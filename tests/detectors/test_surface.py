"""The package as its users meet it: exports, documentation and independence."""

import ast
import doctest
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import detectors

MODULES = ["detectors"] + [
    found.name for found in pkgutil.walk_packages(detectors.__path__, "detectors.")
]
PACKAGES = ["detectors", "detectors.distances", "detectors.sketches"]


def public_names(module: ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }


@pytest.mark.parametrize("name", PACKAGES)
def test_exports_are_complete_sorted_and_importable(name: str) -> None:
    module = importlib.import_module(name)
    exported = module.__all__
    assert set(exported) == public_names(module)
    shouting = [each for each in exported if each.isupper()]
    capital = [each for each in exported if each[0].isupper() and not each.isupper()]
    small = [each for each in exported if each[0].islower()]
    assert exported == sorted(shouting) + sorted(capital) + sorted(small)
    namespace: dict[str, object] = {}
    exec(f"from {name} import *", namespace)
    assert set(exported) <= namespace.keys()


@pytest.mark.parametrize("name", MODULES)
def test_every_documented_example_runs(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_every_detector_distance_and_interval_shows_an_example() -> None:
    lacking = []
    for name in MODULES:
        tree = ast.parse(Path(str(importlib.import_module(name).__file__)).read_text("utf-8"))
        for node in tree.body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef) or node.name[0] == "_":
                continue
            if ">>>" not in (ast.get_docstring(node) or ""):
                lacking.append(node.name)
    assert sorted(lacking) == sorted(
        ["ByteSketch", "Distance", "DriftDetector", "FrequentItem", "Interval", "Rule"]
    )


def test_the_package_imports_nothing_of_the_pipeline_and_no_pickle() -> None:
    for name in MODULES:
        tree = ast.parse(Path(str(importlib.import_module(name).__file__)).read_text("utf-8"))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            for imported in names:
                if imported == "streams.compiled":  # a decorator, which knows nothing of streams
                    continue
                assert imported.split(".")[0] not in {"streams", "pickle", "asyncio", "time"}
