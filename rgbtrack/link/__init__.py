"""Time-lapse: cells linked over frames by place and colour, divisions found, motility measured."""

from rgbtrack.link.clones import track_clones, track_signatures
from rgbtrack.link.describe import describe_tracks
from rgbtrack.link.link import link_cells
from rgbtrack.link.motility import clone_motility, mean_squared_displacement, poisson_interval
from rgbtrack.link.motility_params import MotilityParams
from rgbtrack.link.params import LinkParams
from rgbtrack.link.persistence import furth
from rgbtrack.link.treatments import motility_by_treatment

__all__ = [
    "LinkParams",
    "MotilityParams",
    "clone_motility",
    "describe_tracks",
    "furth",
    "link_cells",
    "mean_squared_displacement",
    "motility_by_treatment",
    "poisson_interval",
    "track_clones",
    "track_signatures",
]
