"""Settings saved into experiment.toml, without a window."""

import pytest

from rgbtrack import ParamError

toml_file = pytest.importorskip("napari_rgbtrack.toml_file")
pytest.importorskip("tomlkit")

TEXT = """# of our lab
[experiment]
name = "trial"  # a name
control = "vehicle"

[channels]
markers = { red = "mCherry", green = "Venus" }

[segment]
diameter_um = 13.0  # of a typical cell
join = 0.4

[clones]
palette = "experiment"
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "experiment.toml"
    path.write_text(TEXT)
    return path


def test_only_what_differs_is_written_comments_and_order_stay(file):
    written = toml_file.save_sections(
        file,
        TEXT,
        {
            "segment": {"diameter_um": 15.0, "min_snr": 6.0},
            "clones": {"palette": "experiment"},
            "correct": {},
        },
    )
    assert written == file.read_text()
    changed = TEXT.replace("13.0  #", "15.0  #").replace("join = 0.4\n", "min_snr = 6.0\n")
    assert [line for line in written.splitlines() if line] == [line for line in changed.splitlines() if line]
    assert toml_file.read_toml(file)[1]["segment"] == {"diameter_um": 15.0, "min_snr": 6.0}
    assert [path.name for path in file.parent.iterdir()] == ["experiment.toml"]


def test_nothing_changed_leaves_every_byte(file):
    content = {"segment": {"diameter_um": 13.0, "join": 0.4}, "clones": {"palette": "experiment"}}
    assert toml_file.save_sections(file, TEXT, content) == TEXT


def test_a_new_section_and_a_table_in_it(file):
    toml_file.save_sections(file, TEXT, {"correct": {"attenuation_um": {"red": 110.0}, "gain": 2}})
    text, content = toml_file.read_toml(file)
    assert "attenuation_um = {red = 110.0}" in text
    assert content["correct"] == {"attenuation_um": {"red": 110.0}, "gain": 2}


def test_a_file_changed_meanwhile_is_left_alone(file):
    file.write_text(TEXT + "# by hand\n")
    with pytest.raises(ParamError, match="was changed by something else since it was opened: open it again"):
        toml_file.save_sections(file, TEXT, {"segment": {}})
    assert file.read_text() == TEXT + "# by hand\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[segment\n", "not valid TOML"),
        (b"name = '\xff'", "not valid TOML"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_file_that_is_none_is_told(file, content, words):
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(ParamError, match=words):
        toml_file.save_sections(file, TEXT, {})
