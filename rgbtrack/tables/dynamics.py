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

_SAMPLE = (
    Column("subject", "str", "", "statistical unit", False),
    Column("treatment", "str", "", "what the subject was given", False),
    Column("timepoint", "float", "d", "when", False),
    Column("site", "str", "", "where; primary if the cells do not tell", False),
)

LESIONS = Table(
    "lesions",
    ("image_id", "lesion"),
    (
        Column("image_id", "str", "", "image"),
        Column("lesion", "int", "", "number in the image, from 1, the largest first"),
        *_SAMPLE,
        Column("n_cells", "int", "cells", "cells of the lesion"),
        Column("n_assigned", "int", "cells", "of which have a clone", False),
        Column("z_um", "float", "um", "mean of its cells' centres, depth", False),
        Column("y_um", "float", "um", "mean of its cells' centres, down", False),
        Column("x_um", "float", "um", "mean of its cells' centres, right", False),
        Column("area_um2", "float", "um²", "area of its cells together (2-D)", False),
        Column("volume_um3", "float", "um³", "volume of its cells together (3-D)", False),
        Column("extent_um", "float", "um", "largest distance of two of its cells in the plane", False),
        Column(
            "distance_um",
            "float",
            "um",
            "largest step from cell to cell within it; missing with masks",
            False,
        ),
        Column("touches_border", "bool", "", "a cell of it is cut by the edge of the image", False),
        Column("clone_by", "str", "", "column that told the clones: colour_clone or clone", False),
        Column("clone", "int", "", "its largest clone; missing where no cell is assigned", False),
        Column(
            "second_clone", "int", "", "its second clone by cells, told or mistaken; may be missing", False
        ),
        Column("second_cells", "int", "cells", "cells of the second clone", False),
        Column("n_colours", "int", "", "clones it holds beyond what misassignment gives", False),
        Column(
            "p_value",
            "float",
            "",
            "of the lesion being of one clone: that misassigned and stray cells look so mixed",
            False,
        ),
        Column("q_value", "float", "", "the same, false discovery rate over all lesions", False),
        Column(
            "power",
            "float",
            "",
            "how often a second clone of the share minor_share would be found in so many assigned cells",
            False,
        ),
        Column("clonality", "str", "", "monoclonal, polyclonal or undecided (too few cells to tell)", False),
        Column(
            "segregation",
            "float",
            "",
            "of a polyclonal lesion: 0 its clones are mixed as by chance, 1 they touch nowhere",
            False,
        ),
        Column("neighbour_um", "float", "um", "distance to the centre of the nearest other lesion", False),
    ),
)

LESION_CLONES = Table(
    "lesion clones",
    ("image_id", "lesion", "clone"),
    (
        Column("image_id", "str", "", "image"),
        Column("lesion", "int", "", "number in the image"),
        Column("clone", "int", "", "clone"),
        Column("n_cells", "int", "cells", "cells of the lesion called for this clone"),
        Column("fraction", "float", "", "share of the clone among the lesion's assigned cells"),
        Column("fraction_low", "float", "", "lower end of the interval from counting"),
        Column("fraction_high", "float", "", "upper end of the interval from counting"),
        Column(
            "p_value",
            "float",
            "",
            "that its cells are misassigned ones of the lesion's largest clone, or strays; missing for the "
            "largest",
        ),
        Column("present", "bool", "", "part of the lesion by its call"),
    ),
)

_SUBJECT = (
    Column("subject", "str", "", "statistical unit"),
    Column("treatment", "str", "", "what the subject was given"),
)

SEEDING = Table(
    "seeding",
    ("subject", "treatment", "timepoint", "site"),
    (
        *_SUBJECT,
        Column("timepoint", "float", "d", "when"),
        Column("site", "str", "", "where the lesions are"),
        Column("n_images", "int", "", "images looked at; missing without a sample sheet"),
        Column("n_lesions", "int", "", "lesions, zero included"),
        Column("n_told", "int", "", "lesions large enough to tell two clones"),
        Column("n_polyclonal", "int", "", "of which are polyclonal"),
        Column("n_cells", "int", "cells", "cells of all lesions"),
        Column("same_colour", "float", "", "chance that two founders from the source share a colour"),
        Column("polyclonal_share", "float", "", "share of polyclonal lesions among those that tell"),
        Column("polyclonal_low", "float", "", "lower end of its interval from counting"),
        Column("polyclonal_high", "float", "", "upper end of its interval from counting"),
        Column(
            "polyclonal_corrected",
            "float",
            "",
            "share of lesions of two founders, those of one colour included; at most 1",
        ),
        Column("polyclonal_corrected_low", "float", "", "lower end of its interval from counting"),
        Column("polyclonal_corrected_high", "float", "", "upper end of its interval from counting"),
        Column("founders", "float", "", "mean number of founders of a lesion"),
        Column("founders_low", "float", "", "lower end of its interval"),
        Column("founders_high", "float", "", "upper end of its interval; infinite where the colours run out"),
    ),
)

