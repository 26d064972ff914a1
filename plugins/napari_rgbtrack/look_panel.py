"""Where to look: the cells whose calls would change the result most, and a random sample to audit."""

from typing import Any

import numpy as np
import pandas as pd
from qtpy.QtWidgets import QSpinBox, QVBoxLayout, QWidget

from napari_rgbtrack.desk import Desk
from napari_rgbtrack.parts import act_button, button, row, words
from rgbtrack.errors import RgbtrackError
from rgbtrack.review import Verdict, audit_rates, audit_sample, doubtful_cells
from rgbtrack.review.places import Key

N_DOUBTS = 500
N_AUDIT = 100


class LookPanel(QWidget):
    """The next doubtful cell, and verdicts on a sample."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.doubts: pd.DataFrame | None = None
        self.seen: set[Key] = set()
        self.sample: list[Key] = []
        self.name = ""
        self.about, self.progress = words(), words()
        self.size = QSpinBox()
        self.size.setObjectName("audit_size")
        self.size.setRange(1, 10_000)
        self.size.setValue(min(N_AUDIT, max(1, len(desk.review.cells))))
        layout = QVBoxLayout(self)
        layout.addWidget(words("<b>Doubtful cells</b>, those first that would change clone sizes most"))
        layout.addWidget(
            row(button("Next doubtful cell", self.next_doubt, "Go to it  (Shift+D)", "next_doubt"))
        )
        layout.addWidget(self.about)
        layout.addWidget(
            words(
                "<b>Audit</b>: look at cells drawn at random and say whether each is of the clone it was "
                "called. The report then tells the share of errors with its interval."
            )
        )
        draw = button("Draw a sample", self.draw, "Cells drawn at random, to be judged one by one", "draw")
        on = button("Go on", self.go_on, "To the next cell of the last sample, of today or before", "go_on")
        layout.addWidget(row("cells", self.size, draw, on))
        layout.addWidget(row(*(act_button(desk, name) for name in ("right", "wrong", "unclear"))))
        layout.addWidget(self.progress)
        layout.addStretch(1)
        desk.changed.connect(self.renew)

    def next_doubt(self) -> None:
        """Go to the next doubtful cell that was not looked at."""
        if self.doubts is None:
            cells = self.desk.review.cells
            self.desk.jobs.submit_newest(
                "ranking doubts", lambda: doubtful_cells(cells, n=N_DOUBTS), self._ranked
            )
        else:
            self._go()

    def draw(self) -> None:
        """Draw a sample, and begin to audit it."""
        self._audit(len(self._audits()) + 1)

    def go_on(self) -> None:
        """Go to the next cell of the last sample; of one drawn in an earlier review, drawn alike again."""
        audits = self._audits()
        if not self.sample and audits:
            self._audit(len(audits))
        else:
            self.renew()

    def _audits(self) -> set[str]:
        return {one.audit for one in self.desk.review.corrections if isinstance(one, Verdict)}

    def _audit(self, number: int) -> None:
        """Begin, or take up, the audit of a number: its draw depends on nothing else."""
        desk, name = self.desk, f"audit {number}"
        try:
            keys = audit_sample(desk.review.cells, self.size.value(), number - 1)
        except RgbtrackError as error:
            desk.told.emit(str(error), True)
            return
        self.name = desk.audit = name
        self.sample, desk.sample = list(keys), frozenset(keys)
        self.renew()

    def renew(self) -> None:
        """After an act: doubts are ranked anew, and an audit goes on with its next cell."""
        self.doubts = None
        desk = self.desk
        if not desk.audit and self.name:
            desk.audit = self.name
        if not desk.audit:
            return
        verdicts = [
            one for one in desk.review.corrections if isinstance(one, Verdict) and one.audit == desk.audit
        ]
        rates = audit_rates(desk.review.corrections)
        told = rates[rates["audit"] == desk.audit]
        done = {(one.cell.image_id, one.cell.frame, one.cell.cell) for one in verdicts}
        text = f"{desk.audit}: {len(done)} of {len(self.sample)} judged."
        if len(told):
            text += f" {told['words'].iloc[0]}"
        self.progress.setText(text)
        left = [key for key in self.sample if key not in done]
        if not left:
            desk.audit = ""
            self.progress.setText(f"{text} The sample is done.")
            return
        found = desk.row_of(left[0])
        if found is not None:
            desk.go_to(found)

    def _ranked(self, doubts: pd.DataFrame) -> None:
        self.doubts = doubts
        self._go()

    def _go(self) -> None:
        assert self.doubts is not None  # noqa: S101 - ranked before
        columns = ["image_id", "frame", "cell"]
        keys: list[Any] = list(
            self.doubts[columns].astype({"image_id": "str"}).itertuples(index=False, name=None)
        )
        for place, key in enumerate(keys):
            found = self.desk.row_of((key[0], int(key[1]), int(key[2])))
            if key in self.seen or found is None:
                continue
            self.seen.add(key)
            n = int(np.sum([other not in self.seen for other in keys]))
            self.about.setText(f"{self.doubts['why'].iloc[place]}. {n} more of the {len(keys)} first.")
            self.desk.go_to(found)
            return
        self.about.setText("No doubtful cell is left that was not looked at.")
        self.seen.clear()
