"""The cells of tiles put together to those of the image."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import open_labels, read_table
from rgbtrack.pipeline.looked import Blocks

Labels = NDArray[np.uint32]

KEY = ["frame", "z_px", "y_px", "x_px", "cell"]
SAME = 0.5
"""Two cells that share more than this of the smaller one are one, seen from two tiles."""


@dataclass(frozen=True, eq=False)
class Tile:
    """What was found in a tile.

    Attributes
    ----------
    frame, core
        Where it is.
    cells
        File of its own cells, a row for each label from 1; of ready-made labels ``cell`` is their number.
    labels
        File of the labels of these cells.
    seen
        Ready-made labels that are in it; None where none were given.
    """

    frame: int
    core: tuple[slice, slice, slice]
    cells: Path
    labels: Path
    seen: NDArray[np.int64] | None


def number_cells(tiles: Sequence[Tile], image_id: str, ready: bool) -> list[tuple[Tile, Labels]]:
    """Number the cells of all tiles through, frame by frame, in the order of their centres.

    Returns
    -------
    numbered
        Each tile, and the number in the image of each of its labels; 0 for a cell that another tile tells of.

    Raises
    ------
    DataError
        If a ready-made label lies in several places.
    """
    tables = [read_table(tile.cells)[[*KEY, "n_px"]].assign(tile=i) for i, tile in enumerate(tiles)]
    cells = pd.concat(tables, ignore_index=True)
    if ready:
        _check_ready(tiles, cells, image_id)
        return [(tile, table["cell"].to_numpy(np.uint32)) for tile, table in zip(tiles, tables, strict=True)]
    order = cells.sort_values(KEY[:-1], kind="stable").index
    cells.loc[order, "number"] = cells.loc[order].groupby("frame").cumcount().to_numpy() + 1
    numbered = [
        (tile, np.concatenate([[0], cells["number"][cells["tile"] == i]]).astype(np.uint32))
        for i, tile in enumerate(tiles)
    ]
    twice = _seen_twice(numbered, cells)
    if twice:
        warnings.warn(
            f"{image_id}: {len(twice)} cells were seen from two tiles and are counted once",
            RgbtrackWarning,
            stacklevel=2,
        )
        numbered = [
            (tile, np.where([(tile.frame, int(n)) in twice for n in number], 0, number).astype(np.uint32))
            for tile, number in numbered
        ]
    return numbered


def cells_of(numbered: Sequence[tuple[Tile, Labels]], ready: bool) -> pd.DataFrame:
    """The cells of all tiles, numbered, in one table."""
    tables = []
    for tile, number in numbered:
        table = read_table(tile.cells)
        if not ready:
            table = table.assign(cell=number[1:].astype(np.int64))
            table = table[table["cell"] > 0]
        tables.append(table)
    filled = [table for table in tables if len(table)] or tables[:1]
    cells = pd.concat(filled, ignore_index=True)
    del tables, filled
    return cells.sort_values(["frame", "cell"], kind="stable", ignore_index=True)


def blocks_of(numbered: Sequence[tuple[Tile, Labels]], ready: Path | None) -> Blocks:
    """Labels of the image, tile by tile: see `rgbtrack.files.write_label_zarr`."""

    def blocks() -> Iterator[tuple[tuple[slice, ...], Labels]]:
        beside = _Beside(numbered if ready is None else [])
        for tile, number in numbered:
            where = slice(tile.frame, tile.frame + 1), *tile.core
            if ready is not None:
                yield where, np.asarray(open_labels(ready)[where], np.uint32)
                continue
            labels = number[_core(tile)]
            places, numbers = beside.of(tile)
            free = labels[places] == 0
            labels[tuple(at[free] for at in places)] = numbers[free]
            yield where, labels[None]

    return blocks


class _Beside:
    """Pixels that lie beside the tile of their cell, for all tiles that they may lie in."""

    def __init__(self, numbered: Sequence[tuple[Tile, Labels]]) -> None:
        frames, places, numbers = [np.zeros(0, int)], [np.zeros((3, 0), int)], [np.zeros(0, np.uint32)]
        for tile, number in numbered:
            with np.load(tile.labels, allow_pickle=False) as kept:
                places.append(kept["places"])
                numbers.append(number[kept["labels"]])
            frames.append(np.full(len(numbers[-1]), tile.frame))
        self.frame, self.numbers = np.concatenate(frames), np.concatenate(numbers)
        self.places = np.concatenate(places, axis=1)  # (3, n)

    def of(self, tile: Tile) -> tuple[tuple[NDArray[np.int64], ...], Labels]:
        """Places within a tile, and the cells that they belong to."""
        low, high = (np.array([[getattr(cut, end)] for cut in tile.core]) for end in ("start", "stop"))
        here = (self.frame == tile.frame) & (self.numbers > 0)
        here &= ((self.places >= low) & (self.places < high)).all(axis=0)
        return tuple(self.places[:, here] - low), self.numbers[here]


def _core(tile: Tile) -> Labels:
    """Labels of a tile, (z, y, x)."""
    with np.load(tile.labels, allow_pickle=False) as kept:
        core = np.frombuffer(imagecodecs.zstd_decode(kept["core"].tobytes()), np.uint32)
    return core.reshape([cut.stop - cut.start for cut in tile.core])


def _seen_twice(numbered: Sequence[tuple[Tile, Labels]], cells: pd.DataFrame) -> set[tuple[int, int]]:
    """Cells (frame, cell) that share most of their pixels with one of another tile, of two the later one."""
    beside = _Beside(numbered)
    pairs = []
    for tile, number in numbered:
        places, numbers = beside.of(tile)
        if not len(numbers):
            continue
        under = number[_core(tile)[places]]
        both = (under > 0) & (under != numbers)
        pairs.append(
            pd.DataFrame(
                {
                    "frame": tile.frame,
                    "one": np.minimum(under[both], numbers[both]),
                    "other": np.maximum(under[both], numbers[both]),
                }
            )
        )
    if not pairs:
        return set()
    shared = pd.concat(pairs).value_counts().reset_index()  # frame, one, other, count
    size = cells.set_index(["frame", "number"])["n_px"]
    return {
        (int(frame), int(other))
        for frame, one, other, n in shared.itertuples(index=False)
        if n > SAME * min(size[frame, one], size[frame, other])
    }


def _check_ready(tiles: Sequence[Tile], cells: pd.DataFrame, image_id: str) -> None:
    """Refuse ready-made labels of which one is found in several places, or in none."""
    twice = cells[cells.duplicated(["frame", "cell"])]
    seen = {
        (tile.frame, int(cell)) for tile in tiles for cell in (tile.seen if tile.seen is not None else [])
    }
    lost = seen - set(zip(cells["frame"].astype(int), cells["cell"].astype(int), strict=True))
    wrong = [*twice["cell"].astype(int), *(cell for _, cell in sorted(lost))]
    if wrong:
        raise DataError(
            f"{image_id}: labels {', '.join(map(str, wrong[:5]))}{' ...' if len(wrong) > 5 else ''} lie in "
            f"several places far apart: number each cell of its own"
        )
