"""Flat and dark fields that were recorded, made ready to be divided out and taken off."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.correct.noise import Image
from rgbtrack.errors import DataError
from rgbtrack.projection import DETECTOR_LIMITS

NOISE = 0.005
"""Noise of a flat field, as a share of its mean, above which it is smoothed down to this."""
FULL = 0.001
"""Share of pixels at the top of the detector's range from which a flat field is saturated."""


def flat_from_files(flat: NDArray[Any], dark: NDArray[Any] | None = None) -> Image:
    """Relative illumination from an image of even light, and one without light.

    ``(flat - dark)`` over its mean, plane by plane, smoothed by a Gaussian just so wide that the image's own
    pixel noise is below half a percent: shadows of dust stay.

    Parameters
    ----------
    flat
        Counts of an evenly fluorescing sample, shape (y, x) or (c, y, x).
    dark
        Counts without light, shape (y, x) or that of `flat`; None where the flat field is free of it.

    Returns
    -------
    illumination
        Of the shape of `flat`, mean 1 in each plane.

    Raises
    ------
    DataError
        If a field is not finite, the shapes do not match, the flat field is saturated, or it is not brighter
        than the dark field everywhere.

    Examples
    --------
    >>> flat_from_files(np.array([[350.0, 150.0]]), np.full((1, 2), 50.0)).tolist()
    [[1.5, 0.5]]
    """
    given = np.asarray(flat)
    if given.ndim not in (2, 3) or given.size == 0:
        raise DataError(f"flat field has shape {given.shape}: give one plane (y, x), or one per channel")
    planes = given.reshape(-1, *given.shape[-2:]).astype(np.float32)  # (c, y, x)
    _check_full(given)
    if dark is not None:
        planes = planes - _dark_of(dark, given)
    if not np.isfinite(planes).all():
        raise DataError("flat or dark field holds pixels that are NaN or infinite: export it without them")
    if planes.min() <= 0:
        less = "" if dark is None else " less the dark field"
        raise DataError(
            f"flat field{less} holds values from {planes.min():g} to {planes.max():g}: illumination must be "
            f"positive everywhere"
        )
    even = np.stack([_smooth(plane / plane.mean(dtype=float)) for plane in planes])
    return (even / even.mean(axis=(1, 2), keepdims=True, dtype=float)).astype(np.float32).reshape(given.shape)


def even_out(counts: NDArray[Any], flat: NDArray[Any], dark: NDArray[Any] | float = 0.0) -> Image:
    """Counts as even light would have given them: ``(counts - dark) / flat``.

    Parameters
    ----------
    counts
        Shape (..., y, x), or (..., c, y, x) with a field for each channel.
    flat
        Relative illumination, shape (y, x) or (c, y, x).
    dark
        Counts without light, a number or of the shape of `flat`.

    Returns
    -------
    even
        Of the shape of `counts`. The variance of the noise is to be divided by ``flat**2``.

    Raises
    ------
    DataError
        If shapes do not match or `flat` is not positive.
    """
    image, light = np.asarray(counts), np.asarray(flat, np.float32)
    if light.ndim < 2 or image.shape[image.ndim - light.ndim :] != light.shape:
        raise DataError(
            f"flat field has shape {light.shape}, the image {image.shape}: give one plane of its size, "
            f"or one per channel"
        )
    if not light.min() > 0:
        raise DataError(
            f"flat field holds values from {light.min():g} to {light.max():g}: illumination must be positive "
            f"everywhere"
        )
    return np.asarray((image - np.asarray(dark, np.float32)) / light, np.float32)


def _check_full(flat: NDArray[Any]) -> None:
    top = flat.max()
    share = float((flat == top).mean())
    if np.issubdtype(flat.dtype, np.integer) and int(top) in DETECTOR_LIMITS and share > FULL:
        raise DataError(
            f"flat field is saturated: {share:.1%} of its pixels hold {top}, the most its detector counts: "
            f"record it with less light"
        )


def _dark_of(dark: NDArray[Any], flat: NDArray[Any]) -> Image:
    plane = np.asarray(dark, np.float32)
    if plane.shape not in (flat.shape, flat.shape[-2:]):
        raise DataError(
            f"dark field has shape {plane.shape}, the flat field {flat.shape}: give both of one size"
        )
    return plane.reshape(-1, *plane.shape[-2:])


def _smooth(plane: Image) -> Image:
    """Smooth away the pixel noise of a plane of mean 1, as far as it is above `NOISE`."""
    if min(plane.shape) < 8:
        return plane
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
    noise = 1.4826 * float(np.median(np.abs(cv2.filter2D(plane, -1, kernel)[1:-1, 1:-1])))
    if noise <= NOISE:
        return plane
    # a Gaussian mean is over 4 pi sigma² pixels
    sigma = noise / NOISE / np.sqrt(4 * np.pi)
    return cv2.GaussianBlur(plane, (0, 0), max(0.6, sigma)).reshape(plane.shape)
