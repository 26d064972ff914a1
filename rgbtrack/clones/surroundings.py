"""Calls beyond colour: neighbours in tissue and links in time, as far as the table tells of them."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.clones.links import find_predecessors, hear_links, judge_links, read_numbers
from rgbtrack.clones.neighbours import NO_PATCHES, Field, Patchiness, find_patchiness, hear_neighbours
from rgbtrack.clones.ray import Floats, Ints

PLACE = ("z_um", "y_um", "x_um")
_FAR = 1e12  # um; what lies beyond has no place: distances could no longer be squared
CUT = 0.5
"""A link that is less probably right than so is not followed."""


@dataclass(frozen=True)
class Surroundings:
    """What the surroundings of cells told of their clones.

    Attributes
    ----------
    probability
        Of each clone, of unmarked and of junk, shape (n, k + 2); as it was where nothing more is known.
    patchiness
        Of the tissue; None without coordinates.
    certainty
        That linked cells share a clone; None without links.
    """

    probability: Floats
    patchiness: Patchiness | None
    certainty: float | None

    def without_cells(self) -> "Surroundings":
        """What was learnt, without the probabilities of the cells."""
        return replace(self, probability=np.empty((0, self.probability.shape[1])))

    def words(self, n_changed: int, n_calls: int) -> str:
        """Say in a sentence what was learnt, and what came of it."""
        parts = [self._neighbours()]
        if self.certainty is not None:
            parts.append(f"linked cells share a clone with {100 * self.certainty:.1f} % certainty")
        used = self.certainty or (self.patchiness is not None and self.patchiness.strength)
        parts.append(
            f"{n_changed:,} of {n_calls:,} calls were changed by it" if used else "calls rest on colour alone"
        )
        return "; ".join(parts)

    def _neighbours(self) -> str:
        if self.patchiness is None:
            return "without coordinates (y_um, x_um) nothing is known of neighbours"
        if self.patchiness == NO_PATCHES:
            return "there are too few cells or clones to tell whether neighbours share a clone"
        if not self.patchiness.strength:
            return "there is no evidence that neighbours share a clone more often than by chance"
        likeness = self.patchiness.likeness
        often = f"{100 * (likeness - 1):.0f} % more" if likeness < 2 else f"{likeness:.1f} times as"
        return f"neighbours share a clone {often} often {'than' if likeness < 2 else 'as'} by chance"


def hear_surroundings(
    table: pd.DataFrame,
    probability: Floats,
    share: Floats,
    left_out: NDArray[np.bool_] | None = None,
    learnt: Surroundings | None = None,
) -> Surroundings:
    """Sharpen the probabilities of cells by their links in time, then by their neighbours.

    Parameters
    ----------
    table
        Cells; with ``y_um, x_um`` (and ``z_um``) neighbours are used, within each ``image_id`` and ``frame``;
        with ``image_id, frame, track`` (and ``parent``) links are.
    probability
        From colour alone: of each clone, then of unmarked and of junk, shape (n, k + 2); NaN where unknown.
    share
        Of each clone, of unmarked and of junk among all cells, shape (k + 2,).
    left_out
        Rows that are neither heard nor changed, as those with a NaN are, shape (n,).
    learnt
        What was told of a table that this one is a part of, whole images: how sure links are and how patchy
        the tissue is are then not learnt anew.

    Raises
    ------
    DataError
        If a coordinate, frame, track or parent is no number.
    """
    k = probability.shape[1] - 2
    heard = np.isfinite(probability).all(axis=1)
    order = _order(table, np.flatnonzero(heard if left_out is None else heard & ~left_out))
    if not k or not len(order):
        return Surroundings(probability, NO_PATCHES if _has_places(table) else None, None)
    cells = table.iloc[order]
    known, share = probability[order], share / share.sum()
    certainty = None
    if {"image_id", "frame", "track"} <= set(table.columns):
        # what is like no clone is debris, or cells that lie over each other: no clone is inherited through it
        cell = np.flatnonzero(known[:, -1] < CUT)
        linked = cells.iloc[cell]
        previous, born = find_predecessors(linked)
        if (previous >= 0).any():
            before = None if learnt is None else learnt.certainty
            certainty, right = judge_links(known[cell], share, previous, before)
            previous[right < CUT] = -1
            frame = read_numbers(linked, "frame")
            known[cell] = hear_links(known[cell], share, previous, born, frame, certainty)
    patchiness = None
    if _has_places(table):
        fields, samples = _fields(cells)
        clones = share[:k] / share[:k].sum()
        patchiness = find_patchiness(known, clones, samples) if learnt is None else learnt.patchiness
        if patchiness is not None and patchiness.strength:
            for field in fields:
                known[field.rows] = hear_neighbours(known[field.rows], clones, field.places, patchiness)
    result = probability.copy()
    result[order] = known
    return Surroundings(result, patchiness, certainty)


def _has_places(table: pd.DataFrame) -> bool:
    return {"y_um", "x_um"} <= set(table.columns)


def _order(table: pd.DataFrame, rows: Ints) -> Ints:
    """Sort rows by what they are, so that the order of a table changes nothing."""
    names = [name for name in ("image_id", "frame", *PLACE, "cell") if name in table.columns]
    if not names:
        return rows
    ranked = table[names].iloc[rows].reset_index(drop=True)
    ranked = ranked.astype({name: "string" for name in names if ranked[name].dtype == object})
    return rows[ranked.sort_values(names, kind="stable").index.to_numpy()]


def _fields(cells: pd.DataFrame) -> tuple[list[Field], list[Field]]:
    """Fields of view, and of those one of each image: the frame with the most cells."""
    depth = read_numbers(cells, "z_um") if "z_um" in cells.columns else np.zeros(len(cells))
    places = np.column_stack([np.nan_to_num(depth), read_numbers(cells, "y_um"), read_numbers(cells, "x_um")])
    keys = pd.DataFrame(
        {
            name: cells[name].astype("string").fillna("").to_numpy() if name in cells.columns else ""
            for name in ("image_id", "frame")
        },
        index=np.arange(len(cells)),
    )
    # several cells in one place have no place
    shared = pd.concat([keys, pd.DataFrame(places)], axis=1).duplicated(keep=False).to_numpy()
    placed = np.flatnonzero((np.abs(places) <= _FAR).all(axis=1) & ~shared)
    keys = keys.iloc[placed]
    fields: list[Field] = []
    fullest: dict[str, Field] = {}
    for key, positions in keys.groupby(["image_id", "frame"], sort=False).indices.items():
        image = str(np.asarray(key, dtype=object)[0])
        field = Field(placed[positions], places[placed[positions]])
        fields.append(field)
        if image not in fullest or len(field.rows) > len(fullest[image].rows):
            fullest[image] = field
    return fields, list(fullest.values())
