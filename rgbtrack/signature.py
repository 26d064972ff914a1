"""Signature: the colour of each cell, and how sure it is."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage as ndi

from rgbtrack.errors import DataError
from rgbtrack.params import Params
from rgbtrack.stack import NUCLEUS, Stack

HAZE_ERROR = 0.5
"""How far the haze on a cell may differ from that in the gaps around it, share."""

Labels = NDArray[np.uint32]
Array = NDArray[np.float64]


class SignatureParams(Params):
    """How pixels are pooled into a colour."""

    core: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="pixels nearer to the outline than this share of the cell's radius are left out, "
        "so that neighbours do not bleed in",
    )
    min_core_px: int = Field(
        12, ge=1, description="with fewer core pixels the whole cell is measured and flagged small"
    )
    saturated_share: float = Field(
        0.02, ge=0, le=1, description="a cell with more than this share of saturated pixels is flagged"
    )
    surroundings_um: float = Field(
        8.0,
        ge=0,
        description="light in the gaps within about this distance, um, is haze of neighbours and taken off; "
        "0: none is",
    )
    spill: float = Field(
        0.02,
        ge=0,
        le=1,
        description="share of the light around a cell, within surroundings_um, that may shine into it unseen",
    )
    bleed_error: float = Field(
        0.15,
        ge=0,
        le=1,
        description="how far bleed-through may be off, share of each coefficient: detector gains drift "
        "by some 10 %",
    )
    doublet_distance: float = Field(
        0.25, gt=0, description="distance between the colour fractions of two halves that makes a doublet"
    )


@dataclass(frozen=True, eq=False)
class _Members:
    """Pixels of the cells of one frame, flat: cell index (0-based), place, and whether in the core."""

    cells: NDArray[np.int64]  # (n,) ids
    index: NDArray[np.int64]  # (p,) row of each pixel's cell
    place: tuple[NDArray[np.int64], ...]  # z, y, x of each pixel, each (p,)
    core: NDArray[np.bool_]  # (p,)

    def total(self, values: Any, where: Any = None) -> Array:
        """Sum over each cell's pixels, shape (n,)."""
        if where is not None:
            values = values * where
        return np.bincount(self.index, weights=values, minlength=len(self.cells)).astype(float)


def measure_signatures(
    stack: Stack,
    labels: Labels,
    params: SignatureParams = SignatureParams(),  # noqa: B008
) -> pd.DataFrame:
    """Measure each cell's colour signature.

    The intensity in a detector is the mean over the cell's core pixels; its variance is the sum of the
    pixels' noise variances over their number squared, plus that of the background at the size of a cell,
    plus that of the bleed-through, whose coefficients are known to a share `SignatureParams.bleed_error`.
    With a bleed-through matrix A the markers are the weighted least squares solution ``x = S A' W r``,
    ``S = (A' W A)^-1``, W the inverse variances: S is the covariance of the colour.

    Parameters
    ----------
    stack
        From `correct_stack`.
    labels
        Cells, shape (t, z, y, x), 0 is background.
    params
        How pixels are pooled.

    Returns
    -------
    signatures
        One row per (frame, cell); see `tables.CELLS`. Intensities are in detector counts.

    Raises
    ------
    DataError
        If labels and stack differ in shape, the stack is not corrected, or has not 2 to 7 markers.
    """
    _check(stack, labels)
    frames = [_measure_frame(stack, np.asarray(labels[t]), t, params) for t in range(stack.n_frames)]
    return pd.concat(frames, ignore_index=True)


def unmix(raw: Array, variance: Array, mixing: Array) -> tuple[Array, Array]:
    """Undo bleed-through, weighted by noise.

    Parameters
    ----------
    raw, variance
        Intensities in each detector and their variances, shape (n, d).
    mixing
        Detectors by markers, shape (d, m), d at least m.

    Returns
    -------
    signature, covariance
        Shapes (n, m) and (n, m, m).
    """
    weight = 1 / variance  # (n, d)
    covariance = np.linalg.inv(np.einsum("dm,nd,dk->nmk", mixing, weight, mixing))
    signature = np.einsum("nmk,dk,nd,nd->nm", covariance, mixing, weight, raw, optimize=True)
    return signature, covariance


