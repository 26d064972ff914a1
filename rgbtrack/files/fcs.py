"""Flow cytometry (FCS): events as rows, compensated where the file tells how."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files.extras import need_extra
from rgbtrack.files.messages import short
from rgbtrack.files.sizes import check_claim

LEAST = 3
"""Letters that a part of a name has."""
SPILLOVER = ("spillover", "spill", "comp")


def read_events(path: str | Path, channels: Mapping[str, str]) -> pd.DataFrame:
    """Read the markers of the events of an FCS file.

    Parameters
    ----------
    path
        FCS 2.0 to 3.1.
    channels
        Marker to parameter of the file: its short name (``$PnN``, "FL1-A"), its label (``$PnS``, "mCherry"),
        or a part of one that no other parameter has.

    Returns
    -------
    events
        One column per marker, in units of the file. Where the file holds a spillover matrix, bleed-through is
        taken off by it.

    Raises
    ------
    DataError
        If the file is damaged, or a marker is not found or found twice.
    """
    path = Path(path)
    flowio = need_extra("flowio", "readers")
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            data = flowio.FlowData(file, ignore_offset_error=True)
        check_claim(path, 2 * data.event_count * data.channel_count, 1)
        values = np.asarray(data.as_array(preprocess=True), float)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: not readable as FCS ({short(error)}): is the file whole?") from error
    short_names, labels = list(data.pnn_labels), list(data.pns_labels)
    matrix = _spillover(path, dict(data.text), short_names)
    if matrix is not None:
        index, spill = matrix
        values[:, index] = values[:, index] @ np.linalg.inv(spill)
    columns = {marker: _find(path, wanted, short_names, labels) for marker, wanted in channels.items()}
    if len(set(columns.values())) < len(columns):
        raise DataError(f"{path}: two markers are of one parameter: {', '.join(channels.values())}")
    return pd.DataFrame({marker: values[:, column] for marker, column in columns.items()})


def _find(path: Path, wanted: str, short_names: list[str], labels: list[str]) -> int:
    """Index of a parameter: by its whole name, else by a part of it; its area where there are several."""
    folded = wanted.casefold()
    for names in (short_names, labels):
        whole = [i for i, name in enumerate(names) if name.casefold() == folded]
        if len(whole) == 1:
            return whole[0]
    part = [
        i
        for i, both in enumerate(zip(short_names, labels, strict=True))
        if len(wanted) >= LEAST and folded in " ".join(both).casefold()
    ]
    area = [i for i in part if short_names[i].casefold().endswith("-a")]
    if len(area or part) == 1:
        return (area or part)[0]
    told = ", ".join(
        f"{name} ({label})" if label else name for name, label in zip(short_names, labels, strict=True)
    )
    what = "several parameters are" if part else "no parameter is"
    raise DataError(f"{path}: {what} {wanted!r}; found {told}: name one with --markers marker=parameter")


def _spillover(
    path: Path, text: dict[str, Any], names: list[str]
) -> tuple[list[int], NDArray[np.float64]] | None:
    """Parameters and matrix of a file's compensation: rows proteins, columns detectors."""
    told = next((str(text[key]) for key in SPILLOVER if text.get(key)), None)
    if told is None:
        return None
    words = [word.strip() for word in told.split(",")]
    try:
        n = int(words[0])
        matrix = np.array(words[1 + n :], float).reshape(n, n)
        index = [names.index(word) for word in words[1 : 1 + n]]
        np.linalg.inv(matrix)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise DataError(f"{path}: its spillover matrix is damaged: export the file again") from error
    return index, matrix
