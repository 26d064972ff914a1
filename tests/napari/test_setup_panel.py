"""Set up and run, in a real window on a virtual screen."""

import shutil
import time

import pytest

from rgbtrack import read_experiment
from rgbtrack.files import read_table, write_table

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def window(screen):
    """One window and one panel for all."""
    import napari

    viewer = napari.Viewer()
    _, panel = viewer.window.add_plugin_dock_widget("rgbtrack", "Set up and run")
    yield panel
    panel.run.stop()
    viewer.close()


@pytest.fixture
def experiment(small_experiment, finished, tmp_path):
    """An experiment that was run before."""
    folder = shutil.copytree(small_experiment, tmp_path / "made")
    shutil.copytree(finished, folder / "results")
    return folder / "experiment.toml"


@pytest.fixture
def panel(window, experiment):
    window.viewer.layers.clear()
    window.tabs.setCurrentIndex(1)
    window.open(experiment)
    rest(window)
    return window


def rest(panel, most=60):
    """Wait until nothing goes on."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + most
    while not panel.jobs.is_idle or panel._pause.isActive() or panel.run.running is not None:
        QApplication.processEvents()
        time.sleep(0.005)
        assert time.monotonic() < end, "the panel does not come to rest"
    QApplication.processEvents()


def click(panel, name):
    from qtpy.QtCore import Qt
    from qtpy.QtTest import QTest
    from qtpy.QtWidgets import QPushButton

    QTest.mouseClick(panel.findChild(QPushButton, name), Qt.MouseButton.LeftButton)


def type_in(panel, name, text):
    from qtpy.QtTest import QTest

    section, _, key = name.partition(".")
    line = panel.forms[section].fields[key]
    line.clear()
    QTest.keyClicks(line, text)


def said(panel):
    return panel.told.text()


def test_an_experiment_is_opened_and_tried(panel):
    names = [layer.name for layer in panel.viewer.layers]
    assert names == ["red", "green", "blue", "cells tried", "set aside"]
    assert panel.image.count() == 8
    assert "cells in 160 x 160 pixels" in said(panel)
    assert panel.run.run.text() == "Run all 8 images"
    assert not panel.save_button.isEnabled()
    assert panel.viewer.layers["cells tried"].data.max() > 10


def test_a_change_is_tried_saved_and_the_comments_stay(panel, experiment):
    experiment.write_text("# of our lab\n" + experiment.read_text())
    panel.open(experiment)
    rest(panel)
    n = int(panel.viewer.layers["cells tried"].data.max())
    type_in(panel, "segment.min_snr", "400")
    assert panel.saved.text() == "1 setting changed, not saved"
    rest(panel)
    assert panel.viewer.layers["cells tried"].data.max() < n
    click(panel, "save")
    rest(panel)
    assert "saved into" in panel.saved.text()
    assert experiment.read_text().startswith("# of our lab\n")
    assert read_experiment(experiment).segment.min_snr == 400
    assert not panel.save_button.isEnabled()
    type_in(panel, "segment.min_snr", "")
    click(panel, "save")
    rest(panel)
    assert "min_snr" not in experiment.read_text()


def test_a_mistake_is_told_and_neither_tried_nor_saved(panel, experiment):
    before = experiment.read_text()
    type_in(panel, "segment.contrast", "4")
    rest(panel)
    assert "[segment] contrast is 4.0: give less than 1" in said(panel)
    assert "Nothing is tried until this is mended" in said(panel)
    click(panel, "save")
    rest(panel)
    assert "contrast is 4.0" in panel.saved.text()
    type_in(panel, "segment.contrast", "")
    type_in(panel, "correct.bleed_through", "gone.csv")
    rest(panel)
    assert "gone.csv" in said(panel)
    click(panel, "save")
    rest(panel)
    assert "gone.csv" in panel.saved.text()
    assert experiment.read_text() == before
    panel.forms["correct"].fill({})


def test_a_file_changed_meanwhile_is_not_overwritten(panel, experiment):
    type_in(panel, "segment.join", "0.4")
    experiment.write_text(experiment.read_text() + "# by hand\n")
    click(panel, "save")
    rest(panel)
    assert "was changed by something else since it was opened" in panel.saved.text()
    assert experiment.read_text().endswith("# by hand\n")
    panel.forms["segment"].fill({})


def test_clones_are_tried_and_coloured(panel):
    panel.tabs.setCurrentIndex(3)
    rest(panel)
    assert "cells of the last run" in said(panel)
    cells = panel.viewer.layers["cells tried"]
    assert cells.contour == 0
    assert len({tuple(colour) for colour in cells.colormap.color_dict.values()}) > 3
    assert len(panel.viewer.layers["set aside"].data) == 0


def test_corrected_channels_are_shown_in_place_of_the_others(panel):
    panel.corrected.click()
    rest(panel)
    shown = [layer.name for layer in panel.viewer.layers if layer.visible]
    assert {"red corrected", "green corrected", "blue corrected"} <= set(shown)
    assert "red" not in shown
    panel.corrected.click()
    rest(panel)
    assert panel.viewer.layers["red"].visible
    assert not panel.viewer.layers["red corrected"].visible


def test_another_image_and_one_that_is_torn(panel, experiment):
    panel.image.setCurrentIndex(5)
    panel.show_image()
    rest(panel)
    name = panel.image.currentText()
    assert panel.viewer.layers["red"].metadata["rgbtrack"]["image_id"] == name
    assert "cells in" in said(panel)
    torn = read_experiment(experiment).images[6][0]
    torn.write_bytes(b"torn")
    panel.image.setCurrentIndex(6)
    panel.show_image()
    rest(panel)
    assert torn.name in said(panel)


def test_a_try_can_be_stopped(panel):
    panel.live.click()
    panel.try_settings()
    assert panel.try_button.text() == "Stop"
    click(panel, "try")
    rest(panel)
    assert panel.try_button.text() == "Try"
    click(panel, "try")
    rest(panel)
    assert "cells in" in said(panel)
    panel.live.click()


def test_a_run_needs_what_was_changed_to_be_saved(panel):
    type_in(panel, "segment.join", "0.4")
    click(panel, "run")
    assert "settings were changed but not saved" in panel.ran.text()
    assert panel.run.running is None
    panel.forms["segment"].fill({})


def test_run_report_and_failed_images(panel, experiment, no_figures, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    images = read_experiment(experiment).images
    images[0][0].write_bytes(b"torn")
    sheet = experiment.parent / "samples.csv"
    write_table(sheet, read_table(sheet).iloc[:2])
    click(panel, "run")
    assert panel.run.cancel.isEnabled()
    assert not panel.run.run.isEnabled()
    rest(panel, 120)
    assert "the report is made" in panel.ran.text()
    assert "1 image failed" in panel.ran.text()
    assert "vehicle_m1_d0 failed" in panel.run.warned.text()
    click(panel, "report")
    assert opened == [(experiment.parent / "results" / "report.html").resolve().as_uri()]


def test_a_run_is_cancelled_and_mistakes_are_told(panel, experiment):
    click(panel, "run")
    process = panel.run.running.process
    click(panel, "cancel")
    assert "cancelled: the next run goes on from what was done" in panel.ran.text()
    assert process.wait(20) != 0
    experiment.write_text(experiment.read_text().replace("[channels]", "[chanels]"))
    click(panel, "run")
    rest(panel)
    assert "unknown section [chanels]" in panel.ran.text()


def test_a_folder_of_images_is_begun(panel, experiment, tmp_path):
    images = shutil.copytree(experiment.parent / "images", tmp_path / "new" / "images")
    panel.begin(tmp_path / "nowhere")
    rest(panel)
    assert "no such folder" in said(panel)
    panel.begin(tmp_path / "new")
    rest(panel)
    assert (images.parent / "samples.csv").is_file()
    assert panel.experiment is not None  # its names told all that the sheet needs
    assert set(panel.experiment.samples["treatment"]) == {"vehicle", "isoproterenol"}
    assert len(panel.experiment.samples) == 8


def test_an_experiment_opened_by_other_means_is_taken_over(panel, small_experiment):
    panel.viewer.open(small_experiment, plugin="rgbtrack")
    rest(panel)
    assert panel.experiment.path == small_experiment / "experiment.toml"


def test_unsaved_settings_are_asked_for(panel, small_experiment, monkeypatch):
    from qtpy.QtWidgets import QFileDialog, QMessageBox

    type_in(panel, "segment.join", "0.4")
    answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    toml = str(small_experiment / "experiment.toml")
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (toml, ""))
    before = panel.experiment
    click(panel, "open")
    rest(panel)
    assert panel.experiment is before
    click(panel, "open")
    rest(panel)
    assert str(panel.experiment.path) == toml
