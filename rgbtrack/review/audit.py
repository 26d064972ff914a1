"""An audit: cells drawn at random and looked at, and the share of wrong calls that follows."""

from collections.abc import Mapping, Sequence
from typing import cast, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betaincinv

from rgbtrack.errors import DataError, ParamError
from rgbtrack.review.corrections import Correction, Judged, Verdict
from rgbtrack.review.outcomes import count_cells
from rgbtrack.review.places import Key, anchors_of, places_of, rows_of
from rgbtrack.review.undo import undone_by
from rgbtrack.tables import AUDITS, CELLS

ANCHORS = 7
"""Cells that stand for the clone that was judged: many cells are, and each is a line of its own."""
LEVEL = 0.95


def audit_sample(cells: pd.DataFrame, n: int, seed: int = 0) -> list[Key]:
    """Draw cells to look at, each called cell with the same chance.

    Parameters
    ----------
    cells
        Called cells.
    n
        How many; all there are, where there are fewer.
    seed
        Of the draw. A longer draw with the same seed begins with a shorter one: an audit can stop, and go on.

    Returns
    -------
    keys
        Image, frame and cell of each, in random order; none that a person decided on.

    Raises
    ------
    ParamError
        If n is less than 1.

    Examples
    --------
    >>> cells = pd.DataFrame({"image_id": "a", "frame": 0, "cell": range(1, 100), "clone": 1})
    >>> audit_sample(cells.assign(clone_probability=0.9), 3)
    [('a', 0, 82), ('a', 0, 37), ('a', 0, 21)]
    """
    if n < 1:
        raise ParamError(f"an audit of {n} cells: draw 1 or more; 5 wrong of 100 tell of 1.6 to 11.3 %")
    CELLS.check(cells, need=[*CELLS.key, "clone", "clone_probability"])
    drawn_from = cells.loc[cells["clone"].notna() & ~_decided(cells), [*CELLS.key]]
    drawn_from = drawn_from.astype({"image_id": "str"}).sort_values([*CELLS.key])
    order = np.random.default_rng(seed).permutation(len(drawn_from))[:n]
    return [
        (str(image_id), int(frame), int(cell))
        for image_id, frame, cell in drawn_from.iloc[order].itertuples(index=False)
    ]


def give_verdict(
    cells: pd.DataFrame,
    key: Key,
    verdict: Judged,
    *,
    audit: str = "audit",
    who: str | None = None,
    note: str | None = None,
) -> Verdict:
    """Say whether a cell that was drawn is of the clone that it was called.

    Parameters
    ----------
    cells
        Called cells.
    key
        Image, frame and cell.
    verdict
        right, wrong, or unclear where a look does not tell.
    audit
        Name of the audit. A later verdict on the same cell in it replaces this one.
    who, note
        Who says so, and why.

    Returns
    -------
    correction
        To be added to ``review.jsonl``. It changes no cell: one that is wrong can be assigned after its
        verdict.

    Raises
    ------
    ParamError
        If the verdict is none of the three, or the audit has no name.
    DataError
        If the table has no such cell, it has no clone, or a person gave it its clone.
    """
    if verdict not in get_args(Judged):
        raise ParamError(f"verdict is {verdict!r}: say {', '.join(get_args(Judged)[:-1])} or unclear")
    if not audit.strip():
        raise ParamError("an audit without a name: give one, as 'after the second fit'")
    CELLS.check(cells, need=["clone", "clone_probability"])
    row = rows_of(cells, [key])
    here, name = cells.iloc[row], ":".join(map(str, key))
    if here["clone"].isna().item():
        raise DataError(f"cell {name} has no clone: an audit judges cells that were called")
    if _decided(here).item():
        raise DataError(f"cell {name} has its clone from a person: an audit judges what was called")
    clone, probability = int(here["clone"].item()), float(here["clone_probability"].fillna(np.nan).item())
    return Verdict(
        audit=audit,
        cell=places_of(cells, row)[0],
        clone=anchors_of(cells, clone, without=row, most=ANCHORS) or anchors_of(cells, clone),
        verdict=verdict,
        probability=None if np.isnan(probability) else round(probability, 4),
        said=f"{verdict}: cell {name} is called clone {clone}",
        who=who,
        note=note,
    )


