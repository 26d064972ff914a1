"""Every table that rgbtrack writes or reads: columns, units, key, and one check.

``<marker>`` in a column name stands for each marker of the experiment.
"""

from rgbtrack.tables.cells import CELLS, DOUBTS, REVIEW, TRUTH
from rgbtrack.tables.clones import CLONE_DISTANCES, CLONE_MATCHES, CLONES
from rgbtrack.tables.dynamics import (
    CLONE_RESPONSE,
    CLONE_SIZES,
    CLONE_TIMES,
    DIVERSITY,
    DIVERSITY_BY_TREATMENT,
    GROWTH,
    GROWTH_BY_TREATMENT,
    HETEROGENEITY,
    LESION_CLONES,
    LESIONS,
    RANK_ABUNDANCE,
    SEEDING,
    SEEDING_EFFECTS,
    SITE_CLONES,
    SITE_ENRICHMENT,
    SITE_OVERLAP,
    SIZE_DEPARTURE,
    SIZE_SPECTRUM,
    SUBJECT_SIMILARITY,
    TURNOVER,
    TURNOVER_BY_TREATMENT,
)
from rgbtrack.tables.lineage import check_tracks, track_links, tracks_of_links
from rgbtrack.tables.sheet import SAMPLES
from rgbtrack.tables.table import EXCLUDED, MARKER, Column, Table, counted, errors_of, markers_of
from rgbtrack.tables.tracks import (
    CLONE_MOTILITY,
    MOTILITY_BY_TREATMENT,
    MSD,
    TRACK_SIGNATURES,
    TRACKED,
    TRACKS,
)

__all__ = [
    "CELLS",
    "CLONES",
    "CLONE_DISTANCES",
    "CLONE_MATCHES",
    "CLONE_MOTILITY",
    "CLONE_RESPONSE",
    "CLONE_SIZES",
    "CLONE_TIMES",
    "DIVERSITY",
    "DIVERSITY_BY_TREATMENT",
    "DOUBTS",
    "EXCLUDED",
    "GROWTH",
    "GROWTH_BY_TREATMENT",
    "HETEROGENEITY",
    "LESIONS",
    "LESION_CLONES",
    "MARKER",
    "MOTILITY_BY_TREATMENT",
    "MSD",
    "RANK_ABUNDANCE",
    "REVIEW",
    "SAMPLES",
    "SEEDING",
    "SEEDING_EFFECTS",
    "SITE_CLONES",
    "SITE_ENRICHMENT",
    "SITE_OVERLAP",
    "SIZE_DEPARTURE",
    "SIZE_SPECTRUM",
    "SUBJECT_SIMILARITY",
    "TRACKED",
    "TRACKS",
    "TRACK_SIGNATURES",
    "TRUTH",
    "TURNOVER",
    "TURNOVER_BY_TREATMENT",
    "Column",
    "Table",
    "check_tracks",
    "counted",
    "errors_of",
    "markers_of",
    "track_links",
    "tracks_of_links",
]
