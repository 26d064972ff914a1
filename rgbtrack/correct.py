"""Correction: from detector counts to background-free counts whose noise is known."""

import itertools
import warnings
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage as ndi

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.params import Params
from rgbtrack.stack import Stack

Image = NDArray[np.float32]

SMOOTHING_PX = 1.5
DETECTOR_LIMITS = (255, 1023, 4095, 16383, 65535)


class CorrectParams(Params):
    """What is taken off or divided out before cells are looked for."""

    bleed_through: str = Field(
        "none",
        description="CSV file of the bleed-through matrix (rows detectors, columns proteins), or 'none'",
    )
    flat_field: str = Field(
        "none",
        description="image of even illumination, one plane per marker or one for all, or 'none'",
    )
    background: bool = Field(True, description="take off the local background of each channel")
    background_um: float = Field(
        80.0, gt=0, description="size of the window in which background is looked for, um; several cells wide"
    )
    offset: float | None = Field(None, ge=0, description="camera offset, counts; None: within the background")
    gain: float | None = Field(
        None, gt=0, description="detector counts per photo-electron; None: estimated from the image"
    )
    read_noise: float | None = Field(
        None, ge=0, description="read noise, electrons; None: estimated from the image"
    )


@dataclass(frozen=True)
class NoiseModel:
    """Noise of one channel: ``variance = gain * counts + intercept``, counts as read.

    Attributes
    ----------
    gain
        Counts per photo-electron (excess noise of a multiplier included).
    intercept
        Read variance less gain times offset, counts².
    floor
        Smallest variance believed, counts²: rounding to whole counts, or the darkest tenth of the image.
    """

    gain: float
    intercept: float
    floor: float

    def variance(self, counts: Image) -> Image:
        """Noise variance of raw counts, same shape."""
        return np.maximum(self.gain * counts + self.intercept, self.floor).astype(np.float32)


def correct_stack(
    stack: Stack,
    params: CorrectParams = CorrectParams(),  # noqa: B008
    *,
    bleed_through: pd.DataFrame | None = None,
    flat_field: NDArray[Any] | None = None,
) -> Stack:
    """Take off background, even out illumination and attach the noise of every pixel.

    The noise variance is ``gain * counts + intercept``; both are found from the image itself by its
    mean-variance relation where the settings leave them open. Background is the local level of pixels that
    hold nothing but noise, found by clipping in noise units. Illumination is divided out where a flat field
    is given. Bleed-through is attached, and undone cell by cell in `measure_signatures`, where it costs
    least noise.

    Parameters
    ----------
    stack
        As read, channels selected.
    params
        What to correct.
    bleed_through
        Rows detectors, columns markers, by marker name.
    flat_field
        Relative illumination, shape (y, x) or (c, y, x); scaled to a mean of 1 here.

    Returns
    -------
    corrected
        Float32 pixels with `variance`, `gain` and `saturated`.

    Raises
    ------
    DataError
        If pixels are not finite, or the flat field has another shape or is not positive.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> counts = 100 + 2.0 * rng.poisson(20, (1, 1, 1, 256, 256))
    >>> corrected = correct_stack(Stack(counts, ("red",), pixel_size_um=0.5))
    >>> bool(abs(corrected.variance.mean() - 80) < 8), bool(abs(corrected.pixels.mean()) < 1)
    (True, True)
    """
    raw = np.asarray(stack.pixels)  # (t, c, z, y, x)
    _check_pixels(raw, stack)
    flat = _flat_planes(flat_field, raw, stack)  # (c, 1, y, x)
    window_px = params.background_um / (stack.pixel_size_um or 1.0)
    pixels = raw.astype(np.float32)
    variance = np.empty_like(pixels)
    gain = np.empty(raw.shape[1])
    for c in range(raw.shape[1]):
        noise = _noise_of(pixels[:, c], raw.dtype, params)
        gain[c] = noise.gain
        variance[:, c] = noise.variance(pixels[:, c])
        for t in range(raw.shape[0]):
            for z in range(raw.shape[2]):
                plane = pixels[t, c, z]  # (y, x), a view
                if params.background:
                    plane -= estimate_background(plane, noise, window_px)
                elif params.offset is not None:
                    plane -= params.offset
        if flat is not None:
            pixels[:, c] /= flat[c]
            variance[:, c] /= flat[c] ** 2
    return replace(
        stack,
        pixels=pixels,
        variance=variance,
        gain=gain,
        saturated=_saturated(raw),
        step=1.0 if np.issubdtype(raw.dtype, np.integer) else 0.0,
        bleed_through=bleed_through if bleed_through is not None else stack.bleed_through,
    )


