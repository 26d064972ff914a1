"""Tracks as folders of the Cell Tracking Challenge: relabelled masks and a table of four columns."""

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files.atomic import write_folder_atomically
from rgbtrack.files.images import read_file
from rgbtrack.files.messages import short
from rgbtrack.tables import check_tracks, track_links, tracks_of_links

_MASKS = {"res": "mask", "man": "man_track"}


def is_ctc(path: Path) -> bool:
    """Whether a folder holds a table of the challenge."""
    return any((path / f"{kind}_track.txt").is_file() for kind in _MASKS)


def write_ctc(
    path: str | Path, cells: pd.DataFrame, labels: NDArray[Any], *, kind: Literal["res", "man"] = "res"
) -> None:
    """Write the tracks of one movie as a folder of the Cell Tracking Challenge.

    Parameters
    ----------
    path
        Folder to write; one of the challenge that is there is replaced.
    cells
        Tracked cells of one image; see `rgbtrack.tables.TRACKED`. Cells without a track are left out.
    labels
        Its masks, shape (t, z, y, x): ``cell`` is the label in its frame.
    kind
        ``res``: results, ``mask000.tif`` and ``res_track.txt``; ``man``: truth, ``man_track000.tif`` and
        ``man_track.txt``.

    Raises
    ------
    DataError
        If they cannot be tracks, are of several images, miss from the masks, or are more than the 65535 that
        the format holds.

    Notes
    -----
    Rows are label, first frame, last frame, parent, 0 where there is none. The format knows no gaps: after a
    gap a track goes on under a new label, with the old one as parent. A mother with one daughter looks the
    same there, and comes back as one track.
    """
    tracked = check_tracks(cells)
    images = tracked["image_id"].unique()
    if len(images) > 1:
        raise DataError(
            f"cells are of {len(images)} images ({', '.join(images[:3])}): the challenge has one movie a "
            "folder"
        )
    if np.ndim(labels) != 4:
        raise DataError(f"labels have shape {np.shape(labels)}: give those of a movie, (t, z, y, x)")
    label, rows = _unbroken(tracked)
    if len(rows) > np.iinfo(np.uint16).max:
        raise DataError(
            f"{len(rows)} tracks are more than the 65535 that the Cell Tracking Challenge's masks hold: "
            "write "
            f"GEFF, or a part of the movie"
        )
    digits = max(3, len(str(len(labels) - 1)))

    def write(folder: Path) -> None:
        folder.mkdir()
        for t, frame in enumerate(labels):
            here = (tracked["frame"] == t).to_numpy()
            mask = _relabel(frame, tracked.loc[here, "cell"].to_numpy(np.int64), label[here], t)
            tifffile.imwrite(
                folder / f"{_MASKS[kind]}{t:0{digits}}.tif",
                mask[0] if len(mask) == 1 else mask,
                compression="zlib",
            )
        text = "".join(f"{a} {b} {c} {d}\n" for a, b, c, d in rows.tolist())
        (folder / f"{kind}_track.txt").write_text(text, encoding="utf-8")

    beyond = tracked.loc[tracked["frame"] >= len(labels), "frame"]
    if len(beyond):
        raise DataError(f"tracks reach frame {beyond.max()}, but labels have {len(labels)} frames")
    write_folder_atomically(path, write, is_ctc)


def read_ctc(
    path: str | Path, *, pixel_size_um: float | None = None, z_step_um: float | None = None
) -> pd.DataFrame:
    """Read the tracks of a Cell Tracking Challenge folder.

    Parameters
    ----------
    path
        Folder with ``res_track.txt`` or ``man_track.txt`` and its masks.
    pixel_size_um, z_step_um
        Turn places into um; without them, places are not given.

    Returns
    -------
    tracks
        One row per label and frame: ``frame, label, z_px, y_px, x_px`` (its centre), ``track, parent,
        tree``, and ``z_um, y_um, x_um``.

    Raises
    ------
    DataError
        If it is no such folder, or table and masks do not agree.
    """
    path = Path(path)
    kind = next((kind for kind in _MASKS if (path / f"{kind}_track.txt").is_file()), None)
    if kind is None:
        raise DataError(
            f"{path} is no Cell Tracking Challenge folder: it has no res_track.txt or man_track.txt"
        )
    rows = _read_rows(path / f"{kind}_track.txt")
    files = sorted(path.glob(f"{_MASKS[kind]}[0-9]*.tif"))
    if not files:
        raise DataError(f"{path} holds no masks: {_MASKS[kind]}000.tif and so on")
    cells = pd.concat([_centres(file, t) for t, file in enumerate(files)], ignore_index=True)
    table = _linked(path, rows, cells)
    if pixel_size_um is not None:
        table = table.assign(y_um=table["y_px"] * pixel_size_um, x_um=table["x_px"] * pixel_size_um)
        table["z_um"] = table["z_px"] * (z_step_um or pixel_size_um)
    return table


