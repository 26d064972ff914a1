"""What results can be written as."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """One kind of export.

    Attributes
    ----------
    what
        What is written, and what opens it.
    default
        Name of the file or folder in the results.
    module
        Module of this package whose ``write_<name>`` writes it; empty for tracks.
    one_file
        Whether it is a file; the others are folders.
    """

    what: str
    default: str
    module: str = ""
    one_file: bool = False


FORMATS: dict[str, Format] = {
    "csv": Format("all cells in one table: Excel, R", "cells.csv", "tables", True),
    "prism": Format("one table for each graph, a column per subject: Prism", "prism", "tables"),
    "anndata": Format("cells with clones and places: scanpy, squidpy", "cells.h5ad", "anndata", True),
    "spatialdata": Format("images, labels and cells: napari-spatialdata", "spatialdata.zarr", "spatialdata"),
    "fcs": Format("cells as events, a file per image: FlowJo and others", "fcs", "fcs"),
    "qupath": Format("outlines by clone with measurements, a file per image: QuPath", "qupath", "qupath"),
    "fiji": Format("outlines, and images of the clones with their colours: Fiji", "fiji", "fiji"),
    "geff": Format("tracks of time series: napari and trackers", "tracks.geff"),
    "ctc": Format("tracks as the Cell Tracking Challenge has them", "tracks_ctc"),
    "trackmate": Format("tracks: TrackMate", "tracks_trackmate"),
}
