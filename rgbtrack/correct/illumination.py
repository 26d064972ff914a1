"""The illumination that the images of a batch share, from the images themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rgbtrack.correct.light import (
    DEGREES,
    Floats,
    Seen,
    background_score,
    blurred_polynomials,
    cell_score,
    field,
    haze_shares,
    polynomials,
    see,
)
from rgbtrack.correct.noise import Image, NoiseModel
from rgbtrack.errors import DataError

LEAST_IMAGES = 3
SURE = 0.01
"""Chance of taking even light for uneven, by noise alone."""
DISAGREE = 1e-3
"""Chance that background and cells seem to disagree, by noise alone."""
WORTH = 0.01
"""Light that is uneven by less than this (root mean square) is left as it is."""
PRIOR = np.array([0.0, 0.06, 0.08, 0.015, 0.015])[DEGREES]
"""Spread of the coefficients over microscopes, by degree: tilt, bowl, and little that is finer."""
_FLOOR = 0.002  # how exactly background or cells follow the illumination at best, per coefficient
_GAIN_ERROR = 0.08  # relative, of the detector's gain when it is estimated
_MULTIPLIER = 5.0  # counts a photo-electron above which a detector multiplies and has next to no read noise
_READ = 1.5  # electrons², of a camera; as unsure as a spread of 1
_HAZE_ERROR = 0.25  # relative, of the haze that is taken off the background
_RIDGE = 1e-3
# How far single images differ, usually, by degree, and what this belief weighs against the images
_BACKGROUND = np.array([0.0, 0.04, 0.015, 0.01, 0.01])[DEGREES]
_CELLS = np.full(len(DEGREES), 0.1)
_BELIEF = 4
_PASSES = 4


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one kind of light tells of the illumination.

    Attributes
    ----------
    beta, covariance
        Coefficients of the field of light, shape (k,), and (k, k); see `rgbtrack.correct.light`.
    n_images
        That told something; with 0 nothing is known.
    """

    beta: Floats
    covariance: Floats
    n_images: int

    @property
    def corners(self) -> float:
        """Light in the corners less light in the centre, as a share of the mean; -0.2: a fifth is lost."""
        return float(_CORNERS @ self.beta)

    @property
    def corners_se(self) -> float:
        """Standard error of `corners`."""
        return float(np.sqrt(_CORNERS @ self.covariance @ _CORNERS))


@dataclass(frozen=True, eq=False)
class Illumination:
    """Estimated illumination of one channel.

    Attributes
    ----------
    flat
        What to divide by, shape (y, x), mean 1; 1 everywhere where nothing is evident.
    dark, dark_se
        Counts without light, and their standard error; 0 where they were given.
    se
        Standard error of `flat`, root mean square over the field.
    evident
        Whether `flat` is to be divided out.
    reason
        Why, or why not, in words.
    background, cells, pooled
        What each kind of light tells, and both together.
    """

    flat: Image
    dark: float
    dark_se: float
    se: float
    evident: bool
    reason: str
    background: Evidence
    cells: Evidence
    pooled: Evidence

    @property
    def range(self) -> tuple[float, float]:
        """Least and most light of `flat`."""
        return float(self.flat.min()), float(self.flat.max())


def estimate_illumination(
    images: NDArray[Any],
    noise: NoiseModel,
    *,
    window_px: float,
    dark: float | None = None,
    group: NDArray[Any] | None = None,
) -> Illumination:
    """Estimate the illumination that images of one channel share.

    An image is ``dark + f (b + cells) + noise``, f the illumination. Its background over the dark level and the
    light of its cells are each fitted by ``f = 1 + sum beta_k phi_k``, polynomials of fourth degree; what
    differs from image to image (gradients, where cells lie, how bright they are) averages out, and how far
    it differs gives the errors. Both kinds of light are pooled by their precision with a prior that keeps the
    field smooth.

    Parameters
    ----------
    images
        Raw counts, shape (n, y, x); may be shrunken copies (means over blocks).
    noise
        Of these images: that of the camera's pixels, or for means over blocks of p pixels its gain, intercept
        and floor over p.
    window_px
        Window in which background may be taken as even, several cells wide, px of these images.
    dark
        Counts without light; None to estimate them from the noise, which then is an uncertain part of the
        answer.
    group
        Which images are of one field of view (frames, planes) and count once, shape (n,); None for none.

    Returns
    -------
    illumination
        Flat field, evidence and errors.

    Raises
    ------
    DataError
        If images are not (n, y, x), hold values that are not finite, or groups do not match them.

    Notes
    -----
    Background and cells can both mislead: tissue that always lies in the middle shines into its surroundings,
    stray light is shaded otherwise than cells are. Where they disagree, nothing is divided out. Coefficients
    of the background are in counts; what share of its light they are depends on the dark level, which comes
    from photon noise: ``variance = gain * light + read variance``.

    That light of many images averages to the illumination: Smith et al., Nature Methods 12 (2015) 404
    (CIDRE); Peng et al., Nature Communications 8 (2017) 14836 (BaSiC).

    Examples
    --------
    >>> from rgbtrack.correct import estimate_noise
    >>> from rgbtrack.simulate import simulate_scene
    >>> images = np.stack([simulate_scene("sparse", seed=i).stack.pixels[0, 2, 0] for i in range(4)])
    >>> found = estimate_illumination(images, estimate_noise(images), window_px=123)
    >>> found.evident, round(found.pooled.corners, 1)
    (True, -0.2)
    """
    images = np.asarray(images)
    fields = _check(images, group)
    shape = images.shape[1:]
    if len(np.unique(fields)) < LEAST_IMAGES:
        reason = f"{len(np.unique(fields))} fields of view: it takes {LEAST_IMAGES} to tell light from tissue"
        return _even(shape, np.nan if dark is None else dark, reason)
    seen = [see(image, noise, window_px) for image in images]
    level = float(np.median([np.median(one.background) for one in seen]))
    dark, dark_se = _dark_level(noise, level) if dark is None else (float(dark), 0.0)
    background = _from_background(seen, fields, (dark, dark_se), window_px / 4 / shape[0])
    pooled = _pool([background])
    cells = nothing = Evidence(np.zeros(len(DEGREES)), np.diag(np.full(len(DEGREES), np.inf)), 0)
    for _ in range(_PASSES):
        cells = _from_cells(seen, fields, pooled.beta) or nothing
        pooled = _pool([background, cells])
    evident, reason = _judge(background, cells, pooled)
    flat = field(pooled.beta if evident else 0 * pooled.beta, shape)
    se = float(np.sqrt(np.trace(pooled.covariance)))
    return Illumination(flat / flat.mean(), dark, dark_se, se, evident, reason, background, cells, pooled)


