"""Tables of time-lapse: tracked cells, tracks, and what they say of clones."""

from rgbtrack.tables.table import MARKER, Column, Table

_SAMPLE = (
    Column("subject", "str", "", "from the sample sheet", False),
    Column("treatment", "str", "", "from the sample sheet", False),
    Column("timepoint", "float", "d", "from the sample sheet", False),
    Column("site", "str", "", "from the sample sheet", False),
)

TRACKED = Table(
    "tracked cells",
    ("image_id", "frame", "cell"),
    (
        Column("image_id", "str", "", "image"),
        Column("frame", "int", "", "0-based frame"),
        Column("cell", "int", "", "label of the cell in this frame's mask"),
        Column("z_um", "float", "um", "centroid, depth", False),
        Column("y_um", "float", "um", "centroid, down", False),
        Column("x_um", "float", "um", "centroid, right", False),
        Column("drift_y_um", "float", "um", "how far the stage had drifted in this frame, down", False),
        Column("drift_x_um", "float", "um", "how far the stage had drifted, right", False),
        Column("time_h", "float", "h", "time of the frame; else frame times frame_interval_h", False),
        Column("frame_interval_h", "float", "h", "time between frames", False),
        Column(
            "track",
            "int",
            "",
            "track, unique within the image: one cell from its birth or appearance to its division or end; "
            "missing where it is in none",
        ),
        Column("parent", "int", "", "track of the mother; missing where none is known", False),
        Column("tree", "int", "", "track from which all tracks of this family descend", False),
        Column(
            "link_probability",
            "float",
            "",
            "that the link from the cell before, or from the mother, is right; missing for a cell that "
            "appears",
            False,
        ),
        Column("clone", "int", "", "clone; missing where unassigned", False),
        Column("touches_border", "bool", "", "cut by the edge of the image", False),
        *_SAMPLE,
    ),
)

TRACKS = Table(
    "tracks",
    ("image_id", "track"),
    (
        Column("image_id", "str", "", "image"),
        Column("track", "int", "", "track"),
        Column("parent", "int", "", "track of the mother; missing where none is known"),
        Column("tree", "int", "", "track from which all tracks of this family descend"),
        Column("clone", "int", "", "clone of most of its cells; missing where none is assigned", False),
        *_SAMPLE,
        Column("first_frame", "int", "", "frame of its first cell"),
        Column("last_frame", "int", "", "frame of its last cell"),
        Column("n_cells", "int", "cells", "frames in which it was found"),
        Column("n_daughters", "int", "", "tracks that have it as parent"),
        Column("start_h", "float", "h", "time of its first cell"),
        Column("end_h", "float", "h", "time of its last cell"),
        Column("duration_h", "float", "h", "from its first cell to its last"),
        Column(
            "observed_h",
            "float",
            "h",
            "time under observation: duration, and half an interval for each end that is a birth, a "
            "division, "
            "a loss or an exit",
        ),
        Column("path_um", "float", "um", "sum of its steps, stage drift removed"),
        Column("displacement_um", "float", "um", "from its first place to its last, stage drift removed"),
        Column(
            "straightness",
            "float",
            "",
            "displacement over path, 1 for a straight line; shorter tracks are straighter; missing below "
            "3 cells",
        ),
        Column(
            "speed_um_h",
            "float",
            "um/h",
            "path over duration: localisation error included; missing for 1 cell",
        ),
        Column("speed_median_um_h", "float", "um/h", "median speed of its steps"),
        Column(
            "speed_corrected_um_h",
            "float",
            "um/h",
            "root mean square speed of its steps, less what localisation error adds; 0 where error "
            "explains all",
        ),
        Column(
            "fate",
            "str",
            "",
            "division; end of movie; left image: its last cell is at the border; lost: it disappeared "
            "inside, "
            "by death or because segmentation or linking failed, which cannot be told apart",
        ),
    ),
)

MSD = Table(
    "mean squared displacement",
    ("clone", "subject", "treatment", "timepoint", "site", "lag_h"),
    (
        Column("clone", "int", "", "clone; missing where unassigned", False),
        *_SAMPLE,
        Column("lag_h", "float", "h", "time between two places of a cell"),
        Column("msd_um2", "float", "um²", "mean squared distance between them, stage drift removed"),
        Column("msd_low", "float", "um²", "lower end of its 95 % interval, over interval_unit"),
        Column("msd_high", "float", "um²", "upper end of its 95 % interval, over interval_unit"),
        Column("n_pairs", "int", "", "pairs of places, overlapping in time"),
        Column("n_tracks", "int", "", "tracks that gave them"),
        Column("interval_unit", "str", "", "subject, or family of tracks where there is one subject"),
        Column(
            "fit_um2", "float", "um²", "Fürth's formula with localisation error; missing beyond fitted lags"
        ),
    ),
)

