import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from rgbtrack import DataError, LesionParams, ParamError, RgbtrackWarning, call_clonality, find_lesions
from rgbtrack.dynamics.linkage import linked
from rgbtrack.simulate import simulate_lesions
from rgbtrack.tables import LESION_CLONES, LESIONS

SAMPLE = {"subject": "m1", "treatment": "vehicle", "timepoint": 28.0, "site": "lung"}


def row_of(x_um, clone=1, image_id="a", **more):
    """Cells on a line."""
    cells = pd.DataFrame({"image_id": image_id, "frame": 0, "y_um": 0.0, "x_um": np.asarray(x_um, float)})
    clone = pd.array(np.broadcast_to(np.asarray(clone, object), len(cells)), dtype="Int64")
    return cells.assign(clone=clone, **SAMPLE, **more)


def lesions_of(*compositions, probability=0.99, backdrop=200):
    """Lesions with so many cells of each clone, and a primary tumour of all clones."""
    clones = sorted({clone for counts in compositions for clone in counts})
    parts = [row_of(np.zeros(backdrop), c, "primary", lesion=pd.NA).assign(site="primary") for c in clones]
    for number, counts in enumerate(compositions, start=1):
        clone = np.repeat(list(counts), list(counts.values()))
        parts.append(row_of(100.0 * number + np.arange(len(clone)), clone, lesion=number))
    cells = pd.concat(parts, ignore_index=True).assign(clone_probability=probability)
    return find_lesions(cells, masks="lesion")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([2, 3]), st.floats(0.3, 5))
def test_linkage_is_that_of_all_pairs(seed, d, distance):
    places = np.random.default_rng(seed).uniform(0, 20, (120, d))
    pairs = cKDTree(places).query_pairs(distance, output_type="ndarray")
    n, wanted = connected_components(coo_matrix((np.ones(len(pairs)), pairs.T), shape=(120, 120)))
    found = linked(places, distance)
    assert len(set(zip(found, wanted, strict=True))) == n == found.max() + 1


def test_lesions_by_distance_largest_first():
    cells = row_of([0, 10, 20, 300, 310, 320, 330, 900], area_um2=np.pi / 4 * 100)
    found, lesions = find_lesions(cells)
    assert found["lesion"].tolist()[:7] == [2, 2, 2, 1, 1, 1, 1]
    assert found["lesion"].isna().tolist()[7]
    LESIONS.check(lesions)
    assert lesions["distance_um"].iloc[0] == pytest.approx(20)
    assert lesions["n_cells"].tolist() == [4, 3]
    assert lesions["extent_um"].tolist() == pytest.approx([30, 20])
    assert lesions["x_um"].tolist() == pytest.approx([315, 10])
    assert lesions["area_um2"].tolist() == pytest.approx([4 * 78.54, 3 * 78.54], rel=1e-3)


def test_distance_comes_from_spacing_without_areas():
    x = np.concatenate([np.arange(0, 200, 7.0), [1000, 1400, 1900]])
    assert find_lesions(row_of(x)).lesions["distance_um"].tolist() == [14.0]


def test_depth_keeps_cells_apart():
    cells = row_of([0, 5, 10, 0, 5, 10], z_um=[0, 0, 0, 90, 90, 90])
    assert find_lesions(cells, LesionParams(distance_um=10)).lesions["n_cells"].tolist() == [3, 3]


def test_clusters_of_two_circulating_cells():
    lesions = find_lesions(row_of([0, 10, 500]), LesionParams(distance_um=15, min_cells=2)).lesions
    assert lesions["n_cells"].tolist() == [2]


def test_masks_group_cells_and_images_do_not_mix():
    mask = np.zeros((50, 50), int)
    mask[:, :20] = 7
    cells = pd.concat([row_of([2, 4, 6, 60], image_id="a"), row_of([2, 4, 6], image_id="b")])
    found, lesions = find_lesions(cells, masks={"a": mask, "b": mask}, pixel_size_um=2.0)
    assert found["lesion"].tolist()[:3] == [1, 1, 1]
    assert lesions["image_id"].tolist() == ["a", "b"]
    assert lesions["distance_um"].isna().all()


