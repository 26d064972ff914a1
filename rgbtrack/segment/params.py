"""Settings of segmentation."""

from typing import Literal

from pydantic import Field

from rgbtrack.params import Params

OURS = "rgbtrack"
"""Name of our own segmentation method."""


class SegmentParams(Params):
    """How cells are found."""

    method: str = Field(
        OURS,
        description='segmentation method: "rgbtrack", "cellpose", "stardist", or that of an installed plugin',
    )
    model: str | None = Field(
        None,
        description="model name or path, for methods that have models; a path works offline; "
        "None: the method's default",
        json_schema_extra={"format": "file-path"},
    )
    projection: Literal["none", "max", "mean"] = Field(
        "none",
        description="make a z-stack one plane before anything else, the maximum or mean of its planes; "
        "none: cells are volumes",
    )
    diameter_um: float | None = Field(
        None, gt=0, description="diameter of a typical cell, um; None: estimated from the image"
    )
    min_snr: float = Field(
        4.0,
        gt=0,
        description="how far above noise a pixel of a cell must stand, in standard errors of a spot a "
        "quarter as wide as a cell",
    )
    contrast: float = Field(
        0.45, gt=0, lt=1, description="a cell ends where its light has fallen to this share of its own level"
    )
    join: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="two parts are one cell from this probability on; more splits cells, less joins them",
    )
    min_probability: float = Field(
        0.5, ge=0, lt=1, description="an object is kept that is a cell with at least this probability"
    )
    min_area: float = Field(
        0.1, ge=0, lt=1, description="objects below this share of a typical cell's area are debris"
    )
