"""Segmentation: cells in noise units, parted by colour as well as by shape."""

from rgbtrack.segment.cells import Segmentation, Survey, find_cells, segment_cells, survey_cells
from rgbtrack.segment.methods import Segmenter, check_method, find_segmenter
from rgbtrack.segment.noise import noise_units
from rgbtrack.segment.params import SegmentParams

__all__ = [
    "SegmentParams",
    "Segmentation",
    "Segmenter",
    "Survey",
    "check_method",
    "find_cells",
    "find_segmenter",
    "noise_units",
    "segment_cells",
    "survey_cells",
]