def _measure_frame(stack: Stack, labels: Labels, t: int, params: SignatureParams) -> pd.DataFrame:
    markers = stack.markers
    channel = [stack.channels.index(name) for name in markers]
    pixel_um = stack.pixel_size_um or 1.0
    z_um = stack.z_step_um or pixel_um
    volume = labels.shape[0] > 1
    members = _members(labels, params)
    n = len(members.cells)
    n_px = np.bincount(members.index, minlength=n).astype(float)

    n_core = members.total(members.core.astype(float))
    small = n_core < params.min_core_px
    used = members.core | small[members.index]
    n_used = np.maximum(members.total(used.astype(float)), 1)

    raw, variance = np.empty((n, len(markers))), np.empty((n, len(markers)))
    saturated = np.zeros(n, bool)
    counts = np.stack([stack.pixels[t, c][members.place] for c in channel], axis=1)  # (p, m)
    for j, c in enumerate(channel):
        light = surrounding_light(stack.pixels[t, c], labels, params.surroundings_um / pixel_um)
        haze = members.total(light[members.place], used) / n_used
        raw[:, j] = members.total(counts[:, j], used) / n_used - haze
        variance[:, j] = members.total(stack.variance[t, c][members.place], used) / n_used**2
        variance[:, j] += background_variance(stack.pixels[t, c], stack.variance[t, c], labels, n_px)
        near = members.total(
            neighbouring_light(stack.pixels[t, c], params.surroundings_um / pixel_um)[members.place], used
        )
        variance[:, j] += (HAZE_ERROR * haze) ** 2 + (params.spill * near / n_used) ** 2
        if stack.saturated is not None:
            share = members.total(stack.saturated[t, c][members.place].astype(float)) / np.maximum(n_px, 1)
            saturated |= share > params.saturated_share
    mixing = _mixing(stack, markers)
    signature, _ = unmix(raw, variance, mixing)
    leak = params.bleed_error * (mixing - np.diag(np.diag(mixing)))
    signature, covariance = unmix(raw, variance + np.maximum(signature, 0) ** 2 @ (leak**2).T, mixing)

    table: dict[str, Any] = {"frame": np.full(n, t), "cell": members.cells}
    for name, place, unit in zip(
        ("z_um", "y_um", "x_um"), members.place, (z_um, pixel_um, pixel_um), strict=True
    ):
        table[name] = members.total(place) / np.maximum(n_px, 1) * unit
    if volume:
        table["volume_um3"] = n_px * pixel_um**2 * z_um
    else:
        table["area_um2"] = n_px * pixel_um**2
    table |= colour_columns(markers, signature, covariance)
    for j, name in enumerate(markers):
        table[f"{name}_raw"] = raw[:, j]
    if NUCLEUS in stack.channels:
        stain = stack.pixels[t, stack.channels.index(NUCLEUS)][members.place]
        table["nucleus_intensity"] = members.total(stain) / np.maximum(n_px, 1)
    table["touches_border"] = np.isin(members.cells, _at_border(labels))
    table["saturated"] = saturated
    table["small"] = small
    table["doublet"] = _doublets(members, counts, n_px, params)
    return pd.DataFrame(table)


def colour_columns(markers: tuple[str, ...], signature: Array, covariance: Array) -> dict[str, Array]:
    """Columns of `tables.CELLS` that tell a colour: intensity, error, fractions, brightness, SNR."""
    columns = {}
    for j, name in enumerate(markers):
        columns[name] = signature[:, j]
        columns[f"{name}_se"] = np.sqrt(covariance[:, j, j])
    for (i, a), (j, b) in combinations(enumerate(markers), 2):
        columns[f"cov_{a}_{b}"] = covariance[:, i, j]
    brightness = signature.sum(1)
    columns["brightness"] = brightness
    columns["snr"] = brightness / np.sqrt(covariance.sum((1, 2)))
    positive = np.maximum(signature, 0)
    total = positive.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        for j, name in enumerate(markers):
            columns[f"{name}_fraction"] = np.where(total > 0, positive[:, j] / total, np.nan)
    return columns


