"""Parts: pixels above noise, cut at every edge and at every neck; each cell is one part or several."""

from dataclasses import dataclass

import numba
import numpy as np

from rgbtrack.segment.edges import find_edges
from rgbtrack.segment.filters import Image, blur, distance_to, keep_large, open_mask
from rgbtrack.segment.outlines import Labels
from rgbtrack.segment.seeds import find_peaks
from rgbtrack.segment.watershed import flood
from rgbtrack.segment.working import Working
from rgbtrack.threads import over_bands

LEAST_EDGE = 15.0
"""Units per diameter: an edge counts from here on."""
LEAST_PIECE = 0.04
"""Of the area of a typical cell: smaller specks above noise are taken for noise."""
LEAST_RADIUS = 0.1
"""Of the typical diameter: what is narrower at its widest is the rim of something."""
SEED_DISTANCE = 0.12
"""Of the typical diameter: seeds are no nearer than this."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of cells.

    Attributes
    ----------
    labels
        From 1, 0 is background, shape (z, y, x).
    n
        Number of parts.
    gradient
        Units per pixel, shape (z, y, x).
    distance
        Distance to the nearest edge, pixels, shape (z, y, x).
    """

    labels: Labels
    n: int
    gradient: Image
    distance: Image


def find_parts(working: Working, min_snr: float, nuclei: Labels | None = None) -> Parts:
    """Cut what stands above noise into parts.

    Seeds are the maxima of the distance to the nearest edge; a watershed on gradient and distance gives each
    pixel to one of them. Too many parts do no harm: `joining` puts them together.

    Parameters
    ----------
    working
        The working image.
    min_snr
        Strength from which a pixel is looked at.
    nuclei
        Labels from 1, shape (z, y, x): each is a seed, and the part that grows from it keeps its number.
    """
    least = LEAST_PIECE * np.pi / 4 * working.diameter**2
    mask = open_mask(working.strength > min_snr)
    gradient, crest = find_edges(
        working.units, working.strength, working.spacing, LEAST_EDGE / working.diameter
    )
    # noise makes edges of a few pixels
    mask, edge = keep_large(mask, least), keep_large(crest, max(3, 0.25 * working.diameter))
    distance = distance_to(edge | ~mask, working.spacing, working.diameter)
    smooth = blur(distance, max(0.6, 0.05 * working.diameter), working.spacing)
    wide = mask & (smooth > LEAST_RADIUS * working.diameter)
    seeds = find_peaks(smooth, wide, SEED_DISTANCE * working.diameter, working.spacing)
    if nuclei is not None:
        n = int(nuclei.max(initial=0))
        seeds = np.where(nuclei > 0, nuclei, np.where(seeds > 0, seeds + n, 0)).astype(np.int32)
        mask |= nuclei > 0
    del crest, edge, wide  # memory, where it is needed most
    over_bands(
        lambda a, b: _to_landscape(gradient, np.float32(working.diameter), a, b, smooth),
        smooth.shape[0] * smooth.shape[1],
    )
    labels = flood(smooth, seeds, mask)
    return Parts(labels, int(seeds.max(initial=0)), gradient, distance)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _to_landscape(gradient, diameter, start, stop, smooth):  # type: ignore[no-untyped-def]
    """Distances to a landscape, in place: towards 1 on edges, 0 far from them."""
    height, width = gradient.shape[1:]
    scale, half, most = diameter / np.float32(10), np.float32(4), np.float32(0.6)
    scale_back = np.float32(1 / 1.6)
    for row in range(start, stop):
        slope, line = gradient[row // height, row % height], smooth[row // height, row % height]
        for x in range(width):
            steep = slope[x] * scale
            line[x] = (steep / (steep + half) - min(line[x] / diameter, most) + most) * scale_back
