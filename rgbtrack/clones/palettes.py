"""Clones of each subject's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.clones.model import CloneModel
from rgbtrack.errors import DataError


def subject_rows(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the positions of each subject's rows, subjects sorted by name.

    Raises
    ------
    DataError
        If the table has no column subject.
    """
    if "subject" not in table.columns:
        raise DataError(
            "palette is subject, but the table has no column subject: add it, or set palette to experiment"
        )
    names = table["subject"].astype("string").fillna("").to_numpy(dtype=str)
    return {str(name): np.flatnonzero(names == name) for name in np.unique(names)}


@dataclass(frozen=True)
class SubjectModels:
    """One model per subject; clone numbers are unique over subjects, 1 is the largest of all."""

    markers: tuple[str, ...]
    subjects: Mapping[str, CloneModel]

    @property
    def n_clones(self) -> int:
        """Number of clones of all subjects."""
        return sum(model.n_clones for model in self.subjects.values())

    def assign(self, table: pd.DataFrame, together: Sequence[int] = ()) -> pd.DataFrame:
        """Return the table with ``clone``, ``clone_probability`` and ``unassigned_reason``.

        Clones of a subject whose numbers are in `together` are taken for one, as in `CloneModel.assign`.

        Raises
        ------
        DataError
            If the table holds a subject that no model was fitted to.
        """
        rows = subject_rows(table)
        unknown = [name for name in rows if name not in self.subjects]
        if unknown:
            raise DataError(
                f"no clones were found for subject {', '.join(unknown)}; "
                f"known are {', '.join(self.subjects) or 'none'}: fit the clones to a table that holds all"
            )
        clone = pd.array([pd.NA] * len(table), dtype="Int64")
        probability = np.full(len(table), np.nan)
        reason = pd.array([pd.NA] * len(table), dtype="string")
        for name, positions in rows.items():
            part = self.subjects[name].assign(table.iloc[positions], together)
            clone[positions] = part["clone"].array
            probability[positions] = part["clone_probability"]
            reason[positions] = part["unassigned_reason"].array
        return table.assign(clone=clone, clone_probability=probability, unassigned_reason=reason)

    def gains_table(self) -> dict[str, dict[str, float]]:
        """Return the gain of each marker by subject and group."""
        return {
            f"{name}/{group}": gains
            for name, model in self.subjects.items()
            for group, gains in model.gains_table().items()
        }

    def to_json(self) -> dict[str, Any]:
        """Return a dictionary of plain numbers, lists and strings."""
        return {
            "markers": list(self.markers),
            "subjects": {name: model.to_json() for name, model in self.subjects.items()},
        }

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> "SubjectModels":
        """Return the models that `to_json` wrote."""
        if set(saved) != {"markers", "subjects"}:
            raise DataError(
                f"no clone models of subjects: found {', '.join(sorted(saved)) or 'nothing'}, "
                "not markers and subjects"
            )
        return cls(
            tuple(saved["markers"]),
            {name: CloneModel.from_json(model) for name, model in saved["subjects"].items()},
        )
