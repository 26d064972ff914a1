"""StarDist (Schmidt et al., MICCAI 2018; Weigert et al., WACV 2020)."""

from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.segment.methods import load_model
from rgbtrack.segment.noise import marker_strength, noise_units
from rgbtrack.segment.params import SegmentParams
from rgbtrack.stack import NUCLEUS, Stack

DEFAULT = {2: "2D_versatile_fluo", 3: "3D_demo"}
"""Model of 2-D images and of z-stacks."""
TYPICAL_PX = 20.0
"""Cell diameter to which images are scaled for StarDist's own 2-D models."""
TILE = {2: 1024, 3: 192}
"""Longest side that goes through the network at once."""


def segment_with_stardist(stack: Stack, params: SegmentParams) -> NDArray[Any]:
    """Find cells with StarDist.

    The network sees one image, its 1st percentile at 0 and its 99.8th at 1: the nuclear stain where there is
    one, since StarDist's models know nuclei; else the root sum of squares over markers in noise units.

    Parameters
    ----------
    stack
        Corrected stack.
    params
        ``model`` is a name ("2D_versatile_fluo", "3D_demo"), or the path of a model folder. With
        ``diameter_um``, 2-D images are scaled for StarDist's own models so that cells are 20 px wide.

    Returns
    -------
    labels
        Shape (t, z, y, x).

    Raises
    ------
    DataError
        If the model cannot be loaded.
    """
    dimensions = 3 if stack.pixels.shape[2] > 1 else 2
    model, own = _load(params.model, dimensions)
    scale = 1.0
    if params.diameter_um is not None and dimensions == 2 and not own:
        scale = TYPICAL_PX * (stack.pixel_size_um or 1.0) / params.diameter_um
    labels = []
    for t in range(stack.n_frames):
        image = _normalise(_image(stack, t))
        image = image if dimensions == 3 else image[0]
        masks, _ = model.predict_instances(
            image,
            scale=None if scale == 1 else scale,
            n_tiles=tuple(max(1, ceil(n * scale / TILE[dimensions])) for n in image.shape),
            show_tile_progress=False,
        )
        labels.append(np.asarray(masks).reshape(stack.pixels.shape[2:]))
    return np.stack(labels)


def _image(stack: Stack, t: int) -> NDArray[np.float32]:
    """What the network sees of one frame, (z, y, x)."""
    units = noise_units(stack, t)
    if NUCLEUS in stack.channels:
        return np.asarray(units[stack.channels.index(NUCLEUS)])
    return marker_strength(units, stack)


def _normalise(image: NDArray[np.float32]) -> NDArray[np.float32]:
    low, high = np.percentile(image, (1, 99.8))
    return np.asarray((image - low) / max(high - low, 1e-6), np.float32)


@lru_cache(maxsize=1)
def _load(name: str | None, dimensions: int) -> tuple[Any, bool]:
    """The model, and whether it is one's own."""
    from stardist import models

    kind = models.StarDist2D if dimensions == 2 else models.StarDist3D
    name = name or DEFAULT[dimensions]
    folder = Path(name)
    if folder.exists():
        weights = [file for file in folder.glob("*") if file.suffix in (".h5", ".hdf5")]
        if not (folder / "config.json").is_file() or not weights:  # StarDist would go on with random weights
            raise DataError(
                f"{folder}: not a StarDist model: give the folder with config.json and weights (.h5)"
            )
        place = folder.absolute()
        return load_model(
            "StarDist", name, lambda: kind(None, name=place.name, basedir=str(place.parent))
        ), True
    model = load_model("StarDist", name, lambda: kind.from_pretrained(name))
    if model is None:  # what StarDist returns for a name that it does not know
        raise DataError(
            f"StarDist has no {dimensions}-D model {name!r}, and there is no such folder: its own is "
            f'{DEFAULT[dimensions]!r}; of your own, give a folder: [segment] model = "path"'
        )
    return model, False
