"""Images in, tables and labels out."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import (
    read_bleed_through,
    read_labels,
    read_stack,
    read_table,
    write_json,
    write_labels,
    write_table,
)
from rgbtrack.stack import DetectorSettings

REAL = Path(__file__).parents[2] / "shared" / "real"
CHANNELS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
PIXELS = np.arange(2 * 3 * 4 * 8 * 9, dtype=np.uint16).reshape(2, 4, 3, 8, 9)  # (t, z, c, y, x)


def test_imagej_hyperstack(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        PIXELS,
        imagej=True,
        resolution=(2, 2),
        metadata={"axes": "TZCYX", "unit": "um", "spacing": 1.5, "finterval": 1800},
    )
    stack = read_stack(tmp_path / "a.tif")
    assert (np.asarray(stack.pixels) == PIXELS.transpose(0, 2, 1, 3, 4)).all()
    assert (stack.pixel_size_um, stack.z_step_um, stack.frame_interval_h) == (0.5, 1.5, 0.5)
    assert read_stack(tmp_path / "a.tif", pixel_size_um=2).pixel_size_um == 2


def test_ome_tiff(tmp_path):
    metadata = {
        "axes": "TZCYX",
        "Channel": {"Name": ["a", "b", "c"]},
        "PhysicalSizeX": 500,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeZ": 2,
        "TimeIncrement": 30,
        "TimeIncrementUnit": "min",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", PIXELS, metadata=metadata, photometric="minisblack")
    stack = read_stack(tmp_path / "a.ome.tif")
    assert (np.asarray(stack.pixels) == PIXELS.transpose(0, 2, 1, 3, 4)).all()
    assert stack.channels == ("a", "b", "c")
    assert (stack.pixel_size_um, stack.z_step_um, stack.frame_interval_h) == (0.5, 2.0, 0.5)


def ome_with_detectors(path, settings, detector=""):
    """An OME-TIFF of two channels, the second with these settings of its detector."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'<Instrument ID="Instrument:0"><Detector ID="Detector:0" {detector}/></Instrument>'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" '
        'SizeX="9" SizeY="8" SizeC="2" SizeZ="1" SizeT="1"><Channel ID="Channel:0:0" Name="a"/>'
        f'<Channel ID="Channel:0:1" Name="b"><DetectorSettings ID="Detector:0" {settings}/></Channel>'
        "<TiffData/></Pixels></Image></OME>"
    )
    pixels = np.zeros((2, 8, 9), np.uint16)
    tifffile.imwrite(path, pixels, description=xml.encode(), metadata=None, photometric="minisblack")


@pytest.mark.parametrize(
    ("settings", "detector", "known"),
    [
        pytest.param('Gain="2.5" Offset="100"', "", DetectorSettings(2.5, 100), id="settings"),
        pytest.param('Offset="90"', 'Gain="3" Offset="100"', DetectorSettings(3, 90), id="instrument"),
        pytest.param('Gain="x" Offset="-5"', "", None, id="nonsense"),
        pytest.param("", "", None, id="nothing"),
    ],
)
def test_detectors_of_an_ome_tiff(tmp_path, settings, detector, known):
    ome_with_detectors(tmp_path / "a.ome.tif", settings, detector)
    stack = read_stack(tmp_path / "a.ome.tif")
    assert stack.channels == ("a", "b")
    assert stack.detectors == (() if known is None else (DetectorSettings(), known))
    assert stack.select({"red": "b"}).detectors == (() if known is None else (known,))


def test_detectors_of_one_file_per_channel(tmp_path):
    ome_with_detectors(tmp_path / "f_1.ome.tif", 'Gain="2"')
    tifffile.imwrite(tmp_path / "f_2.tif", np.zeros((8, 9), np.uint16))
    stack = read_stack([tmp_path / "f_1.ome.tif", tmp_path / "f_2.tif"])
    assert [known.gain for known in stack.detectors] == [None, 2, None]


def truncated(path):
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16))
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    ("name", "make", "match"),
    [
        pytest.param("a.tif", lambda p: None, "no such file", id="missing"),
        pytest.param("a.tif", lambda p: p.mkdir(), "is a folder", id="folder"),
        pytest.param("a.tif", lambda p: p.write_bytes(b""), "empty", id="empty"),
        pytest.param("a.tif", lambda p: p.write_text("hello" * 99), "not readable as TIFF", id="foreign"),
        pytest.param("a.png", lambda p: p.write_text("hello"), "not readable as a picture", id="foreign png"),
        pytest.param("a.oir", lambda p: p.write_text("x"), ".oir is not read", id="oir"),
        pytest.param("a.tif", truncated, "truncated", id="truncated"),
        pytest.param(
            "a.tif", lambda p: tifffile.imwrite(p, np.zeros((9, 9), "c8")), "type complex64", id="complex"
        ),
    ],
)
def test_bad_images(tmp_path, name, make, match):
    make(tmp_path / name)
    with pytest.raises(DataError, match=match):
        read_stack(tmp_path / name)


def test_truncated_inside_compressed_pixels_is_told_when_they_are_read(tmp_path):
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 9, (64, 64)).astype(np.uint16)
    tifffile.imwrite(path, noise, compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        at = tiff.pages[0].dataoffsets[0]
    raw = bytearray(path.read_bytes())
    raw[at : at + 500] = bytes(500)
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"a\.tif: pixels cannot be read"):
        read_stack(path).frame(0)


