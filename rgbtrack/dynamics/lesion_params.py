"""Settings of lesions, of their clonality and of sites: one declaration of each."""

from pydantic import Field

from rgbtrack.params import Params


class LesionParams(Params):
    """How cells are grouped into lesions, and when a lesion is called polyclonal."""

    source: str = Field(
        "primary", min_length=1, description="the site that cells spread from, as in the column site"
    )
    distance_um: float | None = Field(
        None,
        gt=0,
        description="cells whose centres lie so near each other share a lesion (um); None: twice the cells' "
        "own diameter, or twice the distance of those that lie close",
    )
    min_cells: int = Field(
        3, ge=2, description="the fewest cells that make a lesion; 2 for circulating clusters (cells)"
    )
    level: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals")
    max_false: float = Field(
        0.05, gt=0, lt=0.5, description="false discovery rate of polyclonal lesions, and of enriched clones"
    )
    minor_share: float = Field(
        0.25, gt=0, le=0.5, description="share of a second clone that the power of a call is stated for"
    )
    min_power: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="a lesion is called monoclonal only where a second clone of minor_share would have been "
        "found so often",
    )
    contamination: float = Field(
        0.01,
        ge=0,
        lt=0.5,
        description="share of a lesion's cells that may be strays: lone cells of other origin among them",
    )
    error_scatter: float = Field(
        0.3,
        gt=0,
        le=2,
        description="how far error rates differ from lesion to lesion, as a share of their mean (confusion)",
    )
    misassignment: float = Field(
        0.1,
        gt=0,
        lt=0.5,
        description="share of calls taken as wrong where neither probabilities nor a confusion matrix exist",
    )
    null_draws: int = Field(1000, ge=100, le=100_000, description="draws of each resampled reference")
    seed: int = Field(0, ge=0, description="seed of every random draw")
