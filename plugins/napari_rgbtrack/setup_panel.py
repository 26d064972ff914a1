"""Set up and run: settings tried on the image on the screen, saved into experiment.toml, and run."""

from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QComboBox, QFileDialog, QScrollArea, QTabWidget, QVBoxLayout, QWidget

from napari_rgbtrack.forms import ParamsForm, trouble_of
from napari_rgbtrack.opened import experiment_layers, is_experiment
from napari_rgbtrack.parts import bare, button, row, words
from napari_rgbtrack.preview import Tried, try_clones, try_image
from napari_rgbtrack.run_bar import RunBar
from napari_rgbtrack.toml_file import read_toml, save_sections
from rgbtrack.errors import DataError, ParamError
from rgbtrack.pipeline import init_experiment, read_experiment
from rgbtrack.pipeline.experiment import STAGES, Experiment
from rgbtrack.pipeline.run import image_tasks

TRIED = ("correct", "segment", "signature")
SECTIONS = (*TRIED, "clones")
PAUSE_MS = 600
PREVIEW = "preview"


class SetupPanel(QWidget):
    """Forms of the stages, what they come to, and the run."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = viewer = bare(napari_viewer)
        self.experiment: Experiment | None = None
        self.text = ""
        self.image = QComboBox()
        self.image.setObjectName("image")
        self.image.activated.connect(lambda _: self.show_image())
        self.told = words("Open an experiment.toml, or a folder of images to begin with.")
        self.forms = {name: ParamsForm(name, STAGES[name], self._changed) for name in SECTIONS}
        self.tabs = QTabWidget()
        for name, form in self.forms.items():
            area = QScrollArea()
            area.setWidget(form)
            area.setWidgetResizable(True)
            self.tabs.addTab(area, name.capitalize())
        self.tabs.setCurrentIndex(1)
        self.run = RunBar("Run", "All images to the report", self._what, self._review, self.tell)
        self._pause = QTimer()
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.try_settings)
        self._worker: Any = None
        self._again = False
        layout = QVBoxLayout(self)
        layout.addWidget(
            row(
                button("Open ...", self.ask_file, "An experiment.toml", "open"),
                button("New from folder ...", self.ask_folder, "A folder of images", "new"),
            )
        )
        layout.addWidget(row("image", self.image))
        layout.addWidget(self.tabs, 1)
        layout.addWidget(
            row(
                button("Try", self.try_settings, "On the part of the image in view", "try"),
                button("Show corrected", self.show_corrected, "The part tried, corrected", "corrected"),
                button("Save into experiment.toml", self.save, "Comments and all else stay", "save"),
            )
        )
        layout.addWidget(self.told)
        layout.addWidget(self.run)
        self._tried: Tried | None = None
        for layer in viewer.layers:
            opened = layer.metadata.get("rgbtrack", {}).get("experiment")
            if opened:
                self.open(Path(opened))
                break

    @property
    def results(self) -> Path:
        """Where the run of this experiment leaves its results."""
        return self._needed().folder / "results"

    def ask_file(self) -> None:
        """Ask for an experiment."""
        path, _ = QFileDialog.getOpenFileName(self, "Experiment", "", "experiment.toml (*.toml)")
        if path:
            self.open(Path(path))

    def ask_folder(self) -> None:
        """Ask for a folder of images; its two files are written where they are not there."""
        folder = QFileDialog.getExistingDirectory(self, "Folder of images")
        if folder:
            self.begin(Path(folder))

    def begin(self, folder: Path) -> None:
        """Open the experiment of a folder, or write one for its images."""
        try:
            lines = [] if is_experiment(folder) else init_experiment(folder)
        except ParamError as error:
            self.tell(str(error), True)
            return
        self.open(folder / "experiment.toml")
        if lines:
            self.tell("\n".join(lines), False)

    def open(self, path: Path) -> None:
        """Open an experiment, and its first image."""
        try:
            self.text, content = read_toml(path)
            self.experiment = read_experiment(path)
        except ParamError as error:
            self.tell("\n".join(error.problems), True)
            return
        for name, form in self.forms.items():
            form.fill(content.get(name, {}))
        self.image.clear()
        self.image.addItems([str(name) for name in self.experiment.samples["image_id"]])
        self.run.results = self.results
        self.tell(f"{self.experiment.name}: {len(self.experiment.samples)} images", False)
        self.show_image()

    def show_image(self) -> None:
        """Show the image chosen."""
        experiment, image_id = self._needed(), self.image.currentText()

        def show(layers: Any) -> None:
            from napari.layers import Layer

            for layer in [one for one in self.viewer.layers if "rgbtrack" in one.metadata]:
                self.viewer.layers.remove(layer)
            for data in layers:
                self.viewer.add_layer(Layer.create(*data))
            self.viewer.reset_view()
            self._changed()

        self._work(lambda: experiment_layers(experiment.path, image_id), show)

    def try_settings(self) -> None:
        """Try what the forms say, in a thread; while one try goes on, only the last waits."""
        if self.experiment is None:
            return
        section = SECTIONS[self.tabs.currentIndex()]
        trouble = "\n".join(filter(None, (trouble_of(form) for form in self.forms.values())))
        if trouble:
            self.tell(trouble, True)
            return
        if self._worker is not None:
            self._again = True
            return
        settings = {name: form.params() for name, form in self.forms.items()}
        results = self.results
        self.tell("trying ...", False)
        if section == "clones":
            clones: Any = settings["clones"]
            self._work(lambda: try_clones(results, clones), lambda came: self.tell(came[0], False))
            return
        tasks = {task.image_id: task for task in image_tasks(self.experiment, results)}
        task, frame, centre = tasks[self.image.currentText()], self._frame(), self._centre()
        self._work(lambda: try_image(task, settings, frame, centre), self._show_preview)

    def show_corrected(self) -> None:
        """Show the channels of the part that was tried, corrected."""
        if self._tried is None:
            self.tell("nothing was tried yet: press Try", True)
            return
        for name, pixels in zip(self._tried.channels, self._tried.corrected, strict=True):
            like = next((one for one in self.viewer.layers if one.name == name), None)
            self._put(f"{name} corrected", pixels, "image", colormap=getattr(like, "colormap", "gray"))

    def save(self) -> None:
        """Write what differs into experiment.toml."""
        try:
            experiment = self._needed()
            for form in self.forms.values():
                form.params()
            sections = {name: form.content() for name, form in self.forms.items()}
            self.text = save_sections(experiment.path, self.text, sections)
            self.experiment = read_experiment(experiment.path)
        except ParamError as error:
            self.tell("\n".join(error.problems), True)
            return
        for name, form in self.forms.items():
            form.given = sections[name]
        self.tell(f"saved into {experiment.path}", False)

    def tell(self, text: str, trouble: bool) -> None:
        """Tell what came of something."""
        import html

        colour = "#E69F00" if trouble else "#56B4E9"
        told = html.escape(text).replace("\n", "<br>")
        self.told.setText(f'<span style="color:{colour}">{told}</span>')

    def _needed(self) -> Experiment:
        if self.experiment is None:
            raise ParamError("no experiment is open: open one first")
        return self.experiment

    def _what(self) -> tuple[Path, Path | None]:
        experiment = self._needed()
        if any(form.content() != form.given for form in self.forms.values()):
            raise DataError("settings were changed but not saved: save them into experiment.toml, then run")
        return experiment.path, None

    def _review(self, results: Path) -> None:
        from napari_rgbtrack.start import open_in

        open_in(self.viewer, results, self.tell)

    def _changed(self) -> None:
        self._pause.start()

    def _work(self, work: Any, then: Any) -> None:
        from napari.qt.threading import create_worker

        from napari_rgbtrack.desk import caught, in_words

        self._worker = create_worker(caught, work, _start_thread=False)

        def done(came: Any) -> None:
            result, error = came
            self._worker = None
            if error is None:
                then(result)
            else:
                self.tell(in_words("trying", error), True)
            if self._again:
                self._again = False
                self.try_settings()

        self._worker.returned.connect(done)
        self._worker.start()

    def _show_preview(self, tried: Tried) -> None:
        self._tried = tried
        self._put(PREVIEW, tried.labels, "labels")
        self.tell(tried.words, False)

    def _put(self, name: str, pixels: Any, kind: str, **settings: Any) -> None:
        """Put a picture of the part that was tried where it belongs."""
        from napari.layers import Layer

        like = self._picture()
        assert self._tried is not None  # noqa: S101 - there is something to show
        data = pixels[0] if len(pixels) == 1 else pixels  # (z, y, x)
        scale = like.scale[-data.ndim :]
        shift = np.zeros(data.ndim)
        shift[-2:] = np.array(self._tried.origin_px) * scale[-2:]
        old = next((one for one in self.viewer.layers if one.name == name), None)
        if old is not None:
            self.viewer.layers.remove(old)
        settings |= {"name": name, "scale": scale, "translate": shift, "units": like.units[-data.ndim :]}
        settings |= {"metadata": {"rgbtrack": {}}}
        if kind == "image":
            settings["blending"] = "additive"
        layer = Layer.create(data, settings, kind)
        if kind == "labels":
            layer.contour = 2
        self.viewer.add_layer(layer)

    def _picture(self) -> Any:
        for layer in self.viewer.layers:
            if layer.metadata.get("rgbtrack", {}).get("experiment"):
                return layer
        raise DataError("the image is no longer shown: choose it again")

    def _frame(self) -> int:
        layer = self._picture()
        return int(self.viewer.dims.current_step[0]) if "t" in layer.axis_labels else 0

    def _centre(self) -> Any:
        layer = self._picture()
        return np.asarray(self.viewer.camera.center[-2:]) / layer.scale[-2:]
