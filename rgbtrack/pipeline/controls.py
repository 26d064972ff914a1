"""From images of single-colour controls to the bleed-through matrix that a run reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rgbtrack.correct import CorrectParams, correct_stack
from rgbtrack.errors import DataError, ParamError
from rgbtrack.files import file_stem, read_stack, write_table
from rgbtrack.files.table_files import read_text
from rgbtrack.pipeline.experiment import read_sections
from rgbtrack.pipeline.sheet import nearest
from rgbtrack.segment import SegmentParams, find_cells
from rgbtrack.signature import SignatureParams, measure_signatures
from rgbtrack.stack import NUCLEUS
from rgbtrack.unmix import BleedThrough, bleed_through_from_controls

Images = list[tuple[str, tuple[Path, ...]]]
NEEDED = ("image", "protein")


def make_bleed_through(
    sheet: str | Path,
    out: str | Path | None = None,
    *,
    experiment: str | Path | None = None,
    markers: Mapping[str, str | int] | None = None,
) -> tuple[BleedThrough, Path]:
    """Estimate the bleed-through matrix from images of single-colour controls, and write it.

    Each image is read, corrected, segmented and measured as a run would, without a matrix; the matrix is that
    of `bleed_through_from_controls`.

    Parameters
    ----------
    sheet
        CSV, one row per image: ``image`` (path relative to the sheet; several files joined by ;) and
        ``protein`` (the one that the cells carry, by marker or channel name).
    out
        CSV to write; by default ``bleed_through.csv`` beside the sheet. Beside it come ``<name>_se.csv``, the
        standard errors, and ``<name>.svg`` and ``.png``, the figure to look at.
    experiment
        experiment.toml with the markers' channels and the settings of correction and segmentation.
    markers
        Marker to channel name or index, instead of an experiment.

    Returns
    -------
    found, path
        The matrix by marker name, and the file it was written to, by channel name.

    Raises
    ------
    ParamError
        If neither or both of experiment and markers are given, or the experiment's settings are wrong.
    DataError
        If the sheet, an image or a control tells nothing; see `bleed_through_from_controls`.
    """
    from rgbtrack.plot import bleed_through_lines, save_figure

    sheet = Path(sheet)
    channels, settings = _settings(experiment, markers)
    path = Path(out) if out is not None else sheet.parent / "bleed_through.csv"
    if path.suffix != ".csv":
        raise ParamError(f"--out is {path}: give the name of a .csv file")
    proteins = {name: channel for name, channel in channels.items() if name != NUCLEUS}
    images = read_control_sheet(sheet, proteins)
    fields: list[Path | None] = [None, None]
    if experiment is not None:
        folder = Path(experiment) if Path(experiment).is_dir() else Path(experiment).parent
        given = (settings[0].flat_field, settings[0].dark_field)
        fields = [None if name in ("auto", "none") else folder / name for name in given]
    tables: dict[str, list[pd.DataFrame]] = {}
    for protein, files in images:
        tables.setdefault(protein, []).append(_measure(files, channels, settings, fields))
    cells = {protein: pd.concat(parts, ignore_index=True) for protein, parts in tables.items()}
    found = bleed_through_from_controls(cells, list(proteins))
    names = {name: channel if isinstance(channel, str) else name for name, channel in proteins.items()}
    for table, file in ((found.matrix, path), (found.se, path.with_name(f"{path.stem}_se.csv"))):
        named = table.rename(index=names, columns=names).round(6)
        write_table(file, named.reset_index(names="detector"))
    save_figure(bleed_through_lines(cells, found), path.parent, path.stem)
    return found, path


def read_control_sheet(sheet: Path, proteins: Mapping[str, str | int]) -> Images:
    """Read the list of controls: of each image, the marker of its protein and its files.

    Raises
    ------
    DataError
        All that is wrong with it, at once.
    """
    if not sheet.is_file():
        raise DataError(f"{sheet}: no such file: give a CSV file with columns image and protein")
    table = read_text(sheet)
    table.columns = pd.Index([str(name).strip().casefold() for name in table.columns])
    missing = [name for name in NEEDED if name not in table.columns]
    if missing:
        raise DataError(
            f"{sheet}: no column {', '.join(missing)}, found {', '.join(table.columns)}: "
            f"give image and protein"
        )
    known = {str(channel).casefold(): marker for marker, channel in proteins.items()}
    known |= {marker.casefold(): marker for marker in proteins}
    problems, images = [], []
    for number, row in enumerate(table[list(NEEDED)].fillna("").itertuples(index=False), 2):
        at, protein = f"{sheet.name}, row {number}", str(row.protein).strip()
        files = tuple(sheet.parent / part.strip() for part in str(row.image).split(";") if part.strip())
        if not files:
            problems.append(f"{at}: image is blank")
        problems += [f"{at}: image {file}: no such file" for file in files if not file.exists()]
        marker = known.get(protein.casefold())
        if marker is None:
            problems.append(f"{at}: protein {protein!r} is no marker: {nearest(protein, list(known))}")
        else:
            images.append((marker, files))
    if not len(table):
        problems.append(f"{sheet}: no rows: give one image or more of each control")
    if problems:
        raise DataError("\n".join(problems))
    return images


def _settings(
    experiment: str | Path | None, markers: Mapping[str, str | int] | None
) -> tuple[dict[str, str | int], tuple[CorrectParams, SegmentParams, SignatureParams]]:
    """Channels by name, and the settings of the stages."""
    if (experiment is None) == (markers is None):
        raise ParamError(
            "which channel holds which marker? give --experiment experiment.toml, or --markers red=mCherry "
            "and so on, not both"
        )
    if markers is not None:
        return dict(markers), (CorrectParams(), SegmentParams(), SignatureParams())
    assert experiment is not None  # noqa: S101 - one of the two is given
    found = read_sections(experiment, ("channels", "correct", "segment", "signature"))
    channels = dict(found["channels"].markers)
    if found["channels"].nucleus is not None:
        channels[NUCLEUS] = found["channels"].nucleus
    return channels, (found["correct"], found["segment"], found["signature"])


def _measure(
    files: tuple[Path, ...],
    channels: Mapping[str, str | int],
    settings: tuple[CorrectParams, SegmentParams, SignatureParams],
    fields: Sequence[Path | None],
) -> pd.DataFrame:
    """Cells of one image, all frames, measured without a matrix."""
    correct, segment, signature = settings
    stack = read_stack(files).select(channels).project(segment.projection)
    flat, dark = (None if path is None else np.squeeze(read_stack(path).frame(0).pixels) for path in fields)
    tables = []
    for t in range(stack.n_frames):
        frame = correct_stack(stack.frame(t), correct, flat_field=flat, dark_field=dark)
        cells = measure_signatures(frame, find_cells(frame, segment).labels, signature)
        tables.append(cells.assign(image_id=f"{file_stem(files[0])}, frame {t}", frame=t))
    return pd.concat(tables, ignore_index=True)
