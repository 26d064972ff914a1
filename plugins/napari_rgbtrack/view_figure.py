"""The view that is open, as a figure for a talk or a paper: with scale bar, legend and title."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from napari_rgbtrack.colouring import Colouring, Entry, Scale
from rgbtrack.errors import DataError
from rgbtrack.plot.colours import UNASSIGNED, hex_of
from rgbtrack.plot.maps import IN_LEGEND, scale_bar
from rgbtrack.plot.style import INK, style

ENDINGS = (".png", ".svg", ".pdf")
WIDTH = 6.0
"""Of the picture, in inches."""
MIN_DPI = 200
ENLARGED = 2
"""Pixels of the picture per pixel of the canvas, on each side."""
_UM = {"nanometer": 1e-3, "micrometer": 1.0, "um": 1.0, "millimeter": 1e3}
_UNITS = {"hour": "h", "minute": "min", "second": "s", "micrometer": "µm"}


def view_figure(
    picture: NDArray[np.uint8],
    um_per_px: float | None,
    colouring: Colouring | None = None,
    *,
    title: str = "",
) -> Figure:
    """Draw a picture with what a reader needs to understand it.

    Parameters
    ----------
    picture
        Red, green, blue, shape (y, x, 3 or 4).
    um_per_px
        Size of its pixels; None where it is not known: words stand where the scale bar would.
    colouring
        Colours of the cells in it, for the legend.
    title
        Written above.

    Returns
    -------
    figure
        At its own resolution a pixel of the picture is one of the figure, or 2, 3 ... of a small picture.

    Raises
    ------
    DataError
        If the picture has no colours.
    """
    if picture.ndim != 3 or picture.shape[2] not in (3, 4) or not picture.size:
        raise DataError(f"picture has shape {picture.shape}: give red, green and blue, (y, x, 3)")
    height, width = picture.shape[:2]
    tall, beside = WIDTH * height / width, 2.0 if colouring is not None else 0.1
    above, below = (0.35 if title else 0.1), (0.1 if um_per_px else 0.35)
    full = (WIDTH + beside + 0.1, tall + above + below)
    with style():
        own = width / WIDTH
        figure = Figure(figsize=full, dpi=own * np.ceil(MIN_DPI / own))
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.1 / full[0], below / full[1], WIDTH / full[0], tall / full[1]))
        axes.imshow(picture[..., :3], interpolation="none", aspect="auto")
        axes.set_axis_off()
        axes.set_title(title)
        if um_per_px:
            scale_bar(axes, width, height, um_per_px)
        else:
            words = "No scale bar: the size of the image's pixels is not known."
            axes.text(0, -0.06 / tall, words, transform=axes.transAxes, va="top", fontsize=8)
        if colouring is None:
            return figure
        if isinstance(colouring.legend, Scale):
            left, bottom, high = WIDTH + 0.3, below + 0.1 * tall, 0.8 * tall
            beside_it = figure.add_axes((left / full[0], bottom / full[1], 0.15 / full[0], high / full[1]))
            _draw_scale(beside_it, colouring, colouring.legend)
        else:
            _draw_entries(axes, colouring.by, colouring.legend, most=int((tall - 0.3) / 0.175))
    return figure


def save_view(figure: Figure, path: str | Path) -> Path:
    """Write a figure as PNG, SVG or PDF, by the ending of the name.

    Raises
    ------
    DataError
        If the name has another ending, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"{path.name}: give a name that ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}")
    said = {
        ".png": {"Software": "rgbtrack"},
        ".svg": {"Date": None, "Creator": "rgbtrack"},
        ".pdf": {"CreationDate": None, "Creator": "rgbtrack"},
    }
    try:
        with style():
            figure.savefig(path, metadata=said[path.suffix.lower()], dpi=figure.dpi)
    except OSError as error:
        raise DataError(f"the view cannot be saved as {path}: {error.strerror or error}") from error
    return path


def export_view(
    viewer: Any,
    path: str | Path,
    colouring: Colouring | None = None,
    *,
    labels: Any = None,
    numbers: NDArray[np.integer] | None = None,
    name: str | None = None,
) -> Path:
    """Save what the canvas of napari shows as a figure.

    Parameters
    ----------
    viewer
        The viewer; its window must be shown.
    path
        File to write: PNG, SVG or PDF, by its ending.
    colouring
        Colours of the cells, for the legend: only those in view are counted.
    labels
        The layer with the cells; without it, all cells of the colouring are counted.
    numbers
        Number of each cell of the colouring in that layer, 0 for cells of other images; by default the
        ``index`` of the layer's features.
    name
        Of the image, for the title; by default the one that the layers tell.

    Returns
    -------
    path
        The file that was written.

    Raises
    ------
    DataError
        If the name has another ending, or cannot be written.
    """
    if colouring is not None and labels is not None:
        known = labels.features["index"].to_numpy() if numbers is None else numbers
        colouring = colouring.of(np.isin(known, numbers_in_view(viewer, labels)))
    figure = view_figure(
        canvas_picture(viewer), um_per_pixel(viewer), colouring, title=view_title(viewer, name)
    )
    return save_view(figure, path)


