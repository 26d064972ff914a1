"""The colour of each cell, and how sure it is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.signature.colour import Array
from rgbtrack.signature.doublets import find_doublets
from rgbtrack.signature.members import Labels, Members, find_members
from rgbtrack.signature.params import SignatureParams
from rgbtrack.signature.shape import shape_columns
from rgbtrack.signature.surroundings import (
    HAZE_ERROR,
    Place,
    Surroundings,
    describe_surroundings,
    find_gaps,
    light_grid,
)
from rgbtrack.signature.unmixing import Readings, solve_colours
from rgbtrack.stack import NUCLEUS, Stack

BACKGROUND_UM = 20.0
"""Standard deviation of the window that `correct_stack` averages background over, with its defaults."""
SEEN = 1e-3
"""Haze of less than this share of the noise of a pixel is none."""


def measure_signatures(
    stack: Stack,
    labels: Labels,
    params: SignatureParams = SignatureParams(),  # noqa: B008
    surroundings: Surroundings | None = None,
) -> pd.DataFrame:
    """Measure each cell's colour signature.

    The intensity in a detector is the mean over the cell's core pixels. Its noise, which another exposure
    would show as scatter, is the sum of the pixels' noise variances over their number squared. What another
    exposure would repeat is kept apart, as systematic: what is left of the background at the size of a cell,
    of haze and of light that spills in, and bleed-through, whose coefficients are known to a share
    `SignatureParams.bleed_error`. With a bleed-through matrix A the markers are the weighted least squares
    solution ``x = S A' W r``, ``S = (A' W A)^-1``, W the inverse of all variances together.

    Parameters
    ----------
    stack
        From `correct_stack`.
    labels
        Cells, shape (t, z, y, x), 0 is background.
    params
        How pixels are pooled.
    surroundings
        What the gaps between the cells are like, where this is a part of an image, see `survey_surroundings`;
        None: as each frame tells.

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
    frames = [
        _measure_frame(stack, np.asarray(labels[t]), t, params, surroundings) for t in range(stack.n_frames)
    ]
    return pd.concat(frames, ignore_index=True)


def survey_surroundings(parts: Sequence[tuple[Stack, Labels]], params: SignatureParams) -> Surroundings:
    """Learn from parts of a frame what the gaps between its cells are like, for `measure_signatures`.

    Parameters
    ----------
    parts
        Corrected stacks of one frame, and cells (t, z, y, x).
    params
        How pixels are pooled.
    """
    places = []
    for stack, labels in parts:
        _check(stack, labels)
        members = find_members(np.asarray(labels[0]), params)
        places.append(_place(stack, 0, members))
    return describe_surroundings(places, _channels(parts[0][0]))


def _place(stack: Stack, t: int, members: Members) -> Place:
    noise = stack.noise
    assert noise is not None  # noqa: S101 - checked before
    return Place(_frame_pixels(stack, t), noise.frame(t), find_gaps(members.labels), members.n_px)


def _channels(stack: Stack) -> list[int]:
    return [stack.channels.index(name) for name in stack.markers]


def _measure_frame(
    stack: Stack, labels: Labels, t: int, params: SignatureParams, surroundings: Surroundings | None
) -> pd.DataFrame:
    from rgbtrack.signature import kernels

    markers = stack.markers
    pixel_um = stack.pixel_size_um or 1.0
    z_um = stack.z_step_um or pixel_um
    members = find_members(labels, params)
    n_px = members.n_px
    readings = _readings(stack, members, t, params, surroundings)
    full = _full_share(stack, members, t)
    # a full pixel may have been twice what it reads
    readings = readings._replace(systematic=readings.systematic + (full * readings.raw) ** 2)
    mixing = _mixing(stack, markers)

    table: dict[str, Any] = {"frame": np.full(len(n_px), t), "cell": members.cells}
    table |= shape_columns(members, pixel_um, z_um)
    table |= solve_colours(markers, readings, mixing, np.zeros_like(mixing), params)
    if NUCLEUS in stack.channels:
        stain = np.asarray(stack.pixels[t, stack.channels.index(NUCLEUS)])
        total = members.total((), lambda a, b, sums: kernels.stain_rows(members.labels, stain, a, b, sums))
        table["nucleus_intensity"] = total[members.rows] / n_px
    table["touches_border"] = _at_border(members)
    table["saturated"] = (full > params.saturated_share).any(axis=1)
    table["small"] = members.small[members.rows]
    channel = np.array([stack.channels.index(name) for name in markers])
    table["doublet"] = find_doublets(members, _frame_pixels(stack, t), channel, params)
    return pd.DataFrame(table)


