"""Time series in a run: linked before clones are found, described, exported, and read back from elsewhere."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile

from rgbtrack import (
    DataError,
    ParamError,
    RgbtrackWarning,
    append_correction,
    evaluate_results,
    load_clones,
    read_experiment,
    read_review,
    read_stack,
    run,
    simulate_experiment,
)
from rgbtrack.files import read_json, read_labels, read_table, read_tracks, write_table
from rgbtrack.pipeline import called_cells, replay
from rgbtrack.pipeline.movies import one_row_a_family, strays_of
from rgbtrack.review import join_cells
from rgbtrack.simulate import PRESETS
from rgbtrack.tables import CELLS, CLONE_MOTILITY, MOTILITY_BY_TREATMENT, MSD, TRACKED, TRACKS

MOVIES = ("vehicle_m1_d0", "isoproterenol_m2_d0")
COUNTED = "ignore:.*are time series.*clone sizes are counted:rgbtrack.errors.RgbtrackWarning"
CELLS_OF_TRACKS = ("track", "parent", "tree", "link_probability", "track_clone")
TABLES = {
    "motility": CLONE_MOTILITY,
    "motility_by_clone": CLONE_MOTILITY,
    "motility_by_subject": CLONE_MOTILITY,
    "motility_by_treatment": MOTILITY_BY_TREATMENT,
    "msd": MSD,
    "msd_by_treatment": MSD,
}


def write_image(path, stack, frames=None, **metadata):
    pixels = np.asarray(stack.pixels[:frames])
    size = {"PhysicalSizeX": stack.pixel_size_um, "PhysicalSizeY": stack.pixel_size_um}
    names = {"axes": "TCZYX", "Channel": {"Name": list(stack.channels)}}
    tifffile.imwrite(path, pixels, ome=True, metadata=names | size | metadata, photometric="minisblack")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two movies and a still image, simulated."""
    folder = tmp_path_factory.mktemp("movies") / "experiment"
    params = PRESETS["movie"].with_settings(
        {"size_px": 128, "n_frames": 5, "n_clones": 3, "packing": 0.25, "debris": 0.0}
    )
    simulate_experiment(folder, params, subjects=1, seed=2)
    stack = read_stack(folder / "images" / f"{MOVIES[0]}.ome.tif")
    write_image(folder / "images" / "still.ome.tif", stack, frames=1)
    sheet = read_table(folder / "samples.csv")
    still = sheet.iloc[[0]].assign(image="images/still.ome.tif", timepoint=1)
    write_table(folder / "samples.csv", pd.concat([sheet, still]))
    return folder


@pytest.fixture(scope="module")
def done(made):
    """Its results, to be copied before they are changed."""
    with pytest.warns(RgbtrackWarning, match="2 images are time series"):
        run(made, made.parent / "results", workers=1)
    return made.parent / "results"


@pytest.fixture
def experiment(made, tmp_path):
    return shutil.copytree(made, tmp_path / "experiment")


@pytest.fixture
def results(done, tmp_path):
    return shutil.copytree(done, tmp_path / "results")


def linked(results):
    cells = read_table(results / "cells.parquet")
    return cells[cells["image_id"].isin(MOVIES)].reset_index(drop=True)


def give_tracks(experiment, **tracks):
    sheet = read_table(experiment / "samples.csv")
    names = sheet["image"].str.extract(r"images/(.*)\.ome\.tif")[0]
    write_table(experiment / "samples.csv", sheet.assign(tracks=names.map(tracks)))


def test_movies_are_linked_and_described(done):
    cells = read_table(done / "cells.parquet")
    assert cells.loc[cells["image_id"] == "still", [*CELLS_OF_TRACKS]].isna().all(axis=None)
    TRACKED.check(linked(done))
    CELLS.check(cells)
    assert linked(done)["track"].notna().mean() > 0.95
    tracks = TRACKS.check(read_table(done / "tracks.csv"))
    assert set(tracks["image_id"]) == set(MOVIES)
    assert len(tracks) == read_json(done / "run.json")["counts"]["tracks"]
    for name, table in TABLES.items():
        table.check(read_table(done / "dynamics" / f"{name}.csv"))
    assert len(read_tracks(done / "tracks.geff")) == linked(done)["track"].notna().sum()


def test_the_report_has_a_chapter_on_them(done):
    page = (done / "report.html").read_text(encoding="utf-8")
    told = read_json(done / "run.json")["links"]
    assert told.startswith("2 time series: ")
    assert told in page
    assert "<h2>Time-lapse</h2>" in page
    assert "a test needs two or more in each arm" in page
    assert "dynamics/msd_by_treatment.csv" in page


