"""One image of a review as layers: channels, outlines of its cells in any colours, tracks."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_rgbtrack.layers import UNASSIGNED, LayerData, drop_singletons, geometry, picture_layers
from napari_rgbtrack.painted import Painted
from napari_rgbtrack.state import Review
from napari_rgbtrack.tracks import tracks_layer
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import labels_file, read_labels
from rgbtrack.plot import clone_colours
from rgbtrack.tables import markers_of

CELLS = "cells"
FAINT = 0.25
"""Opacity of cells that are not chosen, where some are."""
ROOM = 256
"""Colours kept for cells that are painted anew, which are white until they are measured."""
IN_MEMORY = 2**28
"""Pixels of a channel that are read at once: lazily, each look at them would read the file again."""
MOST = 2**16 - 1 - ROOM
"""Cells of a frame that napari's fast colours can tell apart."""


@dataclass(frozen=True, eq=False)
class Scene:
    """What is shown of an image.

    Attributes
    ----------
    image_id
        Which image.
    pictures
        Layers of its channels.
    labels
        Outlines, (t, z, y, x), of 16 bits where they have room there: napari colours those at once.
    settings
        Scale, units and names of the axes.
    trouble
        What could not be shown, "" for nothing.
    """

    image_id: str
    pictures: tuple[LayerData, ...]
    labels: NDArray[Any]
    settings: Mapping[str, Any]
    trouble: str

    @property
    def pixel_um(self) -> float | None:
        """Size of a pixel, None where it is not known."""
        return float(self.settings["scale"][-1]) if "um" in self.settings["units"] else None

    @property
    def is_large(self) -> bool:
        """Whether a frame has more cells than napari can give colours of their own."""
        return self.labels.dtype.itemsize > 2

    @cached_property
    def highest(self) -> int:
        """The largest label."""
        return int(self.labels.max(initial=0))

    def with_labels(self, labels: NDArray[Any]) -> "Scene":
        """The same with other outlines."""
        return replace(self, labels=narrow(labels))


def load_scene(review: Review, image_id: str) -> Scene:
    """Read an image and its outlines.

    Raises
    ------
    DataError
        If there are no outlines, or they are not those of the table.
    """
    if image_id not in review.image_ids:
        raise DataError(
            f"no processed image is named {image_id!r}; there are {', '.join(review.image_ids[:20])}"
        )
    labels = review.labels.get(image_id)
    if labels is None:
        labels = read_labels(labels_file(review.results / "labels", image_id))
    _load_units()
    own = review.cells["image_id"].astype("str").eq(image_id)
    _check(labels, review.cells[own], image_id)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RgbtrackWarning)
        pictures = [
            (np.asarray(data) if np.prod(np.shape(data)) < IN_MEMORY else data, made, kind)
            for data, made, kind in picture_layers(review.results, dict(review.run), image_id, labels.shape)
        ]
    trouble = "; ".join(str(item.message) for item in caught if issubclass(item.category, RgbtrackWarning))
    settings = geometry(review.run["images"][image_id], labels.shape)
    return Scene(image_id, tuple(pictures), narrow(labels), settings, trouble)


def cell_layer(scene: Scene) -> LayerData:
    """Layer of the outlines, to be coloured by `cell_colours`; of a large image, by `colour_groups`."""
    labels = drop_singletons(scene.labels)
    # a copy: what is painted must not change what it is compared with
    data = Painted(labels).pyramid() if scene.is_large else labels.copy()
    return data, {**scene.settings, "name": CELLS, "opacity": 0.8, "multiscale": scene.is_large}, "labels"


def cell_colours(
    numbers: NDArray[Any], rgb: NDArray[Any], chosen: NDArray[np.bool_], highest: int
) -> NDArray[np.float32]:
    """Colour of each label, (n, 4): cells that are not chosen are faint where some are.

    Parameters
    ----------
    numbers, rgb, chosen
        Number and colour of each cell of a frame, and whether it is chosen.
    highest
        The largest label.
    """
    colours = np.ones((min(highest + ROOM, 2**16 - 1) + 1, 4), np.float32)
    colours[0] = 0
    colours[numbers, :3] = rgb
    if chosen.any():
        colours[:, 3] = FAINT
        colours[numbers[chosen], 3] = 1
    return colours


