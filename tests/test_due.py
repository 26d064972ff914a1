"""What a run would do, and why, told without doing it; whether results are whole."""

import os
import shutil

import pandas as pd
import pytest

from rgbtrack import run
from rgbtrack.errors import DataError, ParamError
from rgbtrack.files import read_json, read_labels, read_table, write_json, write_labels, write_table
from rgbtrack.pipeline import find_due, is_results, verify_results
from rgbtrack.pipeline.alone import alone_in
from rgbtrack.review import append_correction, merge_clones

pytestmark = pytest.mark.usefixtures("quick_runs")
LATER = ["clones", "link", "dynamics", "report"]


@pytest.fixture
def experiment(small_experiment, tmp_path):
    return shutil.copytree(small_experiment, tmp_path / "experiment")


@pytest.fixture
def results(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "results")


def configure(experiment, section, line):
    path = experiment / "experiment.toml"
    text = path.read_text()
    header = f"[{section}]\n"
    text = text.replace(header, header + line + "\n") if header in text else f"{text}\n{header}{line}\n"
    path.write_text(text)


def due(experiment, results):
    return {one.what: list(one.why) for one in find_due(experiment, results)}


def test_nothing_is_due_after_a_run_and_everything_before(experiment, results, tmp_path):
    assert due(experiment, results) == {}
    new = due(experiment, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    images = sorted(path.name.removesuffix(".ome.tif") for path in (experiment / "images").iterdir())
    assert sorted(name for name in new if name.startswith("image ")) == [f"image {name}" for name in images]
    assert new["image vehicle_m1_d0"] == ["not done yet"]
    assert [new[name] for name in LATER] == [["follows"]] * 4


@pytest.mark.parametrize(
    ("section", "line", "images", "first"),
    [
        ("segment", "min_area = 0.2", ["[segment] changed"], "clones"),
        ("signature", "saturated_share = 0.3", ["[signature] changed"], "clones"),
        ("clones", "seed = 5", None, "clones"),
        ("dynamics", "level = 0.9", None, "dynamics"),
        ("report", "max_images = 3", None, "report"),
    ],
)
def test_a_setting_is_named_where_it_matters_first(experiment, results, section, line, images, first):
    configure(experiment, section, line)
    found = due(experiment, results)
    assert found.pop("image vehicle_m1_d0", None) == images
    later = [name for name in found if not name.startswith("image ")]
    assert later == LATER[LATER.index(first) :]
    if images is None:
        why = "settings changed" if first == "report" else f"[{section}] changed"
        assert found[first] == [why]
        assert all(found[name] == ["follows"] for name in later[1:])


def test_an_image_that_changed_is_named_and_no_other(experiment, results):
    images = experiment / "images"
    shutil.copy(images / "vehicle_m1_d0.ome.tif", images / "vehicle_m1_d7.ome.tif")
    found = due(experiment, results)
    assert found["image vehicle_m1_d7"] == ["image changed"]
    assert sum(name.startswith("image ") for name in found) == 1


def test_corrections_by_hand_and_lost_files_are_due(experiment, results):
    (results / "clone_sizes.csv").unlink()
    assert due(experiment, results) == {
        "dynamics": ["its files were changed, or are gone"],
        "report": ["follows"],
    }
    merge = merge_clones(read_table(results / "cells.parquet"), [1, 2])
    append_correction(results / "review.jsonl", merge)
    assert due(experiment, results)["clones"] == ["corrections by hand changed"]


def test_what_is_due_is_what_a_run_does(experiment, results):
    configure(experiment, "dynamics", "level = 0.9")
    before = {path: path.stat().st_mtime_ns for path in results.rglob("*") if path.is_file()}
    assert list(due(experiment, results)) == ["dynamics", "report"]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    run(experiment, results)
    assert due(experiment, results) == {}
    unchanged = ("cells.parquet", "clones.csv", ".parts/vehicle_m1_d0.json", "labels/vehicle_m1_d0.tif")
    assert all((results / name).stat().st_mtime_ns == before[results / name] for name in unchanged)
    assert (results / "clone_sizes.csv").stat().st_mtime_ns > before[results / "clone_sizes.csv"]


def test_the_command_line_tells_what_is_due(rgbtrack, experiment, results):
    code, out, _ = rgbtrack("run", experiment, "--out", results, "--dry-run")
    assert (code, out) == (0, "everything is up to date: a run would do nothing\n")
    configure(experiment, "clones", "seed = 5")
    code, out, _ = rgbtrack("run", experiment, "--out", results, "--dry-run")
    assert out.splitlines() == [
        "clones: [clones] changed",
        "link: follows",
        "dynamics: follows",
        "report: follows",
    ]


def test_a_second_run_into_a_folder_is_told(experiment, results):
    with (
        alone_in(results),
        pytest.raises(ParamError, match=r"another run works in .* \(process \d+ on .*give another"),
    ):
        run(experiment, results)
    run(experiment, results)


def test_what_a_killed_run_left_is_removed(experiment, results):
    torn = [results / ".123.cells.parquet", results / "labels" / ".4567.vehicle_m1_d0.tif"]
    for path in torn:
        path.write_bytes(b"half")
    (results / ".99.new.tracks.geff").mkdir()
    (results / ".hidden").write_text("the user's own")
    assert any("killed" in remark for remark in verify_results(results).remarks)
    run(experiment, results)
    assert not any(path.exists() for path in [*torn, results / ".99.new.tracks.geff"])
    assert (results / ".hidden").exists()


def test_finished_results_are_whole(finished):
    assert is_results(finished)
    found = verify_results(finished)
    assert (found.problems, found.remarks) == ((), ())
    assert found.counts["cells"] == len(read_table(finished / "cells.parquet"))


def lose_a_label(results):
    path = results / "labels" / "vehicle_m1_d0.tif"
    labels = read_labels(path)
    labels[labels == 1] = 0
    write_labels(path, labels)


def lose_a_cell(results):
    path = results / "cells.parquet"
    write_table(path, read_table(path).iloc[1:])


def double_a_cell(results):
    path = results / "cells.parquet"
    cells = read_table(path)
    write_table(path, pd.concat([cells, cells.iloc[:1]]))


def edit_sizes(results):
    path = results / "clone_sizes.csv"
    sizes = read_table(path)
    sizes.loc[0, "n_cells"] += 5
    write_table(path, sizes)


def edit_counts(results):
    told = read_json(results / "run.json")
    told["counts"]["cells"] += 1
    write_json(results / "run.json", told)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_a_label, "image vehicle_m1_d0, frame 0:"),
        (lose_a_label, "labels/vehicle_m1_d0.tif is not as the run wrote it"),
        (lose_a_cell, "cells were measured, cells.parquet holds"),
        (lose_a_cell, "cells.parquet is not as the run wrote it"),
        (double_a_cell, "1 cells are there twice"),
        (edit_sizes, "clone_sizes.csv: sizes sum to"),
        (edit_counts, "cells, .* are told"),
        (lambda results: (results / "clones.csv").unlink(), "clones.csv is gone"),
        (
            lambda results: (results / "labels" / "vehicle_m1_d0.tif").unlink(),
            "labels/vehicle_m1_d0.tif is gone",
        ),
        (lambda results: (results / "review.jsonl").write_text("{nonsense\n{}\n"), "review.jsonl"),
    ],
)
def test_what_is_not_whole_is_named(rgbtrack, results, harm, said):
    harm(results)
    code, _, err = rgbtrack("check", results)
    assert code == 2
    import re

    assert re.search(said, err), err


