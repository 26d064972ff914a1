"""Settings of motility: one declaration of each."""

from pydantic import Field

from rgbtrack.params import Params


class MotilityParams(Params):
    """How movement and division are measured along tracks."""

    frame_interval_h: float | None = Field(
        None,
        gt=0,
        description="time between frames, h; None: from the column time_h, else the column frame_interval_h",
    )
    control: str | None = Field(
        None, description="treatment that others are compared with; None: the first in alphabetical order"
    )
    longest_lag: float = Field(
        0.5,
        gt=0,
        le=1,
        description="longest lag of the mean squared displacement that is fitted, as a share of the longest "
        "track: beyond it few pairs are independent",
    )
    max_lags: int = Field(40, ge=4, description="lags of the mean squared displacement, in frame intervals")
    border_um: float | None = Field(
        None,
        ge=0,
        description="a track that ends this near the outermost cells of its movie has left the image, um; "
        "None: the 95th percentile of a step",
    )
    min_tracks: int = Field(
        5, ge=1, description="tracks of at least 3 cells below which Fürth's formula is not fitted"
    )
    level: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals")
