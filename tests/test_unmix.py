import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, correct_stack, measure_signatures, simulate_scene
from rgbtrack.simulate import PRESETS
from rgbtrack.unmix import bleed_through_blind, bleed_through_from_controls

NAMES = ("red", "green", "blue")
TRUE = np.array([[1, 0.05, 0.01], [0.03, 1, 0.2], [0, 0.05, 1]])
OFF = ~np.eye(3, dtype=bool)
LEAKS = OFF & (TRUE > 0.04)  # nearer to 0 an estimate is cut off at 0


def detect(light, rng, *, offset=0.0, read=8.0):
    """Table of cells from the light of each detector (n, m): photon and read noise, their errors known."""
    se = np.sqrt(np.maximum(light, 0) + read**2)
    raw = light + offset + rng.normal(0, se)
    table = pd.DataFrame(raw, columns=[f"{name}_raw" for name in NAMES])
    return table.assign(**{f"{name}_se": se[:, j] for j, name in enumerate(NAMES)})


def control(p, rng, *, n=300, bright=800.0, unlabelled=0.0, strangers=0.0, offset=0.0, spread=0.5, true=TRUE):
    """Cells of one control; strangers are grey debris and cells of another colour."""
    own = np.zeros((n, 3))
    own[:, p] = rng.lognormal(np.log(bright), spread, n) * (rng.random(n) >= unlabelled)
    odd = rng.random(n) < strangers
    own[odd] = rng.uniform(0, 0.7 * bright, (int(odd.sum()), 3))
    return detect(own @ true.T, rng, offset=offset)


def controls(seed, **how):
    rng = np.random.default_rng(seed)
    return {name: control(p, rng, **how) for p, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"unlabelled": 0.5},
        {"offset": 30.0},
        {"strangers": 0.15, "unlabelled": 0.2, "offset": -20.0},
        {"bright": 150.0},
    ],
    ids=["clean", "unlabelled", "offset", "all", "dim"],
)
def test_controls_give_the_matrix_and_its_errors(how):
    pulls = []
    for seed in range(60):
        found = bleed_through_from_controls(controls(seed, **how), NAMES)
        if how.get("bright", 800) > 500:
            assert np.abs(found.matrix.to_numpy() - TRUE).max() < 0.012
        pulls.append(((found.matrix - TRUE) / found.se).to_numpy()[LEAKS])
    pulls = np.concatenate(pulls)
    assert 0.88 < np.sqrt(np.mean(pulls**2)) < 1.12
    assert abs(pulls.mean()) < 0.3


def test_errors_in_the_own_detector_do_not_flatten_the_slope():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        tables = {name: control(p, rng, bright=100.0) for p, name in enumerate(NAMES)}
        for table in tables.values():  # as noisy as a third of its signal
            for name in NAMES:
                table[f"{name}_raw"] += rng.normal(0, 30, len(table))
                table[f"{name}_se"] = np.hypot(table[f"{name}_se"], 30)
        tables["blue"] = tables["blue"][tables["blue"]["blue_raw"] > 0]
        found.append(bleed_through_from_controls(tables, NAMES).matrix.loc["green", "blue"])
    assert np.mean(found) == pytest.approx(0.2, abs=3 * np.std(found) / np.sqrt(40) + 0.01)


def test_several_images_have_backgrounds_of_their_own():
    rng = np.random.default_rng(3)
    tables = controls(3)
    tables["blue"] = pd.concat(
        [control(2, rng, n=80, offset=level).assign(image_id=f"i{level}") for level in (-40, 0, 60)],
        ignore_index=True,
    )
    found = bleed_through_from_controls(tables, NAMES)
    assert found.matrix.loc["green", "blue"] == pytest.approx(0.2, abs=0.01)


def test_saturated_cells_and_doublets_are_left_out():
    tables = controls(4)
    blue = tables["blue"].copy()
    top = blue["blue_raw"].quantile(0.6)
    clipped = blue["blue_raw"] > top
    blue["blue_raw"] = blue["blue_raw"].clip(upper=top)
    tables["blue"] = blue.assign(saturated=clipped, doublet=False)
    found = bleed_through_from_controls(tables, NAMES)
    assert found.matrix.loc["green", "blue"] == pytest.approx(0.2, abs=0.01)
    assert found.n_cells["blue"] < found.n_cells["red"]


def test_a_matrix_that_is_not_needed_is_the_identity():
    found = bleed_through_from_controls(controls(5, true=np.eye(3)), NAMES)
    assert not found.needed
    assert found.matrix.to_numpy() == pytest.approx(np.eye(3), abs=0.01)
    assert "none is undone" in found.reason
    assert bleed_through_from_controls(controls(5), NAMES).needed


