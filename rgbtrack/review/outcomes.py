"""What came of corrections, in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from rgbtrack.review.corrections import Correction
from rgbtrack.tables import REVIEW


@dataclass
class Told:
    """What came of one correction."""

    status: str = ""
    n_cells: int = 0
    n_missing: int = 0
    overrules: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def outcome_table(corrections: Sequence[Correction], told: Mapping[str, Told]) -> pd.DataFrame:
    """One row for each correction that something is told of; see `rgbtrack.tables.REVIEW`."""
    rows = [
        {
            "id": correction.id,
            "action": correction.action,
            "said": correction.said,
            "status": told[correction.id].status,
            "n_cells": told[correction.id].n_cells,
            "n_missing": told[correction.id].n_missing,
            "overrules": " ".join(told[correction.id].overrules) or None,
            "outcome": "; ".join(told[correction.id].words),
            "note": correction.note,
            "who": correction.who,
            "when": correction.when,
        }
        for correction in corrections
        if correction.id in told
    ]
    table = pd.DataFrame(rows, columns=[column.name for column in REVIEW.columns])
    return table.astype({c.name: "string" if c.kind == "str" else "int64" for c in REVIEW.columns})


def in_order(corrections: Sequence[Correction], *outcomes: pd.DataFrame) -> pd.DataFrame:
    """Outcomes that were told apart, as one table in the order of the corrections."""
    rank = {correction.id: n for n, correction in enumerate(corrections)}
    together = pd.concat(outcomes, ignore_index=True)
    return together.sort_values("id", key=lambda ids: ids.map(rank), kind="stable", ignore_index=True)


def count_cells(n: int) -> str:
    """A number of cells, in words."""
    return f"{n:,} cell{'' if n == 1 else 's'}"
