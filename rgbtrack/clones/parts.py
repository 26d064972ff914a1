"""Parts of a table too large to be called at once: whole images, as cells of an image hear each other."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rgbtrack.clones.ray import Ints

PART_CELLS = 250_000
"""Cells that are called at once, unless an image holds more: numbers per cell and clone are kept."""
LEARNT_CELLS = 500_000
"""Cells from which it is learnt what surroundings tell, where there are more."""


def parts_of(table: pd.DataFrame) -> list[Ints]:
    """Rows of each part, in order; one part where the table is small or does not name images."""
    n = len(table)
    if n <= PART_CELLS or "image_id" not in table.columns:
        return [np.arange(n)]
    code, names = pd.factorize(table["image_id"], use_na_sentinel=False)
    before = np.concatenate([[0], np.cumsum(np.bincount(code, minlength=len(names)))[:-1]])
    part = (before // PART_CELLS)[code]
    return [np.flatnonzero(part == number) for number in np.unique(part)]


def sample_of(parts: Sequence[Ints]) -> Ints:
    """Rows of as many parts, evenly spread, as something can be learnt from at once; one part at least."""
    n = sum(map(len, parts))
    most = max(1, min(len(parts), LEARNT_CELLS * len(parts) // max(n, 1)))
    chosen = np.unique(np.linspace(0, len(parts) - 1, most).astype(int))
    return np.sort(np.concatenate([parts[i] for i in chosen]))


def take(table: pd.DataFrame, rows: Ints) -> pd.DataFrame:
    """Some rows of a table; the table itself where they are all."""
    return table if len(rows) == len(table) else table.iloc[rows]
