"""Outlines changed by hand: made into corrections, made again on labels, and by a run."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile

from rgbtrack import DataError, append_correction, load_clones, read_review, run
from rgbtrack.files import read_json, read_labels, read_table, write_table
from rgbtrack.pipeline import called_cells, correct_frame, found_labels, remeasure_cells
from rgbtrack.review import (
    Redraw,
    Undo,
    apply_redraws,
    number_as_before,
    redraw_cells,
    standing_redraws,
)


def discs(*centres, radius=6, shape=(64, 96)):
    """Labels (1, y, x): disc k + 1 around centre k."""
    labels = np.zeros((1, *shape), np.uint32)
    y, x = np.indices(shape)
    for k, (cy, cx) in enumerate(centres):
        labels[0][np.hypot(y - cy, x - cx) < radius] = k + 1
    return labels


def table_of(labels, image_id="a", frame=0):
    """Cells of labels, as a table with a pixel of 1 um."""
    rows = []
    for number in np.unique(labels[labels > 0]):
        _, y, x = np.nonzero(labels == number)
        rows.append((image_id, frame, int(number), 0.0, y.mean(), x.mean(), float(len(y))))
    return pd.DataFrame(rows, columns=["image_id", "frame", "cell", "z_um", "y_um", "x_um", "area_um2"])


THREE = discs((20, 20), (20, 60), (45, 40))


def redraw(after, before=THREE, frame=0):
    return redraw_cells(table_of(before), before, after, image_id="a", frame=frame)


def again(labels, *corrections, frame=0):
    return apply_redraws(labels, standing_redraws(corrections, "a"), image_id="a", frame=frame)


def painted():
    after = THREE.copy()
    after[0, 50:58, 70:80] = 9
    return after


def grown():
    after = THREE.copy()
    after[0, 20:24, 24:34] = 1
    return after


def erased():
    return np.where(THREE == 2, 0, THREE)


def halved():
    after = THREE.copy()
    after[0, :, 60:][after[0, :, 60:] == 2] = 4
    return after


def joined():
    after = THREE.copy()
    after[after == 3] = 1
    after[0, 20:24, 20:42] = 1
    after[0, 20:45, 38:42] = 1
    return after


def torn():
    after = THREE.copy()
    after[0, 2:5, 80:90] = 2
    return after


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (painted(), "redraw 1 cell of a: 1 new"),
        (grown(), "redraw 1 cell of a: 1 changed"),
        (erased(), "redraw 1 cell of a: 1 erased"),
        (halved(), "redraw 2 cells of a: 1 changed, 1 split off"),
        (joined(), "redraw 2 cells of a: 1 changed, 1 merged into another"),
        (torn(), "redraw 1 cell of a: 1 changed, 1 in several pieces"),
    ],
    ids=["painted", "grown", "erased", "halved", "joined", "torn"],
)
def test_what_was_drawn_is_drawn_again(after, said):
    correction = redraw(after)
    assert correction.said == said
    kept = Redraw.model_validate_json(correction.model_dump_json())  # as by way of the file
    made, told = again(THREE, kept)
    assert np.array_equal(made, after)
    assert told[kept.id].status == "applied"


def test_cells_are_found_by_their_place_where_labels_were_numbered_anew():
    numbers = np.array([0, 7, 5, 2], np.uint32)
    made, told = again(numbers[THREE], redraw(grown()))
    assert np.array_equal(made > 0, grown() > 0)
    assert set(np.unique(made)) == {0, 2, 5, 7}
    (one,) = told.values()
    assert (one.status, one.cells) == ("applied", [7])


def test_numbers_larger_than_the_image_change_nothing():
    numbers = np.array([0, 3_000_000_007, 5, 2], np.uint32)
    large = numbers[THREE]
    made, told = again(large, redraw(numbers[grown()], before=large))
    assert np.array_equal(made, numbers[grown()])
    assert [one.status for one in told.values()] == ["applied"]


def test_a_new_cell_takes_a_number_that_is_free():
    crowded = THREE.copy()
    crowded[0, 2:6, 2:6] = 9
    made, _ = again(crowded, redraw(painted()))
    assert set(np.unique(made)) == {0, 1, 2, 3, 9, 10}


def test_a_cell_that_was_found_after_all_is_not_counted_twice():
    found_later = THREE.copy()
    found_later[0, 50:58, 70:79] = 4
    made, told = again(found_later, redraw(painted()))
    (one,) = told.values()
    assert (one.n_erased, one.cells) == (1, [9])
    assert (made[0, 50:58, 70:80] == 9).all()
    assert 4 not in made


def test_a_drawing_does_not_take_pixels_of_other_cells():
    beside = THREE.copy()
    beside[0, 22:30, 30:42] = 4  # the grown outline covers a part of it
    made, _ = again(beside, redraw(grown()))
    assert (made == 4).sum() == (beside == 4).sum()


@pytest.mark.parametrize(
    ("labels", "status", "words"),
    [
        (discs((20, 20)), "applied", "1 drawn"),
        (discs((50, 80)), "partly", "1 of 1 former cells not found"),
        (np.zeros_like(THREE), "partly", "1 of 1 former cells not found"),
    ],
    ids=["there", "elsewhere", "none"],
)
def test_a_cell_that_is_gone_is_drawn_and_told(labels, status, words):
    _, told = again(labels, redraw(grown()))
    (one,) = told.values()
    assert one.status == status
    assert words in one.words


def test_erasing_what_is_gone_is_a_conflict():
    made, told = again(discs((50, 80)), redraw(erased()))
    (one,) = told.values()
    assert one.status == "conflict"
    assert np.array_equal(made, discs((50, 80)))


def test_corrections_build_on_each_other_and_undo_takes_one_back():
    first = redraw(halved())
    second = redraw_cells(
        table_of(halved()), halved(), np.where(halved() == 4, 0, halved()), image_id="a", frame=0
    )
    made, _ = again(THREE, first, second)
    assert np.array_equal(made, np.where(halved() == 4, 0, halved()))
    back, _ = again(THREE, first, second, Undo(of=second.id))
    assert np.array_equal(back, halved())
    none, told = again(THREE, first, second, Undo(of=second.id), Undo(of=first.id))
    assert np.array_equal(none, THREE)
    assert told == {}


def test_other_images_and_frames_are_left_alone():
    correction = redraw(grown())
    same, told = apply_redraws(THREE, [correction], image_id="b", frame=0)
    assert same is THREE
    assert told == {}
    assert again(THREE, correction, frame=1)[0] is THREE


def test_a_mask_of_a_larger_image_is_a_conflict():
    large = np.zeros((1, 200, 200), np.uint32)
    after = large.copy()
    after[0, 10:190, 10:190] = 1
    correction = redraw_cells(table_of(large).assign(area_um2=1.0), large, after, image_id="a", frame=0)
    _, told = again(THREE, correction)
    assert [one.status for one in told.values()] == ["conflict"]


def test_volumes_are_redrawn_too():
    before = np.repeat(THREE, 3, axis=0)
    after = before.copy()
    after[1][after[1] == 2] = 0
    correction = redraw_cells(table_of(before), before, after, image_id="a", frame=0)
    assert np.array_equal(again(before, correction)[0], after)


@pytest.mark.parametrize(
    ("after", "match"),
    [
        (THREE, "the outlines are as they were"),
        (THREE[:, :10], r"outlines have shape \(1, 10, 96\)"),
    ],
    ids=["nothing", "shape"],
)
def test_what_cannot_be_a_correction_is_refused(after, match):
    with pytest.raises(DataError, match=match):
        redraw(after)


def test_a_cell_that_the_table_lacks_is_named():
    with pytest.raises(DataError, match="the table has no cell a:0:2"):
        redraw_cells(table_of(np.where(THREE == 2, 0, THREE)), THREE, erased(), image_id="a", frame=0)


def test_a_mask_that_does_not_fill_its_box_is_no_correction(tmp_path):
    text = redraw(grown()).model_dump_json().replace('"runs":[', '"runs":[3,')
    (tmp_path / "review.jsonl").write_text(text + "\n")
    with pytest.raises(DataError, match="runs add up to"):
        read_review(tmp_path / "review.jsonl")


@pytest.mark.parametrize(
    ("numbers", "after", "expected"),
    [
        ([0, 1, 2, 3], THREE, THREE),
        ([0, 3, 1, 2], THREE, THREE),
        ([0, 1, 2, 3, 4], halved(), halved()),
        ([0, 1, 4, 3, 2], halved(), np.choose(halved(), [0, 1, 4, 3, 2])),
        ([0, 9, 8, 7, 6], halved(), np.choose(halved(), [0, 1, 4, 3, 2])),
        ([0, 8, 9], joined(), joined()),
        ([0, *range(11, 20)], painted(), np.where(painted() == 9, 4, painted())),
        ([0, 0, 0, 0], THREE, np.zeros_like(THREE)),
    ],
    ids=["same", "shuffled", "halved", "own_half", "halved_anew", "joined_anew", "painted_anew", "none"],
)
def test_outlines_drawn_elsewhere_keep_the_numbers_of_their_cells(numbers, after, expected):
    drawn = np.array(numbers, np.uint32)[after]
    assert np.array_equal(number_as_before(THREE, drawn), expected)


@pytest.fixture
def untouched(finished, tmp_path):
    """Results to be amended, the name of an image and its labels."""
    results = shutil.copytree(finished, tmp_path / "results")
    name = next(iter(read_json(results / "run.json")["images"]))
    return results, name, read_labels(results / "labels" / f"{name}.tif")


def test_outlines_corrected_elsewhere_come_in_by_the_shell(untouched, rgbtrack, tmp_path):
    results, name, labels = untouched
    gone = int(labels.max())
    numbers = np.random.default_rng(0).permutation(gone) + 1  # as a program that numbers anew
    anew = np.append(0, numbers).astype(np.uint32)[np.where(labels == gone, 0, labels)]
    tifffile.imwrite(tmp_path / "corrected.tif", anew[0, 0])
    code, out, _ = rgbtrack("amend", results, "redraw", name, tmp_path / "corrected.tif", "--note", "debris")
    assert code == 0
    assert f"redraw 1 cell of {name}: 1 erased" in out
    (correction,) = read_review(results / "review.jsonl")
    assert [outline.cell for outline in correction.outlines] == [gone]
    assert "1 erased (debris): waits for the next run" in rgbtrack("amend", results, "list")[1]
    assert rgbtrack("amend", results, "undo", correction.id)[0] == 0
    assert standing_redraws(read_review(results / "review.jsonl"), name) == ()


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        (None, lambda labels: labels, "the outlines are those of .*nothing was changed"),
        (None, lambda labels: labels[:-3], "labels have shape"),
        ("elsewhere", lambda labels: labels, "elsewhere: the results hold no labels of it"),
    ],
    ids=["nothing", "shape", "image"],
)
def test_outlines_that_cannot_be_taken_are_told(untouched, rgbtrack, tmp_path, name, change, match):
    results, first, labels = untouched
    tifffile.imwrite(tmp_path / "corrected.tif", change(labels[0, 0]))
    code, _, err = rgbtrack("amend", results, "redraw", name or first, tmp_path / "corrected.tif")
    assert code == 2
    assert re.search(match, " ".join(err.split()))
    assert not (results / "review.jsonl").exists()


@pytest.fixture(scope="module")
def redrawn(finished, tmp_path_factory):
    """Results run anew after a cell was erased, one cut and one painted; cells measured while it was done."""
    results = shutil.copytree(finished, tmp_path_factory.mktemp("redrawn") / "results")
    name = next(iter(read_json(results / "run.json")["images"]))
    before = read_labels(results / "labels" / f"{name}.tif")[0]
    cells = called_cells(results)
    own = cells[(cells["image_id"] == name) & ~cells["touches_border"]]
    gone, halved = own.nlargest(2, "area_um2")["cell"]
    after = np.where(before == gone, 0, before)
    _, _, x = np.nonzero(before == halved)
    after[0][:, int(np.median(x)) :][after[0][:, int(np.median(x)) :] == halved] = before.max() + 1
    correction = redraw_cells(cells, before, after, image_id=name, frame=0, note="seen by eye")
    live = remeasure_cells(
        correct_frame(results, name, 0),
        results,
        after,
        [int(halved), int(before.max()) + 1],
        load_clones(results / "clone_model.json"),
    )
    append_correction(results / "review.jsonl", correction)
    run(read_json(results / "run.json")["experiment"], results, workers=1)
    return results, name, before, after, correction, live


def test_a_run_makes_them_and_keeps_what_was_found(redrawn):
    results, name, before, after, correction, _ = redrawn
    assert np.array_equal(read_labels(results / "labels" / f"{name}.tif")[0], after)
    assert np.array_equal(found_labels(results, name)[0], before)
    cells = read_table(results / "cells.parquet")
    own = cells[cells["image_id"] == name]
    assert set(own["cell"]) == set(np.unique(after)) - {0}
    new = own[own["cell"] == before.max() + 1].iloc[0]
    assert np.isnan(new["cell_probability"])
    assert new["corrected_by"] == correction.id
    outcome = read_table(results / "review.csv").iloc[0]
    assert (outcome["status"], outcome["n_cells"]) == ("applied", 3)
    record = read_json(results / "run.json")["images"][name]
    assert record["rejected"]["erased by hand"] == 1
    assert correction.said in (results / "report.html").read_text()


def test_cells_measured_while_waiting_are_those_of_the_run(redrawn):
    results, name, *_, live = redrawn
    cells = called_cells(results)
    own = cells[cells["image_id"] == name].set_index("cell").loc[live["cell"].to_list()]
    for column in ("red", "green", "blue", "red_se", "area_um2", "y_um", "snr"):
        assert live[column].to_numpy(float) == pytest.approx(own[column].to_numpy(float), rel=1e-6), column
    assert set(live.columns) >= set(cells.columns) - {"red_detected", "corrected_by", "clone_name"}


def test_other_images_are_not_done_again_and_a_rerun_does_nothing(redrawn, finished):
    results, name, *_ = redrawn
    now, then = (read_json(folder / "run.json")["images"] for folder in (results, finished))
    for other in set(now) - {name}:
        assert now[other]["seconds"] == then[other]["seconds"]
    run(read_json(results / "run.json")["experiment"], results, workers=1)
    assert read_json(results / "run.json")["images"][name]["seconds"] == now[name]["seconds"]


def test_undo_brings_back_what_was_found(redrawn, tmp_path, monkeypatch):
    results, name, before, _, correction, _ = redrawn
    results = shutil.copytree(results, tmp_path / "results")
    write_table(results / ".parts" / f"{name}.aside.parquet", pd.DataFrame({"y_px": [5.0], "x_px": [7.0]}))
    seen = []
    monkeypatch.setattr("rgbtrack.pipeline.image.write_closeup", lambda *given: seen.append(given))
    append_correction(results / "review.jsonl", Undo(of=correction.id))
    run(read_json(results / "run.json")["experiment"], results, workers=1, steps=("segment", "measure"))
    assert np.array_equal(read_labels(results / "labels" / f"{name}.tif")[0], before)
    record = read_json(results / ".parts" / f"{name}.json")
    assert "erased by hand" not in record["rejected"]
    assert not list((results / ".parts" / "found_labels").glob("*"))
    ((_, _, outlines, set_aside),) = seen  # the picture has the outlines anew, and what was set aside before
    assert np.array_equal(outlines, before)
    assert len(set_aside) == 1


def test_results_that_do_not_tell_what_they_undid_are_refused(untouched):
    results, name, labels = untouched
    told = read_table(results / "corrections.csv").drop(columns="used")
    write_table(results / "corrections.csv", told)
    with pytest.raises(DataError, match="did not tell by how much it corrected colours"):
        remeasure_cells(
            correct_frame(results, name, 0),
            results,
            labels[0],
            [1],
            load_clones(results / "clone_model.json"),
        )


def test_an_image_that_is_no_longer_in_the_sheet_cannot_be_measured(finished):
    with pytest.raises(DataError, match="elsewhere is not in the sample sheet"):
        correct_frame(finished, "elsewhere", 0)
    name = next(iter(read_json(finished / "run.json")["images"]))
    with pytest.raises(DataError, match="there is no frame 7"):
        correct_frame(finished, name, 7)
