"""Settings of clone dynamics: one declaration of each."""

from typing import Literal

from pydantic import Field

from rgbtrack.params import Params


class DynamicsParams(Params):
    """How clone sizes are counted."""

    level: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals of fractions")
    frame: Literal["first", "last"] = Field(
        "first", description="frame of a time series that is counted: a cell must not count once per frame"
    )