SEEDING_EFFECTS = Table(
    "seeding effects",
    ("outcome", "site", "timepoint", "treatment"),
    (
        Column(
            "outcome",
            "str",
            "",
            "n_lesions (effect: log2 ratio), polyclonal_share or founders (effect: difference)",
        ),
        Column("site", "str", "", "where the lesions are"),
        Column("timepoint", "float", "d", "when"),
        Column("treatment", "str", "", "arm that is compared with the control"),
        Column("mean", "float", "", "of the subjects of the arm"),
        Column("control_mean", "float", "", "of the subjects of the control arm"),
        Column("effect", "float", "", "log2 ratio (n_lesions) or difference of the means"),
        Column("low", "float", "", "lower end of the interval"),
        Column("high", "float", "", "upper end of the interval"),
        Column("p_value", "float", "", "quasi-Poisson (n_lesions) or Welch t over subjects"),
        Column(
            "p_permutation", "float", "", "exchange of subjects between the arms: another view of the same"
        ),
        Column("q_value", "float", "", "of p_value, false discovery rate over the table"),
        Column("n_subjects", "int", "", "subjects of the arm"),
        Column("n_control", "int", "", "subjects of the control arm"),
    ),
)

SITE_OVERLAP = Table(
    "site overlap",
    ("subject", "site", "other_site"),
    (
        *_SUBJECT,
        Column("site", "str", "", "where"),
        Column("other_site", "str", "", "where else"),
        Column("timepoint", "float", "d", "of the site: the last with cells"),
        Column("other_timepoint", "float", "d", "of the other site"),
        Column("n_cells", "int", "cells", "assigned cells at the site"),
        Column("other_cells", "int", "cells", "assigned cells at the other site"),
        Column("n_clones", "int", "", "clones at the site"),
        Column("other_clones", "int", "", "clones at the other site"),
        Column("n_shared", "int", "", "clones at both"),
        Column(
            "n_shared_unique",
            "int",
            "",
            "of which are one founder as likely as not; missing without a clone table",
        ),
        Column("jaccard", "float", "", "shared clones over all clones"),
        Column("jaccard_expected", "float", "", "if both sites had the same shares, and so few cells"),
        Column("jaccard_low", "float", "", "lower end of the range of 95 % of such draws"),
        Column("jaccard_high", "float", "", "upper end of that range"),
        Column("morisita_horn", "float", "", "likeness of the shares: 0 no clone in common, 1 alike"),
        Column("morisita_horn_expected", "float", "", "if both sites had the same shares"),
        Column("morisita_horn_low", "float", "", "lower end of the range of such draws"),
        Column("morisita_horn_high", "float", "", "upper end of that range"),
        Column("n_absent", "int", "", "clones of the site that the other lacks"),
        Column(
            "n_absent_expected",
            "float",
            "",
            "clones that the other would lack by the number of its cells alone",
        ),
        Column(
            "detectable_share",
            "float",
            "",
            "share that a clone must have at the other site to be seen there in 95 % of cases",
        ),
        Column("p_value", "float", "", "that both sites have the same shares, from Morisita-Horn"),
    ),
)

SITE_CLONES = Table(
    "site clones",
    ("subject", "timepoint", "site", "clone"),
    (
        *_SUBJECT,
        Column("timepoint", "float", "d", "of the site: the last with cells"),
        Column("site", "str", "", "where"),
        Column("clone", "int", "", "clone"),
        Column("n_cells", "int", "cells", "its cells at the site"),
        Column("source_cells", "int", "cells", "its cells at the source"),
        Column(
            "log2_ratio", "float", "log2", "of its share at the site to that at the source, half a cell added"
        ),
        Column("low", "float", "log2", "lower end of the interval from counting"),
        Column("high", "float", "log2", "upper end of the interval from counting"),
        Column("p_value", "float", "", "that counting alone makes the shares so different (Fisher, mid-p)"),
        Column("q_value", "float", "", "false discovery rate over the clones of this subject and site"),
        Column(
            "expected_founders",
            "float",
            "",
            "founders of this colour: the cells here may be another's",
            False,
        ),
    ),
)

SITE_ENRICHMENT = Table(
    "site enrichment",
    ("site", "clone", "treatment", "against"),
    (
        Column("site", "str", "", "where"),
        Column("clone", "int", "", "clone"),
        Column("treatment", "str", "", "arm"),
        Column(
            "against", "str", "", "what the arm is compared with: the source, or the control arm's enrichment"
        ),
        Column("effect", "float", "log2", "mean over subjects of its log2 ratio less that of the mean clone"),
        Column("low", "float", "log2", "lower end of the interval"),
        Column("high", "float", "log2", "upper end of the interval"),
        Column("p_value", "float", "", "t over subjects; Welch t between arms"),
        Column("q_value", "float", "", "false discovery rate over the clones of a site, arm and comparison"),
        Column("n_subjects", "int", "", "subjects of the arm with cells at both sites"),
    ),
)
