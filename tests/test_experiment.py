"""experiment.toml and the sample sheet: what is read, and what is said of every mistake."""

import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile

from rgbtrack.clones import fit_clones, save_clones
from rgbtrack.errors import ParamError, RgbtrackWarning
from rgbtrack.pipeline import check_experiment, init_experiment, read_experiment

TOML = """
[experiment]
name = "test"
control = "vehicle"
[channels]
markers = { red = "mCherry", green = "Venus", blue = "Cerulean" }
"""
HEAD = "image,subject,treatment,timepoint\n"
PLAIN = np.zeros((3, 9, 9), np.uint16)
SHEET = HEAD + "a.tif,001,vehicle,7\nb.tif,NA,drug,14.5\n"


def write_image(path, channels=("mCherry", "Venus", "Cerulean")):
    pixels = np.zeros((len(channels), 16, 16), np.uint16)
    metadata = {
        "axes": "CYX",
        "Channel": {"Name": list(channels)},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeY": 0.5,
    }
    tifffile.imwrite(path, pixels, ome=True, metadata=metadata, photometric="minisblack")


@pytest.fixture
def folder(tmp_path):
    """An experiment of two images without a mistake."""
    (tmp_path / "experiment.toml").write_text(TOML)
    (tmp_path / "samples.csv").write_text(SHEET)
    for name in ("a.tif", "b.tif"):
        write_image(tmp_path / name)
    return tmp_path


def test_reads_a_good_experiment(folder):
    read = read_experiment(folder)
    assert read.name == "test"
    assert read.samples["subject"].tolist() == ["001", "NA"]
    assert read.samples["timepoint"].tolist() == [7.0, 14.5]
    assert read.samples["image_id"].tolist() == ["a", "b"]
    assert set(read.samples["site"]) == {"primary"}
    assert read.images == ((folder / "a.tif",), (folder / "b.tif",))
    assert read.labels == (None, None)
    assert read.read_bleed_through() is None
    assert list(read.configuration())[:3] == ["experiment", "channels", "correct"]
    assert not check_experiment(read)


def test_totals_are_numbers_and_a_total_of_none_is_one(folder):
    head = HEAD[:-1] + ",total_cells,dose\n"
    (folder / "samples.csv").write_text(head + "a.tif,1,vehicle,7,0,3\nb.tif,2,drug,7,,4\n")
    read = read_experiment(folder)
    assert read.samples["total_cells"].tolist() == pytest.approx([0, np.nan], nan_ok=True)
    assert "total_cells" not in read.sheet_columns().columns
    assert "dose" in read.sheet_columns().columns


