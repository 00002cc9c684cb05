"""What all configuration models share."""

from typing import NamedTuple, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

Path = tuple[str | int, ...]


class Finding(NamedTuple):
    """A rule between several keys that does not hold.

    Attributes:
        path: keys from the model that states the rule down to the offending value.
        message: what is wrong and what to write.
        hint: near miss or further help, or empty.
    """

    path: Path
    message: str
    hint: str = ""


class Frozen(BaseModel):
    """A part of the configuration: immutable, no unknown keys, no values in error messages."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    def findings(self) -> list[Finding]:
        """Check the rules between keys; each part of the configuration states its own."""
        return []

    @model_validator(mode="after")
    def _hold_rules(self, info: ValidationInfo) -> Self:
        only = (info.context or {}).get("rules_of")
        found = self.findings() if only is None or isinstance(self, only) else []
        if found:
            raise PydanticCustomError(
                "findings",
                "{text}",
                {"text": "; ".join(finding.message for finding in found), "findings": found},
            )
        return self
