"""What stays the same: shares add up to one, so one clone's gain is all others' loss."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_REACH = 3.0
"""Standard errors from the majority at which a clone has no say in where the majority is."""


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
        fewer than half of the clones respond in one direction. The variance is the sandwich estimate, no less
        than that of a mean.
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
    return centre, max(float((pull**2).sum()) / slope**2, least) if slope > 0 else least * np.pi / 2