@pytest.mark.parametrize(
    ("text", "match"),
    [
        pytest.param("[experiment", "not valid TOML", id="bad TOML"),
        pytest.param(
            TOML + "[segmnt]\nmin_snr = 3\n", r"unknown section \[segmnt\].*'segment'", id="unknown section"
        ),
        pytest.param(
            TOML + "[segment]\ndiameter = 3\n", "unknown key 'diameter'.*'diameter_um'", id="unknown key"
        ),
        pytest.param(TOML + "[segment]\ndiameter_um = -3\n", "is -3: give more than 0", id="negative"),
        pytest.param(TOML + "[segment]\ndiameter_um = 'x'\n", "is 'x': give a number", id="mistyped"),
        pytest.param(
            TOML + "[segment]\ndiameter_um = '13'\n", "is '13': give a number", id="number in quotes"
        ),
        pytest.param(TOML + "[clones]\npalette = 'subjct'\n", "did you mean 'subject'", id="choice"),
        pytest.param(
            TOML + "[clones]\nfounders = { timepoint = 0 }\n",
            "founders asks for timepoint = 0, which no image has; found 7, 14.5",
            id="no founder sample",
        ),
        pytest.param(
            TOML + "[clones]\nfounders = 'day 0'\n", "'day 0': give a table { timepoint = 0 }", id="founders"
        ),
        pytest.param("segment = 3\n" + TOML, "should be a section", id="section is a number"),
        pytest.param(
            TOML + "[dynamics]\nresponse = 3\n",
            r"response is 3: give a section of its own, \[dynamics.response\]",
            id="inner section is a number",
        ),
        pytest.param(
            TOML + "[dynamics.response]\ncontrl = 'x'\n",
            r"\[dynamics.response\] unknown key 'contrl': did you mean 'control'",
            id="unknown key of an inner section",
        ),
        *(
            pytest.param(TOML + f"[dynamics.response]\n{text}\n", match, id=text)
            for text, match in {
                "control = 'vehicel'": "not in column treatment .*did you mean 'vehicle'",
                "control = ['vehicle']": "give a table { treatment = ",
                "control = { inhibitor = 'none' }": "control names 'inhibitor', no column of the sheet",
                "event_time = 'evnt'": "event_time names 'evnt', no column of the sheet",
                "event_time = 99": "event_time is 99: give a day with samples before and after it, of 7, 14.5",
                "timepoint = 8": "timepoint is 8, no day of the sheet: give one of 7, 14.5",
                "size = 'cells'": "size is 'cells', no column of sizes: did you mean 'n_cells'",
            }.items()
        ),
        pytest.param(
            TOML + "[dynamics.growth]\nkind = 'absolute'\n", "the sheet has no total", id="no totals"
        ),
        pytest.param(TOML.split("[channels]")[0], r"\[channels\] is missing", id="no channels"),
        pytest.param(TOML.replace('control = "vehicle"', ""), "control is missing", id="no control"),
        pytest.param(TOML.replace('"vehicle"', '"vehicel"'), "did you mean 'vehicle'", id="unknown control"),
        pytest.param(
            TOML.replace("red =", "cell ="), "'cell' is the name of a table column", id="marker cell"
        ),
        pytest.param(TOML.replace("red =", "nucleus ="), "'nucleus' is the name", id="marker nucleus"),
        pytest.param(TOML.replace("red =", "green_se ="), "'green_se' is the name", id="marker green_se"),
        pytest.param(TOML.replace("red =", "Red ="), "write 'red'", id="marker capital"),
        pytest.param(TOML.replace("Venus", "mcherry"), "given to 2 markers", id="one channel twice"),
        pytest.param(TOML.replace('"Venus"', "-1"), "an index from 0", id="negative index"),
        pytest.param(TOML.replace('"Venus"', "1.5"), "0-based index", id="fractional index"),
        pytest.param(TOML + 'nucleus = "Venus"\n', "channel of marker 'green'", id="nucleus is a marker"),
        pytest.param(TOML + '[correct]\nbleed_through = "x.csv"\n', "x.csv: no such file", id="no matrix"),
        pytest.param(
            TOML.replace('red = "mCherry", green = "Venus", ', ""), "give 2 to 7 markers", id="one marker"
        ),
    ],
)
def test_mistakes_in_the_toml(folder, text, match):
    (folder / "experiment.toml").write_text(text)
    with pytest.raises(ParamError, match=match):
        read_experiment(folder)


@pytest.mark.parametrize(
    ("sheet", "match"),
    [
        pytest.param("", "the sheet is empty", id="empty"),
        pytest.param(HEAD, "no rows", id="header only"),
        pytest.param(
            "image,subjct,treatment,timepoint\na.tif,1,v,7\n", "no column 'subject'.*'subjct'", id="column"
        ),
        pytest.param(HEAD + "a.tif,,vehicle,7\n", "row 2: subject is blank", id="blank subject"),
        pytest.param(HEAD + "a.tif,1,,7\n", "row 2: treatment is blank", id="blank treatment"),
        pytest.param(HEAD + "a.tif,1,vehicle,\n", "row 2: timepoint is blank", id="blank timepoint"),
        pytest.param(
            HEAD + "a.tif,1,vehicle,day 7\n", "timepoint 'day 7' is not a number: give 7", id="text timepoint"
        ),
        pytest.param(HEAD + "a.tif,1,vehicle,nan\n", "'nan' is not a number", id="nan timepoint"),
        pytest.param(HEAD + "aa.tif,1,vehicle,7\n", "did you mean 'a.tif'", id="no such image"),
        pytest.param(HEAD + "x/a.tif,1,vehicle,7\n", "there is no folder", id="no such folder"),
        pytest.param(
            HEAD + "a.tif,1,vehicle,7\na.tif,1,vehicle,8\n",
            "row 3: image_id 'a' is that of row 2",
            id="repeat",
        ),
        pytest.param(HEAD + "\na.tif,1,vehicle,x\n", "row 3: timepoint", id="blank lines count"),
        pytest.param(HEAD + "a.tif,1,vehicle,7,9\n", "5 fields under 4 columns", id="too many fields"),
        pytest.param(
            HEAD[:-1] + ",labels\na.tif,1,vehicle,7,m.tif\n", "labels m.tif: no such file", id="labels"
        ),
        pytest.param(
            HEAD[:-1] + ",pixel_size_um\na.tif,1,vehicle,7,-1\n", "give a positive number", id="pixel size"
        ),
        pytest.param(
            HEAD[:-1] + ",red\na.tif,1,vehicle,7,1\n", "'red' is one that rgbtrack writes", id="column red"
        ),
        pytest.param(HEAD[:-1] + ",clone\na.tif,1,vehicle,7,1\n", "'clone' is one that", id="column clone"),
    ],
)
def test_mistakes_in_the_sheet(folder, sheet, match):
    (folder / "samples.csv").write_text(sheet)
    with pytest.raises(ParamError, match=match):
        read_experiment(folder)