def test_marker_order_and_detector_gains_change_what_they_should():
    tables = controls(6)
    one = bleed_through_from_controls(tables, NAMES)
    turned = bleed_through_from_controls(tables, NAMES[::-1])
    pd.testing.assert_frame_equal(turned.matrix.loc[list(NAMES), list(NAMES)], one.matrix)
    louder = {
        name: table.assign(green_raw=4 * table["green_raw"], green_se=4 * table["green_se"])
        for name, table in tables.items()
    }
    loud = bleed_through_from_controls(louder, NAMES)
    assert loud.matrix.loc["green", "blue"] == pytest.approx(4 * one.matrix.loc["green", "blue"], rel=1e-4)


def test_a_detector_of_high_gain_makes_no_control_mislabelled():
    tables = {
        name: table.assign(green_raw=8 * table["green_raw"], green_se=8 * table["green_se"])
        for name, table in controls(7).items()
    }
    found = bleed_through_from_controls(tables, NAMES)
    assert found.matrix.loc["green", "blue"] == pytest.approx(1.6, abs=0.06)


def test_controls_that_tell_nothing_are_refused():
    tables = controls(8)
    rng = np.random.default_rng(8)

    def refuse(message, **changes):
        with pytest.raises(DataError, match=message):
            bleed_through_from_controls(tables | changes, NAMES)

    refuse(r"control of blue: 0 of 300 cells stand out", blue=control(2, rng, bright=1e-3))
    refuse(r"control of blue: 0 of 0 cells stand out", blue=tables["blue"].iloc[:0])
    refuse(
        r"control of blue: \d+ of 300 cells stand out .* check the label", blue=control(2, rng, bright=9.0)
    )
    refuse(
        r"control of blue: cells too dim, or too evenly bright",
        blue=control(2, rng, n=40, bright=120.0, spread=0),
    )
    refuse(r"brightest in the detector of green .* seems mislabelled", blue=tables["green"])
    refuse(r"control of 'pink', which is no marker", pink=tables["red"])
    refuse(r"control of red: cells table lacks column", red=tables["red"].drop(columns="red_se"))
    with pytest.raises(DataError, match="no control of red: give one image or more"):
        bleed_through_from_controls({name: tables[name] for name in NAMES[1:]}, NAMES)
    swapped = tables | {"red": tables["green"], "green": tables["red"]}
    with pytest.raises(
        DataError, match=r"red is brightest in the detector of green[\s\S]*green is brightest in"
    ):
        bleed_through_from_controls(swapped, NAMES)


def test_two_proteins_that_look_alike_are_refused():
    alike = np.array([[1, 0, 0], [0, 1, 0.99], [0, 0.99, 1]])
    with pytest.raises(DataError, match="controls of green and blue look the same"):
        bleed_through_from_controls(controls(9, true=alike), NAMES)


# ---- blind

CLONES = np.array(
    [
        [1, 0, 0],
        [0.4, 0, 0],
        [0, 1.2, 0],
        [0, 0, 1],
        [0, 0, 0.5],
        [1, 0.5, 0],
        [0.3, 0.9, 0],
        [0.8, 0, 0.8],
        [0, 0.6, 1],
        [0.6, 0.4, 1],
    ]
)


