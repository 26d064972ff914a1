"""Settings of the signature."""

from pydantic import Field

from rgbtrack.params import Params


class SignatureParams(Params):
    """How pixels are pooled into a colour."""

    core: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="pixels nearer to the outline than this share of the cell's radius are left out, "
        "so that neighbours do not bleed in",
    )
    min_core_px: int = Field(
        12, ge=1, description="with fewer core pixels the whole cell is measured and flagged small"
    )
    saturated_share: float = Field(
        0.02, ge=0, le=1, description="a cell with more than this share of saturated pixels is flagged"
    )
    surroundings_um: float = Field(
        8.0,
        ge=0,
        description="light in the gaps within about this distance, um, is haze of neighbours and taken off; "
        "0: none is",
    )
    spill: float = Field(
        0.02,
        ge=0,
        le=1,
        description="share of the light around a cell, within surroundings_um, that may shine into it unseen",
    )
    bleed_error: float = Field(
        0.15,
        ge=0,
        le=1,
        description="how far bleed-through may be off, share of each coefficient: detector gains drift "
        "by some 10 %",
    )
    nonnegative: bool = Field(
        False,
        description="no colour below 0 after unmixing; off by default: what noise puts below 0 tells how "
        "large noise is, and averages are right only with it",
    )
    doublet_distance: float = Field(
        0.25, gt=0, description="distance between the colour fractions of two halves that makes a doublet"
    )
