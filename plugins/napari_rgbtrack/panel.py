"""The panel of a review: which image, in which colours, and the tabs to work in."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import QEvent
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QTabWidget, QVBoxLayout, QWidget

from napari_rgbtrack.acts import ACTS
from napari_rgbtrack.acts_panel import ActsPanel
from napari_rgbtrack.cells_panel import CellsPanel
from napari_rgbtrack.clones_panel import ClonesPanel
from napari_rgbtrack.colouring import CLONE, SAFE, colour_choices, legend_words
from napari_rgbtrack.columns import column_words
from napari_rgbtrack.desk import Desk
from napari_rgbtrack.look_panel import LookPanel
from napari_rgbtrack.outlines_panel import DRAWING, OutlinesPanel
from napari_rgbtrack.parts import act_button, button, row, words
from napari_rgbtrack.plot_canvas import ColourPlot
from napari_rgbtrack.view import View

LOOKS = {"outlines": 2, "filled": 0}
TOOLS = {"point": "Move", "lasso": "Lasso", "brush": "Brush"}
TOOL_KEYS = {"lasso": "Shift+O", "brush": "Shift+B"}


class ReviewPanel(QWidget):
    """All that a review needs beside the image; its view keeps the image true."""

    def __init__(self, desk: Desk, plot: ColourPlot) -> None:
        super().__init__()
        self.desk, self.view, self.plot = desk, View(desk), plot
        self.is_open = True
        self.image, self.by, self.look, self.tool = (QComboBox() for _ in range(4))
        self.image.setObjectName("image")
        self.image.addItems(desk.review.image_ids)
        self.image.activated.connect(lambda _: desk.open_image(self.image.currentText()))
        self.by.setObjectName("by")
        for name in colour_choices(desk.review.cells):
            self.by.addItem(column_words(name, desk.review.cells), name)
        self.by.activated.connect(lambda _: desk.colour_by(self.by.currentData()))
        self.look.addItems(list(LOOKS))
        self.look.activated.connect(lambda _: self.view.set_contour(LOOKS[self.look.currentText()]))
        for tool, title in TOOLS.items():
            self.tool.addItem(title, tool)
        self.tool.setObjectName("tool")
        self.tool.setToolTip(
            "What dragging does: move the image, choose cells within a line, or under it  "
            "(Shift+H, Shift+O, Shift+B)"
        )
        self.view.used.connect(lambda tool: self.tool.setCurrentText(TOOLS.get(tool, TOOLS["point"])))
        self.tool.activated.connect(lambda _: self.view.use_tool(self.tool.currentData()))
        self.legend, self.told, self.doing = words(), words(), QLabel()
        self.told.setMinimumHeight(2 * self.told.fontMetrics().height())
        self.tabs = QTabWidget()
        self.tabs.addTab(ClonesPanel(desk), "Clones")
        self.tabs.addTab(CellsPanel(desk), "Cells")
        self.outlines = OutlinesPanel(desk, self.view)
        self.tabs.addTab(self.outlines, "Outlines")
        if "track" in desk.review.cells.columns:
            self.tabs.addTab(_tracks_panel(desk), "Tracks")
        self.doubts = LookPanel(desk)
        self.tabs.addTab(self.doubts, "Look")
        self.acts = ActsPanel(desk)
        self.tabs.addTab(self.acts, "Done")
        previous = button("◀", lambda: desk.step_image(-1), "The image before  (Page Up)", "previous")
        following = button("▶", lambda: desk.step_image(1), "The next image  (Page Down)", "next")
        layout = QVBoxLayout(self)
        layout.addWidget(row(previous, self.image, following))
        layout.addWidget(row("colour", self.by, self.look, "drag", self.tool))
        layout.addWidget(self.legend)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(
            row(
                button("Undo", desk.undo, "Take back the last act  (Ctrl+Z)", "undo"),
                button("Redo", desk.redo, "Do it again  (Ctrl+Shift+Z)", "redo"),
                button("Export view ...", self.export, "The image as it is shown, as a figure", "export"),
                self.doing,
            )
        )
        layout.addWidget(self.told)
        desk.told.connect(self.tell)
        desk.busy.connect(self._busy)
        desk.shown.connect(self._shown)
        for signal in (desk.changed, desk.coloured):
            signal.connect(self._coloured)
        self._coloured()
        self._shortcuts: list[Any] = []

    def showEvent(self, event: Any) -> None:  # noqa: N802
        """Once in a window, its keys work there."""
        super().showEvent(event)
        if not self._shortcuts:
            desk = self.desk
            keys: dict[str, Callable[[], object]] = {
                act.key: partial(desk.act, name) for name, act in ACTS.items()
            }
            keys[ACTS["redraw"].key] = self.view.keep_strokes
            keys |= {key: partial(self.outlines.use, tool) for tool, (_, key, _) in DRAWING.items()}
            keys |= {key: partial(self.view.use_tool, tool) for tool, key in TOOL_KEYS.items()}
            keys |= {"Ctrl+Z": desk.undo, "Ctrl+Shift+Z": desk.redo}
            keys |= {"PgUp": partial(desk.step_image, -1), "PgDown": partial(desk.step_image, 1)}
            keys |= {"Shift+D": self.doubts.next_doubt}
            keys |= {f"Alt+{k + 1}": partial(self.tabs.setCurrentIndex, k) for k in range(self.tabs.count())}
            for key, do in keys.items():
                shortcut = QShortcut(QKeySequence(key), self.window())
                shortcut.activated.connect(partial(_unless_typing, do))
                self._shortcuts.append(shortcut)

    def event(self, event: Any) -> bool:
        """A panel that was closed acts no more."""
        if event.type() == QEvent.Type.ParentChange and self.parent() is None and self._shortcuts:
            self.detach()
            with suppress(LookupError, RuntimeError):  # it was closed too, or the window is
                self.desk.viewer.window.remove_dock_widget(self.plot)
        return bool(super().event(event))

    def detach(self) -> None:
        """Leave the window to another review."""
        if not self.is_open:
            return
        self.is_open = False
        self.acts.run.stop()
        self.view.detach()
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.setParent(None)
        self._shortcuts.clear()

    def tell(self, text: str, trouble: bool) -> None:
        """Tell what came of an act."""
        colour = "#E69F00" if trouble else "#56B4E9"
        self.told.setText(f'<span style="color:{colour}">{_plain(text)}</span>')
        if trouble:
            self.image.setCurrentText(self.desk.image_id)

    def export(self) -> None:
        """Save the image as it is shown, with scale bar and legend."""
        from qtpy.QtWidgets import QFileDialog

        path, _ = QFileDialog.getSaveFileName(
            self, "Save the view", f"{self.desk.image_id}.png", "Figures (*.png *.svg *.pdf)"
        )
        if path:
            self.save_view(path)

    def save_view(self, path: str) -> None:
        """Save the image as it is shown to a file."""
        from napari_rgbtrack.view_figure import export_view
        from rgbtrack.errors import RgbtrackError

        desk = self.desk
        rows = desk.rows_of(desk.image_id, desk.frame)
        numbers = np.zeros(len(desk.chosen), np.int64)
        numbers[rows] = desk.numbers_of(rows)
        try:
            export_view(
                desk.viewer,
                path,
                desk.colouring,
                labels=self.view.cells,
                numbers=numbers,
                name=desk.image_id,
            )
        except (RgbtrackError, OSError) as error:
            desk.told.emit(str(error), True)
        else:
            desk.told.emit(f"saved {path}", False)

    def _busy(self, what: str) -> None:
        self.doing.setText(f"{what} ..." if what else "")

    def _shown(self) -> None:
        self.image.setCurrentText(self.desk.image_id)

    def _coloured(self) -> None:
        desk = self.desk
        self.by.setCurrentIndex(self.by.findData(desk.by))
        text = "" if desk.by in (CLONE, SAFE) else legend_words(desk.colouring)  # the table tells of clones
        self.legend.setText(text)
        self.legend.setVisible(bool(text))


def _tracks_panel(desk: Desk) -> QWidget:
    panel = QWidget()
    layout = QVBoxLayout(panel)
    layout.addWidget(
        words(
            "Choose a cell, and cut it from the frame before; or choose two cells of different frames "
            "(Shift-click, the slider moved in between), and join the later to the earlier. Where that has a "
            "successor already, it is a division."
        )
    )
    layout.addWidget(row(act_button(desk, "cut"), act_button(desk, "join")))
    layout.addStretch(1)
    return panel


def _unless_typing(do: Any) -> None:
    """Do what a key is for, but where somebody types."""
    if not isinstance(QApplication.focusWidget(), QLineEdit):
        do()


def _plain(text: str) -> str:
    import html

    return html.escape(text)
