"""The whole run: what it writes, that it resumes, and that one bad image stops nothing else."""

import os
import shutil
import subprocess
import sys
import time

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

from rgbtrack import (
    DataError,
    ParamError,
    RgbtrackWarning,
    Stack,
    evaluate_results,
    load_clones,
    read_experiment,
    run,
    save_clones,
    simulate_experiment,
)
from rgbtrack.files import read_json, read_labels, read_table, write_table
from rgbtrack.pipeline import check_experiment
from rgbtrack.pipeline.closeup import CROSS_PX, GAP_PX, ORANGE, draw_outlines, enlarged, write_closeup
from rgbtrack.pipeline.pool import map_all, map_tasks
from rgbtrack.pipeline.processes import Processes
from rgbtrack.pipeline.thumbnail import composite
from rgbtrack.plot.colours import HUES
from rgbtrack.simulate import PRESETS
from rgbtrack.tables import CELLS, CLONE_DISTANCES, CLONE_MATCHES, CLONE_SIZES, CLONES

pytestmark = pytest.mark.usefixtures("quick_runs")
TABLES = ("cells.parquet", "clones.csv", "clone_sizes.csv")


@pytest.fixture
def experiment(small_experiment, tmp_path):
    """A copy of the small experiment."""
    return shutil.copytree(small_experiment, tmp_path / "experiment")


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the small experiment's results."""
    return shutil.copytree(finished, tmp_path / "results")


def spoil(experiment, name="vehicle_m1_d7", content=b"not an image"):
    (experiment / "images" / f"{name}.ome.tif").write_bytes(content)
    return name


def assert_same_tables(a, b):
    for name in TABLES:
        pd.testing.assert_frame_equal(read_table(a / name), read_table(b / name))
    for path in (a / "labels").iterdir():
        assert path.read_bytes() == (b / "labels" / path.name).read_bytes()


def stamps(results):
    return {
        str(path.relative_to(results)): path.stat().st_mtime_ns
        for path in results.rglob("*")
        if path.is_file() and path.name not in ("run.json", "run.lock", "finished.json")
    }


def test_everything_promised_is_there(finished):
    for name in (*TABLES, "bleed_through.csv", "clone_model.json", "run.json", "report.html"):
        assert (finished / name).stat().st_size > 0, name
    for name, table in zip(TABLES, (CELLS, CLONES, CLONE_SIZES), strict=True):
        table.check(read_table(finished / name))
    cells = read_table(finished / "cells.parquet")
    assert {
        "clone",
        "clone_probability",
        "unassigned_reason",
        "subject",
        "treatment",
        "timepoint",
        "site",
        "batch",
    } <= {*cells.columns}
    assert cells["clone"].isna().equals(cells["unassigned_reason"].notna())
    assert len(list((finished / "labels").glob("*.tif"))) == 8
    assert {path.suffix for path in (finished / "figures").iterdir()} == {".svg", ".png"}


def test_cells_and_labels_name_each_other(finished):
    cells = read_table(finished / "cells.parquet")
    for image_id, here in cells.groupby("image_id"):
        labels = read_labels(finished / "labels" / f"{image_id}.tif")
        assert sorted(here["cell"]) == list(range(1, int(labels.max()) + 1))


def test_no_cell_is_lost_between_the_tables(finished):
    cells, sizes = read_table(finished / "cells.parquet"), read_table(finished / "clone_sizes.csv")
    counts = read_json(finished / "run.json")["counts"]
    assert counts["cells"] == len(cells) == counts["assigned"] + sum(counts["unassigned"].values())
    assert (
        sizes["n_cells"].sum()
        == cells["clone"].notna().sum()
        == read_table(finished / "clones.csv")["n_cells"].sum()
    )
    assert len(sizes) == len(sizes[["clone"]].drop_duplicates()) * 8


