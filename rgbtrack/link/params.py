"""Settings of linking: one declaration of each."""

from pydantic import Field

from rgbtrack.params import Params


class LinkParams(Params):
    """How cells are linked over frames. Scales are learnt from the movie; these say what is looked for."""

    colour: bool = Field(True, description="whether colour decides along with place and size")
    markers: tuple[str, ...] | None = Field(
        None, description="columns that hold colour; None: those with a standard error, else red, green, blue"
    )
    size: bool = Field(True, description="whether area_um2 or volume_um3 decides along with place")
    divisions: bool = Field(True, description="whether divisions are looked for")
    max_gap: int = Field(
        2, ge=0, le=20, description="frames in a row in which a cell may be missed and still be found again"
    )
    sweeps: int = Field(
        2, ge=1, le=20, description="how often all links are reconsidered, each time with scales learnt anew"
    )
