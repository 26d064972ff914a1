"""What else could be done: other numbers of markers, other shares of transduced cells."""

import numpy as np
import pandas as pd

from rgbtrack.plan.collisions import draw_palettes, founder_table
from rgbtrack.plan.params import PlanParams

SHARES = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9)
PAIRS = 60_000
"""Pairs of founders compared for one option, about."""
MOST_PALETTES = 80


def option_table(params: PlanParams, rng: np.random.Generator) -> pd.DataFrame:
    """Expect clones for one marker less and one more, and other shares of transduced cells.

    Returns
    -------
    table
        One row per ``n_markers`` and ``share_transduced``: ``marked``, the share of cells that carry any
        vector, and for the planned number of founders ``distinguishable``, ``founder_unique`` and
        ``clone_unique`` as in the founder table.
    """
    n = params.founders
    rows = []
    for n_markers in range(max(2, params.n_markers - 1), min(7, params.n_markers + 1) + 1):
        for share in sorted({*SHARES, params.share_transduced}):
            option = params.model_copy(update={"n_markers": n_markers, "share_transduced": share})
            palettes = draw_palettes(option, int(np.clip(PAIRS // n**2, 1, MOST_PALETTES)), n, rng)
            expected = founder_table(palettes, [n], option, rng).iloc[0]
            figures = expected[["distinguishable", "founder_unique", "clone_unique"]]
            marked = 1 - (1 - share) ** n_markers
            rows.append({"n_markers": n_markers, "share_transduced": share, "marked": marked, **figures})
    return pd.DataFrame(rows)
