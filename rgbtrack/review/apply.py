"""Corrections made again, one after the other, on the clones of a later fit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.review.colour import nearest_group
from rgbtrack.review.corrections import (
    Assign,
    Correction,
    Cut,
    Exclude,
    Join,
    Merge,
    Place,
    Places,
    Redraw,
    Rename,
    Split,
    Undo,
    Verdict,
)
from rgbtrack.review.memory import AssignClones, Memory
from rgbtrack.review.outcomes import Told, count_cells, outcome_table
from rgbtrack.review.places import AGREE, FOUND, Ints
from rgbtrack.review.redraw import Redrawn
from rgbtrack.review.texts import Texts
from rgbtrack.review.undo import undone_by
from rgbtrack.tables import CELLS, EXCLUDED

UNASSIGNED = "unassigned by hand"


def apply_review(
    cells: pd.DataFrame,
    corrections: Sequence[Correction],
    *,
    within: str | None = None,
    assign: AssignClones | None = None,
    memory: Memory | None = None,
    redrawn: Mapping[str, Redrawn] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make corrections by hand on called cells, in the order in which they were given.

    Parameters
    ----------
    cells
        Called cells, with ``image_id, frame, cell``, centroids, ``clone, clone_probability,
        unassigned_reason``; markers and their errors for splits by colour. Of a table that was corrected
        before, only further corrections are to be made.
    corrections
        From `read_review`.
    within
        Column whose values share no clones, as ``subject`` where each subject has a palette of its own: no
        correction then joins clones, or moves cells, from one to another.
    assign
        `CloneModel.assign` of the model that called the cells: a merge then calls the cells that lay between
        the merged clones too, and gives their cells the probability of being of any of them. Without it
        those cells stay unassigned, and probabilities as they are.
    memory
        Of an earlier call with the same table and `assign`: its work is not done again. It is added to.

    redrawn
        What came of corrections of outlines, from `apply_redraws`: they are made on labels, before cells are
        measured. Those of which nothing is told are conflicts.

    Returns
    -------
    cells
        The table with the corrections made. ``corrected_by`` holds the ids of those that changed a row,
        ``clone_name`` the name of its clone. ``clone_probability`` is missing where a person decided.
    outcomes
        One row per correction: whether it could be made, on how many cells, and in words; see
        `rgbtrack.tables.REVIEW`. Those of links are made before cells are called, by `apply_links`, which
        tells of them.

    Raises
    ------
    DataError
        If a column is missing, or a clone has no whole number.

    Notes
    -----
    A clone is that in which at least two thirds of its anchors lie that are found, if half of them are found
    at all; else the correction is not made, which is a conflict. Numbers are kept: merged clones keep the
    smallest, a part split off gets the next that is free, and no other clone changes its own.

    Examples
    --------
    >>> from rgbtrack.review import exclude_cells
    >>> cells = pd.DataFrame({"image_id": "a", "frame": 0, "cell": [1, 2, 3], "clone": [1, 1, 2]})
    >>> cells[["z_um", "y_um", "area_um2"]] = 0.0, 0.0, 100.0
    >>> cells["x_um"] = [0.0, 20.0, 40.0]
    >>> cells = cells.assign(clone_probability=0.9, unassigned_reason=None)
    >>> debris = exclude_cells(cells, [("a", 0, 2)], "debris")
    >>> corrected, outcomes = apply_review(cells, [debris])
    >>> corrected[["cell", "clone", "unassigned_reason"]]
       cell  clone        unassigned_reason
    0     1      1                     <NA>
    1     2   <NA>  excluded by hand: debris
    2     3      2                     <NA>
    """
    CELLS.check(
        cells, need=["clone", "clone_probability", "unassigned_reason", *([within] if within else [])]
    )
    numbers = cells["clone"].dropna().to_numpy(float)
    if not (np.isfinite(numbers) & (numbers == np.round(numbers)) & (numbers >= 0)).all():
        raise DataError("cells table: column clone should hold whole numbers, or nothing")
    memory = memory or Memory()
    rows = memory.rows(cells, (place for correction in corrections for place in correction.places))
    known = None if assign is None else partial(memory.called, cells, assign=assign)
    replay = _Replay.of(cells, rows, within, known)
    undone = undone_by(corrections)
    for n, correction in enumerate(corrections):
        if isinstance(correction, Cut | Join):
            continue
        if correction.id in undone:
            told = Told("undone", words=[f"taken back by {undone[correction.id]}"])
        elif isinstance(correction, Undo):
            told = _undo(correction, {earlier.id for earlier in corrections[:n]})
        else:
            told = _make(replay, correction, redrawn or {})
        replay.told[correction.id] = told
    return replay.table(), outcome_table(corrections, replay.told)


