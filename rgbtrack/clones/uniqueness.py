"""Is a clone one founder? The clones table, with its honest doubts."""

import numpy as np
import pandas as pd

from rgbtrack.clones.called import Called, read_called
from rgbtrack.clones.confusion import NEAR, Colours, foreign_share, pure_probability
from rgbtrack.clones.founders import Population, founder_rows, founders_behind, size_evidence
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.ray import Ints
from rgbtrack.errors import DataError
from rgbtrack.tables import CLONES, MARKER

_BY_CHANCE = 0.2  # founders expected to look silenced by chance, from which nothing is said


def describe_clones(
    table: pd.DataFrame,
    model: CloneModel | SubjectModels | None = None,
    params: ClonesParams = ClonesParams(),  # noqa: B008
) -> pd.DataFrame:
    """Describe the called clones, and how sure it is that each is one founder.

    Parameters
    ----------
    table
        Cells with ``clone``, as `assign_clones` returns them.
    model
        The model that called them; without it, spreads are taken as typical.
    params
        Whence founder colours are known, ``founders``, and the seed.

    Returns
    -------
    clones
        One row per clone; see `rgbtrack.tables.CLONES`.

    Raises
    ------
    DataError
        If the table has no column ``clone``, too few markers, or no cell of the founder sample.

    Notes
    -----
    A clone is one founder if no other provides over a tenth of its cells. Two things speak against it:
    founders of nearly its colour that were called with it, and called neighbours whose cells it takes. The
    number of the first follows from the founder population: its colours, how many founders must be behind as
    many called clones, and how large the clone is (see `rgbtrack.clones.founders`).
    """
    return pd.concat(
        [
            describe_palette(called, founders, params)
            for called, founders in read_palettes(table, model, params)
        ],
        ignore_index=True,
    ).sort_values("clone", ignore_index=True)


def read_palettes(
    table: pd.DataFrame, model: CloneModel | SubjectModels | None, params: ClonesParams
) -> list[tuple[Called, Colours]]:
    """Return the called clones of each palette, at least one, and the colours of its founders.

    These are the clones with a cell in the founder sample; where a palette has none there, all of its clones.

    Raises
    ------
    DataError
        As `describe_clones`.
    """
    if "clone" not in table.columns:
        raise DataError("the table has no column clone: call assign_clones on it first")
    sample = founder_rows(table, params.founders)
    if not isinstance(model, SubjectModels):
        parts = [(table, model, sample)]
    else:
        parts = [
            (table.iloc[rows], model.subjects[name], sample[rows])
            for name, rows in subject_rows(table).items()
            if name in model.subjects
        ] or [(table.iloc[:0], None, sample[:0])]
    palettes = []
    for part, own, rows in parts:
        called = read_called(part, own)
        seen = np.isin(called.numbers, part["clone"][rows].dropna().to_numpy(dtype=np.int64))
        chosen = seen if seen.any() else ~seen
        palettes.append((called, Colours(called.colours.mean[chosen], called.colours.noise[chosen])))
    return palettes


def describe_palette(called: Called, founders: Colours, params: ClonesParams) -> pd.DataFrame:
    """Describe the clones of one palette; see `describe_clones`."""
    k = len(called.numbers)
    probability, expected, parent = np.ones(k), np.ones(k), np.full(k, -1)
    if k:
        population = Population.like(founders, called.spread, params.seed)
        n_founders = population.n_founders(k)
        drawn_in = population.drawn_in(called.colours) * size_evidence(called.n_cells, n_founders)
        alone, expected = founders_behind(drawn_in, n_founders)
        probability = alone * pure_probability(foreign_share(called.distance, called.n_cells))
        parent = _parents(called, population, n_founders)
    nearest = called.distance.min(axis=1, initial=np.inf)
    values = {
        "clone": called.numbers,
        "n_cells": called.n_cells,
        **{marker: called.colours.mean[:, j] for j, marker in enumerate(called.markers)},
        "unique_probability": probability,
        "expected_founders": expected,
        "one_colour": called.one_colour,
        "near_pair": nearest < NEAR,
        "nearest_clone": _numbers(called.numbers, _nearest(called.distance)),
        "nearest_distance": np.where(np.isfinite(nearest), nearest, np.nan),
        "brightness_split_from": _numbers(called.numbers, _nearest(called.of_brightness_only())),
        "silenced_from": _numbers(called.numbers, parent),
    }
    names = [name for c in CLONES.columns for name in (called.markers if c.name == MARKER else [c.name])]
    return pd.DataFrame({name: values[name] for name in names})


def _nearest(distance: np.ndarray) -> Ints:
    """Position of the nearest other clone, -1 where there is none."""
    if not len(distance):
        return np.zeros(0, dtype=np.int64)
    return np.where(np.isfinite(distance).any(axis=1), distance.argmin(axis=1), -1)


def _numbers(numbers: Ints, position: Ints) -> pd.Series:
    """Clone numbers at some positions, missing where they are -1."""
    found = pd.Series(numbers[position] if len(numbers) else position, dtype="Int64")
    return found.mask(pd.Series(position < 0))


def _parents(called: Called, population: Population, n_founders: float) -> Ints:
    """Position of the clone that each may be a silenced descendant of, -1 for none.

    The parent is at least as large, and an unrelated founder would hardly look like that by chance.
    """
    match = called.silenced(called.colours, called.n_cells)
    match &= called.n_cells[:, None] <= called.n_cells[None, :]
    by_chance = n_founders * called.silenced(population.colours, np.inf).mean(axis=0)
    match &= by_chance[None, :] < _BY_CHANCE
    return np.where(match.any(axis=1), np.where(match, called.n_cells[None, :], -1).argmax(axis=1), -1)
