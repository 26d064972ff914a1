"""Forms made from the settings of the stages."""

import pytest

from rgbtrack import ParamError
from rgbtrack.pipeline.experiment import STAGES


@pytest.fixture
def form(screen):
    """Make a form of a section; what changes is counted."""
    from napari._qt.qt_event_loop import get_qapp

    from napari_rgbtrack.forms import ParamsForm

    app = get_qapp()
    made = []

    def make(section):
        changes = []
        one = ParamsForm(section, STAGES[section], lambda: changes.append(section))
        one.changes = changes
        made.append((app, one))
        return one

    return make


@pytest.mark.parametrize("section", list(STAGES))
def test_every_stage_has_a_form_that_says_nothing_at_first(form, section):
    made = form(section)
    assert list(made.fields) == list(STAGES[section].model_fields)
    assert made.content() == {}
    assert not made.is_changed
    assert made.params() == STAGES[section]()
    assert made.trouble() == []


def test_lines_and_choices_come_back_as_values(form):
    made = form("segment")
    made.fields["diameter_um"].setText("14")
    made.fields["projection"].setCurrentText("max")
    made.fields["method"].setText("cellpose")
    assert made.content() == {"diameter_um": 14, "projection": "max", "method": "cellpose"}
    assert made.params().diameter_um == 14.0
    assert len(made.changes) == 3
    assert made.labels["diameter_um"].text() == "diameter (µm)"
    assert made.labels["diameter_um"].font().bold()
    assert not made.labels["join"].font().bold()


def test_tables_and_quoted_words(form):
    clones, correct = form("clones"), form("correct")
    clones.fields["founders"].setText("{ timepoint = 0 }")
    assert clones.params().founders == {"timepoint": 0}
    correct.fields["attenuation_um"].setText("{ red = 110.0 }")
    assert correct.params().attenuation_um == {"red": 110.0}
    correct.fields["bleed_through"].setText('"12"')
    assert correct.content()["bleed_through"] == "12"


@pytest.mark.parametrize(
    ("section", "content"),
    [
        ("correct", {"bleed_through": "bleed.csv", "background": False, "attenuation_um": {"red": 9.5}}),
        ("correct", {"bleed_through": "12", "gain": 2.5}),
        ("segment", {"diameter_um": 13.0, "projection": "none"}),
        ("clones", {"founders": {"timepoint": 0, "site": "primary"}, "spatial": False, "palette": "subject"}),
    ],
)
def test_what_a_file_says_is_shown_and_said_again(form, section, content):
    made = form(section)
    made.fill(content)
    assert made.content() == content
    assert not made.is_changed
    assert made.changes == []
    made.fill({})
    assert made.content() == {}


def test_a_line_made_blank_leaves_the_file(form):
    made = form("segment")
    made.fill({"diameter_um": 13.0})
    made.fields["diameter_um"].clear()
    assert made.content() == {}
    assert made.is_changed


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("diameter_um", "-3", "diameter_um is -3: give more than 0"),
        ("contrast", "4", "contrast is 4.0: give less than 1"),
        ("min_snr", "much", "min_snr is 'much': give a number"),
    ],
)
def test_mistakes_are_told_beside_the_line_in_the_words_of_the_file(form, name, text, words):
    made = form("segment")
    made.fields[name].setText(text)
    with pytest.raises(ParamError, match=words):
        made.params()
    assert words in made.help.text()
    assert "border" in made.fields[name].styleSheet()
    made.fields[name].clear()
    assert made.help.text() == ""
    assert made.fields[name].styleSheet() == ""


def test_the_setting_worked_on_is_explained(form):
    from qtpy.QtCore import QEvent
    from qtpy.QtGui import QFocusEvent
    from qtpy.QtWidgets import QApplication

    made = form("segment")
    QApplication.sendEvent(made.fields["diameter_um"], QFocusEvent(QEvent.Type.FocusIn))
    assert "blank: estimated from the image; more than 0" in made.help.text()
    assert "more than 0 and less than 1" in made.fields["contrast"].toolTip()


def test_files_are_chosen_and_written_from_the_folder_of_the_experiment(form, monkeypatch, tmp_path):
    from napari_rgbtrack import forms

    (tmp_path / "in").mkdir()
    inside, outside = tmp_path / "in" / "bleed.csv", tmp_path / "flat.tif"
    made = form("correct")
    made.fill({}, tmp_path / "in")
    for name, path in (("bleed_through", inside), ("flat_field", outside)):
        monkeypatch.setattr(forms.QFileDialog, "getOpenFileName", lambda *_, path=path: (str(path), ""))
        made.findChild(forms.QWidget, f"correct.{name}.file").click()
    assert made.content() == {"bleed_through": "bleed.csv", "flat_field": str(outside)}


def test_a_scroll_over_a_choice_changes_nothing(form):
    from qtpy.QtCore import QPoint, QPointF, Qt
    from qtpy.QtGui import QWheelEvent
    from qtpy.QtWidgets import QApplication

    made = form("clones")
    wheel = QWheelEvent(
        QPointF(5, 5), QPointF(5, 5), QPoint(0, -120), QPoint(0, -120),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(made.fields["palette"], wheel)
    assert made.content() == {}
