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
        Column("n_assigned", "int", "cells", "cells of the sample that have a clone", False),
        Column("n_sample_cells", "int", "cells", "cells of the sample, unassigned ones included", False),
        Column(
            "right_cells",
            "float",
            "cells",
            "of n_cells, how many are expected to descend from the clone's main founder: the sum of their "
            "clone_probability",
            False,
        ),
        Column(
            "expected_cells",
            "float",
            "cells",
            "cells of the clone among those counted, once those called for others, or for none, are given "
            "back; missing where most of its cells are called for others, or calls were not rehearsed",
            False,
        ),
        Column("expected_low", "float", "cells", "lower end of its 95 % interval, of misassignment", False),
        Column("expected_high", "float", "cells", "upper end of its 95 % interval, of misassignment", False),
        Column(
            "amount",
            "float",
            "cells, um² or um³",
            "cells of the clone, or their area or volume, as measure says",
            False,
        ),
        Column(
            "scale",
            "float",
            "",
            "cells of the whole sample for each one counted, from the totals of the sample sheet; missing "
            "where it tells none",
            False,
        ),
        Column("absolute_cells", "float", "cells", "cells of the clone in the whole sample", False),
        Column("absolute_low", "float", "cells", "lower end of its 95 % interval, from counting", False),
        Column("absolute_high", "float", "cells", "upper end of its 95 % interval, from counting", False),
    ),
)

_RATE = "relative: over the mean of the clones; absolute: of cell numbers"

GROWTH = Table(
    "growth",
    ("clone", "subject", "treatment", "site", "kind"),
    (
        Column("clone", "str", "", "clone"),
        Column("subject", "str", "", "statistical unit"),
        Column("treatment", "str", "", "what the subject was given"),
        Column("site", "str", "", "where"),
        Column("kind", "str", "", _RATE),
        Column(
            "rate_per_d",
            "float",
            "1/d",
            "growth rate: ln 2 over it is the doubling time; missing where the clone was never seen",
        ),
        Column("rate_low_per_d", "float", "1/d", "lower end of its 95 % interval"),
        Column("rate_high_per_d", "float", "1/d", "upper end of its 95 % interval"),
        Column("rate_se_per_d", "float", "1/d", "its standard error"),
        Column("first_d", "float", "d", "first timepoint"),
        Column("last_d", "float", "d", "last timepoint"),
        Column("n_timepoints", "int", "", "timepoints with cells of any clone"),
        Column("n_empty", "int", "", "timepoints at which the clone has no cell"),
        Column("n_cells", "int", "cells", "cells of the clone at all timepoints"),
        Column("in_reference", "bool", "", "one of the clones whose mean the others are compared with"),
    ),
)

GROWTH_BY_TREATMENT = Table(
    "growth by treatment",
    ("clone", "treatment", "site", "kind"),
    (
        Column("clone", "str", "", "clone"),
        Column("treatment", "str", "", "what the subjects were given"),
        Column("site", "str", "", "where"),
        Column("kind", "str", "", _RATE),
        Column(
            "design",
            "str",
            "",
            "within subjects: mean of their slopes; across subjects: slope over subjects that were seen once",
        ),
        Column("rate_per_d", "float", "1/d", "mean growth rate of the subjects"),
        Column("rate_low_per_d", "float", "1/d", "lower end of its 95 % interval"),
        Column("rate_high_per_d", "float", "1/d", "upper end of its 95 % interval"),
        Column("n_subjects", "int", "", "subjects that have cells of the clone"),
        Column(
            "between_sd",
            "float",
            "1/d",
            "scatter between subjects beyond counting, of all clones: of rates (across subjects: of ln size)",
        ),
        Column("difference_per_d", "float", "1/d", "rate less that of the control; missing for the control"),
        Column("difference_low_per_d", "float", "1/d", "lower end of its 95 % interval"),
        Column("difference_high_per_d", "float", "1/d", "upper end of its 95 % interval"),
        Column("p_value", "float", "", "of no difference"),
        Column("q_value", "float", "", "corrected over the clones of a treatment and site"),
    ),
)

CLONE_TIMES = Table(
    "clone times",
    ("clone", "subject", "treatment", "site"),
    (
        Column("clone", "str", "", "clone"),
        Column("subject", "str", "", "statistical unit"),
        Column("treatment", "str", "", "what the subject was given"),
        Column("site", "str", "", "where"),
        Column("first_seen_d", "float", "d", "first timepoint with a cell of the clone; missing: never"),
        Column("last_seen_d", "float", "d", "last timepoint with a cell of the clone"),
        Column(
            "lost_d",
            "float",
            "d",
            "timepoint from which on it was not seen: it fell below detection since last_seen_d; missing "
            "where it was seen at the end",
        ),
        Column(
            "detection_limit",
            "float",
            "",
            "share that would have been seen with 95 % certainty at lost_d and after",
        ),
        Column(
            "dominant_d",
            "float",
            "d",
            "when it passed the share, between timepoints by logits; missing: never",
        ),
        Column("dominant_low_d", "float", "d", "last timepoint below the share; missing: dominant at once"),
        Column("dominant_high_d", "float", "d", "first timepoint at or above the share"),
    ),
)
