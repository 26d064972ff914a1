"""Tables of clone sizes and of what follows from them."""

from rgbtrack.tables.table import Column, Table

CLONE_SIZES = Table(
    "clone sizes",
    ("clone", "subject", "treatment", "timepoint", "site"),
    (
        Column("clone", "label", "", "clone; any name in tables from elsewhere"),
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

CLONE_RESPONSE = Table(
    "clone response",
    ("clone", "treatment", "site"),
    (
        Column("clone", "label", "", "clone; any name in tables from elsewhere"),
        Column(
            "treatment",
            "str",
            "",
            "what is held against the control; of a factorial design also the other factors, and "
            "pairs (a : b), the effect beyond that of each alone",
        ),
        Column("site", "str", "", "where"),
        Column("when", "str", "", "day that was compared, or before and after an event"),
        Column(
            "effect",
            "float",
            "log2",
            "log2 fold change of the clone's share, relative to the majority of clones; 1 is twice as much",
        ),
        Column("low", "float", "log2", "lower end of its 95 % interval, the subject as the unit"),
        Column("high", "float", "log2", "upper end"),
        Column(
            "p_value", "float", "", "that a clone without response differs as much; missing if not tested"
        ),
        Column("q_value", "float", "", "false discovery rate over the clones of this treatment and site"),
        Column("n_subjects", "int", "subjects", "subjects behind it, those of the control included"),
        Column("n_cells", "float", "cells", "cells of the clone in the samples compared"),
        Column("second_effect", "float", "log2", "effect by the second model, of counts"),
        Column("second_p_value", "float", "", "p by the second model"),
        Column("models_agree", "bool", "", "both models say the same; missing if not tested"),
        Column("note", "str", "", "why the clone was not tested; blank if it was"),
    ),
)

HETEROGENEITY = Table(
    "response heterogeneity",
    ("treatment", "site"),
    (
        Column("treatment", "str", "", "what is held against the control"),
        Column("site", "str", "", "where"),
        Column("when", "str", "", "day that was compared, or before and after an event"),
        Column("statistic", "float", "", "mean squared t of the clones; about 1 if none responds"),
        Column("p_value", "float", "", "that clones which all respond alike differ as much"),
        Column("n_subjects", "int", "subjects", "subjects behind it, those of the control included"),
        Column("n_clones", "int", "clones", "clones tested"),
    ),
)
