"""An image of a run opened again, as run.json tells of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rgbtrack.errors import DataError
from rgbtrack.files import read_stack
from rgbtrack.stack import NUCLEUS, Stack


def open_recorded(record: Mapping[str, Any], configuration: Mapping[str, Any]) -> Stack:
    """Open an image as it was analysed, lazily, channels named after markers.

    Parameters
    ----------
    record, configuration
        What run.json tells of the image, and of the settings.

    Raises
    ------
    DataError
        If it was moved away, or run.json does not tell where it lies.
    """
    if not record.get("paths"):
        raise DataError("run.json does not tell where it lies: run it again with 'rgbtrack run'")
    channels = configuration["channels"]
    wanted = dict(channels["markers"])
    if channels.get("nucleus") is not None:
        wanted[NUCLEUS] = channels["nucleus"]
    paths = [Path(path) for path in record["paths"]]
    stack = read_stack(paths, scene=record.get("scene"), axes=record.get("axes"))
    return stack.select(wanted).project(configuration.get("segment", {}).get("projection", "none"))
