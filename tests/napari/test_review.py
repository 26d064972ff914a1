"""The review window itself, with a real mouse and real keys on a virtual screen."""

import shutil
import time

import numpy as np
import pytest

from rgbtrack import DataError, read_review
from rgbtrack.files import read_json, read_labels, read_table, write_json
from rgbtrack.review import Redraw

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def viewer(screen):
    """One window for all: each test opens results of its own in it."""
    import napari

    viewer = napari.Viewer()
    viewer.window._qt_window.resize(1300, 850)
    yield viewer
    viewer.close()


class Hands:
    """A person before the window."""

    def __init__(self, viewer, results):
        from napari_rgbtrack.review import review_panel, show_review
        from napari_rgbtrack.state import open_review

        for layer in list(
            viewer.layers
        ):  # the next review takes over the layers of the last: new ones are slow
            if layer.metadata.get("rgbtrack", {}).get("review"):
                layer.visible = True
            else:
                viewer.layers.remove(layer)
        self.viewer = viewer
        self.desk = show_review(viewer, open_review(results))
        self.panel = review_panel(viewer)
        self.plot = self.panel.plot
        self.told = []
        self.desk.told.connect(lambda text, trouble: self.told.append((text, trouble)))
        self.wait()

    @property
    def view(self):
        return self.panel.view

    def wait(self, seconds=0.15, most=40):
        """Let the window draw, and the thread end."""
        from qtpy.QtWidgets import QApplication

        end, last = time.monotonic() + seconds, time.monotonic() + most
        while time.monotonic() < end or not self.desk.is_idle:
            QApplication.processEvents()
            time.sleep(0.005)
            assert time.monotonic() < last, "the window does not come to rest"

    def press(self, name):
        """Click a button, known by its name."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QPushButton

        button = self.panel.findChild(QPushButton, name)
        self.open_tab_of(button)
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.wait()

    def open_tab_of(self, widget):
        tabs = self.panel.tabs
        for k in range(tabs.count()):
            if tabs.widget(k).isAncestorOf(widget):
                tabs.setCurrentIndex(k)
        self.wait(0.02)

    def key(self, text):
        """Press a key, as the window gets it."""
        from qtpy.QtGui import QKeySequence

        wanted = QKeySequence(text)
        shortcut = next(one for one in self.panel._shortcuts if one.key() == wanted)
        assert shortcut.isEnabled()
        assert shortcut.parent() is self.viewer.window._qt_window
        shortcut.activated.emit()
        self.wait()

    def point(self, row):
        """Where a cell is on the canvas, in its pixels."""
        cell = self.desk.review.cells.iloc[row]
        labels = self.desk.scene.labels[int(cell["frame"]), 0]
        inside = np.argwhere(labels == cell["cell"])
        return self.of_pixel(inside[len(inside) // 2])

    def of_pixel(self, pixel):
        from qtpy.QtCore import QPoint

        world = np.asarray(pixel) * self.view.cells.scale[-2:]
        away = (world - np.asarray(self.viewer.camera.center[-2:])) * self.viewer.camera.zoom
        canvas = self.canvas
        return QPoint(round(canvas.width() / 2 + away[1]), round(canvas.height() / 2 + away[0]))

    @property
    def canvas(self):
        return self.viewer.window._qt_viewer.canvas.native

    def click(self, row, *, shift=False, double=False):
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        keys = Qt.KeyboardModifier.ShiftModifier if shift else Qt.KeyboardModifier.NoModifier
        for do in (QTest.mouseClick, *([QTest.mouseDClick] if double else [])):
            do(self.canvas, Qt.MouseButton.LeftButton, keys, self.point(row))
        self.wait(0.05)

    def drag(self, *pixels):
        """Drag the mouse over pixels of the image."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtTest import QTest
        from qtpy.QtWidgets import QApplication

        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        places = [self.of_pixel(pixel) for pixel in pixels]
        QTest.mousePress(self.canvas, left, none, places[0])
        for place in places[1:]:
            place_f = QPointF(place)
            where = QPointF(self.canvas.mapToGlobal(place))
            moved = QMouseEvent(QEvent.Type.MouseMove, place_f, where, Qt.MouseButton.NoButton, left, none)
            QApplication.sendEvent(self.canvas, moved)
            QApplication.processEvents()
        QTest.mouseRelease(self.canvas, left, none, places[-1])
        self.wait(0.05)

    def rows(self, **columns):
        """Rows of the image on the screen with some values."""
        cells = self.desk.review.cells
        here = self.desk.rows_of(self.desk.image_id)
        for name, value in columns.items():
            here = here[cells[name].iloc[here].eq(value).fillna(value=False).to_numpy(bool)]
        return here