def test_planted_tracks_come_back(done, made):
    scores = evaluate_results(done, made / "truth").set_index("image_id").loc["all"]
    assert scores["TRA"] > 0.9
    assert scores["link_f1"] > 0.9


def test_a_track_is_of_one_clone(done):
    tracks = linked(done).dropna(subset=["track", "clone"]).groupby(["image_id", "track"])["clone"]
    assert (tracks.min() == tracks.max()).mean() > 0.95


@pytest.mark.filterwarnings(COUNTED)
def test_what_is_up_to_date_is_not_done_again(made, results):
    files = [
        path
        for path in results.rglob("*")
        if path.is_file() and path.name not in ("run.json", "finished.json")
    ]
    before = {path: path.stat().st_mtime_ns for path in files}
    run(made, results, workers=1)
    assert before == {path: path.stat().st_mtime_ns for path in files}


@pytest.mark.filterwarnings(COUNTED)
def test_the_command_links(rgbtrack, made, results):
    whole = read_table(results / "tracks.csv")
    (results / "tracks.csv").unlink()
    shutil.rmtree(results / "tracks.geff")
    code, out, _ = rgbtrack("link", made, "--out", results)
    assert code == 0
    assert f"{len(whole)} tracks" in out
    pd.testing.assert_frame_equal(read_table(results / "tracks.csv"), whole)
    assert (results / "tracks.geff").is_dir()


def test_without_time_series_nothing_changes(rgbtrack, finished, small_experiment, tmp_path):
    results = shutil.copytree(finished, tmp_path / "results")
    assert not {*CELLS_OF_TRACKS, "time_h"} & set(read_table(results / "cells.parquet").columns)
    code, out, _ = rgbtrack("link", small_experiment, "--out", results)
    assert code == 0
    assert "no image has several frames: there is nothing to link" in out
    assert not list(results.glob("tracks*"))
    assert not (results / "dynamics" / "motility.csv").exists()
    assert "Time-lapse" not in (results / "report.html").read_text(encoding="utf-8")
    code, _, err = rgbtrack("export", results, "--to", "geff")
    assert code == 2
    assert "holds no tracks" in err


@pytest.mark.parametrize("to", ["geff", "ctc", "trackmate"])
def test_tracks_go_out_and_come_back(rgbtrack, results, to):
    code, out, _ = rgbtrack("export", results, "--to", to, "--out", results / "out")
    assert code == 0
    assert str(results / "out") in out
    back = read_tracks(results / "out", pixel_size_um=0.65)
    assert len(back) == linked(results)["track"].notna().sum()
    if to != "ctc":  # which cuts tracks at gaps
        key = ["image_id", "track"]
        assert len(back[key].drop_duplicates()) == len(linked(results)[key].dropna().drop_duplicates())


def test_masks_go_out_in_the_shape_that_they_have(rgbtrack, results):
    rgbtrack("export", results, "--to", "ctc")
    labels = read_labels(results / "labels" / f"{MOVIES[0]}.tif")
    masks = sorted((results / "tracks_ctc" / MOVIES[0]).glob("mask*.tif"))
    assert [tifffile.imread(mask).shape for mask in masks] == [frame[0].shape for frame in labels]


@pytest.mark.filterwarnings(COUNTED)
def test_tracks_corrected_elsewhere_are_used(experiment, results):
    cells = linked(results)
    first = cells["image_id"] == MOVIES[0]
    longest = cells.loc[first, "track"].value_counts().index[0]
    late = first & (cells["track"] == longest) & (cells["frame"] >= 2)
    corrected = cells.assign(track=cells["track"].mask(late, 999), link_probability=1.0)
    write_table(experiment / "corrected.csv", corrected)
    give_tracks(experiment, **{MOVIES[0]: "corrected.csv"})
    run(experiment, results, steps=("clones", "link"))
    again = linked(results)
    assert (again.loc[late, "track"] == 999).all()
    pd.testing.assert_series_equal(again.loc[~first, "track"], cells.loc[~first, "track"])
    assert 999 in set(read_table(results / "tracks.csv")["track"])
    # an edit of the file is seen
    write_table(experiment / "corrected.csv", cells)
    run(experiment, results, steps=("clones", "link"))
    assert 999 not in set(linked(results)["track"])


def test_tracks_of_another_image_are_refused(experiment, results):
    write_table(experiment / "other.csv", linked(results).query("image_id == @MOVIES[1]"))
    give_tracks(experiment, **{MOVIES[0]: "other.csv"})
    with pytest.raises(DataError, match=rf"{MOVIES[0]}: tracks .*its tracks are of {MOVIES[1]}: give those"):
        run(experiment, results, steps=("clones",))


