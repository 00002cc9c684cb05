import importlib
import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from streams.cli import main as command_line
from streams.cli import output
from streams.cli.main import COMMANDS, WORKER_EXTRA, main
from streams.config.errors import ConfigError, Problem

BASE_ONLY = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(WORKER_EXTRA - {"pydantic"})}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from streams.cli import main
sys.exit(main(sys.argv[1:]))
"""


def base_only(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as if only the base were installed."""
    return subprocess.run(
        [sys.executable, "-c", BASE_ONLY, *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Register a command ``probe`` that runs a function."""

    def register(function: Callable[[], None]) -> None:
        app = typer.Typer()
        app.command()(function)
        module = types.ModuleType("probe_command")
        module.app = app  # type: ignore[attr-defined] # what a command's module has
        monkeypatch.setitem(sys.modules, "probe_command", module)
        monkeypatch.setitem(COMMANDS, "probe", ("probe_command", "Probe."))

    return register


@pytest.mark.parametrize("name", COMMANDS)
def test_every_registered_command_loads_and_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: driftline {name}")


def test_the_entry_point_is_the_function() -> None:
    package = importlib.import_module("streams.cli")
    assert package.main is command_line is main


def test_importing_the_command_line_is_light() -> None:
    code = "import sys, streams.cli; print([n for n in sys.argv[1:] if n in sys.modules])"
    heavy = [*sorted(WORKER_EXTRA), "rich", "confluent_kafka", "streams.config"]
    done = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_base_install_has_help_and_version() -> None:
    helped = base_only("--help")
    assert helped.returncode == 0
    assert all(name in helped.stdout for name in COMMANDS)
    assert base_only("version").stdout.startswith("driftline ")


def test_a_base_install_says_what_a_worker_command_needs() -> None:
    done = base_only("config", "check")
    assert done.returncode == 2
    assert done.stderr == "error: this command needs: pip install 'driftline[worker]'\n"


def test_a_missing_module_of_our_own_is_a_defect_and_not_hidden(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(COMMANDS, "probe", ("streams.cli.none", "Probe."))
    with pytest.raises(ModuleNotFoundError, match=r"streams\.cli\.none"):
        main(["probe"])


def test_a_command_that_returns_is_a_success(
    probe: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    probe(lambda: output.line("done"))
    assert main(["probe"]) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_a_failure_is_one_line_on_stderr(
    probe: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise output.CommandError("no broker at a:1; is it running?")

    probe(fail)
    assert main(["probe"]) == 1
    assert capsys.readouterr() == ("", "error: no broker at a:1; is it running?\n")


def test_a_wrong_configuration_is_a_wrong_usage(
    probe: Callable[[Callable[[], None]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ConfigError([Problem("a", 1, "k", "m"), Problem("a", 2, "l", "n", "h")])

    probe(fail)
    assert main(["probe"]) == 2
    assert capsys.readouterr().err == "error: a:1: k: m\nerror: a:2: l: n (h)\n"


def test_a_command_chooses_its_exit_code(probe: Callable[[Callable[[], None]], None]) -> None:
    def end() -> None:
        raise typer.Exit(1)

    probe(end)
    assert main(["probe"]) == 1


def test_an_interrupt_ends_with_130(probe: Callable[[Callable[[], None]], None]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    probe(interrupt)
    assert main(["probe"]) == 130


def test_an_unexpected_error_is_not_swallowed(
    probe: Callable[[Callable[[], None]], None],
) -> None:
    def defect() -> None:
        raise ZeroDivisionError

    probe(defect)
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_a_mistyped_command_gets_its_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["confg"]) == 2
    assert "Did you mean 'config'?" in capsys.readouterr().err


def test_the_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"driftline", "python"}


@pytest.mark.parametrize(("terminal", "no_color", "red"), [(True, "", True), (True, "1", False)])
def test_errors_are_red_unless_somebody_asked_for_no_colour(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    terminal: bool,  # noqa: FBT001 a test's parameter
    no_color: str,
    red: bool,  # noqa: FBT001 a test's parameter
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    output.error("text")
    assert ("\x1b[" in capsys.readouterr().err) is red


def test_tables_are_aligned_without_trailing_spaces(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name", "n"), [("a", 1), ("longer", 22)])
    assert capsys.readouterr().out == "name    n\na       1\nlonger  22\n"


def test_the_installed_command_is_this_one() -> None:
    script = Path(sys.executable).with_name("driftline")
    done = subprocess.run([script, "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("driftline ")