def surrounding_light(pixels: Any, labels: Labels, distance: float) -> NDArray[np.float32]:
    """Light in the gaps around each pixel: what shines from neighbours into the cell too.

    Parameters
    ----------
    pixels, labels
        Corrected counts and cells of one frame, shape (z, y, x).
    distance
        Standard deviation of the weights, px. Where no gap is near, the light is taken to be less, down to
        none.

    Returns
    -------
    light
        Counts, shape (z, y, x), never below 0.
    """
    light = np.zeros(labels.shape, np.float32)
    if distance == 0:
        return light
    for z, plane in enumerate(labels):
        gap = cv2.erode((plane == 0).astype(np.uint8), np.ones((5, 5), np.uint8)).reshape(plane.shape) > 0
        if not gap.any():
            continue
        # a speck of debris is no haze
        value = np.where(gap, np.minimum(pixels[z], np.percentile(pixels[z][gap], 98)), 0).astype(np.float32)
        total, weight = (
            cv2.GaussianBlur(image, (0, 0), distance).reshape(plane.shape)
            for image in (value, gap.astype(np.float32))
        )
        light[z] = np.maximum(total / (weight + 0.02), 0)
    return light


def neighbouring_light(pixels: Any, distance: float) -> NDArray[np.float32]:
    """Mean light around each pixel (z, y, x), weights falling off over a distance in px; never below 0."""
    if distance == 0:
        return np.zeros(pixels.shape, np.float32)
    light = [cv2.GaussianBlur(plane, (0, 0), distance).reshape(plane.shape) for plane in pixels]
    return np.maximum(np.stack(light), 0)


