"""Seeds: one point or area in each part."""

from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from rgbtrack.segment.filters import Image
from rgbtrack.segment.runs import find_runs, write_runs
from rgbtrack.threads import over_bands

Seeds = NDArray[np.int32]


def find_peaks(image: Image, mask: NDArray[np.bool_], distance: float, spacing: float) -> Seeds:
    """Seeds at the local maxima of a smooth image, none nearer than `distance` to a higher one."""
    top = np.empty_like(image)
    for step in range(int(distance / spacing) + 1 if len(image) > 1 else 1):
        radius = max(1, round(float(np.sqrt(max(0.0, distance**2 - (step * spacing) ** 2)))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        wide = top if step == 0 else np.empty_like(image)

        def work(z: int, _: int, disc: Any = disc, wide: Image = wide) -> None:
            cv2.dilate(image[z], disc, dst=wide[z])

        over_bands(work, len(image), len(image))
        if 0 < step < len(image):
            np.maximum(top[step:], wide[:-step], out=top[step:])
            np.maximum(top[:-step], wide[step:], out=top[:-step])
    peaks = np.empty(image.shape, np.bool_)
    over_bands(lambda a, b: _peaks(image, top, mask, a, b, peaks), image.shape[0] * image.shape[1])
    runs = find_runs(peaks, 1, True)
    number = np.cumsum(runs.piece == np.arange(len(runs.piece)), dtype=np.int32)
    seeds = np.zeros(image.shape, np.int32)
    write_runs(seeds.reshape(-1), runs.begin, runs.end, number[runs.piece])
    return seeds


@numba.njit(cache=True, nogil=True)
def _peaks(image, top, mask, start, stop, peaks):  # type: ignore[no-untyped-def]
    height, width = image.shape[1:]
    for row in range(start, stop):
        z, y = row // height, row % height
        line, most, inside, found = image[z, y], top[z, y], mask[z, y], peaks[z, y]
        for x in range(width):
            found[x] = inside[x] & (line[x] >= most[x]) & (line[x] > 0)
