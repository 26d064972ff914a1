"""Light that fades with depth or from frame to frame: how fast, how sure that is, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rgbtrack.correct.alike import Floats
from rgbtrack.errors import DataError, ParamError

SURE = 3.0
"""Standard errors from zero at which a rate, or a difference of rates, counts as fading."""
WORTH = 2**0.5
"""Once something fades: standard errors above which undoing a part costs less than leaving it (Akaike)."""
_COMMON = 0.9  # how near an axis lies to all channels fading alike: 1 is the same


@dataclass(frozen=True, eq=False)
class Fading:
    """Rates at which the light of each channel fades as ``exp(-rate * position)``.

    Attributes
    ----------
    channels
        Names, in the order of every array here.
    unit
        "um" of depth or "frame".
    rate
        What to undo, shape (c,); 0 where nothing is evident; negative where light grows.
    estimate, covariance
        Rates before it was asked what is evident, (c,), and their covariance, (c, c); missing where the cells
        tell nothing.
    evident
        Whether the channel is to be corrected, shape (c,).
    n_cells, span
        Cells used, and how far they reach in depth or frames.
    reason
        Why it is on or off, in words.
    """

    channels: tuple[str, ...]
    unit: str
    rate: Floats
    estimate: Floats
    covariance: Floats
    evident: Any
    n_cells: int
    span: float
    reason: str

    @property
    def se(self) -> Floats:
        """Standard errors of `estimate`, shape (c,)."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    @property
    def length(self) -> Floats:
        """Depth or number of frames over which light falls to 1/e, shape (c,); infinite without fading."""
        with np.errstate(divide="ignore"):
            return np.where(self.rate == 0, np.inf, 1 / np.where(self.rate == 0, 1, self.rate))


def given_attenuation(lengths_um: dict[str, float]) -> Fading:
    """Rates from attenuation lengths that the settings give, um by marker; infinite for none.

    Raises
    ------
    ParamError
        If a length is not positive.

    Examples
    --------
    >>> float(given_attenuation({"red": 110.0, "blue": 50.0}).rate[1])
    0.02
    """
    wrong = [f"{name} {length}" for name, length in lengths_um.items() if not length > 0]
    if wrong:
        raise ParamError(
            f"attenuation lengths must be positive, found {', '.join(wrong)}: give um, inf for no attenuation"
        )
    rate = np.array([1 / length for length in lengths_um.values()])
    none = np.zeros((len(rate), len(rate)))
    return Fading(tuple(lengths_um), "um", rate, rate, none, rate > 0, 0, np.nan, "given in the settings")


def pool_fadings(parts: Sequence[Fading]) -> Fading:
    """Pool the rates of images that share tissue and optics, weighted by their precision.

    Parameters
    ----------
    parts
        Estimates of single images, of the same channels and unit.

    Returns
    -------
    pooled
        Where images differ by more than their errors, the errors are widened (Birge's ratio).

    Raises
    ------
    DataError
        If there are none, or channels or units differ.
    """
    if not parts:
        raise DataError("no image to pool: give at least one estimate")
    kinds = {(part.channels, part.unit) for part in parts}
    if len(kinds) > 1:
        told = "; ".join(sorted(f"{', '.join(names)} per {unit}" for names, unit in kinds))
        raise DataError(f"estimates to pool differ in channels or unit ({told}): pool like with like")
    span = max(part.span for part in parts)
    channels, unit = parts[0].channels, parts[0].unit
    n_cells = sum(part.n_cells for part in parts)
    known = [(_precision(part), np.nan_to_num(part.estimate)) for part in parts]
    total = np.sum([precision for precision, _ in known], axis=0)
    seen = np.flatnonzero(np.diag(total) > 0)
    if not len(seen):
        return no_rates(channels, unit, n_cells, span, f"{len(parts)} images: {parts[0].reason}")
    rate = np.full(len(channels), np.nan)
    covariance = np.full(total.shape, np.nan)
    found = np.linalg.pinv(total[np.ix_(seen, seen)])
    rate[seen] = found @ np.sum([precision @ one for precision, one in known], axis=0)[seen]
    apart = [(one - np.nan_to_num(rate), precision) for precision, one in known]
    squares = sum(float(off @ precision @ off) for off, precision in apart)
    free = sum(int((np.diag(precision) > 0).sum()) for precision, _ in known) - len(seen)
    covariance[np.ix_(seen, seen)] = found * max(1.0, squares / free if free else 0.0)
    return judge_rates(channels, unit, rate, covariance, n_cells, span)


