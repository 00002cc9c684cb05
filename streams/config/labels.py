"""Class labels as canonical strings."""

from typing import Annotated

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema


def canonical_label(value: object) -> object:
    """Write a class label as events do: true is ``"true"``, 1 and 1.0 are ``"1"``.

    Other types than bool, int, float and str come back as they are, for validation to refuse.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return value


Label = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    BeforeValidator(canonical_label),
    WithJsonSchema({"type": ["string", "number", "boolean"]}, mode="validation"),
]
"""A class label: YAML may write it as a string, a number or a boolean."""