@pytest.fixture
def results(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "results")


@pytest.fixture
def hands(viewer, results):
    return Hands(viewer, results)


def test_it_opens_ready_to_work(hands, finished):
    names = [layer.name for layer in hands.viewer.layers]
    assert names == ["red", "green", "blue", "cells"]
    ids = hands.desk.review.image_ids
    assert hands.panel.image.currentText() == ids[0]
    model = hands.panel.tabs.widget(0).model
    assert model.table["clone"].tolist() == read_table(finished / "clones.csv")["clone"].tolist()
    assert hands.viewer.scale_bar.visible
    cells = hands.view.cells
    assert np.array_equal(cells.data, read_labels(finished / "labels" / f"{ids[0]}.tif")[0, 0])


def test_cells_wear_the_colours_of_their_clones(hands):
    cells, desk = hands.view.cells, hands.desk
    for name in ("red", "green", "blue"):
        hands.viewer.layers[name].visible = False
    hands.panel.look.setCurrentText("filled")
    hands.panel.look.activated.emit(1)
    cells.opacity = 1.0
    hands.wait(0.3)
    picture = hands.viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    shown = {tuple(colour) for colour in np.unique(picture.reshape(-1, 3), axis=0)}
    wanted = np.unique(np.round(255 * desk.colouring.rgb[desk.rows_of(desk.image_id)]), axis=0)
    near = [any(np.abs(np.array(a, int) - np.array(b, int)).max() <= 2 for b in shown) for a in wanted]
    assert np.mean(near) == 1
    row = desk.rows_of(desk.image_id)[0]
    number = desk.key_of(row)[2]
    assert cells.colormap.map(number)[:3] == pytest.approx(desk.colouring.rgb[row])


def test_a_click_chooses_a_cell_everywhere_and_tells_why(hands):
    row = hands.rows(touches_border=False)[0]
    hands.click(row)
    assert np.flatnonzero(hands.desk.chosen).tolist() == [row]
    panel = hands.panel.tabs.widget(1)
    cell = hands.desk.review.cells.iloc[row]
    hands.panel.tabs.setCurrentIndex(1)  # chosen before the tab was seen
    text = panel.about.text()
    assert f"cell {cell['cell']}: clone {cell['clone']}, probability {cell['clone_probability']:.2f}" in text
    assert f"clone {cell['clone']} " in text.split("By colour: ")[1]
    assert "1 selected" in hands.plot.note.text()
    colours = hands.view.cells.colormap
    assert colours.map(int(cell["cell"]))[3] == 1
    other = hands.desk.key_of(hands.rows(touches_border=False)[1])[2]
    assert colours.map(other)[3] < 0.5
    hands.click(hands.rows(touches_border=False)[1], shift=True)
    assert hands.desk.chosen.sum() == 2
    hands.click(row, shift=True)
    assert hands.desk.chosen.sum() == 1


def test_the_clone_table_fits_beside_the_image_and_tells_the_rest_in_words(hands):
    hands.desk.choose_clones([1])
    table = hands.panel.tabs.widget(0)
    table.name.setText("big red")
    hands.press("rename")
    assert table.view.horizontalScrollBar().maximum() == 0
    heads = [table.model.horizontalHeaderItem(k).text() for k in range(table.model.columnCount())]
    assert heads == ["clone", "cells", "here", "prob.", "founder", "doubts"]
    first = table.model.item(0, 0)
    assert first.text() == "1 big red"
    sizes = table.model.table.iloc[0]
    assert f"in this subject: {sizes['in this subject']:,}" in first.toolTip()
    assert table.model.item(0, 3).text() == f"{sizes['probability']:.2f}"


def test_the_colours_of_a_column_are_explained_in_the_window(hands):
    assert not hands.panel.legend.isVisible()
    box = hands.panel.by
    box.setCurrentIndex(box.findData("clone_probability"))
    box.activated.emit(box.currentIndex())
    assert hands.panel.legend.isVisible()
    assert "clone probability: 0" in hands.panel.legend.text()
    box.setCurrentIndex(box.findData("clone"))
    box.activated.emit(box.currentIndex())
    assert not hands.panel.legend.isVisible()


def test_what_is_chosen_is_painted_without_drawing_the_outlines_anew(hands):
    drawn = []
    hands.view.cells.events.set_data.connect(lambda _: drawn.append(1))
    for row in hands.rows(touches_border=False)[:2]:
        hands.click(row)
        assert hands.view.cells.colormap.map(hands.desk.key_of(row)[2])[3] == 1
    assert not drawn


