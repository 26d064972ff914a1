"""Files in and out: images, labels, tables and JSON; everything written is written whole or not at all."""

from rgbtrack.files.atomic import has_changed, write_atomically, write_folder_atomically
from rgbtrack.files.bleed_through import read_bleed_through
from rgbtrack.files.count_files import read_counts
from rgbtrack.files.ctc import read_ctc, write_ctc
from rgbtrack.files.doubts import find_doubts
from rgbtrack.files.geff import read_geff, write_geff
from rgbtrack.files.images import IMAGE_ENDINGS, file_stem, list_scenes, read_stack
from rgbtrack.files.json_files import json_values, read_json, write_json
from rgbtrack.files.labels import ZARR, labels_file, labels_in_small, open_labels, read_labels, write_labels
from rgbtrack.files.lazily import pieces
from rgbtrack.files.names import check_names, name_problems
from rgbtrack.files.ome_zarr import Scale, is_ome_zarr, write_label_zarr
from rgbtrack.files.outlines import OUTLINE_ENDINGS
from rgbtrack.files.table_files import read_table, write_table
from rgbtrack.files.trackmate import read_trackmate, write_trackmate
from rgbtrack.files.tracks import match_tracks, read_tracks
from rgbtrack.fingerprints import KnownBy, fingerprint, sha256

__all__ = [
    "IMAGE_ENDINGS",
    "OUTLINE_ENDINGS",
    "ZARR",
    "KnownBy",
    "Scale",
    "check_names",
    "file_stem",
    "find_doubts",
    "fingerprint",
    "has_changed",
    "is_ome_zarr",
    "json_values",
    "labels_file",
    "labels_in_small",
    "list_scenes",
    "match_tracks",
    "name_problems",
    "open_labels",
    "pieces",
    "read_bleed_through",
    "read_counts",
    "read_ctc",
    "read_geff",
    "read_json",
    "read_labels",
    "read_stack",
    "read_table",
    "read_trackmate",
    "read_tracks",
    "sha256",
    "write_atomically",
    "write_ctc",
    "write_folder_atomically",
    "write_geff",
    "write_json",
    "write_label_zarr",
    "write_labels",
    "write_table",
    "write_trackmate",
]
