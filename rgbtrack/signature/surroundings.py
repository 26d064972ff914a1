"""What a cell's surroundings add to its light, and how unsure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class Place(NamedTuple):
    """A frame, or a part of one.

    Attributes
    ----------
    pixels, noise
        Corrected counts (c, z, y, x), and detector.
    gaps
        From `find_gaps`.
    n_px
        Pixels of each cell.
    """

    pixels: Any
    noise: Detector
    gaps: NDArray[np.uint8]
    n_px: Array


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What the gaps between the cells of a frame are like.

    Attributes
    ----------
    top
        Light in gaps above which it is debris and no haze, counts, shape (z, m).
    dark
        Typical noise variance of a pixel, counts², shape (z, m).
    rest
        Variance of what is left of the background, at the size of a typical cell, counts², shape (m,).
    gaps
        Share of the frame.
    """

    top: Array
    dark: Array
    rest: Array
    gaps: float

    def level_noise(self, distance: float) -> float:
        """Share of a pixel's noise variance of a background averaged over gaps, `distance` px wide."""
        return 1 / (4 * np.pi * distance**2 * max(self.gaps, LEAST_GAPS))


def describe_surroundings(places: Sequence[Place], channel: list[int]) -> Surroundings:
    """Describe the gaps of a frame, of the whole or of some parts; `channel` are those to use, m of them."""
    dark = dark_variance(places, channel)
    covered = sum(np.count_nonzero(place.gaps) for place in places) / sum(place.gaps.size for place in places)
    return Surroundings(gap_tops(places, channel), dark, background_variance(places, channel, dark), covered)


def gap_tops(places: Sequence[Place], channel: list[int]) -> Array:
    """Light in gaps above which it is debris, shape (z, m)."""

    def work(i: int, _: int) -> float:
        z, j = divmod(i, len(channel))
        seen = [_sample(place.pixels[channel[j], z], place.gaps[z]) for place in places]
        values = np.concatenate(seen)
        return _percentile(values, 98) if len(values) else 0.0

    planes = len(places[0].gaps)
    n = planes * len(channel)
    return np.reshape(over_bands(work, n, n), (planes, len(channel)))


def find_gaps(labels: Labels) -> NDArray[np.uint8]:
    """1 where no cell is within two pixels in the plane, shape (z, y, x)."""
    planes, height, _ = labels.shape
    gaps = np.empty(labels.shape, np.uint8)
    square = np.ones((5, 5), np.uint8)

    def work(start: int, stop: int) -> None:
        low, high = max(0, start - 2), min(height, stop + 2)
        for z in range(planes):
            empty = (labels[z, low:high] == 0).view(np.uint8)
            gaps[z, start:stop] = cv2.erode(empty, square).reshape(empty.shape)[start - low : stop - low]

    over_bands(work, height)
    return gaps


