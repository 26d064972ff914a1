"""The plot of all cells beside the image, with a choice of its axes."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_rgbtrack.cell_canvas import CellCanvas
from napari_rgbtrack.colour_plot import colour_plot, column_plot, plot_columns, usual_columns
from rgbtrack.errors import DataError
from rgbtrack.tables import markers_of

SHARES, COLUMNS = "Colour: shares of the markers", "Any two columns"


class ColourPlot(QWidget):
    """Plot of all cells.

    It chooses nothing by itself: it says what a person chose in it (`selected`), and shows as selected what
    it is told (`set_selection`).
    """

    selected = Signal(object, bool)
    """Rows that a person chose, an array, and whether they add to those chosen before."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cells = pd.DataFrame()
        self._rgb = np.empty((0, 3), np.float32)
        self.canvas = CellCanvas()
        self.canvas.selected.connect(self.selected)
        self.canvas.setAccessibleName("Plot of the cells")
        self.canvas.setToolTip(
            "Click a cell, or draw around several; Shift adds. Arrow keys go from cell to cell, Escape "
            "chooses none. Wheel, + and - zoom, the right button moves, Home or a double click shows all."
        )
        self.view, self.x, self.y = QComboBox(), QComboBox(), QComboBox()
        for box, name in ((self.view, "What is plotted"), (self.x, "Axis to the right"), (self.y, "Axis up")):
            box.setAccessibleName(name)
            box.setToolTip(name)
            box.setMinimumContentsLength(8)
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.activated.connect(self._replot)
        self.lasso = _tool("Lasso", "Draw a free line around cells")
        self.rectangle = _tool("Rectangle", "Draw a rectangle around cells")
        self.lasso.setChecked(True)
        for tool in (self.lasso, self.rectangle):
            tool.setAutoExclusive(True)
            tool.toggled.connect(self._use_tool)
        whole = QPushButton("Show all")
        whole.setToolTip("Zoom out until all cells are seen (Home)")
        whole.clicked.connect(self.canvas.show_all)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self._against = QLabel("against")
        layout = QVBoxLayout(self)
        layout.addLayout(_row(self.view))
        layout.addLayout(_row(self.y, self._against, self.x))
        layout.addLayout(_row(self.lasso, self.rectangle, whole))
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.note)

    def set_cells(self, cells: pd.DataFrame, rgb: NDArray[Any]) -> None:
        """Plot another table, with a row of colours, 0 to 1, per cell; the axes are kept if they can be."""
        if len(cells) != len(self._cells):
            self.canvas.clear()
        self._cells, self._rgb = cells, np.asarray(rgb, np.float32)
        columns = plot_columns(cells)
        usual = usual_columns(columns) or ("", "")
        views = [SHARES] * _has_shares(cells) + [COLUMNS] * (len(columns) > 1)
        choices = ((self.view, views, ""), (self.x, columns, usual[0]), (self.y, columns, usual[1]))
        for box, names, first in choices:
            kept = box.currentText()
            box.clear()
            box.addItems(names)
            box.setCurrentText(kept if kept in names else first)
        self._replot()

    def set_colours(self, rgb: NDArray[Any]) -> None:
        """Draw the cells in other colours."""
        self._rgb = np.asarray(rgb, np.float32)
        self.canvas.set_colours(self._rgb)

    def set_selection(self, mask: NDArray[np.bool_]) -> None:
        """Bring out the cells that are selected, wherever that was done."""
        self.canvas.set_selection(np.asarray(mask, bool))
        self._tell()

    def set_shown(self, mask: NDArray[np.bool_] | None) -> None:
        """Draw only some cells in full, which can be chosen; the others hardly. None: all."""
        self.canvas.set_shown(None if mask is None else np.asarray(mask, bool))
        self._tell()

    def _replot(self) -> None:
        of_columns = self.view.currentText() == COLUMNS
        for widget in (self.x, self.y, self._against):
            widget.setVisible(of_columns)
        try:
            if of_columns:
                plot = column_plot(self._cells, self.x.currentText(), self.y.currentText())
            else:
                plot = colour_plot(self._cells)
        except DataError as error:
            self.canvas.clear()
            self.note.setText(f"These cells cannot be plotted: {error}")
            return
        self.canvas.show_plot(plot, self._rgb)
        self._tell()

    def _tell(self) -> None:
        if self.canvas.describe():
            self.note.setText(self.canvas.describe())

    def _use_tool(self) -> None:
        self.canvas.rectangle = self.rectangle.isChecked()


def _has_shares(cells: pd.DataFrame) -> bool:
    markers = markers_of(cells)
    return len(markers) > 1 and all(f"{name}_fraction" in cells.columns for name in markers)


def _tool(name: str, tip: str) -> QPushButton:
    button = QPushButton(name)
    button.setCheckable(True)
    button.setToolTip(tip)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    layout = QHBoxLayout()
    for widget in widgets:
        layout.addWidget(widget, int(isinstance(widget, QComboBox)))
    return layout
