"""Time-lapse: cells linked over frames by place and colour, divisions found."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from rgbtrack.link.clones import track_clones, track_signatures
    from rgbtrack.link.link import link_cells
    from rgbtrack.link.params import LinkParams

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clones": ["track_clones", "track_signatures"],
        "link": ["link_cells"],
        "params": ["LinkParams"],
    },
)

__all__ = ["LinkParams", "link_cells", "track_clones", "track_signatures"]