def test_what_colours_can_be_told_apart_is_told(finished):
    clones, pairs = read_table(finished / "clones.csv"), read_table(finished / "clone_distances.csv")
    told = read_json(finished / "run.json")["resolution"][""]
    CLONE_DISTANCES.check(pairs)
    assert told["n_clones"] == len(clones)
    assert len(pairs) == len(clones) * (len(clones) - 1) // 2
    assert told["n_founders"] >= len(clones)
    assert told["words"].split(".")[0] in (finished / "report.html").read_text(encoding="utf-8")
    assert (finished / "figures" / "resolution.svg").exists()


def test_clones_past_the_limit_are_warned_of(experiment, results, monkeypatch):
    monkeypatch.setattr("rgbtrack.clones.resolution._RESOLVED", 1.1)
    with pytest.warns(
        RgbtrackWarning, match=r"Most clones cannot be resolved by colour: \d+ clones were called"
    ):
        run(experiment, results, steps=("clones",), overwrite=True)
    told = read_json(results / "run.json")
    assert told["resolution"][""]["verdict"] in told["warnings"]


def test_planted_clones_come_back(finished, small_experiment):
    scores = evaluate_results(finished, small_experiment / "truth").set_index("image_id").loc["all"]
    assert scores["f1"] > 0.95
    assert scores["ari"] > 0.85
    assert scores["called"] > 0.9


def test_run_json_tells_what_was_done(finished, small_experiment):
    told = read_json(finished / "run.json")
    assert told["counts"]["images"] == len(told["images"]) == 8
    assert told["configuration"]["correct"]["bleed_through"] == "bleed.csv"
    image = told["images"]["vehicle_m1_d0"]
    assert image["status"] == "done"
    assert [len(checksum) for checksum in image["inputs"].values()] == [64]
    assert set(told["gains"]) == {"session_d0", "session_d7"}
    assert "neighbours share a clone" in told["neighbours"]


def test_any_number_of_workers_gives_the_same_tables(experiment, finished, tmp_path):
    run(experiment, tmp_path / "again", workers=3)
    assert_same_tables(tmp_path / "again", finished)


def test_what_is_up_to_date_is_not_done_again(experiment, results):
    run(
        experiment, results, workers=1
    )  # the copy of the experiment lies elsewhere, its contents are the same
    before = stamps(results)
    run(experiment, results, workers=1)
    assert stamps(results) == before


def test_overwrite_does_all_again_with_the_same_outcome(experiment, results, finished):
    before = stamps(results)
    run(experiment, results, workers=1, overwrite=True)
    after = stamps(results)
    # quick runs leave the figures of the report as they are
    assert all(after[name] > before[name] for name in before if not name.startswith("figures"))
    assert_same_tables(results, finished)


@pytest.mark.parametrize(
    ("setting", "labels_change"),
    [
        ("[clones]\nmin_probability = 0.9\n", False),
        ("[signature]\ncore = 0.2\n", False),
        ("[segment]\ndiameter_um = 12.0\n", True),
    ],
)
def test_a_setting_redoes_what_depends_on_it(experiment, results, setting, labels_change):
    with (experiment / "experiment.toml").open("a") as file:
        file.write(setting)
    before = stamps(results)
    run(experiment, results, workers=1)
    after = stamps(results)
    changed = {name for name in after if after[name] != before.get(name)}
    assert "cells.parquet" in changed
    assert any(name.startswith("labels") for name in changed) == labels_change


def test_a_new_image_joins(experiment, results):
    sheet = read_table(experiment / "samples.csv")
    write_table(experiment / "samples.csv", sheet.iloc[:-1])
    run(experiment, results, workers=1)
    assert read_table(results / "cells.parquet")["image_id"].nunique() == 7
    assert len(list((results / "labels").iterdir())) == 7
    write_table(experiment / "samples.csv", sheet)
    before = stamps(results)
    run(experiment, results, workers=1)
    after = stamps(results)
    assert read_table(results / "cells.parquet")["image_id"].nunique() == 8
    assert sum(after[name] != before.get(name) for name in after if name.startswith("labels")) == 1


