"""The one base of every stage's settings."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from rgbtrack.errors import ParamError


class Params(BaseModel):
    """Settings of one stage: frozen, unknown keys forbidden.

    One declaration serves as keyword arguments, as a section of ``experiment.toml`` and as a form in napari.
    Every field carries its description and its unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def with_settings(self, settings: Mapping[str, Any]) -> Self:
        """Return these settings with some of them replaced.

        Raises
        ------
        ParamError
            All unknown names and values that are not allowed, at once.
        """
        if not settings:
            return self
        try:
            return type(self)(**{**self.model_dump(exclude_unset=True), **settings})
        except ValidationError as error:
            raise ParamError(*map(_mistake, error.errors())) from error


def key_of(place: Sequence[int | str]) -> list[str]:
    """Where pydantic found something, as a person writes it: without the members of a union.

    >>> key_of(("response", "control", "dict[str,str]"))
    ['response', 'control']
    """
    members = {"str", "int", "float", "bool", "none"}
    return [str(part) for part in place if part not in members and "[" not in str(part)]


def _mistake(problem: Any) -> str:
    """What pydantic found, in one line."""
    name = ".".join(key_of(problem["loc"])) or "settings"
    return f"{name} is {problem['input']!r}: {problem['msg'].removeprefix('Input ')}"