def test_the_plot_stays_where_it_was_zoomed_when_clones_change(hands):
    canvas = hands.plot.canvas
    canvas._zoom_by(0.5)
    zoomed = canvas._limits
    hands.click(hands.rows(touches_border=False)[0])
    hands.press("unassign")
    assert canvas._limits == zoomed
    assert np.array_equal(canvas._rgb, hands.desk.colouring.rgb)


def test_a_double_click_chooses_the_clone_in_the_table_too(hands):
    row = hands.rows(touches_border=False)[0]
    clone = int(hands.desk.review.cells["clone"].iloc[row])
    zoom = hands.viewer.camera.zoom
    hands.click(row, double=True)
    assert hands.desk.clones == [clone]
    assert hands.viewer.camera.zoom == zoom
    assert hands.desk.chosen.sum() == hands.desk.review.cells["clone"].eq(clone).sum()
    view = hands.panel.tabs.widget(0).view
    assert len(view.selectionModel().selectedRows()) == 1


def test_the_lasso_and_the_brush_choose_cells(hands):
    hands.panel.tool.setCurrentText("Lasso")
    hands.panel.tool.activated.emit(1)
    hands.drag((2, 2), (2, 150), (75, 150), (75, 2), (3, 2))
    cells = hands.desk.review.cells
    rows = hands.desk.rows_of(hands.desk.image_id)
    pixel = 0.65
    inside = (cells["y_um"].iloc[rows] < 74 * pixel) & (cells["x_um"].iloc[rows] < 149 * pixel)
    inside &= (cells["y_um"].iloc[rows] > 3 * pixel) & (cells["x_um"].iloc[rows] > 3 * pixel)
    chosen = hands.desk.chosen[rows]
    assert (chosen == inside.to_numpy()).mean() > 0.9
    assert chosen.any()
    assert "choosing" not in [layer.name for layer in hands.viewer.layers]
    hands.panel.tool.setCurrentText("Brush")
    hands.panel.tool.activated.emit(2)
    hands.drag((80, 5), (80, 150))
    numbers = {hands.desk.key_of(row)[2] for row in np.flatnonzero(hands.desk.chosen)}
    labels = hands.desk.scene.labels[0, 0]
    assert numbers <= set(np.unique(labels[78:83]))
    assert numbers >= set(np.unique(labels[80, 8:146])) - {0}
    hands.panel.tool.setCurrentText("Move")
    hands.panel.tool.activated.emit(0)
    assert hands.viewer.camera.mouse_pan


def test_the_plot_chooses_in_the_image(hands):
    rows = np.arange(5)
    hands.plot.selected.emit(rows, False)
    assert np.flatnonzero(hands.desk.chosen).tolist() == rows.tolist()
    hands.plot.selected.emit(np.array([7, 8]), True)
    assert hands.desk.chosen.sum() == 7


def test_clones_chosen_in_the_table_are_merged_with_a_button_and_a_note(hands):
    from qtpy.QtCore import QItemSelectionModel

    table = hands.panel.tabs.widget(0)
    flags = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows
    for k in (0, 1):
        table.view.selectionModel().select(table.sorted.index(k, 0), flags)
    assert hands.desk.clones == [1, 2]
    hands.panel.acts.note.setText("imaged twice")
    hands.press("merge")
    assert 2 not in set(hands.desk.review.cells["clone"].dropna())
    (kept,) = read_review(hands.desk.review.file)
    assert (kept.action, kept.note) == ("merge", "imaged twice")
    assert table.model.rowCount() == len(hands.desk.review.clones)
    assert "applied" in hands.panel.told.text()
    assert "1 act since the last run" in hands.panel.acts.waits.text()
    hands.press("undo")
    assert hands.told[-1][0].endswith("): applied")  # no id that says nothing to a person
    assert 2 in set(hands.desk.review.cells["clone"].dropna())
    hands.press("redo")
    assert 2 not in set(hands.desk.review.cells["clone"].dropna())
    assert [hands.panel.acts.list.item(k).text()[0] for k in range(3)] == ["○", "○", "●"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("unassign", "unassigned by hand"), ("exclude", "excluded by hand: out of focus")],
)
def test_cells_are_let_go(hands, name, reason):
    row = hands.rows(touches_border=False)[0]
    hands.click(row)
    hands.panel.tabs.widget(1).reason.setCurrentText("out of focus")
    hands.press(name)
    cell = hands.desk.review.cells.iloc[row]
    assert cell["unassigned_reason"] == reason
    assert "no clone" in hands.panel.tabs.widget(1).about.text()


