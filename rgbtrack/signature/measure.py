"""The colour of each cell, and how sure it is."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.signature.colour import Array, colour_columns, unmix
from rgbtrack.signature.doublets import find_doublets
from rgbtrack.signature.members import Labels, find_members
from rgbtrack.signature.params import SignatureParams
from rgbtrack.signature.surroundings import (
    HAZE_ERROR,
    background_variance,
    neighbouring_light,
    surrounding_light,
)
from rgbtrack.stack import NUCLEUS, Stack


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


def _measure_frame(stack: Stack, labels: Labels, t: int, params: SignatureParams) -> pd.DataFrame:
    markers = stack.markers
    channel = [stack.channels.index(name) for name in markers]
    pixel_um = stack.pixel_size_um or 1.0
    z_um = stack.z_step_um or pixel_um
    volume = labels.shape[0] > 1
    members = find_members(labels, params)
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
    table["doublet"] = find_doublets(members, counts, n_px, params)
    return pd.DataFrame(table)


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