def canvas_picture(viewer: Any) -> NDArray[np.uint8]:
    """The canvas as a picture, larger than on the screen, without napari's own scale bar."""

    def picture(scale: int) -> NDArray[np.uint8]:
        return np.asarray(viewer.screenshot(scale=scale, canvas_only=True, flash=False))

    shown, zoom = viewer.scale_bar.visible, viewer.camera.zoom
    viewer.scale_bar.visible = False
    try:
        seen, larger = picture(1), picture(ENLARGED)
        # some versions of napari show more on a larger canvas, some the same larger
        y, x = ((ENLARGED - 1) * n // 2 for n in seen.shape[:2])
        middle, thinned = larger[y:, x:], larger[::ENLARGED, ::ENLARGED]
        if _differ(middle, seen) <= _differ(thinned, seen):
            viewer.camera.zoom = ENLARGED * zoom
            larger = picture(ENLARGED)
        return larger
    finally:
        viewer.camera.zoom = zoom
        viewer.scale_bar.visible = shown


def _differ(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean difference of two pictures where both have pixels."""
    height, width = np.minimum(one.shape[:2], other.shape[:2])
    return float(np.abs(one[:height, :width].astype(int) - other[:height, :width]).mean())


def um_per_pixel(viewer: Any) -> float | None:
    """Size of a pixel of `canvas_picture`; None where the image is in pixels."""
    layers = [layer for layer in viewer.layers if "rgbtrack" in layer.metadata] or viewer.layers
    units = {str(unit) for layer in layers for unit in layer.units[-2:]}
    if len(units) != 1 or not units <= _UM.keys():
        return None
    ratio = viewer.window._qt_window.devicePixelRatio()
    return float(_UM[units.pop()] / (viewer.camera.zoom * ENLARGED * ratio))


def numbers_in_view(viewer: Any, labels: Any) -> NDArray[np.integer]:
    """Numbers of the cells of which a labels layer shows at least one pixel on the canvas."""
    displayed = list(viewer.dims.displayed)[-labels.ndim :]
    point = np.round(labels.world_to_data(np.asarray(viewer.dims.point)[-labels.ndim :])).astype(int)
    low, high = labels.corner_pixels
    first = viewer.dims.ndim - labels.ndim
    seen = tuple(
        slice(low[axis], high[axis] + 1) if axis + first in displayed else int(point[axis])
        for axis in range(labels.ndim)
    )
    shown = labels.data[labels.data_level].labels if labels.multiscale else labels.data
    found = np.unique(np.asarray(shown[seen]))
    return np.asarray(found[found > 0])


def view_title(viewer: Any, name: str | None = None) -> str:
    """Image, frame and slice of the view, in words."""
    told = [layer.metadata["rgbtrack"]["image_id"] for layer in viewer.layers if "rgbtrack" in layer.metadata]
    words = [name or (told[0] if told else "")]
    sliced = {"t": "frame", "z": "slice"}
    for axis in viewer.dims.not_displayed:
        step, point = viewer.dims.current_step[axis], viewer.dims.point[axis]
        deepest = max(viewer.layers, key=lambda layer: layer.ndim)
        letter = deepest.axis_labels[axis - viewer.dims.ndim]
        unit = _UNITS.get(str(deepest.units[axis - viewer.dims.ndim]))
        where = f" ({point:g} {unit})" if unit else ""
        words.append(f"{sliced.get(letter, f'axis {letter}')} {step}{where}")
    return ", ".join(word for word in words if word)


def _draw_entries(axes: Axes, by: str, legend: tuple[Entry, ...], most: int) -> None:
    grey = [entry for entry in legend if entry.rgb == UNASSIGNED]
    lines = [entry for entry in legend if entry.rgb != UNASSIGNED]
    lines.sort(key=lambda entry: -(entry.n_cells or 0))
    most = max(1, min(most, IN_LEGEND) - len(grey) - 1)
    patches = [_patch(entry) for entry in lines[:most]]
    if len(lines) > most:
        rest = sum(entry.n_cells or 0 for entry in lines[most:])
        patches.append(Patch(alpha=0, label=f"and {len(lines) - most} more ({rest:,})"))
    patches += [_patch(entry) for entry in grey]
    counted = any(entry.n_cells is not None for entry in legend)
    title = by.replace("_", " ") + ("\n(cells in view)" if counted else "")
    axes.legend(
        handles=patches or [Patch(alpha=0, label="no cells in view")],
        loc="upper left",
        bbox_to_anchor=(1.01, 1.0),
        borderaxespad=0,
        title=title,
        alignment="left",
    )


def _patch(entry: Entry) -> Patch:
    label = entry.label if entry.n_cells is None else f"{entry.label} ({entry.n_cells:,})"
    return Patch(facecolor=hex_of(entry.rgb), edgecolor=INK, linewidth=0.5, label=label)


def _draw_scale(axes: Axes, colouring: Colouring, scale: Scale) -> None:
    norm = (mpl.colors.LogNorm if scale.log else mpl.colors.Normalize)(scale.low, scale.high)
    mapped = ScalarMappable(norm, scale.colormap)
    bar = axes.figure.colorbar(mapped, cax=axes, label=scale.label)
    if scale.log:
        ticks = np.geomspace(scale.low, scale.high, 5)
        bar.set_ticks([float(f"{tick:.2g}") for tick in ticks[1:-1]])
        bar.ax.yaxis.set_minor_locator(NullLocator())
    else:
        bar.ax.yaxis.set_major_locator(MaxNLocator(5))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    grey = np.isclose(colouring.rgb, UNASSIGNED, atol=1e-4).all(axis=1).sum()
    words = f"{len(colouring.rgb):,} cells in view" + (f"\n{grey:,} grey: missing" if grey else "")
    axes.text(0, -0.03, words, transform=axes.transAxes, va="top", fontsize=8)
