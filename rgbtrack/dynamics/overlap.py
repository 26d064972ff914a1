"""Clones that two sites of a subject share, and what counting so few cells can tell of it."""

import numpy as np
import pandas as pd

from rgbtrack.dynamics.lesion_params import LesionParams
from rgbtrack.dynamics.linkage import Floats, Ints
from rgbtrack.dynamics.plain import plain
from rgbtrack.errors import DataError
from rgbtrack.tables import CLONE_SIZES, CLONES, SITE_OVERLAP

_LIKELY_ONE = 1.5  # founders expected of a colour


def site_overlap(
    sizes: pd.DataFrame,
    params: LesionParams = LesionParams(),  # noqa: B008
    *,
    clones: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compare the clones of every two sites of each subject.

    Parameters
    ----------
    sizes
        Clone sizes; the last timepoint with cells of each subject and site counts.
    params
        Level, draws and seed of the reference.
    clones
        The clone table: shared colours that are probably one founder are counted apart.

    Returns
    -------
    overlap
        One row per subject and pair of sites; see `tables.SITE_OVERLAP`. Sites without cells are left out.

    Raises
    ------
    DataError
        If columns are missing, or there is one site only.

    Notes
    -----
    Morisita-Horn: ``2 sum p q / (sum p^2 + sum q^2)`` (Horn, American Naturalist 100 (1966) 419). The
    reference draws both sites anew, each with as many cells as it has, from the shares of both together: what
    two samples of one population look like. A clone of 1 % is missed in 50 cells in 60 % of draws, so few
    shared clones tell little; ``jaccard_low`` and ``n_absent_expected`` say how little. The reference knows
    counting only: clones that grow in patches, or as lesions, differ more than it expects.
    """
    table = last_counts(sizes)
    if table["site"].nunique() < 2:
        found = ", ".join(map(str, table["site"].unique())) or "none with cells"
        raise DataError(
            f"overlap needs two sites with cells, found {found}: give clone sizes of several sites"
        )
    one = _unique(clones)
    rng = np.random.default_rng([params.seed, 2])
    rows = []
    for (subject, treatment), own in table.groupby(["subject", "treatment"], sort=True):
        counts = own.pivot_table("n_cells", "clone", "site", aggfunc="sum", fill_value=0)
        times = own.groupby("site")["timepoint"].first()
        sites = sorted(counts.columns, key=lambda name: (name != "primary", str(name)))
        for k, site in enumerate(sites):
            for other in sites[k + 1 :]:
                a, b = counts[site].to_numpy(dtype=np.int64), counts[other].to_numpy(dtype=np.int64)
                both = counts.index[(a > 0) & (b > 0)]
                rows.append(
                    {"subject": subject, "treatment": treatment, "site": site, "other_site": other}
                    | {"timepoint": times[site], "other_timepoint": times[other]}
                    | {"n_shared_unique": pd.NA if one is None else int(one.reindex(both).eq(True).sum())}
                    | _pair(a, b, params, rng)
                )
    overlap = pd.DataFrame(rows, columns=[column.name for column in SITE_OVERLAP.columns])
    return SITE_OVERLAP.check(overlap.astype({"n_shared_unique": "Int64"}))


def last_counts(sizes: pd.DataFrame) -> pd.DataFrame:
    """Clone sizes of the last timepoint with cells of each subject and site."""
    sizes = plain(sizes)
    CLONE_SIZES.check(sizes, need=["clone", "subject", "treatment", "timepoint", "n_cells"])
    place = ["subject", "treatment", "site"]
    total = sizes.groupby([*place, "timepoint"])["n_cells"].transform("sum")
    there = sizes[total > 0]
    return there[there["timepoint"] == there.groupby(place)["timepoint"].transform("max")]


def morisita_horn(a: Floats | Ints, b: Floats | Ints) -> Floats:
    """Likeness of counts or shares along the last axis; NaN where a side is empty."""
    p = a / np.maximum(a.sum(axis=-1, keepdims=True), 1e-300)
    q = b / np.maximum(b.sum(axis=-1, keepdims=True), 1e-300)
    total = np.square(p).sum(axis=-1) + np.square(q).sum(axis=-1)
    return np.asarray(2 * (p * q).sum(axis=-1) / np.where(total > 0, total, np.nan))


def _jaccard(a: Floats | Ints, b: Floats | Ints) -> Floats:
    either = ((a > 0) | (b > 0)).sum(axis=-1)
    return np.asarray(((a > 0) & (b > 0)).sum(axis=-1) / np.maximum(either, 1))


def _pair(a: Ints, b: Ints, params: LesionParams, rng: np.random.Generator) -> dict[str, float]:
    n, m = int(a.sum()), int(b.sum())
    pooled = (a + b) / (n + m)
    drawn = rng.multinomial(n, pooled, params.null_draws), rng.multinomial(m, pooled, params.null_draws)
    ends = ((1 - params.level) / 2, (1 + params.level) / 2)
    told: dict[str, float] = {"n_cells": n, "other_cells": m}
    told |= {"n_clones": int((a > 0).sum()), "other_clones": int((b > 0).sum())}
    told |= {"n_shared": int(((a > 0) & (b > 0)).sum()), "n_absent": int(((a > 0) & (b == 0)).sum())}
    for name, of in (("jaccard", _jaccard), ("morisita_horn", morisita_horn)):
        null = of(*drawn)
        told |= {name: float(of(a, b)), f"{name}_expected": float(null.mean())}
        told |= dict(zip((f"{name}_low", f"{name}_high"), np.quantile(null, ends).tolist(), strict=True))
    below = (null <= told["morisita_horn"] + 1e-12).sum()
    told["p_value"] = float((below + 1) / (params.null_draws + 1))
    told["n_absent_expected"] = float(((drawn[0] > 0) & (drawn[1] == 0)).sum(axis=1).mean())
    told["detectable_share"] = 1 - 0.05 ** (1 / m)
    return told


def _unique(clones: pd.DataFrame | None) -> pd.Series | None:
    """Whether each clone is one founder as likely as not."""
    if clones is None or "expected_founders" not in clones.columns:
        return None
    CLONES.check(clones, need=["clone"])
    return pd.Series((clones["expected_founders"] < _LIKELY_ONE).to_numpy(), index=clones["clone"].to_numpy())
