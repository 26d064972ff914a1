"""How far images of the same cells lie beside each other: channels of a frame, frames of a series."""

import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2

from rgbtrack.correct.noise import Image
from rgbtrack.stack import Stack
from rgbtrack.threads import over_bands

Array = NDArray[np.float64]

SAMPLE_PX = 100_000
TILE_PX = 24
"""Within a square of so many pixels two images of one cell are taken to be proportional."""
STEPS = (4.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Smoothing of each step of the search, px: wide first, so that it starts within reach."""
STILL_PX = 0.005
"""A last step below this ends the search; across planes, which are few and far apart, it takes more steps."""
DRIFT_STEPS = (6.0, 4.0, 4.0)
MOST_PX = 12.0
LEAST_TILES = 12
LEAST_PLANES = 6
"""Of fewer planes too few are left, once those at the ends are set aside, to tell a shift across them."""
FLOOR_PX = 0.02
FLOOR_PLANES = 0.04
"""What interpolation and tiles leave, however bright the image."""


@dataclass(frozen=True)
class Shift:
    """How far images lie beside the first, or beside the best known.

    Attributes
    ----------
    zyx_px
        Shift of each image, shape (n, 3), px: what is at p in the reference is at p + shift here.
    se
        Standard error, same shape; infinite where nothing is known.
    """

    zyx_px: Array
    se: Array

    def evident(self, least_px: float) -> NDArray[np.bool_]:
        """Whether a shift exceeds three standard errors and some pixels, shape (n,)."""
        far = (np.abs(self.zyx_px) > least_px) & (np.abs(self.zyx_px) > 3 * self.se)
        return np.asarray(far.any(axis=1))


def apply_shift(planes: NDArray[Any], zyx_px: Array) -> NDArray[Any]:
    """Move planes (z, y, x) by so many pixels; what comes from outside is the edge, repeated.

    Whole pixels are moved as they are, parts of a pixel by Lanczos' kernel in the plane and a cubic one
    across planes. Their weights add up to 1: the mean over a cell of moved counts is that of the counts
    where they were, and so is its variance where that is worked out from the moved counts, pixel by pixel.
    """
    dz, dy, dx = (float(d) for d in zyx_px)
    moved = planes
    if dz:
        moved = _across(moved, dz)
    if not (dy or dx):
        return moved
    if dy == round(dy) and dx == round(dx):
        y, x = (
            np.clip(np.arange(n) - int(d), 0, n - 1) for n, d in zip(moved.shape[1:], (dy, dx), strict=True)
        )
        return moved[:, y[:, None], x]
    return np.stack([_in_plane(plane, dy, dx) for plane in moved])


def _in_plane(plane: Image, dy: float, dx: float) -> Image:
    """Move a plane (y, x) by parts of a pixel."""
    from rgbtrack.correct.kernels import move_rows

    (row, down), (column, along) = (_lanczos(d) for d in (dy, dx))
    moved = np.empty(plane.shape, np.float32)

    def work(start: int, stop: int) -> None:
        move_rows(plane, (row, column), (down, along), start, stop, moved)

    over_bands(work, len(plane))
    return moved


def _lanczos(d: float) -> tuple[int, Image]:
    """Where to look to move by d, whole pixels, and weights of those from three before it to four behind."""
    whole = int(np.floor(-d))
    away = -d - whole - np.arange(-3, 5)
    weights = np.sinc(away) * np.sinc(away / 4)
    return whole, np.asarray(weights / weights.sum(), np.float32)


def _across(planes: NDArray[Any], dz: float) -> NDArray[Any]:
    """Move planes along z, by cubic convolution (Keys 1981) between four of them."""
    n = len(planes)
    whole = int(np.floor(-dz))
    s = -dz - whole
    if s == 0:
        return planes[np.clip(np.arange(n) + whole, 0, n - 1)]
    weights = (
        -0.5 * s + s**2 - 0.5 * s**3,
        1 - 2.5 * s**2 + 1.5 * s**3,
        0.5 * s + 2 * s**2 - 1.5 * s**3,
        -0.5 * s**2 + 0.5 * s**3,
    )
    moved = np.zeros(planes.shape, np.float32)
    for k, weight in enumerate(weights):
        moved += np.float32(weight) * planes[np.clip(np.arange(n) + whole + k - 1, 0, n - 1)]
    return moved


def noise_sd(stack: Stack) -> Array:
    """Typical standard deviation of the noise of a pixel of a corrected stack without light, shape (c,)."""
    noise = stack.noise
    assert noise is not None  # noqa: S101 - of corrected stacks it is known
    middle, step = stack.pixels.shape[2] // 2, max(1, stack.pixels[0, 0, 0].size // SAMPLE_PX)
    return np.array(
        [np.sqrt(np.percentile(noise.sample(c, middle, step), 20)) for c in range(len(stack.channels))]
    )


def estimate_shift(pixels: Image, noise_sd: Array) -> Shift:
    """How far the channels of one frame lie beside each other.

    Two channels show different cells, but a cell that shows in both is in one place. Within small tiles one
    channel is regressed on the other, and the shift that leaves least is found by Gauss and Newton's steps;
    tiles that do not match weigh little. All pairs of channels are compared, and made one by least squares.
    Planes that a shift leaves without a counterpart say nothing; below six planes only y and x are told.

    Parameters
    ----------
    pixels
        Corrected counts, shape (c, z, y, x).
    noise_sd
        Typical standard deviation of the noise of a pixel without light, shape (c,).

    Returns
    -------
    shift
        Of each channel beside the one that is known best.

    Notes
    -----
    Lucas and Kanade, IJCAI 1981, with local gain and offset. The standard error is that of the tiles'
    scores (White, Econometrica 48 (1980) 817).
    """
    n = len(pixels)
    scaled = [
        np.asarray(image, np.float32) / np.float32(sd) for image, sd in zip(pixels, noise_sd, strict=True)
    ]
    pairs = [(a, b, *register(scaled[a], scaled[b])) for a, b in combinations(range(n), 2)]
    return _agree(pairs, n)


def pool_shifts(shifts: list[Shift]) -> Shift:
    """One shift for several images of the same optics: each channel's median, and its standard error.

    The channel that most images know best is the reference.
    """
    information = np.sum([1 / np.maximum(s.se, 1e-3) ** 2 for s in shifts], axis=(0, 2))
    reference = int(np.argmax(information.round(6)))
    shape = shifts[0].zyx_px.shape
    value, error = np.zeros(shape), np.full(shape, np.inf)
    for c, axis in np.ndindex(shape):
        if c == reference:
            error[c, axis] = 0.0
            continue
        found = np.array([s.zyx_px[c, axis] - s.zyx_px[reference, axis] for s in shifts])
        se = np.array([np.hypot(s.se[c, axis], s.se[reference, axis]) for s in shifts])
        known = np.isfinite(se)
        if not known.any():
            continue
        value[c, axis], error[c, axis] = _robust_mean(found[known], np.maximum(se[known], 0.01))
    return Shift(value, error)


def _robust_mean(values: Array, se: Array) -> tuple[float, float]:
    """Mean by inverse variance, what lies far out believed less, and its error from the scatter too."""
    weight = 1 / se**2
    mean = float(np.average(values, weights=weight))
    for _ in range(10):
        weight = 1 / np.maximum(se**2, ((values - mean) / 2) ** 2)
        mean = float(np.average(values, weights=weight))
    scatter = float((weight * (values - mean) ** 2).sum() / max(1, len(values) - 1))
    return mean, float(np.sqrt(max(1.0, scatter) / weight.sum()))


def _agree(pairs: list[tuple[int, int, Array, Array]], n: int) -> Shift:
    """Shifts of n images from those between pairs: (a, b, shift of b beside a, its error)."""
    information = np.zeros(n)
    for a, b, _, se in pairs:
        information[[a, b]] += (1 / np.maximum(se[1:], 1e-3) ** 2).sum()
    reference = int(np.argmax(information.round(6)))
    value, error = np.zeros((n, 3)), np.full((n, 3), np.inf)
    error[reference] = 0
    free = [c for c in range(n) if c != reference]
    for axis in range(3):
        rows, right, weight = [], [], []
        for a, b, shift, se in pairs:
            if np.isfinite(se[axis]):
                row = np.zeros(n)
                row[a], row[b] = -1, 1
                rows.append(row)
                right.append(shift[axis])
                weight.append(1 / max(se[axis], 1e-3) ** 2)
        if not rows:
            continue
        design, w = np.array(rows)[:, free], np.array(weight)
        # a channel that shares no cells with any other stays where it is
        square = design.T @ (w[:, None] * design) + 1e-9 * np.eye(len(free))
        inverse = np.linalg.inv(square)
        value[free, axis] = inverse @ (design.T @ (w * np.array(right)))
        error[free, axis] = np.sqrt(np.diag(inverse))
    error[error > 1e3] = np.inf
    value[~np.isfinite(error)] = 0
    return Shift(value, error)


def register(
    a: Image, b: Image, start: Array | None = None, smoothing: tuple[float, ...] = STEPS
) -> tuple[Array, Array]:
    """Shift of b beside a, both (z, y, x) in units of their noise, and its standard error; (3,) and (3,)."""
    shift = np.zeros(3) if start is None else np.array(start, float)
    se = np.full(3, np.inf)
    axes = [axis for axis in range(3) if a.shape[axis] > (1 if axis == 0 else 2 * TILE_PX)]
    if 1 not in axes or 2 not in axes:
        return shift, se
    known: dict[float, tuple[Image, Image]] = {}
    begin = shift.copy()
    for sigma in smoothing:
        if sigma not in known:
            known = {sigma: (_smooth(a, sigma), _smooth(b, sigma))}
        left, right = known[sigma]
        there = np.asarray(apply_shift(right, -shift), np.float32)
        move, se = _newton_step(left, there, axes, sigma, _seen(len(b), shift[0]))
        shift[axes] += np.clip(move, -2 * sigma, 2 * sigma)
        if not np.isfinite(se).any() or np.abs(shift - begin).max() > MOST_PX:
            return begin, np.full(3, np.inf)
        if sigma == smoothing[-1] and np.abs(move).max() < STILL_PX:
            break
    if len(a) < LEAST_PLANES:  # fitted, so that y and x are right, but not to be told
        shift[0], se[0] = begin[0], np.inf
    return shift, se


def _smooth(planes: Image, sigma: float) -> Image:
    return np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in planes])


def _seen(n: int, dz: float) -> NDArray[np.bool_]:
    """Planes that show the image itself after it was moved back by dz, neighbours too, (z,); all of few."""
    z = np.arange(n)
    if n < LEAST_PLANES:
        return np.ones(n, bool)
    first, last = np.maximum(z - 1, 0) + dz, np.minimum(z + 1, n - 1) + dz
    return np.asarray((first >= 0) & (last <= n - 1))


def _newton_step(
    a: Image, b: Image, axes: list[int], sigma: float, seen: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """How much further b lies beside a, along some axes, and the standard error of all three."""
    from rgbtrack.correct.kernels import tile_products

    tiles = len(b), b.shape[1] // TILE_PX, b.shape[2] // TILE_PX
    mean, product = np.empty((5, *tiles)), np.empty((5, 5, *tiles))
    tile_products(a, b, TILE_PX, mean, product)
    covariance = product - mean[:, None] * mean
    slopes = [2 + axis for axis in axes]
    n, k = TILE_PX**2, len(axes)
    aa, bb, ab = covariance[0, 0], covariance[1, 1], covariance[0, 1]
    noise = 1 / (4 * np.pi * sigma**2)  # variance of what is left of the noise
    slope = np.maximum(ab, 0) / np.maximum(bb, noise)
    rest = aa - 2 * slope * ab + slope**2 * bb
    ag, bg, gg = covariance[0, slopes], covariance[1, slopes], covariance[np.ix_(slopes, slopes)]
    # a(p) = slope b(p + move) + level; slope and level are a tile's own, and taken out of its gradient
    free = np.maximum(bb, noise)
    score = slope * (ag - slope * bg)
    square = slope**2 * (gg - bg[:, None] * bg[None] / free)
    clear = (aa > 3 * noise) & (bb > 3 * noise) & (ab > 0.3 * np.sqrt(np.maximum(aa * bb, 1e-12)))
    clear &= seen[:, None, None]  # what was repeated at the ends says nothing
    weight = np.where(clear, n / np.maximum(rest + noise * (1 + slope**2), 1e-9), 0.0)
    if int(clear.sum()) < LEAST_TILES:
        return np.zeros(k), np.full(3, np.inf)
    information = (weight * square).sum(axis=(2, 3, 4))
    if np.linalg.cond(information) > 1e8:
        return np.zeros(k), np.full(3, np.inf)
    inverse = np.linalg.inv(information)
    move = inverse @ (weight * score).sum(axis=(1, 2, 3))
    own = weight * (score - np.einsum("ij...,j->i...", square, move))  # (k, z, rows, columns)
    flat = own.reshape(k, -1)
    error = np.full(3, np.inf)
    floor = np.array([FLOOR_PLANES, FLOOR_PX, FLOOR_PX])[axes]
    error[axes] = np.hypot(np.sqrt(np.diag(inverse @ (flat @ flat.T) @ inverse)), floor)
    return move, error


def estimate_drift(frames: Image) -> Shift:
    """How far the stage has moved since the first frame of a series.

    Each frame is laid over the two before it, coarsely by cross-correlation, then finely as channels are;
    all these are made one path by least squares, so that errors do not add up.

    Parameters
    ----------
    frames
        Light of all markers in units of noise, shape (t, z, y, x).

    Returns
    -------
    drift
        Of each frame beside the first. Cells that all wander one way cannot be told from a stage that does;
        how far they wander each on its own, seen from how quarters of the field differ, is in the errors.
    """
    n = len(frames)
    pairs, wander = [], []
    for t, back in ((t, back) for t in range(n) for back in (1, 2) if back <= t):
        shift, se = register(frames[t - back], frames[t], _coarse(frames[t - back], frames[t]), DRIFT_STEPS)
        pairs.append((t - back, t, shift, np.hypot(se, FLOOR_PX * back)))
        if back == 1:
            wander.append(_differing(frames[t - 1], frames[t], shift))
    path = _path(pairs, n)
    told = np.isfinite(wander)
    each = np.where(told, wander, 0).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    return Shift(path.zyx_px, np.sqrt(path.se**2 + np.arange(n)[:, None] * each))


def _differing(a: Image, b: Image, shift: Array) -> Array:
    """Variance of the mean way of four quarters of the field, (3,), px²: how far cells go on their own."""
    height, width = (n // 2 for n in a.shape[1:])
    found = []
    for rows in (slice(None, height), slice(-height, None)):
        for columns in (slice(None, width), slice(-width, None)):
            of = (slice(None), rows, columns)
            move, se = register(a[of], b[of], shift, DRIFT_STEPS)
            found.append(np.where(np.isfinite(se), move, np.nan))
    known = np.isfinite(found).sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # fewer than two quarters tell nothing
        scatter = np.nanvar(found, axis=0, ddof=1)
    return np.where(known > 1, scatter / np.maximum(known, 1), np.nan)


def _path(pairs: list[tuple[int, int, Array, Array]], n: int) -> Shift:
    """Positions of n frames from the way between pairs, the first at 0; wild pairs are believed less."""
    value, error = np.zeros((n, 3)), np.zeros((n, 3))
    design = np.array([[(t == b) - (t == a) for t in range(1, n)] for a, b, _, _ in pairs], float)
    for axis in range(3):
        way = np.array([shift[axis] for _, _, shift, _ in pairs])
        se = np.array([known[axis] for *_, known in pairs])
        if not len(way) or not np.isfinite(se).all():
            error[1:, axis] = np.inf
            continue
        weight = 1 / se**2
        found = np.zeros(n - 1)
        for _ in range(10):
            inverse = np.linalg.inv(design.T @ (weight[:, None] * design))
            found = inverse @ (design.T @ (weight * way))
            weight = 1 / np.maximum(se**2, ((way - design @ found) / 2) ** 2)
        rest = float((weight * (way - design @ found) ** 2).sum() / max(1, len(way) - n + 1))
        value[1:, axis], error[1:, axis] = found, np.sqrt(np.diag(inverse) * max(1.0, rest))
    return Shift(value, error)


def _coarse(a: Image, b: Image) -> Array:
    """Whole-pixel shift of b beside a, both seen from above: the highest of their cross-correlation."""
    height, width = a.shape[1:]
    top = [
        _smooth(np.sqrt(np.maximum(image.max(axis=0), 0))[None].astype(np.float32), 3.0)[0]
        for image in (a, b)
    ]
    size = [next_fast_len(2 * n) for n in (height, width)]
    left, right = (rfft2(image - image.mean(), size) for image in top)
    answer = irfft2(np.conj(left) * right, size)
    # products of fewer pixels where less overlaps, and shifts of over a quarter of the field are none
    lag = [np.fft.fftfreq(n, 1 / n) for n in size]
    overlap = (height - np.abs(lag[0]))[:, None] * (width - np.abs(lag[1]))
    near = (np.abs(lag[0]) < height / 4)[:, None] & (np.abs(lag[1]) < width / 4)
    y, x = np.unravel_index(np.argmax(np.where(near, answer / np.maximum(overlap, 1), -np.inf)), size)
    return np.array([0.0, lag[0][y], lag[1][x]])