def test_one_failed_image_does_not_stop_the_others(experiment, tmp_path):
    name = spoil(experiment)
    outcome = run(experiment, tmp_path / "out", workers=1)
    assert list(outcome.failed) == [name]
    assert outcome.counts["failed"] == 1
    told = read_json(tmp_path / "out" / "run.json")["images"][name]
    assert told["status"] == "failed"
    assert name in told["error"]
    assert name in (tmp_path / "out" / "report.html").read_text()
    cells, sizes = (
        read_table(tmp_path / "out" / "cells.parquet"),
        read_table(tmp_path / "out" / "clone_sizes.csv"),
    )
    assert cells["image_id"].nunique() == 7
    # a sample of which nothing is known is not a sample of zero cells
    assert not ((sizes["subject"] == "m1") & (sizes["timepoint"] == 7)).any()


def test_an_image_that_fails_later_leaves_nothing_behind(experiment, results):
    name = spoil(experiment)
    run(experiment, results, workers=1)
    assert name not in set(read_table(results / "cells.parquet")["image_id"])
    assert not list(results.rglob(f"{name}.*"))


def test_a_mended_image_is_taken_up(experiment, small_experiment, finished, tmp_path):
    name = spoil(experiment)
    run(experiment, tmp_path / "out", workers=1)
    shutil.copy(small_experiment / "images" / f"{name}.ome.tif", experiment / "images")
    outcome = run(experiment, tmp_path / "out", workers=1)
    assert not outcome.failed
    assert_same_tables(tmp_path / "out", finished)


def test_all_images_failed(experiment, tmp_path):
    for path in (experiment / "images").iterdir():
        path.write_bytes(b"")
    outcome = run(experiment, tmp_path / "out", workers=1)
    assert len(outcome.failed) == 8
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.parametrize("name", ["cells.parquet", "clones.csv", "report.html"])
def test_a_lost_or_damaged_table_is_made_again(experiment, results, finished, name):
    run(experiment, results, workers=1)
    (results / name).write_bytes((results / name).read_bytes()[:50])
    run(experiment, results, workers=1)
    assert_same_tables(results, finished)
    assert (results / name).stat().st_size > 50


def test_stage_by_stage_comes_to_the_same(experiment, finished, tmp_path):
    out = tmp_path / "out"
    for step in ("segment", "measure", "clones", "dynamics", "report"):
        run(experiment, out, workers=1, steps=(step,))
    assert_same_tables(out, finished)
    assert (out / "report.html").exists()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("clones", "run 'rgbtrack measure'"),
        ("dynamics", "has not been segmented"),
        ("report", "has not been segmented"),
    ],
)
def test_a_stage_without_the_one_before_says_which(experiment, tmp_path, step, message):
    with pytest.raises(DataError, match=message):
        run(experiment, tmp_path / "out", steps=(step,))


