"""The command line: what it prints, what it leaves, and its exit codes."""

import shutil
import subprocess
import sys

import pytest

from rgbtrack.cli import plans
from rgbtrack.files import read_json, read_table

pytestmark = pytest.mark.usefixtures("quick_runs")


@pytest.fixture
def experiment(small_experiment, tmp_path):
    """A copy of the small experiment."""
    return shutil.copytree(small_experiment, tmp_path / "experiment")


def test_run_check_evaluate_and_export(rgbtrack, experiment):
    assert rgbtrack("check", experiment)[0] == 0
    code, out, _ = rgbtrack("run", experiment, "-w", 1)
    assert code == 0
    assert "report.html" in out
    results = experiment / "results"
    code, out, _ = rgbtrack("evaluate", results, experiment / "truth", "--out", experiment / "scores.csv")
    assert code == 0
    assert "ari" in out
    assert read_table(experiment / "scores.csv")["image_id"].iloc[-1] == "all"
    code, out, _ = rgbtrack("export", results, "--to", "csv")
    assert code == 0
    assert len(read_table(results / "cells.csv")) == len(read_table(results / "cells.parquet"))


def test_stages_one_by_one(rgbtrack, experiment):
    for stage in ("segment", "measure", "clones", "dynamics", "report"):
        assert rgbtrack(stage, experiment, "-w", 1)[0] == 0, stage
    assert (experiment / "results" / "report.html").exists()


def test_info_shows_what_was_read(rgbtrack, experiment):
    code, out, _ = rgbtrack("info", next((experiment / "images").iterdir()))
    assert code == 0
    for text in ("t 1, c 3, z 1, y 160, x 160", "uint16", "mCherry", "0.65 um", "not recorded"):
        assert text in out


def test_simulate_then_run(rgbtrack, tmp_path):
    code, out, _ = rgbtrack("simulate", tmp_path / "made", "--subjects", 1, "--seed", 5)
    assert code == 0
    assert "rgbtrack run" in out
    assert rgbtrack("check", tmp_path / "made")[0] == 0


def test_plan_says_what_to_expect_and_writes_it(rgbtrack, tmp_path):
    quick = ("--founders", 3, "--subjects", 4, "--simulations", 50, "--share", 0.4)
    code, out, err = rgbtrack("plan", *quick, "--out", tmp_path / "plan")
    assert code == 0
    assert not err
    assert "Of 3 founders, expect" in out
    assert "Experiments in which a response is found (%)" in out
    assert {"plan.png", "plan.svg", "plan_founders.csv"} <= {
        path.name for path in (tmp_path / "plan").iterdir()
    }
    table = read_table(tmp_path / "plan" / "plan_power.csv")
    assert {3, 4, 20} <= set(table["subjects"])


def test_plan_lists_all_that_can_be_set(rgbtrack):
    from rgbtrack.plan import PlanParams

    code, out, _ = rgbtrack("plan", "--help")
    assert code == 0
    for name in PlanParams.model_fields:
        assert plans._flag(name) in out


def test_init_makes_what_check_accepts(rgbtrack, experiment):
    for name in ("experiment.toml", "samples.csv"):
        (experiment / name).unlink()
    code, _, _ = rgbtrack("init", experiment)
    assert code == 0
    assert {"experiment.toml", "samples.csv"} <= {path.name for path in experiment.iterdir()}


def test_a_failed_image_exits_3_and_is_named(rgbtrack, experiment):
    (experiment / "images" / "vehicle_m1_d7.ome.tif").write_bytes(b"II*\0")
    code, out, err = rgbtrack("run", experiment, "-w", 1)
    assert code == 3
    assert "vehicle_m1_d7" in err
    assert "1 of 8 images failed" in err
    assert "report.html" in out


def spoil(experiment, *, toml=("", ""), sheet=("", ""), raw_sheet=None, raw_toml=None):
    path = experiment / "experiment.toml"
    path.write_text(path.read_text().replace(*toml) if raw_toml is None else raw_toml)
    path = experiment / "samples.csv"
    if raw_sheet is None:
        path.write_text(path.read_text().replace(*sheet))
    else:
        path.write_bytes(raw_sheet)


HEAD = b"image,subject,treatment,timepoint\n"


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        pytest.param({"raw_toml": "[experiment\n"}, "TOML", id="bad TOML"),
        pytest.param({"toml": ("[correct]", "[corect]")}, "correct", id="unknown section"),
        pytest.param(
            {"toml": ("[correct]", "[segment]\ndiametr_um = 9\n[correct]")}, "diameter_um", id="unknown key"
        ),
        pytest.param(
            {"toml": ("[correct]", "[segment]\ndiameter_um = -3\n[correct]")}, "diameter_um", id="negative"
        ),
        pytest.param(
            {"toml": ("[correct]", '[segment]\ndiameter_um = "big"\n[correct]')}, "'big'", id="mistyped"
        ),
        pytest.param(
            {"toml": ("[correct]", '[segment]\nprojection = "median"\n[correct]')},
            "projection is 'median', but should be 'none', 'max' or 'mean'",
            id="unknown projection",
        ),
        pytest.param(
            {"toml": ('control = "vehicle"', 'control = "vehicel"')}, "vehicle", id="unknown control"
        ),
        pytest.param({"raw_sheet": b""}, "samples.csv", id="empty sheet"),
        pytest.param({"raw_sheet": HEAD}, "samples.csv", id="sheet without rows"),
        pytest.param({"sheet": ("image,", "file,")}, "image", id="missing column"),
        pytest.param({"sheet": (",7,", ",one week,")}, "one week", id="text timepoint"),
        pytest.param({"sheet": (",vehicle,", ",,")}, "treatment", id="blank treatment"),
        pytest.param({"sheet": ("_d7.ome", "_d0.ome")}, "vehicle_m1_d0", id="duplicate image id"),
        pytest.param({"sheet": ("images/vehicle_m1_d0", "images/gone")}, "gone", id="missing file"),
    ],
)
def test_mistakes_exit_2_with_a_clear_line(rgbtrack, experiment, command, mistake, said):
    spoil(experiment, **mistake)
    code, _, err = rgbtrack(command, experiment)
    assert code == 2
    assert said in err
    assert err.startswith("error: ")
    assert not (experiment / "results").exists()


