import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError
from rgbtrack.unmix import bleed_through_from_controls

NAMES = ("red", "green", "blue")
TRUE = np.array([[1, 0.05, 0.01], [0.03, 1, 0.2], [0, 0.05, 1]])
OFF = ~np.eye(3, dtype=bool)


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
        known = OFF & (TRUE > 0.04)  # nearer to 0 the estimate is cut off at 0
        pulls.append(((found.matrix - TRUE) / found.se).to_numpy()[known])
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
    assert "none need be undone" in found.reason
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
