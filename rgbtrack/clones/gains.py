"""Which cells share detector gains, and what their gains look like."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rgbtrack.clones.model import CloneModel
from rgbtrack.clones.palettes import SubjectModels, subject_rows
from rgbtrack.clones.ray import Ints
from rgbtrack.clones.signatures import read_signatures

SHARERS = {"auto": ("batch", "image_id"), "image": ("image_id",), "batch": ("batch",), "none": ()}
"""Columns that may name what shares gains, by choice; the first that does is taken."""
SEEN = ["group", "marker", "before", "after", "se"]
CARRIED = 5.0
"""A clone carries a marker if its cells are so many standard errors above nothing."""
FEWEST = 5
"""Cells of which a median is taken."""


@dataclass(frozen=True)
class Groups:
    """Column that names the groups (empty for none), their names, and the group of each row."""

    column: str
    names: tuple[str, ...]
    index: Ints


def gain_groups(table: pd.DataFrame, choice: str) -> Groups:
    """Choose what shares gains: see `ClonesParams.gains`.

    The choice looks at image and batch alone, never at subject, treatment or timepoint.
    """
    for column in SHARERS[choice]:
        if column in table.columns and len(table[column].unique()) > 1:
            return group_by(table, column)
    return Groups("", ("",), np.zeros(len(table), dtype=np.int64))


def group_by(table: pd.DataFrame, column: str) -> Groups:
    """Group rows by the values of a column, in sorted order; missing values are a group of their own."""
    values = table[column].astype("string").fillna("")
    names = sorted(values.unique())
    index = pd.Index(names).get_indexer(pd.Index(values))
    return Groups(column, tuple(map(str, names)), index.astype(np.int64))


def gains_seen(cells: pd.DataFrame, model: CloneModel | SubjectModels) -> pd.DataFrame:
    """How the cells of each gain group read, beside those of the same clones in all groups.

    Parameters
    ----------
    cells
        Called cells, as `assign_clones` returns them.
    model
        The model that called them.

    Returns
    -------
    seen
        ``group, marker, before, after, se``: median over the group's cells of their light by the median of
        their clone, as measured and without the drift of the group's detectors, and the standard error of
        its logarithm. Cells of clones that carry the marker count.
    """
    if isinstance(model, SubjectModels):
        parts = [
            seen.assign(group=f"{name}/" + seen["group"])
            for name, rows in subject_rows(cells).items()
            if name in model.subjects and len(seen := gains_seen(cells.iloc[rows], model.subjects[name]))
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=SEEN)
    signatures = read_signatures(cells, model.markers)
    table = cells[signatures.measured]
    called = table["clone"].notna().to_numpy(bool)
    if not model.gain_column or not called.any():
        return pd.DataFrame(columns=SEEN)
    x, s = signatures.x[called], signatures.s[called]
    detectors, group = model.detectors(table[called])
    still = detectors.undo(x, s, group)[0]
    clone = table["clone"][called].to_numpy(np.int64)
    rows = []
    for j, marker in enumerate(model.markers):
        on = pd.Series(x[:, j] / np.sqrt(s[:, j, j])).groupby(clone).transform("median").to_numpy() > CARRIED
        light = pd.DataFrame({"before": x[on, j], "after": still[on, j]})
        share = light / light.groupby(clone[on]).transform("median")
        for g, name in enumerate(model.gains):
            own = share[group[on] == g]
            if len(own) >= FEWEST:
                middle = own.median()
                spread = 1.4826 * (own["after"] - middle["after"]).abs().median()
                se = 1.2533 * spread / middle["after"] / np.sqrt(len(own))
                rows.append((name, marker, middle["before"], middle["after"], se))
    return pd.DataFrame(rows, columns=SEEN)