def _readings(
    stack: Stack, members: Members, t: int, params: SignatureParams, surroundings: Surroundings | None
) -> Readings:
    """Mean of each marker's detector over the core of each cell, haze taken off, and how unsure it is."""
    from rgbtrack.signature import kernels

    channel, place = _channels(stack), _place(stack, t, members)
    pixels, noise, gaps, _ = place
    around = surroundings or describe_surroundings([place], channel)
    distance = params.surroundings_um / (stack.pixel_size_um or 1.0)
    light, haze_noise, factor = light_grid(pixels, channel, gaps, around.top, distance)
    dark = around.dark[len(around.dark) // 2]
    flat = np.empty((0, 0, 0), np.float32) if noise.flat is None else noise.flat
    fade = np.ones(noise.raw.shape[1:3], np.float32) if noise.fade is None else noise.fade[0]
    counts = np.ascontiguousarray(noise.raw[0])
    if counts.dtype not in (np.uint8, np.uint16):
        counts = counts.astype(np.float32)
    index = np.array(channel)

    def add(start: int, stop: int, sums: Any) -> None:
        kernels.sum_rows(
            members.core,
            pixels,
            counts,
            noise.gain,
            noise.intercept,
            flat,
            fade,
            index,
            light,
            factor,
            start,
            stop,
            sums,
        )

    sums = members.total((len(channel), 4), add)[members.rows]  # (n, m, 4)
    n_used = members.n_core[members.rows][:, None]
    haze = sums[..., kernels.HAZE] / n_used
    raw = sums[..., kernels.COUNTS] / n_used - haze
    middle = [members.shapes[members.rows, axis] / members.n_px for axis in (kernels.Z, kernels.Y, kernels.X)]
    z, y, x = (np.asarray(place, int) for place in (middle[0], middle[1] / factor, middle[2] / factor))
    variance = np.maximum(sums[..., kernels.VARIANCE] / n_used, noise.floor[channel]) / n_used
    level = around.level_noise(BACKGROUND_UM / (stack.pixel_size_um or 1.0))
    # each plane has a haze of its own: that of a ball averages over two thirds of its height
    step = (stack.z_step_um or 1.0) / (stack.pixel_size_um or 1.0)
    height = np.cbrt(6 / np.pi * n_used * step) / step * 2 / 3 if len(members.labels) > 1 else 1.0
    variance += (haze > SEEN * np.sqrt(dark)) * haze_noise[z, y, x][:, None] * dark / np.maximum(height, 1)
    variance += level * dark / np.maximum(height, 1)
    systematic = (
        around.rest + (HAZE_ERROR * haze) ** 2 + (params.spill * sums[..., kernels.NEAR] / n_used) ** 2
    )
    if noise.correlation is not None:
        variance = variance * noise.correlation[channel]
    shot = noise.gain[channel] * np.maximum(raw, 0) / n_used
    return Readings(raw, variance, systematic, np.maximum(variance - shot, 0.05 * variance))


def _frame_pixels(stack: Stack, t: int) -> NDArray[np.float32]:
    return np.ascontiguousarray(stack.pixels[t], np.float32)


def _full_share(stack: Stack, members: Members, t: int) -> Array:
    """Share of each cell's pixels that are at the detector's limit, for each marker, (n, m)."""
    share = np.zeros((len(members.rows), len(stack.markers)))
    limits = stack.limits
    for j, name in enumerate(stack.markers):
        c = stack.channels.index(name)
        if limits is None or np.isinf(limits.limit[c]):
            continue
        full = members.labels[limits.raw[t, c] >= limits.limit[c]]
        share[:, j] = np.bincount(full, minlength=len(members.shapes))[members.rows] / members.n_px
    return share


def _at_border(members: Members) -> NDArray[np.bool_]:
    labels = members.labels
    touches = np.zeros(len(members.shapes), bool)
    sides = [labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
    if labels.shape[0] > 1:
        sides += [labels[0], labels[-1]]
    for side in sides:
        touches[side] = True
    return touches[members.rows]


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
    if stack.noise is None:
        raise DataError(f"{stack.source}: the noise of the stack is not known: call correct_stack first")
    if not 2 <= len(stack.markers) <= 7:
        raise DataError(
            f"{stack.source}: {len(stack.markers)} markers ({', '.join(stack.markers)}): 2 to 7 are needed"
        )