def mixed(seed, *, clones=CLONES, n=1200, true=TRUE, images=3, drift=0.0, bright=2000.0):
    """Cells of clones of many colours, in images whose gains drift."""
    rng = np.random.default_rng(seed)
    tables = []
    for i in range(images):
        clone = rng.integers(0, len(clones), n // images)
        size = (len(clone), 3)
        expression = clones[clone] * np.exp(rng.normal(0, 0.4, (len(clone), 1)) + rng.normal(0, 0.12, size))
        gains = np.exp(rng.normal(0, drift, 3))
        cells = detect(bright * expression @ true.T * gains, rng)
        tables.append(cells.assign(image_id=f"i{i}", **{name: cells[f"{name}_raw"] for name in NAMES}))
    return pd.concat(tables, ignore_index=True)


@pytest.mark.parametrize("true", [TRUE, np.eye(3)], ids=["leaks", "none"])
def test_clones_that_lack_a_marker_give_the_matrix(true):
    for seed in range(3):
        found = bleed_through_blind(mixed(seed, true=true))
        assert not found.reasons
        assert np.abs(found.matrix - true).to_numpy().max() < 0.01
        pulls = (found.matrix - true).to_numpy()[OFF] / found.se.to_numpy()[OFF]
        assert np.abs(pulls).max() < 4
        assert found.needed == bool(true[OFF].any())


def test_gains_that_drift_move_the_matrix_no_further_than_they_must():
    off = []
    for seed in range(4):
        found = bleed_through_blind(mixed(seed, images=8, n=1600, drift=0.1))
        off.append((found.matrix - TRUE).to_numpy()[LEAKS] / found.se.to_numpy()[LEAKS])
        assert not found.reasons
        assert abs(found.matrix.loc["green", "blue"] - 0.2) < 0.03
    assert np.sqrt(np.mean(np.square(off))) < 2


def test_what_the_cells_cannot_tell_is_said_and_left_alone():
    lacking = CLONES[CLONES[:, 1] > 0]  # every clone carries green
    found = bleed_through_blind(mixed(0, clones=lacking))
    assert {("green", "red"), ("green", "blue")} <= set(found.reasons)
    assert found.matrix.loc["green", ["red", "blue"]].to_list() == [0, 0]
    assert found.se.loc["green", ["red", "blue"]].isna().all()
    assert "blue into green not known: " in found.reason
    assert ("red", "green") in found.reasons or abs(found.matrix.loc["red", "green"] - 0.05) < 0.02


def test_a_clone_of_two_proteins_is_not_taken_for_a_leak():
    two = np.array([[1, 0, 0], [0.5, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0.35, 1], [0.6, 0.35, 1]])
    for seed in range(3):
        found = bleed_through_blind(mixed(seed, clones=two))
        leak = found.matrix.loc["green", "blue"]
        assert ("green", "blue") in found.reasons or abs(leak - 0.2) < 0.03


def test_few_cells_tell_nothing():
    found = bleed_through_blind(mixed(0, n=24))
    assert len(found.reasons) == 6
    assert not found.needed
    pd.testing.assert_frame_equal(found.matrix, pd.DataFrame(np.eye(3), NAMES, NAMES), check_names=False)
    assert "24 cells stand out of the noise, 30 are needed" in found.reason


def test_cells_of_one_bright_colour_everywhere_are_refused():
    rng = np.random.default_rng(0)
    structure = rng.lognormal(0, 0.4, (600, 3)) * [
        1,
        0.6,
        0.8,
    ]  # every cell has all of them, as ordinary stains
    cells = detect(1500 * structure, rng)
    found = bleed_through_blind(cells.assign(**{name: cells[f"{name}_raw"] for name in NAMES}))
    assert np.abs(found.matrix - np.eye(3)).to_numpy().max() < 0.03


def test_the_order_of_cells_and_markers_changes_nothing():
    cells = mixed(1)
    one = bleed_through_blind(cells)
    shuffled = bleed_through_blind(cells.sample(frac=1, random_state=0))
    assert shuffled.matrix.to_numpy() == pytest.approx(one.matrix.to_numpy(), abs=1e-4)
    turned = bleed_through_blind(cells[cells.columns[::-1]])
    assert list(turned.matrix.columns) == list(NAMES[::-1])
    assert turned.matrix.loc[list(NAMES), list(NAMES)].to_numpy() == pytest.approx(
        one.matrix.to_numpy(), abs=1e-4
    )


def test_a_table_without_errors_is_refused():
    with pytest.raises(DataError, match="2 or more are needed for any to leak"):
        bleed_through_blind(mixed(0)[["red", "green", "blue"]])
    with pytest.raises(DataError, match="lacks column green_raw"):
        bleed_through_blind(mixed(0).drop(columns="green_raw"))


def test_an_edge_of_one_mixed_clone_is_no_leak():
    """Red is in one clone only, with blue and a little green of its own: that looks like a leak."""
    founders = ((0.9, 0.15, 1.2), (0, 1.2, 0), (0, 0, 1.8), (0, 0.6, 1.4), (0, 0, 0.8))
    tables = []
    for seed in range(3):
        params = PRESETS["sparse"].model_copy(update={"founders": founders, "unmarked": 0.0})
        scene = simulate_scene(params, seed=600 + seed)
        stack = scene.stack.select({"red": "mCherry", "green": "Venus", "blue": "Cerulean"})
        tables.append(measure_signatures(correct_stack(stack), scene.labels).assign(image_id=str(seed)))
    found = bleed_through_blind(pd.concat(tables, ignore_index=True))
    assert ("green", "red") in found.reasons
    assert found.matrix.loc["green", "red"] == 0
    assert found.matrix.loc["green", "blue"] == pytest.approx(0.2, abs=0.03)
