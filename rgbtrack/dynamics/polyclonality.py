"""Clones of each lesion, and whether they are more than misassignment puts there."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree
from scipy.stats import false_discovery_control

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.lesions import PLACE
from rgbtrack.dynamics.linkage import Floats, Ints
from rgbtrack.dynamics.misassignment import (
    FEWEST,
    Calls,
    Errors,
    Pairs,
    call_probabilities,
    confusion_rates,
    count_pairs,
    p_values,
    pair_p_values,
    usual_shares,
)
from rgbtrack.dynamics.sizes import binomial_interval
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.tables import CELLS, LESION_CLONES, LESIONS

KEY = ["image_id", "lesion"]
_TRIED = 400  # lesions planted for each size to tell the power
_SIZES, _LARGEST = 14, 400
_NEIGHBOURS = 4


class Clonality(NamedTuple):
    """Lesions with their call, and one row per lesion and clone."""

    lesions: pd.DataFrame
    clones: pd.DataFrame


def call_clonality(
    cells: pd.DataFrame,
    lesions: pd.DataFrame,
    params: LesionParams = LesionParams(),  # noqa: B008
    *,
    confusion: pd.DataFrame | None = None,
) -> Clonality:
    """Call each lesion monoclonal, polyclonal or undecided.

    Parameters
    ----------
    cells
        All cells of the experiment, with ``lesion`` from `find_lesions`: those outside lesions tell how
        frequent each clone is.
    lesions
        From `find_lesions`.
    params
        Rates of error and power.
    confusion
        P(called column | is row), or the counts of rehearsed cells. None: each call's probability tells.

    Returns
    -------
    lesions
        As given, with the clones, p value, power and call of each; see `tables.LESIONS`.
    clones
        One row per lesion and clone; see `tables.LESION_CLONES`.

    Raises
    ------
    DataError
        If columns are missing or the matrix lacks clones.

    Notes
    -----
    The null hypothesis is that all cells are of one clone and the others misassigned or strays, whichever of
    the lesion's clones that one may be (`rgbtrack.dynamics.misassignment`); so two colours must each exceed
    what misassignment gives. A lesion is polyclonal where its q value is at most ``max_false``; monoclonal
    where it is not and a second clone of ``minor_share`` would have been found with ``min_power``; else
    undecided. Clones are those by colour alone where the cells tell: calls that listened to neighbours make
    lesions look monoclonal.
    """
    CELLS.check(cells, need=["image_id"])
    LESIONS.check(lesions, need=[*KEY, "n_cells"])
    if "lesion" not in cells.columns:
        raise DataError("cells table has no column lesion: give the cells that find_lesions returned")
    name = "colour_clone" if "colour_clone" in cells.columns else "clone"
    CELLS.check(cells, need=[name])
    assigned = cells[cells[name].notna()]
    if "doublet" in assigned.columns:
        assigned = assigned[~assigned["doublet"].fillna(value=False).astype(bool)]
    index = pd.MultiIndex.from_frame(lesions[KEY])
    number = index.get_indexer(pd.MultiIndex.from_frame(assigned[KEY])) if len(lesions) else _none(assigned)
    number = np.where(assigned["lesion"].isna(), -1, number)
    clones, clone = np.unique(assigned[name].to_numpy(dtype=np.int64), return_inverse=True)
    share = np.bincount(clone, minlength=len(clones)) / max(len(clone), 1)
    probability = _probabilities(assigned, name, params, known=confusion is not None)
    probability = call_probabilities(probability, clone, len(clones))
    inside = np.flatnonzero(number >= 0)
    inside = inside[np.argsort(number[inside], kind="stable")]
    calls = Calls(number[inside], clone[inside], probability[inside])
    pairs = count_pairs(calls, len(lesions), len(clones))
    usual = params.contamination * share + usual_shares(pairs, len(clones))
    rate = None if confusion is None else confusion_rates(confusion, clones)
    rate = None if rate is None else np.maximum(rate + params.contamination * share, usual)
    errors = Errors(share, rate, params.error_scatter, usual)
    result = lesions.drop(columns=[c for c in _ADDED if c in lesions.columns]).reset_index(drop=True)
    result["n_assigned"] = pairs.total
    result["clone_by"] = name
    for column, rank in (("clone", 0), ("second_clone", 1)):
        ranked = pairs.ranked(rank)
        result[column] = pd.array(np.append(clones, 0)[ranked], dtype="Int64")
        result.loc[ranked < 0, column] = pd.NA
    result["second_cells"] = 0
    result.loc[pairs.lesion[pairs.rank == 1], "second_cells"] = pairs.count[pairs.rank == 1]
    some = pairs.total > 0
    result["p_value"] = np.where(some, p_values(calls, pairs, errors), np.nan)
    result["q_value"] = np.nan
    if some.any():
        result.loc[some, "q_value"] = false_discovery_control(result.loc[some, "p_value"])
    result["power"] = _power(pairs, calls, errors, params)
    poly = (result["q_value"] <= params.max_false).to_numpy()
    mono = ~poly & (result["power"] >= params.min_power).to_numpy()
    result["clonality"] = np.select([poly, mono], ["polyclonal", "monoclonal"], "undecided")
    told = _composition(pairs, lesions, clones, params)
    told["p_value"] = pair_p_values(calls, pairs, errors)
    clear = (pairs.count >= FEWEST) & ((pairs.rank == 1) | (told["p_value"] <= params.max_false).to_numpy())
    told["present"] = (pairs.rank == 0) | (poly[pairs.lesion] & clear)
    result["n_colours"] = np.bincount(pairs.lesion[told["present"]], minlength=len(lesions))
    kept = told["present"].to_numpy()[pairs.of_cell] & poly[calls.lesion]
    result["segregation"] = _segregation(
        assigned.iloc[inside[kept]], calls.lesion[kept], calls.clone[kept], len(lesions)
    )
    result["neighbour_um"] = _neighbour(result)
    LESIONS.check(result, need=[*KEY, "n_cells", "clonality"])
    return Clonality(result, LESION_CLONES.check(told))


_ADDED = ["clone", "second_clone", "second_cells", "n_assigned", "clone_by", "p_value", "q_value", "power"]
_ADDED += ["clonality", "n_colours", "segregation", "neighbour_um"]


def _none(table: pd.DataFrame) -> Ints:
    return np.full(len(table), -1, dtype=np.int64)


def _probabilities(cells: pd.DataFrame, name: str, params: LesionParams, *, known: bool) -> Floats:
    """Probability of each call; calls made by a person are sure."""
    column = "colour_probability" if name == "colour_clone" else "clone_probability"
    if column in cells.columns:
        return cells[column].to_numpy(dtype=float, na_value=1.0)
    if not known:
        warnings.warn(
            f"cells have no {column} and no confusion matrix was given: {params.misassignment:.0%} of the "
            f"calls of every clone are taken as wrong (LesionParams.misassignment)",
            RgbtrackWarning,
            stacklevel=3,
        )
    return np.full(len(cells), 1 - params.misassignment)


def _composition(pairs: Pairs, lesions: pd.DataFrame, clones: Ints, params: LesionParams) -> pd.DataFrame:
    """One row per lesion and clone, the largest first."""
    total = pairs.total[pairs.lesion]
    low, high = binomial_interval(pairs.count, total, params.level)
    return pd.DataFrame(
        {
            "image_id": lesions["image_id"].to_numpy()[pairs.lesion],
            "lesion": lesions["lesion"].to_numpy()[pairs.lesion],
            "clone": clones[pairs.clone] if len(clones) else pairs.clone,
            "n_cells": pairs.count,
            "fraction": pairs.count / np.maximum(total, 1),
            "fraction_low": low,
            "fraction_high": high,
        }
    )


def _power(pairs: Pairs, calls: Calls, errors: Errors, params: LesionParams) -> Floats:
    """Share of lesions of two clones that are found, by the number of assigned cells.

    Lesions are planted from the calls at hand: a first and a second clone by their shares, and for each cell
    one of the probabilities that calls of its clone have.
    """
    power = np.full(len(pairs.total), np.nan)
    power[pairs.total > 0] = 0.0
    if (errors.share > 0).sum() < 2 or not pairs.total.max(initial=0):
        return power
    top = int(pairs.total.max())
    sizes = np.unique(np.round(np.geomspace(2 * FEWEST, max(min(top, _LARGEST), 2 * FEWEST + 1), _SIZES)))
    rng = np.random.default_rng([params.seed, 1])
    found = np.array([_found(int(n), calls, errors, params, rng) for n in sizes])
    found = np.maximum.accumulate(found)
    large = pairs.total >= sizes[0]
    power[large] = np.interp(np.log(pairs.total[large]), np.log(sizes), found)
    return power


def _found(n: int, calls: Calls, errors: Errors, params: LesionParams, rng: np.random.Generator) -> float:
    """Share of planted lesions of n cells and two clones that the test finds."""
    k = len(errors.share)
    first = rng.choice(k, _TRIED, p=errors.share)
    second = (first + 1 + rng.integers(k - 1, size=_TRIED)) % k
    if k > 2:
        others = np.where(np.arange(k) == first[:, None], 0, errors.share)
        others = np.cumsum(others / others.sum(axis=1, keepdims=True), axis=1)
        second = np.minimum((rng.random((_TRIED, 1)) > others).sum(axis=1), k - 1)
    lesion = np.repeat(np.arange(_TRIED), n)
    minor = rng.random(len(lesion)) < params.minor_share
    clone = np.where(minor, second[lesion], first[lesion])
    order = np.argsort(calls.clone, kind="stable")
    count = np.bincount(calls.clone, minlength=k)
    pick = (np.cumsum(count) - count)[clone] + (rng.random(len(clone)) * count[clone]).astype(np.int64)
    pool = calls.probability[order]
    probability = np.where(count[clone] > 0, pool[np.minimum(pick, len(pool) - 1)], 0.5)
    planted = Calls(lesion, clone, probability)
    return float((p_values(planted, count_pairs(planted, _TRIED, k), errors) <= params.max_false).mean())


def _segregation(cells: pd.DataFrame, lesion: Ints, clone: Ints, n: int) -> pd.Series:
    """How far the clones of each lesion lie apart: 1 less mixed neighbours over those by chance."""
    result = np.full(n, np.nan)
    names = [name for name in PLACE if name in cells.columns]
    if len(names) < 2 or not len(cells):
        return pd.Series(result)
    places = cells[names].to_numpy(dtype=float, na_value=np.nan)
    places = np.column_stack([places, 1e6 * lesion])  # lesions beyond each other's reach
    near = cKDTree(places).query(places, k=_NEIGHBOURS + 1)[1][:, 1:]
    same = lesion[near] == lesion[:, None]
    mixed = (clone[near] != clone[:, None]) & same
    total = np.bincount(lesion, minlength=n)
    pairs = count_pairs(Calls(lesion, clone, np.ones(len(clone))), n, int(clone.max()) + 1)
    alike = np.bincount(pairs.lesion, pairs.count * (pairs.count - 1.0), n)
    chance = 1 - alike / np.maximum(total * (total - 1.0), 1)
    share = np.bincount(lesion, mixed.sum(axis=1), n) / np.maximum(
        np.bincount(lesion, same.sum(axis=1), n), 1
    )
    told = (chance > 0) & (total > 1)
    result[told] = np.clip(1 - share[told] / chance[told], 0, 1)
    return pd.Series(result)


def _neighbour(lesions: pd.DataFrame) -> Floats:
    """Distance of each lesion's centre to that of the nearest in its image (um)."""
    apart = np.full(len(lesions), np.nan)
    names = [name for name in PLACE if name in lesions.columns]
    if len(names) < 2:
        return apart
    places = lesions[names].to_numpy(dtype=float, na_value=0.0)
    for rows in lesions.groupby("image_id").indices.values():
        if len(rows) > 1:
            apart[rows] = cKDTree(places[rows]).query(places[rows], k=[2])[0][:, 0]
    return apart