def _check(images: NDArray[Any], group: NDArray[Any] | None) -> NDArray[np.int64]:
    """Field of view of each image, from 0."""
    if images.ndim != 3 or images.size == 0:
        raise DataError(f"images have shape {images.shape}: give (n, y, x), one channel")
    if not np.isfinite(images).all():
        raise DataError("images hold pixels that are NaN or infinite: export them without")
    if group is None:
        return np.arange(len(images))
    if np.shape(group) != (len(images),):
        raise DataError(f"group has shape {np.shape(group)} for {len(images)} images: give one entry each")
    return np.asarray(np.unique(group, return_inverse=True)[1], np.int64)


def _even(shape: tuple[int, ...], dark: float, reason: str) -> Illumination:
    k = len(DEGREES)
    nothing = Evidence(np.zeros(k), np.diag(np.full(k, np.inf)), 0)
    prior = Evidence(np.zeros(k), np.diag(PRIOR**2), 0)
    return Illumination(
        np.ones(shape, np.float32),
        dark,
        0.0,
        float(np.sqrt((PRIOR**2).sum())),
        evident=False,
        reason=reason,
        background=nothing,
        cells=nothing,
        pooled=prior,
    )


def _dark_level(noise: NoiseModel, level: float) -> tuple[float, float]:
    """Counts without light and their standard error, from the noise of a background at some level."""
    gain = noise.gain
    variance = float(noise.variance(np.array([level], np.float32))[0])
    read = _READ if gain < _MULTIPLIER else 0.1 * _READ
    light = variance / gain - read * gain
    se = float(np.hypot(_GAIN_ERROR * variance / gain, read / _READ * gain))
    # a dark level is not below 0
    return float(np.clip(level - light, 0, level - min(se, level / 2))), se


def _from_background(
    seen: Sequence[Seen], fields: NDArray[np.int64], dark: tuple[float, float], blur: float
) -> Evidence:
    """Evidence of the background; dark level and its error, and the blur of it as a share of the height."""
    rows, columns = seen[0].background.shape
    phi = blurred_polynomials((rows, columns), blur * rows)
    shares = haze_shares(list(seen), phi)
    scores = [background_score(one, shares, dark[0], phi) for one in seen]
    lit = [i for i, score in enumerate(scores) if score.light > 0]
    if len(set(fields[lit])) < LEAST_IMAGES:
        return Evidence(np.zeros(len(phi)), np.diag(np.full(len(phi), np.inf)), 0)
    # brighter backgrounds count more: all are put relative to the mean light
    light = float(np.mean([scores[i].light for i in lit]))
    normal = np.stack([scores[i].normal * scores[i].light / light for i in lit])
    found = _solve(normal, np.stack([scores[i].right / light for i in lit]), fields[lit], _BACKGROUND)
    # haze that is more or less than was taken off, and a dark level that is off, move all images alike
    haze = np.linalg.solve(normal.sum(0) + _RIDGE * len(lit) * np.eye(len(phi)), sum(scores[i].haze for i in lit))
    common = (_HAZE_ERROR * haze / light, dark[1] / light * found.beta)
    covariance = found.covariance + sum(np.outer(one, one) for one in common)
    return Evidence(found.beta, covariance, found.n_images)