def test_tracks_that_are_not_there_are_told(experiment):
    give_tracks(experiment, still="nowhere.geff")
    with pytest.raises(ParamError, match=r"row 4: tracks nowhere.geff: no such file"):
        read_experiment(experiment)


@pytest.mark.filterwarnings(COUNTED)
def test_tracks_of_a_still_image_are_not_used(experiment, results):
    write_table(experiment / "some.csv", linked(results))
    give_tracks(experiment, still="some.csv")
    with pytest.warns(RgbtrackWarning, match="tracks are given for still, of one frame: they are not used"):
        run(experiment, results, steps=("clones",), overwrite=True)


@pytest.mark.filterwarnings(COUNTED)
def test_a_movie_without_times_is_linked_and_told_of(experiment, results):
    path = experiment / "images" / f"{MOVIES[1]}.ome.tif"
    stack = read_stack(path)
    write_image(path, stack)
    steps = ("segment", "measure", "clones", "link")
    with pytest.warns(RgbtrackWarning, match=f"time between frames of {MOVIES[1]} is not known"):
        run(experiment, results, workers=1, steps=steps)
    assert "frame_interval_h" in read_json(results / "run.json")["not_told"]["time"]
    assert set(read_table(results / "tracks.csv")["image_id"]) == {MOVIES[0]}
    assert linked(results).groupby("image_id")["track"].nunique().min() > 5
    settings = (experiment / "experiment.toml").read_text(encoding="utf-8")
    (experiment / "experiment.toml").write_text(settings + "[motility]\nframe_interval_h = 0.5\n", "utf-8")
    run(experiment, results, steps=("link",))
    assert set(read_table(results / "tracks.csv")["image_id"]) == set(MOVIES)


@pytest.mark.filterwarnings(COUNTED)
def test_without_geff_the_rest_is_written(made, results, monkeypatch):
    def lacking(module, extra):
        raise DataError(f"{module} is not installed: pip install 'rgbtrack[{extra}]'")

    monkeypatch.setattr("rgbtrack.files.geff.need_extra", lacking)
    with pytest.warns(RgbtrackWarning, match=r"tracks.geff is not written: .*rgbtrack\[tracks\]"):
        run(made, results, steps=("link",), overwrite=True)
    assert not (results / "tracks.geff").exists()
    assert (results / "tracks.csv").exists()


def test_settings_of_linking_are_sections(experiment):
    settings = (experiment / "experiment.toml").read_text(encoding="utf-8")
    (experiment / "experiment.toml").write_text(settings + "[link]\nmax_gap = 1\ndivision = false\n", "utf-8")
    with pytest.raises(ParamError, match=r"\[link\] unknown key 'division': did you mean 'divisions'"):
        read_experiment(experiment)


def test_a_family_is_one_row(done):
    cells = read_table(done / "cells.parquet")
    rows = one_row_a_family(cells)
    still = cells["image_id"] == "still"
    families = linked(done)[["image_id", "tree"]].dropna().drop_duplicates()
    assert len(rows) == still.sum() + len(families) + linked(done)["track"].isna().sum()
    assert list(rows.columns) == list(cells.columns)
    seen = linked(done).groupby(["image_id", "track"])["red"].agg(["min", "max"])
    means = rows.dropna(subset=["track"]).set_index(["image_id", "track"])["red"]
    assert means.between(*seen.loc[means.index].T.to_numpy()).all()
    assert one_row_a_family(cells[still].drop(columns="track")).equals(cells[still].drop(columns="track"))


def test_debris_is_like_no_clone_and_alone_in_its_track():
    cells = pd.DataFrame({"image_id": "a", "track": [1, 1, 2, 3, 3, None, 4]}).astype({"track": "Int64"})
    unlike, called = "unlike any clone", None
    cells["unassigned_reason"] = [unlike, called, unlike, unlike, unlike, unlike, called]
    assert strays_of(cells).tolist() == [False, False, True, False, False, False, False]
    assert not strays_of(pd.DataFrame({"image_id": ["a"]})).any()


