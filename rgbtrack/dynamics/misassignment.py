"""How often a cell of one clone is called another: from a confusion matrix, or from each call's probability.

Two tests of one null, that a lesion is of clone i and all its other cells are misassigned or strays.

*Counts*, where the confusion matrix e is known: cells called j number as a Poisson of mean ``n e_ij``, whose
rate differs between lesions (a gamma, hence a negative binomial). The least p value over j is corrected for
the choice of j by the sum of what each could have given.

*Evidence*, where only probabilities are: a cell called j with probability p says, for j against i, at least
``R = p / (1 - p) n_i / n_j`` (n: calls of each clone, which takes the prior out). With a second clone of
share s, ``E = sum_s w_s (1 - s)^n_i prod (1 - s + s R)`` has a mean of at most 1 if all cells are of clone i,
and so exceeds 1/p in at most a share p of such lesions (Vovk and Wang, Annals of Statistics 49 (2021) 1736).

Neither the matrix nor the probabilities are believed against the lesions themselves: a share of clone j that
three quarters of the lesions of clone i hold, or more, counts as usual there, up to a fifth.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betainc, logsumexp

from rgbtrack.dynamics.linkage import Floats, Ints
from rgbtrack.errors import DataError

FEWEST = 2
"""Cells of a second clone without which no lesion is polyclonal: one may always be a stray."""
_SHARES = np.array([0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.65, 0.8, 0.9])
_SUREST = 0.995  # no probability is believed beyond
_TELLING_CALLS = 20
_TELLING_CELLS, _TELLING_LESIONS, _MOST_USUAL = 5, 8, 0.2
_LARGER = 10
_CANDIDATES = 3  # of the largest clones of a lesion each may be the true one


@dataclass(frozen=True, eq=False)
class Calls:
    """Assigned cells of lesions, in order of the lesion.

    Attributes
    ----------
    lesion, clone
        Indices from 0, shape (n,).
    probability
        Of each call, shape (n,).
    """

    lesion: Ints
    clone: Ints
    probability: Floats


@dataclass(frozen=True, eq=False)
class Errors:
    """What is known of misassignment.

    Attributes
    ----------
    share
        Of each clone among all calls, shape (k,).
    rate
        P(called j | is i), strays included, shape (k, k); None where only probabilities are known.
    scatter
        Of the rates between lesions, as a share of their mean.
    usual
        P(called j | in a lesion of i) that strays and what most lesions hold explain, shape (k, k).
    """

    share: Floats
    rate: Floats | None
    scatter: float
    usual: Floats


def confusion_rates(confusion: pd.DataFrame, clones: Ints) -> Floats:
    """P(called j | is i) among assigned cells, shape (k, k).

    Counts of rehearsed cells are taken as well as shares; half a cell is added to each count.

    Raises
    ------
    DataError
        If a clone of the cells is not in the matrix, or its numbers are no shares.
    """
    missing = [int(c) for c in clones if c not in confusion.index or c not in confusion.columns]
    if missing:
        raise DataError(
            f"the confusion matrix lacks {len(missing)} clones that cells are called for, as "
            f"{', '.join(map(str, missing[:5]))}: rows are true clones, columns called ones; give all"
        )
    table = confusion.loc[list(clones), list(clones)].to_numpy(dtype=float, na_value=np.nan)
    if not np.isfinite(table).all() or (table < 0).any() or (table.sum(axis=1) <= 0).any():
        raise DataError("the confusion matrix holds blanks, negative numbers or a row of zeros: give P >= 0")
    if table.sum(axis=1).max() > 1.5:
        table = table + 0.5
    return np.asarray(table / table.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Clones of each lesion, the largest first.

    Attributes
    ----------
    lesion, clone, count, rank
        Of each pair of a lesion and a clone; rank 0 is the lesion's largest clone.
    of_cell
        Pair of each call.
    total
        Calls of each lesion.
    """

    lesion: Ints
    clone: Ints
    count: Ints
    rank: Ints
    of_cell: Ints
    total: Ints

    def ranked(self, rank: int) -> Ints:
        """Clone of this rank in each lesion, -1 where there is none."""
        clone = np.full(len(self.total), -1)
        clone[self.lesion[self.rank == rank]] = self.clone[self.rank == rank]
        return clone