def test_masks_that_do_not_match_are_refused():
    cells = row_of([2, 4, 600])
    with pytest.raises(DataError, match="covers 20 x 20 um, but 1 of its 3 cells lie outside"):
        find_lesions(cells, masks={"a": np.ones((10, 10), int)}, pixel_size_um=2.0)
    with pytest.raises(DataError, match="no lesion mask for image 'a'"):
        find_lesions(cells, masks={"b": np.ones((10, 10), int)}, pixel_size_um=2.0)
    with pytest.raises(DataError, match=r"has shape \(4,\)"):
        find_lesions(cells, masks={"a": np.ones(4, int)}, pixel_size_um=2.0)
    with pytest.raises(ParamError, match="need pixel_size_um"):
        find_lesions(cells, masks={"a": np.ones((10, 10), int)})
    with pytest.raises(DataError, match="no column 'roi'"):
        find_lesions(cells, masks="roi")


def test_bad_positions():
    with pytest.raises(DataError, match="lacks columns y_um, x_um"):
        find_lesions(row_of([1]).drop(columns=["y_um", "x_um"]))
    with pytest.warns(RgbtrackWarning, match="1 cells have no position"):
        found = find_lesions(row_of([0, 5, 10, np.nan]), LesionParams(distance_um=10))
    assert found.cells["lesion"].tolist()[:3] == [1, 1, 1]


@pytest.mark.parametrize("x", [[], [5.0]])
def test_no_cell_and_one_cell(x):
    found, lesions = find_lesions(row_of(x))
    assert lesions.empty
    assert found["lesion"].isna().all()
    called = call_clonality(found.assign(clone_probability=0.9), lesions)
    assert called.lesions.empty
    assert called.clones.empty


def test_a_time_series_is_grouped_once():
    cells = pd.concat([row_of([0, 5, 10]), row_of([0, 5, 10]).assign(frame=1)])
    with pytest.warns(RgbtrackWarning, match="1 images are time series"):
        found, lesions = find_lesions(cells, LesionParams(distance_um=10))
    assert lesions["n_cells"].tolist() == [3]
    assert found["lesion"].isna().tolist() == [False] * 3 + [True] * 3


def test_unassigned_lesions_are_undecided():
    found, lesions = find_lesions(row_of([0, 5, 10, 15], clone=None), LesionParams(distance_um=10))
    called = call_clonality(found.assign(clone_probability=np.nan), lesions).lesions
    assert called["clonality"].tolist() == ["undecided"]
    assert called[["p_value", "q_value", "power"]].isna().all(axis=None)
    assert called["clone"].isna().all()


def test_clear_cases():
    cells, lesions = lesions_of({1: 40}, {1: 20, 2: 20}, {1: 39, 2: 1}, {1: 2, 2: 1}, {3: 30, 4: 10})
    called, clones = call_clonality(cells, lesions)
    of = called.set_index("n_cells")["clonality"]
    assert called["clonality"].tolist().count("polyclonal") == 2
    assert of[3] == "undecided"
    assert called.loc[called["second_cells"] <= 1, "p_value"].eq(1).all()
    LESION_CLONES.check(clones)
    poly = called[called["clonality"] == "polyclonal"]
    assert poly["n_colours"].tolist() == [2, 2]
    assert poly["segregation"].min() > 0.5  # planted side by side
    assert clones.groupby(["image_id", "lesion"])["fraction"].sum().tolist() == pytest.approx([1] * 5)


def test_what_the_matrix_explains_is_not_a_second_clone():
    cells, lesions = lesions_of({1: 34, 2: 6}, {1: 34, 3: 6})
    matrix = pd.DataFrame(np.eye(3), [1, 2, 3], [1, 2, 3])
    matrix.loc[1] = [0.85, 0.15, 0.0]
    called, clones = call_clonality(cells, lesions, confusion=matrix)
    called = called.set_index("second_clone")["clonality"]
    assert called.to_dict() == {2: "monoclonal", 3: "polyclonal"}
    assert clones.set_index(["clone", "lesion"])["present"][3].tolist() == [True]
    counts = call_clonality(cells, lesions, confusion=matrix * 1000).lesions
    assert counts["clonality"].tolist() == ["monoclonal", "polyclonal"]


def test_both_colours_must_exceed_misassignment():
    cells, lesions = lesions_of({1: 20, 2: 12})
    matrix = pd.DataFrame([[0.99, 0.01], [0.6, 0.4]], [1, 2], [1, 2])  # clone 2 is mostly called 1
    assert call_clonality(cells, lesions, confusion=matrix).lesions["p_value"].iloc[0] > 0.1


def test_colour_alone_is_preferred_and_doublets_do_not_count():
    cells, lesions = lesions_of({1: 20, 2: 10})
    cells["colour_clone"] = cells["clone"].where(cells["lesion"].isna(), 1)
    called = call_clonality(cells.assign(colour_probability=0.99), lesions).lesions
    assert called["clone_by"].tolist() == ["colour_clone"]
    assert called["second_cells"].tolist() == [0]
    doublets = cells.drop(columns="colour_clone").assign(doublet=cells["clone"] == 2)
    assert call_clonality(doublets, lesions).lesions["n_assigned"].tolist() == [20]