def test_a_reason_is_chosen_by_the_person(hands):
    hands.click(hands.rows(touches_border=False)[0])
    hands.press("exclude")
    assert hands.told[-1] == (
        "exclude: choose or type the reason, beside the button: the report lists it",
        True,
    )
    assert not hands.desk.review.corrections


def test_two_clones_do_not_share_a_name(hands):
    clones = hands.panel.tabs.widget(0)
    for number in (1, 2):
        hands.desk.choose_clones([number])
        clones.name.setText("big red")
        hands.press("rename")
    assert "clone 1 is named big red already" in hands.told[-1][0]
    assert len(hands.desk.review.corrections) == 1


def test_an_audit_goes_on_in_another_review(hands):
    from napari_rgbtrack.review import review_panel, show_review
    from napari_rgbtrack.state import open_review

    hands.panel.doubts.size.setValue(5)
    hands.press("draw")
    hands.press("right")
    sample = hands.panel.doubts.sample
    hands.desk = show_review(hands.viewer, open_review(hands.desk.review.results))
    hands.panel = review_panel(hands.viewer)
    hands.wait()
    hands.panel.doubts.size.setValue(5)
    hands.press("go_on")
    assert hands.panel.doubts.sample == sample
    assert hands.desk.audit == "audit 1"
    assert [hands.desk.key_of(row) for row in np.flatnonzero(hands.desk.chosen)] == [sample[1]]


def test_results_are_not_left_while_they_are_made_anew(hands):
    from napari_rgbtrack.start import open_in

    told = []
    hands.panel.acts.run.running = object()
    try:
        open_in(hands.viewer, hands.desk.review.results, lambda *news: told.append(news))
    finally:
        hands.panel.acts.run.running = None
    assert told == [("a run goes on in this window: wait for it, or cancel it under 'Done'", True)]


def test_a_cell_is_assigned_and_cells_are_split_off(hands):
    one = hands.rows(clone=1, touches_border=False)
    hands.click(one[0])
    target = hands.panel.tabs.widget(1).target
    target.setCurrentIndex(target.findData(2))
    hands.press("assign")
    assert hands.desk.review.cells["clone"].iloc[one[0]] == 2
    hands.desk.choose(one[1:3])
    hands.press("split")
    new = hands.desk.review.cells["clone"].iloc[one[1:3]]
    assert new.nunique() == 1
    assert new.iloc[0] == len(read_table(hands.desk.review.results / "clones.csv")) + 1


def test_two_clones_made_one_are_parted_again_by_refit(hands):
    before = hands.desk.review.cells["clone"]
    hands.desk.choose_clones([1, 2])
    hands.press("merge")
    hands.desk.choose_clones([1])
    hands.press("refit")
    after = hands.desk.review.cells["clone"]
    ours = before.isin([1, 2]).fillna(value=False).to_numpy(bool)
    for clone in (1, 2):
        now = after[ours & before.eq(clone).fillna(value=False).to_numpy(bool)]
        assert now.value_counts(normalize=True).iloc[0] > 0.95
    assert after[ours].nunique() == 2


def test_a_clone_gets_a_name(hands):
    hands.desk.choose_clones([1])
    hands.panel.tabs.widget(0).name.setText("big red")
    hands.press("rename")
    assert hands.panel.tabs.widget(0).model.table["name"].iloc[0] == "big red"


NOTHING_CHOSEN = {
    "merge": "choose two or more clones",
    "split": "no cell is chosen",
    "assign": "no cell is chosen",
    "unassign": "no cell is chosen",
    "exclude": "no cell is chosen",
    "refit": "0 clones are chosen",
    "rename": "0 clones are chosen",
    "fuse": "no cell of the image on the screen is chosen",
    "erase": "no cell of the image on the screen is chosen",
    "right": "no cell is chosen",
}


def test_an_act_on_nothing_is_told_and_changes_nothing(hands):
    for act, words in NOTHING_CHOSEN.items():
        hands.press(act)
        text, trouble = hands.told[-1]
        assert words in text, act
        assert trouble, act
    assert not hands.desk.review.file.exists()


