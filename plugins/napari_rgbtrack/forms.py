"""A form from the settings of a stage: the one declaration gives names, choices, tips and limits."""

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin

from pydantic.fields import FieldInfo
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from napari_rgbtrack.parts import button, coloured, words
from rgbtrack.errors import ParamError
from rgbtrack.params import Params
from rgbtrack.pipeline import check_section

Field: TypeAlias = QCheckBox | QComboBox | QLineEdit
UNITS = {"um": "(µm)", "px": "(px)", "snr": "SNR"}
LIMITS = {"gt": "more than {}", "ge": "{} or more", "lt": "less than {}", "le": "{} or less"}
WRONG = "border: 1px solid #E69F00;"


class ParamsForm(QWidget):
    """One line per setting; what is left blank is as by default, and stays out of the file.

    Parameters
    ----------
    section
        Name of the section of experiment.toml.
    model
        Its settings.
    changed
        Called after every change.
    """

    def __init__(self, section: str, model: type[Params], changed: Callable[[], None]) -> None:
        super().__init__()
        self.section, self.model = section, model
        self.given: dict[str, Any] = {}
        self.folder: Path | None = None
        self.fields: dict[str, Field] = {}
        self.labels: dict[str, QLabel] = {}
        self.help = words()
        self._changed = changed
        lines = QFormLayout()
        for name, field in model.model_fields.items():
            widget = _widget(field)
            widget.setObjectName(f"{section}.{name}")
            widget.setToolTip(_tip(field))
            widget.installEventFilter(self)
            _signal(widget).connect(self._edited)
            self.labels[name] = QLabel(_label(name))
            self.labels[name].setToolTip(_tip(field))
            lines.addRow(self.labels[name], self._with_files(widget) if _is_file(field) else widget)
            self.fields[name] = widget
        layout = QVBoxLayout(self)
        layout.addLayout(lines)
        layout.addWidget(self.help)
        layout.addStretch(1)
        self.fill({})

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802
        """Tell beside the form what the setting is for that is worked on."""
        if event.type() == QEvent.Type.FocusIn:
            name = watched.objectName().partition(".")[2]
            if name in self.model.model_fields:
                self.help.setText(f"{_label(name)}: {_tip(self.model.model_fields[name])}")
        return bool(super().eventFilter(watched, event))

    def fill(self, content: Mapping[str, Any], folder: Path | None = None) -> None:
        """Show the settings of a file; the rest as by default.

        Parameters
        ----------
        content
            Of the section.
        folder
            Folder that paths are relative to.
        """
        self.given, self.folder = dict(content), folder
        for name, field in self.model.model_fields.items():
            widget, value = self.fields[name], content.get(name, _default(field))
            widget.blockSignals(True)
            if isinstance(widget, QCheckBox):
                widget.setChecked(bool(value))
            elif isinstance(widget, QComboBox):
                widget.setCurrentText(str(value))
            else:
                widget.setText(_text(value) if name in content else "")
            widget.blockSignals(False)
        self._mark()

    def content(self) -> dict[str, Any]:
        """What the section of the file would hold: what was given there, and what is not the default."""
        said: dict[str, Any] = {}
        for name, widget in self.fields.items():
            default = _default(self.model.model_fields[name])
            if isinstance(widget, QCheckBox):
                value: Any = widget.isChecked()
            elif isinstance(widget, QComboBox):
                value = widget.currentText()
            else:
                value = _value(widget.text(), default) if widget.text().strip() else None
            if value is not None and (value != default or name in self.given):
                said[name] = value
        return said

    def params(self) -> Params:
        """The settings.

        Raises
        ------
        ParamError
            All that is wrong, in the words that experiment.toml's mistakes are told in.
        """
        return check_section(self.section, self.content())

    @property
    def is_changed(self) -> bool:
        """Whether it says other than the file."""
        return self.content() != self.given

    def trouble(self) -> list[str]:
        """What is wrong with it, one line each; empty for nothing."""
        try:
            self.params()
        except ParamError as error:
            return [line.removeprefix("experiment.toml: ") for line in error.problems]
        return []

    def _edited(self, *_: Any) -> None:
        self._mark()
        self._changed()

    def _mark(self) -> None:
        """Mark what is not as by default, and what is wrong."""
        said, trouble = self.content(), self.trouble()
        for name, widget in self.fields.items():
            font = self.labels[name].font()
            font.setBold(name in said and said[name] != _default(self.model.model_fields[name]))
            self.labels[name].setFont(font)
            at = f"[{self.section}] {name}"
            wrong = any(line.startswith((f"{at} ", f"{at}.")) for line in trouble)
            widget.setStyleSheet(WRONG if wrong else "")
        self.help.setText(coloured("\n".join(trouble), trouble=True) if trouble else "")

    def _with_files(self, line: QLineEdit) -> QWidget:
        box = QWidget()
        layout = QHBoxLayout(box)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(line, 1)
        layout.addWidget(
            button("…", lambda: self._ask_file(line), "Choose a file", f"{line.objectName()}.file")
        )
        return box

    def _ask_file(self, line: QLineEdit) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "File", str(self.folder or ""))
        if path:
            line.setText(relative(Path(path), self.folder))


def relative(path: Path, folder: Path | None) -> str:
    """Path as it is written in experiment.toml: from its folder, where the file lies in there."""
    inside = folder is not None and path.resolve().is_relative_to(folder.resolve())
    return path.resolve().relative_to(folder.resolve()).as_posix() if folder and inside else str(path)


class _Choice(QComboBox):
    """Choices that a scroll over the form leaves alone."""

    def wheelEvent(self, event: Any) -> None:  # noqa: N802
        event.ignore()


def _widget(field: FieldInfo) -> Field:
    if field.annotation is bool:
        return QCheckBox()
    if get_origin(field.annotation) is Literal:
        choice = _Choice()
        choice.addItems([str(value) for value in get_args(field.annotation)])
        return choice
    line = QLineEdit()
    default = _default(field)
    line.setPlaceholderText("none" if default == {} else "automatic" if default is None else _text(default))
    return line


def _signal(widget: Field) -> Any:
    if isinstance(widget, QCheckBox):
        return widget.toggled
    return widget.currentTextChanged if isinstance(widget, QComboBox) else widget.textChanged


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _is_file(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get("format") == "file-path"


def _label(name: str) -> str:
    return " ".join(UNITS.get(part, part) for part in name.split("_"))


def _tip(field: FieldInfo) -> str:
    """Description and limits of a setting, as they read in a form."""
    limits = [
        words.format(f"{getattr(limit, key):g}")
        for limit in field.metadata
        for key, words in LIMITS.items()
        if hasattr(limit, key)
    ]
    told = [str(field.description).replace("None:", "blank:"), " and ".join(limits)]
    return "; ".join(filter(None, told))


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {json.dumps(part)}" for key, part in value.items()) + " }"
    if isinstance(value, str):
        return value if _value(value, "") == value else json.dumps(value, ensure_ascii=False)
    return str(value)


def _value(text: str, default: Any) -> Any:
    """What a line says, read as in the file; words need no quotes."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
    whole_for_float = isinstance(value, int) and not isinstance(value, bool) and isinstance(default, float)
    return float(value) if whole_for_float else value