def test_the_founder_factor_of_probabilities_is_no_misassignment():
    cells, lesions = lesions_of({1: 30, 2: 10})
    rng = np.random.default_rng(0)
    cells["clone_probability"] = np.where(cells["clone"] == 2, 0.7, 0.98) * rng.uniform(0.997, 1, len(cells))
    assert call_clonality(cells, lesions).lesions["clonality"].tolist() == ["polyclonal"]


def test_without_probabilities_a_rate_is_assumed_aloud():
    cells, lesions = lesions_of({1: 40}, {1: 30, 2: 10})
    with pytest.warns(RgbtrackWarning, match="10% of the calls of every clone are taken as wrong"):
        call_clonality(cells.drop(columns="clone_probability"), lesions)


def test_bad_matrices_and_tables_are_refused():
    cells, lesions = lesions_of({1: 40, 2: 3})
    with pytest.raises(DataError, match="lacks 1 clones that cells are called for, as 2"):
        call_clonality(cells, lesions, confusion=pd.DataFrame([[1.0]], [1], [1]))
    with pytest.raises(DataError, match="blanks, negative numbers or a row of zeros"):
        call_clonality(cells, lesions, confusion=pd.DataFrame(np.zeros((2, 2)), [1, 2], [1, 2]))
    with pytest.raises(DataError, match="no column lesion"):
        call_clonality(cells.drop(columns="lesion"), lesions)


@pytest.mark.parametrize("known", [True, False])
def test_planted_lesions(known):
    """False calls stay below 5 %, most planted lesions are found, and the stated power is the true one."""
    parts = []
    for seed in range(2):
        scene = simulate_lesions(subjects=3, lesions=(20, 20), founders=(1.0, 1.0), seed=seed)
        cells, lesions = find_lesions(scene.cells)
        lung = lesions[lesions["site"] == "lung"]
        called = call_clonality(cells, lung, confusion=scene.confusion if known else None).lesions
        inside = cells[cells["lesion"].notna() & (cells["site"] == "lung")]
        true = inside.groupby(["image_id", "lesion"])["true_lesion"].agg(["first", "nunique"]).reset_index()
        assert (true["nunique"] == 1).all()
        truth = scene.lesions.rename(columns={"true_lesion": "first", "n_colours": "true"})
        both = called.merge(true, on=["image_id", "lesion"])
        parts.append(both.merge(truth[["image_id", "first", "true"]], on=["image_id", "first"]))
    of = pd.concat(parts)
    one, more = of[of["true"] == 1], of[of["true"] > 1]
    assert (one["p_value"] <= 0.05).mean() <= 0.05
    assert (one["clonality"] == "polyclonal").mean() <= 0.02
    large = more[more["n_assigned"] >= 15]
    assert (large["clonality"] == "polyclonal").mean() > (0.88 if known else 0.78)
    assert large["power"].mean() == pytest.approx((large["p_value"] <= 0.05).mean(), abs=0.12)


def test_optimistic_probabilities_are_corrected_by_the_lesions():
    """Where most lesions of a clone hold the same tenth of another, that tenth is misassignment."""
    rng = np.random.default_rng(0)
    counts = [{1: 40 - n, 2: n} for n in rng.binomial(38, 0.12, 20) + 1]
    cells, lesions = lesions_of(*counts, probability=0.995)
    called = call_clonality(cells, lesions).lesions
    assert (called["clonality"] == "polyclonal").mean() <= 0.25


def test_simulated_lesions():
    scene = simulate_lesions(n_clones=5, subjects=2, seed=3)
    pd.testing.assert_frame_equal(scene.cells, simulate_lesions(n_clones=5, subjects=2, seed=3).cells)
    assert scene.confusion.sum(axis=1).tolist() == pytest.approx([1] * 5)
    wrong = scene.cells["colour_clone"] != scene.cells["true_clone"]
    assert wrong.mean() == pytest.approx(1 - scene.cells["colour_probability"].mean(), abs=0.02)
    assert set(scene.samples["site"]) == {"primary", "blood", "lung"}
    with pytest.raises(ParamError, match="n_clones is 1"):
        simulate_lesions(n_clones=1)
    assert simulate_lesions(lesions=(0, 0), subjects=1).lesions.empty
