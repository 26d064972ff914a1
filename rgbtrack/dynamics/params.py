"""Settings of clone dynamics: one declaration of each."""

from typing import Literal

from pydantic import Field

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.names import Name
from rgbtrack.params import Params


class ResponseParams(Params):
    """How the response of clones to a treatment is tested."""

    control: Name | dict[str, Name] | None = Field(
        None,
        description="the reference treatment; for factorial designs the reference of every factor, "
        'as {treatment = "vehicle", inhibitor = "none"}; default: the only other treatment decides',
    )
    timepoint: float | Literal["last", "mean"] = Field(
        "last",
        description="day that is compared: the last that the treatments share, the mean of all, or a day",
    )
    event_time: float | str | None = Field(
        None,
        description="day of an event within each subject, or the column that holds it: what changed from "
        "before (that day included) to after is compared",
    )
    size: str = Field(
        "n_cells",
        description="column that holds the sizes; expected_cells are those with misassignment unfolded",
    )
    min_cells: float = Field(5.0, ge=0, description="clones with fewer cells in all are not tested")
    level: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals")
    rotations: int = Field(4999, ge=99, description="rotations of the test of heterogeneity")
    seed: int = Field(0, ge=0, description="of the rotations")


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


class DiversityParams(Params):
    """How diversity, turnover and the distribution of clone sizes are worked out."""

    counts: Literal["n_cells", "expected_cells"] = Field(
        "n_cells",
        description="column that is counted: cells called, or cells expected by the clone probabilities, "
        "rounded",
    )
    coverage: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="coverage at which samples are compared; by default the least that any sample reaches "
        "when its cells are doubled",
    )
    least_cells: int = Field(
        20, ge=2, description="samples of fewer cells are not standardised, and do not set the coverage"
    )
    level: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals")


class DynamicsParams(Params):
    """How clone sizes are counted, and what is told of them; each question has a section of its own."""

    level: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals of fractions")
    frame: Literal["first", "last"] = Field(
        "first", description="frame of a time series that is counted: a cell must not count once per frame"
    )
    measure: Literal["cells", "area", "volume"] = Field(
        "cells",
        description="what the column amount adds up: cells, their area (um²) or their volume (um³)",
    )
    growth: GrowthParams = Field(GrowthParams(), description="growth rates")
    diversity: DiversityParams = Field(DiversityParams(), description="diversity and turnover")
    response: ResponseParams = Field(ResponseParams(), description="response to treatments")
    lesions: LesionParams = Field(LesionParams(), description="lesions, and what seeded them")
