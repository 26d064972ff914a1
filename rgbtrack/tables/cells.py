"""Tables of cells: measured, true, doubtful, corrected by hand, audited."""

from rgbtrack.tables.table import MARKER, Column, Table

CELLS = Table(
    "cells",
    ("image_id", "frame", "cell"),
    (
        Column("image_id", "str", "", "image"),
        Column("frame", "int", "", "0-based frame"),
        Column("cell", "int", "", "label of the cell in this image, from 1"),
        Column("z_um", "float", "um", "centroid, depth; 0 in one plane, projected or not"),
        Column("y_um", "float", "um", "centroid, down"),
        Column("x_um", "float", "um", "centroid, right"),
        Column(
            "drift_y_um",
            "float",
            "um",
            "how far the stage had drifted in this frame, down (time series)",
            False,
        ),
        Column("drift_x_um", "float", "um", "how far the stage had drifted, right (time series)", False),
        Column("area_um2", "float", "um²", "area (2-D images, projected z-stacks)", False),
        Column("volume_um3", "float", "um³", "volume (z-stacks)", False),
        Column("perimeter_um", "float", "um", "length of the outline (2-D images)", False),
        Column(
            "eccentricity",
            "float",
            "",
            "of the ellipse with the cell's second moments: 0 a circle, towards 1 a line (2-D images)",
            False,
        ),
        Column(
            "ellipse_fill",
            "float",
            "",
            "area over that of the ellipse with the same second moments: 1 for an ellipse, less with dents "
            "and arms (2-D images)",
            False,
        ),
        Column(
            "touches_cell",
            "float",
            "",
            "share of the outline, plane by plane, that touches another cell",
            False,
        ),
        Column(MARKER, "float", "counts", "corrected, unmixed intensity: mean over the cell's core pixels"),
        Column(
            f"{MARKER}_se", "float", "counts", "its standard error: noise, which another exposure would show"
        ),
        Column(
            f"{MARKER}_systematic",
            "float",
            "counts",
            "standard error that another exposure would repeat: of background, haze and bleed-through",
            False,
        ),
        Column(
            f"{MARKER}_limit",
            "float",
            "counts",
            "limit of detection: a marker of this intensity is detected in 95 % of cells like this one",
            False,
        ),
        Column(
            f"{MARKER}_detected",
            "bool",
            "",
            "above what 95 % of cells like this one read without the marker",
            False,
        ),
        Column(f"cov_{MARKER}_{MARKER}", "float", "counts²", "covariance of two markers' errors", False),
        Column(f"{MARKER}_raw", "float", "counts", "background-free intensity before unmixing", False),
        Column(f"{MARKER}_fraction", "float", "", "share of the marker in the cell's colour"),
        Column("brightness", "float", "counts", "sum of the markers"),
        Column("snr", "float", "", "brightness in units of its standard error"),
        Column("touches_border", "bool", "", "cut by the edge of the image"),
        Column("saturated", "bool", "", "over 2 % of its pixels at the detector's limit in some channel"),
        Column("small", "bool", "", "too few core pixels: measured over the whole cell"),
        Column("doublet", "bool", "", "its pixels hold two colours"),
        Column(
            "merged",
            "bool",
            "",
            "may be two cells: its parts were joined with less than 80 % certainty",
            False,
        ),
        Column("cell_probability", "float", "", "that it is a cell; missing for ready-made masks", False),
        Column(
            "clone",
            "int",
            "",
            "clone, 1 is the largest (corrections by hand keep numbers); missing where unassigned",
            False,
        ),
        Column(
            "clone_probability",
            "float",
            "",
            "that it descends from the main founder of its most probable clone: how sure the call is, times "
            "the share of the clone's cells that one founder is expected to provide; missing where a "
            "person decided",
            False,
        ),
        Column("unassigned_reason", "str", "", "why the cell has no clone; missing where it has one", False),
        Column(
            "colour_clone", "int", "", "clone by colour alone: for statistics that ask about space", False
        ),
        Column("colour_probability", "float", "", "as clone_probability, by colour alone", False),
        Column("corrected_by", "str", "", "ids of the corrections by hand that changed its clone", False),
        Column("clone_name", "str", "", "name given to its clone by hand", False),
        Column("track", "int", "", "one cell from birth or appearance to division or end, by image", False),
        Column("parent", "int", "", "track of its mother; missing where no mother is known", False),
        Column("tree", "int", "", "track that its family begins with", False),
        Column(
            "link_probability",
            "float",
            "",
            "that the link from the cell before, or from its mother, is right; missing for cells that appear",
            False,
        ),
        Column("track_clone", "int", "", "clone of its track, by all its cells and its relatives", False),
        Column("track_clone_probability", "float", "", "that its track is of that clone", False),
        Column("clone_disagrees", "bool", "", "called for another clone than its track's", False),
        Column("subject", "str", "", "from the sample sheet", False),
        Column("treatment", "str", "", "from the sample sheet", False),
        Column("timepoint", "float", "d", "from the sample sheet", False),
        Column("site", "str", "", "from the sample sheet", False),
    ),
)

