"""Events of flow cytometry, called with the clones of images."""

import shutil
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, ParamError, RgbtrackWarning, load_clones, save_clones
from rgbtrack.clones.flow import call_events, events_as_cells
from rgbtrack.files.fcs import read_events
from rgbtrack.pipeline.flow import call_flow

flowio = pytest.importorskip("flowio", reason="the extra rgbtrack[readers] is not installed")
FACTORS = {"red": 37.0, "green": 0.4, "blue": 1200.0}
NAMES = {"red": "mCherry-A", "green": "Venus-A", "blue": "Cerulean-A"}


@pytest.fixture(scope="module")
def model(finished):
    return load_clones(finished / "clone_model.json")


def simulate_events(model, *, seed, n=3000, unmarked=0.4, share=None):
    """Events of the clones in units of a cytometer, and the true clone of each; 0 for none."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(model.n_clones, 3.0)) if share is None else np.asarray(share)
    clone = rng.choice(model.n_clones, n, p=share)
    bright = np.exp(rng.normal(0, 0.35, (n, 1)))
    true = np.maximum(model.colours[clone], 0) * bright * np.exp(rng.normal(0, 0.05, (n, 3)))
    none = rng.random(n) < unmarked
    true[none] = 0
    read = true * np.exp(rng.normal(0, 0.04, true.shape)) + rng.normal(0, 6, true.shape)
    factors = np.array([FACTORS[marker] for marker in model.markers])
    return pd.DataFrame(read * factors, columns=list(model.markers)), np.where(none, 0, clone + 1)


def write_events(path, events, **metadata):
    with path.open("wb") as file:
        values = events.to_numpy(np.float32).ravel().tolist()
        names = [NAMES.get(name, name) for name in events.columns]
        flowio.create_fcs(file, values, names, metadata_dict=metadata)
    return path


@pytest.mark.parametrize("seed", range(3))
def test_planted_clones_come_back_whatever_the_gains(model, seed):
    events, true = simulate_events(model, seed=seed)
    cells, factors = call_events(model, events_as_cells(events))
    called = cells["clone"].fillna(0).to_numpy(int)
    marked = true > 0
    assert (called[marked] == true[marked]).mean() > 0.9
    assert (called[~marked] > 0).mean() < 0.01
    read = factors.set_index("marker")["factor"] * pd.Series(FACTORS)
    assert read.to_numpy() == pytest.approx(1, abs=0.2)
    assert factors["factor_se"].max() < 0.1
    shares = [(called == n).sum() / (called > 0).sum() for n in range(1, model.n_clones + 1)]
    truth = [(true == n).sum() / marked.sum() for n in range(1, model.n_clones + 1)]
    assert shares == pytest.approx(truth, abs=0.05)


def test_a_few_large_clones_among_many_unmarked(model):
    share = np.full(model.n_clones, 0.02)
    share[:2] = 0.5 - 0.01 * (model.n_clones - 2)
    events, true = simulate_events(model, seed=5, unmarked=0.9, share=share)
    cells, _ = call_events(model, events_as_cells(events))
    called = cells["clone"].fillna(0).to_numpy(int)
    assert (called[true > 0] == true[true > 0]).mean() > 0.85
    assert (called[true == 0] > 0).mean() < 0.01


def test_no_events_and_one_event(model):
    events, _ = simulate_events(model, seed=5, n=1)
    for few in (events, events.iloc[:0]):
        cells, factors = call_events(model, events_as_cells(few))
        assert len(cells) == len(few)
        assert factors["factor"].isna().all() or len(few)


def test_units_and_order_of_markers_change_nothing(model):
    events, _ = simulate_events(model, seed=4, n=1500)
    first, _ = call_events(model, events_as_cells(events))
    other, _ = call_events(model, events_as_cells(events[["red", "blue", "green"]] * 8.0))
    assert (first["clone"].fillna(0) == other["clone"].fillna(0)).mean() > 0.995


def test_parameters_are_found_by_name_label_or_part(tmp_path):
    path = tmp_path / "a.fcs"
    values = np.arange(12.0).reshape(3, 4)
    with path.open("wb") as file:
        flowio.create_fcs(
            file,
            values.ravel().tolist(),
            ["FSC-A", "FL1-A", "FL1-H", "FL2-A"],
            ["", "Venus", "Venus", "mCherry"],
        )
    events = read_events(path, {"red": "FL2-A", "green": "venus"})
    assert events["red"].tolist() == [3, 7, 11]
    assert events["green"].tolist() == [1, 5, 9]  # the area, not the height
    with pytest.raises(DataError, match="no parameter is 'Cerulean'; found FSC-A, FL1-A"):
        read_events(path, {"blue": "Cerulean"})
    with pytest.raises(DataError, match="no parameter is '1'"):
        read_events(path, {"blue": "1"})
    with pytest.raises(DataError, match="two markers are of one parameter"):
        read_events(path, {"red": "FL2-A", "blue": "mCherry"})


def test_bleed_through_is_taken_off_as_the_file_tells(tmp_path):
    true = np.array([[100.0, 0.0], [0.0, 50.0], [10.0, 10.0]])
    spill = np.array([[1.0, 0.2], [0.05, 1.0]])
    told = "2,mCherry-A,Venus-A,1,0.2,0.05,1"
    path = write_events(tmp_path / "a.fcs", pd.DataFrame(true @ spill, columns=["red", "green"]), spill=told)
    events = read_events(path, {"red": "mCherry-A", "green": "Venus-A"})
    assert events.to_numpy() == pytest.approx(true, abs=1e-4)


@pytest.mark.parametrize(
    "spoil", [lambda b: b[:100], lambda b: b"not an FCS file" * 50, lambda b: b[: len(b) // 2]]
)
def test_damaged_files_are_refused(tmp_path, model, spoil):
    events, _ = simulate_events(model, seed=1, n=100)
    path = write_events(tmp_path / "a.fcs", events)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match="not readable as FCS"):
        read_events(path, NAMES)


@pytest.fixture
def blood(finished, tmp_path, model):
    results = tmp_path / "results"
    shutil.copytree(finished, results)
    truth = {}
    for subject, seed in (("m1", 1), ("m3", 2)):
        events, true = simulate_events(model, seed=seed, n=1500)
        write_events(tmp_path / f"{subject}.fcs", events)
        truth[subject] = true
    rows = "file,subject,treatment,timepoint\nm1.fcs,m1,vehicle,7\nm3.fcs,m3,isoproterenol,7\n"
    (tmp_path / "blood.csv").write_text(rows)
    return tmp_path, truth


def test_the_command_counts_clones_in_blood(blood, rgbtrack):
    folder, truth = blood
    code, out, err = rgbtrack("flow", folder / "results", folder / "blood.csv")
    assert (code, err) == (0, "")
    assert "m1: 1500 events" in out
    sizes = pd.read_csv(folder / "results" / "flow" / "clone_sizes.csv")
    assert set(sizes["site"]) == {"blood"}
    for subject, true in truth.items():
        of = sizes[sizes["subject"] == subject].set_index("clone")
        expected = pd.Series(true[true > 0]).value_counts(normalize=True)
        assert of["fraction"].reindex(expected.index).to_numpy() == pytest.approx(
            expected.to_numpy(), abs=0.06
        )
    events = pd.read_parquet(folder / "results" / "flow" / "events.parquet")
    assert len(events) == 3000
    assert events["clone"].notna().sum() == sizes["n_cells"].sum()


def test_events_of_no_clone_are_told(blood):
    folder, _ = blood
    rng = np.random.default_rng(0)
    noise = pd.DataFrame(np.abs(rng.normal(0, 50, (300, 3))), columns=list(NAMES))
    write_events(folder / "m1.fcs", noise)
    with pytest.warns(RgbtrackWarning, match=r"m1: (only \d+ of 300 events were called|\d+% of the events)"):
        call_flow(folder / "results", folder / "blood.csv")


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ("file,subject\nm1.fcs,m1\n", "lacks treatment, timepoint"),
        ("file,subject,treatment,timepoint\n", "has no rows"),
        ("file,subject,treatment,timepoint\nm1.fcs,,vehicle,7\n", "row 2: a field is blank"),
        ("file,subject,treatment,timepoint\nm1.fcs,m1,vehicle,day\n", "timepoint should be numbers"),
        ("file,subject,treatment,timepoint\nm1.fcs,m1,v,7\na/m1.fcs,m1,v,8\n", "two files of one name"),
        ("file,subject,treatment,timepoint\nnone.fcs,m1,v,7\n", r"none.fcs: no such file"),
    ],
)
def test_sheets_that_are_refused(blood, rows, match):
    folder, _ = blood
    (folder / "blood.csv").write_text(rows)
    with pytest.raises(DataError, match=match):
        call_flow(folder / "results", folder / "blood.csv")


def test_a_marker_that_the_run_does_not_have(blood):
    folder, _ = blood
    with pytest.raises(ParamError, match="--markers names far_red"):
        call_flow(folder / "results", folder / "blood.csv", {"far_red": "APC-A"})


def test_one_clone_alone_is_warned_of_and_a_batch_helps(blood, model):
    folder, _ = blood
    share = np.zeros(model.n_clones)
    share[1] = 1
    events, true = simulate_events(model, seed=8, n=1500, share=share)
    write_events(folder / "m1.fcs", events)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call_flow(folder / "results", folder / "blood.csv")
    assert any("of the called events are of one clone" in str(one.message) for one in caught)
    sheet = (folder / "blood.csv").read_text().replace("timepoint", "timepoint,batch").replace(",7", ",7,a")
    (folder / "blood.csv").write_text(sheet)
    with pytest.warns(RgbtrackWarning, match="m1: 100% of the called events are of one clone, 2"):
        flow, _ = call_flow(folder / "results", folder / "blood.csv")
    called = flow.events.loc[flow.events["image_id"] == "m1", "clone"].fillna(0).to_numpy(int)
    assert (called[true > 0] == true[true > 0]).mean() > 0.95
    assert flow.gains.groupby("marker")["factor"].nunique().tolist() == [1, 1, 1]


def test_no_clones_no_flow(blood, model):
    folder, _ = blood
    none = replace(model.ordered(np.array([], int)), numbers=None)
    save_clones(folder / "results" / "clone_model.json", none)
    with pytest.raises(DataError, match="the run found no clones"):
        call_flow(folder / "results", folder / "blood.csv")