def count_pairs(calls: Calls, n_lesions: int, n_clones: int) -> Pairs:
    """Count the cells of each clone in each lesion."""
    k = max(n_clones, 1)
    pairs, of_cell, count = np.unique(calls.lesion * k + calls.clone, return_inverse=True, return_counts=True)
    lesion, clone = pairs // k, pairs % k
    order = np.lexsort((clone, -count, lesion))
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    lesion = lesion[order]
    rank = np.arange(len(order)) - np.searchsorted(lesion, lesion)
    total = np.bincount(calls.lesion, minlength=n_lesions).astype(np.int64)
    return Pairs(lesion, clone[order], count[order], rank, place[of_cell], total)


def call_probabilities(probability: Floats, clone: Ints, n_clones: int) -> Floats:
    """Probability that each call is right, whichever founder of the clone the cell descends from.

    ``clone_probability`` is that times the share of the clone's main founder, a factor that all cells of a
    clone have in common: the ceiling under which the sure calls of a clone crowd. Where a clone's calls show
    such a ceiling it is taken out; probabilities that are all the same are left as they are.
    """
    told = probability.copy()
    order = np.argsort(clone, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(clone, minlength=n_clones))[:-1]):
        if len(rows) >= _TELLING_CALLS:
            top = float(np.quantile(probability[rows], 0.99))
            crowd = np.mean(np.abs(probability[rows] - top) <= 0.01)
            if crowd >= 0.2 and np.ptp(probability[rows]) > 1e-6:
                told[rows] = np.minimum(probability[rows] / top, 1)
    return told


def usual_shares(pairs: Pairs, n_clones: int) -> Floats:
    """Share of clone j that three quarters of the lesions of clone i hold; 0 where few tell; shape (k, k)."""
    major = pairs.ranked(0)
    told = (major >= 0) & (pairs.total >= _TELLING_CELLS)
    n_of = np.bincount(major[told], minlength=n_clones)
    other = told[pairs.lesion] & (pairs.rank > 0)
    lesion = pairs.lesion[other]
    table = pd.DataFrame(
        {"i": major[lesion], "j": pairs.clone[other], "share": pairs.count[other] / pairs.total[lesion]}
    ).sort_values(["i", "j", "share"], ascending=[True, True, False], ignore_index=True)
    # lesions without the clone have a share of 0: the rank counts from the top
    rank = 3 * n_of[table["i"]] // 4
    at = table[(table.groupby(["i", "j"]).cumcount() == rank) & (n_of[table["i"]] >= _TELLING_LESIONS)]
    usual = np.zeros((n_clones, n_clones))
    usual[at["i"], at["j"]] = np.minimum(at["share"], _MOST_USUAL)
    return usual


def p_values(calls: Calls, pairs: Pairs, errors: Errors) -> Floats:
    """P value of each lesion being of one clone, shape (lesions,); 1 where only one clone has two cells.

    The largest over the clones that the lesion may be of: its three largest.
    """
    n = len(pairs.total)
    p = np.ones(n)
    p[pairs.lesion[(pairs.rank == 1) & (pairs.count >= FEWEST)]] = 0.0
    for rank in range(_CANDIDATES):
        true = pairs.ranked(rank)
        asked = (true >= 0) & (p < 1)
        found = _by_counts(true, pairs, asked, errors) if errors.rate is not None else np.ones(n)
        if errors.rate is None:
            cell = asked[calls.lesion]
            lesion = calls.lesion[cell]
            ratio = _ratios(true[lesion], calls.clone[cell], calls.probability[cell], errors)
            found = _inverse_evidence(lesion, ratio, n)
        p = np.where(asked, np.maximum(p, found), p)
    return p


