"""Time-lapse: cells linked over frames by place and colour, divisions found, motility measured."""

from rgbtrack.link.describe import describe_tracks
from rgbtrack.link.motility import clone_motility, mean_squared_displacement, poisson_interval
from rgbtrack.link.motility_params import MotilityParams
from rgbtrack.link.persistence import furth
from rgbtrack.link.treatments import motility_by_treatment

__all__ = [
    "MotilityParams",
    "clone_motility",
    "describe_tracks",
    "furth",
    "mean_squared_displacement",
    "motility_by_treatment",
    "poisson_interval",
]
"""Time-lapse: cells linked over frames by place and colour, divisions found."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.link.link import link_cells
    from rgbtrack.link.params import LinkParams

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"link": ["link_cells"], "params": ["LinkParams"]}
)

__all__ = ["LinkParams", "link_cells"]
