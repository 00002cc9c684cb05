"""Secrets: named in the configuration, never written in it."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, SecretStr, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

_HOW = "write {env: NAME} or {file: path} instead"


def _refuse(reason: str) -> PydanticCustomError:
    return PydanticCustomError("secret", "{reason}", {"reason": reason})


def _from_environment(name: object) -> SecretStr:
    if not isinstance(name, str) or not name:
        raise _refuse("env takes the name of an environment variable")
    value = os.environ.get(name)
    if not value:
        state = "not set" if value is None else "empty"
        raise _refuse(f"environment variable {name} is {state}; set it before starting")
    return SecretStr(value)


def _from_file(name: object, base: Path) -> SecretStr:
    if not isinstance(name, str) or not name:
        raise _refuse("file takes the path of a file that holds the secret alone")
    path = base / name
    try:
        value = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise _refuse(f"secret file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _refuse(f"secret file {path} is not UTF-8 text") from None
    if not value:
        raise _refuse(f"secret file {path} is empty")
    return SecretStr(value)


def resolve_secret(value: object, info: ValidationInfo) -> SecretStr:
    """Fetch a secret from where the configuration says it is.

    Args:
        value: ``{"env": NAME}``, ``{"file": path}``, or a secret that is already fetched.
        info: its context may hold ``base``, the folder that relative paths start from.

    Raises:
        PydanticCustomError: a literal was written, or the secret is not where it should be. The
            message never holds the value.
    """
    if isinstance(value, SecretStr):
        return value
    if not isinstance(value, dict):
        raise _refuse(f"a secret is never written in the file; {_HOW}")
    if set(value) == {"env"}:
        return _from_environment(value["env"])
    if set(value) == {"file"}:
        return _from_file(value["file"], Path((info.context or {}).get("base", ".")))
    raise _refuse(f"a secret has exactly one of the keys env and file; {_HOW}")


def _one_key(key: str, description: str) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {key: {"type": "string", "minLength": 1, "description": description}},
        "required": [key],
        "additionalProperties": False,
    }


Secret = Annotated[
    SecretStr,
    BeforeValidator(resolve_secret),
    WithJsonSchema(
        {
            "description": "A secret, named and never written: {env: NAME} or {file: path}.",
            "oneOf": [
                _one_key("env", "Environment variable that holds the secret."),
                _one_key("file", "File that holds the secret alone; relative to this file."),
            ],
        },
        mode="validation",
    ),
]
