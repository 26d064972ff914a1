"""Corrections by hand, as a part of a run."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.clones import CloneModel, SubjectModels
from rgbtrack.errors import RgbtrackWarning
from rgbtrack.pipeline.called import correct_calls
from rgbtrack.review import Correction, Redrawn, audit_rates
from rgbtrack.review.outcomes import in_order

REVIEW = "review.jsonl"
SAME = 0.9
"""A clone is as it was found if it still holds this share of its cells, and no more others."""
DOUBTS = ("unique_probability", "expected_founders", "same_founder_probability")
TOLD = 3
"""Corrections that a warning tells of; review.csv tells of all."""


def review_cells(
    cells: pd.DataFrame,
    corrections: Sequence[Correction],
    model: CloneModel | SubjectModels,
    links: pd.DataFrame,
    records: Mapping[str, Mapping[str, Any]],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Make corrections; warn of those that could not be made as they were meant.

    Parameters
    ----------
    cells, corrections, model
        As for `rgbtrack.pipeline.replay`.
    links
        What came of those of links, which were made before the cells were called.
    records
        Of the images: what came of those of outlines, which were made before the cells were measured.

    Returns
    -------
    cells, outcomes, audits
        Cells as corrected, what came of each correction, and the error rates of audits.
    """
    cells, calls = correct_calls(cells, corrections, model, redrawn=redrawn_in(records))
    outcomes = in_order(corrections, links, calls)
    status, overrules = outcomes["status"], outcomes["overrules"].notna()
    for which, what in (
        (status == "conflict", "could not be made"),
        (status == "partly", "could be made only in part"),
        (overrules, "contradicts an earlier one, and holds"),
    ):
        if which.any():
            warnings.warn(_words(outcomes[which], len(outcomes), what), RgbtrackWarning, stacklevel=2)
    return cells, outcomes, audit_rates(corrections, outcomes)


def redrawn_in(records: Mapping[str, Mapping[str, Any]]) -> dict[str, Redrawn]:
    """What came of corrections of outlines, of the records of the images."""
    return {
        name: Redrawn(**{key: value for key, value in told.items() if key != "frame"})
        for record in records.values()
        for name, told in (record.get("redrawn") or {}).items()
    }


def _words(some: pd.DataFrame, n: int, what: str) -> str:
    told = [
        f"{row['id']} ({row['said'] or row['action']}): {row['outcome']}"
        for row in some.head(TOLD).to_dict("records")
    ]
    if len(some) > TOLD:
        told.append(f"and {len(some) - TOLD} more")
    what = what.replace("contradicts", "contradict").replace("holds", "hold") if len(some) > 1 else what
    return f"{len(some)} of {n} corrections by hand {what} (review.csv tells of all): {'; '.join(told)}"


def review_counts(outcomes: pd.DataFrame) -> dict[str, int]:
    """How many corrections there are, by what came of them, and how many cells they changed."""
    by_status = {str(status): int(n) for status, n in outcomes["status"].value_counts().items()}
    return {"corrections": len(outcomes), **by_status, "cells": int(outcomes["n_cells"].sum())}


def keep_doubts(
    clones: pd.DataFrame, found: pd.DataFrame, clone: pd.Series, fitted: pd.Series
) -> pd.DataFrame:
    """Doubts of the clones as they were found; of clones that a hand merged or split they are missing.

    Parameters
    ----------
    clones, found
        Clones after the corrections and before, as `describe_clones` tells of them.
    clone, fitted
        Clone of each cell after the corrections and before.
    """
    number = clones["clone"].astype("int64")
    together = pd.DataFrame({"now": clone.array, "then": fitted.array}).dropna().astype("int64")
    same = number.map(together.loc[together["now"] == together["then"], "now"].value_counts())
    before_size = number.map(fitted.dropna().astype("int64").value_counts())
    size = np.fmax(clones["n_cells"].to_numpy(float), before_size.to_numpy(float))
    kept = same.fillna(0).to_numpy(float) >= SAME * size
    before = found.set_index("clone").reindex(number)
    told = clones.copy()
    for name in DOUBTS:
        told[name] = np.where(kept, before[name].to_numpy(float), np.nan)
    return told


def name_clones(clones: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Add the names that clones were given by hand."""
    names = cells.dropna(subset=["clone", "clone_name"]).groupby("clone")["clone_name"].first()
    return clones.assign(clone_name=clones["clone"].map(names).astype("string"))
