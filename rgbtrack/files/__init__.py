"""Files in and out: images, labels, tables and JSON; everything written is written whole or not at all."""

from rgbtrack.files.atomic import sha256, write_atomically
from rgbtrack.files.bleed_through import read_bleed_through
from rgbtrack.files.count_files import read_counts
from rgbtrack.files.images import PICTURE_ENDINGS, TIFF_ENDINGS, file_stem, read_stack
from rgbtrack.files.json_files import read_json, write_json
from rgbtrack.files.labels import read_labels, write_labels
from rgbtrack.files.outlines import OUTLINE_ENDINGS
from rgbtrack.files.table_files import read_table, write_table

__all__ = [
    "OUTLINE_ENDINGS",
    "PICTURE_ENDINGS",
    "TIFF_ENDINGS",
    "file_stem",
    "read_bleed_through",
    "read_counts",
    "read_json",
    "read_labels",
    "read_stack",
    "read_table",
    "sha256",
    "write_atomically",
    "write_json",
    "write_labels",
    "write_table",
]
