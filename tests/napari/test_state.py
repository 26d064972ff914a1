"""What is under review, without a window: corrections made, taken back, kept."""

import shutil

import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, append_correction, read_review, run
from rgbtrack.files import read_json, read_labels, read_table, write_json, write_table
from rgbtrack.review import Undo, assign_cells, exclude_cells, merge_clones, redraw_cells, rename_clone

state = pytest.importorskip("napari_rgbtrack.state")
scene = pytest.importorskip("napari_rgbtrack.scene")


@pytest.fixture
def results(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "results")


@pytest.fixture
def review(results):
    return state.open_review(results)


def first_key(review, row=0):
    cell = review.cells.iloc[row]
    return (str(cell["image_id"]), int(cell["frame"]), int(cell["cell"]))


def test_a_review_begins_with_what_the_run_found(review, finished):
    cells = read_table(finished / "cells.parquet")
    assert review.cells["clone"].equals(cells["clone"])
    assert review.n_waiting == 0
    clones = read_table(finished / "clones.csv")
    assert review.clones["clone"].tolist() == clones["clone"].tolist()
    assert review.clones["n_cells"].tolist() == clones["n_cells"].tolist()
    assert review.clones["red"].to_numpy() == pytest.approx(
        cells.groupby("clone")["red"].mean().to_numpy(float)
    )
    assert "unique_probability" in review.clones


def test_a_correction_is_on_disk_and_made_at_once(review):
    after = state.add_correction(review, merge_clones(review.cells, [1, 2], note="one clone"))
    assert 2 not in set(after.cells["clone"].dropna())
    assert [one.note for one in read_review(after.file)] == ["one clone"]
    assert after.n_waiting == 1
    assert len(after.clones) == len(review.clones) - 1
    assert after.clones.set_index("clone").loc[1, "n_cells"] >= review.clones["n_cells"][:2].sum()
    assert np.isnan(after.clones.set_index("clone").loc[1, "unique_probability"])  # it is not as it was found
    assert review.cells["clone"].nunique() == len(review.clones)  # the one before is as it was


def test_undo_and_redo_without_limit(review):
    key, other = first_key(review), first_key(review, 1)
    acts = [
        merge_clones(review.cells, [1, 2]),
        assign_cells(review.cells, [key], None),
        exclude_cells(review.cells, [other], "debris"),
        rename_clone(review.cells, 1, "big"),
    ]
    states = [review]
    for act in acts:
        states.append(state.add_correction(states[-1], act))
    now = states[-1]
    for then in reversed(states[:-1]):
        now = state.undo(now)
        assert now.cells["clone"].equals(then.cells["clone"])
    with pytest.raises(DataError, match="nothing to undo"):
        state.undo(now)
    for then in states[1:]:
        now = state.redo(now)
        assert now.cells["clone"].equals(then.cells["clone"])
        assert now.cells["unassigned_reason"].equals(then.cells["unassigned_reason"])
    with pytest.raises(DataError, match="nothing to redo"):
        state.redo(now)
    again = state.open_review(now.results)  # as after napari was killed
    assert again.cells["clone"].equals(now.cells["clone"])
    assert state.undo(again).cells["clone"].equals(states[-2].cells["clone"])


def test_what_was_undone_cannot_be_redone_once_something_else_was_done(review):
    merged = state.add_correction(review, merge_clones(review.cells, [1, 2]))
    back = state.undo(merged)
    named = state.add_correction(back, rename_clone(back.cells, 1, "big"))
    with pytest.raises(DataError, match="nothing to redo"):
        state.redo(named)


class TestHistory:
    def of(self, *steps):
        """Corrections by letters: a capital undoes the small one, "!X" the undo X."""
        made, ids = [], {}
        for step in steps:
            if step.islower():
                one = exclude_cells(TABLE, [("a", 0, 1)], step)
            else:
                one = Undo(of=ids[step[1:] if step.startswith("!") else step.lower()])
            ids[step] = one.id
            made.append(one)
        done, undone = state.history(made)
        names = {value: key for key, value in ids.items()}
        return [names[one] for one in done], [names[one] for one in undone]

    @pytest.mark.parametrize(
        ("steps", "done", "undone"),
        [
            ("a b", "a b", ""),
            ("a b B", "a", "B"),
            ("a b B A", "", "B A"),
            ("a b B A !A", "a", "B"),
            ("a b B A !A !B", "a b", ""),
            ("a b B c", "a c", ""),
        ],
    )
    def test_what_could_be_undone_and_redone(self, steps, done, undone):
        assert self.of(*steps.split()) == (done.split(), undone.split())


TABLE = pd.DataFrame(
    {"image_id": ["a"], "frame": 0, "cell": 1, "z_um": 0.0, "y_um": 0.0, "x_um": 0.0, "area_um2": 9.0}
)


