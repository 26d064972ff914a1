"""Outlines put right: painted, erased, cut, fused; what changed is measured again at once."""

from functools import partial

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.parts import act_button, button, row, words
from napari_rgbtrack.view import View

DRAWING = {
    "paint": ("New cell", "Shift+I", "Paint a cell where none was found"),
    "grow": ("Paint", "Shift+G", "Paint on: the outline chosen grows where you paint"),
    "erase": ("Erase", "Shift+Z", "Take pixels off"),
    "cut": ("Cut", "Shift+T", "Draw a line across a cell: it becomes two"),
    "point": ("Done", "Shift+H", "Move the image and choose cells again"),
}
"""What the mouse can do to outlines: its title, key and tip."""


class OutlinesPanel(QWidget):
    """Tools to draw with, and the acts on outlines that are chosen."""

    def __init__(self, desk: Desk, view: View) -> None:
        super().__init__()
        self.desk, self.view = desk, view
        layout = QVBoxLayout(self)
        layout.addWidget(
            words(
                "Choose what the mouse does, then draw in the image. A pause after a stroke keeps it: the "
                "cells that changed are measured and called again, with the clones of the last run."
            )
        )
        buttons = [
            button(title, partial(self.use, tool), f"{tip}  ({key})", f"tool_{tool}")
            for tool, (title, key, tip) in DRAWING.items()
        ]
        layout.addWidget(row(*buttons))
        layout.addWidget(words("Chosen outlines:"))
        layout.addWidget(row(act_button(desk, "fuse"), act_button(desk, "erase")))
        layout.addWidget(
            words(
                "To leave a cell out of the counts but keep its outline, exclude it under Cells. The size of "
                "the brush is at the left, under layer controls, or changes with [ and ]."
            )
        )
        layout.addStretch(1)

    def use(self, tool: str) -> None:
        """Let the mouse draw."""
        import numpy as np

        cells, scene, desk = self.view.cells, self.desk.scene, self.desk
        if cells is None or scene is None:
            desk.told.emit("no image is open", True)
            return
        self.view.use_tool(tool if tool == "cut" else "point")
        if tool in ("paint", "grow", "erase"):
            if scene.is_large:
                desk.told.emit(
                    f"{scene.image_id} has too many cells to paint in it: cut, fuse and erase whole cells, "
                    "or correct its labels in another program, for 'rgbtrack amend RESULTS redraw'",
                    True,
                )
                return
            if tool == "paint":
                cells.selected_label = int(scene.labels[desk.frame].max(initial=0)) + 1
            if tool == "grow":
                chosen = [row for row in np.flatnonzero(desk.chosen) if desk.key_of(row)[0] == desk.image_id]
                if len(chosen) != 1:
                    desk.told.emit("paint: choose one cell of this image, whose outline is to grow", True)
                    return
                cells.selected_label = desk.key_of(chosen[0])[2]
            cells.preserve_labels = tool != "erase"
            cells.mode = "erase" if tool == "erase" else "paint"
            cells.brush_size = min(cells.brush_size, 8)