def _from_cells(seen: Sequence[Seen], fields: NDArray[np.int64], beta: Floats) -> Evidence | None:
    phi = polynomials(seen[0].cells.shape)
    told = [(cell_score(one, beta, phi), at) for one, at in zip(seen, fields, strict=True)]
    known = [(score, at) for score, at in told if score is not None]
    if len({at for _, at in known}) < LEAST_IMAGES:
        return None
    normal = np.stack([score[0] for score, _ in known])
    right = np.stack([score[1] for score, _ in known])
    step = _solve(normal, right, np.array([at for _, at in known]), _CELLS)
    return Evidence(beta + step.beta, step.covariance, step.n_images)


def _solve(normal: Floats, right: Floats, fields: NDArray[np.int64], usual: Floats) -> Evidence:
    """Solve the summed normal equations; the covariance is from how the fields of view differ.

    The scores of one degree share a spread, of which the `usual` one, shape (k,), is part of the evidence, as
    few images tell it badly; fields that lie far off the others count less (Huber).
    """
    names = np.unique(fields)
    a = np.stack([normal[fields == one].sum(0) for one in names])  # (n, k, k)
    r = np.stack([right[fields == one].sum(0) for one in names])  # (n, k)
    n, k = r.shape
    weight = np.ones(n)
    ridge = _RIDGE * np.trace(a.sum(0)) / k * np.eye(k)
    for _ in range(5):
        whole = np.tensordot(weight, a, 1)
        beta = np.linalg.solve(whole + ridge, weight @ r)
        rest = r - a @ beta
        size = np.sqrt(np.array([(rest[:, d == DEGREES] ** 2).mean(1) for d in (1, 2)]))  # (2, n)
        typical = np.median(size, axis=1, keepdims=True)
        weight = 1 / np.maximum(1, (size / np.maximum(2.5 * typical, 1e-12)).max(0))
    whole = np.tensordot(weight, a, 1) + ridge
    shape = (a.sum(0) + ridge) / n  # of the scores' covariance: scores of patches that are missing are alike
    spread = np.empty(k)
    for d in np.unique(DEGREES):
        of = d == DEGREES
        free = (n - 1) * (d + 1)
        score = weight[:, None] * rest[:, of] / np.sqrt(np.diag(shape)[of])
        found = free * float((score**2).mean()) * n / (n - 1)
        spread[of] = np.sqrt((found + _BELIEF * usual[of] ** 2) / (free + _BELIEF - 2))
    inverse = np.linalg.inv(whole)
    covariance = n * inverse @ (spread[:, None] * shape * spread) @ inverse + _FLOOR**2 * np.eye(k)
    return Evidence(beta, covariance, n)


def _pool(parts: Sequence[Evidence]) -> Evidence:
    """Pool evidence with the prior, by precision."""
    precision = np.diag(1 / PRIOR**2)
    right = np.zeros(len(PRIOR))
    for part in parts:
        if part.n_images:
            own = np.linalg.inv(part.covariance)
            precision = precision + own
            right = right + own @ part.beta
    covariance = np.linalg.inv(precision)
    return Evidence(covariance @ right, covariance, max(part.n_images for part in parts))


def _judge(background: Evidence, cells: Evidence, pooled: Evidence) -> tuple[bool, str]:
    """Whether the field is to be divided out, and why."""
    low = DEGREES <= 2
    if not pooled.n_images:
        return False, "neither background nor cells give enough light to tell"
    told = " and ".join(
        f"{name} {100 * -part.corners:.0f} ± {100 * part.corners_se:.0f} %"
        for name, part in (("background", background), ("cells", cells))
        if part.n_images
    )
    told = f"less light in the corners than in the centre: {told}"
    if background.n_images and cells.n_images:
        apart = (background.beta - cells.beta)[low]
        both = (background.covariance + cells.covariance)[np.ix_(low, low)]
        if _chance(apart, both) < DISAGREE:
            return False, f"background and cells disagree, so that neither is believed ({told})"
    falls = float(stats.norm.cdf(pooled.corners / pooled.corners_se))
    if min(falls, _chance(pooled.beta[low], pooled.covariance[np.ix_(low, low)])) > SURE:
        return False, f"no unevenness beyond what differs from image to image ({told})"
    uneven = float(np.sqrt((pooled.beta**2).sum()))
    if uneven < WORTH:
        return False, f"even to {100 * uneven:.1f} %, which is not worth a correction"
    if field(pooled.beta, (32, 32)).min() < 0.1:
        return False, f"the field found is dark in places, which no illumination is ({told})"
    return True, told


def _chance(beta: Floats, covariance: Floats) -> float:
    """Chance of coefficients as far from 0, were they noise of this covariance."""
    return float(stats.chi2.sf(beta @ np.linalg.solve(covariance, beta), len(beta)))


def _corners() -> Floats:
    """What the coefficients are to be weighed with for the mean of the corners less the centre."""
    at = polynomials((201, 201))
    return np.asarray(at[:, [0, 0, -1, -1], [0, -1, 0, -1]].mean(1) - at[:, 100, 100])


_CORNERS = _corners()
