"""Lesions counted by clone, as clone sizes are by cells."""

import pandas as pd

from rgbtrack.dynamics.plain import plain
from rgbtrack.dynamics.sizes import SAMPLE
from rgbtrack.tables import CLONE_SIZES, LESION_CLONES, LESIONS


def count_seeds(
    lesion_clones: pd.DataFrame, lesions: pd.DataFrame, sizes: pd.DataFrame, *, source: str = "primary"
) -> pd.DataFrame:
    """Count in how many lesions each clone is, beside its cells at the source.

    A lesion is one seeding of each of its colours, however many cells it grew to; its cells are not
    independent. The table goes where clone sizes go: `site_enrichment`, `site_overlap`.

    Parameters
    ----------
    lesion_clones, lesions
        From `call_clonality`.
    sizes
        Clone sizes; the rows of the source are kept.
    source
        Site that lesions were seeded from.

    Returns
    -------
    sizes
        ``clone``, the sample, and ``n_cells``: cells at the source, **lesions** elsewhere, zeros included.
    """
    LESION_CLONES.check(lesion_clones, need=["image_id", "lesion", "clone", "present"])
    lesions, sizes = plain(lesions), plain(sizes)
    LESIONS.check(lesions, need=["image_id", "lesion", *SAMPLE])
    CLONE_SIZES.check(sizes, need=["clone", "subject", "n_cells"])
    there = sizes.loc[sizes["site"] == source, ["clone", *SAMPLE, "n_cells"]]
    held = lesion_clones.loc[lesion_clones["present"], ["image_id", "lesion", "clone"]]
    held = held.merge(lesions[["image_id", "lesion", *SAMPLE]], on=["image_id", "lesion"])
    n = held.groupby([*SAMPLE, "clone"]).size().rename("n_cells").reset_index()
    clones = pd.DataFrame({"clone": sorted(set(there["clone"]) | set(n["clone"]))})
    every = lesions[SAMPLE].drop_duplicates().merge(clones, how="cross")
    seeds = every.merge(n, how="left", on=[*SAMPLE, "clone"]).fillna({"n_cells": 0})
    both = pd.concat([there, seeds[there.columns]], ignore_index=True)
    return both.astype({"n_cells": "int64"}).sort_values(["clone", *SAMPLE], ignore_index=True)