TRUTH = Table(
    "truth",
    ("image_id", "frame", "cell"),
    (
        Column("image_id", "str", "", "image"),
        Column("frame", "int", "", "0-based frame"),
        Column("cell", "int", "", "label of the cell in the truth masks, from 1"),
        Column("clone", "int", "", "true clone (founder); missing for an unmarked cell", False),
        Column("track", "int", "", "true track (time series)", False),
        Column("parent", "int", "", "true track of the mother (time series)", False),
    ),
)

DOUBTS = Table(
    "doubtful cells",
    ("image_id", "frame", "cell"),
    (
        Column("image_id", "str", "", "image"),
        Column("frame", "int", "", "0-based frame"),
        Column("cell", "int", "", "label of the cell"),
        Column("clone", "int", "", "clone that it was called; missing for a cell between clones"),
        Column("probability", "float", "", "its clone_probability"),
        Column("other_clone", "int", "", "clone that it may be of instead; missing where there is none"),
        Column(
            "influence",
            "float",
            "",
            "how much a wrong call is expected to change the log shares of clones in its sample",
        ),
        Column("why", "str", "", "why it is worth a look, in words"),
    ),
)

REVIEW = Table(
    "corrections by hand",
    ("id",),
    (
        Column("id", "str", "", "name of the correction in review.jsonl"),
        Column("action", "str", "", "merge, split, assign, exclude, rename, verdict, cut, join or undo"),
        Column("said", "str", "", "what was asked, with the clone numbers of that time"),
        Column(
            "status",
            "str",
            "",
            "applied; partly; nothing: it holds already; conflict: not made; undone: taken back; of verdicts "
            "also stale: its cell is called otherwise now, and replaced: by a later one",
        ),
        Column(
            "n_cells",
            "int",
            "cells",
            "cells whose clone it changed, all of it where clones were joined or told apart; of links, cells "
            "that follow another now, or none",
        ),
        Column("n_missing", "int", "cells", "cells that it names and that were not found"),
        Column("overrules", "str", "", "ids of earlier corrections that said otherwise of the same cells"),
        Column("outcome", "str", "", "what came of it, in words"),
        Column("note", "str", "", "why it was made"),
        Column("who", "str", "", "who made it"),
        Column("when", "str", "", "when it was made (UTC)"),
    ),
)

AUDITS = Table(
    "audits",
    ("audit",),
    (
        Column("audit", "str", "", "name of the audit"),
        Column("n_cells", "int", "cells", "drawn at random and looked at, and called as they were then"),
        Column("n_right", "int", "cells", "of the clone that they are called"),
        Column("n_wrong", "int", "cells", "of another, or of none"),
        Column("n_unclear", "int", "cells", "of which a look does not tell"),
        Column("n_stale", "int", "cells", "judged, but called otherwise now or not found: not counted"),
        Column("error", "float", "", "share of wrong ones among right and wrong; missing without any"),
        Column("error_low", "float", "", "lower end of its 95 % interval"),
        Column("error_high", "float", "", "upper end of its 95 % interval"),
        Column("error_least", "float", "", "lower end of the interval if unclear and stale ones were right"),
        Column("error_most", "float", "", "upper end of the interval if unclear and stale ones were wrong"),
        Column(
            "expected_error",
            "float",
            "",
            "1 - mean clone_probability of right and wrong ones; it counts founders that share a colour",
        ),
        Column("words", "str", "", "what it came to, in words"),
    ),
)
