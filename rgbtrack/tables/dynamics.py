"""Tables of clone sizes and of what follows from them."""

from rgbtrack.tables.table import Column, Table

CLONE_SIZES = Table(
    "clone sizes",
    ("clone", "subject", "treatment", "timepoint", "site"),
    (
        Column("clone", "int", "", "clone"),
        Column("subject", "str", "", "statistical unit"),
        Column("treatment", "str", "", "what the subject was given"),
        Column("timepoint", "float", "d", "when"),
        Column("site", "str", "", "where"),
        Column("n_cells", "int", "cells", "cells of the clone, zero included"),
        Column("fraction", "float", "", "share of the clone among the assigned cells of this sample"),
        Column("fraction_low", "float", "", "lower end of the 95 % interval from counting"),
        Column("fraction_high", "float", "", "upper end of the 95 % interval from counting"),
    ),
)
