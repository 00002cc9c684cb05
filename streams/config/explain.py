"""Validation errors in the words of somebody who edits the file."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from streams.config.base import Finding, Path
from streams.config.document import Document
from streams.config.errors import Problem
from streams.config.fields import keys_of, type_at
from streams.config.suggest import suggest

_Context = dict[str, Any]

_EXPECTED: dict[str, str] = {
    "string": "must be text; put it in quotes",
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "tuple": "must be a list, such as [a, b]",
    "frozen_set": "must be a list, such as [a, b]",
    "dict": "must be keys and values",
    "model": "must be keys and values",
    "finite_number": "must be a finite number",
    "path": "must be the path of a file",
}
"""By the beginning of pydantic's type of error, for values of a wrong type."""

_BOUNDS: dict[str, Callable[[_Context], str]] = {
    "greater_than": lambda ctx: f"must be more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"must be less than {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:g}",
    "string_too_short": lambda _: "must not be empty",
    "string_too_long": lambda ctx: f"must have at most {ctx['max_length']} characters",
    "too_short": lambda ctx: f"must have at least {ctx['min_length']} entries",
    "too_long": lambda ctx: f"must have at most {ctx['max_length']} entries",
}

_PATTERNS = {
    r"^[A-Za-z0-9_.:-]{1,128}$": "must be 1 to 128 letters, digits or any of _ . : -",
    r"^[A-Za-z0-9_.-]{1,200}$": "must be 1 to 200 letters, digits or any of _ . -",
    r"^[^\s,:]+:\d+(,[^\s,:]+:\d+)*$": "must be host:port, several with commas and no spaces",
}


def explain(error: ValidationError, root: type[BaseModel], document: Document) -> list[Problem]:
    """Describe each error at its place in the file.

    Args:
        error: what validation found.
        root: the type that was validated.
        document: the file whose data it was.
    """
    return [
        problem
        for detail in error.errors(include_url=False)
        if detail["type"] != "default_factory_not_called"  # follows from an error before it
        for problem in _explain(dict(detail), root, document)
    ]


def _explain(
    detail: dict[str, Any], root: type[BaseModel], document: Document
) -> Iterator[Problem]:
    kind, loc, context = detail["type"], detail["loc"], detail.get("ctx", {})
    path = _path_in(document.data, loc)
    if kind == "missing":
        path = (*path, loc[-1])
    if kind == "findings":
        findings: list[Finding] = context["findings"]
        for finding in findings:
            yield document.problem((*path, *finding.path), finding.message, finding.hint)
    elif kind == "extra_forbidden":
        known = keys_of(type_at(root, loc[:-1]))
        yield document.problem(path, f"unknown key '{loc[-1]}'", suggest(str(loc[-1]), known))
    elif kind == "missing":
        owner = type_at(root, loc[:-1])
        hint = owner.model_fields[loc[-1]].description or "" if keys_of(owner) else ""
        yield document.problem(path, f"required key '{loc[-1]}' is missing; add it", hint)
    elif kind == "union_tag_not_found":
        yield document.problem(
            (*path, "rule"), "required key 'rule' is missing; add it", "what kind of rule it is"
        )
    elif kind in {"literal_error", "union_tag_invalid"}:
        key = (*path, "rule") if kind == "union_tag_invalid" else path
        yield document.problem(key, *_not_among(detail["input"], context, kind))
    else:
        yield document.problem(path, _message(kind, context, detail["msg"]))


def _not_among(value: Any, context: _Context, kind: str) -> tuple[str, str]:
    known = re.findall(
        r"'([^']*)'", context["expected_tags" if kind == "union_tag_invalid" else "expected"]
    )
    written = context["tag"] if kind == "union_tag_invalid" else value
    if not isinstance(written, str):
        return f"must be one of {', '.join(known)}", ""
    return f"unknown value '{written[:60]}'", suggest(written, known)


def _message(kind: str, context: _Context, fallback: str) -> str:
    if kind in _BOUNDS:
        return _BOUNDS[kind](context)
    if kind == "string_pattern_mismatch":
        return _PATTERNS[context["pattern"]]
    for beginning, message in _EXPECTED.items():
        if kind.startswith(beginning):
            return message
    return fallback


def _path_in(data: Any, loc: tuple[str | int, ...]) -> Path:
    """Drop from an error's location what is no key of the file, such as the tags of unions."""
    path: list[str | int] = []
    for part in loc:
        known = data if isinstance(data, dict) else _numbered(data)
        if part in known:
            data = known[part]
            path.append(part)
    return tuple(path)


def _numbered(data: Any) -> dict[Any, Any]:
    return dict(enumerate(data)) if isinstance(data, list) else {}
