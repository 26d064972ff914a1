"""The desk's image in the viewer: layers, colours, and what a mouse chooses there."""

import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.path import Path as Polygon
from psygnal import Signal

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.layers import drop_singletons
from napari_rgbtrack.outlines import cut_cells, part_new
from napari_rgbtrack.scene import CELLS, cell_colours, cell_layer, colour_groups, track_layer
from rgbtrack.errors import DataError

LASSO = "choosing"
CLICK_PX = 4
"""A mouse that moved less between press and release has clicked."""
PAINTING = ("paint", "erase", "fill", "polygon")
PAUSE_MS = 700
"""Strokes that follow each other faster are one act."""
TOOLS = ("point", "lasso", "brush", "cut")
"""What dragging the mouse does: move the image, choose cells in or under the line, cut outlines."""


class View:
    """Layers of the desk's scene, kept true to it."""

    used = Signal(str)
    """The mouse does something else."""

    def __init__(self, desk: Desk) -> None:
        from qtpy.QtCore import QTimer

        self.desk = desk
        self.viewer = desk.viewer
        self.tool = "point"
        self.contour = 2
        self._image = ""
        self._pictures: Any = None
        self._drawn_on: Any = None
        self._sent: dict[int, Any] = {}
        self._strokes = QTimer()
        self._strokes.setSingleShot(True)
        self._strokes.setInterval(PAUSE_MS)
        self._strokes.timeout.connect(self.keep_strokes)
        desk.shown.connect(self.show)
        desk.changed.connect(self.renew)
        desk.coloured.connect(self.colour)
        desk.selected.connect(self.colour)
        desk.centre.connect(self.centre)
        desk.leaving.connect(self.finish_stroke)
        desk.told.connect(self._told_of)
        # a double click chooses a clone here: napari's own would zoom
        zooms = [one for one in self.viewer.mouse_double_click_callbacks if "zoom" in one.__name__]
        for one in zooms:
            self.viewer.mouse_double_click_callbacks.remove(one)
        self.viewer.mouse_drag_callbacks.append(self._drag)
        self.viewer.mouse_double_click_callbacks.append(self._double_click)
        self.viewer.dims.events.current_step.connect(self._step)

    def detach(self) -> None:
        """Leave the viewer to another review."""
        self.finish_stroke()
        desk = self.desk
        for signal, slot in (
            (desk.shown, self.show),
            (desk.changed, self.renew),
            (desk.coloured, self.colour),
            (desk.selected, self.colour),
            (desk.centre, self.centre),
            (desk.leaving, self.finish_stroke),
            (desk.told, self._told_of),
        ):
            signal.disconnect(slot)
        self._draw_on(None)
        self.viewer.mouse_drag_callbacks.remove(self._drag)
        self.viewer.mouse_double_click_callbacks.remove(self._double_click)
        self.viewer.dims.events.current_step.disconnect(self._step)

    @property
    def cells(self) -> Any:
        """The layer of the outlines; None where no image is open."""
        return next((layer for layer in self._layers() if layer.name == CELLS), None)

    def show(self) -> None:
        """Put another image's layers in the place of those before; what was hidden stays so."""
        desk, scene = self.desk, self.desk.scene
        if scene is None or self._pictures is scene.pictures:  # another frame of it
            self.colour()
            return
        first = not self._image
        self._image, self._pictures = scene.image_id, scene.pictures
        self._sent.clear()
        self._strokes.stop()
        tracks = track_layer(desk.review, scene)
        wanted = [*scene.pictures, *([] if tracks is None else [tracks]), cell_layer(scene)]
        kept = {layer.name: layer for layer in self._layers()}
        fits = all(_is_like(kept.get(made["name"]), data, kind) for data, made, kind in wanted)
        if fits and len(kept) == len(wanted):  # new layers take a second, other data in them does not
            for data, made, _ in wanted:
                _fill(kept[made["name"]], data, made)
                kept[made["name"]].metadata["rgbtrack"] = self._told()
        else:
            hidden = {name for name, layer in kept.items() if not layer.visible}
            for layer in kept.values():  # the person's own stay
                self.viewer.layers.remove(layer)
            for new in wanted:
                self._add(new, hidden)
        self.cells.contour = self.contour
        self._draw_on(self.cells)
        if self.cells.mode in PAINTING:  # the number that was painted is that of another image's cell
            self.use_tool("point")
        self.colour()
        self.viewer.layers.selection.active = self.cells
        if self.cells.ndim > 2:
            self.viewer.dims.set_point(0, 0)
        if first:
            self.viewer.scale_bar.visible = True
        self.viewer.reset_view()

    def renew(self) -> None:
        """Show outlines and colours as they are after an act."""
        cells, scene = self.cells, self.desk.scene
        if cells is None or scene is None or self._image != scene.image_id:
            return
        if self._strokes.isActive():  # what is being painted stays, and comes here again when it was kept
            self.colour()
            return
        self._sent.clear()
        if scene.is_large:
            cells.data[0].painted.labels = drop_singletons(scene.labels)
        elif not np.array_equal(shown := cell_layer(scene)[0], cells.data):
            cells.data = shown
        tracks = next((layer for layer in self._layers() if layer.name == "tracks"), None)
        made = None if tracks is None else track_layer(self.desk.review, scene)
        if made is not None:
            _fill(tracks, made[0], made[1])
        self.colour()

    def colour(self) -> None:
        """Paint the cells on the screen."""
        from napari.utils.colormaps import CyclicLabelColormap

        cells, desk = self.cells, self.desk
        if cells is None or desk.scene is None:
            return
        rows = desk.rows_of(desk.image_id, desk.frame)
        numbers = desk.numbers_of(rows)
        rgb, chosen, highest = desk.colouring.rgb[rows], desk.chosen[rows], desk.scene.highest
        if desk.scene.is_large:
            cells.data[0].painted.groups, colours = colour_groups(numbers, rgb, chosen, highest)
            cells.colormap = CyclicLabelColormap(colors=colours)
        else:
            # napari would draw every outline of the image anew: a third of a second with 4,000 x 4,000 pixels
            with cells._block_refresh():
                colours = cell_colours(numbers, rgb, chosen, highest)
                cells.colormap = CyclicLabelColormap(colors=colours)

    def centre(self, row: int) -> None:
        """Bring a cell to the middle of the screen, at a size to judge it."""
        cell = self.desk.review.cells.iloc[row]
        if self.cells is None:
            return
        axes = self.desk.scene.settings["axis_labels"] if self.desk.scene else ()
        if "t" in axes:
            self.viewer.dims.set_current_step(0, int(cell["frame"]))
        place = self._place(cell)
        if "z" in axes:
            self.viewer.dims.set_point(axes.index("z"), place[0])
        self.viewer.camera.center = place[1:] if self.viewer.dims.ndisplay == 2 else place
        radius = np.sqrt(float(cell.get("area_um2", np.nan)) / np.pi)
        if np.isfinite(radius):
            self.viewer.camera.zoom = max(self.viewer.camera.zoom, 30 / radius)

    def keep_strokes(self) -> None:
        """Keep what was painted as one act."""
        cells, scene = self.cells, self.desk.scene
        if cells is None or scene is None or scene.is_large:
            return
        self._strokes.stop()
        painted = np.asarray(cells.data).reshape(scene.labels.shape)
        for t in range(len(painted)):
            before = self._sent.get(t, scene.labels[t])
            if not np.array_equal(painted[t], before):
                part_new(painted[t], before, int(cells.selected_label))
                self._sent[t] = painted[t].copy()
                self.desk.act("redraw", frame=t, before=before, after=self._sent[t])

    def finish_stroke(self) -> None:
        """Keep at once what was painted last."""
        if self._strokes.isActive():
            self.keep_strokes()

    def use_tool(self, tool: str) -> None:
        """Let the mouse do something else."""
        self.finish_stroke()
        self.tool = tool
        if self.cells is not None:
            self.viewer.layers.selection.active = self.cells
            self.cells.mode = "pan_zoom"
        self.viewer.camera.mouse_pan = tool == "point"
        self.used.emit(tool)

    def set_contour(self, width: int) -> None:
        """Draw cells as outlines so many pixels wide, or filled (0)."""
        self.contour = width
        if self.cells is not None:
            self.cells.contour = width

    def _drag(self, viewer: Any, event: Any) -> Iterator[None]:
        """Click or drag: choose cells, or cut outlines."""
        cells = self.cells
        if cells is None or cells.mode != "pan_zoom" or event.button != 1 or viewer.dims.ndisplay != 2:
            return
        start, path = np.array(event.pos), [self._pixel(event.position)]
        moved = False
        yield
        while event.type == "mouse_move":
            moved = moved or float(np.abs(np.array(event.pos) - start).max()) > CLICK_PX
            if self.tool != "point" and moved:
                path.append(self._pixel(event.position))
                self._draw_path(path)
            yield
        self._draw_path([])
        add = "Shift" in event.modifiers or "Control" in event.modifiers
        if not moved and self.tool != "cut":
            self._click(event.position, add=add)
        elif self.tool in ("lasso", "brush") and len(path) > 1:
            self.desk.choose(self._rows_of_path(np.array(path)), add=add)
        elif self.tool == "cut" and len(path) > 1:
            self._cut(np.array(path))

    def _click(self, position: Any, *, add: bool) -> None:
        row = self._row_at(position)
        if row is not None:
            self.desk.choose([row], add=add)
        elif not add:
            self.desk.choose([])

    def _row_at(self, position: Any) -> int | None:
        """Row of the cell at a place in the world; None for none."""
        scene = self.desk.scene
        assert scene is not None  # noqa: S101 - there is a layer
        y, x = np.round(self._pixel(position)[-2:]).astype(int)
        plane = scene.labels[self.desk.frame][self._z()]
        inside = 0 <= y < plane.shape[0] and 0 <= x < plane.shape[1]
        return self.desk.row_at(int(plane[y, x])) if inside else None

    def _double_click(self, viewer: Any, event: Any) -> None:
        cells = self.cells
        if cells is None or cells.mode != "pan_zoom" or self.tool != "point":
            return
        row = self._row_at(event.position)
        clone = None if row is None else self.desk.review.cells["clone"].iloc[row]
        if clone is not None and clone == clone:
            add = "Shift" in event.modifiers or "Control" in event.modifiers
            self.desk.choose_clones([*(self.desk.clones if add else []), int(clone)])

    def _rows_of_path(self, path: Any) -> Any:
        """Rows of the cells that a line encloses (lasso) or touches (brush), in what is on the screen."""
        desk = self.desk
        assert desk.scene is not None  # noqa: S101 - a drag needs an image
        rows = desk.rows_of(desk.image_id, desk.frame)
        if self.tool == "lasso":
            pixel = desk.scene.settings["scale"][-1]
            places = desk.review.cells[["y_um", "x_um"]].to_numpy(float)[rows] / pixel
            return rows[Polygon(path[:, -2:]).contains_points(places)] if len(path) > 2 else rows[:0]
        plane = desk.scene.labels[desk.frame][self._z()]
        steps = np.concatenate([np.linspace(a, b, int(np.abs(b - a).max()) + 2) for a, b in pairwise(path)])
        y, x = np.round(steps[:, -2:]).astype(int).T
        inside = (y >= 0) & (x >= 0) & (y < plane.shape[0]) & (x < plane.shape[1])
        under = np.unique(plane[y[inside], x[inside]])
        return rows[np.isin(desk.numbers_of(rows), under[under > 0])]

    def _cut(self, path: Any) -> None:
        scene = self.desk.scene
        assert scene is not None  # noqa: S101 - a drag needs an image
        before = scene.labels[self.desk.frame]
        try:
            after = cut_cells(before, path[:, -2:], self._z())
        except DataError as error:
            self.desk.told.emit(str(error), True)
            return
        self.desk.act("redraw", before=before, after=after)

    def _draw_path(self, path: list[Any]) -> None:
        """Show the line that is being drawn."""
        from napari.layers import Shapes

        layer = next((one for one in self.viewer.layers if one.name == LASSO), None)
        if len(path) < 2:
            if layer is not None:
                self.viewer.layers.remove(layer)
            return
        line = np.array(path)[:, -2:]
        if layer is None:
            told = {"metadata": {"rgbtrack": {}}, "units": self.cells.units[-2:]}
            layer = Shapes(name=LASSO, scale=self.cells.scale[-2:], ndim=2, **told)
            active = self.viewer.layers.selection.active
            self.viewer.add_layer(layer)
            self.viewer.layers.selection.active = active
        layer.data = []
        layer.add_paths([line], edge_color="white", edge_width=2 / self.viewer.camera.zoom / layer.scale[-1])

    def _step(self, event: Any = None) -> None:
        scene, cells = self.desk.scene, self.cells
        if cells is None or scene is None or self._image != scene.image_id:
            return  # while layers come and go
        if "t" in scene.settings["axis_labels"]:
            self.desk.show_frame(int(self.viewer.dims.current_step[-cells.ndim]))

    def _place(self, cell: Any) -> tuple[float, ...]:
        """Where a cell lies in the world, (z, y, x): micrometres, or pixels where their size is not known."""
        return tuple(float(cell[name]) for name in ("z_um", "y_um", "x_um"))

    def _pixel(self, position: Any) -> Any:
        return np.asarray(self.cells.world_to_data(position), float)

    def _z(self) -> int:
        scene = self.desk.scene
        if scene is None or "z" not in scene.settings["axis_labels"]:
            return 0
        axis = scene.settings["axis_labels"].index("z") - self.cells.ndim
        return int(self.viewer.dims.current_step[axis])

    def _layers(self) -> list[Any]:
        return [layer for layer in self.viewer.layers if layer.metadata.get("rgbtrack", {}).get("review")]

    def _draw_on(self, cells: Any) -> None:
        """Keep what is painted in a layer, and no longer in the one before."""
        if self._drawn_on is not None:
            self._drawn_on.events.paint.disconnect(self._stroke)
        if cells is not None:
            cells.events.paint.connect(self._stroke)
        self._drawn_on = cells

    def _told_of(self, text: str, trouble: bool) -> None:
        """Take off what was painted and could not be kept."""
        if trouble and self._sent and not self._strokes.isActive():
            self._sent.clear()
            self.renew()

    def _stroke(self, event: Any = None) -> None:
        self._strokes.start()

    def _told(self) -> dict[str, Any]:
        """What a layer tells of where it is from."""
        return {"results": str(self.desk.review.results), "image_id": self._image, "review": True}

    def _add(self, data: Any, hidden: set[str]) -> None:
        from napari.layers import Layer

        array, settings, kind = data
        with warnings.catch_warnings():  # napari 0.6: that tracks lack features which come a moment later
            warnings.simplefilter("ignore", UserWarning)
            layer = Layer.create(array, {**settings, "metadata": {"rgbtrack": self._told()}}, kind)
        self.viewer.add_layer(layer)
        if layer.name in hidden:
            layer.visible = False


def _is_like(layer: Any, data: Any, kind: str) -> bool:
    """Whether a layer can hold other data of its kind and dimensions."""
    if layer is None or isinstance(data, list):  # levels of a large image are made for it
        return False
    ndim = data.shape[1] - 1 if kind == "tracks" else np.ndim(data)
    alike = type(layer).__name__.lower() == kind and layer.ndim == ndim
    return alike and not getattr(layer, "multiscale", False)


def _fill(layer: Any, data: Any, settings: Any) -> None:
    """Put other data into a layer."""
    if "graph" in settings:
        by = layer.color_by
        layer.graph = {}
        layer.data = data
        layer.graph, layer.features = settings["graph"], settings["features"]
        layer.colormaps_dict = settings.get("colormaps_dict", {})
        layer.color_by = by
    else:
        layer.data = data
    layer.scale = settings["scale"]
    if "contrast_limits" in settings:
        low, high = settings["contrast_limits"]
        layer.contrast_limits_range = (min(low, 0), max(high, layer.contrast_limits_range[1]))
        layer.contrast_limits = low, high
