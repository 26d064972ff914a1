import numpy as np
import pytest
from conftest import as_markers

from rgbtrack import DataError, SegmentParams, correct_stack, segment_cells, simulate_scene
from rgbtrack.evaluate import detection_scores, match_cells
from rgbtrack.segment import find_cells, noise_units


def f1(scene, labels):
    """F1 at IoU 0.5 over the marked cells."""
    return detection_scores(labels, scene)


def test_sparse_cells_are_found(sparse_scene, corrected_scene):
    found = find_cells(corrected_scene)
    assert scores(found.labels, sparse_scene)["f1"] > 0.95
    assert found.labels.dtype == np.uint32
    assert sorted(np.unique(found.labels)) == list(range(found.labels.max() + 1))