def test_inputs_that_moved_are_remarked_and_harm_nothing(rgbtrack, results, finished, small_experiment):
    code, out, err = rgbtrack("check", results)
    assert code == 0
    assert "cells add up" in out
    assert not err
    told = read_json(results / "run.json")
    image = told["images"]["vehicle_m1_d0"]
    image["inputs"] = dict.fromkeys(image["inputs"], "another") | {"gone.tif": "x"}
    write_json(results / "run.json", told)
    code, _, err = rgbtrack("check", results)
    assert code == 0
    assert "gone.tif is no longer there" in err
    assert "changed since it was measured" in err


def test_no_results(tmp_path):
    write_json(tmp_path / "run.json", [])
    with pytest.raises(DataError, match="is not what a run writes"):
        verify_results(tmp_path)


def test_images_known_by_size_and_time(experiment, tmp_path):
    configure(experiment, "experiment", 'known_by = "size_and_time"')
    run(experiment / "experiment.toml", tmp_path / "new", workers=1)
    assert due(experiment, tmp_path / "new") == {}
    assert verify_results(tmp_path / "new").remarks == ()
    image = experiment / "images" / "vehicle_m1_d0.ome.tif"
    os.utime(image, (0, 0))
    assert due(experiment, tmp_path / "new")["image vehicle_m1_d0"] == ["image changed"]
    assert len(verify_results(tmp_path / "new").remarks) == 1
