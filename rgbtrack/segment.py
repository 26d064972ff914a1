"""Segmentation: cells from a corrected stack, in noise units, parted by colour as well as by shape."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage as ndi
from skimage.segmentation import watershed

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.params import Params
from rgbtrack.stack import NUCLEUS, Stack

Image = NDArray[np.float32]
Labels = NDArray[np.uint32]
Seeds = NDArray[np.integer[Any]]

DEBRIS = "debris: too small"
HAZE = "haze: no edge to its surroundings"


class SegmentParams(Params):
    """How cells are found."""

    diameter_um: float | None = Field(
        None, gt=0, description="diameter of a typical cell, um; None: estimated from the image"
    )
    min_snr: float = Field(
        5.0,
        gt=0,
        description="how far above noise a cell must stand, in standard errors of a disc a third its size",
    )
    contrast: float = Field(
        0.45,
        gt=0,
        lt=1,
        description="a pixel belongs to a cell where it reaches this share of the local maximum",
    )
    colour_edge: float = Field(
        0.09, gt=0, description="relative colour change per pixel of a 20 px cell that parts two cells"
    )
    min_edge: float = Field(
        0.35,
        ge=0,
        lt=1,
        description="an object fades by at least this share within a fifth of a diameter outside its "
        "outline, or it is haze",
    )
    min_area: float = Field(
        0.2, ge=0, lt=1, description="objects below this share of a typical cell's area are debris"
    )


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Cells of a stack.

    Attributes
    ----------
    labels
        Cell ids from 1, 0 is background, shape (t, z, y, x). Each frame counts anew.
    diameter_um
        The diameter used.
    rejected
        Objects that were found and set aside: reason to number.
    """

    labels: Labels
    diameter_um: float
    rejected: dict[str, int] = field(default_factory=dict)


def segment_cells(stack: Stack, params: SegmentParams = SegmentParams()) -> Labels:  # noqa: B008
    """Find cells.

    Channels are brought to noise units by a variance-stabilising transform. A pixel belongs to a cell where
    the root sum of squares over channels stands above noise and above a share of the *local* maximum, so
    that dim cells beside bright ones stay. Seeds are peaks of the distance to the border, edges between
    colours counted as borders; a watershed on colour gradient and distance parts the cells.

    Parameters
    ----------
    stack
        From `correct_stack`.
    params
        How cells are found.

    Returns
    -------
    labels
        Shape (t, z, y, x), uint32, 0 is background, cells from 1 in each frame.

    Raises
    ------
    DataError
        If the stack is not corrected.
    """
    return find_cells(stack, params).labels


def find_cells(stack: Stack, params: SegmentParams = SegmentParams()) -> Segmentation:  # noqa: B008
    """Find cells and tell what was set aside; see `segment_cells`."""
    if stack.variance is None or stack.gain is None:
        raise DataError(f"{stack.source}: the noise of the stack is not known: call correct_stack first")
    pixel_um = stack.pixel_size_um or 1.0
    frames = [noise_units(stack, t) for t in range(stack.n_frames)]  # each (c, z, y, x)
    diameter_um = params.diameter_um or _estimate_diameter(frames, stack) * pixel_um
    diameter_px = diameter_um / pixel_um
    if diameter_px < 3:
        raise DataError(
            f"{stack.source}: a cell of {diameter_um:g} um is {diameter_px:.1f} px wide at {pixel_um:g} "
            f"um/px: "
            f"check diameter_um and pixel_size_um; cells need at least 3 px"
        )
    # z in units of x and y; a plane far thinner than a cell counts as touching the next
    spacing = ((stack.z_step_um or pixel_um) / pixel_um, 1.0, 1.0)
    labels = np.zeros((stack.n_frames, *stack.pixels.shape[2:]), np.uint32)
    rejected: dict[str, int] = {}
    for t, frame in enumerate(frames):
        labels[t], lost = _segment_frame(frame, stack, t, diameter_px, spacing, params)
        for reason, n in lost.items():
            rejected[reason] = rejected.get(reason, 0) + n
    return Segmentation(labels, diameter_um, rejected)


def noise_units(stack: Stack, t: int = 0) -> Image:
    """One frame in units of its own noise, shape (c, z, y, x).

    ``2 (sqrt(V) - sqrt(V0)) / g`` with V the noise variance of a pixel, V0 that of its background and g the
    gain: Anscombe's transform less that of the background. Noise has a standard deviation of 1 at any
    intensity.
    """
    pixels, variance = stack.pixels[t], stack.variance[t]
    gain = np.asarray(stack.gain, np.float32)[:, None, None, None]
    background = np.maximum(variance - gain * pixels, 0.05 * variance)
    result: Image = 2 * pixels / (np.sqrt(variance) + np.sqrt(background))
    return result


