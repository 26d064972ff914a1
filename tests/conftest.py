import pytest

from rgbtrack import CorrectParams, Stack, correct_stack, simulate_scene


@pytest.fixture(scope="session")
def sparse_scene():
    """A sparse, bright field of RGB-marked cells with its truth."""
    return simulate_scene("sparse", seed=3)


def as_markers(scene) -> Stack:
    """The scene's stack with its channels named as markers."""
    return scene.stack.select({"red": "mCherry", "green": "Venus", "blue": "Cerulean"})


@pytest.fixture(scope="session")
def corrected_scene(sparse_scene):
    """The sparse scene, corrected, its bleed-through attached."""
    order = ["mCherry", "Venus", "Cerulean"]
    matrix = sparse_scene.bleed_through.loc[order, order]
    names = ["red", "green", "blue"]
    matrix = matrix.set_axis(names).set_axis(names, axis=1)
    return correct_stack(as_markers(sparse_scene), CorrectParams(), bleed_through=matrix)
