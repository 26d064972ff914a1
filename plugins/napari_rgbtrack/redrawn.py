"""Outlines of the images under review, with the corrections that wait for the next run made on them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.clones import CloneModel, SubjectModels
from rgbtrack.files import labels_file, read_labels
from rgbtrack.pipeline import correct_frame, found_labels, remeasure_cells, voxel_um
from rgbtrack.review import Correction, Redrawn, apply_redraws, standing_redraws

Labels = NDArray[Any]


@dataclass
class Frames:
    """Frames that were corrected to be measured: each is read once."""

    known: dict[tuple[str, int], Any] = field(default_factory=dict)

    def get(self, results: Path, image_id: str, frame: int) -> Any:
        """One frame, corrected."""
        key = image_id, frame
        if key not in self.known:
            self.known.clear()  # one is enough to work on, and large
            self.known[key] = correct_frame(results, image_id, frame)
        return self.known[key]


def redraw_images(
    results: Path,
    run: Mapping[str, Any],
    model: CloneModel | SubjectModels,
    called: pd.DataFrame,
    labels: Mapping[str, Labels],
    touched: Collection[str],
    corrections: Sequence[Correction],
    frames: Frames,
) -> tuple[pd.DataFrame, dict[str, Labels], dict[str, Redrawn]]:
    """Make the corrections of outlines of some images, and measure what changed.

    Parameters
    ----------
    results, run, model
        The results folder, its run.json, its clones.
    called
        Cells as called, of the outlines as they are in `labels`, else in the results.
    labels
        Outlines that are already others than in the results.
    touched
        Images whose corrections are others than before.
    corrections
        All there are.
    frames
        Where corrected frames are kept.

    Returns
    -------
    called, labels
        The same with what changed.
    redrawn
        What came of the corrections of outlines of these images.
    """
    labels, redrawn = dict(labels), dict[str, Redrawn]()
    for image_id in sorted(touched):
        before = labels.get(image_id)
        if before is None:
            before = read_labels(labels_file(results / "labels", image_id))
        record = run["images"][image_id]
        found = found_labels(results, image_id)
        standing = standing_redraws(corrections, image_id)
        after = np.empty_like(before)
        for t in range(len(before)):
            after[t], told = apply_redraws(
                found[t],
                standing,
                image_id=image_id,
                frame=t,
                voxel_um=voxel_um(record.get("pixel_size_um"), record.get("z_step_um")),
            )
            redrawn |= told
            differs = before[t] != after[t]
            if differs.any():
                changed = np.unique(np.concatenate([before[t][differs], after[t][differs]]))
                changed = changed[changed > 0]
                rows = remeasure_cells(frames.get(results, image_id, t), results, after[t], changed, model)
                called = _replace(called, rows, image_id, t, changed)
        labels[image_id] = after
    return called, labels, redrawn


def _replace(
    called: pd.DataFrame, rows: pd.DataFrame, image_id: str, frame: int, changed: NDArray[Any]
) -> pd.DataFrame:
    """Rows of the cells that changed in the place of those before."""
    old = (called["image_id"].astype("str") == image_id) & (called["frame"] == frame)
    kept = called[~(old & called["cell"].isin(changed))]
    new = rows.reindex(columns=called.columns)
    new = new.astype({name: called[name].dtype for name in called.columns if new[name].notna().any()})
    return pd.concat([kept, new], ignore_index=True) if len(new) else kept.reset_index(drop=True)
