"""What a results folder holds, as the exports need it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackError
from rgbtrack.files import check_names, labels_file, read_json, read_labels, read_table
from rgbtrack.pipeline.recorded import open_recorded
from rgbtrack.pipeline.task import voxel_um
from rgbtrack.plot import clone_colours
from rgbtrack.plot.colours import RGB, UNASSIGNED
from rgbtrack.stack import Stack


@dataclass(frozen=True, eq=False)
class Results:
    """Tables of a run and where its images and labels lie.

    Attributes
    ----------
    folder
        The results folder.
    cells
        As cells.parquet has them, every cell.
    clones
        As clones.csv has them.
    markers
        In the order of the experiment.
    configuration
        Settings of the run.
    records
        What run.json tells of each image.
    about
        Version of rgbtrack and name of the experiment.
    """

    folder: Path
    cells: pd.DataFrame
    clones: pd.DataFrame
    markers: list[str]
    configuration: dict[str, Any]
    records: dict[str, dict[str, Any]]
    about: dict[str, str]

    def images(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Name and cells of every image that was measured, cells or none."""
        of = dict(iter(self.cells.groupby("image_id", sort=False, observed=True)))
        for image_id, record in self.records.items():
            if record.get("status") == "done":
                yield image_id, of.get(image_id, self.cells.iloc[:0])

    def labels(self, image_id: str) -> NDArray[np.uint32]:
        """Labels of an image, (t, z, y, x)."""
        file = labels_file(self.folder / "labels", image_id)
        if not file.exists():
            raise DataError(f"{file}: no such file: export needs the labels that the run wrote")
        return read_labels(file)

    def image(self, image_id: str) -> Stack:
        """The image itself, lazily, channels named after markers.

        Raises
        ------
        DataError
            If it was moved away.
        """
        return open_recorded(self.records[image_id], self.configuration)

    def voxel_um(self, image_id: str) -> tuple[float, float, float]:
        """Size of a voxel, (z, y, x), as the centroids of the cells have it."""
        record = self.records[image_id]
        return voxel_um(record.get("pixel_size_um"), record.get("z_step_um"))

    @cached_property
    def colours(self) -> dict[int, RGB]:
        """Colour of each clone on a screen."""
        return clone_colours(self.clones, self.markers) if len(self.clones) else {}

    def colour(self, clone: Any) -> RGB:
        """Colour of a clone, or of cells without one."""
        return UNASSIGNED if pd.isna(clone) else self.colours.get(int(clone), UNASSIGNED)


def read_results(folder: str | Path) -> Results:
    """Read a results folder.

    Raises
    ------
    DataError
        If it is none, or clones were not called in it.
    """
    folder = Path(folder)
    if not (folder / "run.json").exists():
        raise DataError(f"{folder} is no results folder: it has no run.json: 'rgbtrack run' makes one")
    if not (folder / "cells.parquet").exists():
        raise DataError(f"{folder} has no cells.parquet yet: 'rgbtrack run' or 'rgbtrack clones' writes it")
    try:
        run = read_json(folder / "run.json")
        configuration = run["configuration"]
        markers = list(configuration["channels"]["markers"])
        records = {str(name): dict(record) for name, record in run["images"].items()}
        about = {"version": str(run["version"]), "name": str(run["name"])}
    except RgbtrackError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{folder / 'run.json'}: not as this version writes it: run it again") from error
    check_names(records)
    return Results(
        folder,
        read_table(folder / "cells.parquet"),
        read_table(folder / "clones.csv"),
        markers,
        dict(configuration),
        records,
        about,
    )
