"""What a cell's surroundings add to its light, and how unsure that is."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rgbtrack.signature.colour import Array
from rgbtrack.signature.members import Labels
from rgbtrack.stack import Detector
from rgbtrack.threads import over_bands

HAZE_ERROR = 0.5
"""How far the haze on a cell may differ from that in the gaps around it, share."""
FAR = 0.02
"""With less than this share of gaps around, haze is taken to be less than that in the gaps."""
LEAST_GAPS = 0.01
"""Of a field without gaps, the share of pixels that the background is read from all the same."""
SAMPLE_PX = 150_000
Image = NDArray[np.float32]


def find_gaps(labels: Labels) -> NDArray[np.uint8]:
    """1 where no cell is within two pixels in the plane, shape (z, y, x)."""
    gaps = np.empty(labels.shape, np.uint8)
    square = np.ones((5, 5), np.uint8)

    def work(z: int, _: int) -> None:
        np.equal(labels[z], 0, out=gaps[z], casting="unsafe")
        gaps[z] = cv2.erode(gaps[z], square).reshape(gaps[z].shape)

    over_bands(work, len(labels), len(labels))
    return gaps


def light_grid(
    pixels: Any, channel: list[int], gaps: NDArray[np.uint8], distance: float
) -> tuple[Image, Image, int]:
    """Light around each pixel on a grid of blocks of so many pixels, shape (z, rows, columns, 2 m).

    The second array, (z, rows, columns), is the share of a pixel's noise variance that the haze has.

    For each channel two images. Haze: the light in the gaps, which shines from neighbours into the cell too;
    where no gap is near it is taken to be less, down to none. Nearby light: the mean of all. Weights are
    Gaussian; neither is ever below 0.

    Parameters
    ----------
    pixels
        Corrected counts of one frame, shape (c, z, y, x).
    channel
        Channels to use, m of them.
    gaps
        From `find_gaps`.
    distance
        Standard deviation of the weights, px; 0 for no light at all.
    """
    from rgbtrack.grids import shrink_rows
    from rgbtrack.signature.kernels import gap_rows

    planes, height, width = gaps.shape
    if distance == 0:
        none = np.zeros((planes, 1, 1, 2 * len(channel)), np.float32)
        return none, none[..., 0], max(height, width)
    factor = int(np.clip(distance / 3, 1, 4))
    # blocks and the way back from them blur too
    blur = (factor**2 - 1) / 12 + (factor**2 / 6 if factor > 1 else 0)
    sigma = float(np.sqrt(distance**2 - blur)) / factor
    shape = (-(-height // factor), -(-width // factor))
    light = np.zeros((planes, *shape, 2 * len(channel)), np.float32)

    def share_of(z: int, _: int) -> Image:
        share = np.empty(shape, np.float32)
        shrink_rows(gaps[z], factor, 0, shape[0], share)
        return _blur(share, sigma)

    def work(i: int, _: int) -> None:
        z, j = divmod(i, len(channel))
        plane, top = pixels[channel[j], z], 0.0
        image, mean = np.empty(shape, np.float32), np.empty(shape, np.float32)
        seen = _sample(plane, gaps[z])
        if len(seen):
            # a speck of debris is no haze
            top = _percentile(seen, 98)
        gap_rows(plane, gaps[z], top, factor, 0, shape[0], image, mean)
        light[z, ..., 2 * j] = np.maximum(_blur(image, sigma) / (shares[z] + FAR), 0)
        light[z, ..., 2 * j + 1] = np.maximum(_blur(mean, sigma), 0)

    shares = over_bands(share_of, planes, planes)
    n = planes * len(channel)
    over_bands(work, n, n)
    seen = np.stack(shares)
    # a Gaussian mean is over 4 pi sigma² pixels, of which so many are gaps
    noise = (seen / (seen + FAR) ** 2 / (4 * np.pi * distance**2)).astype(np.float32)
    return light, noise, factor


def _blur(image: Image, sigma: float) -> Image:
    return cv2.GaussianBlur(image, (0, 0), sigma).reshape(image.shape)


def _percentile(values: Any, percent: int) -> float:
    rank = (len(values) - 1) * percent // 100
    return float(np.partition(values, rank)[rank])


def _sample(plane: Any, where: NDArray[np.uint8]) -> Any:
    """Values of a plane at some of the pixels that are not 0, from evenly spaced rows."""
    step = max(1, plane.size // SAMPLE_PX)
    return plane[::step][where[::step] > 0]


def level_noise(gaps: NDArray[np.uint8], distance: float) -> float:
    """Share of a pixel's noise variance in a background that was averaged over gaps, `distance` px wide."""
    share = np.count_nonzero(gaps) / gaps.size
    return 1 / (4 * np.pi * distance**2 * max(share, LEAST_GAPS))


def dark_variance(noise: Detector, channel: list[int], gaps: NDArray[np.uint8]) -> Array:
    """Typical noise variance of a pixel in the gaps of each plane, counts², shape (z, m).

    Of a plane without gaps, that of all its pixels.
    """
    step = max(1, gaps[0].size // SAMPLE_PX)

    def work(i: int, _: int) -> float:
        z, j = divmod(i, len(channel))
        seen = noise.sample(channel[j], z, step)
        inside = seen[gaps[z, ::step] > 0]
        return float(np.median(inside if len(inside) else seen))

    n = len(gaps) * len(channel)
    return np.reshape(over_bands(work, n, n), (len(gaps), len(channel)))


def background_variance(
    pixels: Any, noise: Detector, channel: list[int], gaps: NDArray[np.uint8], dark: Array, n_px: Array
) -> Array:
    """Variance of what is left of the background, at the size of a typical cell, counts², shape (m,).

    The mean over a cell-sized window of background differs from window to window by more than pixel noise
    explains; the excess is what a cell's intensity cannot be sure of.

    Parameters
    ----------
    pixels, noise
        Corrected counts (c, z, y, x), and detector, of one frame.
    channel
        Channels to use, m of them.
    gaps
        From `find_gaps`.
    dark
        From `dark_variance`.
    n_px
        Pixels of each cell.
    """
    from rgbtrack.signature.kernels import window_rows

    planes, height, width = gaps.shape
    side = max(3, int(np.sqrt(np.median(n_px)))) if len(n_px) else 15
    # windows that lie at least half in the image
    rows, columns = ((n + side - side // 2 - 1) // side for n in (height, width))

    def work(i: int, _: int) -> float:
        z, j = divmod(i, len(channel))
        share, mean = (np.empty((rows, columns), np.float32) for _ in range(2))
        window_rows(pixels[channel[j], z], gaps[z], side, share, mean)
        full = share > 0.5
        if int(full.sum()) < 8:
            return np.nan
        seen = mean[full]
        middle = float(np.median(seen))
        spread = float(1.4826 * np.median(np.abs(seen - middle))) ** 2
        typical = dark[z, j] / (side**2 * float(share[full].mean()))
        return max(0.0, spread - typical) + middle**2

    n = planes * len(channel)
    excess = np.reshape(over_bands(work, n, n), (planes, len(channel)))
    known = excess[~np.isnan(excess).any(axis=1)]
    if len(known):
        return np.asarray(np.median(known, axis=0), float)
    # no window of background in sight: as unsure as a twentieth of the darkest pixels' noise
    step = max(1, height * width * planes // SAMPLE_PX)
    return np.array(
        [0.05 * np.percentile([noise.sample(c, z, step) for z in range(planes)], 5) for c in channel]
    )
