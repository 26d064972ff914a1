"""Lesions: where they lie with the clones of their cells, and what each is made of."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from rgbtrack.errors import DataError
from rgbtrack.plot.colours import OKABE_ITO, OTHER, UNASSIGNED, hex_of, row_colours
from rgbtrack.plot.style import DARK, INK, new_figure, percent, say_nothing_to_draw, style, wrap
from rgbtrack.tables import CELLS, LESION_CLONES, LESIONS

Colours = dict[int, tuple[float, float, float]]
CALLS = {"monoclonal": "#56B4E9", "polyclonal": "#E69F00", "undecided": "#c9ccd2"}
"""Colours of the calls: told apart by colour-blind readers."""
SIGNS = {"monoclonal": "M", "polyclonal": "P", "undecided": "?"}
IN_LEGEND = 20
BARS = 60
"""Lesions that get a bar."""
_CELL_UM = 14.0
_WRITTEN = 60
_LARGE = 0.06  # inches of a cell


def lesion_map(cells: pd.DataFrame, lesions: pd.DataFrame, colours: Colours, *, title: str = "") -> Figure:
    """Draw the cells of one image by clone, with an outline and the call around each lesion.

    Parameters
    ----------
    cells
        The cells of one image, with ``lesion`` from `find_lesions`.
    lesions
        Lesions, with their calls where there are any (`call_clonality`).
    colours
        From `clone_colours`.
    title
        Written above.

    Returns
    -------
    figure
        Cells as discs of their area; lone cells without an outline. The call is written beside the lesion's
        number: M monoclonal, P polyclonal, ? undecided.

    Raises
    ------
    DataError
        If the cells are of several images, or columns are missing.
    """
    CELLS.check(cells, need=["image_id", "y_um", "x_um"])
    LESIONS.check(lesions, need=["image_id", "lesion"])
    images = cells["image_id"].unique()
    if len(images) > 1:
        raise DataError(
            f"cells are of {len(images)} images, as {images[0]!r} and {images[1]!r}: give one image"
        )
    if "lesion" not in cells.columns:
        raise DataError("cells table has no column lesion: give the cells that find_lesions returned")
    with style():
        cells = cells[cells[["y_um", "x_um"]].notna().all(axis=1)]
        if cells.empty:
            return say_nothing_to_draw("no cell has a position in this image")
        by = lesions["clone_by"].iloc[0] if "clone_by" in lesions.columns and len(lesions) else "clone"
        clone = cells[by] if by in cells.columns else pd.Series(np.nan, index=cells.index)
        x, y = (cells[name].to_numpy(dtype=float) for name in ("x_um", "y_um"))
        diameter = _diameters(cells)
        pad = float(diameter.max()) + 0.03 * max(np.ptp(x), np.ptp(y), 50.0)
        width = np.ptp(x) + 2 * pad
        height = np.ptp(y) + 2 * pad + 0.08 * width  # room for the scale bar
        side = 6.4 / max(width, height)
        figure = new_figure(max(side * width, 2.0) + 1.9, max(side * height, 2.2) + 0.4)
        axes = figure.add_subplot()
        axes.set(
            xlim=(x.min() - pad, x.max() + pad), ylim=(y.min() + height - pad, y.min() - pad), aspect="equal"
        )
        axes.set_facecolor(DARK)
        axes.set_xticks([])
        axes.set_yticks([])
        paint = row_colours(clone, colours)
        seen = np.median(diameter) * side > _LARGE  # else a dark rim would hide the cells
        axes.add_collection(
            EllipseCollection(
                diameter,
                diameter,
                np.zeros(len(cells)),
                units="xy",
                offsets=np.column_stack([x, y]),
                offset_transform=axes.transData,
                facecolors=paint,
                edgecolors=DARK if seen else "none",
                linewidths=0.3 if seen else 0.0,
                rasterized=len(cells) > 20_000,
            )
        )
        own = lesions[lesions["image_id"] == images[0]]
        _outline(axes, cells, own, x, y, float(np.median(diameter)))
        _scale(axes, width)
        axes.set_title(title)
        entries = _clone_entries(clone, colours) + _call_entries(own)
        figure.legend(handles=entries, loc="outside right upper", title="clone (cells)")
    return figure


def lesion_bars(
    lesion_clones: pd.DataFrame,
    lesions: pd.DataFrame,
    colours: Colours,
    *,
    by: str = "treatment",
    first: str | None = None,
    shown: int = BARS,
) -> Figure:
    """Draw what each lesion is made of, with its call below and its number of cells above.

    Parameters
    ----------
    lesion_clones, lesions
        From `call_clonality`.
    colours
        From `clone_colours`.
    by
        Column of the lesions that makes the rows of bars: "treatment", "site" or "subject".
    first
        The panel to begin with: the control.
    shown
        Bars in a panel, the lesions of most cells; more are left out, and the title says so.

    Returns
    -------
    figure
        A panel per group; bars in order of size. Clones that misassignment explains are drawn pale.
    """
    LESION_CLONES.check(lesion_clones, need=["image_id", "lesion", "clone", "fraction"])
    LESIONS.check(lesions, need=["image_id", "lesion", "n_cells", "n_assigned", "clonality", by])
    with style():
        if not len(lesion_clones):
            return say_nothing_to_draw("no lesion has a cell that is assigned to a clone")
        groups = sorted(lesions[by].unique(), key=lambda name: (name != first, str(name)))
        most = min(shown, int(lesions.groupby(by).size().max()))
        figure = new_figure(float(np.clip(0.17 * most, 3.6, 10.0)) + 2.2, 0.4 + 2.15 * len(groups))
        grid = figure.subplots(len(groups), 1, squeeze=False).ravel()
        for axes, name in zip(grid, groups, strict=True):
            own = lesions[lesions[by] == name].sort_values("n_cells", ascending=False, kind="stable")
            n, poly = len(own), int((own["clonality"] == "polyclonal").sum())
            told = n - int((own["clonality"] == "undecided").sum())
            some = f", {shown} largest shown" if n > shown else ""
            axes.set_title(
                f"{wrap(name, 24)}: {poly} of {told} decided lesions are polyclonal (n = {n}{some})"
            )
            _bars(axes, own.iloc[:shown], lesion_clones, colours, most)
        grid[-1].set_xlabel("lesions, by number of cells (written above)", labelpad=16)
        clones = pd.Series(np.repeat(lesion_clones["clone"], lesion_clones["n_cells"].astype(int)))
        entries = _clone_entries(clones, colours)
        entries += [
            Line2D([], [], marker="s", linestyle="", color=paint, markeredgecolor=INK, label=call)
            for call, paint in CALLS.items()
        ]
        figure.legend(handles=entries, loc="outside right upper", title="clone (cells), call")
    return figure


def _diameters(cells: pd.DataFrame) -> NDArray[np.float64]:
    if "area_um2" in cells.columns and cells["area_um2"].notna().any():
        area = cells["area_um2"].astype(float)
        return np.asarray(2 * np.sqrt(area.fillna(area.median()) / np.pi))
    if "volume_um3" in cells.columns and cells["volume_um3"].notna().any():
        volume = cells["volume_um3"].astype(float)
        return np.asarray((6 * volume.fillna(volume.median()) / np.pi) ** (1 / 3))
    return np.full(len(cells), _CELL_UM)


def _outline(
    axes: Any,
    cells: pd.DataFrame,
    lesions: pd.DataFrame,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    diameter: float,
) -> None:
    """Outline each lesion half a cell out, in the colour of its call, with its number and call above."""
    number = cells["lesion"].to_numpy(dtype=float, na_value=np.nan)
    width = 1.4 if len(lesions) <= _WRITTEN else 0.7
    rows = pd.Series(np.arange(len(number))).groupby(number).indices
    turn = np.linspace(0, 2 * np.pi, 17)[:-1]
    ring = 0.75 * diameter * np.column_stack([np.cos(turn), np.sin(turn)])
    for place, row in enumerate(lesions.sort_values("lesion").to_dict("records")):
        inside = rows.get(row["lesion"])
        if inside is None:
            continue
        points = (np.column_stack([x[inside], y[inside]])[:, None] + ring).reshape(-1, 2)
        try:
            hull = points[ConvexHull(points).vertices]
        except QhullError:
            hull = points
        call = row.get("clonality")
        paint = CALLS.get(str(call), "white")
        axes.add_patch(Polygon(hull, fill=False, edgecolor=paint, linewidth=width))
        if place < _WRITTEN:
            text = f"{row['lesion']} {SIGNS.get(str(call), '')}".strip()
            top = hull[hull[:, 1].argmin()]
            axes.text(
                hull[:, 0].mean(),
                top[1],
                text,
                color=paint,
                ha="center",
                va="bottom",
                fontsize=7.5,
                weight="bold",
            )


def _call_entries(lesions: pd.DataFrame) -> list[Any]:
    if "clonality" not in lesions.columns:
        return [Line2D([], [], color="#6b7280", linewidth=1.6, label="lesion")] if len(lesions) else []
    counts = lesions["clonality"].value_counts()
    return [
        Line2D([], [], color=paint, linewidth=2, label=f"{SIGNS[call]}  {call} ({counts.get(call, 0)})")
        for call, paint in CALLS.items()
        if counts.get(call, 0)
    ]


def _clone_entries(clone: pd.Series, colours: Colours) -> list[Any]:
    """Legend of the clones that are there, the largest first."""
    counts = clone.dropna().value_counts().sort_values(ascending=False, kind="stable")
    entries: list[Any] = [
        Patch(
            facecolor=hex_of(colours.get(int(str(name)), UNASSIGNED)),
            edgecolor=INK,
            linewidth=0.5,
            label=f"{name} ({n:,})",
        )
        for name, n in counts.iloc[:IN_LEGEND].items()
    ]
    if len(counts) > IN_LEGEND:
        entries.append(Patch(alpha=0, label=f"and {len(counts) - IN_LEGEND} more"))
    unassigned = int(clone.isna().sum())
    if unassigned:
        entries.append(
            Patch(facecolor=hex_of(UNASSIGNED), edgecolor=INK, label=f"unassigned ({unassigned:,})")
        )
    return entries


def _bars(axes: Any, lesions: pd.DataFrame, lesion_clones: pd.DataFrame, colours: Colours, most: int) -> None:
    """One bar per lesion, its largest clone at the bottom."""
    key = ["image_id", "lesion"]
    place = lesions[key].assign(_x=np.arange(len(lesions)))
    parts = lesion_clones.merge(place, on=key).sort_values(["_x", "fraction"], ascending=[True, False])
    top = parts.groupby("_x")["fraction"].cumsum()
    sure = parts["present"].astype(bool) if "present" in parts.columns else pd.Series(True, index=parts.index)
    paints = row_colours(parts["clone"], colours)
    white = np.where(sure.to_numpy()[:, None], 0.0, 0.65)
    axes.bar(
        parts["_x"],
        parts["fraction"],
        0.84,
        top - parts["fraction"],
        color=paints * (1 - white) + white * np.asarray(OTHER),
        edgecolor=INK,
        linewidth=0.3,
    )
    for x, (n, call) in enumerate(zip(lesions["n_cells"], lesions["clonality"], strict=True)):
        axes.text(x, 1.02, f"{n:,}", ha="center", va="bottom", fontsize=6.5, rotation=90)
        axes.plot(
            x,
            -0.07,
            "s",
            markersize=5,
            color=CALLS.get(call, OKABE_ITO[6]),
            markeredgecolor=INK,
            markeredgewidth=0.4,
            clip_on=False,
        )
    for bare in np.flatnonzero(~np.isin(np.arange(len(lesions)), parts["_x"])):
        axes.text(
            bare, 0.02, "no clone", rotation=90, ha="center", va="bottom", fontsize=6.5, color="#6b7280"
        )
    axes.set(xlim=(-0.8, most - 0.2), ylim=(0, 1), xticks=[])
    axes.set_title(axes.get_title(loc="left"), pad=22)
    axes.set_ylabel("share of\nassigned cells")
    percent(axes)


def _scale(axes: Any, width: float) -> None:
    """Draw a bar of a round length, about a fifth of the picture."""
    wanted = 0.2 * width
    base = 10 ** np.floor(np.log10(wanted))
    length = next(float(step * base) for step in (5, 2, 1) if step * base <= wanted)
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    right, y = high - 0.03 * (high - low), bottom + 0.035 * (top - bottom)
    axes.plot([right - length, right], [y, y], color="white", linewidth=3, solid_capstyle="butt")
    axes.text(
        right - length / 2,
        y + 0.012 * (top - bottom),
        f"{length:g} µm",
        color="white",
        ha="center",
        va="bottom",
    )
