"""Every table that rgbtrack writes or reads: columns, units, key, and one check.

``<marker>`` in a column name stands for each marker of the experiment.
"""

from rgbtrack.tables.cells import CELLS, REVIEW, TRUTH
from rgbtrack.tables.clones import CLONE_DISTANCES, CLONE_MATCHES, CLONES
from rgbtrack.tables.dynamics import CLONE_SIZES
from rgbtrack.tables.lineage import check_tracks, track_links, tracks_of_links
from rgbtrack.tables.sheet import SAMPLES
from rgbtrack.tables.table import EXCLUDED, MARKER, Column, Table, counted, errors_of, markers_of
from rgbtrack.tables.tracks import CLONE_MOTILITY, MOTILITY_BY_TREATMENT, MSD, TRACKED, TRACKS

__all__ = [
    "CELLS",
    "CLONES",
    "CLONE_DISTANCES",
    "CLONE_MATCHES",
    "CLONE_MOTILITY",
    "CLONE_SIZES",
    "EXCLUDED",
    "MARKER",
    "MOTILITY_BY_TREATMENT",
    "MSD",
    "REVIEW",
    "SAMPLES",
    "TRACKED",
    "TRACKS",
    "TRUTH",
    "Column",
    "Table",
    "check_tracks",
    "counted",
    "errors_of",
    "markers_of",
    "track_links",
    "tracks_of_links",
]
