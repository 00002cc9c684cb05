"""The root of the command line.

Each command is a module of ``streams.cli`` with a ``typer.Typer`` named ``app``: with one command
and no callback it is ``driftline NAME``, otherwise ``driftline NAME SUBCOMMAND``. A module is
imported only when its command runs, so that a base install, which can publish and nothing more,
has a working ``driftline``. To add a command, add a line to ``COMMANDS``.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from streams.cli.output import FAILURE, USAGE, CommandError, error

COMMANDS = {
    "demo": ("streams.cli.demo", "Run everything on this machine, with traffic and drift."),
    "worker": ("streams.cli.worker", "Run a worker: join, measure, watch, alert."),
    "topics": ("streams.cli.topics", "Create and check the topics."),
    "config": ("streams.cli.config", "Check and show the configuration."),
    "profile": ("streams.cli.profile", "Build reference profiles from data."),
    "publish": ("streams.cli.publish", "Publish predictions or truth."),
    "replay": ("streams.cli.replay", "Run recorded events through the same pipeline."),
    "alerts": ("streams.cli.alerts", "Follow and list alerts."),
    "version": ("streams.cli.version", "Print the version."),
}
"""Module and one line of help, by the command's name."""

WORKER_EXTRA = frozenset(
    {
        "aiohttp",
        "aiokafka",
        "datasketches",
        "faust",
        "cramjam",
        "mode",
        "numpy",
        "prometheus_client",
        "pyarrow",
        "pydantic",
        "river",
        "ruamel",
        "scipy",
        "structlog",
    }
)
"""Packages whose absence means that only the base was installed."""


class CommandGroup(TyperGroup):
    """The root group; knows its commands by name and help, and loads the one that runs."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=text, rich_markup_mode=None)
            for name, (_, text) in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Load the command that the arguments name."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else load_command(name), rest


def load_command(name: str) -> Any:
    """Import a command's module and make its command."""
    module = importlib.import_module(COMMANDS[name][0])
    command = typer.main.get_command(module.app)
    command.name = name
    _plain(command)
    return command


def _plain(command: Any) -> None:
    """Print help as plain text, which pipes and logs need, without options of typer's own."""
    command.rich_markup_mode = None
    command.params = [
        parameter
        for parameter in command.params
        if parameter.name not in {"install_completion", "show_completion"}
    ]
    for inner in getattr(command, "commands", {}).values():
        _plain(inner)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: words after ``driftline``; the process's own when absent.

    Returns:
        The exit code.
    """
    root = CommandGroup(
        name="driftline",
        help="Watch machine-learning models in production, live.",
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    try:
        root.main(arguments, prog_name="driftline")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILURE
    except CommandError as failure:
        error(str(failure))
        return failure.code
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in WORKER_EXTRA:
            raise
        error("this command needs: pip install 'driftline[worker]'")
        return USAGE
    except Exception as failure:
        if not _is_config_error(failure):
            raise
        for problem in str(failure).splitlines():
            error(problem)
        return USAGE
    return 0


def _is_config_error(failure: Exception) -> bool:
    """Tell a ConfigError without importing its module, which needs the worker extra."""
    errors = sys.modules.get("streams.config.errors")
    return errors is not None and isinstance(failure, errors.ConfigError)
