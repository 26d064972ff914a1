"""Colours of the cells: by clone, by their own colour, or by any column."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_rgbtrack.columns import column_words, is_skewed, number_columns, numbers_of
from rgbtrack.errors import DataError
from rgbtrack.plot import clone_colours
from rgbtrack.plot.colours import HUES, RGB, UNASSIGNED, marker_hues, mixed_colours
from rgbtrack.tables import CELLS, markers_of

Floats = NDArray[np.float32]

CLONE = "clone"
SAFE = "clone (colour-blind safe)"
MEAN = "mean colour"
ON_DARK = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
"""Okabe and Ito's colours, with yellow for black: cells lie on a dark ground."""
TIERS = ((0.0, 0.0), (0.4, 1.0), (0.5, 0.0))
"""How much of what (1 white, 0 black) is mixed into each round of the colours."""
MOST_WORDS = len(ON_DARK) * len(TIERS)
COLORMAP = "viridis"


class Entry(NamedTuple):
    """One line of a legend."""

    label: str
    rgb: RGB
    n_cells: int | None
    """None where the line explains a colour that cells mix."""


class Scale(NamedTuple):
    """What the colours of a number mean."""

    low: float
    high: float
    label: str
    colormap: str
    log: bool


@dataclass(frozen=True)
class Colouring:
    """Colours of some cells, and what they mean.

    Attributes
    ----------
    by
        What was asked for.
    rgb
        Shape (n, 3), each 0 to 1, in the order of the cells.
    legend
        Lines for categories, a scale for numbers.
    group
        Line of the legend of each cell; None where cells do not belong to lines.
    """

    by: str
    rgb: Floats
    legend: tuple[Entry, ...] | Scale
    group: NDArray[np.intp] | None = None

    def of(self, rows: NDArray[Any]) -> "Colouring":
        """Colouring of some of the cells, by mask or number; lines without a cell are dropped."""
        if self.group is None or isinstance(self.legend, Scale):
            return replace(self, rgb=self.rgb[rows])
        labels = [entry.label for entry in self.legend]
        return _grouped(self.by, labels, [entry.rgb for entry in self.legend], self.group[rows])


def colour_choices(cells: pd.DataFrame) -> list[str]:
    """Return what cells can be coloured by, as `colour_cells` takes it, the most wanted first."""
    first = [
        (CLONE, "clone" in cells.columns),
        (SAFE, "clone" in cells.columns),
        (MEAN, bool(markers_of(cells))),
        ("clone_probability", "clone_probability" in cells.columns),
    ]
    columns = set(number_columns(cells))
    columns |= {str(name) for name in cells.columns if _is_flag(cells[name]) or _is_short(cells[name])}
    chosen = [name for name, there in first if there]
    return chosen + [str(name) for name in cells.columns if name in columns and name not in chosen]


def colour_cells(cells: pd.DataFrame, by: str, clones: pd.DataFrame | None = None) -> Colouring:
    """Colour cells by something.

    Parameters
    ----------
    cells
        Any cells; see `rgbtrack.tables.CELLS`.
    by
        One of `colour_choices`.
    clones
        The clone table, for colours by clone; by default the mean of each clone's cells is used.

    Returns
    -------
    colouring
        Grey where the value is missing.

    Raises
    ------
    DataError
        If the cells lack what is needed, or hold too many words to tell apart.
    """
    if by in (CLONE, SAFE) or _is_clone(by, cells):
        return _by_clone(cells, clones, by)
    if by == MEAN:
        return _by_mean(cells)
    if by not in cells.columns:
        raise DataError(f"cells cannot be coloured by {by!r}; choose of {', '.join(colour_choices(cells))}")
    if _is_flag(cells[by]):
        return _by_flag(cells[by], by)
    if pd.api.types.is_numeric_dtype(cells[by]) or not cells[by].notna().any():
        return _by_number(cells, by)
    return _by_word(cells[by], by)