def estimate_noise(planes: Image, *, integer: bool = True) -> NoiseModel:
    """Noise model of one channel from its own mean-variance relation.

    A second-difference filter removes what is smooth; what it leaves in each bin of local mean has the
    variance of the noise. The lower quartile of its size is used, so that edges and texture count little.

    Parameters
    ----------
    planes
        Raw counts, shape (n, y, x).
    integer
        Whether counts are whole numbers, so that rounding sets a floor.

    Notes
    -----
    Immerkaer, Computer Vision and Image Understanding 64 (1996) 300, for the filter; photon transfer for
    the fit. Fails where an image was smoothed or compressed beforehand: the noise is then underestimated.
    """
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    chosen = planes[:: max(1, len(planes) // 6)]
    if min(chosen.shape[1:]) < 3:
        return NoiseModel(1e-3, 0.0, _variance_floor(chosen, integer))
    mean = np.concatenate([cv2.blur(plane, (5, 5))[1:-1, 1:-1].ravel() for plane in chosen])
    rest = np.concatenate([cv2.filter2D(plane, -1, kernel)[1:-1, 1:-1].ravel() for plane in chosen])
    if len(mean) > 2_000_000:
        step = len(mean) // 1_000_000
        mean, rest = mean[::step], rest[::step]
    floor = _variance_floor(chosen, integer)
    order = np.argsort(mean, kind="stable")
    # bins even in rank and, above, even in the square root of the mean: few bright pixels still count
    ranks = np.unique(np.linspace(0, len(order), 25).astype(int))
    root = np.sqrt(np.maximum(mean[order] - mean[order[0]], 0))
    ranks = np.union1d(ranks, np.searchsorted(root, np.linspace(root[0], root[-1], 25)))
    levels, variances, weights = [], [], []
    for low, high in itertools.pairwise(ranks):
        if high - low < 100:
            continue
        chunk = order[low:high]
        levels.append(float(np.mean(mean[chunk])))
        # the lower quartile of |N(0, s²)| is 0.3186 s
        variances.append((float(np.quantile(np.abs(rest[chunk]), 0.25)) / 0.3186) ** 2)
        weights.append(high - low)
    if not levels:
        return NoiseModel(1e-3, float(np.var(rest)), floor)
    level, spread = np.array(levels), np.maximum(variances, floor)
    weight = np.sqrt(np.array(weights)) / spread
    if np.ptp(level) <= 3 * np.sqrt(spread[0]):
        # nothing but background
        flat = float(np.average(spread, weights=weights))
        return NoiseModel(1e-3, flat, max(floor, 0.5 * flat))
    dark = float(np.average(spread[: max(1, len(spread) // 8)]))
    slope, intercept = 0.0, dark
    # relative standard error of a bin's variance, the filter's correlated neighbours counted
    believed = 0.05 + 6 / np.sqrt(weights)
    robust = weight.copy()
    for _ in range(20):
        slope, intercept = np.polyfit(level, spread, 1, w=robust)
        excess = (spread - slope * level - intercept) / np.maximum(spread, floor)
        # structure only ever adds variance: what lies above the line is believed less
        robust = weight * believed / np.maximum(excess, believed)
    if slope <= 0:
        return NoiseModel(1e-3, dark, max(floor, 0.5 * dark))
    return NoiseModel(float(slope), float(intercept), max(floor, 0.5 * dark))


def estimate_background(plane: Image, noise: NoiseModel, window_px: float) -> Image:
    """Local background of one plane, shape (y, x), counts.

    Starts at a low percentile of the smoothed image in blocks, then averages, again and again, the pixels
    within three noise standard deviations of it. Where no empty pixel is near, the level is taken from
    further away.

    Parameters
    ----------
    plane
        Raw counts, shape (y, x).
    noise
        Of this channel.
    window_px
        Window in which the background may be taken as even; several cells wide.
    """
    height, width = plane.shape
    smooth = _gaussian(plane, SMOOTHING_PX)
    shrink = int(np.clip(window_px / 32, 1, 4))
    small = smooth[::shrink, ::shrink]  # a sample, not an average: gaps between cells stay empty
    scale = np.sqrt(1 / (4 * np.pi * SMOOTHING_PX**2))  # of white noise after smoothing
    block = int(np.clip(window_px / shrink / 2, 4, max(4, min(small.shape))))
    level = _block_percentile(small, block, 5)
    sigma = window_px / shrink / 4
    for _ in range(5):
        sd = np.maximum(np.sqrt(noise.variance(level)) * scale, 1e-6 * max(1.0, float(np.abs(level).max())))
        inside = (np.abs(small - level) < 3 * sd).astype(np.float32)
        if not inside.any():
            break
        level = _local_mean(small, inside, sigma)
    return cv2.resize(level, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width)


def _local_mean(image: Image, weight: Image, sigma: float) -> Image:
    """Weighted local mean; far from any weight, from ever wider surroundings."""
    total = float((image * weight).sum() / weight.sum())
    mean = np.full(image.shape, total, np.float32)
    for s in (4 * sigma, sigma):
        density = _gaussian(weight, s)
        mean = (_gaussian(image * weight, s) + 0.01 * mean) / (density + 0.01)
    return mean


def _block_percentile(image: Image, block: int, percentile: float) -> Image:
    """Percentile of each block, spread over the image."""
    rows, columns = (max(1, round(n / block)) for n in image.shape)
    ys = np.linspace(0, image.shape[0], rows + 1).astype(int)
    xs = np.linspace(0, image.shape[1], columns + 1).astype(int)
    grid = np.array(
        [
            [np.percentile(image[y0:y1, x0:x1], percentile) for x0, x1 in itertools.pairwise(xs)]
            for y0, y1 in itertools.pairwise(ys)
        ],
        np.float32,
    )
    grid = ndi.minimum_filter(grid, size=(min(3, rows), min(3, columns)), mode="nearest")
    return cv2.resize(grid, image.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(image.shape)


def _gaussian(image: Image, sigma: float) -> Image:
    """Gaussian blur of one plane; wide ones on a smaller copy."""
    if sigma > 12 and min(image.shape) > 16:
        shrink = min(int(sigma / 4), min(image.shape) // 8)
        size = (max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REFLECT_101)
        return cv2.resize(blurred, image.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(image.shape)
    border = cv2.BORDER_REPLICATE if min(image.shape) == 1 else cv2.BORDER_REFLECT_101
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=border).reshape(image.shape)


def _noise_of(planes: Image, dtype: np.dtype[Any], params: CorrectParams) -> NoiseModel:
    """Noise model of one channel (t, z, y, x): from the settings where they tell, else from the image."""
    flat = planes.reshape(-1, *planes.shape[-2:])
    noise = estimate_noise(flat, integer=np.issubdtype(dtype, np.integer))
    if params.gain is not None:
        centre = float(np.median(flat))
        intercept = max(noise.gain * centre + noise.intercept, noise.floor) - params.gain * centre
        if params.offset is not None and params.read_noise is not None:
            intercept = params.gain**2 * params.read_noise**2 - params.gain * params.offset
            floor = max(params.gain**2 * params.read_noise**2, 1 / 12)
            return NoiseModel(params.gain, intercept, floor)
        return NoiseModel(params.gain, intercept, noise.floor)
    return noise


def _variance_floor(planes: Image, integer: bool) -> float:
    """Variance below which no detector goes: rounding, or a hundred-thousandth of the range."""
    span = float(np.ptp(planes)) if planes.size else 0.0
    return max(1 / 12 if integer else 0.0, (1e-5 * span) ** 2, 1e-12)


def _saturated(raw: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels at the detector's limit: whole numbers at a power of two less one, or a maximum that repeats."""
    saturated = np.zeros(raw.shape, bool)
    if not np.issubdtype(raw.dtype, np.integer):
        return saturated
    for c in range(raw.shape[1]):
        top = int(raw[:, c].max())
        at_top = raw[:, c] == top
        repeats = int(at_top.sum())
        if top > 0 and (repeats >= 25 or (top in DETECTOR_LIMITS and repeats >= 2)):
            saturated[:, c] = at_top
    return saturated


def _check_pixels(raw: NDArray[Any], stack: Stack) -> None:
    if raw.size == 0:
        raise DataError(f"{stack.source}: the image has no pixels, shape {raw.shape}")
    if np.issubdtype(raw.dtype, np.floating):
        bad = int(raw.size - np.isfinite(raw).sum())
        if bad:
            raise DataError(
                f"{stack.source}: {bad} of {raw.size} pixels are NaN or infinite: export the image "
                f"without them"
            )
    for c, name in enumerate(stack.channels):
        if float(np.ptp(raw[:, c])) == 0:
            warnings.warn(
                f"{stack.source}: every pixel of channel {name!r} is {raw[:, c].flat[0]}: nothing can "
                f"be found in it",
                RgbtrackWarning,
                stacklevel=3,
            )


def _flat_planes(flat_field: NDArray[Any] | None, raw: NDArray[Any], stack: Stack) -> Image | None:
    """Flat field as (c, 1, y, x) with a mean of 1 in each channel."""
    if flat_field is None:
        return None
    flat = np.asarray(flat_field, np.float32)
    if flat.ndim == 2:
        flat = np.broadcast_to(flat, (raw.shape[1], *flat.shape))
    if flat.shape != (raw.shape[1], *raw.shape[-2:]):
        raise DataError(
            f"flat field has shape {np.shape(flat_field)}, {stack.source} has {raw.shape[1]} channels of "
            f"{raw.shape[-2]} x {raw.shape[-1]} px: give one plane, or one per channel, of that size"
        )
    if not np.isfinite(flat).all() or flat.min() <= 0:
        raise DataError(
            f"flat field holds values from {flat.min()} to {flat.max()}: illumination must be positive "
            f"everywhere"
        )
    return (flat / flat.mean(axis=(1, 2), keepdims=True))[:, None]
