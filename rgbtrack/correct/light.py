"""What one image tells of the illumination it was taken under: its background, and its cells.

A field of light is ``f = 1 + sum_k beta_k phi_k``, with phi_k products of Legendre polynomials of mean 0 and
mean square 1 over the image. Whatever an image tells is put as normal equations in beta, so that images are
pooled by adding.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray

from rgbtrack.correct.background import background_grid, gaussian, shrink_plane
from rgbtrack.correct.noise import Image, NoiseModel

Floats = NDArray[np.float64]
DEGREE = 4
ORDERS = [(a, n - a) for n in range(1, DEGREE + 1) for a in range(n + 1)]
"""Degree in y and in x of each phi_k: n + 1 of each degree n."""
DEGREES = np.array([a + b for a, b in ORDERS])
BRIGHT = 6.0
"""Light counts as a cell's above so many noise standard deviations."""
SAMPLE = 128
"""Rows or columns, about, at which the light of cells is looked at."""
ENOUGH = 0.03
"""Share of the field that must be bright for an image to count in full."""
_CLIP = 1.5  # spreads of log light from the middle beyond which a pixel pulls no harder


@dataclass(frozen=True, eq=False)
class Seen:
    """One image on a coarse grid.

    Attributes
    ----------
    background
        Local background, counts, shape (rows, columns).
    known
        Share of empty pixels around, from which the background was read, same shape.
    haze
        Light of cells around, near and far, counts above background, shape (2, rows, columns).
    cells
        Light above background, means over blocks of pixels, counts.
    noise
        Standard deviation of the noise of `cells`, same shape.
    """

    background: Floats
    known: Floats
    haze: Floats
    cells: Image
    noise: Image


def polynomials(shape: tuple[int, ...]) -> Floats:
    """All phi_k at the centres of a grid that covers the image, shape (k, rows, columns).

    >>> phi = polynomials((64, 64))
    >>> bool(abs((phi**2).mean() - 1) < 0.01)
    True
    """
    along_y, along_x = (_legendre(n) for n in shape)
    return np.stack([along_y[:, a, None] * along_x[None, :, b] for a, b in ORDERS])


def field(beta: Floats, shape: tuple[int, int], window: tuple[slice, slice] = (slice(None),) * 2) -> Image:
    """Light ``1 + sum_k beta_k phi_k`` at each pixel, shape (y, x), or at some rows and columns."""
    table = np.zeros((DEGREE + 1, DEGREE + 1))
    table[0, 0] = 1
    for (a, b), one in zip(ORDERS, beta, strict=True):
        table[a, b] = one
    along_y, along_x = (_legendre(n)[cut] for n, cut in zip(shape, window, strict=True))
    return np.asarray((along_y @ table) @ along_x.T, np.float32)  # rounded last: any window gives the same


def blurred_polynomials(shape: tuple[int, int], sigma: float) -> Floats:
    """All phi_k as a Gaussian mean sees them, flatter towards the edges; shape (k, rows, columns)."""
    return np.stack([gaussian(one.astype(np.float32), sigma) for one in polynomials(shape)]).astype(float)


def _legendre(n: int) -> Floats:
    """Polynomials of mean square 1 at the centres of n pixels, shape (n, degree + 1)."""
    at = (np.arange(n) + 0.5) / n * 2 - 1
    return np.asarray(legendre.legvander(at, DEGREE) * np.sqrt(2 * np.arange(DEGREE + 1) + 1))