def test_outlines_are_redrawn_measured_and_taken_back(review):
    key = first_key(review)
    before = read_labels(review.results / "labels" / f"{key[0]}.tif")[0]
    erased = redraw_cells(
        review.cells, before, np.where(before == key[2], 0, before), image_id=key[0], frame=0
    )
    after = state.add_correction(review, erased)
    assert len(after.cells) == len(review.cells) - 1
    assert key[2] not in after.labels[key[0]]
    painted = after.labels[key[0]][0].copy()
    free = np.argwhere(painted[0, :-8, :-8] == 0)
    y, x = next((y, x) for y, x in free if not painted[0, y : y + 8, x : x + 8].any())
    painted[0, y : y + 8, x : x + 8] = painted.max() + 1
    new = state.add_correction(
        after,
        redraw_cells(after.cells, after.labels[key[0]][0], painted, image_id=key[0], frame=0),
    )
    row = new.cells.iloc[-1]
    assert row["cell"] == painted.max()
    assert row["area_um2"] == pytest.approx(64 * 0.65**2, rel=0.01)
    assert np.isfinite(row[["red", "red_se", "green", "blue", "snr"]].to_numpy(float)).all()
    assert row["treatment"] == review.cells[review.cells["image_id"] == key[0]]["treatment"].iloc[0]
    assert new.outcomes["status"].tolist() == ["applied", "applied"]
    again = state.open_review(new.results)  # what waits for the run is there after a restart
    assert len(again.cells) == len(new.cells)
    back = state.undo(state.undo(new))
    assert np.array_equal(back.labels[key[0]][0], before)
    assert sorted(back.cells["cell"]) == sorted(review.cells["cell"])


def test_the_run_makes_what_was_seen(review):
    merged = state.add_correction(review, merge_clones(review.cells, [1, 2]))
    run(read_json(review.results / "run.json")["experiment"], review.results, workers=1)
    again = state.open_review(review.results)
    assert again.n_waiting == 0
    assert again.cells["clone"].equals(merged.cells["clone"])


def spoil_nothing(folder):
    shutil.rmtree(folder)


def spoil_clones(folder):
    write_table(folder / "cells.parquet", read_table(folder / "cells.parquet").drop(columns="clone"))
    shutil.rmtree(folder / ".parts" / "called")


def spoil_version(folder):
    write_table(folder / "cells.parquet", read_table(folder / "cells.parquet").iloc[1:])


def spoil_review(folder):
    (folder / "review.jsonl").write_text("nonsense\n\n{}\n")


def spoil_model(folder):
    (folder / "clone_model.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (spoil_nothing, "holds no results of rgbtrack"),
        (spoil_clones, "of another version of rgbtrack, or clones are not called yet"),
        (spoil_version, "of other cells than cells.parquet"),
        (spoil_review, "line 1: not JSON"),
        (spoil_model, "clone_model.json"),
    ],
)
def test_what_is_no_whole_result_is_told_in_words(results, spoil, match):
    spoil(results)
    with pytest.raises(DataError, match=match):
        state.open_review(results)


def test_labels_of_another_run_are_told(results):
    name = next(iter(read_json(results / "run.json")["images"]))
    path = results / "labels" / f"{name}.tif"
    shutil.copy(results / "labels" / f"{list(read_json(results / 'run.json')['images'])[1]}.tif", path)
    with pytest.raises(DataError, match="they are not of one run: run it again"):
        scene.load_scene(state.open_review(results), name)


def test_a_correction_that_cannot_be_written_changes_nothing(review):
    (review.results / "review.jsonl").mkdir()
    with pytest.raises(DataError, match="not readable"):
        state.add_correction(review, merge_clones(review.cells, [1, 2]))


def test_an_image_that_moved_away_is_told_and_its_cells_are_shown(results):
    told = read_json(results / "run.json")
    name = next(iter(told["images"]))
    told["images"][name]["paths"] = ["/nowhere/at/all.tif"]
    write_json(results / "run.json", told)
    shown = scene.load_scene(state.open_review(results), name)
    assert "the image itself cannot be shown" in shown.trouble
    assert [made["name"] for _, made, _ in shown.pictures] == ["thumbnail"]
    assert shown.labels.any()


def test_an_unknown_image_is_told(review):
    with pytest.raises(DataError, match="no processed image is named 'x'"):
        scene.load_scene(review, "x")


def test_colours_of_labels(review):
    rgb = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    none = scene.cell_colours(np.array([1, 2, 5]), rgb, np.zeros(3, bool), 5)
    assert none[[0, 1, 2, 5]].tolist() == [[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]]
    some = scene.cell_colours(np.array([1, 2, 5]), rgb, np.array([False, True, False]), 5)
    assert some[[1, 2, 5], 3].tolist() == [scene.FAINT, 1, scene.FAINT]
    assert len(none) > 6  # room for cells that are painted


def test_append_of_somebody_else_is_seen_when_opened_again(review):
    append_correction(review.file, merge_clones(review.cells, [1, 2]))
    assert 2 not in set(state.open_review(review.results).cells["clone"].dropna())
