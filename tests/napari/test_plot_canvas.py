"""The plot as a window: what mouse and keys choose, and what is drawn."""

import time

import numpy as np
import pandas as pd
import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SHARES = np.array([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01], [0.01, 0.01, 0.98], [0.34, 0.33, 0.33]])


def table(n=4):
    shares = SHARES[np.arange(n) % 4]
    names = ("red", "green", "blue")
    cells = pd.DataFrame({name: 100 * shares[:, k] for k, name in enumerate(names)})
    for k, name in enumerate(names):
        cells[f"{name}_se"], cells[f"{name}_fraction"] = 1.0, shares[:, k]
    return cells.assign(brightness=100.0 + np.arange(n), snr=10.0)


class Shown:
    """A plot on the screen, with the mouse and keys of a person."""

    def __init__(self, settle, cells):
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        from napari_rgbtrack.plot_canvas import ColourPlot

        self.app = QApplication.instance() or QApplication([])
        self.test, self.settle = QTest, settle
        self.plot = ColourPlot()
        self.plot.resize(420, 520)
        self.plot.set_cells(cells, np.ones((len(cells), 3)))
        self.plot.show()
        self.chosen = []
        self.plot.selected.connect(lambda rows, add: self.chosen.append((rows.tolist(), add)))
        settle(0.1)

    def where(self, row):
        from qtpy.QtCore import QPoint

        canvas = self.plot.canvas
        raster = canvas.raster()
        left, bottom, _, height = canvas.box()
        top = canvas.height() - bottom - height
        return QPoint(round(float(raster.x[row])) + left, round(float(raster.y[row])) + top)

    def drag(self, points, button="LeftButton", shift=False):
        from qtpy.QtCore import Qt

        canvas, button = self.plot.canvas, getattr(Qt.MouseButton, button)
        keys = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
        self.test.mousePress(canvas, button, keys, points[0])
        for point in points[1:]:
            self.test.mouseMove(canvas, point)
        self.test.mouseRelease(canvas, button, keys, points[-1])

    def press(self, key, shift=False):
        from qtpy.QtCore import Qt

        keys = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
        self.test.keyClick(self.plot.canvas, getattr(Qt.Key, f"Key_{key}"), keys)

    def pixels(self):
        image = self.plot.canvas.grab().toImage()
        image = image.convertToFormat(image.Format.Format_RGBA8888)
        bits = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
        return bits[..., :3].copy()


@pytest.fixture
def shown(settle):
    made = Shown(settle, table())
    yield made
    made.plot.close()


def around(point, by=20):
    from qtpy.QtCore import QPoint

    return [point + QPoint(x, y) for x, y in ((-by, -by), (by, -by), (by, by), (-by, by), (-by, -by + 1))]


def test_a_click_chooses_a_cell_and_shift_adds(shown):
    from qtpy.QtCore import QPoint

    shown.drag([shown.where(1) + QPoint(3, 3)])
    shown.drag([shown.where(2)], shift=True)
    assert shown.chosen == [([1], False), ([2], True)]
    shown.drag([QPoint(5, 5)], shift=True)
    assert len(shown.chosen) == 2
    shown.drag([QPoint(5, 5)])
    assert shown.chosen[-1] == ([], False)


def test_a_line_around_cells_chooses_them(shown):
    shown.drag(around(shown.where(3)))
    assert shown.chosen == [([3], False)]
    a, b = around(shown.where(1)), around(shown.where(2))
    shown.drag([a[0], b[1], b[2], a[3]], shift=True)
    assert shown.chosen[-1] == ([1, 2], True)


def test_a_rectangle_takes_two_corners(shown):
    shown.plot.rectangle.click()
    corners = around(shown.where(3))
    shown.drag([corners[0], corners[1], corners[2]])
    assert shown.chosen == [([3], False)]
    assert not shown.plot.lasso.isChecked()


def test_only_shown_cells_are_chosen(shown):
    shown.plot.set_shown(np.array([True, True, True, False]))
    assert shown.plot.note.text() == "3 of 4 cells, the others faint; 0 selected"
    shown.drag(around(shown.where(3)))
    assert shown.chosen == [([], False)]
    shown.plot.set_shown(None)
    shown.drag(around(shown.where(3)))
    assert shown.chosen[-1] == ([3], False)


def test_keys_go_from_cell_to_cell(shown):
    shown.press("Right")
    assert shown.chosen[-1] == ([3], False)
    shown.plot.set_selection(np.array([False, False, False, True]))
    shown.press("Up")
    shown.press("Down", shift=True)
    assert shown.chosen[1:] == [([0], False), ([3], True)]
    shown.press("Escape")
    assert shown.chosen[-1] == ([], False)


