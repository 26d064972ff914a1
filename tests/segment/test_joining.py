import numpy as np
import pytest

from rgbtrack.segment.joining import join_regions
from rgbtrack.segment.regions import Seams


def chain(n):
    """Regions 1 to n in a row, and what they sum up to."""
    first = np.arange(1, n)
    seams = Seams(first, first + 1, np.ones((n - 1, 3)), np.zeros(n - 1))
    sums = np.zeros((n + 1, 13))
    sums[1:, 0] = 1
    return seams, sums, np.zeros(n + 1)


def join(probability, least=0.5):
    """Join a chain whose seams have these probabilities of their own."""
    seams, sums, peak = chain(len(probability) + 1)
    of_pair = dict(zip(seams.first.tolist(), probability, strict=True))

    def judge(seams, features):
        # the seam of joined regions is that of the ends that meet: the last region before it
        return np.array([of_pair[int(k)] for k in seams.second - 1])

    return join_regions(seams, sums, peak, lambda seams, *_: np.zeros((len(seams.first), 1)), judge, least)


def test_probable_seams_are_joined_and_improbable_ones_are_not():
    root, doubt = join([0.9, 0.1, 0.8])
    assert root.tolist() == [0, 1, 1, 3, 3]
    assert doubt[[1, 3]].tolist() == [0.9, 0.8]


def test_the_least_sure_seam_of_a_cell_is_remembered():
    root, doubt = join([0.9, 0.6])
    assert root.tolist() == [0, 1, 1, 1]
    assert doubt[1] == 0.6


@pytest.mark.parametrize("least", [0.95, 1.0])
def test_nothing_is_joined_below_the_least(least):
    root, doubt = join([0.9, 0.6], least)
    assert root.tolist() == [0, 1, 2, 3]
    assert (doubt == 1).all()


def test_what_is_joined_is_judged_anew():
    seams, sums, peak = chain(3)

    def judge(seams, features):
        return np.where(features[:, 0] > 2, 0.0, 0.9 - 0.1 * (seams.first - 1))

    def describe(seams, sums, peak):
        return (sums[seams.first, 0] + sums[seams.second, 0])[:, None]

    root, _ = join_regions(seams, sums, peak, describe, judge, 0.5)
    assert root.tolist() == [0, 1, 1, 3]  # three together would be too large
