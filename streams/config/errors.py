"""What is wrong with a configuration: every problem at once, each where it is."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from streams.config.base import Path


def dotted(path: Path) -> str:
    """Write a path of keys as people do: ``windows[0].size``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(slots=True, frozen=True)
class Problem:
    """One thing to correct.

    Attributes:
        file: file, or environment variable, that holds it.
        line: line in the file, from 1; None where there is none.
        key: path of keys, such as ``kafka.sasl.password``; empty for the file as a whole.
        message: what is wrong, and what to write. Never a secret.
        hint: near miss or further help, or empty.
    """

    file: str
    line: int | None
    key: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Write the problem as compilers do: ``file:line: key: message (hint)``."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {key}{self.message}{hint}"

    def as_dict(self) -> dict[str, str | int | None]:
        """Give the problem as plain JSON values."""
        return asdict(self)


class ConfigError(Exception):
    """The configuration cannot be used; ``problems`` says all that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