@pytest.mark.parametrize(
    "image_id", ["../x", "a/b", "/etc/x", "a\\b", "C:x", "con", ".hidden", "a\x07", "x" * 200]
)
def test_unsafe_image_ids(folder, image_id):
    (folder / "samples.csv").write_text(HEAD[:-1] + f",image_id\na.tif,1,vehicle,7,{image_id}\n")
    with pytest.raises(ParamError, match="image_id"):
        read_experiment(folder)


def test_all_mistakes_at_once(folder):
    (folder / "experiment.toml").write_text(TOML + "[segment]\nx = 1\n[clones]\nmin_cells = 0\n[y]\n")
    (folder / "samples.csv").write_text(HEAD + "no.tif,,vehicle,x\n")
    with pytest.raises(ParamError) as caught:
        read_experiment(folder)
    assert len(caught.value.problems) == 6


def test_a_model_that_does_not_fit(folder):
    (folder / "experiment.toml").write_text(TOML + '[clones]\nmodel = "clone_model.json"\n')
    with pytest.raises(ParamError, match=r"\[clones\] model: .*clone_model.json: no such file"):
        read_experiment(folder)
    text = TOML + '[clones]\nmodel = "clone_model.json"\npalette = "subject"\n'
    (folder / "experiment.toml").write_text(text)
    with pytest.raises(ParamError, match="model brings its own clones: take out palette"):
        read_experiment(folder)
    (folder / "experiment.toml").write_text(TOML + '[clones]\nmodel = "clone_model.json"\n')
    cells = pd.DataFrame({"a": [90.0, 110] * 9, "a_se": 4.0, "b": [5.0, -2] * 9, "b_se": 4.0})
    save_clones(folder / "clone_model.json", fit_clones(cells))
    with pytest.raises(ParamError, match=r"clone_model.json holds clones of a, b; the markers here are"):
        read_experiment(folder)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(SHEET.encode("utf-8-sig"), id="BOM"),
        pytest.param(SHEET.encode("utf-16"), id="UTF-16"),
        pytest.param(
            SHEET.replace("14.5", "14,5").replace(",", ";").replace("14;5", "14,5").encode(), id="semicolons"
        ),
        pytest.param(SHEET.replace(",", "\t").encode(), id="tabs"),
        pytest.param(SHEET.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(SHEET.replace("subject", " Subject ").encode(), id="header in other case"),
    ],
)
def test_sheets_as_spreadsheets_write_them(folder, raw):
    (folder / "samples.csv").write_bytes(raw)
    read = read_experiment(folder)
    assert read.samples["subject"].tolist() == ["001", "NA"]
    assert read.samples["timepoint"].tolist() == [7.0, 14.5]


def test_latin1_sheet_is_read_with_a_warning(folder):
    (folder / "samples.csv").write_bytes(SHEET.replace("drug", "Glühwein").encode("latin-1"))
    with pytest.warns(RgbtrackWarning, match="not UTF-8"):
        read = read_experiment(folder)
    assert read.samples["treatment"].tolist() == ["vehicle", "Glühwein"]


def test_one_file_per_channel(folder):
    (folder / "samples.csv").write_text(HEAD + '"a.tif;b.tif",1,vehicle,7\n')
    assert read_experiment(folder).images == ((folder / "a.tif", folder / "b.tif"),)


