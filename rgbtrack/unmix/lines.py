"""A straight line through points with errors in both coordinates, robust to points that are not on it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
TUKEY = 4.685
"""Residuals beyond so many standard deviations count for nothing; 95 % efficient for a Gaussian."""
ROUNDS = 60


@dataclass(frozen=True, eq=False)
class Line:
    """``y = intercept + slope * x``.

    Attributes
    ----------
    slope, slope_se
        The slope and its standard error.
    intercepts
        One per image, shape (g,).
    weight
        What each point counts, 0 to 1, shape (n,).
    """

    slope: float
    slope_se: float
    intercepts: Array
    weight: Array


def fit_line(x: Array, y: Array, x_var: Array, y_var: Array, image: Ints, block: Ints, start: float) -> Line:
    """Fit one slope, and one intercept per image.

    Both coordinates have errors: each point's place on the line is its most probable one given x and y
    (York, Earth and Planetary Science Letters 5 (1969) 320). Points off the line lose their weight by
    Tukey's biweight; the errors need be right up to a factor only, which is read off the residuals. The
    standard error is the sandwich over blocks of points, whose errors may go together (Liang and Zeger,
    Biometrika 73 (1986) 13).

    Parameters
    ----------
    x, y, x_var, y_var
        Coordinates and their variances, shape (n,).
    image
        Image of each point, from 0: an intercept for each, shape (n,).
    block
        Block of each point, from 0, shape (n,).
    start
        Slope to start from; a robust guess.
    """
    n_images = int(image.max()) + 1
    slope = start
    intercepts = np.array([np.median((y - slope * x)[image == g]) for g in range(n_images)])
    design = np.zeros((len(x), 1 + n_images))
    design[np.arange(len(x)), 1 + image] = 1
    for _ in range(ROUNDS):
        total = y_var + slope**2 * x_var
        offset = intercepts[image]
        pull = (y - offset - slope * x) / np.sqrt(total)
        scale = 1.4826 * float(np.median(np.abs(pull - np.median(pull)))) or 1.0
        weight = np.maximum(1 - (pull / (TUKEY * scale)) ** 2, 0) ** 2
        design[:, 0] = (x * y_var + slope * (y - offset) * x_var) / total  # most probable place on the line
        weighted = (weight / total)[:, None] * design
        # x itself, not its most probable place, stands on the other side: errors in x do not flatten
        bread = weighted.T @ np.column_stack([x, design[:, 1:]])
        found = np.linalg.lstsq(bread, weighted.T @ y, rcond=None)[0]
        moved = abs(found[0] - slope)
        slope, intercepts = float(found[0]), found[1:]
        if moved < 1e-7 * (1 + abs(slope)):
            break
    total = y_var + slope**2 * x_var
    residual = y - intercepts[image] - slope * x
    u = residual / (TUKEY * scale * np.sqrt(total))
    # derivative of the biweight's influence, for the bread of the sandwich
    bend = np.where(np.abs(u) < 1, (1 - u**2) * (1 - 5 * u**2), 0)
    bread = design.T @ ((bend / total)[:, None] * design)
    scores = (weight * residual / total)[:, None] * design
    n_blocks = int(block.max()) + 1
    sums = np.zeros((n_blocks, design.shape[1]))
    np.add.at(sums, block, scores)
    inverse = np.linalg.pinv(bread)
    n_used = int(np.count_nonzero(np.bincount(block, weight)))
    small = n_used / max(1, n_used - 2)  # few blocks fit their own residuals
    variance = small * inverse @ (sums.T @ sums) @ inverse
    return Line(slope, float(np.sqrt(max(variance[0, 0], 0))), intercepts, weight)


def blocks_of(image: Ints, y_um: Array, x_um: Array, side: int) -> Ints:
    """Block of each point: each image cut into side by side tiles, numbered from 0."""
    tile = np.zeros(len(image), np.int64)
    for g in np.unique(image):
        here = image == g
        for place in (y_um, x_um):
            low, high = place[here].min(), place[here].max()
            step = np.floor((place[here] - low) / max(high - low, 1e-9) * side).clip(0, side - 1)
            tile[here] = tile[here] * side + step.astype(np.int64)
    return np.unique(image * side**2 + tile, return_inverse=True)[1].astype(np.int64)
