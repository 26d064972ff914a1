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
    measure: Literal["cells", "area", "volume"] = Field(
        "cells",
        description="what the column amount adds up: cells, their area (um²) or their volume (um³)",
    )


class GrowthParams(Params):
    """How growth is worked out."""

    kind: Literal["relative", "absolute"] = Field(
        "relative",
        description="relative: to the mean of the clones of a sample; absolute: of cell numbers, which needs "
        "totals in the sample sheet",
    )
    size: Literal["n_cells", "expected_cells", "amount"] = Field(
        "n_cells",
        description="what grows: cells as called, cells once misassignment is unfolded, or area or volume",
    )
    level: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals")
    reference_cells: float = Field(
        5.0,
        gt=0,
        description="the mean of the clones is taken over those with at least so many cells a sample, on "
        "average (cells)",
    )
