"""Files that the configuration names: relative to the file that names them."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo
from pydantic_core import PydanticCustomError


def _existing(path: Path, info: ValidationInfo) -> Path:
    if info.context is None:
        return path
    found: Path = info.context["base"] / path
    if not found.is_file():
        raise PydanticCustomError("file", "there is no file {path}", {"path": str(found)})
    return found


ExistingFile = Annotated[Path, AfterValidator(_existing)]
"""A file that exists. In files, relative paths start from the file's folder; in code, as given."""
