"""Bleed-through from single-colour controls: images of cells that carry one protein each."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from rgbtrack.errors import DataError
from rgbtrack.tables import CELLS, errors_of
from rgbtrack.unmix.lines import Array, Line, blocks_of, fit_line
from rgbtrack.unmix.result import BleedThrough

SEEN = 5.0
"""A cell shows a protein where its detector is so many standard errors above 0."""
MIN_CELLS = 20
MAX_SE = 0.05
"""A coefficient known no better than this is no use."""
BLOCKS = 5
SWAPPED = 0.25
CLEAR = 3.0
FLAGS = ("saturated", "doublet", "merged")


def bleed_through_from_controls(tables: Mapping[str, pd.DataFrame], markers: Sequence[str]) -> BleedThrough:
    """Estimate the bleed-through matrix from single-colour controls.

    In the control of protein p the signal of every other detector d is a line on that of its own detector:
    its slope is the element (d, p). Both signals have errors; a background that is not quite gone is the
    line's intercept, one for each image. Cells that are not labelled lie at its foot and do no harm, debris
    and strangers lie off the line and count for nothing, and cells flagged as saturated or as two are left
    out. See `fit_line`.

    Parameters
    ----------
    tables
        Protein (by marker name) to the cells of its control: from `measure_signatures` of a stack without a
        matrix, or any table with ``<marker>_raw`` and ``<marker>_se``, background-free counts of each
        detector and their errors. Of several images in one table, ``image_id`` tells which. Errors that go
        together among neighbours are allowed for where there are ``y_um, x_um``.
    markers
        All markers, in the order wanted.

    Returns
    -------
    found
        The matrix, its standard errors, and the labelled cells that each column rests on.

    Raises
    ------
    DataError
        All that is wrong at once: a control that is missing, of no known protein, without signal, too dim to
        tell, mislabelled (another's detector is the brightest), or two that look alike.

    Notes
    -----
    A slope in counts holds for the detector settings of the controls: image them as the samples. Gains that
    differ by a factor g between two detectors turn their coefficients by g.
    """
    markers = tuple(markers)
    problems = [
        f"no control of {name}: give one image or more for each marker"
        for name in markers
        if name not in tables
    ]
    problems += [
        f"control of {name!r}, which is no marker: the markers are {', '.join(markers)}"
        for name in tables
        if name not in markers
    ]
    if problems:
        raise DataError("\n".join(problems))
    usable = {name: _control_cells(tables[name], name, markers) for name in markers}
    response = np.array([_response(usable[name], markers) for name in markers]).T  # (detectors, proteins)
    strangers = _mislabelled(response, markers)
    problems = list(strangers.values())
    m = len(markers)
    matrix, se, n_cells = np.eye(m), np.zeros((m, m)), {}
    for p, name in enumerate(markers):
        if name in strangers:
            continue
        n_cells[name] = _n_seen(usable[name], name)
        if n_cells[name] < MIN_CELLS:
            problems.append(
                f"control of {name}: {n_cells[name]} of {len(usable[name])} cells stand out of the noise in "
                f"the detector of {name}, {MIN_CELLS} are needed: check the label, or image more or brighter "
                f"cells"
            )
            continue
        for d, other in enumerate(markers):
            if d != p:
                line = _slope(usable[name], name, other)
                matrix[d, p], se[d, p] = max(line.slope, 0.0), line.slope_se
        worst = int(se[:, p].argmax())
        if not se[worst, p] < MAX_SE:
            problems.append(
                f"control of {name}: cells too dim, or too evenly bright, to tell: their share in the "
                f"detector of {markers[worst]} is {matrix[worst, p]:.2f} ± {se[worst, p]:.2f}: image more "
                f"cells, or brighter ones, or unlabelled ones beside them"
            )
    if not problems and np.linalg.cond(matrix) > 100:
        a, b = _alike(matrix)
        problems.append(
            f"controls of {markers[a]} and {markers[b]} look the same to all detectors (the matrix is "
            f"singular): is one image given twice?"
        )
    if problems:
        raise DataError("\n".join(problems))
    off = ~np.eye(m, dtype=bool)
    names = list(markers)
    return BleedThrough(
        pd.DataFrame(matrix, index=names, columns=names),
        pd.DataFrame(se, index=names, columns=names),
        n_cells,
        bool((matrix > CLEAR * se)[off].any()),
        {},
    )


def _control_cells(cells: pd.DataFrame, name: str, markers: tuple[str, ...]) -> pd.DataFrame:
    try:
        CELLS.check(cells, need=[f"{marker}_{end}" for marker in markers for end in ("raw", "se")])
    except DataError as error:
        raise DataError(f"control of {name}: {error}") from error
    return usable_cells(cells, markers)


def usable_cells(cells: pd.DataFrame, markers: tuple[str, ...]) -> pd.DataFrame:
    """Cells that are measured, single and within the detectors' range."""
    bad = np.zeros(len(cells), bool)
    for flag in FLAGS:
        if flag in cells.columns:
            bad |= cells[flag].fillna(False).to_numpy(bool)
    numbers = cells[[f"{marker}_{end}" for marker in markers for end in ("raw", "se")]].to_numpy(float)
    return cells[~bad & np.isfinite(numbers).all(axis=1)]


def _columns(cells: pd.DataFrame, name: str) -> tuple[Array, Array]:
    return cells[f"{name}_raw"].to_numpy(float), errors_of(cells, [name])[:, 0]


def _n_seen(cells: pd.DataFrame, name: str) -> int:
    value, error = _columns(cells, name)
    return int((value > SEEN * error).sum())


def _response(cells: pd.DataFrame, markers: tuple[str, ...]) -> Array:
    """Typical counts of each detector in the cells that show anything, the brighter half; NaN for none."""
    values = cells[[f"{name}_raw" for name in markers]].to_numpy(float)
    errors = errors_of(cells, markers)
    shown = values[(values > SEEN * errors).any(axis=1)]
    if not len(shown):
        return np.full(len(markers), np.nan)
    total = shown.sum(axis=1)
    return np.asarray(np.median(shown[total >= np.median(total)], axis=0))


def _mislabelled(response: Array, markers: tuple[str, ...]) -> dict[str, str]:
    """Controls that are another's: marker to what is wrong.

    Detectors differ in gain, so that the brightest may be another's by right; but no two proteins can each
    be brighter in the other's detector. The product of both leaks is free of gains.
    """
    found = {}
    for p, name in enumerate(markers):
        if not np.isfinite(response[:, p]).all():
            continue
        q = int(response[:, p].argmax())
        if q == p:
            continue
        back = response[p, q] / max(response[q, q], 1e-9)
        there = response[q, p] / max(response[p, p], 1e-9 * response[q, p])
        if not there * back < SWAPPED or response[p, p] <= 0:
            found[name] = (
                f"control of {name} is brightest in the detector of {markers[q]} (median "
                f"{response[q, p]:.0f} counts, in its own {response[p, p]:.0f}): it seems mislabelled"
            )
    return found


def _slope(cells: pd.DataFrame, own: str, other: str) -> Line:
    """Line of another detector on the own one."""
    x, x_se = _columns(cells, own)
    y, y_se = _columns(cells, other)
    image = np.zeros(len(cells), np.int64)
    if "image_id" in cells.columns:
        image = np.unique(cells["image_id"].astype(str), return_inverse=True)[1].astype(np.int64)
    block = np.arange(len(cells))
    if {"y_um", "x_um"} <= set(cells.columns):
        block = blocks_of(image, cells["y_um"].to_numpy(float), cells["x_um"].to_numpy(float), BLOCKS)
    bright = x > np.median(x[x > SEEN * x_se])
    start = float(np.median(y[bright] / x[bright]))
    return fit_line(x, y, x_se**2, y_se**2, image, block, start)


def _alike(matrix: Array) -> tuple[int, int]:
    """The two columns that are most alike."""
    unit = matrix / np.linalg.norm(matrix, axis=0)
    cosine = unit.T @ unit - 2 * np.eye(len(matrix))
    a, b = np.unravel_index(int(cosine.argmax()), cosine.shape)
    return int(min(a, b)), int(max(a, b))
