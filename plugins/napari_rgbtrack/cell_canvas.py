"""The plot of all cells as a canvas: drawn, zoomed, and cells chosen in it with mouse or keys."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, Qt, Signal  # before matplotlib's: both take the same binding
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg  # isort: skip

from napari_rgbtrack.colour_plot import GROUND, LIGHT, CellPlot, filling, on_dark, set_limits, zoomed
from napari_rgbtrack.raster import (
    Floats,
    Limits,
    Mask,
    Raster,
    inside,
    light_of,
    nearest,
    next_cell,
    paint_cells,
    rasterise,
)

NEAR_PX = 6
"""How far from a cell a click may be."""
MARGINS_PX = (82, 14, 58, 14)
"""Left, right, below and above the axes, for names and numbers."""
STEP = 0.8
"""What one turn of the wheel leaves of the width."""

_ARROWS = {
    Qt.Key.Key_Left: (-1, 0),
    Qt.Key.Key_Right: (1, 0),
    Qt.Key.Key_Up: (0, -1),
    Qt.Key.Key_Down: (0, 1),
}


class _Dots(Artist):
    """The cells, as one picture that fills the axes."""

    def __init__(self, canvas: "CellCanvas") -> None:
        super().__init__()
        self.canvas = canvas
        self.set(zorder=3, animated=True)

    def draw(self, renderer: Any) -> None:
        box = self.canvas.box()
        context = renderer.new_gc()
        renderer.draw_image(context, box[0], box[1], self.canvas.picture()[::-1])
        context.restore()


class CellCanvas(FigureCanvasQTAgg):
    """Canvas of a plot of cells.

    Cells are chosen by a click, by drawing around them with the mouse, or with the arrow keys; Shift adds.
    The wheel, + and - zoom, the right button moves, Home or a double click shows all, Escape chooses none.
    """

    selected = Signal(object, bool)
    """Rows that were chosen, and whether they add to those chosen before."""

    def __init__(self) -> None:
        with on_dark():
            super().__init__(Figure(facecolor=GROUND))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(220, 200)
        self.rectangle = False
        """Whether a rectangle is drawn around cells, not a free line."""
        self._plot: CellPlot | None = None
        self._axes: Axes | None = None
        self._ground: Any = None
        self._stale = False
        self._limits: Limits = (0.0, 1.0, 0.0, 1.0)
        self._rgb: Floats = np.empty((0, 3), np.float32)
        self._selection: Mask = np.empty(0, bool)
        self._shown: Mask | None = None
        self._current: int | None = None
        self._raster: Raster | None = None
        self._light: Floats | None = None
        self._trail: list[tuple[float, float]] = []
        self._grip: tuple[float, float] | None = None
        for name in ("button_press", "motion_notify", "button_release", "scroll"):
            self.mpl_connect(f"{name}_event", getattr(self, f"_on_{name}"))

    # ---- what is drawn

    def clear(self) -> None:
        """Show no cells."""
        self._plot, self._rgb, self._raster = None, np.empty((0, 3), np.float32), None
        self._selection, self._shown, self._current = np.empty(0, bool), None, None
        if self._axes is not None:
            self._axes.remove()
            self._axes = None
        self.draw_idle()

    def show_plot(self, plot: CellPlot, rgb: Floats) -> None:
        """Draw cells; what is selected and shown stays as it is, and the zoom where no cell has moved."""
        if self._plot is not None and plot.looks_like(self._plot):
            self.set_colours(rgb)
            return
        if len(self._selection) != len(rgb):
            self._selection = np.zeros(len(rgb), bool)
        self._plot, self._rgb = plot, rgb
        with on_dark():
            if self._axes is not None:
                self._axes.remove()
            self._axes = self.figure.add_subplot()
            plot.draw(self._axes)
            self._axes.set_aspect("auto")
            self._dots = _Dots(self)
            self._axes.add_artist(self._dots)
        self.show_all()

    def set_colours(self, rgb: Floats) -> None:
        """Draw the cells in other colours."""
        self._rgb, self._light = rgb, None
        self._redraw()

    def set_selection(self, selection: Mask) -> None:
        """Bring out some cells."""
        if self._plot is None:
            return
        self._selection = selection
        if self._current is not None and not selection[self._current]:
            self._current = None
        if self._current is None and selection.any():
            self._current = int(selection.argmax())
        self._redraw()

    def set_shown(self, shown: Mask | None) -> None:
        """Draw only some cells in full; None: all."""
        self._shown, self._light = shown if self._plot is not None else None, None
        self._redraw()

    def show_all(self) -> None:
        """Zoom out until all cells are seen."""
        if self._plot is not None:
            self._zoom_to(self._plot.limits)

    def draw(self) -> None:
        """Draw the axes, and the cells over them."""
        if self._plot is not None and self._axes is not None:
            left, bottom, width, height = self.box()
            full = self.figure.bbox
            self._axes.set_position(
                (left / full.width, bottom / full.height, width / full.width, height / full.height)
            )
            set_limits(self._axes, self._plot, self._seen())
        with on_dark():
            super().draw()
        self._ground = self.copy_from_bbox(self.figure.bbox)
        self._draw_cells()

    def _redraw(self) -> None:
        """Draw the cells anew when the window is next painted; the axes, which take longer, stay."""
        self._stale = True
        self.update()

    def _draw_cells(self) -> None:
        self._stale = False
        if self._axes is None:
            return
        self.restore_region(self._ground)
        self._axes.draw_artist(self._dots)
        for artist in (*self._axes.lines, *self._axes.texts):
            if artist.zorder > self._dots.zorder:
                self._axes.draw_artist(artist)
        self.update()

    def box(self) -> tuple[int, int, int, int]:
        """Left, bottom, width and height of the axes, in pixels of the screen."""
        ratio = self.device_pixel_ratio
        named = self._axes is not None and self._axes.axison
        left, right, below, above = (round(ratio * m) if named else 0 for m in MARGINS_PX)
        full = self.figure.bbox
        width, height = int(full.width) - left - right, int(full.height) - below - above
        return left, below, max(width, 1), max(height, 1)

    def picture(self) -> NDArray[np.uint8]:
        """The cells, painted on the pixels of the axes."""
        n, raster = len(self._rgb), self.raster()
        dot = 7 if n < 2_000 else 5 if n < 20_000 else 3
        if self._light is None:  # kept: choosing cells changes nothing of it
            self._light = light_of(raster, self._rgb, self._choosable())
        return paint_cells(
            raster,
            self._rgb,
            selection=self._selection,
            shown=self._shown,
            dot_px=round(dot * self.device_pixel_ratio),
            light=self._light,
        )

    def raster(self) -> Raster:
        """Where the cells lie on the pixels of the axes."""
        _, _, width, height = self.box()
        if self._raster is None or self._raster.shape != (height, width):
            places = np.empty((0, 2), np.float32) if self._plot is None else self._plot.places
            self._raster = rasterise(places, self._seen(), (height, width))
            self._light = None
        return self._raster

    def _seen(self) -> Limits:
        _, _, width, height = self.box()
        equal = self._plot is not None and self._plot.equal
        return filling(self._limits, (height, width)) if equal else self._limits

    def _zoom_to(self, limits: Limits) -> None:
        self._limits, self._raster = limits, None
        self.draw_idle()

    def paintEvent(self, event: Any) -> None:  # noqa: N802
        """Draw the line around cells over the plot, and show where the keys go."""
        if self._stale and self._ground is not None:
            self._draw_cells()
        super().paintEvent(event)
        painter = QPainter(self)
        ratio, height = self.device_pixel_ratio, self.height()
        if len(self._trail) > 1:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(QColor("white"), 1.5, Qt.PenStyle.DashLine))
            painter.setBrush(QColor(255, 255, 255, 30))
            corners = [QPointF(x / ratio, height - y / ratio) for x, y in self._outline()]
            painter.drawPolygon(QPolygonF(corners))
        if self.hasFocus():
            painter.setPen(QPen(QColor(LIGHT), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))
        painter.end()

    def focusInEvent(self, event: Any) -> None:  # noqa: D102, N802
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: Any) -> None:  # noqa: D102, N802
        super().focusOutEvent(event)
        self.update()

    def describe(self) -> str:
        """How many cells there are, are drawn, and are selected; empty where there is no plot."""
        if self._plot is None:
            return ""
        n = len(self._rgb)
        shown = n if self._shown is None else int(self._shown.sum())
        words = f"{n:,} cells" if shown == n else f"{shown:,} of {n:,} cells, the others faint"
        lost = n - self._plot.n_placed
        if lost:
            words += f"; {lost:,} cannot be drawn on these axes"
        return f"{words}; {int(self._selection.sum()):,} selected"

    # ---- what the person does

    def _choosable(self) -> Mask:
        return np.ones(len(self._rgb), bool) if self._shown is None else self._shown

    def _choose(self, rows: NDArray[np.intp], add: bool) -> None:
        self._current = int(rows[-1]) if len(rows) else None
        if len(rows) or not add:
            self.selected.emit(rows, add)

    def _on_button_press(self, event: Any) -> None:
        if event.dblclick:
            self.show_all()
        elif event.button == 1:
            self._trail = [(event.x, event.y)]
        else:
            self._grip = (event.x, event.y)

    def _on_motion_notify(self, event: Any) -> None:
        if self._trail:
            self._trail.append((event.x, event.y))
            self.update()
        elif self._grip is not None:
            _, _, width, height = self.box()
            left, right, bottom, top = self._seen()
            x = (event.x - self._grip[0]) / width * (right - left)
            y = (event.y - self._grip[1]) / height * (top - bottom)
            self._grip = (event.x, event.y)
            self._zoom_to((left - x, right - x, bottom - y, top - y))

    def _on_button_release(self, event: Any) -> None:
        self._grip = None
        if not self._trail:
            return
        outline, self._trail = np.array(self._outline()), []
        add = bool(event.guiEvent.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        left, bottom, _, height = self.box()
        points = np.column_stack([outline[:, 0] - left, height - (outline[:, 1] - bottom)])
        near = NEAR_PX * self.device_pixel_ratio
        if np.ptp(points, axis=0).max() < near / 2:
            row = nearest(self.raster(), (points[0, 0], points[0, 1]), near, self._choosable())
            rows = np.array([] if row is None else [row], np.intp)
        else:
            rows = np.flatnonzero(inside(self.raster(), points) & self._choosable())
        self.update()
        self._choose(rows, add)

    def _outline(self) -> list[tuple[float, float]]:
        if not self.rectangle:
            return self._trail
        (x0, y0), (x1, y1) = self._trail[0], self._trail[-1]
        return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]

    def _on_scroll(self, event: Any) -> None:
        left, bottom, width, height = self.box()
        self._zoom_by(STEP**event.step, (event.x - left) / width, (event.y - bottom) / height)

    def _zoom_by(self, factor: float, x: float = 0.5, y: float = 0.5) -> None:
        self._zoom_to(zoomed(self._seen(), x, y, factor))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802
        """Arrows go from cell to cell, Escape chooses none, + and - zoom, Home shows all."""
        key = event.key()
        if key in _ARROWS:
            add = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._step(*_ARROWS[key], add)
        elif key == Qt.Key.Key_Escape:
            self._trail = []
            self._choose(np.array([], np.intp), False)
        elif key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._zoom_by(STEP)
        elif key == Qt.Key.Key_Minus:
            self._zoom_by(1 / STEP)
        elif key == Qt.Key.Key_Home:
            self.show_all()
        else:
            super().keyPressEvent(event)

    def _step(self, dx: int, dy: int, add: bool) -> None:
        raster, among = self.raster(), self._choosable()
        if self._current is None:
            height, width = raster.shape
            row = nearest(raster, (width / 2, height / 2), max(height, width), among)
        else:
            row = next_cell(raster, self._current, dx, dy, among)
        if row is not None:
            self._choose(np.array([row], np.intp), add)
