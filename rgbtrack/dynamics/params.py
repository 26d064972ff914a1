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