def test_the_view_zooms_moves_and_comes_back(shown):
    whole = shown.where(1), shown.where(2)
    shown.press("Plus")
    shown.settle(0.1)
    near = shown.where(1), shown.where(2)
    assert near[1].x() - near[0].x() == pytest.approx((whole[1].x() - whole[0].x()) / 0.8, abs=2)
    from qtpy.QtCore import QPoint

    shown.drag([QPoint(100, 100), QPoint(110, 130)], button="RightButton")
    assert shown.where(1) - near[0] in [QPoint(x, y) for x in (9, 10, 11) for y in (29, 30, 31)]
    assert shown.chosen == []
    shown.press("Minus")
    shown.press("Home")
    shown.settle(0.1)
    assert (shown.where(1), shown.where(2)) == whole


def test_the_wheel_zooms_about_the_mouse(shown):
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent

    canvas, before = shown.plot.canvas, shown.where(1)
    place = QPointF(before)
    event = QWheelEvent(
        place,
        canvas.mapToGlobal(before).toPointF(),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    shown.app.sendEvent(canvas, event)
    shown.settle(0.1)
    after = shown.where(1)
    assert (after - before).manhattanLength() <= 2
    assert canvas._limits != canvas._plot.limits


def test_the_picture_shows_colours_selection_and_the_line_that_is_drawn(shown):
    colours = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]], float)
    shown.plot.set_colours(colours)
    shown.settle(0.1)
    middle = shown.where(3)
    colour = shown.pixels()[middle.y(), middle.x()]
    assert colour[:2].min() > 150 > colour[2]
    shown.plot.set_selection(np.array([True, False, False, False]))
    shown.settle(0.1)
    assert shown.plot.note.text() == "4 cells; 1 selected"
    assert shown.pixels()[middle.y(), middle.x()].max() < 100
    from qtpy.QtCore import Qt

    before = shown.pixels()
    corners = around(middle, 40)
    shown.test.mousePress(
        shown.plot.canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corners[0]
    )
    for corner in corners[1:3]:
        shown.test.mouseMove(shown.plot.canvas, corner)
    shown.settle(0.1)
    assert (shown.pixels() != before).any(axis=2).sum() > 100
    shown.press("Escape")
    shown.settle(0.1)
    assert not (shown.pixels() != before).any()


def test_the_axes_can_be_chosen_and_are_kept(shown):
    from napari_rgbtrack.plot_canvas import COLUMNS, SHARES

    plot = shown.plot
    assert plot.view.currentText() == SHARES
    assert not plot.x.isVisible()
    plot.view.setCurrentText(COLUMNS)
    plot.view.activated.emit(1)
    assert plot.x.isVisible()
    assert (plot.x.currentText(), plot.y.currentText()) == ("hue", "brightness")
    assert plot.canvas.figure.axes[0].get_ylabel() == "brightness (counts)"
    plot.y.setCurrentText("snr")
    plot.set_cells(table(8), np.ones((8, 3)))
    assert (plot.view.currentText(), plot.y.currentText()) == (COLUMNS, "snr")
    plot.set_cells(table(8).drop(columns="snr"), np.ones((8, 3)))
    assert plot.y.currentText() == "brightness"


def test_cells_that_cannot_be_plotted_are_told(shown):
    shown.plot.set_cells(pd.DataFrame({"cell": [1]}), np.ones((1, 3)))
    assert "cannot be plotted" in shown.plot.note.text()
    shown.settle(0.1)
    shown.drag([shown.plot.canvas.rect().center()])
    shown.press("Right")
    shown.plot.set_selection(np.array([True]))
    shown.settle(0.1)
    shown.plot.set_cells(table().iloc[:0], np.ones((0, 3)))
    shown.settle(0.1)
    assert shown.plot.note.text() == "0 cells; 0 selected"
    shown.plot.set_cells(table().assign(red_fraction=np.nan), np.ones((4, 3)))
    assert shown.plot.note.text() == "4 cells; 4 cannot be drawn on these axes; 0 selected"


def test_a_quarter_of_a_million_cells_are_selected_at_once(shown):
    n = 250_000
    shown.plot.set_cells(table(n), np.ones((n, 3)))
    shown.settle(0.2)
    half, times = np.arange(n) % 2 == 0, []
    for _ in range(5):
        start = time.process_time()
        shown.plot.set_selection(half)
        shown.app.processEvents()
        times.append(time.process_time() - start)
    assert min(times) < 0.1