def test_one_file_per_channel(tmp_path):
    for i in range(2):
        tifffile.imwrite(tmp_path / f"f_C{i}.tif", np.full((8, 9), i, np.uint8))
    stack = read_stack([tmp_path / "f_C0.tif", tmp_path / "f_C1.tif"])
    assert stack.channels == ("C0", "C1")
    assert np.asarray(stack.pixels)[0, :, 0, 0, 0].tolist() == [0, 1]
    tifffile.imwrite(tmp_path / "f_C1.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(DataError, match="differ in"):
        read_stack([tmp_path / "f_C0.tif", tmp_path / "f_C1.tif"])


def test_picture_with_alpha(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 9, 4), (1, 2, 3, 255), np.uint8))
    with pytest.warns(RgbtrackWarning, match="RGB picture"):
        stack = read_stack(tmp_path / "a.png")
    assert stack.channels == ("red", "green", "blue")
    assert np.asarray(stack.pixels)[0, :, 0, 0, 0].tolist() == [3, 2, 1]


def test_labels_round_trip(tmp_path):
    labels = np.arange(72, dtype=np.uint32).reshape(1, 1, 8, 9)
    write_labels(tmp_path / "l.tif", labels)
    assert (read_labels(tmp_path / "l.tif", (1, 1, 8, 9)) == labels).all()
    assert [p.name for p in tmp_path.iterdir()] == ["l.tif"]
    with pytest.raises(DataError, match=r"shape \(8, 9\), the image"):
        read_labels(tmp_path / "l.tif", (1, 1, 9, 8))


def test_labels_that_are_not_whole(tmp_path):
    tifffile.imwrite(tmp_path / "l.tif", np.full((8, 9), 0.5, np.float32))
    with pytest.raises(DataError, match="not whole numbers"):
        read_labels(tmp_path / "l.tif", (1, 1, 8, 9))


def test_tables(tmp_path):
    table = pd.DataFrame({"subject": ["001", "=cmd()"], "n": [1, -2]})
    write_table(tmp_path / "t.csv", table)
    assert (tmp_path / "t.csv").read_text() == "subject,n\n001,1\n'=cmd(),-2\n"
    write_table(tmp_path / "t.parquet", table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), table)
    assert read_table(tmp_path / "t.csv")["subject"][0] == "001"
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "x.csv")


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"a": np.float64("nan"), "b": np.int64(1)})
    assert (tmp_path / "a.json").read_text() == '{\n "a": null,\n "b": 1\n}\n'


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_bleed_through_in_any_order(tmp_path, separator):
    text = "d,cerulean,red,Venus\nVENUS,.2,.01,1\nblue,1,0,0\nmCherry,0,1,.03\n"
    (tmp_path / "m.csv").write_text(text.replace(",", separator))
    matrix = read_bleed_through(tmp_path / "m.csv", CHANNELS)
    assert matrix.to_numpy().tolist() == [[1, 0.03, 0], [0.01, 1, 0.2], [0, 0, 1]]


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        pytest.param("red,1,0,0\ngreen,0,1,0\n", "detector blue .* is missing", id="missing"),
        pytest.param("red,1,0,0\ngreen,0,1,0\nblu,0,0,1\n", "'blu' is no marker", id="unknown"),
        pytest.param("red,1,0,0\ngreen,0,1,0\nblue,0,0,1\nblue,0,0,1\n", "more than once", id="duplicate"),
        pytest.param("red,1,0,x\ngreen,0,1,0\nblue,0,0,1\n", "not numbers", id="text"),
        pytest.param("red,1,0,-1\ngreen,0,1,0\nblue,0,0,1\n", "negative entry -1", id="negative"),
        pytest.param("red,0,0,0\ngreen,0,1,0\nblue,0,0,1\n", "diagonal must be positive", id="zero diagonal"),
        pytest.param("red,1,1,0\ngreen,1,1,0\nblue,0,0,1\n", "singular", id="singular"),
    ],
)
def test_bad_bleed_through(tmp_path, rows, match):
    (tmp_path / "m.csv").write_text("detector,red,green,blue\n" + rows)
    with pytest.raises(DataError, match=match):
        read_bleed_through(tmp_path / "m.csv", CHANNELS)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not here")
def test_real_images():
    hela = read_stack(REAL / "hela_cells" / "hela-cells.tif")
    assert hela.pixels.shape == (1, 3, 1, 512, 672)
    assert hela.pixel_size_um == pytest.approx(0.0515, abs=1e-4)
    marcm = read_stack([REAL / "marcm" / f"a1g01p1_C{i}.tif" for i in range(4)])
    assert marcm.channels == ("C0", "C1", "C2", "C3")
    assert marcm.pixels.shape == (1, 4, 1, 810, 810)
    five = read_stack(REAL / "readers" / "8b_5c_rat_hippocampal_neuron.tif")
    assert five.pixels.shape == (1, 5, 1, 512, 512)


def test_arms_may_have_names_that_programs_take_for_something_else(tmp_path):
    names = ["-Dox", "+Dox", "=1+1", "@x", "NA", "None", "null", "001", "'quoted'"]
    table = pd.DataFrame({"treatment": names, "=clone": names, "n": [np.nan, *range(8)]})
    write_table(tmp_path / "t.csv", table)
    assert "\n'-Dox," in (tmp_path / "t.csv").read_text()
    read = read_table(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(read, table.astype({"treatment": "str", "=clone": "str"}))
