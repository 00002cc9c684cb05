"""Finding one's way through the configuration types by a path of keys."""

from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from streams.config.base import Path


def type_at(root: Any, path: Path) -> Any:
    """Find the type of the value at a path; None where there is no such key.

    Args:
        root: type of the whole.
        path: keys and indices as validation errors give them; the tag of a discriminated union is
            a step of its own.
    """
    for part in path:
        root = _step(_bare(root), part)
    return _bare(root)


def keys_of(kind: Any) -> tuple[str, ...]:
    """List the keys that a type knows; none for what is no model."""
    return tuple(kind.model_fields) if _is_model(kind) else ()


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _bare(kind: Any) -> Any:
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        members = [member for member in get_args(kind) if member is not NoneType]
        return _bare(members[0]) if len(members) == 1 else kind
    return kind


def _step(kind: Any, part: str | int) -> Any:
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return field.annotation if field is not None else None
    arguments = get_args(kind)
    if get_origin(kind) is tuple and isinstance(part, int):
        return arguments[0]
    if get_origin(kind) is dict:
        return arguments[1]
    if get_origin(kind) in {Union, UnionType}:
        tagged = (
            member
            for member in arguments
            if _is_model(member)
            and any(part in get_args(field.annotation) for field in member.model_fields.values())
        )
        return next(tagged, None)
    return None
