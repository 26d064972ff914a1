"""Clones of each subject's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.clones.model import CALLS, NO_GAINS, CloneModel
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

    def assign(
        self, table: pd.DataFrame, together: Sequence[int] = (), *, spatial: bool = False
    ) -> pd.DataFrame:
        """Return the table with what `CloneModel.assign` adds.

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
        result, told = table.copy(), []
        columns = {name: pd.Series(pd.NA, range(len(table)), dtype=kind) for name, kind in CALLS.items()}
        for name, positions in rows.items():
            part = self.subjects[name].assign(table.iloc[positions], together, spatial=spatial)
            for column, values in columns.items():
                values.iloc[positions] = part[column].array
            told += [f"{name}: {part.attrs['neighbours']}"] if spatial else []
        for column, values in columns.items():
            numbers = CALLS[column] == "Float64"
            result[column] = values.to_numpy(float, na_value=np.nan) if numbers else values.array
        if spatial:
            result.attrs["neighbours"] = ". ".join(told)
        return result

    def at_least(self, min_probability: float) -> "SubjectModels":
        """Return the models that call a cell only if its best clone is at least this probable."""
        return replace(
            self, subjects={name: model.at_least(min_probability) for name, model in self.subjects.items()}
        )

    def gains_table(self) -> pd.DataFrame:
        """``group, marker, gain, se``, as of one model; a group is named by subject and group."""
        tables = [
            table.assign(group=f"{name}/" + table["group"])
            for name, model in self.subjects.items()
            if len(table := model.gains_table())
        ]
        return pd.concat(tables, ignore_index=True) if tables else NO_GAINS.copy()

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
        models = cls(
            tuple(saved["markers"]),
            {name: CloneModel.from_json(model) for name, model in saved["subjects"].items()},
        )
        strange = [name for name, model in models.subjects.items() if model.markers != models.markers]
        if strange:
            raise DataError(
                f"subject {', '.join(strange)} has other markers than {', '.join(models.markers)}"
            )
        return models