def _unbroken(tracked: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Label of each cell, and rows of the challenge's table: tracks cut at gaps."""
    frame = tracked["frame"].to_numpy()
    begins = (np.diff(tracked["track"].to_numpy(np.int64), prepend=-1) != 0) | (
        np.diff(frame, prepend=-9) != 1
    )
    label = np.cumsum(begins)
    source, target = track_links(tracked)
    mother = np.zeros(int(label.max(initial=0)) + 1, np.int64)
    across = label[source] != label[target]
    mother[label[target[across]]] = label[source[across]]
    first = np.flatnonzero(begins)
    last = np.append(first[1:], len(label)) - 1
    rows = np.column_stack(
        [label[first], frame[first], frame[last if len(first) else first], mother[label[first]]]
    )
    return label.astype(np.int64), rows.astype(np.int64)


def _relabel(frame: NDArray, cell: NDArray[np.int64], label: NDArray[np.int64], t: int) -> NDArray[np.uint16]:
    table = np.zeros(max(int(frame.max(initial=0)), int(cell.max(initial=0))) + 1, np.uint16)
    table[cell] = label
    mask = table[frame]
    missing = len(cell) - len(np.unique(mask[mask > 0]))
    if missing:
        raise DataError(
            f"{missing} tracked cells of frame {t} are not in its mask: give the labels that were linked"
        )
    return mask


def _read_rows(path: Path) -> NDArray[np.int64]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        rows = np.array([[int(word) for word in line.split()] for line in lines if line.strip()], np.int64)
        return rows.reshape(-1, 4)
    except (ValueError, OverflowError) as error:
        raise DataError(
            f"{path}: rows are not four whole numbers, label, first and last frame, parent ({short(error)})"
        ) from error


def _centres(path: Path, t: int) -> pd.DataFrame:
    """Centre of each label of a mask, in pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)  # an axis without a name is z
        pixels = read_file(path).pixels
    if pixels.dtype.kind not in "iu":
        raise DataError(f"{path}: a mask of {pixels.dtype}: labels are whole numbers")
    mask = np.asarray(pixels).reshape(-1, *pixels.shape[3:])
    place = np.nonzero(mask)
    found, label, size = np.unique(mask[place], return_inverse=True, return_counts=True)
    z, y, x = (np.bincount(label, axis, len(found)) / size for axis in place)
    return pd.DataFrame({"frame": t, "label": found.astype(np.int64), "z_px": z, "y_px": y, "x_px": x})


def _linked(path: Path, rows: NDArray[np.int64], cells: pd.DataFrame) -> pd.DataFrame:
    """Tracks of the labels: a lone daughter after a gap is the same cell, found again."""
    cells = cells.sort_values(["label", "frame"], ignore_index=True)
    spans = pd.DataFrame(rows, columns=["label", "first", "last", "parent"])
    seen = cells.groupby("label")["frame"].agg(["min", "max", "size"])
    both = spans.set_index("label").join(seen, how="outer")
    wrong = both.isna().any(axis=1) | (both["first"] != both["min"]) | (both["last"] != both["max"])
    wrong |= both["size"] != both["last"] - both["first"] + 1
    if wrong.any() or spans["label"].duplicated().any():
        raise DataError(
            f"{path}: {int(wrong.sum())} tracks of its table do not agree with its masks, the first is "
            f"label {both.index[wrong][0] if wrong.any() else spans['label'].iloc[0]}: a label is to be "
            "in every "
            f"frame from its first to its last, and in no other"
        )
    born = spans[spans["parent"] > 0]
    unknown = set(born["parent"]) - set(spans["label"])
    if unknown:
        raise DataError(f"{path}: parents {sorted(unknown)[:5]} are no tracks of its table")
    same = np.flatnonzero(cells["label"].to_numpy()[1:] == cells["label"].to_numpy()[:-1])
    first = cells.drop_duplicates("label").reset_index().set_index("label")["index"]
    last = cells.drop_duplicates("label", keep="last").reset_index().set_index("label")["index"]
    source = np.concatenate([same, last.reindex(born["parent"]).to_numpy(np.int64)])
    target = np.concatenate([same + 1, first.reindex(born["label"]).to_numpy(np.int64)])
    return cells.join(tracks_of_links(cells["frame"].to_numpy(), source, target))
