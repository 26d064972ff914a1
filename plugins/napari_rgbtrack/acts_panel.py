"""What was done: every correction of review.jsonl, what came of it, and the way on to a new report."""

from datetime import datetime
from pathlib import Path

from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.parts import row, words
from napari_rgbtrack.run_bar import RunBar
from napari_rgbtrack.state import history
from rgbtrack.errors import DataError


class ActsPanel(QWidget):
    """The list of corrections, a note for the next, and the run that makes them."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.note = QLineEdit()
        self.note.setObjectName("note")
        self.note.setPlaceholderText("why; kept with each act until you change it")
        self.note.setMinimumWidth(360)
        self.note.textChanged.connect(lambda text: desk.settings.update(note=text.strip() or None))
        self.list = QListWidget()
        self.list.setObjectName("corrections")
        self.list.setWordWrap(True)
        self.waits = words()
        self.run = RunBar(
            "Make corrections and renew the report",
            "Runs the experiment: only what the corrections changed is done again",
            self._what,
            lambda _: desk.reload(),
            desk.told.emit,
        )
        self.run.results = desk.review.results
        layout = QVBoxLayout(self)
        layout.addWidget(row("Note", self.note))
        layout.addWidget(self.list, 1)
        layout.addWidget(self.waits)
        layout.addWidget(self.run)
        desk.changed.connect(self.renew)
        self.renew()

    def renew(self) -> None:
        """List the corrections, the last first."""
        review = self.desk.review
        done, _ = history(review.corrections)
        came = review.outcomes.set_index("id").to_dict("index") if len(review.outcomes) else {}
        self.list.clear()
        for correction in reversed(review.corrections):
            outcome = came.get(correction.id, {"status": "", "outcome": ""})
            mark = "●" if correction.id in done else "○"
            text = f"{mark} {_local_time(correction.when)}  {correction.said or correction.action}"
            item = QListWidgetItem(f"{text}: {outcome['status']}" if outcome["status"] else text)
            item.setToolTip(f"{outcome['outcome']}\n{correction.note or ''}\n{correction.id}".strip())
            self.list.addItem(item)
        n = review.n_waiting
        self.waits.setText(
            f"{n} act{'s' * (n > 1)} since the last run: kept in {review.file.name}, not yet in the report."
            if n
            else "The report holds every correction."
        )

    def _what(self) -> tuple[Path, Path | None]:
        review = self.desk.review
        experiment = Path(str(review.run.get("experiment", "")))
        if not experiment.is_file():
            raise DataError(
                f"{experiment}, of which these are the results, is no longer there: the corrections are "
                f"kept in {review.file}; put it back, then run it"
            )
        return experiment, review.results


def _local_time(when: str) -> str:
    """Time of an act on the clock of this place, with the day where it was not today."""
    then = datetime.fromisoformat(when).astimezone()
    return f"{then:%H:%M}" if then.date() == datetime.now().astimezone().date() else f"{then:%Y-%m-%d %H:%M}"