def audit_rates(corrections: Sequence[Correction], outcomes: pd.DataFrame | None = None) -> pd.DataFrame:
    """Share of wrong calls, from the verdicts of each audit.

    Parameters
    ----------
    corrections
        From `read_review`.
    outcomes
        From `apply_review`: verdicts on cells that are called otherwise now do not count. Without it all
        count that were not taken back or replaced.

    Returns
    -------
    audits
        One row per audit; see `rgbtrack.tables.AUDITS`.

    Notes
    -----
    Intervals are Clopper and Pearson's (Biometrika 26 (1934) 404): they hold the true share in at least 95 of
    100 audits, however small it is. Cells of which a look does not tell, and those that are called otherwise
    now, are left out of the rate as if they were like the others; ``error_least`` and ``error_most`` bound it
    whatever they are.

    An audit judges calls as they were when it was made. What is corrected by hand after it does not lower its
    rate: draw anew to see what is left.
    """
    status = _status(corrections)
    if outcomes is not None:
        status = dict(zip(outcomes["id"], outcomes["status"], strict=True))
    verdicts = [correction for correction in corrections if isinstance(correction, Verdict)]
    rows = []
    for audit in dict.fromkeys(verdict.audit for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.audit == audit]
        counts = [verdict for verdict in mine if status[verdict.id] == "applied"]
        n_stale = sum(status[verdict.id] in ("stale", "conflict") for verdict in mine)
        rows.append(_rate(audit, counts, n_stale))
    table = pd.DataFrame(rows, columns=[column.name for column in AUDITS.columns])
    kinds = {"str": "string", "int": "int64", "float": "float64"}
    return AUDITS.check(table.astype({column.name: kinds[column.kind] for column in AUDITS.columns}))


def _rate(audit: str, verdicts: Sequence[Verdict], n_stale: int) -> dict[str, object]:
    """One row of the table."""
    n = {judged: sum(v.verdict == judged for v in verdicts) for judged in get_args(Judged)}
    told, wrong = n["right"] + n["wrong"], n["wrong"]
    open_, drawn = n["unclear"] + n_stale, len(verdicts) + n_stale
    sure = [v.probability for v in verdicts if v.verdict != "unclear" and v.probability is not None]
    row = {
        "audit": audit,
        "n_cells": len(verdicts),
        "n_right": n["right"],
        "n_wrong": wrong,
        "n_unclear": n["unclear"],
        "n_stale": n_stale,
        "error": wrong / told if told else np.nan,
        "error_low": _bound(wrong, told, upper=False),
        "error_high": _bound(wrong, told, upper=True),
        "error_least": _bound(wrong, drawn, upper=False),
        "error_most": _bound(wrong + open_, drawn, upper=True),
        "expected_error": 1 - float(np.mean(sure)) if sure else np.nan,
    }
    return row | {"words": _words(row)}


def _bound(k: int, n: int, *, upper: bool) -> float:
    """One end of Clopper and Pearson's interval of k in n."""
    if not n:
        return np.nan
    tail = (1 - LEVEL) / 2
    if upper:
        return 1.0 if k == n else float(betaincinv(k + 1, n - k, 1 - tail))
    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, tail))


def _words(row: Mapping[str, object]) -> str:
    """Say what an audit came to."""
    number = {name: cast("float", value) for name, value in row.items() if name != "audit"}
    told, wrong = int(number["n_right"] + number["n_wrong"]), int(number["n_wrong"])
    percent = {name: f"{100 * number[name]:.1f}" for name in number}
    words = []
    if told:
        words.append(
            f"Of {count_cells(told)} drawn at random and looked at, {wrong:,} {_were(wrong)} of another "
            f"clone than called: {percent['error']} % ({100 * LEVEL:.0f} % interval {percent['error_low']} "
            f"to {percent['error_high']} %)."
        )
        if np.isfinite(number["expected_error"]):
            words.append(f"By the model's probabilities {percent['expected_error']} % were expected.")
    if number["n_unclear"]:
        words.append(f"A look did not tell of {count_cells(int(number['n_unclear']))} more.")
    if number["n_stale"]:
        n = int(number["n_stale"])
        words.append(f"Called otherwise now, or not found: {count_cells(n)} more that {_were(n)} judged.")
    if number["n_unclear"] or number["n_stale"]:
        words.append(
            f"Whatever these are, the interval lies within {percent['error_least']} to "
            f"{percent['error_most']} %."
        )
    return " ".join(words) or "No verdict counts: all were taken back."


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _status(corrections: Sequence[Correction]) -> dict[str, str]:
    """What becomes of each verdict, where cells and clones are as they were when it was given."""
    undone = undone_by(corrections)
    last = {
        (c.audit, c.cell.image_id, c.cell.frame, c.cell.cell): c.id
        for c in corrections
        if isinstance(c, Verdict) and c.id not in undone
    }
    return {c.id: "applied" if c.id in last.values() else "undone" for c in corrections}


def _decided(cells: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether a person gave a cell its clone: a call by hand has no probability."""
    if "corrected_by" not in cells:
        return np.zeros(len(cells), dtype=bool)
    return np.asarray(cells["corrected_by"].notna() & cells["clone_probability"].isna(), dtype=bool)
