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
from rgbtrack.correct.light_evidence import (
    BACKGROUND,
    CELLS,
    PRIOR,
    RIDGE,
    Evidence,
    pool_light,
    solve_light,
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
_GAIN_ERROR = 0.08  # relative, of the detector's gain when it is estimated
_MULTIPLIER = 5.0  # counts a photo-electron above which a detector multiplies and has next to no read noise
_READ = 1.5  # electrons², of a camera; as unsure as a spread of 1
_HAZE_ERROR = 0.25  # relative, of the haze that is taken off the background
_PASSES = 4


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

    An image is ``dark + f (b + cells) + noise``, f the illumination. Its background over the dark level and
    the light of its cells are each fitted by ``f = 1 + sum beta_k phi_k``, polynomials of fourth degree; what
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
    pooled = pool_light([background])
    cells = nothing = Evidence(np.zeros(len(DEGREES)), np.diag(np.full(len(DEGREES), np.inf)), 0)
    for _ in range(_PASSES):
        cells = _from_cells(seen, fields, pooled.beta) or nothing
        pooled = pool_light([background, cells])
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
    found = solve_light(normal, np.stack([scores[i].right / light for i in lit]), fields[lit], BACKGROUND)
    # haze that is more or less than was taken off, and a dark level that is off, move all images alike
    ridge = RIDGE * len(lit) * np.eye(len(phi))
    haze = np.linalg.solve(normal.sum(0) + ridge, sum(scores[i].haze for i in lit))
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
    step = solve_light(normal, right, np.array([at for _, at in known]), CELLS)
    return Evidence(beta + step.beta, step.covariance, step.n_images)


def _judge(background: Evidence, cells: Evidence, pooled: Evidence) -> tuple[bool, str]:
    """Whether the field is to be divided out, and why."""
    low = DEGREES <= 2
    if not pooled.n_images:
        return False, "neither background nor cells give enough light to tell"
    told = " and ".join(
        f"{name} {100 * -known.corners:.0f} ± {100 * known.corners_se:.0f} %"
        for name, part in (("background", background), ("cells", cells))
        if part.n_images
        for known in [pool_light([part])]
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