def test_a_control_that_has_no_movie_stops_nothing(experiment, results):
    (experiment / "images" / f"{MOVIES[0]}.ome.tif").write_bytes(b"broken")
    with pytest.warns(RgbtrackWarning, match="1 images are time series"):
        told = run(experiment, results, workers=1)
    assert set(told.failed) == {MOVIES[0]}
    why = read_json(results / "run.json")["not_told"]["motility_by_treatment"]
    assert why.startswith("no tracked cell had the control 'vehicle'")
    assert not (results / "dynamics" / "motility_by_treatment.csv").exists()
    assert "no tracked cell had the control" in (results / "report.html").read_text(encoding="utf-8")
    settings = (experiment / "experiment.toml").read_text(encoding="utf-8")
    (experiment / "experiment.toml").write_text(settings + "[motility]\ncontrol = 'vehicel'\n", "utf-8")
    with pytest.raises(ParamError, match=r"\[motility\] control 'vehicel' .*did you mean 'vehicle'"):
        read_experiment(experiment)


def test_movies_without_a_cell_are_no_mistake(experiment, tmp_path):
    for name in MOVIES:
        path = experiment / "images" / f"{name}.ome.tif"
        stack = read_stack(path)
        write_image(path, replace(stack, pixels=np.full(stack.pixels.shape, 100, np.uint16)))
    sheet = read_table(experiment / "samples.csv")
    write_table(experiment / "samples.csv", sheet.iloc[:2])
    run(experiment, tmp_path / "empty", workers=1, steps=("segment", "measure", "clones", "link"))
    assert not (tmp_path / "empty" / "tracks.csv").exists()


def test_the_treatment_makes_cells_faster(tmp_path):
    params = PRESETS["movie"].with_settings({"size_px": 96, "n_frames": 3, "division_rate": 0.0})
    simulate_experiment(tmp_path / "made", params, subjects=1, speed_up=4.0, seed=1)
    truth = read_table(tmp_path / "made" / "truth" / "cells.csv").sort_values(["image_id", "track", "frame"])
    assert set(truth["timepoint"]) == {0}
    step = truth.groupby(["image_id", "track"])["y_um"].diff().abs()
    speed = step.groupby(truth["treatment"]).median()
    assert speed["isoproterenol"] > 1.5 * speed["vehicle"]
    with pytest.raises(ParamError, match="speed_up is 0: give a positive number"):
        simulate_experiment(tmp_path / "none", params, speed_up=0)


# ---------------------------------------------------------------- links corrected by hand


def test_links_are_corrected_before_clones_are_found(rgbtrack, made, results):
    before = linked(results)
    name = MOVIES[0]
    movie = before[before["image_id"] == name]
    long = movie[movie.groupby("track")["frame"].transform("nunique") == 5]
    track = int(long["track"].iloc[0])
    cell = long[long["track"] == track].set_index("frame")["cell"]
    segmented = (results / "labels" / f"{name}.tif").stat().st_mtime_ns
    assert rgbtrack("amend", results, "cut", f"{name}:3:{cell[3]}", "-n", "jumps")[0] == 0
    code, _, err = rgbtrack("amend", results, "join", f"{name}:1:{cell[1]}", f"{name}:3:{cell[3]}")
    assert code == 2
    assert "already, and no cell has two before it: cut a link first" in err
    assert rgbtrack("clones", made, "--out", results, "-w", 1)[0] == 0
    assert (results / "labels" / f"{name}.tif").stat().st_mtime_ns == segmented

    after = linked(results)
    now = after[after["image_id"] == name].set_index(["frame", "cell"])
    assert [now["track"][frame, cell[frame]] == track for frame in range(5)] == [True] * 3 + [False] * 2
    assert np.isnan(now["link_probability"][3, cell[3]])
    assert after["track_clone"].notna().any()

    place = join_cells(after, (name, 1, cell[1]), (name, 3, cell[3]))
    append_correction(results / "review.jsonl", place)
    assert rgbtrack("clones", made, "--out", results, "-w", 1)[0] == 0
    cells = read_table(results / "cells.parquet")
    now = cells[cells["image_id"] == name].set_index(["frame", "cell"])
    born = [now["parent"][2, cell[2]], now["parent"][3, cell[3]]]
    assert born == [track, track]
    told = read_table(results / "review.csv")
    assert told["status"].tolist() == ["applied", "applied"]
    assert told["outcome"].iloc[1] == (
        f"{name}:3:{cell[3]} follows {name}:1:{cell[1]}, which divides: its other daughter is {name}:2:{cell[2]}"
    )

    called = called_cells(results)
    assert called.loc[called["image_id"] == name, "track"].tolist() == movie["track"].tolist()
    corrections, model = read_review(results / "review.jsonl"), load_clones(results / "clone_model.json")
    again, outcomes = replay(called, corrections, model)
    pd.testing.assert_frame_equal(again, cells, check_dtype=False)
    assert outcomes["status"].tolist() == ["applied", "applied"]
