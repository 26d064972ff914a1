"""Results of rgbtrack in napari: the image, its cells and their clones."""

from typing import TYPE_CHECKING

import lazy_loader

if TYPE_CHECKING:
    from napari_rgbtrack.layers import image_layers
    from napari_rgbtrack.review import open_results
    from napari_rgbtrack.tracks import tracks_layer, tracks_table

# the manifest is read at every start of napari: nothing heavy before it is used
__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "layers": ["image_layers"],
        "review": ["open_results"],
        "tracks": ["tracks_layer", "tracks_table"],
    },
)

__all__ = ["image_layers", "open_results", "tracks_layer", "tracks_table"]
