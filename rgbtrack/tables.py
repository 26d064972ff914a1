"""Every table that rgbtrack writes or reads: columns, units, key, and one check.

``<marker>`` in a column name stands for each marker of the experiment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError

MARKER = "<marker>"
EXCLUDED = "excluded by hand"
"""How `unassigned_reason` begins for what a person took out of every count."""


@dataclass(frozen=True)
class Column:
    """One column: its name, type (``int``, ``float``, ``bool``, ``str``), unit and meaning."""

    name: str
    kind: str
    unit: str
    meaning: str
    required: bool = True


@dataclass(frozen=True)
class Table:
    """One table: its columns and the columns whose values, together, name a row."""

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def check(self, table: pd.DataFrame, need: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the table if it has what it needs.

        Parameters
        ----------
        table
            Any table, wherever it came from.
        need
            Columns that the caller uses; by default all required ones.

        Raises
        ------
        DataError
            All missing columns, non-numeric columns and repeated keys at once.
        """
        markers = markers_of(table)
        kinds = {
            column.name.replace(MARKER, marker): column.kind
            for column in self.columns
            for marker in (markers if MARKER in column.name else ("",))
        }
        if need is None:
            need = [column.name for column in self.columns if column.required and MARKER not in column.name]
        problems = []
        missing = [name for name in need if name not in table.columns]
        if missing:
            problems.append(
                f"{self.name} table lacks column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
                f"found {', '.join(map(str, table.columns)) or 'no columns'}"
            )
        for name in need:
            if (
                name in table.columns
                and kinds.get(name) in ("int", "float")
                and len(table)
                and not pd.api.types.is_numeric_dtype(table[name])
            ):
                problems.append(
                    f"{self.name} table: column {name} should hold numbers, found {table[name].iloc[0]!r}"
                )
        key = [name for name in self.key if name in need]
        if not missing and len(key) == len(self.key):
            repeated = table.duplicated(key)
            if repeated.any():
                first = ", ".join(f"{name}={table.loc[repeated, name].iloc[0]}" for name in key)
                problems.append(
                    f"{self.name} table: {int(repeated.sum())} rows repeat a key, the first is {first}; "
                    f"{', '.join(key)} must name one row"
                )
        if problems:
            raise DataError("\n".join(problems))
        return table


def markers_of(table: pd.DataFrame) -> tuple[str, ...]:
    """Markers of a table: each column that has a standard error beside it, in column order.

    >>> markers_of(pd.DataFrame(columns=["cell", "red", "green", "red_se", "green_se"]))
    ('red', 'green')
    """
    return tuple(str(name) for name in table.columns if f"{name}_se" in table.columns)


def errors_of(table: pd.DataFrame, markers: Sequence[str]) -> NDArray[np.float64]:
    """All that is unsure of each marker, noise and systematic, shape (n, m), counts."""
    parts = [
        [
            table[name].to_numpy(float, na_value=np.nan)
            for name in (f"{m}_se", f"{m}_systematic")
            if name in table
        ]
        for m in markers
    ]
    return (
        np.column_stack([np.sqrt(sum(np.square(part))) for part in parts])
        if parts
        else np.empty((len(table), 0))
    )


def counted(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells without those that a person excluded."""
    if "unassigned_reason" not in cells.columns:
        return cells
    excluded = cells["unassigned_reason"].astype("string").str.startswith(EXCLUDED).fillna(value=False)
    return cells[~excluded.astype(bool)]


SAMPLES = Table(
    "sample sheet",
    ("image_id",),
    (
        Column(
            "image",
            "str",
            "",
            "path of the image, relative to the sheet; several, for one file per channel, joined by ;",
        ),
        Column("subject", "str", "", "animal, well or patient: the statistical unit"),
        Column("treatment", "str", "", "what the subject was given"),
        Column("timepoint", "float", "d", "when the image was taken"),
        Column(
            "image_id",
            "str",
            "",
            "name of the image in every table; default the file name without its endings",
            False,
        ),
        Column("site", "str", "", "where in the subject; default primary", False),
        Column("batch", "str", "", "imaging session: images that share detector gains", False),
        Column("labels", "str", "", "ready-made masks, path relative to the sheet", False),
        Column("frame_interval_h", "float", "h", "time between frames, overrides the file", False),
        Column("pixel_size_um", "float", "um", "pixel size, overrides the file", False),
        Column("z_step_um", "float", "um", "distance between slices, overrides the file", False),
    ),
)

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
        Column("subject", "str", "", "from the sample sheet", False),
        Column("treatment", "str", "", "from the sample sheet", False),
        Column("timepoint", "float", "d", "from the sample sheet", False),
        Column("site", "str", "", "from the sample sheet", False),
    ),
)

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

TRUTH = Table(
    "truth",
    ("image_id", "frame", "cell"),
    (
        Column("image_id", "str", "", "image"),
        Column("frame", "int", "", "0-based frame"),
        Column("cell", "int", "", "label of the cell in the truth masks, from 1"),
        Column("clone", "int", "", "true clone (founder); missing for an unmarked cell", False),
    ),
)

REVIEW = Table(
    "corrections by hand",
    ("id",),
    (
        Column("id", "str", "", "name of the correction in review.jsonl"),
        Column("action", "str", "", "merge, split, assign, exclude, rename or undo"),
        Column("said", "str", "", "what was asked, with the clone numbers of that time"),
        Column(
            "status",
            "str",
            "",
            "applied; partly; nothing: it holds already; conflict: not made; undone: taken back",
        ),
        Column(
            "n_cells",
            "int",
            "cells",
            "cells whose clone it changed, all of it where clones were joined or told apart",
        ),
        Column("n_missing", "int", "cells", "cells that it names and that were not found"),
        Column("overrules", "str", "", "ids of earlier corrections that said otherwise of the same cells"),
        Column("outcome", "str", "", "what came of it, in words"),
        Column("note", "str", "", "why it was made"),
        Column("who", "str", "", "who made it"),
        Column("when", "str", "", "when it was made (UTC)"),
    ),
)
