"""Settings of segmentation."""

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
    )
    diameter_um: float | None = Field(
        None, gt=0, description="diameter of a typical cell, um; None: estimated from the image"
    )
    min_snr: float = Field(
        5.0,
        gt=0,
        description="how far above noise a cell must stand, in standard errors of a disc a third its size",
    )
    contrast: float = Field(
        0.45,
        gt=0,
        lt=1,
        description="a pixel belongs to a cell where it reaches this share of the local maximum",
    )
    colour_edge: float = Field(
        0.09, gt=0, description="relative colour change per pixel of a 20 px cell that parts two cells"
    )
    min_edge: float = Field(
        0.35,
        ge=0,
        lt=1,
        description="an object fades by at least this share within a fifth of a diameter outside its "
        "outline, or it is haze",
    )
    min_area: float = Field(
        0.2, ge=0, lt=1, description="objects below this share of a typical cell's area are debris"
    )
