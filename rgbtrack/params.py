"""The one base of every stage's settings."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """Settings of one stage: frozen, unknown keys forbidden.

    One declaration serves as keyword arguments, as a section of ``experiment.toml`` and as a form in napari.
    Every field carries its description and its unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