def test_a_cell_is_painted_with_the_mouse(hands):
    labels = hands.desk.scene.labels[0, 0]
    free = np.argwhere(labels[8:-16, 8:-16] == 0) + 8
    y, x = next((y, x) for y, x in free if not labels[y - 6 : y + 14, x - 6 : x + 14].any())
    n = len(hands.desk.review.cells)
    hands.press("tool_paint")
    hands.drag((y, x), (y, x + 4), (y + 4, x + 4), (y + 4, x))
    hands.wait(1.0)
    assert len(hands.desk.review.cells) == n + 1
    (kept,) = read_review(hands.desk.review.file)
    assert isinstance(kept, Redraw)
    new = hands.desk.review.cells.iloc[-1]
    assert new["cell"] == labels.max() + 1
    hands.press("undo")
    assert len(hands.desk.review.cells) == n
    assert np.array_equal(hands.view.cells.data, labels)


def test_outlines_are_cut_fused_and_erased(hands):
    labels = hands.desk.scene.labels[0, 0].copy()
    row = hands.rows(touches_border=False)[0]
    number = hands.desk.key_of(row)[2]
    y, x = np.nonzero(labels == number)
    hands.press("tool_cut")
    middle = int(np.median(y))
    hands.drag((middle, x.min() - 4), (middle, int(np.median(x))), (middle, x.max() + 4))
    hands.wait()
    cut = hands.desk.scene.labels[0, 0]
    new = int(cut.max())
    assert new > labels.max()
    assert ((cut == number) | (cut == new))[labels == number].mean() > 0.95
    hands.press("tool_point")
    hands.desk.choose([hands.desk.row_at(number), hands.desk.row_at(new)])
    hands.press("fuse")
    fused = hands.desk.scene.labels[0, 0]
    assert ((fused > 0) == (labels > 0)).all()
    assert len(np.unique(fused)) == len(np.unique(labels))
    hands.desk.choose([hands.desk.row_at(int(fused[y[0], x[0]]))])
    hands.press("erase")
    assert not hands.desk.scene.labels[0, 0][labels == number].any()
    assert [one.action for one in read_review(hands.desk.review.file)] == ["redraw"] * 3


def test_an_image_of_very_many_cells_is_painted_in_shared_colours(hands, monkeypatch, tmp_path, drawn):
    monkeypatch.setattr("napari_rgbtrack.scene.MOST", 3)
    hands.desk.reload()
    hands.wait()
    desk, cells = hands.desk, hands.view.cells
    assert cells.multiscale

    def colours_of(row):
        number = desk.key_of(row)[2]
        labels, groups = desk.scene.labels[0, 0], np.asarray(cells.data[0])
        (group,) = np.unique(groups[labels == number])
        return cells.colormap.colors[group]

    rows = hands.rows(touches_border=False)[:2]
    for row in rows:
        assert colours_of(row)[:3] == pytest.approx(desk.colouring.rgb[row], abs=1 / 31)
    hands.click(rows[0])
    assert np.flatnonzero(desk.chosen).tolist() == [rows[0]]
    assert [colours_of(row)[3] for row in rows] == [1.0, 0.25]
    hands.press("tool_paint")
    assert "too many cells to paint in it: cut, fuse and erase" in hands.told[-1][0]
    labels = desk.scene.labels[0, 0].copy()
    number = desk.key_of(rows[0])[2]
    hands.press("erase")
    assert not desk.scene.labels[0, 0][labels == number].any()
    assert not np.asarray(cells.data[0])[labels == number].any()
    hands.press("undo")
    assert np.array_equal(desk.scene.labels[0, 0], labels)
    with drawn():
        hands.panel.save_view(str(tmp_path / "view.svg"))
    assert hands.told[-1][0].startswith("saved")


def free_square(labels, side=8, beside=0):
    """Corner of a place without cells; the next one beside it."""
    free = [
        (y, x)
        for y, x in np.argwhere(labels == 0)
        if y + side < 160 and x + side < 160 and not labels[y - 1 : y + side + 1, x - 1 : x + side + 1].any()
    ]
    y, x = free[0]
    return (
        (y, x)
        if not beside
        else next((b, a) for b, a in free if abs(b - y) > side + 2 or abs(a - x) > side + 2)
    )


def paint(hands, corner, side=8):
    """Paint a square as the brush does, without a pause after it."""
    cells, (y, x) = hands.view.cells, corner
    cells.data[y : y + side, x : x + side] = cells.selected_label
    cells.events.paint(value=[])


def actions(hands):
    return [one.action for one in read_review(hands.desk.review.file)]


