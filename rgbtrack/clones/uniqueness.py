"""Is a clone one founder? The clones table, with its honest doubts."""

from dataclasses import replace

import numpy as np
import pandas as pd

from rgbtrack.clones.called import Called, read_called
from rgbtrack.clones.confusion import NEAR, Colours, foreign_share, pure_probability
from rgbtrack.clones.founders import Population, founder_rows, founders_behind, size_evidence
from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.params import ClonesParams
from rgbtrack.clones.ray import Floats, Ints
from rgbtrack.errors import DataError
from rgbtrack.tables import CELLS, CLONES, MARKER

_LARGEST = 0.47  # the largest of m lognormal shares, ln sd 1, is m^-0.47 of their sum
_TWO_CELLS = 0.8  # two cells from two samples, whose shares of m founders are alike in part: m^-0.8
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
    palettes = read_palettes(table, model, params)
    clones = pd.concat(
        [describe_palette(called, founders, params) for called, founders in palettes], ignore_index=True
    )
    clones = _seen_in(table, clones, params)
    if isinstance(model, SubjectModels):
        clones["subject"] = clones["clone"].map(table.groupby("clone")["subject"].first())
    known = palettes[0][0].markers
    markers = [str(name) for name in table.columns if name in known]
    told = [c.name for c in CLONES.columns if c.name == MARKER or c.name in clones.columns]
    names = [name for column in told for name in (markers if column == MARKER else [column])]
    return clones.sort_values("clone", ignore_index=True)[names]


def _seen_in(table: pd.DataFrame, clones: pd.DataFrame, params: ClonesParams) -> pd.DataFrame:
    """Add in how many subjects, timepoints and sites each clone is seen."""
    for name in ("subject", "timepoint", "site"):
        if name in table.columns:
            size = table.groupby(["clone", name]).size()
            seen = (size >= params.min_cells).groupby(level=0).sum()
            clones[f"n_{name}s"] = clones["clone"].map(seen).fillna(0).astype(np.int64)
    return clones


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
    CELLS.check(table, need=["clone"])
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


def main_shares(
    table: pd.DataFrame, model: CloneModel | SubjectModels, params: ClonesParams
) -> CloneModel | SubjectModels:
    """Return the model that knows the cells of its clones, their noise, and the share of the main founder.

    A clone that may be two founders is not the lineage of one with certainty, however sure it is that a cell
    belongs to it: `CloneModel.assign` multiplies its probability by this.

    Parameters
    ----------
    table
        Cells that the model called; some will do.
    model
        The model.
    params
        Whence founder colours are known, and the seed.
    """
    palettes = read_palettes(table, model, params)
    if not isinstance(model, SubjectModels):
        return _noting(model, *palettes[0], params)
    names = [name for name in subject_rows(table) if name in model.subjects]
    noted = {
        name: _noting(model.subjects[name], *palette, params)
        for name, palette in zip(names, palettes, strict=bool(names))
    }
    return replace(model, subjects={**model.subjects, **noted})


def _noting(model: CloneModel, called: Called, founders: Colours, params: ClonesParams) -> CloneModel:
    place = np.searchsorted(model.clone_numbers, called.numbers)
    share, n_cells = np.ones(model.n_clones), np.zeros(model.n_clones, dtype=np.int64)
    noise = np.ones((model.n_clones, len(model.markers)))
    if len(called.numbers):
        one, expected = _founders(called, Population.like(founders, called.spread, params.seed))
        share[place] = _main_share(one, expected)
        n_cells[place], noise[place] = called.n_cells, called.colours.noise
    return replace(model, main_share=share, n_cells=n_cells, noise=noise)


def _main_share(one: Floats, expected: Floats) -> Floats:
    """Share of the largest of one founder with that chance, else of as many as expected."""
    several = np.maximum((expected - one) / np.maximum(1 - one, 1e-9), 2)
    return one + (1 - one) * several**-_LARGEST


def _same_founder(one: Floats, expected: Floats, foreign: Floats) -> Floats:
    """Chance that two cells of a clone, each from another sample, are of one founder.

    Both are the clone's own rather than a neighbour's, and of one of its founders.
    """
    several = np.maximum((expected - one) / np.maximum(1 - one, 1e-9), 2)
    return (1 - foreign) ** 2 * (one + (1 - one) * several**-_TWO_CELLS)


def _founders(called: Called, population: Population) -> tuple[Floats, Floats]:
    """Chance that one founder is behind each clone, and the number expected."""
    n_founders = population.n_founders(len(called.numbers))
    drawn_in = population.drawn_in(called.colours) * size_evidence(called.n_cells, n_founders)
    return founders_behind(drawn_in, n_founders)


def describe_palette(called: Called, founders: Colours, params: ClonesParams) -> pd.DataFrame:
    """Describe the clones of one palette; see `describe_clones`."""
    k = len(called.numbers)
    probability, expected, same, parent = np.ones(k), np.ones(k), np.ones(k), np.full(k, -1)
    if k:
        population = Population.like(founders, called.spread, params.seed)
        n_founders = population.n_founders(k)
        alone, expected = _founders(called, population)
        foreign = foreign_share(called.distance, called.n_cells)
        probability = alone * pure_probability(foreign)
        same = _same_founder(alone, expected, foreign)
        parent = _parents(called, population, n_founders)
    nearest = called.distance.min(axis=1, initial=np.inf)
    values = {
        "clone": called.numbers,
        "n_cells": called.n_cells,
        **{marker: called.colours.mean[:, j] for j, marker in enumerate(called.markers)},
        "unique_probability": probability,
        "expected_founders": expected,
        "same_founder_probability": same,
        "one_colour": called.one_colour,
        "near_pair": nearest < NEAR,
        "nearest_clone": _numbers(called.numbers, _nearest(called.distance)),
        "nearest_distance": np.where(np.isfinite(nearest), nearest, np.nan),
        "brightness_split_from": _numbers(called.numbers, _nearest(called.of_brightness_only())),
        "silenced_from": _numbers(called.numbers, parent),
    }
    return pd.DataFrame(values)


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
