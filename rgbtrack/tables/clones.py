"""Tables of clones."""

from rgbtrack.tables.table import MARKER, Column, Table

CLONES = Table(
    "clones",
    ("clone",),
    (
        Column("clone", "int", "", "1 is the largest (corrections by hand keep numbers)"),
        Column("subject", "str", "", "whose clone it is, where each subject has its own", False),
        Column("n_cells", "int", "cells", "cells called for this clone"),
        Column(MARKER, "float", "counts", "mean intensity of the clone's colour"),
        Column(
            "unique_probability",
            "float",
            "",
            "probability that no second founder provides over a tenth of its cells",
        ),
        Column(
            "expected_founders",
            "float",
            "",
            "expected number of founders of this colour, each over a tenth of the cells",
        ),
        Column(
            "same_founder_probability",
            "float",
            "",
            "probability that two of its cells, from two timepoints or sites of a subject, are of one "
            "founder; of two subjects: clone_matches.csv",
            False,
        ),
        Column("n_subjects", "int", "", "subjects with at least min_cells of its cells", False),
        Column("n_timepoints", "int", "", "timepoints with at least min_cells of its cells", False),
        Column("n_sites", "int", "", "sites with at least min_cells of its cells", False),
        Column("one_colour", "bool", "", "carries one marker only: told from others by brightness at best"),
        Column("near_pair", "bool", "", "another clone's colour lies within reach of confusion"),
        Column(
            "nearest_clone", "int", "", "clone of the nearest colour; missing where there is one clone", False
        ),
        Column("nearest_distance", "float", "sd", "how far it lies, in standard deviations of a cell", False),
        Column(
            "brightness_split_from",
            "int",
            "",
            "nearest clone with the same ratios of markers: told apart by brightness only; else missing",
            False,
        ),
        Column(
            "silenced_from",
            "int",
            "",
            "clone of which this may be a part that lost a marker: the others are alike; else missing",
            False,
        ),
        Column("clone_name", "str", "", "name given by hand", False),
    ),
)

CLONE_DISTANCES = Table(
    "clone distances",
    ("clone", "other"),
    (
        Column("clone", "int", "", "clone"),
        Column("other", "int", "", "another clone, of a larger number"),
        Column("distance", "float", "sd", "of their colours, in standard deviations of a cell"),
        Column("merge_probability", "float", "", "chance that founders so far apart are called as one clone"),
    ),
)

CLONE_MATCHES = Table(
    "clone matches",
    ("subject", "clone", "other_subject", "other_clone"),
    (
        Column("subject", "str", "", "subject"),
        Column("clone", "int", "", "clone, its cells in this subject"),
        Column("other_subject", "str", "", "another subject"),
        Column(
            "other_clone",
            "int",
            "",
            "clone, its cells in the other subject; missing where none is as likely as 5 %",
        ),
        Column("match_probability", "float", "", "that one founder is the main one of both clones"),
        Column(
            "alone_probability",
            "float",
            "",
            "that the clone's main founder is that of no clone of the other subject",
        ),
        Column(
            "distance", "float", "se", "of their mean colours, in standard errors, once gains are allowed for"
        ),
    ),
)