def test_a_stroke_is_kept_though_the_image_is_left_at_once(hands):
    hands.press("tool_paint")
    n = len(hands.desk.review.cells)
    paint(hands, free_square(hands.desk.scene.labels[0, 0]))
    hands.desk.step_image(1)
    hands.wait()
    assert actions(hands) == ["redraw"]
    assert len(hands.desk.review.cells) == n + 1
    assert hands.view.cells.mode == "pan_zoom"


def test_undo_takes_back_the_stroke_that_was_just_made(hands):
    hands.desk.choose_clones([1, 2])
    hands.press("merge")
    hands.press("tool_paint")
    paint(hands, free_square(hands.desk.scene.labels[0, 0]))
    hands.desk.undo()
    hands.wait()
    assert actions(hands) == ["merge", "redraw", "undo"]
    assert read_review(hands.desk.review.file)[2].of == read_review(hands.desk.review.file)[1].id


def test_strokes_are_kept_once_and_apart_are_cells_of_their_own(hands):
    labels = hands.desk.scene.labels[0, 0].copy()
    hands.press("tool_paint")
    paint(hands, free_square(labels))
    hands.view.keep_strokes()
    hands.view.keep_strokes()
    paint(hands, free_square(labels, beside=1))
    hands.view.keep_strokes()
    hands.wait()
    assert actions(hands) == ["redraw", "redraw"]
    new = np.setdiff1d(hands.desk.scene.labels[0, 0], labels)
    assert new.tolist() == [labels.max() + 1, labels.max() + 2]


def test_a_second_folder_is_not_mixed_with_what_the_first_still_does(viewer, hands, finished, tmp_path):
    ids = hands.desk.review.image_ids
    hands.desk.open_image(ids[1])
    hands.desk.choose_clones([1, 2])
    hands.desk.act("merge")
    other = Hands(viewer, shutil.copytree(finished, tmp_path / "other"))
    other.wait(1)
    assert actions(hands) == ["merge"]
    assert other.view.cells.metadata["rgbtrack"] == {
        "results": str(tmp_path / "other"),
        "image_id": ids[0],
        "review": True,
    }
    assert np.array_equal(other.view.cells.data, other.desk.scene.labels[0, 0])


def test_a_panel_that_was_closed_acts_no_more(viewer, hands, results):
    viewer.window.remove_dock_widget(hands.panel)
    hands.wait()
    assert not hands.panel.is_open
    assert not hands.panel._shortcuts
    again = Hands(viewer, results)
    again.desk.choose_clones([1, 2])
    again.key("Shift+M")
    again.key("Ctrl+Z")
    assert actions(again) == ["merge", "undo"]


def test_a_verdict_is_on_a_cell_of_the_sample(hands):
    hands.panel.doubts.size.setValue(3)
    hands.press("draw")
    sample = hands.panel.doubts.sample
    row = next(row for row in hands.rows() if hands.desk.key_of(row) not in sample)
    hands.desk.choose([row])
    hands.press("wrong")
    assert "this cell is not of audit 1: go to one that is, by 'Go on'" in hands.told[-1][0]
    assert not hands.desk.review.file.exists()
    hands.press("go_on")
    hands.press("right")
    assert actions(hands) == ["verdict"]


def test_results_of_another_version_and_a_torn_line_are_told(viewer, results):
    told = read_json(results / "run.json")
    write_json(results / "run.json", told | {"version": "9.9.9"})
    (results / "review.jsonl").write_text('{"action": "mer')
    hands = Hands(viewer, results)
    text = hands.panel.told.text()
    assert "these results are of rgbtrack 9.9.9" in text
    assert "review.jsonl" in text


def test_an_image_that_cannot_be_opened_is_stepped_past(hands):
    ids = hands.desk.review.image_ids
    (hands.desk.review.results / "labels" / f"{ids[1]}.tif").write_bytes(b"torn")
    hands.press("next")
    assert hands.told[-1][1]
    assert hands.panel.image.currentText() == hands.desk.image_id == ids[0]
    hands.press("next")
    assert hands.desk.image_id == ids[2]


def test_stepping_through_the_images(hands):
    ids = hands.desk.review.image_ids
    hands.viewer.add_points([[1, 1]], name="mine")
    hands.viewer.layers["red"].visible = False
    hands.press("next")
    assert hands.panel.image.currentText() == ids[1]
    assert [layer.name for layer in hands.viewer.layers] == ["red", "green", "blue", "cells", "mine"]
    assert not hands.viewer.layers["red"].visible
    shown = read_labels(hands.desk.review.results / "labels" / f"{ids[1]}.tif")[0, 0]
    assert np.array_equal(hands.view.cells.data, shown)
    hands.key("PgDown")
    assert hands.desk.image_id == ids[2]
    hands.key("PgUp")
    hands.press("previous")
    assert hands.desk.image_id == ids[0]
    hands.press("previous")  # there is none before
    assert hands.desk.image_id == ids[0]


