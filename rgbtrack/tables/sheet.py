"""The sample sheet."""

from rgbtrack.tables.table import Column, Table

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
        Column(
            "scene",
            "str",
            "",
            "which image of a file that holds several (CZI, LIF, ND2, plates): name or 0-based number",
            False,
        ),
        Column(
            "axes",
            "str",
            "",
            "what the axes longer than one are, where the file says otherwise, in the order in which "
            "rgbtrack info shows them: tyx, czyx",
            False,
        ),
        Column("site", "str", "", "where in the subject; default primary", False),
        Column("batch", "str", "", "imaging session: images that share detector gains", False),
        Column("labels", "str", "", "ready-made masks, path relative to the sheet", False),
        Column(
            "tracks",
            "str",
            "",
            "tracks made or corrected elsewhere, used instead of linking (time series): a GEFF, a Cell "
            "Tracking Challenge folder, TrackMate's spots or a table of rgbtrack, path relative to the sheet",
            False,
        ),
        Column("frame_interval_h", "float", "h", "time between frames, overrides the file", False),
        Column("pixel_size_um", "float", "um", "pixel size, overrides the file", False),
        Column("z_step_um", "float", "um", "distance between slices, overrides the file", False),
        Column(
            "total_cells",
            "float",
            "cells",
            "cells of the whole sample, counted or measured otherwise (bioluminescence); once, or at each "
            "image",
            False,
        ),
        Column("sampled_volume_um3", "float", "um³", "tissue that this image shows", False),
        Column("total_volume_um3", "float", "um³", "of the sample; once, or at each image", False),
        Column("sampled_area_um2", "float", "um²", "section or well that this image shows", False),
        Column("total_area_um2", "float", "um²", "section or well; once or at each image", False),
    ),
)
