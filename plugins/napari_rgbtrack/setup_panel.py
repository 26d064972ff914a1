"""Set up and run: settings tried on the image on the screen, saved into experiment.toml, and run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QMessageBox,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_rgbtrack.forms import ParamsForm
from napari_rgbtrack.helper import Helper
from napari_rgbtrack.jobs import Jobs
from napari_rgbtrack.opened import experiment_layers, shown_experiment
from napari_rgbtrack.parts import bare, button, coloured, row, words
from napari_rgbtrack.preview import SIDE_PX, Place, Tried, try_clones, try_image, window
from napari_rgbtrack.preview_layers import PREVIEW, show_channels, show_layers, tried_layers
from napari_rgbtrack.run_bar import RunBar
from napari_rgbtrack.settings import begin_experiment, read_settings, save_settings
from rgbtrack.errors import DataError
from rgbtrack.pipeline.experiment import STAGES, Experiment

SECTIONS = ("correct", "segment", "signature", "clones")
PAUSE_MS = 500
MOVED_PX = SIDE_PX // 8
FIRST_TIME_S = 10
NEWS = "Open an experiment.toml, or begin one for a folder of images."


class SetupPanel(QWidget):
    """Forms of the stages, what they come to, and the run."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer = bare(napari_viewer)
        self.experiment: Experiment | None = None
        self.text = ""
        self._path: Path | None = None
        self._tried_at: Place | None = None
        self.helper = Helper()
        self.helper.start()
        self.jobs = Jobs(self._busy, self._trouble)
        self.title, self.told, self.saved, self.ran = words(NEWS), words(), words(), words()
        self.told.setMinimumHeight(7 * self.told.fontMetrics().lineSpacing())
        self.image = QComboBox()
        self.image.setObjectName("image")
        self.image.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        self.image.activated.connect(lambda _: self.show_image())
        self.forms = {name: ParamsForm(name, STAGES[name], self._changed) for name in SECTIONS}
        self.tabs = QTabWidget()
        for name, form in self.forms.items():
            area = QScrollArea()
            area.setWidget(form)
            area.setWidgetResizable(True)
            self.tabs.addTab(area, name.capitalize())
        self.tabs.setCurrentIndex(SECTIONS.index("segment"))
        self.tabs.currentChanged.connect(lambda _: self._changed())
        self.live, self.corrected = QCheckBox("live"), QCheckBox("show corrected")
        self.live.setChecked(True)
        self.live.setToolTip("Try again after every change")
        self.live.toggled.connect(lambda _: self._changed())
        self.corrected.setObjectName("corrected")
        self.corrected.setToolTip(
            "Show the channels of the part that is tried without background and bleed-through"
        )
        self.corrected.toggled.connect(self._show_corrected)
        self.try_button = button("Try", self.try_or_stop, "On the part of the image in view", "try")
        self.save_button = button(
            "Save into experiment.toml", self.save, "Its comments and all else stay", "save"
        )
        self.run = RunBar(
            "Run", "All images, from pixels to the report", self._what, lambda _: None, self._tell_run
        )
        self.review = button(
            "Review clones", self._review, "Look through the results, and put them right", "review"
        )
        self.run.buttons.addWidget(self.review)
        self._pause, self._clock = QTimer(self), QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.try_settings)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._tick)
        self._seconds, self._doing = 0, ""
        layout = QVBoxLayout(self)
        layout.addWidget(
            row(
                button("Open ...", self.ask_file, "An experiment.toml", "open"),
                button(
                    "New from folder ...", self.ask_folder, "Writes experiment.toml and samples.csv", "new"
                ),
            )
        )
        layout.addWidget(self.title)
        self.work = QWidget()
        inner = QVBoxLayout(self.work)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(row("image", self.image))
        inner.addWidget(self.tabs, 1)
        inner.addWidget(row(self.try_button, self.live, self.corrected))
        inner.addWidget(self.told)
        inner.addWidget(row(self.save_button))
        inner.addWidget(self.saved)
        inner.addWidget(self.run)
        inner.addWidget(self.ran)
        self.work.setEnabled(False)
        layout.addWidget(self.work, 1)
        self._watch(viewer)
        self._adopt()

    @property
    def results(self) -> Path:
        """Where the run of this experiment leaves its results."""
        return self._needed().folder / "results"

    def ask_file(self) -> None:
        """Ask for an experiment."""
        if self._may_leave():
            path, _ = QFileDialog.getOpenFileName(self, "Experiment", "", "experiment.toml (*.toml)")
            if path:
                self.open(Path(path))

    def ask_folder(self) -> None:
        """Ask for a folder of images; its two files are written where they are not there."""
        if self._may_leave():
            folder = QFileDialog.getExistingDirectory(self, "Folder of images")
            if folder:
                self.begin(Path(folder))

    def begin(self, folder: Path) -> None:
        """Open the experiment of a folder, or write one for its images."""

        def begun(lines: list[str]) -> None:
            self.open(folder / "experiment.toml")
            if lines:
                self.title.setText("\n".join(lines))

        self.jobs.submit_newest("looking through the folder", lambda: begin_experiment(folder), begun)

    def open(self, path: Path, shown: str = "") -> None:
        """Open an experiment, and show its first image unless one is `shown`."""
        self._path = path
        self.jobs.submit_newest(
            "opening", lambda: read_settings(path), lambda came: self._opened(came, shown)
        )

    def show_image(self) -> None:
        """Show the image chosen."""
        path, image_id = self._needed().path, self.image.currentText()
        self.jobs.submit_newest("reading the image", lambda: experiment_layers(path, image_id), self._show)

    def try_or_stop(self) -> None:
        """Try what the forms say; while it is tried, stop."""
        if self.jobs.is_idle:
            self.try_settings()
        else:
            self.jobs.forget()
            self.helper.stop()
            self.tell("stopped", False)

    def try_settings(self) -> None:
        """Try what the forms say on what is in view; while one try goes on, only the last waits."""
        trouble = [line for form in self.forms.values() for line in form.trouble()]
        if self.experiment is None:
            return
        if trouble:
            self.tell("\n".join([*trouble, "Nothing is tried until this is mended."]), True)
            return
        place, sections = self._place(), self._sections()
        if SECTIONS[self.tabs.currentIndex()] == "clones":
            self.jobs.submit_newest(
                "trying", lambda: self.helper.do(try_clones, place, sections), self._show_tried
            )
        else:
            pixels = self.corrected.isChecked()
            self.jobs.submit_newest(
                "trying", lambda: self.helper.do(try_image, place, sections, pixels), self._show_tried
            )
        self._tried_at = place

    def save(self) -> None:
        """Write what differs into experiment.toml."""
        path, text, sections = self._needed().path, self.text, self._sections()

        def saved(came: tuple[str, Experiment]) -> None:
            self.text, self.experiment = came
            for name, form in self.forms.items():
                form.given = sections[name]
            self._count()
            self.saved.setText(coloured(f"saved into {path}", trouble=False))

        self.jobs.submit_newest("saving", lambda: save_settings(path, text, sections), saved)

    def tell(self, text: str, trouble: bool) -> None:
        """Tell what came of something."""
        self.told.setText(coloured(text, trouble=trouble))

    def _trouble(self, what: str, text: str) -> None:
        label = self.saved if what == "saving" else self.told
        label.setText(coloured(text, trouble=True))

    def _tell_run(self, text: str, trouble: bool) -> None:
        self.ran.setText(coloured(text, trouble=trouble))

    def _opened(self, came: tuple[str, dict[str, Any], Experiment], shown: str) -> None:
        self.text, content, experiment = came
        self.experiment = experiment
        for name, form in self.forms.items():
            form.fill(content.get(name, {}), experiment.folder)
        n = len(experiment.samples)
        self.image.clear()
        self.image.addItems([str(name) for name in experiment.samples["image_id"]])
        self.run.results = self.results
        self.run.run.setText(f"Run all {n} images" if n > 1 else "Run")
        self.title.setText(f"{experiment.name}\n{experiment.path}")
        self.tell("", False)
        self.work.setEnabled(True)
        self._count()
        if shown:
            self.image.setCurrentText(shown)
            self._changed()
        else:
            self.show_image()

    def _show(self, layers: list[Any]) -> None:
        show_channels(self.viewer, layers)
        self.viewer.reset_view()
        self._changed()

    def _show_tried(self, tried: Tried) -> None:
        channels = self._channels()
        if not channels:
            raise DataError("the image is no longer shown: choose it again")
        show_layers(self.viewer, tried_layers(tried, channels))
        self.tell(tried.words, False)

    def _show_corrected(self, wanted: bool) -> None:
        """Show or hide the corrected channels, in place of the others."""
        for layer in self.viewer.layers:
            if layer._type_string == "image" and PREVIEW in layer.metadata.get("rgbtrack", {}):
                layer.visible = wanted
        for layer in self._channels():
            layer.visible = not wanted
        if wanted:
            self._changed()

    def _sections(self) -> dict[str, dict[str, Any]]:
        return {name: form.content() for name, form in self.forms.items()}

    def _needed(self) -> Experiment:
        if self.experiment is None:
            raise DataError("no experiment is open: open one first")
        return self.experiment

    def _what(self) -> tuple[Path, Path | None]:
        if any(form.is_changed for form in self.forms.values()):
            raise DataError("settings were changed but not saved: save them into experiment.toml, then run")
        return self._needed().path, None

    def _review(self) -> None:
        from napari_rgbtrack.start import open_in

        open_in(self.viewer, self.results, self._tell_run)

    def _may_leave(self) -> bool:
        """Whether another experiment may be opened: settings that were not saved would be lost."""
        if not any(form.is_changed for form in self.forms.values()):
            return True
        asked = QMessageBox.question(self, "rgbtrack", "Leave the settings that were changed unsaved?")
        return bool(asked == QMessageBox.StandardButton.Yes)

    def _changed(self) -> None:
        self._count()
        if self.live.isChecked() and self.experiment is not None:
            self._pause.start()

    def _count(self) -> None:
        """Tell how many settings were changed since the file was read."""
        n = sum(
            form.content().get(name) != form.given.get(name)
            for form in self.forms.values()
            for name in form.fields
        )
        self.saved.setText(f"{n} setting{'s' * (n > 1)} changed, not saved" if n else "")
        self.save_button.setEnabled(n > 0)

    def _busy(self, what: str) -> None:
        self._doing, self._seconds = what, 0
        self.try_button.setText("Stop" if what == "trying" else "Try")
        if what and what != "saving":
            self._clock.start()
            self.tell(f"{what} ...", False)
        else:
            self._clock.stop()

    def _tick(self) -> None:
        self._seconds += 1
        more = ""
        if self._doing == "trying" and self._seconds >= FIRST_TIME_S:
            more = "\nThe first try after an installation prepares its code: up to two minutes, once."
        self.tell(f"{self._doing} ... {self._seconds} s{more}", False)

    def _channels(self) -> list[Any]:
        """Layers of the image chosen."""
        chosen = self.image.currentText()
        told = [(layer, layer.metadata.get("rgbtrack", {})) for layer in self.viewer.layers]
        return [layer for layer, of in told if "experiment" in of and of["image_id"] == chosen]

    def _place(self) -> Place:
        """What is in view."""
        place = Place(self._needed().path, self.results, self.image.currentText())
        layers = self._channels()
        if not layers:
            return place
        layer = layers[0]
        frame = int(self.viewer.dims.current_step[0]) if "t" in layer.axis_labels else 0
        y, x = np.asarray(self.viewer.camera.center[-2:]) / layer.scale[-2:]
        return replace(place, frame=frame, centre_px=(float(y), float(x)))

    def _moved(self, _: Any = None) -> None:
        """Try again where the view has moved on, or to another frame."""
        before = self._tried_at
        layers = self._channels()
        if before is None or not layers or before.image_id != self.image.currentText():
            return
        now, shape = self._place(), layers[0].data.shape[-2:]
        far = [
            abs(a.start - b.start)
            for a, b in zip(window(before.centre_px, shape), window(now.centre_px, shape), strict=True)
        ]
        if now.frame != before.frame or max(far) > MOVED_PX:
            self._changed()

    def _adopt(self, event: Any = None) -> None:
        """Take over an experiment that was opened by other means."""
        found = shown_experiment(self.viewer.layers if event is None else [event.value])
        if found is not None and found[0] != self._path and self._may_leave():
            self.open(*found)

    def _watch(self, viewer: Any) -> None:
        """Follow the view while the panel lives."""
        events = (
            (viewer.camera.events.center, self._moved),
            (viewer.dims.events.current_step, self._moved),
            (viewer.layers.events.inserted, self._adopt),
        )
        for event, follow in events:
            event.connect(follow)

        def close(*_: Any, jobs: Jobs = self.jobs, helper: Helper = self.helper) -> None:
            for event, follow in events:
                event.disconnect(follow)
            jobs.close()
            helper.stop()

        self.destroyed.connect(close)