@dataclass
class _Replay:
    """The calls as the corrections so far left them; clone 0 is none."""

    cells: pd.DataFrame
    rows: Mapping[Place, int]
    clone: Ints
    probability: NDArray[np.float64]
    reason: Texts
    touched: Texts
    palette: Ints
    last: int
    assign: Callable[[Ints, Sequence[int]], pd.DataFrame] | None
    fitted: dict[int, list[int]]
    """Clone to the fitted ones that it is made of; one that was split is made of none."""
    names: dict[int, str] = field(default_factory=dict)
    decided: dict[int, str] = field(default_factory=dict)
    """Row to the correction that decided on this very cell."""
    judged: dict[tuple[str, int], str] = field(default_factory=dict)
    """Audit and row to the latest verdict."""
    told: dict[str, Told] = field(default_factory=dict)

    @classmethod
    def of(cls, cells: pd.DataFrame, rows: Mapping[Place, int], within: str | None, assign: Any) -> "_Replay":
        """Begin with what was fitted."""
        clone = np.array(cells["clone"].astype("Int64").fillna(0), dtype=np.int64)
        palette = np.zeros(len(cells)) if within is None else pd.factorize(cells[within])[0]
        named = cells[["clone", "clone_name"]].dropna() if "clone_name" in cells.columns else cells.iloc[:0]
        return cls(
            cells,
            rows,
            clone,
            cells["clone_probability"].to_numpy(float, na_value=np.nan).copy(),
            Texts.of(cells, "unassigned_reason"),
            Texts.of(cells, "corrected_by"),
            palette.astype(np.int64),
            int(clone.max(initial=0)),
            assign,
            {int(number): [int(number)] for number in np.unique(clone[clone > 0])},
            {} if named.empty else {int(c): str(n) for c, n in named.drop_duplicates("clone").to_numpy()},
        )

    def find(self, places: Places) -> Ints:
        """Rows of the places that were found, each once."""
        return np.unique(np.array([self.rows[p] for p in places if p in self.rows], dtype=np.int64))

    def call(self, rows: Ints, clone: Any, correction: Correction, reason: str | None = None) -> None:
        """Give cells another clone, or none for a reason."""
        self.clone[rows] = clone
        self.reason.put(rows, reason)
        self.touched.add(rows, correction.id)

    def decide(self, rows: Ints, correction: Correction, told: Told) -> None:
        """Note that a person decided on these very cells, and what that overrules."""
        self.probability[rows] = np.nan
        overruled: dict[str, int] = {}
        for row in map(int, rows):
            if row in self.decided:
                overruled[self.decided[row]] = overruled.get(self.decided[row], 0) + 1
            self.decided[row] = correction.id
        for earlier, n in overruled.items():
            told.overrules.append(earlier)
            told.words.append(f"overrules {earlier} for {count_cells(n)}")
            self.told[earlier].words.append(f"overruled by {correction.id} for {count_cells(n)}")

    def table(self) -> pd.DataFrame:
        """The cells as called now."""
        clone = pd.array(self.clone, dtype="Int64")
        clone[self.clone == 0] = pd.NA
        which, numbers = pd.factorize(self.clone)
        names = pd.array([self.names.get(int(number)) for number in numbers], dtype="string").take(which)
        excluded = self.reason.where(_is_excluded)
        by_colour = {
            name: self.cells[name].mask(excluded) for name in ("colour_clone",) if name in self.cells.columns
        }
        return self.cells.assign(
            **by_colour,
            clone=clone,
            clone_probability=self.probability,
            unassigned_reason=self.reason.array(),
            corrected_by=self.touched.array(),
            clone_name=names,
        )


