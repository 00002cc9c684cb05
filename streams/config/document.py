"""A YAML file as plain values that still know their lines.

The file is composed into nodes and the values are made here, rather than by the library's
constructor: all duplicate keys are found, not only the first; YAML 1.2's core schema holds whatever
version the file claims (``no`` is text, ``1e3`` is a number); and no message quotes the file, which
may hold a secret by mistake.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from streams.config.base import Path
from streams.config.errors import Problem, dotted

MOST_NODES = 100_000
MOST_CHARACTERS = 4_000_000
LONGEST_NUMBER = 400

_CORE_TAG = re.compile(
    r"tag:yaml\.org,2002:(str|int|float|bool|null|timestamp|map|seq|merge|value)"
)
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_SPECIAL = re.compile(r"\.(inf|nan)", re.IGNORECASE)
_QUOTED = re.compile(r"'(?!\\)[^']{2,}'|\"[^\"]{2,}\"")


@dataclass(slots=True)
class Document:
    """What a file says and where it says it.

    Attributes:
        name: file as messages name it.
        data: the values: dicts with string keys, lists, scalars.
        lines: line of each key or list item, from 1, by path.
        origins: environment variable that a value comes from instead, by path.
        problems: what was wrong with the file as YAML.
    """

    name: str
    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path, message: str, hint: str = "") -> Problem:
        """Describe a problem at a path; its line is that of the nearest key that was written."""
        for length in range(len(path), -1, -1):
            origin = self.origins.get(path[:length])
            if origin is not None:
                return Problem(origin, None, dotted(path), message, hint)
            if path[:length] in self.lines:
                return Problem(self.name, self.lines[path[:length]], dotted(path), message, hint)
        return Problem(self.name, None, dotted(path), message, hint)


def parse(text: str, name: str) -> Document:
    """Read YAML text; what is wrong with it is left in ``problems``.

    Args:
        text: the file's content.
        name: what messages call the file.
    """
    document = Document(name)
    if len(text) > MOST_CHARACTERS:
        document.problems.append(Problem(name, None, "", "the file is too large"))
        return document
    try:
        root = YAML(typ="safe", pure=True).compose(text)
        if root is not None:
            document.data = _Values(document).value(root, ())
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        reason = _QUOTED.sub("...", str(error.problem or error.context or "not YAML"))
        document.problems.append(Problem(name, line, "", f"not valid YAML: {reason}"))
    except YAMLError:
        document.problems.append(Problem(name, None, "", "not valid YAML: a forbidden character"))
    except RecursionError:
        document.problems.append(Problem(name, None, "", "not usable: nested too deeply"))
    if document.problems:
        return document
    if not isinstance(document.data, dict):
        what = "is empty" if document.data is None else "must be keys and values"
        document.problems.append(
            Problem(name, 1, "", f"the file {what}; see 'driftline config schema'")
        )
    return document


def scalar(text: str) -> str | int | float | bool | None:
    """Read an unquoted scalar by YAML 1.2's core schema."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if len(text) <= LONGEST_NUMBER:
        if _INT.fullmatch(text):
            return int(text)
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(_SPECIAL.sub(r"\1", text))
    return text


class _Values:
    """Makes plain values of nodes and notes their lines."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[int] = set()
        self._nodes = 0

    def value(self, node: Node, path: Path) -> Any:
        """Make the value of a node."""
        line = node.start_mark.line + 1
        self._document.lines.setdefault(path, line)
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise RecursionError
        if not _CORE_TAG.fullmatch(str(node.tag)):
            self._refuse(path, line, "tags are not used here; write the value alone")
            return None
        if isinstance(node, ScalarNode):
            text = self._text(node.value, path, line)
            return scalar(text) if node.style is None else text
        if id(node) in self._open:
            self._refuse(path, line, "an alias may not stand inside its own anchor")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
            return self._mapping(node.value, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, pairs: list[tuple[Node, Node]], path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in pairs:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, ScalarNode):
                self._refuse(path, line, "a key must be plain text")
                continue
            key = self._text(key_node.value, path, line)
            if key in first:
                self._refuse(
                    (*path, key), line, f"the key is already on line {first[key]}; keep one"
                )
                continue
            first[key] = line
            self._document.lines[*path, key] = line
            values[key] = self.value(value_node, (*path, key))
        return values

    def _text(self, text: str, path: Path, line: int) -> str:
        """Join surrogates that were escaped one by one, as JSON does; half a pair is no text."""
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._refuse(path, line, "half a surrogate pair is no text; write the character itself")
            return ""

    def _refuse(self, path: Path, line: int, message: str) -> None:
        self._document.problems.append(Problem(self._document.name, line, dotted(path), message))
