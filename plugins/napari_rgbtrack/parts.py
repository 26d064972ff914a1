"""Small parts that the panels of a review share."""

import html
from collections.abc import Callable
from typing import Any

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_rgbtrack.acts import ACTS
from napari_rgbtrack.desk import Desk

TROUBLE, NEWS = "#E69F00", "#56B4E9"


def act_button(desk: Desk, name: str) -> QPushButton:
    """Button of one act, its key in the tip; `shortcuts` makes the key work."""
    act = ACTS[name]
    return button(act.title, lambda: desk.act(name), f"{act.tip}  ({act.key})", name)


def button(title: str, do: Callable[[], Any], tip: str, name: str = "") -> QPushButton:
    """Button that does something; `name` is what tests and shortcuts know it by."""
    made = QPushButton(title)
    made.setObjectName(name or title.lower().replace(" ", "_"))
    made.setToolTip(tip)
    made.setAutoDefault(False)
    made.clicked.connect(lambda _: do())
    return made


def row(*widgets: QWidget | str) -> QWidget:
    """Widgets and words side by side."""
    box = QWidget()
    layout = QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(QLabel(widget) if isinstance(widget, str) else widget)
    layout.addStretch(1)
    return box


def bare(viewer: Any) -> Any:
    """The viewer itself: napari gives widgets of its menu one that warns of what is not public in it."""
    return getattr(viewer, "__wrapped__", viewer)


def words(text: str = "") -> QLabel:
    """Text that wraps and can be copied."""
    from qtpy.QtCore import Qt

    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def coloured(text: str, *, trouble: bool) -> str:
    """Text of a label, in the colour of trouble or of news."""
    told = html.escape(text, quote=False).replace("\n", "<br>")
    return f'<span style="color:{TROUBLE if trouble else NEWS}">{told}</span>'