def test_subject_in_two_treatments_is_told(folder):
    (folder / "samples.csv").write_text(SHEET.replace("NA", "001"))
    with pytest.warns(RgbtrackWarning, match="'001' is in several treatments"):
        read_experiment(folder)


def test_bleed_through_comes_by_channel_name(folder):
    (folder / "experiment.toml").write_text(TOML + '[correct]\nbleed_through = "m.csv"\n')
    (folder / "m.csv").write_text("d,blue,green,red\nblue,1,0,0\ngreen,.2,1,0\nred,0,0,1\n")
    matrix = read_experiment(folder).read_bleed_through()
    assert list(matrix.columns) == ["mCherry", "Venus", "Cerulean"]
    assert matrix.loc["Venus", "Cerulean"] == 0.2


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        pytest.param(lambda f: f.write_bytes(b""), "empty", id="empty"),
        pytest.param(lambda f: f.write_text("not an image"), "not readable", id="foreign"),
        pytest.param(
            lambda f: write_image(f, ("mCherry", "Venus")), "2 channels, 3 are asked for", id="two channels"
        ),
        pytest.param(
            lambda f: write_image(f, ("mCherry", "Venus", "CFP")), "no channel named 'Cerulean'", id="name"
        ),
        pytest.param(
            lambda f: tifffile.imwrite(f, PLAIN, photometric="minisblack"), "pixel size", id="no pixel size"
        ),
    ],
)
def test_check_tells_of_the_image(folder, spoil, match):
    spoil(folder / "b.tif")
    found = check_experiment(read_experiment(folder))
    assert list(found.images) == ["b"]
    assert not found.fatal
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(found.images["b"])


def test_init_guesses_and_refuses_to_overwrite(tmp_path):
    (tmp_path / "vehicle").mkdir()
    write_image(tmp_path / "vehicle" / "m1_d7.tif", ("DAPI", "EGFP", "tdTomato", "CFP"))
    said = "\n".join(init_experiment(tmp_path))
    assert "nucleus = DAPI" in said
    read = read_experiment(tmp_path / "experiment.toml")
    assert read.channels.markers == {"red": "tdTomato", "green": "EGFP", "blue": "CFP"}
    assert read.control == "vehicle"
    row = read.samples.iloc[0]
    assert (row["subject"], row["treatment"], row["timepoint"]) == ("m1", "vehicle", 7.0)
    with pytest.raises(ParamError, match="exists"):
        init_experiment(tmp_path)


def test_init_needs_images(tmp_path):
    with pytest.raises(ParamError, match="no image in it"):
        init_experiment(tmp_path)
    with pytest.raises(ParamError, match="no such folder"):
        init_experiment(tmp_path / "x")


def test_names_nearly_alike_are_told(small_experiment, tmp_path):
    folder = tmp_path / "experiment"
    shutil.copytree(small_experiment, folder)
    sheet = (folder / "samples.csv").read_text()
    (folder / "samples.csv").write_text(sheet.replace(",vehicle,", ",Vehicle,", 1))
    with (
        pytest.warns(RgbtrackWarning, match=r"treatment 'Vehicle' \(1 images\) and 'vehicle' \(3 images\)"),
        pytest.warns(RgbtrackWarning, match="is in several treatments"),
    ):
        read_experiment(folder)


def test_a_workbook_and_curly_quotes_are_told(small_experiment, tmp_path):
    folder = tmp_path / "experiment"
    shutil.copytree(small_experiment, folder)
    (folder / "samples.csv").rename(folder / "samples.xlsx")
    with pytest.raises(ParamError, match=r"samples.xlsx is there: save it as CSV UTF-8"):
        read_experiment(folder)
    toml = (folder / "experiment.toml").read_text(encoding="utf-8")
    (folder / "experiment.toml").write_text(toml.replace('"', "“"), encoding="utf-8")
    with pytest.raises(ParamError, match="it has curly quotes"):
        read_experiment(folder)


def test_a_source_that_is_no_site(small_experiment, tmp_path):
    folder = tmp_path / "experiment"
    shutil.copytree(small_experiment, folder)
    with (folder / "experiment.toml").open("a", encoding="utf-8") as file:
        file.write('\n[dynamics.lesions]\nsource = "tumour"\n')
    with pytest.raises(ParamError, match=r"source 'tumour' is no site of the sheet \('primary'\)"):
        read_experiment(folder)