_COUNT = "exact Poisson, 95 %"

CLONE_MOTILITY = Table(
    "clone motility",
    ("clone", "subject", "treatment", "timepoint", "site"),
    (
        Column("clone", "int", "", "clone; missing where unassigned", False),
        *_SAMPLE,
        Column("n_subjects", "int", "", "subjects in this row", False),
        Column("n_tracks", "int", "", "tracks"),
        Column("observed_h", "float", "h", "cell hours under observation"),
        Column("n_divisions", "int", "", "tracks that ended in a division"),
        Column(
            "n_lost", "int", "", "tracks that disappeared inside the image: death or failure, not told apart"
        ),
        Column("n_left", "int", "", "tracks that left the image"),
        Column("division_rate_per_h", "float", "1/h", "divisions per cell and hour"),
        Column("division_rate_low", "float", "1/h", f"lower end, {_COUNT}"),
        Column("division_rate_high", "float", "1/h", f"upper end, {_COUNT}"),
        Column(
            "doubling_h",
            "float",
            "h",
            "ln 2 over the division rate: if no cell died; missing without division",
        ),
        Column("doubling_low", "float", "h", "lower end, from the division rate's"),
        Column(
            "doubling_high", "float", "h", "upper end, from the division rate's; missing without division"
        ),
        Column("loss_rate_per_h", "float", "1/h", "tracks lost per cell and hour"),
        Column("loss_rate_low", "float", "1/h", f"lower end, {_COUNT}"),
        Column("loss_rate_high", "float", "1/h", f"upper end, {_COUNT}"),
        Column("exit_rate_per_h", "float", "1/h", "tracks that left the image per cell and hour"),
        Column("exit_rate_low", "float", "1/h", f"lower end, {_COUNT}"),
        Column("exit_rate_high", "float", "1/h", f"upper end, {_COUNT}"),
        Column("speed_um_h", "float", "um/h", "path over time, all tracks: localisation error included"),
        Column(
            "speed_corrected_um_h",
            "float",
            "um/h",
            "root mean square speed of the steps, less what localisation error adds",
        ),
        Column("straightness", "float", "", "mean over tracks of at least 3 cells"),
        Column(
            "persistence_h",
            "float",
            "h",
            "time over which a direction is kept (Fürth); missing where it cannot be told from none or from "
            "longer than observed",
        ),
        Column("persistence_low", "float", "h", "lower end, 95 %; missing where the data set none"),
        Column("persistence_high", "float", "h", "upper end, 95 %; missing where the data set none"),
        Column(
            "motility_um2_h", "float", "um²/h", "motility coefficient: MSD tends to 2 x dimensions x it x lag"
        ),
        Column("motility_low", "float", "um²/h", "lower end, 95 %"),
        Column("motility_high", "float", "um²/h", "upper end, 95 %; missing where the data set none"),
        Column("rms_speed_um_h", "float", "um/h", "root mean square speed at an instant (Fürth)"),
        Column("rms_speed_low", "float", "um/h", "lower end, 95 %"),
        Column("rms_speed_high", "float", "um/h", "upper end, 95 %; missing where the data set none"),
        Column("localisation_um", "float", "um", "error of a place along one axis, from the MSD at lag 0"),
        Column(
            "interval_unit",
            "str",
            "",
            "unit of Fürth's intervals: subject, or family where there is one subject",
        ),
        Column("n_units", "int", "", "how many there are"),
    ),
)

MOTILITY_BY_TREATMENT = Table(
    "motility by treatment",
    ("clone", "measure", "timepoint", "site", "treatment"),
    (
        Column("clone", "int", "", "clone; missing: all tracks together"),
        Column("measure", "str", "", "column of clone_motility that is compared"),
        Column("timepoint", "float", "d", "from the sample sheet", False),
        Column("site", "str", "", "from the sample sheet", False),
        Column("treatment", "str", "", "compared with the control"),
        Column("control", "str", "", "reference treatment"),
        Column("n_subjects", "int", "", "subjects with a value, treated"),
        Column("n_control", "int", "", "subjects with a value, control"),
        Column("mean", "float", "", "mean of the treated subjects, unit of the measure"),
        Column("control_mean", "float", "", "mean of the control subjects"),
        Column("difference", "float", "", "treated less control"),
        Column("difference_low", "float", "", "lower end, 95 %, Welch"),
        Column("difference_high", "float", "", "upper end, 95 %, Welch"),
        Column("ratio", "float", "", "treated mean over control mean"),
        Column("p", "float", "", "Welch's t test of subjects; missing below 2 subjects in an arm"),
        Column(
            "q", "float", "", "false discovery rate over the clones of a measure (Benjamini and Hochberg)"
        ),
    ),
)

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
