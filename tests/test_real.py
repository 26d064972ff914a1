"""Real images through the same command; skipped where the folder is absent."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from skimage.measure import euler_number

from rgbtrack import RgbtrackWarning, Stack, correct_stack, read_stack, run, segment_cells
from rgbtrack.evaluate import detection_scores, match_cells
from rgbtrack.files import read_json, read_labels, read_table
from rgbtrack.segment import find_cells
from rgbtrack.tables import markers_of
from rgbtrack.unmix import bleed_through_blind

REAL = Path(__file__).parents[2] / "shared" / "real"
pytestmark = pytest.mark.skipif(
    not REAL.exists(), reason=f"the real images are not here ({REAL.name}/ is absent)"
)

SHEET = "image,subject,treatment,timepoint,image_id,pixel_size_um\n"


@pytest.fixture
def run_on(tmp_path):
    """Run an experiment of the given images and settings; return its results."""

    def make(settings, *rows):
        head = '[experiment]\nname = "real"\ncontrol = "none"\n'
        (tmp_path / "experiment.toml").write_text(head + settings)
        (tmp_path / "samples.csv").write_text(SHEET + "\n".join(rows))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)  # stains are no clones: colours that many share
            outcome = run(tmp_path, workers=1)
        assert not outcome.failed
        assert (outcome.results / "report.html").exists()
        return outcome.results

    return make


def test_hela_cells(run_on):
    """Four whole cells with large nuclei, mitochondria and vesicles around them."""
    settings = "[channels]\nmarkers = { red = 0, green = 1 }\nnucleus = 2\n[segment]\ndiameter_um = 10.0\n"
    results = run_on(settings, f"{REAL}/hela_cells/hela-cells.tif,h1,none,0,hela,")
    labels = read_labels(results / "labels" / "hela.tif")[0, 0]
    assert read_json(results / "run.json")["images"]["hela"]["pixel_size_um"] == pytest.approx(
        0.0515, abs=1e-3
    )
    nuclei = {"left": (265, 145), "middle": (175, 330), "right": (170, 475), "lower": (400, 325)}
    found = {name: int(labels[y, x]) for name, (y, x) in nuclei.items()}
    assert 0 not in found.values()
    assert len(set(found.values())) == 4
    for cell in found.values():
        assert (labels == cell).sum() * 0.0515**2 > 30  # whole cells, um²: not nuclei
        assert euler_number(labels == cell) >= 0
    cells = read_table(results / "cells.parquet")
    assert (cells.loc[cells["cell"].isin(found.values()), "snr"] > 3).all()
    assert not bleed_through_blind(cells).needed  # stains of all cells are not taken for leaks


def test_marcm_one_file_per_channel(run_on):
    """Four files a field; GFP-marked clones in a Drosophila gut."""
    files = ";".join(f"{REAL}/marcm/a1g01p1_C{i}.tif" for i in range(4))
    settings = (
        "[channels]\nmarkers = { gfp = 1, pdm1 = 2, pros = 3 }\nnucleus = 0\n[segment]\ndiameter_um = 12.0\n"
    )
    results = run_on(settings, f"{files},g1,none,0,a1g01p1,0.275")
    labels = read_labels(results / "labels" / "a1g01p1.tif")[0, 0]
    assert labels.shape == (810, 810)
    cells = read_table(results / "cells.parquet").set_index("cell")
    # inside the large clone, upper left, against the gut beside it
    clone = cells.loc[sorted(set(np.unique(labels[150:250, 80:230])) - {0}), "gfp_fraction"]
    beside = cells.loc[sorted(set(np.unique(labels[350:450, 80:230])) - {0}), "gfp_fraction"]
    assert len(clone) >= 4
    assert clone.median() > 2 * beside.median()
    assert not bleed_through_blind(cells.reset_index()).needed


@pytest.mark.parametrize(
    ("channels", "files", "pixel"),
    [
        ("markers = { red = 0, green = 1 }\nnucleus = 2", "hela_cells/hela-cells.tif", ""),
        (
            "markers = { gfp = 1, pdm1 = 2, pros = 3 }\nnucleus = 0",
            ";".join(f"marcm/a1g01p1_C{i}.tif" for i in range(4)),
            "0.275",
        ),
    ],
    ids=["hela", "marcm"],
)
def test_corrections_that_are_not_needed_change_nothing(run_on, tmp_path, channels, files, pixel):
    """Every correction on its own evidence, and all of them off, come to the same colours."""
    row = ";".join(f"{REAL}/{file}" for file in files.split(";")) + f",s,none,0,one,{pixel}"
    segment = "[segment]\ndiameter_um = 11.0\n"
    off = "none".join(['flat_field = "', '"\nattenuation_um = "', '"\nbleaching = "', '"\ndrift = "', '"\n'])
    found = {}
    for name, settings in {
        "off": f'[correct]\nbleed_through = "none"\n{off}',
        "auto": '[correct]\nbleed_through = "auto"\n',
    }.items():
        results = run_on(f"[channels]\n{channels}\n{segment}{settings}", row)
        found[name] = read_table(results / "cells.parquet").set_index("cell")
        table = read_table(results / "corrections.csv")
        shutil.rmtree(results)
    told = table[table["correction"].isin(["illumination", "falloff", "attenuation", "bleaching"])]
    assert not told["applied"].any()
    assert found["auto"].index.equals(found["off"].index)
    for marker in markers_of(found["off"]):
        change = (found["auto"][marker] - found["off"][marker]).abs() / found["off"][f"{marker}_se"]
        assert change.median() < 1


@pytest.mark.parametrize(
    ("name", "least"), [("97126a9791f0", 0.85), ("876423522bde", 0.9), ("0e5edb072788", 0.8)]
)
def test_nuclei(run_on, name, least):
    settings = "[channels]\nmarkers = { red = 0, green = 1, blue = 2 }\n"
    results = run_on(settings, f"{REAL}/nuclei/{name}.png,n1,none,0,{name},")
    assert "pixel size is not known" in " ".join(read_json(results / "run.json")["images"][name]["warnings"])
    found = read_labels(results / "labels" / f"{name}.tif")[0]
    true = read_labels(REAL / "nuclei" / f"{name}.labels.tif")[0]
    matched = len(match_cells(found, true))
    assert detection_scores(int(found.max()), len(np.unique(true)) - 1, matched)["f1"] > least


@pytest.mark.parametrize(
    ("dimensions", "z_step_um", "least"),
    [
        ("2d", None, 0.78),
        # the file tells no z step: its nuclei are twice as wide as deep; 44 of 51 are cut by the stack's faces
        ("3d", 2.0, 0.55),
    ],
)
@pytest.mark.filterwarnings("ignore:.*without a name is taken for slices")
def test_touching_nuclei_of_one_channel(dimensions, z_step_um, least):
    folder = REAL / "stardist"
    if not folder.exists():
        pytest.skip("StarDist's test images are not here (shared/real/stardist is absent)")
    counts = np.asarray(read_stack(folder / f"img{dimensions}.tif").pixels)
    true = read_labels(folder / f"mask{dimensions}.tif")[0]
    found = segment_cells(correct_stack(Stack(counts, ("nuclei",), pixel_size_um=1.0, z_step_um=z_step_um)))[
        0
    ]
    assert found.shape == true.shape
    matched = len(match_cells(found, true))
    assert detection_scores(int(found.max()), len(np.unique(true)) - 1, matched)["f1"] > least


def test_neurites_are_no_cells_of_a_known_diameter():
    stack = read_stack(REAL / "readers" / "16b_3c_nueron-composite.tif")
    corrected = correct_stack(stack.select({"red": 0, "green": 1, "blue": 2}))
    with pytest.warns(RgbtrackWarning, match=r"objects look like cells, .* set diameter_um"):
        find_cells(corrected)