def _precision(part: Fading) -> Floats:
    """Inverse covariance, 0 for channels that the image does not tell of."""
    precision = np.zeros(part.covariance.shape)
    seen = np.flatnonzero(np.isfinite(np.diag(part.covariance)))
    if len(seen):
        precision[np.ix_(seen, seen)] = np.linalg.pinv(part.covariance[np.ix_(seen, seen)])
    return precision


def fade(position: Any, rate: Any) -> Floats:
    """Share of the light that is left, shape (c, n), of each channel at each depth (um) or frame.

    A stack is corrected by dividing each plane by it, and the variance by its square.

    >>> fade([0.0, 50.0], [0.02, 0.0])
    array([[1. , 0.36787944], [1. , 1. ]])
    """
    return np.asarray(np.exp(-np.outer(np.asarray(rate, float), np.asarray(position, float))))


def judge_rates(
    channels: tuple[str, ...], unit: str, estimate: Floats, covariance: Floats, n_cells: int, span: float
) -> Fading:
    """Keep what is evident: the common rate and the differences are judged apart, each in its own error.

    Channels whose estimate is missing are left alone.
    """
    seen = np.flatnonzero(np.isfinite(estimate))
    size, axes = np.linalg.eigh(covariance[np.ix_(seen, seen)])
    along = axes.T @ estimate[seen]
    off = np.abs(along) / np.sqrt(np.maximum(size, 1e-300))
    sure = (off > WORTH) & (off.max() > SURE)
    kept = axes @ np.where(sure, along, 0)
    alike = np.abs(axes.sum(0)) / len(seen) ** 0.5  # 1: the rate common to all channels
    common_known = sure[alike.argmax()] or alike.max() < _COMMON
    if sure.any() and not common_known:
        kept = kept - kept.min()  # how much all fade together is not known: the least fading does not
    rate = np.zeros(len(channels))
    rate[seen] = kept
    evident = (np.abs(rate) * span > 1e-6) & sure.any()
    rate = np.where(evident, rate, 0.0)
    if not sure.any():
        told = np.abs(estimate[seen]) * span
        reason = (
            f"no fading beyond {SURE:g} standard errors (up to {100 * (1 - np.exp(-told.max())):.0f} % fits)"
        )
    elif not common_known:
        reason = "channels fade differently; how much all fade together is not known and left"
    else:
        where = {"um": "over the depth of the stack", "frame": "over the series"}.get(unit, "in the corners")
        left = np.exp(-rate * span)
        listed = ", ".join(f"{name} {100 * part:.0f} %" for name, part in zip(channels, left, strict=True))
        reason = f"light left {where}: {listed}"
        if (rate < 0).all() and unit == "um":
            reason += "; light grows with z: the stack may run towards the lens"
    return Fading(channels, unit, rate, estimate, covariance, evident, n_cells, span, reason)


def no_rates(channels: tuple[str, ...], unit: str, n_cells: int, span: float, reason: str) -> Fading:
    """Nothing known, nothing undone."""
    c = len(channels)
    unknown = np.full(c, np.nan)
    return Fading(
        channels,
        unit,
        np.zeros(c),
        unknown,
        np.full((c, c), np.nan),
        np.zeros(c, bool),
        n_cells,
        span,
        reason,
    )
