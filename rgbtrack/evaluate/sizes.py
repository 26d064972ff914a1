"""Clone sizes found beside those planted."""

from pathlib import Path

import pandas as pd

from rgbtrack.evaluate.results import name_clones
from rgbtrack.files import read_table
from rgbtrack.tables import CLONE_SIZES

SAMPLE = ["subject", "treatment", "timepoint", "site"]


def compare_sizes(results: str | Path, truth: str | Path) -> pd.DataFrame:
    """Set the clone sizes of a results folder beside the planted ones.

    Parameters
    ----------
    results
        A results folder.
    truth
        Folder of the truth, as `evaluate_results` takes it, with ``clone_sizes.csv`` too.

    Returns
    -------
    sizes
        The rows of ``clone_sizes.csv`` of the results, and ``true_clone`` (the planted clone that it stands
        for; missing for a spurious one), ``true_cells`` (its cells in these images), ``true_fraction`` (its
        share of them) and ``true_share`` (its share of the sample that the images are of).

    Raises
    ------
    DataError
        If a folder lacks a file, or no image is in both.
    """
    results, truth = Path(results), Path(truth)
    sizes = CLONE_SIZES.check(read_table(results / "clone_sizes.csv"))
    planted = read_table(truth / "clone_sizes.csv").rename(
        columns={"clone": "true_clone", "n_cells": "true_cells"}
    )
    total = planted.groupby(SAMPLE)["true_cells"].transform("sum")
    planted["true_fraction"] = planted["true_cells"] / total.where(total > 0)
    sizes["true_clone"] = sizes["clone"].map(name_clones(results, truth)).astype("Int64")
    told = [*SAMPLE, "true_clone", "true_cells", "true_fraction", "true_share"]
    return sizes.merge(planted[told].astype({"true_clone": "Int64"}), on=[*SAMPLE, "true_clone"], how="left")