def test_colours_by_a_column(hands):
    by = hands.panel.by
    for choice in ("clone_probability", "snr", "treatment", "clone (colour-blind safe)", "mean colour"):
        by.setCurrentIndex(by.findData(choice))
        by.activated.emit(by.currentIndex())
        assert hands.desk.colouring.by == choice
        row = hands.rows()[0]
        number = hands.desk.key_of(row)[2]
        assert hands.view.cells.colormap.map(number)[:3] == pytest.approx(hands.desk.colouring.rgb[row])


def test_keys_do_what_buttons_do(hands):
    from napari_rgbtrack.acts import ACTS

    hands.desk.choose_clones([1, 2])
    hands.key(ACTS["merge"].key)
    assert 2 not in set(hands.desk.review.cells["clone"].dropna())
    hands.key("Ctrl+Z")
    assert 2 in set(hands.desk.review.cells["clone"].dropna())
    hands.key("Ctrl+Shift+Z")
    assert 2 not in set(hands.desk.review.cells["clone"].dropna())
    hands.key("Alt+2")
    assert hands.panel.tabs.currentIndex() == 1


def test_every_act_has_a_button_and_a_key_of_its_own(hands):
    from napari.utils.shortcuts import default_shortcuts
    from qtpy.QtWidgets import QPushButton

    from napari_rgbtrack.acts import ACTS
    from napari_rgbtrack.outlines_panel import DRAWING
    from napari_rgbtrack.panel import TOOL_KEYS

    keys = [act.key for act in ACTS.values()]
    keys += [key for _, key, _ in DRAWING.values()] + list(TOOL_KEYS.values())
    assert len(set(keys)) == len(keys)
    for key in keys:
        assert [one for one in hands.panel._shortcuts if one.key().toString() == key], key
    napari_keys = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not set(keys) & (napari_keys - {"Shift+A"})  # that is of points layers
    for name in set(ACTS) - {"redraw", "cut", "join"}:
        assert hands.panel.findChild(QPushButton, name) is not None, name


def test_what_is_painted_is_kept_at_once_with_a_key(hands):
    hands.key("Shift+I")
    assert hands.view.cells.mode == "paint"
    labels = hands.desk.scene.labels[0, 0]
    y, x = next((y, x) for y, x in np.argwhere(labels == 0) if not labels[y : y + 9, x : x + 9].any())
    hands.view.cells.data[y : y + 8, x : x + 8] = hands.view.cells.selected_label
    hands.key("Shift+K")
    assert [one.action for one in read_review(hands.desk.review.file)] == ["redraw"]
    assert (hands.desk.scene.labels[0, 0][y : y + 8, x : x + 8] == labels.max() + 1).all()
    for key, tool in {"Shift+O": "lasso", "Shift+B": "brush", "Shift+T": "cut", "Shift+H": "point"}.items():
        hands.key(key)
        assert hands.view.tool == tool
        assert hands.view.cells.mode == "pan_zoom"


def test_the_next_doubtful_cell_is_brought_to_the_middle(hands):
    from rgbtrack.review import doubtful_cells

    first = doubtful_cells(hands.desk.review.cells, n=2)
    hands.press("next_doubt")
    (row,) = np.flatnonzero(hands.desk.chosen)
    assert hands.desk.key_of(row)[2] == first["cell"].iloc[0]
    assert hands.desk.image_id == first["image_id"].iloc[0]
    cell = hands.desk.review.cells.iloc[row]
    assert np.asarray(hands.viewer.camera.center[-2:]) == pytest.approx([cell["y_um"], cell["x_um"]])
    assert first["why"].iloc[0] in hands.panel.doubts.about.text()
    hands.key("Shift+D")
    (row,) = np.flatnonzero(hands.desk.chosen)
    assert hands.desk.key_of(row)[2] == first["cell"].iloc[1]


def test_an_audit_of_random_cells_gives_an_error_rate(hands):
    hands.panel.doubts.size.setValue(3)
    hands.press("draw")
    for verdict in ("right", "wrong", "right"):
        hands.press(verdict)
    text = hands.panel.doubts.progress.text()
    assert "3 of 3 judged" in text
    assert "1 was of another clone" in text
    assert "The sample is done" in text
    kept = read_review(hands.desk.review.file)
    assert [one.verdict for one in kept] == ["right", "wrong", "right"]
    assert len({one.cell for one in kept}) == 3