def _segment_frame(
    units: Image,
    stack: Stack,
    t: int,
    diameter: float,
    spacing: tuple[float, float, float],
    params: SegmentParams,
) -> tuple[Labels, dict[str, int]]:
    """Labels (z, y, x) of one frame in noise units (c, z, y, x)."""
    nucleus = [c for c, name in enumerate(stack.channels) if name == NUCLEUS]
    sigma = max(0.7, 0.05 * diameter)
    smooth = np.stack([blur(channel, sigma, spacing) for channel in units])
    depth = units.shape[1]
    noise = _noise_after(sigma, spacing, depth)
    strength = np.sqrt((np.maximum(smooth, 0) ** 2).sum(0))  # (z, y, x)
    # noise alone has a root mean square of sqrt(c / 2) over rectified channels
    wide = max(sigma, diameter / 6)
    wide_noise = _noise_after(wide, spacing, depth)
    discs = np.stack([blur(channel, wide, spacing) for channel in units])
    reference = _local_maximum(
        blur(strength, 0.1 * diameter, spacing), 0.6 * diameter, 0.15 * diameter, spacing
    )
    empty = strength < np.maximum(0.2 * reference, 3 * noise)
    spread = np.maximum(_background_spread(discs, empty), _rounding(stack, t))
    discs /= np.maximum(wide_noise, spread)[:, None, None, None]
    disc = np.sqrt((np.maximum(discs, 0) ** 2).sum(0))
    bright = (disc > np.sqrt(len(units) / 2) + params.min_snr) & (strength > 3 * noise)
    mask = bright & (strength > params.contrast * reference)
    nuclei = np.zeros_like(mask)
    for c in nucleus:
        nuclei |= _nuclei(units[c], diameter, spacing, params)
    # a cell may hold its markers beside the nucleus: it is one cell, not a ring
    mask = _tidy(mask | nuclei)

    # the edge of a nucleus is no edge of a cell
    colour = np.stack([blur(unit, 1.5 * sigma, spacing) for c, unit in enumerate(units) if c not in nucleus])
    edge = _colour_edges(colour, 3 * _noise_after(1.5 * sigma, spacing, depth), spacing) * (diameter / 20)
    border = edge > params.colour_edge
    inside = _distance(mask & ~border, spacing)
    distance = blur(inside + 0.5 * _distance(mask, spacing), 0.06 * diameter, spacing)
    seeds = _peaks(distance, mask, 0.25 * diameter, spacing)
    if nuclei.any():
        centre = blur(_distance(nuclei, spacing), 0.06 * diameter, spacing)
        seeds, by_nucleus = _join_seeds(_peaks(centre, nuclei, 0.3 * diameter, spacing), seeds, mask)
        # around nuclei, pixels go to the nearest one on their side of a colour edge
        away = _distance(~nuclei, spacing)
        edge = np.where(away > 0.1 * diameter, edge, 0)
        distance = np.where(by_nucleus, -away, distance)
    labels = watershed(20 * edge - 10 * distance / diameter, seeds, mask=mask)
    return _reject(labels.astype(np.uint32), strength, diameter, spacing, params)


def blur(image: Image, sigma: float, spacing: tuple[float, float, float] = (1, 1, 1)) -> Image:
    """Gaussian blur of (z, y, x); sigma in pixels of the plane."""
    if image.shape[0] > 1:
        return ndi.gaussian_filter(image, [sigma / s for s in spacing], truncate=3)
    border = cv2.BORDER_REPLICATE if 1 in image.shape[1:] else cv2.BORDER_REFLECT_101
    return cv2.GaussianBlur(image[0], (0, 0), sigma, borderType=border).reshape(image.shape)


def _noise_after(sigma: float, spacing: tuple[float, float, float], depth: int) -> float:
    """Standard deviation of white unit noise after `blur`."""
    plane = 1 / (2 * sigma * np.sqrt(np.pi))
    if depth == 1:
        return float(min(1.0, plane))
    return float(min(1.0, plane * min(1.0, np.sqrt(spacing[0] / (2 * sigma * np.sqrt(np.pi))))))


