"""Segmentation methods by name: our own, Cellpose, StarDist, and those of installed plugins."""

from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError, ParamError, RgbtrackError
from rgbtrack.segment.params import OURS, SegmentParams
from rgbtrack.stack import Stack

Labels = NDArray[np.uint32]

GROUP = "rgbtrack.segmenters"
"""Entry point group in which other packages offer segmentation methods."""

BUILT_IN = {
    OURS: "rgbtrack.segment.cells:segment_cells",
    "cellpose": "rgbtrack.segment.cellpose:segment_with_cellpose",
    "stardist": "rgbtrack.segment.stardist:segment_with_stardist",
}
"""Method to the place of its function."""


class Segmenter(Protocol):
    """A segmentation method: any callable of this form.

    Offered by a package under the entry point group ``rgbtrack.segmenters``; see ``docs/segmenters.md``.
    """

    def __call__(self, stack: Stack, params: SegmentParams) -> NDArray[Any]:
        """Find cells.

        Parameters
        ----------
        stack
            Corrected stack of one or more frames, pixels (t, c, z, y, x).
        params
            The ``[segment]`` section; a method uses what it has a use for.

        Returns
        -------
        labels
            Whole numbers, shape (t, z, y, x), 0 is background, any other number a cell of its frame.
        """
        ...


def find_segmenter(name: str) -> Segmenter:
    """Find a segmentation method by name.

    Parameters
    ----------
    name
        "rgbtrack", "cellpose", "stardist", or the name of an entry point in the group
        ``rgbtrack.segmenters``.

    Returns
    -------
    segmenter
        The method, loaded.

    Raises
    ------
    ParamError
        If there is no such method, its library is not installed, or the plugin cannot be loaded.
    """
    if name in BUILT_IN:
        if name != OURS and find_spec(name) is None:
            raise ParamError(f"segmentation method {name!r} is not installed: pip install 'rgbtrack[{name}]'")
        module, function = BUILT_IN[name].split(":")
        return cast(Segmenter, getattr(import_module(module), function))
    installed = entry_points(group=GROUP)
    found = {point.value: point for point in installed if point.name == name}
    if not found:
        raise ParamError(_unknown(name, sorted({point.name for point in installed} - set(BUILT_IN))))
    if len(found) > 1:
        packages = " and ".join(sorted(_package(point) for point in found.values()))
        raise ParamError(f"segmentation method {name!r} is offered by {packages}: uninstall all but one")
    (point,) = found.values()
    try:
        segmenter = point.load()
    except Exception as error:  # whatever a foreign module does when it is imported
        raise ParamError(
            f"segmentation method {name!r} of package {_package(point)} cannot be loaded from "
            f"{point.value} ({type(error).__name__}: {error}): install what it needs, or reinstall it"
        ) from error
    if not callable(segmenter):
        raise ParamError(
            f"segmentation method {name!r} of package {_package(point)}: {point.value} is a "
            f"{type(segmenter).__name__}, not a function: tell its authors"
        )
    return cast(Segmenter, segmenter)


def check_method(params: SegmentParams) -> None:
    """Raise what would stop every image: no such method, not installed, no such model file."""
    find_segmenter(params.method)
    if params.model is not None and looks_like_path(params.model) and not Path(params.model).exists():
        raise ParamError(
            f"[segment] model: {params.model}: no such file or folder: give the path of a model, or its name"
        )


def looks_like_path(model: str) -> bool:
    """Whether a model is named by a path and not by a name."""
    return "/" in model or "\\" in model


def run_method(stack: Stack, params: SegmentParams) -> Labels:
    """Find cells by the method that `params` names, and check what it returns.

    Returns
    -------
    labels
        Shape (t, z, y, x), cells from 1 without gaps in each frame.

    Raises
    ------
    ParamError
        If there is no such method.
    DataError
        If the method fails, or returns something else than labels of this stack.
    """
    segmenter = find_segmenter(params.method)
    at = f"{stack.source}: segmentation method {params.method!r}"
    try:
        found = np.asarray(segmenter(stack, params))
    except RgbtrackError:
        raise
    except Exception as error:  # whatever a foreign method raises
        raise DataError(f"{at} failed: {type(error).__name__}: {error}") from error
    shape = (stack.n_frames, *stack.pixels.shape[2:])
    if found.shape != shape:
        raise DataError(
            f"{at} returned shape {found.shape}, the image has (t, z, y, x) = {shape}: "
            f"it should give one label for each pixel"
        )
    whole = found.dtype.kind in "iu" or (
        found.dtype.kind == "f" and bool(np.isfinite(found).all() and (found == np.round(found)).all())
    )
    if not whole:
        raise DataError(f"{at} returned {found.dtype}, not whole numbers: it should number each cell")
    if found.size and found.min() < 0:
        raise DataError(f"{at} returned {found.min()}: labels are 0 for background and positive for cells")
    return np.stack([_renumber(frame) for frame in found]).astype(np.uint32)


def method_diameter(labels: Labels, stack: Stack) -> float:
    """Median diameter, um, of discs (in z-stacks spheres) of the cells' size; NaN where there is no cell."""
    sizes = np.concatenate([np.bincount(frame.ravel())[1:] for frame in labels])
    if not len(sizes):
        return float("nan")
    pixel_um = stack.pixel_size_um or 1.0
    if labels.shape[1] == 1:
        return float(np.median(2 * np.sqrt(sizes / np.pi)) * pixel_um)
    volume = sizes * pixel_um**2 * (stack.z_step_um or pixel_um)
    return float(np.median(np.cbrt(6 * volume / np.pi)))


def load_model(method: str, name: str, load: Callable[[], Any]) -> Any:
    """Call what loads a model; whatever goes wrong becomes advice."""
    try:
        return load()
    except RgbtrackError:
        raise
    except Exception as error:  # no network, a broken file, another version: all kinds
        raise DataError(
            f"the model {name!r} of {method} cannot be loaded ({type(error).__name__}: {error}): "
            f'without a network, give a file: [segment] model = "path"'
        ) from error


def _renumber(frame: NDArray[Any]) -> NDArray[Any]:
    """Cells of one frame from 1, in the order of their numbers."""
    numbers, place = np.unique(frame, return_inverse=True)
    new = np.zeros(len(numbers), np.int64)
    new[numbers > 0] = np.arange(1, int((numbers > 0).sum()) + 1)
    return np.asarray(new[place.reshape(frame.shape)])


def _unknown(name: str, plugins: list[str]) -> str:
    choices = [*BUILT_IN, *plugins]
    close = get_close_matches(name.casefold(), choices, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else "give one of these, or install the package that has it"
    installed = ", ".join(map(repr, plugins)) or "none"
    return (
        f"no segmentation method {name!r}: there are {', '.join(map(repr, BUILT_IN))} "
        f"and from plugins: {installed}; {hint}"
    )


def _package(point: EntryPoint) -> str:
    return repr(point.dist.name) if point.dist is not None else "an unknown package"
