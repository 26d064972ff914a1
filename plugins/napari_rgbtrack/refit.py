"""A clone's cells fitted anew, to see whether they are several."""

import pandas as pd

from rgbtrack.clones import ClonesParams, assign_clones
from rgbtrack.errors import DataError

MOST = 20_000
"""Cells that are fitted: more tell nothing new of where a clone parts."""
SPOKESMEN = 25
"""Cells that stand for a part."""
SEED = 0


def refit_groups(cells: pd.DataFrame, clone: int) -> list[list[tuple[str, int, int]]]:
    """Find the parts of a clone that its colours tell apart.

    Parameters
    ----------
    cells
        Called cells.
    clone
        Number of the clone.

    Returns
    -------
    groups
        The surest cells (image_id, frame, cell) of each part, as `rgbtrack.review.split_clone` takes them.

    Raises
    ------
    DataError
        If the colours of its cells are those of one clone.
    """
    own = cells[cells["clone"].eq(clone).fillna(value=False)]
    some = own.sample(MOST, random_state=SEED).sort_index() if len(own) > MOST else own
    bare = some.drop(columns=[name for name in some.columns if "clone" in str(name)])
    again = assign_clones(bare, ClonesParams(spatial=False))
    parts = [part for _, part in again.dropna(subset=["clone"]).groupby("clone")]
    if len(parts) < 2:
        raise DataError(
            f"refit of clone {clone}: its {len(own):,} cells are of one colour as far as their errors tell: "
            f"choose the cells of a part, and split them off"
        )
    return [
        list(
            part.nlargest(SPOKESMEN, "clone_probability")[["image_id", "frame", "cell"]]
            .astype({"image_id": "str"})
            .itertuples(index=False, name=None)
        )
        for part in parts
    ]
