"""Every table that rgbtrack writes or reads: columns, units, key, and one check.

``<marker>`` in a column name stands for each marker of the experiment.
"""

from rgbtrack.tables.cells import CELLS, REVIEW, TRUTH
from rgbtrack.tables.clones import CLONE_DISTANCES, CLONE_MATCHES, CLONES
from rgbtrack.tables.dynamics import CLONE_SIZES
from rgbtrack.tables.sheet import SAMPLES
from rgbtrack.tables.table import EXCLUDED, MARKER, Column, Table, counted, errors_of, markers_of
from rgbtrack.tables.tracks import TRACK_SIGNATURES

__all__ = [
    "CELLS",
    "CLONES",
    "CLONE_DISTANCES",
    "CLONE_MATCHES",
    "CLONE_SIZES",
    "EXCLUDED",
    "MARKER",
    "REVIEW",
    "SAMPLES",
    "TRACK_SIGNATURES",
    "TRUTH",
    "Column",
    "Table",
    "counted",
    "errors_of",
    "markers_of",
]