def _rounding(stack: Stack, t: int) -> NDArray[np.float32]:
    """Half a step of the detector in noise units, per channel, shape (c,).

    A mean over many pixels is no surer than that: rounding, and a camera's fixed pattern, do not average out.
    """
    dark = np.percentile(stack.variance[t], 20, axis=(1, 2, 3))
    return np.asarray(0.5 * stack.step / np.sqrt(np.maximum(dark, 1e-12)), np.float32)


def _background_spread(discs: Image, empty: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Spread of the background at the size of the discs, per channel: (c, z, y, x) -> (c,).

    Where autofluorescence or a camera's pattern rides on the background it is more than noise explains. Its
    lower half is used, since what cells shine into the gaps lies above.
    """
    if empty.mean() < 0.02:
        return np.zeros(len(discs), np.float32)
    low, middle = np.percentile(discs[:, empty], (16, 50), axis=1)
    return np.asarray(middle - low, np.float32)


def _local_maximum(image: Image, width: float, sigma: float, spacing: tuple[float, float, float]) -> Image:
    size = max(3, int(width) | 1)
    if image.shape[0] > 1:
        top = ndi.maximum_filter(image, [max(1, int(width / s) | 1) for s in spacing])
    else:
        top = cv2.dilate(image[0], np.ones((size, size), np.uint8)).reshape(image.shape)
    return blur(top, sigma, spacing)


def _tidy(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Drop single pixels and fill holes, plane by plane."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    tidy = np.empty_like(mask)
    for z, plane in enumerate(mask):
        opened = cv2.morphologyEx(plane.astype(np.uint8), cv2.MORPH_OPEN, cross).reshape(plane.shape)
        tidy[z] = ndi.binary_fill_holes(opened)
    return tidy


def _colour_edges(colour: Image, floor: float, spacing: tuple[float, float, float]) -> Image:
    """Gradient over norm of (c, z, y, x): relative change per pixel, whatever the brightness."""
    total = np.zeros(colour.shape[1:], np.float32)
    for channel in colour:
        for z, plane in enumerate(channel):
            dy = cv2.Sobel(plane, cv2.CV_32F, 0, 1).reshape(plane.shape)
            dx = cv2.Sobel(plane, cv2.CV_32F, 1, 0).reshape(plane.shape)
            total[z] += dx**2 + dy**2
        if channel.shape[0] > 2:
            total += (8 * np.gradient(channel, spacing[0], axis=0)) ** 2
    norm = np.sqrt((np.maximum(colour, 0) ** 2).sum(0))
    return np.sqrt(total) / 8 / np.maximum(norm, max(floor, 1e-6))


def _distance(mask: NDArray[np.bool_], spacing: tuple[float, float, float]) -> Image:
    """Distance to the nearest pixel outside, in pixels of the plane; the image's edge is not outside."""
    if mask.shape[0] > 1:
        return ndi.distance_transform_edt(mask, sampling=spacing).astype(np.float32)
    if mask.all():
        return np.full(mask.shape, float(min(mask.shape[1:])), np.float32)
    return cv2.distanceTransform(mask[0].astype(np.uint8), cv2.DIST_L2, 5).reshape(mask.shape)


def _peaks(
    image: Image, mask: NDArray[np.bool_], distance: float, spacing: tuple[float, float, float]
) -> Seeds:
    """Seeds at the local maxima of a smooth image, none nearer than `distance` to a higher one."""
    width = [
        2 * max(1, round(distance / s)) + 1 if n > 1 else 1 for s, n in zip(spacing, image.shape, strict=True)
    ]
    if image.shape[0] > 1:
        top = ndi.maximum_filter(image, size=width)
    else:
        top = cv2.dilate(image[0], np.ones(width[1:], np.uint8)).reshape(image.shape)
    seeds: Seeds = ndi.label((image >= top) & mask & (image > 0), np.ones((3, 3, 3)))[0]
    return seeds


def _nuclei(
    stain: Image, diameter: float, spacing: tuple[float, float, float], params: SegmentParams
) -> NDArray[np.bool_]:
    """Where the nuclear stain (z, y, x) shows a nucleus."""
    smooth = blur(stain, max(0.7, 0.06 * diameter), spacing)
    reference = _local_maximum(smooth, 0.6 * diameter, 0.15 * diameter, spacing)
    return _tidy((smooth > params.min_snr) & (smooth > 0.5 * reference))


def _join_seeds(nuclei: Seeds, peaks: Seeds, mask: NDArray[np.bool_]) -> tuple[Seeds, NDArray[np.bool_]]:
    """Seeds of nuclei, and of shape and colour in objects without one; which pixels have a nucleus."""
    objects, n = ndi.label(mask, np.ones((3, 3, 3)))
    has_nucleus = np.zeros(n + 1, bool)
    has_nucleus[np.unique(objects[nuclei > 0])] = True
    spare = np.where(has_nucleus[objects], 0, peaks)
    joined = np.where(spare > 0, spare + int(nuclei.max(initial=0)), nuclei)
    return joined, has_nucleus[objects]


def _reject(
    labels: Labels,
    strength: Image,
    diameter: float,
    spacing: tuple[float, float, float],
    params: SegmentParams,
) -> tuple[Labels, dict[str, int]]:
    """Set debris and haze aside and number the rest from 1."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    found = sizes > 0
    typical = np.pi / 6 * diameter**3 / spacing[0] if labels.shape[0] > 1 else np.pi / 4 * diameter**2
    # an object at the image's edge is small because it is cut
    cut = np.zeros(len(sizes), bool)
    for side in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        cut[np.unique(side)] = True
    debris = found & (sizes < params.min_area * typical * np.where(cut, 0.25, 1.0))
    haze = found & ~debris & (_fade(labels, strength, sizes, max(2, round(0.2 * diameter))) < params.min_edge)
    keep = found & ~debris & ~haze
    number = np.zeros(len(sizes), np.uint32)
    number[keep] = np.arange(1, int(keep.sum()) + 1)
    lost = {DEBRIS: int(debris.sum()), HAZE: int(haze.sum())}
    return number[labels], {reason: n for reason, n in lost.items() if n}


def _fade(labels: Labels, strength: Image, sizes: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    """Share by which each object fades outside its outline; 1 where other objects leave no outside to see."""
    inside = np.bincount(labels.ravel(), weights=strength.ravel(), minlength=len(sizes)) / np.maximum(
        sizes, 1
    )
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width + 1, 2 * width + 1))
    total, seen = np.zeros(len(sizes)), np.zeros(len(sizes))
    for plane, light in zip(labels, strength, strict=True):
        grown = cv2.dilate(plane.astype(np.float32), disc).reshape(plane.shape).astype(np.int64)
        outside = (plane == 0) & (grown > 0)
        total += np.bincount(grown[outside], weights=light[outside], minlength=len(sizes))
        seen += np.bincount(grown[outside], minlength=len(sizes))
    enough = seen > 0.3 * width * 2 * np.sqrt(np.pi * sizes / max(1, labels.shape[0]))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(enough, 1 - total / np.maximum(seen, 1) / np.maximum(inside, 1e-9), 1.0)


def _estimate_diameter(frames: list[Image], stack: Stack) -> float:
    """Typical cell diameter in pixels, from the scale at which blobs answer most.

    Blobs are maxima, over place and scale, of the scale-normalised Laplacian of the strength in noise
    units; a disc of diameter d answers most at ``sigma = d / (2 sqrt(2))`` (Lindeberg, Int. J. Comput. Vis.
    30 (1998) 79).
    """
    frame = frames[len(frames) // 2].max(axis=1)  # (c, y, x)
    strength = np.sqrt((np.maximum([blur(c[None], 1.0)[0] for c in frame], 0) ** 2).sum(0))
    # the square root keeps one bright cell from speaking for all
    strength = np.sqrt(strength).astype(np.float32)
    floor = np.sqrt(2.0)  # blobs below twice the noise of a pixel are not asked
    shrink = max(1, min(strength.shape) // 768)
    if shrink > 1:
        strength = cv2.resize(strength, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    sigmas = np.geomspace(1.5, max(4.0, min(60.0, min(strength.shape) / 6)), 24)
    answer = np.stack(
        [
            -(s**2) * cv2.Laplacian(blur(strength[None], s)[0], cv2.CV_32F).reshape(strength.shape)
            for s in sigmas
        ]
    )
    top = ndi.maximum_filter(answer, size=(3, 5, 5))
    scale, y, x = np.nonzero((answer >= top) & (answer > 0.15) & (strength > floor))
    inner = (scale > 0) & (scale < len(sigmas) - 1)
    if not inner.any():
        default = 13.0 / (stack.pixel_size_um or 1.0)
        warnings.warn(
            f"{stack.source}: no cells to estimate a diameter from, 13 um is used: set diameter_um",
            RgbtrackWarning,
            stacklevel=4,
        )
        return default
    weight = answer[scale, y, x][inner]
    found = 2 * np.sqrt(2) * sigmas[scale[inner]] * shrink
    order = np.argsort(found)
    share = np.cumsum(weight[order] ** 2)
    return float(found[order][np.searchsorted(share, 0.5 * share[-1])])
