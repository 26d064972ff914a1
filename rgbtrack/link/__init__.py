"""Time-lapse: cells linked over frames by place and colour, divisions found, motility measured."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.link.clones import track_clones, track_signatures
    from rgbtrack.link.describe import describe_tracks
    from rgbtrack.link.link import link_cells
    from rgbtrack.link.motility import clone_motility, mean_squared_displacement, poisson_interval
    from rgbtrack.link.motility_params import MotilityParams
    from rgbtrack.link.params import LinkParams
    from rgbtrack.link.persistence import furth
    from rgbtrack.link.treatments import motility_by_treatment

# settings are read by every command: they must not wait for the compiler
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clones": ["track_clones", "track_signatures"],
        "describe": ["describe_tracks"],
        "link": ["link_cells"],
        "motility": ["clone_motility", "mean_squared_displacement", "poisson_interval"],
        "motility_params": ["MotilityParams"],
        "params": ["LinkParams"],
        "persistence": ["furth"],
        "treatments": ["motility_by_treatment"],
    },
)

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
