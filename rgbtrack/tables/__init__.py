"""Every table that rgbtrack writes or reads: columns, units, key, and one check.

``<marker>`` in a column name stands for each marker of the experiment.
"""

from rgbtrack.tables.cells import CELLS, REVIEW, TRUTH
from rgbtrack.tables.clones import CLONE_DISTANCES, CLONE_MATCHES, CLONES
from rgbtrack.tables.dynamics import (
    CLONE_SIZES,
    LESION_CLONES,
    LESIONS,
    SEEDING,
    SEEDING_EFFECTS,
    SITE_CLONES,
    SITE_ENRICHMENT,
    SITE_OVERLAP,
)
from rgbtrack.tables.sheet import SAMPLES
from rgbtrack.tables.table import EXCLUDED, MARKER, Column, Table, counted, errors_of, markers_of

__all__ = [
    "CELLS",
    "CLONES",
    "CLONE_DISTANCES",
    "CLONE_MATCHES",
    "CLONE_SIZES",
    "EXCLUDED",
    "LESIONS",
    "LESION_CLONES",
    "MARKER",
    "REVIEW",
    "SAMPLES",
    "SEEDING",
    "SEEDING_EFFECTS",
    "SITE_CLONES",
    "SITE_ENRICHMENT",
    "SITE_OVERLAP",
    "TRUTH",
    "Column",
    "Table",
    "counted",
    "errors_of",
    "markers_of",
]
