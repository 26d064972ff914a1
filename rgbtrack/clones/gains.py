"""Which cells share detector gains."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rgbtrack.clones.ray import Ints


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
    columns = {"auto": ("batch", "image_id"), "image": ("image_id",), "batch": ("batch",), "none": ()}[choice]
    for column in columns:
        if column in table.columns and len(table[column].unique()) > 1:
            return group_by(table, column)
    return Groups("", ("",), np.zeros(len(table), dtype=np.int64))


def group_by(table: pd.DataFrame, column: str) -> Groups:
    """Group rows by the values of a column, in sorted order; missing values are a group of their own."""
    values = table[column].astype("string").fillna("")
    names = sorted(values.unique())
    index = pd.Index(names).get_indexer(pd.Index(values))
    return Groups(column, tuple(map(str, names)), index.astype(np.int64))
