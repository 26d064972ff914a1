"""Tables of tracks."""

from rgbtrack.tables.table import MARKER, Column, Table

TRACK_SIGNATURES = Table(
    "track signatures",
    ("image_id", "track"),
    (
        Column("image_id", "str", "", "image"),
        Column("track", "int", "", "track, unique within its image"),
        Column("parent", "int", "", "track of the mother; missing where none is known"),
        Column("tree", "int", "", "track that the family begins with"),
        Column("n_frames", "int", "frames", "frames in which it was seen"),
        Column("first_frame", "int", "", "frame in which it was seen first"),
        Column("last_frame", "int", "", "frame in which it was seen last"),
        Column(MARKER, "float", "counts", "intensity, mean over its frames"),
        Column(
            f"{MARKER}_se",
            "float",
            "counts",
            "standard error of that mean: noise and flicker from frame to frame",
        ),
        Column(
            f"{MARKER}_systematic",
            "float",
            "counts",
            "standard error that all its frames share; not less for having many",
            False,
        ),
    ),
)
