"""Clone sizes behind the calls: counts unfolded by how often each clone is taken for which."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESOLVED = 0.6
"""Share of a clone's cells that are called for it, from which its size can be told."""
_DRAWS, _BURNT, _HELD = 300, 60, 20
_BELIEVED = 20.0  # rehearsed cells of a clone that count: the fitted clones themselves may be wrong
_BORROWED = 2.0  # cells of the average clone that are added to the rehearsed ones of each
_BEFOREHAND = 0.5  # cells of a clone of the mean size that each sample is taken to hold beforehand


@dataclass(frozen=True, eq=False)
class Confusion:
    """How the cells of each clone are called.

    Attributes
    ----------
    clones
        Clone numbers, shape (k,).
    counts
        Rehearsed cells that are believed, shape (k + 1, k + 1): rows are true, the last of no clone; columns
        are called, the last unassigned. A clone that is not resolved is called for itself.
    resolved
        Whether most cells of a clone are called for it, shape (k,).
    """

    clones: Ints
    counts: Floats
    resolved: NDArray[np.bool_]


def read_confusion(rehearsed: pd.DataFrame, clones: Ints) -> Confusion:
    """Count the calls of cells whose clone is known.

    Parameters
    ----------
    rehearsed
        A row per cell: ``true_clone`` and ``clone``, either missing where there is none.
    clones
        The clones that count, sorted; cells of others are of none.

    Raises
    ------
    DataError
        If a column is missing, or no cell is of one of the clones.
    """
    missing = [name for name in ("true_clone", "clone") if name not in rehearsed.columns]
    if missing:
        raise DataError(
            f"rehearsed cells lack {', '.join(missing)}; found {', '.join(map(str, rehearsed.columns))}: "
            f"give the table of rehearse_calls, or true and called clones of annotated cells"
        )
    k = len(clones)
    true, called = place(rehearsed["true_clone"], clones), place(rehearsed["clone"], clones)
    if k and not (true < k).any():
        raise DataError(
            f"none of the {len(rehearsed)} rehearsed cells is of one of the {k} called clones: "
            f"rehearse the clones that the cells were called for"
        )
    counts = np.bincount(true * (k + 1) + called, minlength=(k + 1) ** 2).reshape(k + 1, k + 1).astype(float)
    right, lost = np.trace(counts[:k, :k]), counts[:k, k].sum()
    kept = (right + 1) / (right + lost + 1)
    counts[range(k), range(k)] += _BORROWED * kept
    counts[:k, k] += _BORROWED * (1 - kept)
    counts[k, k] += _BORROWED
    counts *= np.minimum(1, _BELIEVED / counts.sum(axis=1, keepdims=True))
    resolved = np.diagonal(counts)[:k] >= RESOLVED * counts[:k].sum(axis=1)
    counts[:k][~resolved] = _BELIEVED * np.eye(k + 1)[:k][~resolved]
    return Confusion(clones, counts, resolved)


def unfold(called: Ints, confusion: Confusion, level: float, seed: int = 0) -> tuple[Floats, Floats, Floats]:
    """Work out how many cells of each clone some samples hold, given how many were called.

    Parameters
    ----------
    called
        Cells of each sample called for each clone and, last, for none, shape (samples, k + 1).
    confusion
        Of these clones.
    level
        Coverage of the intervals.
    seed
        Of the draws.

    Returns
    -------
    expected, low, high
        Cells of each clone among those counted, unassigned ones included: posterior mean and interval, shape
        (samples, k); missing for clones that are not resolved.

    Notes
    -----
    Calls are multinomial around the true numbers, as in the unfolding of spectra (D'Agostini, Nuclear
    Instruments and Methods A 362 (1995) 487). Gibbs draws go back and forth: given the shares of a sample,
    which cells called for one clone are of another; given these, the shares. The rates of confusion are drawn
    anew every 20 steps, as sure as at most 20 cells of each clone make them: intervals then hold the truth in
    planted experiments, whose clones are fitted with errors that no rehearsal knows.
    """
    rng = np.random.default_rng(seed)
    n, k = len(called), len(confusion.clones)
    counts = confusion.counts
    mean_share = called.sum(axis=0) / max(called.sum(), 1)
    before = np.maximum(_BEFOREHAND * (k + 1) * mean_share, 1e-3)
    share = np.maximum(called + before, 1e-9)
    sources = [np.flatnonzero(counts[:, j] > 0) for j in range(k + 1)]
    draws = np.empty((_DRAWS, n, k))
    expected = np.zeros((n, k))
    for step in range(-_BURNT, _DRAWS):
        if step % _HELD == 0:
            rate = np.where(counts > 0, np.maximum(rng.standard_gamma(counts), 1e-9), 0)
            rate /= rate.sum(axis=1, keepdims=True)
        true, mean = np.zeros((n, k + 1)), np.zeros((n, k + 1))
        for j, of in enumerate(sources):
            weight = share[:, of] * rate[of, j]
            weight /= weight.sum(axis=1, keepdims=True)
            true[:, of] += rng.multinomial(called[:, j], weight)
            mean[:, of] += called[:, j, None] * weight
        share = np.maximum(rng.standard_gamma(true + before), 1e-9)
        if step >= 0:
            draws[step] = true[:, :k]
            expected += mean[:, :k] / _DRAWS
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0, method="inverted_cdf")
    unknown = np.where(confusion.resolved, 0.0, np.nan)
    return expected + unknown, low + unknown, high + unknown


def place(clone: pd.Series, clones: Ints) -> Ints:
    """Place of each cell's clone among some, their number where it has none of these."""
    numbers = clone.to_numpy(dtype=float, na_value=np.nan)
    if not len(clones):
        return np.zeros(len(numbers), dtype=np.int64)
    at = np.minimum(np.searchsorted(clones, np.nan_to_num(numbers, nan=-1)), len(clones) - 1)
    return np.where(clones[at] == numbers, at, len(clones)).astype(np.int64)
