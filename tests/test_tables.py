import pandas as pd
import pytest

from rgbtrack import DataError
from rgbtrack.tables import CELLS, CLONE_SIZES, markers_of


def test_markers_of_keeps_column_order():
    assert markers_of(pd.DataFrame(columns=["blue", "red", "blue_se", "red_se", "area_um2"])) == (
        "blue",
        "red",
    )


def test_all_mistakes_at_once():
    table = pd.DataFrame({"clone": [1], "subject": ["m1"], "n_cells": ["a"]})
    with pytest.raises(DataError) as told:
        CLONE_SIZES.check(table, ["clone", "subject", "n_cells", "treatment"])
    assert "lacks column treatment" in str(told.value)
    assert "n_cells should hold numbers, found 'a'" in str(told.value)


def test_repeated_key_is_named():
    table = pd.DataFrame({"image_id": ["a", "a"], "frame": [0, 0], "cell": [1, 1]})
    with pytest.raises(DataError, match="repeat a key, the first is image_id=a, frame=0, cell=1"):
        CELLS.check(table, ["image_id", "frame", "cell"])