def see(image: NDArray[Any], noise: NoiseModel, window_px: float) -> Seen:
    """Part one image, shape (y, x), counts, into background, haze and cells."""
    background, _ = background_grid(image, noise, window_px)
    shrink = int(np.clip(round(window_px / 32), 1, 8))
    small = shrink_plane(image, shrink)
    under = cv2.resize(background, small.shape[::-1], interpolation=cv2.INTER_LINEAR).reshape(small.shape)
    cells = small - under
    variance = noise.variance(under) / shrink**2
    noisy = np.sqrt(variance)
    bright = np.where(cells > 3 * noisy, np.minimum(cells, np.quantile(cells, 0.995)), 0).astype(np.float32)
    gaps = (np.abs(cells) < 3 * noisy).astype(np.float32)
    around = window_px / 4 / shrink  # as wide as the background was averaged
    share = gaussian(gaps, around)
    size = background.shape[::-1]
    haze = [gaussian(gaps * gaussian(bright, s), around) / (share + 1e-3) for s in (around / 2, 2 * around)]
    grids = [cv2.resize(light, size, interpolation=cv2.INTER_AREA) for light in (share, *haze)]
    known, *haze = (one.reshape(background.shape) for one in grids)
    step = max(1, min(cells.shape) // SAMPLE)  # clones are many pixels wide: each n-th tells as much
    few = (slice(step // 2, None, step),) * 2
    return Seen(
        background.astype(float), known.astype(float), np.stack(haze).astype(float), cells[few], noisy[few]
    )


def haze_shares(seen: list[Seen], phi: Floats) -> Floats:
    """Share of the cells' light around that lies on the background, shape (2,), common to all images.

    Least squares on what the polynomials leave of both, so that no field of light is taken for haze.
    """
    normal, right = np.zeros((2, 2)), np.zeros(2)
    flat = np.vstack([np.ones((1, phi[0].size)), phi.reshape(len(phi), -1)]).T  # (pixels, 1 + k)
    for one in seen:
        root = np.sqrt(one.known.ravel() + 1e-6)
        ends, _ = np.linalg.qr(flat * root[:, None])
        both = np.vstack([one.haze.reshape(2, -1), one.background.reshape(1, -1)]).T * root[:, None]
        both = both - ends @ (ends.T @ both)  # (pixels, 3)
        light, level = both[:, :2], both[:, 2]
        # an image counts by its pixels, not by how bright its cells are
        scale = 1 / max(float((level**2).mean()), 1e-12)
        normal += scale * light.T @ light
        right += scale * light.T @ level
    trace = float(np.trace(normal))
    return np.asarray(np.linalg.solve(normal + (1e-3 * trace + 1e-12) * np.eye(2), right)) if trace else right


class Score(NamedTuple):
    """Normal equations ``A gamma = r`` of one image's background, counts.

    Attributes
    ----------
    normal, right
        A, shape (k, k), and r, shape (k,); gamma is beta times `light`.
    haze
        What r would be of the haze that was taken off.
    light
        Of the background over the dark level, without haze, where no polynomial adds any.
    """

    normal: Floats
    right: Floats
    haze: Floats
    light: float


def background_score(one: Seen, shares: Floats, dark: float, phi: Floats) -> Score:
    """Score one image's background.

    Haze is light of cells that passed the illumination already: it is taken off as it was seen. Pixels count
    by how much background there is around.
    """
    haze = np.tensordot(shares, one.haze, 1).ravel()
    level = one.background.ravel() - haze
    weight = (one.known / max(float(one.known.mean()), 1e-6) + 1e-6).ravel()
    weight /= weight.sum()
    flat = phi.reshape(len(phi), -1)
    apart = flat - (flat @ weight)[:, None]
    normal = (apart * weight) @ apart.T
    right = (apart * weight) @ (level - weight @ level)
    gamma = np.linalg.solve(normal + 1e-3 * np.eye(len(flat)), right)
    light = float(weight @ level - gamma @ (flat @ weight)) - dark
    return Score(normal, right, (apart * weight) @ haze, light)


def cell_score(one: Seen, beta: Floats, phi: Floats) -> tuple[Floats, Floats] | None:
    """Normal equations ``A step = r`` at beta of the log light of one image's cells; None where it has none.

    Pixels are those bright enough to be seen in the darkest corner of the field, were they there: whether one
    is used does not hang on where it lies. Of a log light far from the middle the sign counts, so that one
    clone, a hundredfold brighter, pulls no harder than another.
    """
    field = 1 + np.tensordot(beta, phi, 1)
    even = one.cells / field
    used = even > BRIGHT * float((one.noise / field).max())
    if used.sum() < 50:
        return None
    light = np.log(even[used])
    light -= np.median(light)
    spread = max(1.4826 * float(np.median(np.abs(light))), 0.05)
    pull = np.clip(light, -_CLIP * spread, _CLIP * spread)
    inside = np.abs(light) < _CLIP * spread
    slope = phi[:, used] / field[used]  # (k, n)
    mean = slope[:, inside].mean(axis=1, keepdims=True)
    apart = slope - mean
    # images count alike once they hold enough cells
    share = 1 / (used.sum() + ENOUGH * used.size)
    normal = (apart[:, inside] @ apart[:, inside].T) * share
    return normal, apart @ (pull - pull[inside].mean()) * share
