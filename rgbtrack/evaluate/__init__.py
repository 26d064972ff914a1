"""Scores against truth or annotation: cells, clones, sizes and tracks found, probabilities honest."""

from rgbtrack.evaluate.results import evaluate_results, name_clones
from rgbtrack.evaluate.scores import (
    calibration_error,
    clone_scores,
    clone_size_error,
    detection_scores,
    match_cells,
    match_clones,
)
from rgbtrack.evaluate.sizes import compare_sizes
from rgbtrack.evaluate.tracks import evaluate_tracks, link_calibration, link_scores

__all__ = [
    "calibration_error",
    "clone_scores",
    "clone_size_error",
    "compare_sizes",
    "detection_scores",
    "evaluate_results",
    "evaluate_tracks",
    "link_calibration",
    "link_scores",
    "match_cells",
    "match_clones",
    "name_clones",
]
