"""Cells from a corrected stack."""

from dataclasses import dataclass, field

import numpy as np
from skimage.segmentation import watershed

from rgbtrack.errors import DataError
from rgbtrack.segment.diameter import estimate_diameter
from rgbtrack.segment.filters import Image, blur, colour_edges, distance_inside, local_maximum, tidy
from rgbtrack.segment.methods import run_method, typical_diameter
from rgbtrack.segment.noise import background_spread, noise_after, noise_units, rounding
from rgbtrack.segment.params import OURS, SegmentParams
from rgbtrack.segment.reject import Labels, reject
from rgbtrack.segment.seeds import find_nuclei, find_peaks, join_seeds
from rgbtrack.stack import NUCLEUS, Stack


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Cells of a stack.

    Attributes
    ----------
    labels
        Cell ids from 1, 0 is background, shape (t, z, y, x). Each frame counts anew.
    diameter_um
        The diameter used; of other methods than our own, the median of what was found.
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
        If the stack is not corrected, or another method fails.
    ParamError
        If there is no such method.

    Notes
    -----
    The above is our own method; ``params.method`` names others, see `rgbtrack.segment.methods`.
    """
    return find_cells(stack, params).labels


def find_cells(stack: Stack, params: SegmentParams = SegmentParams()) -> Segmentation:  # noqa: B008
    """Find cells and tell what was set aside; see `segment_cells`."""
    if stack.variance is None or stack.gain is None:
        raise DataError(f"{stack.source}: the noise of the stack is not known: call correct_stack first")
    if params.method != OURS:
        found = run_method(stack, params)
        return Segmentation(found, params.diameter_um or typical_diameter(found, stack))
    pixel_um = stack.pixel_size_um or 1.0
    frames = [noise_units(stack, t) for t in range(stack.n_frames)]  # each (c, z, y, x)
    diameter_um = params.diameter_um or estimate_diameter(frames, stack) * pixel_um
    diameter_px = diameter_um / pixel_um
    if diameter_px < 3:
        raise DataError(
            f"{stack.source}: a cell of {diameter_um:g} um is {diameter_px:.1f} px wide at {pixel_um:g} "
            f"um/px: "
            f"check diameter_um and pixel_size_um; cells need at least 3 px"
        )
    if diameter_px > max(200, 4 * max(stack.pixels.shape[-2:])):
        raise DataError(
            f"{stack.source}: a cell of {diameter_um:g} um is {diameter_px:.0f} px at {pixel_um:g} um/px, "
            f"the image {stack.pixels.shape[-1]} px: check diameter_um and pixel_size_um"
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
    noise = noise_after(sigma, spacing, depth)
    strength = np.sqrt((np.maximum(smooth, 0) ** 2).sum(0))  # (z, y, x)
    # noise alone has a root mean square of sqrt(c / 2) over rectified channels
    wide = max(sigma, diameter / 6)
    wide_noise = noise_after(wide, spacing, depth)
    discs = np.stack([blur(channel, wide, spacing) for channel in units])
    reference = local_maximum(
        blur(strength, 0.1 * diameter, spacing), 0.6 * diameter, 0.15 * diameter, spacing
    )
    empty = strength < np.maximum(0.2 * reference, 3 * noise)
    spread = np.maximum(background_spread(discs, empty), rounding(stack, t))
    discs /= np.maximum(wide_noise, spread)[:, None, None, None]
    disc = np.sqrt((np.maximum(discs, 0) ** 2).sum(0))
    bright = (disc > np.sqrt(len(units) / 2) + params.min_snr) & (strength > 3 * noise)
    mask = bright & (strength > params.contrast * reference)
    nuclei = np.zeros_like(mask)
    for c in nucleus:
        nuclei |= find_nuclei(units[c], diameter, spacing, params)
    # a cell may hold its markers beside the nucleus: it is one cell, not a ring
    mask = tidy(mask | nuclei)

    # the edge of a nucleus is no edge of a cell
    colour = np.stack([blur(unit, 1.5 * sigma, spacing) for c, unit in enumerate(units) if c not in nucleus])
    edge = colour_edges(colour, 3 * noise_after(1.5 * sigma, spacing, depth), spacing) * (diameter / 20)
    border = edge > params.colour_edge
    inside = distance_inside(mask & ~border, spacing)
    distance = blur(inside + 0.5 * distance_inside(mask, spacing), 0.06 * diameter, spacing)
    seeds = find_peaks(distance, mask, 0.25 * diameter, spacing)
    if nuclei.any():
        centre = blur(distance_inside(nuclei, spacing), 0.06 * diameter, spacing)
        seeds, by_nucleus = join_seeds(find_peaks(centre, nuclei, 0.3 * diameter, spacing), seeds, mask)
        # around nuclei, pixels go to the nearest one on their side of a colour edge
        away = distance_inside(~nuclei, spacing)
        edge = np.where(away > 0.1 * diameter, edge, 0)
        distance = np.where(by_nucleus, -away, distance)
    labels = watershed(20 * edge - 10 * distance / diameter, seeds, mask=mask)
    return reject(labels.astype(np.uint32), strength, diameter, spacing, params)