def test_the_view_is_saved_as_a_figure(hands, tmp_path, drawn):
    with drawn():
        hands.panel.save_view(str(tmp_path / "view.png"))
    assert (tmp_path / "view.png").stat().st_size > 10_000
    hands.panel.save_view(str(tmp_path / "view.xyz"))
    assert "give a name that ends in" in hands.told[-1][0]


def test_the_report_is_renewed_with_the_mouse_alone(hands, no_figures):
    hands.desk.choose_clones([1, 2])
    hands.press("merge")
    acts = hands.panel.acts
    hands.press("run")
    assert not acts.run.run.isEnabled()
    end = time.monotonic() + 240
    while not acts.run.run.isEnabled() and time.monotonic() < end:
        hands.wait(0.1)
    hands.wait(0.2)
    assert "The report holds every correction" in acts.waits.text()
    assert "the report is made" in hands.panel.told.text()
    report = (hands.desk.review.results / "report.html").read_text()
    assert read_review(hands.desk.review.file)[0].said in report


def test_a_cancelled_run_says_how_to_go_on(hands):
    acts = hands.panel.acts
    hands.press("run")
    hands.press("cancel")
    assert acts.run.run.isEnabled()
    assert "the next run goes on from what was done" in hands.told[-1][0]
    hands.wait(0.5)


def test_an_experiment_that_moved_away_is_told(hands):
    told = read_json(hands.desk.review.results / "run.json")
    write_json(hands.desk.review.results / "run.json", told | {"experiment": "/nowhere/experiment.toml"})
    hands.desk.reload()
    hands.wait()
    hands.press("run")
    assert "is no longer there: the corrections are kept" in hands.told[-1][0]


def test_an_image_that_cannot_be_opened_is_told_and_the_window_lives_on(hands):
    ids = hands.desk.review.image_ids
    (hands.desk.review.results / "labels" / f"{ids[1]}.tif").unlink()
    hands.press("next")
    assert f"{ids[1]}.tif: no such file" in hands.told[-1][0]
    assert hands.desk.image_id == ids[0]
    hands.desk.open_image(ids[2])
    hands.wait()
    assert hands.desk.image_id == ids[2]


def test_nothing_is_lost_when_napari_is_killed(hands, viewer):
    hands.desk.choose_clones([1, 2])
    hands.press("merge")
    row = hands.rows(touches_border=False)[0]
    hands.click(row)
    hands.press("unassign")
    now = hands.desk.review.cells["clone"]
    again = Hands(viewer, hands.desk.review.results)  # the same folder, opened by another window
    assert again.desk.review.cells["clone"].equals(now)
    again.press("undo")
    assert again.desk.review.cells["clone"].iloc[row] == 1 or not again.desk.review.cells["clone"].equals(now)


def test_results_are_opened_from_the_menu(viewer, results, screen):
    from napari_rgbtrack.review import review_panel

    viewer.layers.clear()
    _, start = viewer.window.add_plugin_dock_widget("rgbtrack", "Review clones")
    from qtpy.QtWidgets import QApplication

    def wait():
        end = time.monotonic() + 20
        while not start.choose.isEnabled() and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    start.open(results / "labels")
    wait()
    assert "holds no results of rgbtrack" in start.told.text()
    clones = (results / "clones.csv").read_text()
    (results / "clones.csv").write_text(clones.replace("clone,", "number,", 1))
    start.open(results)
    wait()
    assert "opening the results: a defect of rgbtrack" in start.told.text() or "clone" in start.told.text()
    (results / "clones.csv").write_text(clones)
    start.open(results)
    wait()
    assert start.told.text() == f"{results} is open"
    panel = review_panel(viewer)
    while not panel.desk.is_idle:
        QApplication.processEvents()
    panel.detach()
    viewer.window.remove_dock_widget("all")


def test_open_results_tells_mistakes_before_a_window_opens(results, tmp_path):
    from napari_rgbtrack import open_results

    with pytest.raises(DataError, match="holds no results of rgbtrack"):
        open_results(tmp_path / "none")
    with pytest.raises(DataError, match="no processed image is named 'x'"):
        open_results(results, "x")


def test_a_folder_can_be_dropped_on_napari(viewer, finished):
    viewer.layers.clear()
    viewer.open(finished, plugin="rgbtrack")
    assert [layer.name for layer in viewer.layers] == ["red", "green", "blue", "cells"]
    viewer.layers.clear()