def background_variance(pixels: Any, variance: Any, labels: Labels, n_px: Array) -> float:
    """Variance of what is left of the background, at the size of a typical cell, counts².

    The mean over a cell-sized window of background differs from window to window by more than pixel noise
    explains; the excess is what a cell's intensity cannot be sure of.
    """
    side = max(3, int(np.sqrt(np.median(n_px)))) if len(n_px) else 15
    excess = []
    for z in range(labels.shape[0]):
        away = cv2.erode((labels[z] == 0).astype(np.uint8), np.ones((5, 5), np.uint8))
        away = away.reshape(labels.shape[1:]).astype(np.float32)
        share = cv2.blur(away, (side, side)).reshape(away.shape)
        grid = (slice(side // 2, None, side), slice(side // 2, None, side))
        full = share[grid] > 0.5
        if int(full.sum()) < 8:
            continue
        mean = (
            cv2.blur(pixels[z] * away, (side, side)).reshape(away.shape)[grid] / np.maximum(share[grid], 1e-3)
        )[full]
        spread = (1.4826 * np.median(np.abs(mean - np.median(mean)))) ** 2
        noise = np.median(variance[z][away > 0]) / (side**2 * float(share[grid][full].mean()))
        excess.append(max(0.0, spread - noise) + float(np.median(mean)) ** 2)
    if excess:
        return float(np.median(excess))
    # no window of background in sight: as unsure as a twentieth of the darkest pixels' noise
    return float(0.05 * np.percentile(variance, 5))


def _members(labels: Labels, params: SignatureParams) -> _Members:
    """Pixels of each cell, and which are core."""
    place = np.nonzero(labels)
    ids = labels[place]
    cells, index = np.unique(ids, return_inverse=True)
    n_px = np.bincount(index, minlength=len(cells))
    depth = _depth_in_cell(labels)[place]
    # radius of a disc of the same area; in volumes, of the mean cross-section
    planes = np.ones(len(cells))
    if labels.shape[0] > 1:
        seen = np.unique(np.stack([index, place[0]]), axis=1)
        planes = np.bincount(seen[0], minlength=len(cells)).astype(float)
    radius = np.sqrt(n_px / np.maximum(planes, 1) / np.pi)
    core = depth > np.maximum(1.0, params.core * radius)[index]
    return _Members(cells.astype(np.int64), index.astype(np.int64), place, core)


def _depth_in_cell(labels: Labels) -> NDArray[np.float32]:
    """Distance in the plane from each pixel to the outline of its own cell, pixels."""
    depth = np.empty(labels.shape, np.float32)
    for z, plane in enumerate(labels):
        inner = plane > 0
        inner[1:] &= plane[1:] == plane[:-1]
        inner[:-1] &= plane[1:] == plane[:-1]
        inner[:, 1:] &= plane[:, 1:] == plane[:, :-1]
        inner[:, :-1] &= plane[:, 1:] == plane[:, :-1]
        if inner.all():
            depth[z] = min(plane.shape)
        else:
            depth[z] = cv2.distanceTransform(inner.astype(np.uint8), cv2.DIST_L2, 5).reshape(plane.shape)
    return depth


def _doublets(members: _Members, counts: Any, n_px: Array, params: SignatureParams) -> NDArray[np.bool_]:
    """Cells whose two halves hold two colours.

    Pixels of a cell are parted by the sign of their colour along the axis of largest colour variance. Noise
    parts them everywhere; two cells taken for one part them in space.
    """
    n, m = len(members.cells), counts.shape[1]
    if n == 0:
        return np.zeros(0, bool)
    y, x = members.place[1].astype(float), members.place[2].astype(float)
    local = _smooth_within(members, counts)  # (p, m)
    total = np.maximum(local, 0).sum(1)
    fraction = np.maximum(local, 0) / np.maximum(total, 1e-9)[:, None]
    weight = total * members.core
    norm = np.maximum(members.total(weight), 1e-9)
    mean = np.stack([members.total(fraction[:, j] * weight) / norm for j in range(m)], 1)
    off = fraction - mean[members.index]
    spread = np.empty((n, m, m))
    for i in range(m):
        for j in range(i, m):
            spread[:, i, j] = spread[:, j, i] = members.total(off[:, i] * off[:, j] * weight) / norm
    axis = np.linalg.eigh(spread)[1][:, :, -1]  # (n, m)
    side = np.einsum("pm,pm->p", off, axis[members.index]) > 0
    halves = []
    for half in (side & members.core, ~side & members.core):
        size = np.maximum(members.total(half.astype(float)), 1)
        colour = np.stack([members.total(fraction[:, j] * half) / size for j in range(m)], 1)
        halves.append((size, colour, members.total(y * half) / size, members.total(x * half) / size))
    (size_a, colour_a, ya, xa), (size_b, colour_b, yb, xb) = halves
    apart = np.hypot(ya - yb, xa - xb) > 0.45 * np.sqrt(n_px / np.pi)
    differ = np.sqrt(((colour_a - colour_b) ** 2).sum(1)) > params.doublet_distance
    even = np.minimum(size_a, size_b) > 0.2 * (size_a + size_b)
    return apart & differ & even & (size_a + size_b >= 2 * params.min_core_px)


def _smooth_within(members: _Members, counts: Any) -> Any:
    """Mean over 5 x 5 neighbours of the same mask, per marker, shape (p, m)."""
    z, y, x = members.place
    shape = (int(z.max()) + 1, int(y.max()) + 1, int(x.max()) + 1)
    weight = np.zeros(shape, np.float32)
    weight[members.place] = 1
    share = ndi.uniform_filter(weight, (1, 5, 5), mode="constant")[members.place]
    smooth = np.empty(counts.shape, np.float32)
    for j in range(counts.shape[1]):
        image = np.zeros(shape, np.float32)
        image[members.place] = counts[:, j]
        smooth[:, j] = ndi.uniform_filter(image, (1, 5, 5), mode="constant")[members.place] / share
    return smooth


def _at_border(labels: Labels) -> NDArray[np.uint32]:
    sides = [labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
    if labels.shape[0] > 1:
        sides += [labels[0], labels[-1]]
    return np.unique(np.concatenate([side.ravel() for side in sides]))


def _mixing(stack: Stack, markers: tuple[str, ...]) -> Array:
    """Bleed-through as an array, rows and columns in marker order."""
    if stack.bleed_through is None:
        return np.eye(len(markers))
    return stack.bleed_through.loc[list(markers), list(markers)].to_numpy(float)


def _check(stack: Stack, labels: Labels) -> None:
    expected = (stack.n_frames, *stack.pixels.shape[2:])
    if np.shape(labels) != expected:
        raise DataError(
            f"{stack.source}: labels have shape {np.shape(labels)}, the stack has (t, z, y, x) = {expected}: "
            f"give one label for each pixel"
        )
    if stack.variance is None:
        raise DataError(f"{stack.source}: the noise of the stack is not known: call correct_stack first")
    if not 2 <= len(stack.markers) <= 7:
        raise DataError(
            f"{stack.source}: {len(stack.markers)} markers ({', '.join(stack.markers)}): 2 to 7 are needed"
        )
