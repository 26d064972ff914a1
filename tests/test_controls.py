"""Single-colour controls, from images to the matrix that a run reads."""

import re

import numpy as np
import pandas as pd
import pytest
import tifffile

from rgbtrack import ParamError, SimulateParams, simulate_scene
from rgbtrack.files import read_bleed_through
from rgbtrack.pipeline import make_bleed_through
from rgbtrack.plot import bleed_through_lines

MARKERS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
TOML = """\
[channels]
markers = { red = "mCherry", green = "Venus", blue = "Cerulean" }
[correct]
bleed_through = "bleed.csv"
[segment]
diameter_um = 14.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of three controls, their list, and experiment.toml that names a matrix not yet there."""
    folder = tmp_path_factory.mktemp("controls")
    rows = []
    for j, protein in enumerate(MARKERS.values()):
        params = SimulateParams(
            founders=(tuple(float(i == j) for i in range(3)),), packing=0.4, size_px=320, unmarked=0.2
        )
        scene = simulate_scene(params, seed=40 + j)
        metadata = {"axes": "CYX", "Channel": {"Name": list(MARKERS.values())}, "PhysicalSizeX": 0.65}
        tifffile.imwrite(
            folder / f"{protein}.ome.tif", scene.stack.pixels[0, :, 0], ome=True, metadata=metadata
        )
        rows.append({"image": f"{protein}.ome.tif", "protein": protein if j else "red"})
    scene.bleed_through.to_csv(folder / "true.csv")
    pd.DataFrame(rows).to_csv(folder / "controls.csv", index=False)
    (folder / "experiment.toml").write_text(TOML, encoding="utf-8")
    return folder


def test_controls_make_the_matrix_that_a_run_reads(rgbtrack, folder, drawn):
    with drawn():
        code, out, _ = rgbtrack(
            "controls", folder / "controls.csv", "--experiment", folder, "--out", folder / "bleed.csv"
        )
    assert code == 0
    assert re.search(r"blue into green 0\.(19|20)", out)
    truth = read_bleed_through(folder / "true.csv", MARKERS)
    found = read_bleed_through(folder / "bleed.csv", MARKERS)
    assert np.abs(found - truth).to_numpy().max() < 0.01
    se = pd.read_csv(folder / "bleed_se.csv", index_col=0)
    assert list(se.columns) == list(MARKERS.values())
    assert 0 < se.loc["Venus", "Cerulean"] < 0.005
    for ending in ("png", "svg"):
        assert (folder / f"bleed.{ending}").stat().st_size > 10_000


def test_markers_may_be_given_without_an_experiment(rgbtrack, folder, tmp_path):
    words = [word for name, channel in MARKERS.items() for word in ("--markers", f"{name}={channel}")]
    code, _, _ = rgbtrack("controls", folder / "controls.csv", *words, "--out", tmp_path / "b.csv")
    assert code == 0
    found = read_bleed_through(tmp_path / "b.csv", MARKERS)
    assert found.loc["green", "blue"] == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,protein\nVenus.ome.tif,Vennus\n",
            "row 2: protein 'Vennus' is no marker: did you mean 'venus'",
        ),
        ("image,protein\nabsent.tif,Venus\n", "row 2: image .*absent.tif: no such file"),
        ("image,protein\n,Venus\n", "row 2: image is blank"),
        ("image,colour\nVenus.ome.tif,Venus\n", "no column protein, found image, colour"),
        ("image,protein\n", "no rows: give one image or more"),
        ("image,protein\nVenus.ome.tif,Venus\n", "no control of red: give one image or more"),
        (
            "image,protein\nVenus.ome.tif,Venus\nVenus.ome.tif,red\nCerulean.ome.tif,blue\n",
            "control of red is brightest in the detector of green",
        ),
    ],
)
def test_what_is_wrong_with_the_controls_is_told(rgbtrack, folder, text, message):

    sheet = folder / "wrong.csv"
    sheet.write_text(text, encoding="utf-8")
    code, _, err = rgbtrack("controls", sheet, "--experiment", folder)
    assert code == 2
    assert re.search(message, err), err


def test_what_is_wrong_with_the_call_is_told(rgbtrack, folder):
    sheet = folder / "controls.csv"
    assert "give --experiment experiment.toml, or --markers" in rgbtrack("controls", sheet)[2]
    assert "give marker=channel" in rgbtrack("controls", sheet, "--markers", "red")[2]
    assert "no such file" in rgbtrack("controls", folder / "no.csv", "--experiment", folder)[2]
    with pytest.raises(ParamError, match=r"give the name of a .csv file"):
        make_bleed_through(sheet, folder / "bleed.txt", experiment=folder)
    (folder / "broken.toml").write_text(
        '[channels]\nmarkers = { red = "a" }\n[correct]\nnoise = 1\n', encoding="utf-8"
    )
    with pytest.raises(ParamError, match=r"(?s)2 to 7 markers.*unknown key 'noise'"):
        make_bleed_through(sheet, experiment=folder / "broken.toml")


def test_a_figure_needs_all_controls(folder):
    found, _ = make_bleed_through(folder / "controls.csv", folder / "again.csv", experiment=folder)
    from rgbtrack import DataError

    with pytest.raises(DataError, match="no control of red, green, blue"):
        bleed_through_lines({}, found)
