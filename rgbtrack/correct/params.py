"""Settings of correction."""

from typing import Literal

from pydantic import Field, field_validator

from rgbtrack.params import Params


class CorrectParams(Params):
    """What is taken off or divided out before cells are looked for.

    "auto" corrects where the images give evidence for it, and leaves them as they are where they do not.
    """

    bleed_through: str = Field(
        "auto",
        description="CSV file of the bleed-through matrix (rows detectors, columns proteins; made by "
        "'rgbtrack controls'), 'auto' to estimate it from the cells as far as these tell it, or 'none'",
        json_schema_extra={"format": "file-path"},
    )
    flat_field: str = Field(
        "auto",
        description="image of even illumination, one plane per marker or one for all; 'auto' to estimate it "
        "from the images of a batch, or 'none'",
        json_schema_extra={"format": "file-path"},
    )
    dark_field: str = Field(
        "none",
        description="image without light, one plane per marker or one for all, or 'none'",
        json_schema_extra={"format": "file-path"},
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
    chromatic_shift: Literal["auto", "none"] = Field(
        "auto",
        description="move channels that lie beside each other back, estimated from the images of a batch",
    )
    attenuation_um: Literal["auto", "none"] | dict[str, float] = Field(
        "auto",
        description="depth at which light has faded to 1/e, um, by marker ({ red = 110.0, blue = 60.0 }), "
        "'auto' to estimate it from the z-stacks of a batch, or 'none'",
    )
    bleaching: Literal["auto", "none"] = Field(
        "auto", description="restore what bleached over the frames of a time series"
    )
    drift: Literal["auto", "none"] = Field(
        "auto", description="find how the stage drifted over the frames of a time series"
    )

    @field_validator("attenuation_um")
    @classmethod
    def _check_lengths(cls, given: str | dict[str, float]) -> str | dict[str, float]:
        wrong = [
            f"{marker} {um:g}"
            for marker, um in dict(given if isinstance(given, dict) else {}).items()
            if um <= 0
        ]
        if wrong:
            raise ValueError(
                f"attenuation_um is {', '.join(wrong)}: the depth at which light has faded to 1/e is more "
                "than 0 um"
            )
        return given
