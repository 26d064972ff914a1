"""What stays the same: shares add up to one, so one clone's gain is all others' loss."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_REACH = 3.0
"""Standard errors from the majority at which a clone has no say in where the majority is."""
_RESPOND, _RESPOND_PRIOR = np.array([0.02, 0.1, 0.2, 0.3]), np.array([3.0, 2.0, 1.0, 1.0])
"""Share of clones that respond, and how probable it is beforehand."""
_TOWARDS, _TOWARDS_PRIOR = np.array([-1.0, -0.6, 0.0, 0.6, 1.0]), np.array([1.0, 1.0, 12.0, 1.0, 1.0])
"""Mean response of those, ln, and how probable it is beforehand."""
_SPREAD = 0.7
"""Their spread about it, ln."""


def majority(effect: Floats, variance: Floats) -> tuple[float, float]:
    """Change of log share of the clones that do not respond, and its variance.

    Parameters
    ----------
    effect, variance
        Change of the log share of each clone and its sampling variance, shape (k,).

    Returns
    -------
    centre, variance
        Tukey's biweight of the effects, each in units of its own error, from their median (Maronna, Martin
        and Yohai, Robust Statistics (2006), ch. 2): clones far from the others have no say. It stays where
        fewer than half of the clones respond in one direction. Its variance is the mean of the sandwich
        estimate, which takes responders that hide among the others for scatter, and of `_doubt`, which asks
        how else the clones could be parted; no less than the sandwich alone.
    """
    centre = float(np.median(effect))
    scale = _REACH * np.sqrt(variance)
    for _ in range(50):
        u = (effect - centre) / scale
        weight = np.where(np.abs(u) < 1, (1 - u**2) ** 2, 0.0) / variance
        if weight.sum() == 0:
            break
        new = float((weight * effect).sum() / weight.sum())
        if abs(new - centre) < 1e-10:
            break
        centre = new
    u = (effect - centre) / scale
    inside = np.abs(u) < 1
    pull = np.where(inside, u * scale * (1 - u**2) ** 2, 0.0) / variance
    slope = float(np.where(inside, (1 - u**2) * (1 - 5 * u**2) / variance, 0.0).sum())
    least = 1 / float((1 / variance).sum())
    sandwich = max(float((pull**2).sum()) / slope**2, least) if slope > 0 else least * np.pi / 2
    return centre, max(sandwich, (sandwich + _doubt(effect, variance, centre)) / 2)


def _doubt(effect: Floats, variance: Floats, centre: float) -> float:
    """Mean squared distance of ``centre`` from where the majority may be.

    The posterior of a mixture, up to a third of whose clones respond: in any way or, less likely, most of
    them in one direction.
    """
    where = np.linspace(effect.min(), effect.max(), 121)[:, None]
    stays = np.exp(-((effect - where) ** 2) / (2 * variance)) / np.sqrt(variance)  # (where, k)
    wide = variance + _SPREAD**2
    towards = effect - where - _TOWARDS[:, None, None]
    responds = np.exp(-(towards**2) / (2 * wide)) / np.sqrt(wide)  # (direction, where, k)
    logs = np.log(_RESPOND_PRIOR[:, None, None] * _TOWARDS_PRIOR[:, None]) + np.stack(
        [np.log((1 - share) * stays + share * responds + 1e-300).sum(axis=-1) for share in _RESPOND]
    )  # (share, direction, where)
    weight = np.exp(logs - logs.max()).sum(axis=(0, 1))
    return float((weight * (where[:, 0] - centre) ** 2).sum() / weight.sum())
