"""What a results folder holds, read once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files import check_names, labels_file, labels_in_small, read_json, read_table
from rgbtrack.plot.quality import LOW_SNR, UNSURE
from rgbtrack.plot.style import Save, save_figure
from rgbtrack.tables import CELLS, CLONE_SIZES, CLONES, counted, markers_of

STEPS = {
    "run.json": "run",
    "cells.parquet": "clones",
    "clones.csv": "clones",
    "clone_sizes.csv": "dynamics",
}
"""Files that a report is made of, and the command that writes each."""


@dataclass(frozen=True, eq=False)
class Results:
    """A results folder: its description and its tables.

    Attributes
    ----------
    folder
        Where it lies.
    run
        What run.json tells.
    cells, clones, sizes
        The tables; all of them may be empty.
    markers
        Names of the markers, in order.
    images
        One row per image of the run: what became of it and how good it is.
    dynamics
        Tables of the folder ``dynamics``, by name.
    save
        What writes figures; they are there when the report is put together, perhaps not sooner.
    """

    folder: Path
    run: dict[str, Any]
    cells: pd.DataFrame
    clones: pd.DataFrame
    sizes: pd.DataFrame
    markers: tuple[str, ...]
    images: pd.DataFrame
    dynamics: dict[str, pd.DataFrame]
    save: Save = save_figure

    @property
    def not_told(self) -> dict[str, str]:
        """Why a table of clone dynamics is not there, by its name."""
        return dict(self.run.get("not_told") or {})

    def remarks_on(self, *names: str) -> list[str]:
        """What is to be known of tables of clone dynamics, by their names."""
        remarks = self.run.get("remarks") or {}
        return [f"{text}." for name in names for text in dict.fromkeys(remarks.get(name, ()))]

    @property
    def control(self) -> str | None:
        """The reference treatment."""
        control = self.setting("experiment", "control")
        return None if control is None else str(control)

    @property
    def palette(self) -> str:
        """Whether clones are shared by all subjects ("experiment") or each has its own ("subject")."""
        return str(self.setting("clones", "palette") or "experiment")

    @property
    def n_assigned(self) -> int:
        """Cells with a clone."""
        return int(self.cells["clone"].notna().sum())

    def setting(self, section: str, key: str) -> Any:
        """Return a setting of the run, None where it has none."""
        return (self.run.get("configuration", {}).get(section) or {}).get(key)

    def labels_of(self, image_id: str, longest_px: int) -> NDArray[Any] | None:
        """Cells of the first frame, shape (z, y, x), perhaps in small; None where the file is gone."""
        path = labels_file(self.folder / "labels", image_id)
        return labels_in_small(path, 0, longest_px) if path.exists() else None

    def cells_of(self, image_id: str) -> pd.DataFrame:
        """Cells of the first frame of an image."""
        return self.cells[(self.cells["image_id"] == image_id) & (self.cells["frame"] == 0)]


def read_results(folder: Path) -> Results:
    """Read what a report needs.

    Raises
    ------
    DataError
        All missing files at once, or the first one that is not what it should be.
    """
    folder = Path(folder)
    missing = [name for name in STEPS if not (folder / name).is_file()]
    if missing:
        steps = ", ".join(dict.fromkeys(f"'rgbtrack {STEPS[name]}'" for name in missing))
        raise DataError(
            f"{folder} lacks {', '.join(missing)}: the report is made of what a run leaves; "
            f"run {steps} on the experiment first ('rgbtrack run' does all)"
        )
    run = read_json(folder / "run.json")
    if not isinstance(run, dict) or not isinstance(run.get("images"), dict):
        raise DataError(f"{folder / 'run.json'} does not tell of any run: do 'rgbtrack run' again")
    check_names(run["images"])
    cells = CELLS.check(read_table(folder / "cells.parquet"), need=["image_id", "frame", "cell"])
    if len(cells):
        need = ["brightness", "snr", "clone", "unassigned_reason"]
        cells = counted(CELLS.check(cells, need=["image_id", "frame", "cell", *need]))
    else:
        cells = cells.assign(
            **{
                name: pd.Series(dtype="float64")
                for name in ("brightness", "snr", "clone")
                if name not in cells.columns
            }
        )
        cells["unassigned_reason"] = pd.Series(dtype="string")
    clones = CLONES.check(read_table(folder / "clones.csv"), need=["clone", "n_cells"])
    sizes = CLONE_SIZES.check(read_table(folder / "clone_sizes.csv"))
    configured = (run.get("configuration", {}).get("channels") or {}).get("markers") or {}
    markers = markers_of(cells) or tuple(configured)
    images = _images(run["images"], cells)
    dynamics = {path.stem: read_table(path) for path in sorted((folder / "dynamics").glob("*.csv"))}
    return Results(folder, run, cells, clones, sizes, markers, images, dynamics)


def _images(records: dict[str, Any], cells: pd.DataFrame) -> pd.DataFrame:
    """One row per image: status, sample, cells, SNR, saturation, unassigned cells."""
    groups = {str(name): group for name, group in cells.groupby("image_id", sort=False)}
    names = [*records, *(name for name in groups if name not in records)]
    rows = []
    for name in names:
        record = records.get(name) or {}
        group = groups.get(name, cells.iloc[:0])
        n = len(group)
        reasons = group["unassigned_reason"].value_counts().sort_index(kind="stable")
        saturated = record.get("saturated_fraction") or {}
        worst = max(saturated, key=lambda channel: saturated[channel] or 0) if saturated else None
        rows.append(
            {
                "image_id": name,
                "status": record.get("status", "done"),
                "error": record.get("error") or "",
                "warnings": list(record.get("warnings") or []),
                "sample": _sample(group),
                "n_cells": n,
                "n_frames": int(record.get("n_frames") or 1),
                "snr": float(group["snr"].median()) if n else np.nan,
                "saturated": float(saturated[worst] or 0) if worst is not None else np.nan,
                "saturated_channel": worst or "",
                "saturated_cells": float(group["saturated"].mean()) if n and "saturated" in group else np.nan,
                "unassigned": float(group["clone"].isna().mean()) if n else np.nan,
                "reasons": {str(reason): int(count) for reason, count in reasons.items()},
                "rejected": {str(k): int(v) for k, v in (record.get("rejected") or {}).items()},
                **_doubt(group),
                "shape": record.get("shape"),
                "pixel_size_um": record.get("pixel_size_um"),
                "diameter_um": record.get("diameter_um"),
            }
        )
    columns = ["image_id", "status", "error", "warnings", "n_cells", "snr", "saturated", "unassigned"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def _doubt(group: pd.DataFrame) -> dict[str, Any]:
    """Which cells of an image are in doubt: how many, as a share, and why; each counts once."""
    why = {f"with SNR below {LOW_SNR:g}": group["snr"] < LOW_SNR}
    flags = {
        "merged": "joined from parts that may be two cells (merged)",
        "doublet": "with two colours (doublet)",
        "small": "with few pixels (small)",
    }
    for flag, words in flags.items():
        if flag in group.columns:
            why[words] = group[flag].fillna(value=False).astype(bool)
    if "cell_probability" in group.columns:
        why[f"barely taken for a cell (probability below {UNSURE:g})"] = group["cell_probability"] < UNSURE
    n_doubted = int(np.any(list(why.values()), axis=0).sum())
    counts = {words: int(rows.sum()) for words, rows in why.items()}
    return {
        "n_doubted": n_doubted,
        "doubt": n_doubted / len(group) if len(group) else np.nan,
        "doubts": {words: n for words, n in counts.items() if n},
    }


def _sample(group: pd.DataFrame) -> str:
    """Where an image comes from, in words."""
    if group.empty:
        return ""
    row = group.iloc[0]
    parts = [str(row[name]) for name in ("subject", "treatment") if name in group.columns]
    if "timepoint" in group.columns:
        parts.append(f"day {row['timepoint']:g}")
    if "site" in group.columns and row["site"] != "primary":
        parts.append(str(row["site"]))
    return ", ".join(parts)
