"""Every table that rgbtrack writes or reads: columns, units, key, and one check.

``<marker>`` in a column name stands for each marker of the experiment.
"""

from rgbtrack.tables.cells import CELLS, REVIEW, TRUTH
from rgbtrack.tables.clones import CLONES, CLONE_DISTANCES, CLONE_MATCHES
from rgbtrack.tables.dynamics import CLONE_RESPONSE, CLONE_SIZES, CLONE_TIMES, GROWTH, GROWTH_BY_TREATMENT, HETEROGENEITY
from rgbtrack.tables.sheet import SAMPLES
from rgbtrack.tables.table import Column, EXCLUDED, MARKER, Table, counted, errors_of, markers_of

__all__ = [
    "CELLS",
    "CLONES",
    "CLONE_DISTANCES",
    "CLONE_MATCHES",
    "CLONE_RESPONSE",
    "CLONE_SIZES",
    "CLONE_TIMES",
    "Column",
    "EXCLUDED",
    "GROWTH",
    "GROWTH_BY_TREATMENT",
    "HETEROGENEITY",
    "MARKER",
    "REVIEW",
    "SAMPLES",
    "TRUTH",
    "Table",
    "counted",
    "errors_of",
    "markers_of",
]
