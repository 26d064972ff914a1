"""Time series of a run: their cells linked over frames, or laid under tracks that were made elsewhere."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.clones.model import UNLIKE
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import match_tracks, read_tracks, sha256
from rgbtrack.link import link_cells, track_clones, track_signatures
from rgbtrack.pipeline.experiment import Experiment
from rgbtrack.pipeline.steps import done
from rgbtrack.review.links import LINKED
from rgbtrack.tables import markers_of


def movies_of(records: Mapping[str, dict[str, Any]]) -> list[str]:
    """Names of the images that have several frames."""
    return [name for name in done(records) if (records[name].get("shape") or [1])[0] > 1]


def linking_key(experiment: Experiment, records: Mapping[str, dict[str, Any]]) -> Any:
    """What linking rests on besides the cells; None without time series."""
    movies = movies_of(records)
    if not movies:
        return None
    given = {name: _checksums(path) for name, path in _tracks_given(experiment).items() if name in movies}
    return [experiment.link.model_dump(), given]


def link_movies(
    cells: pd.DataFrame,
    experiment: Experiment,
    records: Mapping[str, dict[str, Any]],
    left_out: pd.Series | None = None,
) -> pd.DataFrame:
    """Link the cells of all time series.

    Parameters
    ----------
    cells
        Cells of all images, colours corrected.
    experiment
        How cells are linked, and where tracks from elsewhere lie.
    records
        What the images are, by image id.
    left_out
        Rows that are no cells: they are in no track, unless one from elsewhere says so.

    Returns
    -------
    cells
        The table in its order, with `LINKED`, missing in images of one frame; as it was without time series.

    Raises
    ------
    DataError
        If tracks from elsewhere are not of the image that they are given for.
    """
    given = _tracks_given(experiment)
    movies = movies_of(records)
    _warn_of_stills(set(given) & set(done(records)) - set(movies))
    if not movies or cells.empty:
        return cells
    name = cells["image_id"].astype("str")
    parts = [_laid_under(given[movie], cells[name == movie], records) for movie in movies if movie in given]
    linkable = name.isin([movie for movie in movies if movie not in given])
    rest = cells[linkable if left_out is None else linkable & ~left_out]
    if len(rest):
        parts.append(link_cells(rest, experiment.link).set_axis(rest.index))
    linked = pd.concat([part[[*LINKED]] for part in parts]) if parts else pd.DataFrame(columns=[*LINKED])
    linked = linked.reindex(cells.index)
    whole = {name: linked[name].astype("Int64") for name in LINKED[:3]}
    return cells.assign(**whole, link_probability=linked["link_probability"].astype(float))


def strays_of(cells: pd.DataFrame) -> pd.Series:
    """Whether each called cell is debris: like no clone, and alone in its track."""
    if "track" not in cells:
        return pd.Series(False, index=cells.index)
    unlike = cells["unassigned_reason"].eq(UNLIKE).fillna(value=False).astype(bool)
    return unlike & ~cells.duplicated(["image_id", "track"], keep=False) & cells["track"].notna()


def one_row_a_family(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells that clones are found in: of each family of tracks one row, the mean colour of its longest track.

    A cell that is seen in twenty frames shows one colour twenty times, and so do its daughters: counted as so
    many cells, each family would pass for a clone of its own. Cells that are in no track, as all of images of
    one frame, stay as they are.
    """
    if "track" not in cells or not cells["track"].notna().any():
        return cells
    tracked = cells["track"].notna()
    rows = cells[tracked].reset_index(drop=True)
    means = track_signatures(rows).sort_values("n_frames", ascending=False, kind="stable")
    means = means.drop_duplicates(["image_id", "tree"]).sort_values(["image_id", "track"])
    best = rows.sort_values("snr", ascending=False, kind="stable").drop_duplicates(["image_id", "track"])
    best = means[["image_id", "track"]].merge(best, on=["image_id", "track"], validate="1:1")[cells.columns]
    means = means.reset_index(drop=True)
    markers = markers_of(rows)
    shrink = {name: (means[f"{name}_se"] / best[f"{name}_se"]).fillna(1.0) for name in markers}
    averaged = {
        f"{name}{end}": means[f"{name}{end}"]
        for name in markers
        for end in ("", "_se", "_systematic")
        if f"{name}{end}" in best and f"{name}{end}" in means
    }
    averaged |= {
        f"cov_{a}_{b}": best[f"cov_{a}_{b}"] * shrink[a] * shrink[b]
        for a in markers
        for b in markers
        if f"cov_{a}_{b}" in best
    }
    return pd.concat([cells[~tracked], best.assign(**averaged)], ignore_index=True)


