"""Settings of the report."""

from pydantic import Field

from rgbtrack.params import Params


class ReportParams(Params):
    """What the report shows."""

    title: str = Field("", description="title of the report; the experiment's name where empty")
    max_images: int = Field(
        24, ge=0, description="images shown as pictures when there are more than 60; the table names all"
    )
    picture_px: int = Field(400, ge=64, le=640, description="longest side of a picture in the report, pixels")
    max_clones: int = Field(50, ge=1, description="rows of the clone table; clones.csv holds all")