def _make(
    replay: _Replay,
    correction: Merge | Split | Assign | Exclude | Rename | Verdict | Redraw,
    redrawn: Mapping[str, Redrawn],
) -> Told:
    """Make one correction."""
    match correction:
        case Merge():
            return _merge(replay, correction)
        case Split():
            return _split(replay, correction)
        case Assign():
            return _assign(replay, correction)
        case Exclude():
            return _exclude(replay, correction)
        case Rename():
            return _rename(replay, correction)
        case Verdict():
            return _verdict(replay, correction)
        case Redraw():
            return _redraw(replay, correction, redrawn)


def _merge(replay: _Replay, correction: Merge) -> Told:
    meant = [_clone_of(replay, anchors) for anchors in correction.clones]
    unclear = [words for number, words in meant if not number]
    numbers = sorted({number for number, _ in meant if number})
    told = Told(words=unclear)
    if len(numbers) < 2:
        if unclear:
            told.status = "conflict"
        else:
            told.status = "nothing"
            told.words.append(f"they are one clone already, {numbers[0]}")
        return told
    kept, *others = numbers
    if len({int(replay.palette[replay.clone == number][0]) for number in numbers}) > 1:
        clones = " and ".join(map(str, numbers))
        return Told("conflict", words=[f"clones {clones} are of different subjects, which share no clones"])
    sizes = {number: count_cells(int((replay.clone == number).sum())) for number in numbers}
    rows = np.flatnonzero(np.isin(replay.clone, numbers))
    replay.call(rows, kept, correction)
    between = _call_between(replay, kept, others, correction)
    told.n_cells = len(rows) + between
    in_order = dict.fromkeys(number for number, _ in meant if number)
    names = [replay.names.pop(number) for number in in_order if number in replay.names]
    if names:
        replay.names[kept] = names[0]
    told.status = "partly" if unclear else "applied"
    joined = " and ".join(f"clone {number} ({sizes[number]})" for number in others)
    told.words.insert(0, f"{joined} joined to clone {kept} ({sizes[kept]})")
    if between:
        told.words.insert(1, f"{count_cells(between)} that lay between them called too")
    if len(names) > 1:
        told.words.append(f"the name {names[0]!r} is kept, {' and '.join(map(repr, names[1:]))} dropped")
    return told


def _call_between(replay: _Replay, kept: int, others: Sequence[int], correction: Merge) -> int:
    """Call the cells anew that are of merged clones or of none, but for those a person decided on."""
    parts = [replay.fitted.pop(number, []) for number in (kept, *others)]
    if replay.assign is None or not all(parts):
        return 0
    replay.fitted[kept] = sorted(number for part in parts for number in part)
    free = (replay.clone == 0) | (replay.clone == kept)
    free[list(replay.decided)] = False
    rows = np.flatnonzero(free)
    again = replay.assign(rows, replay.fitted[kept])
    theirs = again["clone"].isin(replay.fitted[kept]).to_numpy(bool)
    # by colour alone: where neighbours had made one of the two surer, that holds for both together
    replay.probability[rows[theirs]] = np.where(
        replay.clone[rows] == kept,
        np.fmax(replay.probability[rows], again["clone_probability"]),
        again["clone_probability"],
    )[theirs]
    between = rows[theirs & (replay.clone[rows] == 0)]
    replay.call(between, kept, correction)
    return len(between)


def _split(replay: _Replay, correction: Split) -> Told:
    groups = [replay.find(group) for group in correction.groups]
    told = Told(n_missing=sum(p not in replay.rows for group in correction.groups for p in group))
    if not all(len(group) for group in groups):
        told.status = "conflict"
        told.words.append("no cell of a part was found")
        return told
    meant = [_clone_of(replay, group) for group in correction.groups]
    # what no group names is a part of its own, but where every cell goes to one of the groups
    some_stay = bool(correction.clone) and correction.rule == "cells"
    rest = _clone_of(replay, correction.clone) if some_stay else (0, "")
    apart = [number for number, _ in [*meant, rest] if number]
    unclear = [words for number, words in meant if not number]
    if not unclear and len(set(apart)) == len(apart) > 1:
        told.status = "nothing"
        told.words.append(f"they are apart already, in clones {', '.join(map(str, sorted(apart)))}")
        return told
    if some_stay:
        clone, why = rest
    else:
        numbers = {number for number, _ in meant}
        clone, why = (numbers.pop(), "") if len(numbers) == 1 else (0, "; ".join(unclear))
        why = why or "its parts lie in several clones now"
    if not clone:
        told.status = "conflict"
        told.words.append(why)
        return told
    if correction.rule == "colour":
        return _split_by_colour(replay, correction, clone, groups, told)
    return _split_by_cells(replay, correction, clone, groups, told)