def test_path_like_image_ids_write_nothing_outside(rgbtrack, experiment, tmp_path):
    rows = (experiment / "samples.csv").read_text().splitlines()
    ids = ["image_id", "../../escaped", *(f"i{n}" for n in range(len(rows) - 2))]
    (experiment / "samples.csv").write_text(
        "\n".join(f"{row},{name}" for row, name in zip(rows, ids, strict=True))
    )
    code, _, err = rgbtrack("run", experiment)
    assert code == 2
    assert "escaped" in err
    assert not list(tmp_path.rglob("*escaped*"))


def test_several_mistakes_are_told_at_once(rgbtrack, experiment):
    spoil(
        experiment,
        toml=("[correct]", "[segment]\ndiametr_um = 9\ncontrast = 7\n[correct]\ngian = 2"),
        sheet=(",7,", ",later,"),
    )
    code, _, err = rgbtrack("check", experiment)
    assert code == 2
    for text in ("diametr_um", "contrast", "gian", "later"):
        assert text in err


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_sheet_with_other_separators_is_read(rgbtrack, experiment, separator):
    text = (experiment / "samples.csv").read_text().replace(",", separator)
    (experiment / "samples.csv").write_text(text)
    assert rgbtrack("check", experiment)[0] == 0


def test_a_missing_experiment(rgbtrack, tmp_path):
    code, _, err = rgbtrack("run", tmp_path / "nowhere")
    assert code == 2
    assert "nowhere" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("info", "{}/nothing.tif"), "nothing.tif"),
        (("report", "{}/experiment"), "run 'rgbtrack"),
        (("evaluate", "{}/experiment", "{}/experiment/truth"), "cells.parquet"),
        (("export", "{}/experiment"), "is no results folder"),
        (("simulate", "{}/experiment"), "not empty"),
        (("simulate", "{}/new", "--preset", "sprase"), "sparse"),
        (("run", "{}/experiment", "--workers", "0"), "--workers"),
        (("run", "{}/experiment", "--out", "{}/experiment/samples.csv"), "is a file"),
        (("run", "{}/experiment", "--out", "{}/experiment/images"), "holds other files"),
        (
            ("plan", "--founders", "1", "--share", "2"),
            "--founders is 1: should be greater than or equal to 2",
        ),
        (("plan", "--effect", "1"), "effect is 1, which is none"),
        (("plan", "--fonders", "3"), "--founders"),
        (("plan", "--founders", "many"), "--founders"),
        (("segmnt", "{}/experiment"), "segment"),
        (("init", "{}/experiment/truth/cells.csv"), "cells.csv"),
    ],
)
def test_wrong_use_exits_2(rgbtrack, experiment, tmp_path, arguments, said):
    code, _, err = rgbtrack(*(argument.format(tmp_path) for argument in arguments))
    assert code == 2
    assert said in err


@pytest.mark.filterwarnings("ignore")  # of napari's own dependencies, while it is imported
def test_review_without_results(rgbtrack, tmp_path):
    code, _, err = rgbtrack("review", tmp_path)
    assert code == 2
    assert err.startswith("error: ")


def test_review_without_napari(rgbtrack, finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "napari", None)
    code, _, err = rgbtrack("review", finished)
    assert code == 2
    assert "pip install '.[napari]'" in err


def test_version(rgbtrack):
    import rgbtrack as package

    assert rgbtrack("--version")[1].strip() == package.__version__


def test_importing_is_light_and_core_never_imports_windows():
    code = (
        "import sys, rgbtrack, rgbtrack.cli; "
        "heavy = {'numpy', 'pandas', 'matplotlib', 'scipy', 'napari', 'qtpy'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "import rgbtrack.pipeline.runs, rgbtrack.simulate; "
        "assert not {'napari', 'qtpy', 'PySide6'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_killed_run_is_taken_up(experiment, finished):
    import time

    from rgbtrack import run

    process = subprocess.Popen([sys.executable, "-m", "rgbtrack", "run", str(experiment), "-w", "1"])
    results = experiment / "results"
    for _ in range(300):
        time.sleep(0.05)
        if len(list((results / ".parts").glob("*.json"))) >= 3:
            break
    process.kill()
    process.wait()
    assert not (results / "report.html").exists()
    run(experiment, workers=1)
    assert len(read_json(results / "run.json")["images"]) == 8
    assert read_table(results / "cells.parquet").equals(read_table(finished / "cells.parquet"))


def test_an_interrupted_run_says_that_it_can_go_on(experiment):
    import signal
    import time

    process = subprocess.Popen(
        [sys.executable, "-m", "rgbtrack", "run", str(experiment), "-w", "2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(300):
        time.sleep(0.05)
        if list((experiment / "results" / ".parts").glob("*.json")):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "what is finished is kept" in err
    assert "Traceback" not in err