def light_grid(
    pixels: Any, channel: list[int], gaps: NDArray[np.uint8], tops: Array, distance: float
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
    tops
        From `gap_tops`.
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
    light = np.empty((planes, *shape, 2 * len(channel)), np.float32)
    seen = np.empty((planes, *shape), np.float32)

    def average(start: int, stop: int) -> None:
        for z in range(planes):
            shrink_rows(gaps[z], factor, start, stop, seen[z])
            for j, c in enumerate(channel):
                haze, near = light[z, ..., 2 * j], light[z, ..., 2 * j + 1]
                gap_rows(pixels[c, z], gaps[z], tops[z, j], factor, start, stop, haze, near)

    def smooth_share(z: int, _: int) -> None:
        seen[z] = _blur(seen[z], sigma)

    def smooth(i: int, _: int) -> None:
        z, k = divmod(i, light.shape[-1])
        image = _blur(np.ascontiguousarray(light[z, ..., k]), sigma)
        if k % 2 == 0:
            image /= seen[z] + FAR
        np.maximum(image, 0, out=light[z, ..., k])

    over_bands(average, shape[0])
    over_bands(smooth_share, planes, planes)
    n = planes * light.shape[-1]
    over_bands(smooth, n, n)
    # a Gaussian mean is over 4 pi sigma² pixels, of which so many are gaps
    noise = (seen / (seen + FAR) ** 2 / (4 * np.pi * distance**2)).astype(np.float32)
    return light, noise, factor


def _blur(image: Image, sigma: float) -> Image:
    return cv2.GaussianBlur(image, (0, 0), sigma).reshape(image.shape)


def _percentile(values: Any, percent: int) -> float:
    rank = (len(values) - 1) * percent // 100
    return float(np.partition(values, rank)[rank])


def _median(values: Any) -> float:
    """As numpy's, which is slower where many values are equal."""
    ordered = np.sort(values)
    return float((ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2)


def _sample(plane: Any, where: NDArray[np.uint8]) -> Any:
    """Values of a plane at some of the pixels that are not 0, from evenly spaced rows."""
    step = max(1, plane.size // SAMPLE_PX)
    return plane[::step][where[::step] > 0]


def dark_variance(places: Sequence[Place], channel: list[int]) -> Array:
    """Typical noise variance of a pixel in the gaps of each plane, counts², shape (z, m).

    Of a plane without gaps, that of all its pixels.
    """

    def work(i: int, _: int) -> float:
        z, j = divmod(i, len(channel))
        steps = [max(1, place.gaps[0].size // SAMPLE_PX) for place in places]
        seen = [place.noise.sample(channel[j], z, step) for place, step in zip(places, steps, strict=True)]
        inside = np.concatenate(
            [all_[place.gaps[z, ::step] > 0] for all_, place, step in zip(seen, places, steps, strict=True)]
        )
        return _median(inside if len(inside) else np.concatenate([all_.ravel() for all_ in seen]))

    planes = len(places[0].gaps)
    n = planes * len(channel)
    return np.reshape(over_bands(work, n, n), (planes, len(channel)))


def background_variance(places: Sequence[Place], channel: list[int], dark: Array) -> Array:
    """Variance of what is left of the background, at the size of a typical cell, counts², shape (m,).

    The mean over a cell-sized window of background differs from window to window by more than pixel noise
    explains; the excess is what a cell's intensity cannot be sure of. `dark` is from `dark_variance`.
    """
    n_px = np.concatenate([place.n_px for place in places])
    side = max(3, int(np.sqrt(np.median(n_px)))) if len(n_px) else 15

    planes = len(places[0].gaps)
    windows = [_windows(place, channel, side) for place in places]

    def work(i: int, _: int) -> float:
        z, j = divmod(i, len(channel))
        # windows that lie at least half in the gaps
        means = [mean[j, z][share[z] > 0.5] for share, mean in windows]
        shares = [share[z][share[z] > 0.5] for share, _ in windows]
        seen = np.concatenate(means)
        if len(seen) < 8:
            return np.nan
        middle = _median(seen)
        spread = (1.4826 * _median(np.abs(seen - middle))) ** 2
        typical = dark[z, j] / (side**2 * float(np.concatenate(shares).mean()))
        return max(0.0, spread - typical) + middle**2

    n = planes * len(channel)
    excess = np.reshape(over_bands(work, n, n), (planes, len(channel)))
    known = excess[~np.isnan(excess).any(axis=1)]
    if len(known):
        return np.asarray(np.median(known, axis=0), float)
    # no window of background in sight: as unsure as a twentieth of the darkest pixels' noise
    size = sum(place.gaps.size for place in places)
    step = max(1, size // SAMPLE_PX)
    return np.array(
        [
            0.05
            * np.percentile(
                np.concatenate(
                    [place.noise.sample(c, z, step).ravel() for place in places for z in range(planes)]
                ),
                5,
            )
            for c in channel
        ]
    )


def _windows(place: Place, channel: list[int], side: int) -> tuple[Image, Image]:
    """Share of gaps in windows of side x side pixels that lie at least half in the image, (z, rows, columns).

    The second array, (m, z, rows, columns), is the mean of the light in those gaps.
    """
    from rgbtrack.signature.kernels import window_rows

    planes = len(place.gaps)
    rows, columns = ((n + side - side // 2 - 1) // side for n in place.gaps.shape[1:])
    share = np.empty((planes, rows, columns), np.float32)
    mean = np.empty((len(channel), *share.shape), np.float32)
    index = np.array(channel)
    over_bands(
        lambda a, b: window_rows(place.pixels, place.gaps, index, side, a, b, share, mean), planes * rows
    )
    return share, mean