def _split_by_cells(replay: _Replay, correction: Split, clone: int, groups: list[Ints], told: Told) -> Told:
    """Make each group a clone; the rest stays, and where there is none the first group keeps the number."""
    replay.fitted.pop(clone, None)
    named = np.unique(np.concatenate(groups))
    inside = [group[replay.clone[group] == clone] for group in groups]
    n_outside = int((replay.clone[named] != clone).sum())
    some_stay = (replay.clone == clone).sum() > sum(map(len, inside))
    new = []
    for group in inside if some_stay else inside[1:]:
        group = group[replay.clone[group] == clone]  # a cell that is in two groups now goes with the first
        if len(group):
            replay.last += 1
            new.append(f"{replay.last} ({count_cells(len(group))})")
            replay.call(group, replay.last, correction)
            replay.decide(group, correction, told)
            told.n_cells += len(group)
    if not new:
        told.status = "conflict"
        told.words.append(f"none of its cells, or all of them, are in clone {clone} now")
        return told
    told.words.insert(0, f"clone {clone} split: new clone {', '.join(new)}")
    if n_outside:
        told.words.append(f"{count_cells(n_outside)} left where they are, no longer of clone {clone}")
    return _finish(told, partly=bool(n_outside))


def _split_by_colour(replay: _Replay, correction: Split, clone: int, groups: list[Ints], told: Told) -> Told:
    """Give every cell of a clone to a group; the largest part keeps the number."""
    replay.fitted.pop(clone, None)
    members = np.flatnonzero(replay.clone == clone)
    part = nearest_group(replay.cells, members, groups)
    for number, group in enumerate(groups):
        part[np.isin(members, group)] = number
    sizes = np.bincount(part[part >= 0], minlength=len(groups))
    largest = int(sizes.argmax())
    part[part < 0] = largest
    replay.probability[members] = np.nan
    new = []
    for number in range(len(groups)):
        rows = members[part == number]
        if number != largest and len(rows):
            replay.last += 1
            new.append(f"{replay.last} ({count_cells(len(rows))})")
            replay.clone[rows] = replay.last
    replay.touched.add(members, correction.id)
    told.n_cells = len(members)
    told.words.insert(0, f"clone {clone} split by colour: new clone {', '.join(new)}")
    return _finish(told)


def _assign(replay: _Replay, correction: Assign) -> Told:
    rows = replay.find(correction.cells)
    told = Told(n_missing=sum(place not in replay.rows for place in correction.cells))
    if correction.clone is None:
        changed = rows[(replay.clone[rows] > 0) | replay.reason.where(_is_excluded, rows)]
        replay.call(changed, 0, correction, UNASSIGNED)
        replay.decide(changed, correction, told)
        return _moved(told, changed, rows, "no clone")
    clone, why = _clone_of(replay, correction.clone)
    if not clone:
        told.status = "conflict"
        told.words.append(why)
        return told
    home = int(replay.palette[replay.clone == clone][0])
    strangers = rows[replay.palette[rows] != home]
    rows = rows[replay.palette[rows] == home]
    changed = rows[replay.clone[rows] != clone]
    replay.call(changed, clone, correction)
    replay.decide(changed, correction, told)
    if len(strangers):
        told.words.append(
            f"{count_cells(len(strangers))} left: of another subject than clone {clone}; subjects share no "
            f"clones"
        )
    return _moved(told, changed, rows, f"clone {clone}", partly=len(strangers) > 0)


def _exclude(replay: _Replay, correction: Exclude) -> Told:
    rows = replay.find(correction.cells)
    told = Told(n_missing=sum(place not in replay.rows for place in correction.cells))
    reason = f"{EXCLUDED}: {correction.reason}"
    changed = rows[~replay.reason.where(lambda text: text == reason, rows)]
    replay.call(changed, 0, correction, reason)
    replay.decide(changed, correction, told)
    return _moved(told, changed, rows, "excluded")