def legend_words(colouring: Colouring) -> str:
    """What the colours mean, in a line or two of rich text."""
    legend = colouring.legend
    if isinstance(legend, Scale):
        blocks = "".join(_block(rgb) for rgb in _ramp()[:256:16])
        told = f"{legend.label}: {legend.low:,.4g} {blocks} {legend.high:,.4g}"
        return told + (", logarithmic" if legend.log else "") + f"; {_block(UNASSIGNED)} missing"
    counts = ("" if entry.n_cells is None else f" {entry.n_cells:,}" for entry in legend)
    return ", ".join(
        f"{_block(entry.rgb)} {html.escape(entry.label)}{count}"
        for entry, count in zip(legend, counts, strict=True)
    )


def _block(rgb: Any) -> str:
    return f'<span style="color:{mpl.colors.to_hex([float(part) for part in rgb])}">\u2588</span>'


def tiered(n: int) -> list[RGB]:
    """Colours that colour-blind readers tell apart on a dark ground, in rounds of their own lightness."""
    base = [mpl.colors.to_rgb(colour) for colour in ON_DARK]
    colours = []
    for k in range(n):
        part, ground = TIERS[k // len(base) % len(TIERS)]
        r, g, b = (part * ground + (1 - part) * light for light in base[k % len(base)])
        colours.append((r, g, b))
    return colours


def _by_clone(cells: pd.DataFrame, clones: pd.DataFrame | None, by: str) -> Colouring:
    number = numbers_of(cells, "clone" if by == SAFE else by)
    if clones is None:
        clones = _mean_of_clones(cells, number)
    known = clones["clone"].to_numpy(np.int64)
    if by == SAFE:
        size = clones["n_cells"] if "n_cells" in clones.columns else -clones["clone"]
        rank = np.argsort(np.argsort(-size.to_numpy(float), kind="stable"))
        safe = tiered(len(clones))
        paint = {int(clone): safe[int(k)] for clone, k in zip(known, rank, strict=True)}
    else:
        paint = clone_colours(clones, markers_of(cells) or None) if len(clones) else {}
    order = np.sort(known)
    place = np.minimum(np.searchsorted(order, np.nan_to_num(number, nan=-1)), max(len(order) - 1, 0))
    found = order[place] == number if len(order) else np.zeros(len(number), bool)
    group = np.where(found, place, np.where(np.isnan(number), len(order), len(order) + 1))
    names = _clone_names(clones)
    labels = [*(names[int(clone)] for clone in order), "unassigned", "not in the clone table"]
    return _grouped(by, labels, [*(paint[int(clone)] for clone in order), UNASSIGNED, UNASSIGNED], group)


def _is_clone(by: str, cells: pd.DataFrame) -> bool:
    """Whether a column holds clones that were called in another way."""
    return by.endswith("_clone") and by in cells.columns and pd.api.types.is_numeric_dtype(cells[by])


def _mean_of_clones(cells: pd.DataFrame, number: NDArray[np.float64]) -> pd.DataFrame:
    clones, group = np.unique(number[np.isfinite(number)].astype(np.int64), return_inverse=True)
    size = np.bincount(group, minlength=len(clones))
    light = {name: numbers_of(cells, name)[np.isfinite(number)] for name in markers_of(cells)}
    means = {
        name: np.bincount(group, np.nan_to_num(values), minlength=len(clones)) / size
        for name, values in light.items()
    }
    return pd.DataFrame({"clone": clones, "n_cells": size, **means})


def _clone_names(clones: pd.DataFrame) -> dict[int, str]:
    """Label of each clone: its number, and the name that a person gave it."""
    given = clones["clone_name"] if "clone_name" in clones.columns else pd.Series(pd.NA, index=clones.index)
    return {
        int(clone): f"{int(clone)}" + ("" if pd.isna(name) or not str(name) else f" {name}")
        for clone, name in zip(clones["clone"], given, strict=True)
    }


def _by_mean(cells: pd.DataFrame) -> Colouring:
    markers = markers_of(cells)
    if not markers:
        raise DataError(
            "cells have no colour of their own: a marker is a column with its standard error beside it"
        )
    CELLS.check(cells, need=list(markers))
    light = np.array([numbers_of(cells, name) for name in markers], np.float32).T
    key = tuple(Entry(name, HUES[hue], None) for name, hue in zip(markers, marker_hues(markers), strict=True))
    return Colouring(MEAN, mixed_colours(light, markers).astype(np.float32), key)


def _by_number(cells: pd.DataFrame, by: str) -> Colouring:
    values = numbers_of(cells, by)
    known = np.isfinite(values)
    log = False
    if by.endswith(("_probability", "_fraction")):
        low, high = 0.0, 1.0
    elif known.any():
        low, high = (float(limit) for limit in np.quantile(values[known], (0.01, 0.99)))
        log = is_skewed(values)
    else:
        low, high = 0.0, 1.0
    high = high if high > low else low + 1
    scaled = np.clip(values, low, high)
    scaled = np.log(scaled / low) / np.log(high / low) if log else (scaled - low) / (high - low)
    step = np.where(known, np.nan_to_num(255 * scaled).round(), 256).astype(np.intp)
    return Colouring(by, _ramp()[step], Scale(low, high, column_words(by, cells), COLORMAP, log))


@cache
def _ramp() -> Floats:
    """256 colours, and grey for what is missing."""
    colours = mpl.colormaps[COLORMAP](np.linspace(0, 1, 256))[:, :3]
    return np.vstack([colours, UNASSIGNED]).astype(np.float32)


def _by_flag(values: pd.Series, by: str) -> Colouring:
    group = np.where(values.isna(), 2, values.astype("boolean").fillna(value=False).to_numpy(int))
    return _grouped(by, ["no", "yes", "missing"], [*tiered(2)[::-1], UNASSIGNED], group)


def _by_word(values: pd.Series, by: str) -> Colouring:
    group, found = pd.factorize(values)
    words = [str(word) for word in found]
    if len(words) > MOST_WORDS:
        raise DataError(
            f"column {by} holds {len(words)} different words, and colours tell {MOST_WORDS} apart: "
            f"choose another column"
        )
    order = sorted(range(len(words)), key=lambda k: _in_order(words[k]))
    rank = np.append(np.argsort(order), len(words)).astype(np.intp)  # the last is for missing ones, -1
    return _grouped(
        by, [*(words[k] for k in order), "missing"], [*tiered(len(words)), UNASSIGNED], rank[group]
    )


def _in_order(word: str) -> list[Any]:
    """Sort key that puts d7 before d14."""
    return [(part.isdigit(), int(part) if part.isdigit() else part) for part in re.split(r"(\d+)", word)]


def _grouped(by: str, labels: Sequence[str], colours: Sequence[RGB], group: NDArray[Any]) -> Colouring:
    """Colouring by lines of a legend; those without a cell are dropped."""
    count = np.bincount(group, minlength=len(labels))
    kept = np.flatnonzero(count).tolist()
    place = np.zeros(len(labels), np.intp)
    place[kept] = np.arange(len(kept))
    legend = tuple(Entry(labels[k], colours[k], int(count[k])) for k in kept)
    rgb = np.array(colours, np.float32).reshape(-1, 3)[group]
    return Colouring(by, rgb, legend, place[group])


def _is_flag(values: pd.Series) -> bool:
    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) == "boolean"
    return pd.api.types.is_bool_dtype(values)


def _is_short(values: pd.Series) -> bool:
    """Whether a column holds words, few enough to be told apart by colour."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return False
    # most long columns show themselves at once
    return 0 < values.iloc[:: max(1, len(values) // 1000)].nunique() <= MOST_WORDS and (
        0 < values.nunique() <= MOST_WORDS
    )
