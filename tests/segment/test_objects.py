import numpy as np
import pytest

from rgbtrack.segment.objects import (
    AMONG,
    AMONG_FEATURES,
    DEBRIS,
    FEATURES,
    GAP,
    HAZE,
    UNCELL,
    cell_probability,
    features_among,
    reason,
)


def an_object(**values):
    """Features of one cell of typical size among others, some of them changed."""
    usual = {"fill of the ellipse": 0.97, "strength": 3.0, "strength over the rim": 15.0, "inner radius": 0.6}
    usual |= {name.replace("_", " "): value for name, value in values.items()}
    return np.array([usual.get(name, 0.0) for name in FEATURES])


@pytest.mark.parametrize(
    ("values", "why"),
    [
        pytest.param({"size": np.log(0.01)}, DEBRIS, id="speck"),
        pytest.param({"size": np.log(0.02), "cut_by_the_image": 1}, DEBRIS, id="speck at the border"),
        pytest.param({"strength_of_the_rim": 2.9}, HAZE, id="no edge"),
        pytest.param(
            {"share_of_the_outline_that_touches_others": 0.8, "strength_over_the_neighbours": -3.0},
            GAP,
            id="dark between cells",
        ),
        pytest.param({}, UNCELL, id="none of these"),
    ],
)
def test_reasons(values, why):
    assert reason(an_object(**values)[None], 0.1).tolist() == [why]


def test_half_a_cell_at_the_border_is_no_debris():
    cut = an_object(size=np.log(0.05), cut_by_the_image=1)
    whole = an_object(size=np.log(0.05))
    assert reason(np.stack([cut, whole]), 0.1).tolist() == [UNCELL, DEBRIS]


def test_objects_are_compared_with_those_that_are_probably_cells():
    cells, specks = [an_object(strength=3.0)] * 5, [an_object(strength=1.0)] * 20
    features = np.stack(cells + specks)
    among = features_among(features, np.r_[np.full(5, 0.99), np.full(20, 1e-4)])
    assert among.shape == (25, len(FEATURES) + len(AMONG_FEATURES))
    strength = len(FEATURES) + 1 + AMONG.index("strength")
    assert among[:5, strength] == pytest.approx(0)
    assert among[5:, strength] == pytest.approx(-2)


def test_where_nothing_looks_like_a_cell_objects_are_compared_with_each_other():
    features = np.stack([an_object(strength=s) for s in (1.0, 2.0, 3.0)])
    among = features_among(features, np.zeros(3))
    assert among[1, len(FEATURES) + 1 + AMONG.index("strength")] == pytest.approx(0)
    assert np.isfinite(among).all()


@pytest.mark.parametrize("kind", ["objects", "volume_objects"])
def test_probabilities_do_not_hang_on_the_order(kind):
    rng = np.random.default_rng(0)
    features = np.stack([an_object(size=rng.normal(0, 0.3), strength=rng.normal(3, 0.5)) for _ in range(9)])
    order = rng.permutation(9)
    answer = cell_probability(features, kind)
    assert ((answer >= 0) & (answer <= 1)).all()
    np.testing.assert_allclose(cell_probability(features[order], kind), answer[order])
    assert cell_probability(features[:0], kind).shape == (0,)
