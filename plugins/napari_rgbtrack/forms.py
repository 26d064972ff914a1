"""A form from the settings of a stage: the one declaration gives names, choices, tips and limits."""

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin

from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QLineEdit, QWidget

from rgbtrack.errors import ParamError
from rgbtrack.params import Params
from rgbtrack.pipeline import check_section


class ParamsForm(QWidget):
    """One line per setting; what is left as it is stays out of the file.

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
        self.fields: dict[str, QCheckBox | QComboBox | QLineEdit] = {}
        layout = QFormLayout(self)
        for name, field in model.model_fields.items():
            widget = _widget(field.annotation, field.get_default(call_default_factory=True))
            widget.setObjectName(f"{section}.{name}")
            widget.setToolTip(f"{section}.{name}: {field.description}")
            _on_change(widget, changed)
            label = QLabel(name.replace("_um", " (µm)").replace("_", " "))
            label.setToolTip(widget.toolTip())
            layout.addRow(label, widget)
            self.fields[name] = widget

    def fill(self, content: Mapping[str, Any]) -> None:
        """Show the settings of a file; the rest as by default."""
        self.given = dict(content)
        for name, field in self.model.model_fields.items():
            default = field.get_default(call_default_factory=True)
            widget, value = self.fields[name], content.get(name, default)
            widget.blockSignals(True)
            if isinstance(widget, QCheckBox):
                widget.setChecked(bool(value))
            elif isinstance(widget, QComboBox):
                widget.setCurrentText(str(value))
            else:
                widget.setText(_text(value) if name in content else "")
            widget.blockSignals(False)

    def content(self) -> dict[str, Any]:
        """What the section of the file would hold: what was given there, and what is not the default."""
        said: dict[str, Any] = {}
        for name, widget in self.fields.items():
            default = self.model.model_fields[name].get_default(call_default_factory=True)
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


def trouble_of(form: ParamsForm) -> str:
    """What is wrong with a form, "" for nothing."""
    try:
        form.params()
    except ParamError as error:
        return "\n".join(error.problems)
    return ""


def _widget(annotation: Any, default: Any) -> QCheckBox | QComboBox | QLineEdit:
    if annotation is bool:
        return QCheckBox()
    if get_origin(annotation) is Literal:
        choice = QComboBox()
        choice.addItems([str(value) for value in get_args(annotation)])
        return choice
    line = QLineEdit()
    line.setPlaceholderText("automatic" if default is None else _text(default))
    return line


def _on_change(widget: Any, changed: Callable[[], None]) -> None:
    for name in ("toggled", "currentTextChanged", "textChanged"):
        if hasattr(widget, name) and not (name == "toggled" and not isinstance(widget, QCheckBox)):
            getattr(widget, name).connect(lambda *_: changed())
            return


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_quoted(part)}" for key, part in value.items()) + " }"
    return str(value)


def _quoted(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


def _value(text: str, default: Any) -> Any:
    """What a line says, read as in the file; words need no quotes."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()
    whole_for_float = isinstance(value, int) and not isinstance(value, bool) and isinstance(default, float)
    return float(value) if whole_for_float else value