def test_a_folder_of_something_else_is_left_alone(experiment, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(ParamError, match="holds other files"):
        run(experiment, tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_no_workers_is_refused(experiment):
    with pytest.raises(ParamError, match="workers is 0"):
        run(experiment, workers=0)


def test_ready_made_masks_are_used(experiment, small_experiment, tmp_path):
    sheet = read_table(experiment / "samples.csv")
    names = [path.split("/")[1].split(".")[0] for path in sheet["image"]]
    write_table(
        experiment / "samples.csv", sheet.assign(labels=[f"truth/labels/{name}.tif" for name in names])
    )
    run(experiment, tmp_path / "out", workers=1, steps=("segment", "measure", "clones"))
    truth = read_labels(small_experiment / "truth" / "labels" / f"{names[0]}.tif")
    assert np.array_equal(read_labels(tmp_path / "out" / "labels" / f"{names[0]}.tif"), truth)


def test_later_images_are_called_with_the_clones_of_an_earlier_run(experiment, finished, tmp_path):
    sheet = pd.read_csv(experiment / "samples.csv")
    later = sheet["timepoint"] > 0
    sheet[later].to_csv(experiment / "samples.csv", index=False)
    shutil.copy(finished / "clone_model.json", experiment)
    toml = (experiment / "experiment.toml").read_text(encoding="utf-8")
    (experiment / "experiment.toml").write_text(
        toml + '[clones]\nmodel = "clone_model.json"\n', encoding="utf-8"
    )
    run(experiment, out=tmp_path / "later", workers=1, steps=("segment", "measure", "clones"))
    key = ["image_id", "frame", "cell"]
    new = read_table(tmp_path / "later" / "cells.parquet").set_index(key)["clone"]
    old = read_table(finished / "cells.parquet").set_index(key)["clone"]
    both = pd.concat([new.rename("new"), old.rename("old")], axis=1, join="inner").dropna()
    assert len(both) > 50
    assert (both["new"] == both["old"]).mean() > 0.97


def test_cells_like_no_clone_of_the_model_are_warned_of(experiment, finished, tmp_path):
    model = load_clones(finished / "clone_model.json")
    save_clones(experiment / "clone_model.json", model.ordered(np.array([model.n_clones - 1])))
    (experiment / "review.jsonl").write_text("", encoding="utf-8")
    toml = (experiment / "experiment.toml").read_text(encoding="utf-8")
    (experiment / "experiment.toml").write_text(
        toml + '[clones]\nmodel = "clone_model.json"\n', encoding="utf-8"
    )
    shutil.copytree(finished, tmp_path / "later")
    with pytest.warns(RgbtrackWarning) as told:
        run(experiment, out=tmp_path / "later", workers=1, steps=("clones",))
    assert any("of the cells are like no clone of" in str(one.message) for one in told)
    assert any("has corrections by hand: they are not made here" in str(one.message) for one in told)


def test_subjects_with_clones_of_their_own(experiment, tmp_path):
    with (experiment / "experiment.toml").open("a") as file:
        file.write('[clones]\npalette = "subject"\n')
    run(experiment, tmp_path / "out", workers=1)
    cells = read_table(tmp_path / "out" / "cells.parquet")
    shared = cells.dropna(subset=["clone"]).groupby("clone")["subject"].nunique()
    assert (shared == 1).all()
    clones = read_table(tmp_path / "out" / "clones.csv").set_index("clone")["subject"]
    sizes = read_table(tmp_path / "out" / "clone_sizes.csv")
    assert (sizes["clone"].map(clones) == sizes["subject"]).all()
    assert sizes["n_cells"].sum() == cells["clone"].notna().sum()
    matches = CLONE_MATCHES.check(read_table(tmp_path / "out" / "clone_matches.csv"))
    assert set(matches["clone"]) <= set(cells["clone"].dropna())
    assert matches["match_probability"].max() > 0.5
    told = read_json(tmp_path / "out" / "run.json")["matches"]
    assert "to have a partner of the same founder" in told
    assert told in (tmp_path / "out" / "report.html").read_text(encoding="utf-8").replace("&#34;", '"')


@pytest.mark.parametrize(
    ("pixels", "status"),
    [
        pytest.param(np.zeros((3, 96, 96), np.uint16), "done", id="all zero"),
        pytest.param(np.full((3, 96, 96), 65535, np.uint16), "done", id="all saturated"),
        pytest.param(np.full((3, 96, 96), np.nan, np.float32), "failed", id="NaN"),
        pytest.param(np.arange(48, dtype=np.uint16).reshape(3, 4, 4), "done", id="4 x 4 px"),
        pytest.param(np.zeros((2, 96, 96), np.uint16), "failed", id="too few channels"),
        pytest.param(np.zeros((3, 96, 96), np.uint8), "done", id="8 bit"),
        pytest.param(np.zeros((3, 96, 96), np.float32), "done", id="float"),
    ],
)
def test_odd_images_are_handled_or_named(experiment, tmp_path, pixels, status):
    path = experiment / "images" / "vehicle_m1_d0.ome.tif"
    names = ["mCherry", "Venus", "Cerulean"][: len(pixels)]
    metadata = {"axes": "CYX", "Channel": {"Name": names}, "PhysicalSizeX": 0.65, "PhysicalSizeY": 0.65}
    tifffile.imwrite(path, pixels, ome=True, metadata=metadata, photometric="minisblack")
    outcome = run(experiment, tmp_path / "out", workers=1)
    told = read_json(tmp_path / "out" / "run.json")["images"]["vehicle_m1_d0"]
    assert told["status"] == status, told
    assert "defect" not in (told["error"] or "")
    assert bool(outcome.failed) == (status == "failed")
    if status == "done":
        assert told["n_cells"] == 0
        assert any("no cells" in text for text in told["warnings"])


def test_html_in_names_stays_text(experiment, tmp_path):
    text = (experiment / "experiment.toml").read_text()
    text = text.replace('name = "Simulated', 'name = "<script>alert(1)</script> Simulated')
    (experiment / "experiment.toml").write_text(text.replace('"vehicle"', '"<b>vehicle</b>"'))
    sheet = read_table(experiment / "samples.csv").replace({"treatment": {"vehicle": "<b>vehicle</b>"}})
    write_table(
        experiment / "samples.csv", sheet.replace({"subject": {"m1": "<img src=x onerror=alert(1)>"}})
    )
    run(experiment, tmp_path / "out", workers=1)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page


def test_a_time_series_counts_each_cell_once(tmp_path):
    from rgbtrack import RgbtrackWarning, simulate_experiment
    from rgbtrack.simulate import PRESETS

    params = PRESETS["timelapse"].model_copy(update={"size_px": 128, "n_frames": 3, "n_clones": 3})
    simulate_experiment(tmp_path / "made", params, subjects=1, timepoints=(0,), seed=2)
    with pytest.warns(RgbtrackWarning, match="2 images are time series"):
        run(tmp_path / "made", workers=1)
    cells = read_table(tmp_path / "made" / "results" / "cells.parquet")
    assert set(cells["frame"]) == {0, 1, 2}
    assert cells.loc[cells["frame"] == 2, "time_h"].unique() == pytest.approx([1.0])
    sizes = read_table(tmp_path / "made" / "results" / "clone_sizes.csv")
    assert sizes["n_cells"].sum() == (cells["clone"].notna() & (cells["frame"] == 0)).sum()


def _double(task):
    if task == 3:
        os._exit(1)
    time.sleep(0.05)
    return 2 * task


@pytest.mark.parametrize("workers", [1, 2])
def test_a_pool_yields_every_task(workers):
    with Processes(workers) as crew:
        for tasks in ([-1, -2, -5], [-7], [-1] * 9):  # by the same processes
            assert dict(map_tasks(abs, tasks, crew, str)) == dict(enumerate(map(abs, tasks)))


def _surroundings(task):
    import numba

    time.sleep(0.05)
    return numba.get_num_threads(), cv2.getNumThreads(), os.getcwd(), os.environ.get(task)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_uses_one_core_and_sees_the_folder_and_environment_of_its_run(
    workers, tmp_path, monkeypatch
):
    import numba

    former = numba.get_num_threads(), cv2.getNumThreads()
    for attempt in ("first", "second"):  # processes may be copies of one that was there before
        folder = tmp_path / attempt
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setenv("RGBTRACK_TRIAL", attempt)
        with Processes(workers) as crew:
            seen = dict(map_tasks(_surroundings, ["RGBTRACK_TRIAL"] * 4, crew, str))
        assert set(seen.values()) == {(1, 1, str(folder), attempt)}
    assert (numba.get_num_threads(), cv2.getNumThreads()) == former


def test_one_task_is_given_the_threads_of_all_workers():
    import numba

    (seen,) = dict(map_tasks(_surroundings, ["HOME"], Processes(2), str)).values()
    assert seen[0] == min(2, numba.config.NUMBA_NUM_THREADS)


def test_workers_leave_nothing_behind_that_is_complained_of():
    code = (
        "from rgbtrack.pipeline.pool import Processes, map_tasks\n"
        "import numba\n"
        "with Processes(2) as crew:\n"
        "    print(dict(map_tasks(abs, [-1, -2, -3], crew, abs)))\n"
    )
    told = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert "leaked" not in told.stderr


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from rgbtrack.pipeline.pool import Processes, map_tasks\n"
        "print('once')\n"
        "with Processes(2) as crew:\n"
        "    print(sorted(result for _, result in map_tasks(abs, [-1, -2, -3], crew, abs)))\n"
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout == "once\n[1, 2, 3]\n"


def test_a_dead_worker_costs_its_own_task_only():
    with Processes(2) as crew:
        outcome = dict(map_tasks(_double, [1, 3, 4], crew, lambda task: f"lost {task}"))
        assert outcome == {0: 2, 1: "lost 3", 2: 8}
        assert dict(map_tasks(abs, [-1, -2], crew, str)) == {0: 1, 1: 2}  # more work finds them alive


def _die_elsewhere(task):
    home, number = task
    if number == 2 and os.getpid() != home:
        os._exit(1)
    return -number


def test_what_a_worker_dies_at_is_done_here():
    with Processes(2) as crew:
        assert map_all(_die_elsewhere, [(os.getpid(), n) for n in range(4)], crew) == [0, -1, -2, -3]


def test_an_experiment_object_runs_too(experiment, tmp_path):
    outcome = run(read_experiment(experiment), tmp_path / "out", workers=1, steps=("segment",))
    assert len(list((outcome.results / "labels").iterdir())) == 8


NOTHING = pd.DataFrame({"y_px": [], "x_px": []})


def test_every_image_has_its_closeup_enlarged_by_a_whole_number(finished):
    for path in (finished / "labels").iterdir():
        picture = cv2.imread(str(finished / "closeups" / f"{path.stem}.png"))
        labels = enlarged(read_labels(path).squeeze(), 3)
        assert picture.shape == (480, 2 * 480 + GAP_PX, 3)
        plain, outlined = picture[:, :480], picture[:, -480:]
        np.testing.assert_array_equal(plain, enlarged(plain[1::3, 1::3], 3))
        white = (outlined == 255).all(axis=2)
        assert (labels[white & (plain < 255).any(axis=2)] > 0).all()
        for cell in np.unique(labels[labels > 0]):
            assert white[labels == cell].any()


def test_touching_cells_keep_an_outline_each():
    labels = np.zeros((12, 16), np.uint32)
    labels[2:10, 2:8], labels[2:10, 8:14] = 4, 9
    drawn = draw_outlines(np.full((12, 16, 3), 90, np.uint8), labels)
    row = drawn[5, :, 0].tolist()
    assert row == [90, 15, 255, 15, 90, 15, 255, 15, 255, 15, 90, 90, 15, 255, 15, 90]
    assert (drawn[0] == 90).all()


def test_outlines_are_seen_on_white_cells():
    labels = np.zeros((12, 12), np.uint32)
    labels[2:10, 2:10] = 1
    drawn = draw_outlines(np.full((12, 12, 3), 255, np.uint8), labels)
    assert drawn[5, :, 0].tolist() == [255, 42, 255, 42, 255, 255, 255, 255, 42, 255, 42, 255]


def test_light_that_all_markers_share_is_grey():
    planes = np.array([[[4.0, 4.0, 0.0]], [[4.0, 0.0, 0.0]], [[4.0, 0.0, 9.0]]], np.float32)
    colours = [HUES["red"], HUES["green"], HUES["blue"]]
    shown = composite(planes, colours, [9.0, 9.0, 9.0])[0]
    assert shown[0].tolist() == [170, 170, 170]
    assert shown[1].tolist() == [170, 0, 0]
    assert shown[2].tolist() == [0, 89, 255]
    two = composite(planes[:2], colours[:2], [9.0, 9.0])[0]
    assert two[0].tolist() == [170, 170, 0]


def test_a_closeup_is_where_cells_are_and_where_they_cover_most(tmp_path):
    pixels = np.zeros((1, 1, 3, 1000, 700), np.float32)
    labels = np.zeros((3, 1000, 700), np.uint32)
    labels[1, 800:840, 600:640] = 1
    pixels[0, 0, 1] = 100.0 * (labels[1] > 0)
    write_closeup(tmp_path / "a.png", Stack(pixels, ("green",)), labels, NOTHING)
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert picture.shape == (480, 2 * 480 + GAP_PX, 3)
    assert (picture[:, :480, 1] == 255).sum() == 1600
    write_closeup(tmp_path / "b.png", Stack(pixels, ("green",)), np.zeros_like(labels), NOTHING)
    assert cv2.imread(str(tmp_path / "b.png")).shape == picture.shape


def test_what_was_set_aside_has_a_cross_where_it_lay(tmp_path):
    pixels = np.zeros((1, 1, 1, 100, 100), np.float32)
    places = pd.DataFrame({"y_px": [20.0, 300.0], "x_px": [70.0, 10.0]})  # the second lies outside
    labels = np.zeros((1, 100, 100), np.uint32)
    write_closeup(tmp_path / "a.png", Stack(pixels, ("green",)), labels, places)
    picture = cv2.imread(str(tmp_path / "a.png"))[..., ::-1]
    times = 4
    rows, columns = np.nonzero((picture == ORANGE).all(axis=2))
    assert len(rows) == 4 * CROSS_PX + 1
    assert rows.mean() == times * 20.5
    assert columns.mean() == times * (100 + 70.5) + GAP_PX


# ---- z-stacks as one plane


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """An experiment of two small z-stacks, to be copied before it is changed."""
    folder = tmp_path_factory.mktemp("experiments") / "volumes"
    params = PRESETS["volume"].model_copy(update={"size_px": 128, "n_slices": 6, "n_clones": 3})
    simulate_experiment(folder, params, subjects=1, timepoints=(0,), seed=3)
    return folder


def with_projection(folder, method, to, more=""):
    copy = shutil.copytree(folder, to)
    with (copy / "experiment.toml").open("a") as file:
        file.write(f'[segment]\nprojection = "{method}"\n{more}')
    return copy


@pytest.mark.parametrize("method", ["max", "mean"])
def test_a_projected_stack_is_a_plane_in_every_result(volumes, tmp_path, method):
    folder = with_projection(volumes, method, tmp_path / "made")
    assert not check_experiment(read_experiment(folder))
    results = run(folder, workers=1).results
    told = read_json(results / "run.json")
    assert told["configuration"]["segment"]["projection"] == method
    cells = read_table(results / "cells.parquet")
    CELLS.check(cells)
    assert "volume_um3" not in cells.columns
    assert (cells["z_um"] == 0).all()
    assert not cells["saturated"].any()
    for name, image in told["images"].items():
        assert image["shape"] == [1, 3, 1, 128, 128]
        assert (image["z_step_um"], image["n_planes_projected"]) == (None, 6)
        assert image["warnings"] == []
        labels = read_labels(results / "labels" / f"{name}.tif")
        assert labels.shape == (1, 1, 128, 128)
        closeup = cv2.imread(str(results / "closeups" / f"{name}.png"))
        assert closeup.shape == (3 * 128, 2 * 3 * 128 + GAP_PX, 3)  # shown at 3:1
        truth = read_labels(folder / "truth" / "labels" / f"{name}.tif")[0].max(axis=0)
        assert (labels[0, 0] > 0)[truth > 0].mean() > 0.5
    assert (results / "report.html").exists()


def test_projecting_beforehand_comes_to_the_same(volumes, tmp_path):
    from rgbtrack.files import read_stack

    folder = with_projection(volumes, "max", tmp_path / "made")
    run(folder, workers=1, steps=("segment", "measure", "clones", "dynamics"))
    flat = shutil.copytree(volumes, tmp_path / "flat")
    for path in (flat / "images").iterdir():
        stack = read_stack(path)
        metadata = {
            "axes": "CYX",
            "Channel": {"Name": list(stack.channels)},
            "PhysicalSizeX": stack.pixel_size_um,
            "PhysicalSizeY": stack.pixel_size_um,
        }
        pixels = np.asarray(stack.pixels)[0].max(axis=1)
        tifffile.imwrite(path, pixels, ome=True, metadata=metadata, photometric="minisblack")
    run(flat, workers=1, steps=("segment", "measure", "clones", "dynamics"))
    assert_same_tables(folder / "results", flat / "results")


def test_another_projection_redoes_everything_and_the_same_one_nothing(volumes, tmp_path):
    folder = with_projection(volumes, "max", tmp_path / "made")
    run(folder, workers=1)
    before = stamps(folder / "results")
    run(folder, workers=1)
    assert stamps(folder / "results") == before
    text = (folder / "experiment.toml").read_text()
    (folder / "experiment.toml").write_text(text.replace('"max"', '"none"'))
    run(folder, workers=1)
    after = stamps(folder / "results")
    assert all(after[name] > before[name] for name in after if name.startswith(("labels", "cells")))
    assert "volume_um3" in read_table(folder / "results" / "cells.parquet").columns


def test_stage_by_stage_projects_too(volumes, tmp_path):
    folder = with_projection(volumes, "mean", tmp_path / "made")
    run(folder, tmp_path / "at_once", workers=1)
    for step in ("segment", "measure", "clones", "dynamics", "report"):
        run(folder, tmp_path / "out", workers=1, steps=(step,))
    assert_same_tables(tmp_path / "out", tmp_path / "at_once")


def test_a_projection_changes_nothing_for_planes(experiment, results, finished):
    with (experiment / "experiment.toml").open("a") as file:
        file.write('[segment]\nprojection = "max"\n')
    run(experiment, results, workers=1)
    assert_same_tables(results, finished)


def test_a_projection_needs_no_z_step(volumes, tmp_path):
    for method, problems in (("none", 1), ("max", 0)):
        folder = with_projection(volumes, method, tmp_path / method)
        for path in (folder / "images").iterdir():
            pixels = tifffile.imread(path)
            metadata = {
                "axes": "ZCYX",
                "Channel": {"Name": ["mCherry", "Venus", "Cerulean"]},
                "PhysicalSizeX": 0.65,
                "PhysicalSizeY": 0.65,
            }
            tifffile.imwrite(
                path, np.moveaxis(pixels, 0, 1), ome=True, metadata=metadata, photometric="minisblack"
            )
        found = check_experiment(read_experiment(folder)).images.values()
        assert ["without z step" in text for text in found] == [True] * 2 * problems


def give_masks(folder, draw):
    """Write masks (z, y, x) or (y, x) made of the true ones of each image, and name them in the sheet."""
    sheet = read_table(folder / "samples.csv")
    names = [path.split("/")[1].split(".")[0] for path in sheet["image"]]
    for name in names:
        truth = read_labels(folder / "truth" / "labels" / f"{name}.tif")[0]
        tifffile.imwrite(folder / f"{name}.tif", draw(truth), metadata={"axes": "ZYX"[-draw(truth).ndim :]})
    write_table(folder / "samples.csv", sheet.assign(labels=[f"{name}.tif" for name in names]))
    return names


def test_masks_of_one_plane_fit_a_projection(volumes, tmp_path):
    folder = with_projection(volumes, "mean", tmp_path / "made")
    names = give_masks(folder, lambda truth: truth.max(axis=0))
    assert not check_experiment(read_experiment(folder))
    outcome = run(folder, workers=1, steps=("segment", "measure"))
    assert not outcome.failed
    used = read_labels(outcome.results / "labels" / f"{names[0]}.tif")
    truth = read_labels(folder / "truth" / "labels" / f"{names[0]}.tif")
    np.testing.assert_array_equal(used[0, 0], truth[0].max(axis=0))


def test_masks_of_all_planes_do_not(volumes, tmp_path):
    folder = with_projection(volumes, "max", tmp_path / "made")
    names = give_masks(folder, lambda truth: truth)
    message = (
        'masks of 6 planes, but [segment] projection = "max" makes the image one plane: give masks of one'
    )
    found = check_experiment(read_experiment(folder)).images
    outcome = run(folder, workers=1, steps=("segment",))
    for told in (found, outcome.failed):
        assert list(told) == names
        assert all(message in text for text in told.values())


def test_a_maximum_says_that_it_cannot_use_the_gain(volumes, tmp_path):
    folder = with_projection(volumes, "max", tmp_path / "made")
    text = (folder / "experiment.toml").read_text().replace("[correct]", "[correct]\ngain = 2.0")
    (folder / "experiment.toml").write_text(text)
    run(folder, workers=1, steps=("segment",))
    for image in read_json(folder / "results" / "run.json")["images"].values():
        assert any("gain and read_noise hold for one plane" in said for said in image["warnings"])