def pair_p_values(calls: Calls, pairs: Pairs, errors: Errors) -> Floats:
    """P value of each clone of a lesion beside the largest: its cells are misassigned or strays; else NaN.

    They may be misassigned cells of any larger clone of the lesion, of which the ten largest are asked.
    """
    mean = np.zeros(len(pairs.rank))
    p = np.zeros(len(pairs.rank))
    cell = np.flatnonzero(pairs.rank[pairs.of_cell] > 0)
    pair = pairs.of_cell[cell]
    for rank in range(min(int(pairs.rank.max(initial=0)), _LARGER)):
        larger = pairs.ranked(rank)[pairs.lesion]
        count = np.zeros(len(pairs.total), dtype=np.int64)
        count[pairs.lesion[pairs.rank == rank]] = pairs.count[pairs.rank == rank]
        asked = (pairs.rank > rank) & (larger >= 0)
        if errors.rate is not None:
            mean += np.where(asked, count[pairs.lesion] * errors.rate[larger, pairs.clone], 0)
            continue
        ratio = _ratios(larger[pair], calls.clone[cell], calls.probability[cell], errors)
        found = _inverse_evidence(pair, ratio, len(pairs.rank), count[pairs.lesion])
        p = np.where(asked, np.maximum(p, found), p)
    p = p if errors.rate is None else tail(pairs.count, mean, errors.scatter)
    return np.where(pairs.rank == 0, np.nan, np.minimum(p, 1))


def tail(count: Ints, mean: Floats, scatter: float) -> Floats:
    """P(N >= count) of a Poisson number whose mean scatters by a gamma, element by element."""
    shape = scatter**-2
    return np.asarray(np.where(count > 0, betainc(np.maximum(count, 1), shape, mean / (mean + shape)), 1.0))


def _by_counts(true: Ints, pairs: Pairs, asked: NDArray[np.bool_], errors: Errors) -> Floats:
    """P value of each lesion asked for, if it is of a clone."""
    assert errors.rate is not None  # noqa: S101 - asked for where there is a matrix
    other = asked[pairs.lesion] & (pairs.clone != true[pairs.lesion]) & (pairs.count >= FEWEST)
    lesion = pairs.lesion[other]
    mean = pairs.total[lesion] * errors.rate[true[lesion], pairs.clone[other]]
    least = np.ones(len(true))
    np.minimum.at(least, lesion, tail(pairs.count[other], mean, errors.scatter))
    rows = np.flatnonzero(asked & (least < 1))
    # how likely it is that any clone gives so small a p value
    any_two = tail(np.array(FEWEST), pairs.total[rows, None] * errors.rate[true[rows]], errors.scatter)
    any_two[np.arange(len(rows)), true[rows]] = 0
    least[rows] = np.maximum(np.minimum(any_two, least[rows, None]).sum(axis=1), least[rows])
    return np.minimum(least, 1)


def _ratios(true: Ints, clone: Ints, probability: Floats, errors: Errors) -> Floats:
    """How much better each call's clone explains a cell than the true one does, at least; 0 for its own."""
    p = np.minimum(probability, _SUREST)
    ratio = p / (1 - p) * errors.share[true] / errors.share[clone]
    usual = errors.usual[true, clone]  # explains the cell as well
    ratio = ratio / (1 - usual + usual * ratio)
    return np.where(clone == true, 0.0, ratio)


def _inverse_evidence(group: Ints, ratio: Floats, n_groups: int, own: Ints | None = None) -> Floats:
    """One over the evidence of each group of cells for a second clone, (n_groups,), at most 1.

    ``own`` counts further cells of the true clone in each group.
    """
    log_e = np.array([np.bincount(group, np.log1p(s * (ratio - 1)), n_groups) for s in _SHARES], float)
    if own is not None:
        log_e += np.log1p(-_SHARES)[:, None] * own
    return np.asarray(np.exp(-np.clip(logsumexp(log_e, axis=0) - np.log(len(_SHARES)), 0, 700)))