def agree_on_clones(cells: pd.DataFrame) -> pd.DataFrame:
    """Called cells with the clone of their track, where there are tracks."""
    if "track" not in cells:
        return cells
    attrs = cells.attrs
    cells = track_clones(cells)
    cells.attrs = attrs
    return cells


def links_in_words(cells: pd.DataFrame) -> str:
    """Say in a sentence what was linked; nothing without time series."""
    if "track" not in cells:
        return ""
    tracked = cells[cells["track"].notna()]
    tracks = tracked.drop_duplicates(["image_id", "track"])
    born = tracks[tracks["parent"].notna()]
    mothers = born.drop_duplicates(["image_id", "parent"])
    told = (
        f"{tracked['image_id'].nunique():,} time series: {_count(tracked, 'cell')} in "
        f"{_count(tracks, 'track')}, {_count(mothers, 'division')}"
    )
    sure = tracked["link_probability"].dropna()
    if len(sure):
        wrong = float((1 - sure).mean())
        told += f"; of its links {100 * wrong:.1f} % are expected to be wrong"
    return told


def _count(rows: pd.DataFrame, what: str) -> str:
    return f"{len(rows):,} {what}{'s' * (len(rows) != 1)}"


def _tracks_given(experiment: Experiment) -> dict[str, Path]:
    """Tracks from elsewhere, by image id."""
    names = experiment.samples["image_id"].astype("str")
    return {name: path for name, path in zip(names, experiment.tracks, strict=True) if path is not None}


def _warn_of_stills(names: set[str]) -> None:
    if names:
        warnings.warn(
            f"tracks are given for {', '.join(sorted(names))}, of one frame: they are not used",
            RgbtrackWarning,
            stacklevel=3,
        )


def _laid_under(path: Path, cells: pd.DataFrame, records: Mapping[str, dict[str, Any]]) -> pd.DataFrame:
    """Cells of one image with the tracks of a file."""
    image_id = str(cells["image_id"].iloc[0])
    record = records[image_id]
    try:
        tracks = read_tracks(
            path, pixel_size_um=record.get("pixel_size_um"), z_step_um=record.get("z_step_um")
        )
        if "image_id" in tracks and tracks["image_id"].notna().all():
            named = tracks["image_id"].astype("str")
            tracks = tracks[named == image_id]
            if tracks.empty:
                found = ", ".join(sorted(named.unique())[:3])
                raise DataError(f"its tracks are of {found or 'no image'}: give those of {image_id}")
        matched = match_tracks(tracks, cells, image_id=image_id)
    except DataError as error:
        raise DataError(f"{image_id}: tracks {path}: {error}") from error
    return matched.set_axis(cells.index)


def _checksums(path: Path) -> list[str]:
    """Checksums of a file of tracks and the edges beside it, or of all files of a folder."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
    else:
        files = sorted({path, path.with_name(path.name.replace("spots", "edges"))})
    return [sha256(file) for file in files if file.exists()]


def interval_known(cells: pd.DataFrame) -> np.ndarray:
    """Whether the time of each cell's frame is known, shape (n,)."""
    if "time_h" not in cells:
        return np.zeros(len(cells), dtype=bool)
    return cells["time_h"].notna().to_numpy()
