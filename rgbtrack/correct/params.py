"""Settings of correction."""

from pydantic import Field

from rgbtrack.params import Params


class CorrectParams(Params):
    """What is taken off or divided out before cells are looked for."""

    bleed_through: str = Field(
        "none",
        description="CSV file of the bleed-through matrix (rows detectors, columns proteins), or 'none'",
    )
    flat_field: str = Field(
        "none",
        description="image of even illumination, one plane per marker or one for all, or 'none'",
    )
    background: bool = Field(True, description="take off the local background of each channel")
    background_um: float = Field(
        80.0, gt=0, description="size of the window in which background is looked for, um; several cells wide"
    )
    offset: float | None = Field(
        None, ge=0, description="camera offset, counts; None: from the file, or within the background"
    )
    gain: float | None = Field(
        None,
        gt=0,
        description="detector counts per photo-electron, of one plane; None: from the file or the image",
    )
    read_noise: float | None = Field(
        None, ge=0, description="read noise of one plane, electrons; None: estimated from the image"
    )