def _rename(replay: _Replay, correction: Rename) -> Told:
    clone, why = _clone_of(replay, correction.clone)
    if not clone:
        return Told("conflict", words=[why])
    before = replay.names.get(clone)
    replay.names[clone] = correction.name
    words = [f"clone {clone} is {correction.name!r}"]
    if before not in (None, correction.name):
        words.append(f"until then {before!r}")
    return Told("nothing" if before == correction.name else "applied", words=words)


def _undo(correction: Undo, known: set[str]) -> Told:
    if correction.of not in known:
        return Told("conflict", words=[f"no earlier correction is named {correction.of}"])
    return Told("applied", words=[f"takes back {correction.of}"])


def _redraw(replay: _Replay, correction: Redraw, redrawn: Mapping[str, Redrawn]) -> Told:
    """Tell what came of outlines that were drawn before there was a table."""
    came = redrawn.get(correction.id)
    if came is None:
        return Told("conflict", words=[f"{correction.image_id} has no outlines of frame {correction.frame}"])
    here = (replay.cells["image_id"].astype("str") == correction.image_id) & (
        replay.cells["frame"] == correction.frame
    )
    rows = np.flatnonzero(here & replay.cells["cell"].isin(came.cells))
    replay.touched.add(rows, correction.id)
    return Told(came.status, len(came.cells) + came.n_erased, came.n_missing, words=[came.words])


def _verdict(replay: _Replay, correction: Verdict) -> Told:
    row = replay.rows.get(correction.cell)
    if row is None:
        return Told("conflict", n_missing=1, words=["the cell was not found"])
    clone, why = _clone_of(replay, correction.clone)
    told = Told("applied", words=[f"counts in {correction.audit!r}"])
    if row in replay.decided:
        told = Told("stale", words=[f"does not count: its clone is from {replay.decided[row]} now"])
    elif replay.clone[row] != clone or not clone:
        now = int(replay.clone[row])
        told = Told("stale", words=["does not count: " + (why or f"it is of clone {now or 'none'} now")])
    former = replay.judged.get((correction.audit, row))
    if former is not None:
        told.words.append(f"replaces {former}")
        replay.told[former] = Told("replaced", words=[f"replaced by {correction.id}"])
    replay.judged[correction.audit, row] = correction.id
    return told


def _clone_of(replay: _Replay, anchors: Places) -> tuple[int, str]:
    """Clone in which most of some cells lie; 0, and why, where that cannot be told."""
    rows = replay.find(anchors)
    if len(rows) < FOUND * len(anchors):
        found = f"only {len(rows)}" if len(rows) else "none"
        return 0, f"{found} of the {len(anchors)} cells that stand for a clone were found"
    numbers, counts = np.unique(replay.clone[rows], return_counts=True)
    best = int(counts.argmax())
    if numbers[best] and counts[best] >= AGREE * len(rows):
        return int(numbers[best]), ""
    where = ", ".join(
        f"{n} in {f'clone {number}' if number else 'none'}" for number, n in zip(numbers, counts, strict=True)
    )
    return 0, f"the cells that stand for a clone no longer agree: {where}"


def _moved(told: Told, changed: Ints, rows: Ints, where: str, *, partly: bool = False) -> Told:
    """Tell of cells that were given to a clone, or to none."""
    told.n_cells = len(changed)
    if not len(rows):
        told.status = "conflict"
        told.words = told.words or ["none of its cells was found"]
        return told
    if len(changed):
        told.words.insert(0, f"{count_cells(len(changed))}: {where}")
    if len(changed) < len(rows):
        told.words.append(f"{count_cells(len(rows) - len(changed))} there already: {where}")
    return _finish(told, partly=partly)


def _finish(told: Told, *, partly: bool = False) -> Told:
    if told.n_missing:
        told.words.append(f"{count_cells(told.n_missing)} not found")
    told.status = "partly" if partly or told.n_missing else "applied" if told.n_cells else "nothing"
    return told


def _is_excluded(reason: str) -> bool:
    return reason.startswith(EXCLUDED)