def colour_groups(
    numbers: NDArray[Any], rgb: NDArray[Any], chosen: NDArray[np.bool_], highest: int
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Number of the colour of each label of a large frame, and the colours, (n, 4), shared by cells.

    Parameters as for `cell_colours`.
    """
    steps = np.round(rgb * 31).astype(np.int32) @ np.array((1024, 32, 1), np.int32)
    codes = 2 * steps + (chosen | ~chosen.any())
    one_of = np.full(2**16, -1)
    one_of[codes] = np.arange(len(codes))  # a cell of each colour
    codes_seen = np.flatnonzero(one_of >= 0)
    colours = np.zeros((len(codes_seen) + 1, 4), np.float32)
    colours[1:, :3] = rgb[one_of[codes_seen]]
    colours[1:, 3] = np.where(codes_seen % 2, 1, FAINT)
    groups = np.zeros(highest + 1, np.uint16)
    groups[numbers] = np.cumsum(one_of >= 0)[codes]
    return groups, colours


def track_layer(review: Review, scene: Scene) -> LayerData | None:
    """Layer of the tracks of an image, coloured by clone; None where there are none."""
    cells = review.cells
    if "track" not in cells.columns:
        return None
    own = (cells["image_id"].astype("str") == scene.image_id) & cells["track"].notna()
    if not own.any():
        return None
    scale = dict(zip(scene.settings["axis_labels"], scene.settings["scale"], strict=True))
    data, settings, kind = tracks_layer(
        cells[own],
        pixel_size_um=scale["x"],
        z_step_um=scale.get("z"),
        settings={key: scene.settings[key] for key in ("scale", "units", "axis_labels")},
    )
    if "clone" in settings["features"]:
        clones = review.clones[["clone", "n_cells", *markers_of(cells)]]
        settings = {**settings, "colormaps_dict": {"clone": CloneColours(clone_colours(clones))}}
    return data, settings, kind


class CloneColours:
    """Colours of clones for a tracks layer, which asks by the number; grey for none."""

    def __init__(self, by_clone: Mapping[int, Any]) -> None:
        self._by_clone = np.full((max(by_clone, default=0) + 2, 4), UNASSIGNED, np.float32)
        for clone, rgb in by_clone.items():
            self._by_clone[clone, :3] = rgb

    def map(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """Colour of each clone number, (n, 4)."""
        number = np.asarray(numbers).astype(np.int64)
        known = (number >= 0) & (number < len(self._by_clone))
        return self._by_clone[np.where(known, number, len(self._by_clone) - 1)]


def narrow(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels of 16 bits where all have room there."""
    return labels.astype(np.uint16) if labels.max(initial=0) <= MOST else labels


def _load_units() -> None:
    """Have napari's units read here, in the thread: the first layer waits for them a second."""
    import pint

    pint.application_registry.um  # noqa: B018


def _check(labels: NDArray[Any], cells: pd.DataFrame, image_id: str) -> None:
    """Refuse outlines of which the table knows another number of cells."""
    frames = cells["frame"].to_numpy(np.int64)
    if len(frames) and frames.max() >= len(labels):
        raise DataError(
            f"{image_id}: the table has cells in frame {frames.max()}, its labels have {len(labels)} "
            f"frame{'s' * (len(labels) > 1)}: they are not of one run: run it again"
        )
    for t, frame in enumerate(labels):
        is_there = np.zeros(int(frame.max(initial=0)) + 1, bool)
        is_there[frame] = True
        there = np.flatnonzero(is_there[1:]) + 1
        told = np.sort(cells["cell"].to_numpy(np.int64)[frames == t])
        if not np.array_equal(there, told):
            lost = len(np.setxor1d(there, told))
            raise DataError(
                f"{image_id}: {lost:,} cells of frame {t} are in its labels but not in the table, or the "
                f"other way round: they are not of one run: run it again"
            )
