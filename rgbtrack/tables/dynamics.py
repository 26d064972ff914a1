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
