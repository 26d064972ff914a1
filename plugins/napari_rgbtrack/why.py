"""Why a cell got its clone, in words. Without Qt, without napari."""

from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.clones import CloneModel, SubjectModels
from rgbtrack.tables import markers_of

FLAGS = {
    "touches_border": "cut by the border",
    "saturated": "saturated",
    "small": "small",
    "doublet": "its halves differ in colour",
    "merged": "may be two cells",
}
TOLD = 3
"""Clones that are told as what the cell could be."""


def explain_cell(cells: pd.DataFrame, row: int, model: CloneModel | SubjectModels | None) -> str:
    """Tell what is known of a cell: its clone, how sure, what else it could be, its colour, its flags.

    Parameters
    ----------
    cells
        Called cells.
    row
        Position of the cell.
    model
        The clones that called it; without it, what else it could be is not told.
    """
    own = cells.iloc[[row]]
    cell = own.iloc[0]
    lines = [f"{cell['image_id']}, cell {cell['cell']}{_frame(cells, cell)}: {_call(cell)}"]
    colour = cell.get("colour_clone", pd.NA)
    if not pd.isna(colour) and not _same(colour, cell["clone"]):
        lines.append(f"By colour alone: clone {colour}; what lies around it, or its track, speaks otherwise")
    others = candidates(own, model)
    if others:
        lines.append("By colour: " + ", ".join(f"{name} {p:.2f}" for name, p in others))
    parts = [
        f"{name} {cell[name]:,.0f} ± {cell.get(f'{name}_se', np.nan):,.0f}"
        for name in markers_of(cells)
        if pd.notna(cell[name])
    ]
    snr = f"; SNR {cell['snr']:.0f}" if "snr" in cell and pd.notna(cell["snr"]) else ""
    lines.append(f"{', '.join(parts)} counts{snr}")
    flags = [
        words for name, words in FLAGS.items() if name in cell and cell[name] is not pd.NA and cell[name]
    ]
    if flags:
        lines.append("Flags: " + ", ".join(flags))
    by_hand = cell.get("corrected_by", pd.NA)
    if not pd.isna(by_hand):
        lines.append(f"Corrected by hand: {by_hand}")
    return "\n".join(lines)


def candidates(cell: pd.DataFrame, model: CloneModel | SubjectModels | None) -> list[tuple[str, float]]:
    """Return what one cell could be by its colour, likeliest first, with probabilities."""
    if isinstance(model, SubjectModels):
        model = model.subjects.get(str(cell["subject"].iloc[0]))
    if model is None:
        return []
    chance = model.probabilities(cell)[0]
    names = [f"clone {number}" for number in model.clone_numbers]
    names += ["unmarked", "no clone known"][: len(chance) - len(names)]
    best = np.argsort(-chance, kind="stable")[:TOLD]
    return [(names[k], float(chance[k])) for k in best if chance[k] >= 0.005]


def _call(cell: Any) -> str:
    if pd.isna(cell["clone"]):
        reason = cell.get("unassigned_reason", pd.NA)
        return f"no clone: {'not called' if pd.isna(reason) else reason}"
    name = cell.get("clone_name", pd.NA)
    named = "" if pd.isna(name) else f" ({name})"
    sure = cell["clone_probability"]
    return (
        f"clone {cell['clone']}{named}, {'decided by hand' if pd.isna(sure) else f'probability {sure:.2f}'}"
    )


def _frame(cells: pd.DataFrame, cell: Any) -> str:
    return f" of frame {cell['frame']}" if cell["frame"] or "track" in cells.columns else ""


def _same(one: Any, other: Any) -> bool:
    return not pd.isna(other) and int(one) == int(other)
