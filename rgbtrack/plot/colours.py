"""Colours: what each clone looks like, and what everything else does."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.tables import CLONES

RGB = tuple[float, float, float]

HUES: dict[str, RGB] = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0.35, 1),
    "yellow": (1, 1, 0),
    "magenta": (1, 0, 1),
    "cyan": (0, 1, 1),
    "gray": (1, 1, 1),
}
"""Additive display colours; pure blue would be too dark to see."""
UNASSIGNED: RGB = (0.45, 0.45, 0.47)
OTHER: RGB = (0.82, 0.82, 0.84)
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart by colour-blind readers: for treatments and all else whose colour is not the data."""

_NOT_MARKERS = {column.name for column in CLONES.columns} | {"subject"}


def marker_hues(markers: Sequence[str]) -> list[str]:
    """Display hue of each marker: its own name where that is a hue, else the first that is free.

    >>> marker_hues(["green", "red", "far_red"])
    ['green', 'red', 'blue']
    """
    free = [hue for hue in HUES if hue not in markers]
    return [name if name in HUES else free.pop(0) for name in markers]


def clone_markers(clones: pd.DataFrame, markers: Sequence[str] | None = None) -> list[str]:
    """Markers of a clone table: those given, else its number columns with no other meaning."""
    if markers is not None:
        missing = [name for name in markers if name not in clones.columns]
        if missing:
            raise DataError(
                f"clones table lacks the mean of marker {', '.join(missing)}; "
                f"found {', '.join(map(str, clones.columns))}: give the markers that it holds"
            )
        return list(markers)
    return [
        str(name)
        for name in clones.columns
        if name not in _NOT_MARKERS
        and pd.api.types.is_numeric_dtype(clones[name])
        and not pd.api.types.is_bool_dtype(clones[name])
    ]


def clone_colours(clones: pd.DataFrame, markers: Sequence[str] | None = None) -> dict[int, RGB]:
    """Colour of each clone on a screen: its markers' mean, each marker on its own scale, brightened.

    Parameters
    ----------
    clones
        One row per clone, with the mean of each marker; see `rgbtrack.tables.CLONES`.
    markers
        Names of the markers, in the order of red, green, blue, yellow, magenta, cyan, white; by default
        the clone table's own, in column order.

    Returns
    -------
    colours
        Clone to (red, green, blue), each 0 to 1. Dim clones are brightened, yet stay darker than bright ones:
        clones of one marker differ in nothing else.

    Raises
    ------
    DataError
        If there are no clone numbers or no marker means.

    Examples
    --------
    >>> clones = pd.DataFrame({"clone": [1, 2], "red": [90.0, 0.0], "green": [0.0, 50.0], "blue": [0.0, 0.0]})
    >>> clone_colours(clones)
    {1: (1.0, 0.0, 0.0), 2: (0.0, 1.0, 0.0)}
    """
    CLONES.check(clones, need=["clone"])
    markers = clone_markers(clones, markers)
    if clones.empty:
        return {}
    if not markers:
        raise DataError(
            f"clones table holds no marker means; found {', '.join(map(str, clones.columns))}: "
            f"add a column per marker"
        )
    shown = mixed_colours(clones[markers].to_numpy(dtype=float), markers)
    return {
        int(clone): (float(r), float(g), float(b))
        for clone, (r, g, b) in zip(clones["clone"], shown.round(4), strict=True)
    }


def mixed_colours(light: NDArray[np.floating], markers: Sequence[str]) -> NDArray[np.floating]:
    """Colours on a screen of some readings, each marker on the scale of all of them, brightened.

    Parameters
    ----------
    light
        One row per clone or cell, one column per marker.
    markers
        Names of the markers: each has a hue, see `marker_hues`.

    Returns
    -------
    colours
        Shape (n, 3), each 0 to 1; grey where nothing was read.
    """
    if not len(light):
        return np.empty((0, 3), light.dtype)
    # a row per marker, then per screen colour: many cells are gone over fast
    light = np.clip(np.nan_to_num(np.ascontiguousarray(light.T)), 0, None)
    some = slice(None, None, 1 + light.shape[1] // 50_000)  # enough to know the scale of many
    # one outstanding clone or cell must not darken its marker in all others
    top = np.quantile(light[:, some], 0.9, axis=1, method="higher", keepdims=True).astype(light.dtype)
    shares = np.minimum(light / np.where(top > 0, top, 1), 1) ** 0.7
    picture = np.asarray([HUES[hue] for hue in marker_hues(markers)], light.dtype).T @ shares
    peak = picture.max(axis=0)
    value = 0.5 + 0.5 * np.minimum(peak / max(float(np.median(peak[some])), 1e-12), 1)
    picture *= value / np.where(peak > 0, peak, 1)
    picture[:, peak <= 0] = np.asarray(UNASSIGNED, light.dtype)[:, None]
    return picture.T


def row_colours(clone: pd.Series, colours: dict[int, RGB]) -> NDArray[np.float64]:
    """Colour of each cell by its clone, shape (n, 3); grey where it has none."""
    numbers = clone.to_numpy(dtype=float, na_value=np.nan)
    known = np.array(sorted(colours), dtype=float)
    table = np.array([*(colours[int(n)] for n in known), UNASSIGNED])
    place = np.searchsorted(known, np.nan_to_num(numbers, nan=-1))
    place = np.minimum(place, max(len(known) - 1, 0))
    found = known[place] == numbers if len(known) else np.zeros(len(numbers), dtype=bool)
    return np.asarray(table[np.where(found, place, len(known))])


def ink_on(colour: RGB) -> str:
    """Black or white, whichever is read more easily on a colour."""
    linear = np.asarray(colour) ** 2.2
    return "black" if linear @ (0.2126, 0.7152, 0.0722) > 0.18 else "white"


def hex_of(colour: RGB) -> str:
    """Return the colour as CSS has it: ``#rrggbb``."""
    return "#" + "".join(f"{round(255 * float(np.clip(part, 0, 1))):02x}" for part in colour)
