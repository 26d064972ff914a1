"""Corrections made by hand: written once, append-only, and made again after every later run."""

from rgbtrack.review.apply import apply_review
from rgbtrack.review.audit import audit_rates, audit_sample, give_verdict
from rgbtrack.review.corrections import (
    Assign,
    Correction,
    Cut,
    Exclude,
    Join,
    Mask,
    Merge,
    Outline,
    Place,
    Redraw,
    Rename,
    Split,
    Undo,
    Verdict,
)
from rgbtrack.review.doubt import doubtful_cells
from rgbtrack.review.file import append_correction, read_review
from rgbtrack.review.links import apply_links, cut_link, join_cells
from rgbtrack.review.make import assign_cells, exclude_cells, merge_clones, rename_clone, split_clone
from rgbtrack.review.memory import Memory
from rgbtrack.review.numbering import number_as_before
from rgbtrack.review.redraw import Redrawn, apply_redraws, redraw_cells, standing_redraws

__all__ = [
    "Assign",
    "Correction",
    "Cut",
    "Exclude",
    "Join",
    "Mask",
    "Memory",
    "Merge",
    "Outline",
    "Place",
    "Redraw",
    "Redrawn",
    "Rename",
    "Split",
    "Undo",
    "Verdict",
    "append_correction",
    "apply_links",
    "apply_redraws",
    "apply_review",
    "assign_cells",
    "audit_rates",
    "audit_sample",
    "cut_link",
    "doubtful_cells",
    "exclude_cells",
    "give_verdict",
    "join_cells",
    "merge_clones",
    "number_as_before",
    "read_review",
    "redraw_cells",
    "rename_clone",
    "split_clone",
    "standing_redraws",
]
