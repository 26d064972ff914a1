"""Real DNA barcodes of two haematopoietic grafts; skipped where the folder is absent."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy

from rgbtrack import RgbtrackWarning, clone_diversity, clone_turnover, read_counts, sizes_from_counts
from rgbtrack.dynamics import rank_abundance, size_departure, size_spectrum, subject_similarity
from rgbtrack.plot import plot_diversity, plot_ranks, plot_spectrum, plot_turnover
from rgbtrack.tables import CLONE_SIZES

REAL = Path(__file__).parents[2] / "shared" / "real" / "barcodes"
pytestmark = pytest.mark.skipif(
    not REAL.exists(), reason=f"the real barcodes are not here ({REAL} is absent)"
)


def mouse() -> tuple[pd.DataFrame, pd.DataFrame]:
    counts = read_counts(REAL / "count_matrix_mouse_C21.txt")
    sheet = read_counts(REAL / "metadata_mouse_C21.txt").rename(columns={"SAMPLENAME": "sample"})
    weeks = pd.to_numeric(sheet["weeks"].replace("sac", "24"))
    site = sheet["organ"] + " " + sheet["celltype"]
    return counts, sheet.assign(subject="C21", treatment="none", timepoint=7 * weeks, site=site)


def patient() -> tuple[pd.DataFrame, pd.DataFrame]:
    counts = read_counts(REAL / "WAS5_reads.txt")
    sheet = read_counts(REAL / "WAS5_metadata.txt").rename(
        columns={"SAMPLENAME": "sample", "celltype": "site"}
    )
    return counts, sheet.assign(subject="WAS5", treatment="none", timepoint=30.4 * sheet["months"])


@pytest.fixture(params=[mouse, patient], ids=["mouse C21", "WAS5"], scope="module")
def graft(request):
    """Counts, sheet, sizes and, by sample name, the place of each sample."""
    counts, sheet = request.param()
    return counts, sheet, sizes_from_counts(counts, sheet)


def by_sample(table, sheet):
    """Rows of a table, with the name that the sample has in the sheet."""
    names = sheet[["sample", "subject", "treatment", "timepoint", "site"]]
    return table.astype({"site": str, "subject": str, "treatment": str}).merge(names)


def test_sizes_are_the_counts(graft):
    counts, sheet, sizes = graft
    CLONE_SIZES.check(sizes)
    named = by_sample(sizes, sheet).astype({"clone_name": str})
    wide = named.pivot_table("n_cells", "clone_name", "sample")
    assert set(wide.index) == set(counts.index)
    assert (wide.to_numpy() == counts.loc[wide.index, wide.columns].to_numpy()).all()


def test_diversity_by_other_hands(graft):
    counts, sheet, sizes = graft
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        table = by_sample(clone_diversity(sizes), sheet).set_index(["sample", "q"])
    for name in counts.columns:
        n = counts[name].to_numpy()
        f1, f2 = (n == 1).sum(), (n == 2).sum()
        observed = [(n > 0).sum(), np.exp(entropy(n)), n.sum() ** 2 / (n.astype(float) ** 2).sum()]
        assert table.loc[name, "observed"].to_list() == pytest.approx(observed, rel=1e-9)
        chao1 = (n > 0).sum() + (1 - 1 / n.sum()) * f1**2 / (2 * f2)
        simpson = n.sum() * (n.sum() - 1) / (n * (n - 1.0)).sum()
        assert table.loc[(name, 0), "estimated"] == pytest.approx(chao1)
        assert table.loc[(name, 2), "estimated"] == pytest.approx(simpson)
        a = (n.sum() - 1) * f1 / ((n.sum() - 1) * f1 + 2 * f2)
        assert table.loc[(name, 0), "coverage"] == pytest.approx(1 - f1 / n.sum() * a)
    assert (table["standardised"] <= table["estimated"] * 1.001).all()


def test_the_mouse_was_filtered_and_the_user_is_told():
    with pytest.warns(RgbtrackWarning, match="23 samples hold 5 clones or more counted twice and none"):
        table = clone_diversity(sizes_from_counts(*mouse()))
    blood = table[(table["site"] == "PB bulk") & (table["q"] == 2)]["observed"].to_list()
    assert blood[0] > 90  # nine weeks: many clones
    assert blood[-1] < 15  # five months: a dozen hold the blood


def test_turnover_by_other_hands(graft):
    counts, sheet, sizes = graft
    turnover = clone_turnover(sizes)
    place = sheet.assign(site=sheet["site"].astype(str)).set_index(["site", "timepoint"])["sample"]
    assert len(turnover) == sum(sheet["site"].value_counts() - 1)
    for row in turnover.itertuples():
        x, y = counts[place[row.site, row.timepoint]], counts[place[row.site, row.next_timepoint]]
        assert row.jensen_shannon == pytest.approx(1 - jensenshannon(x, y, base=2) ** 2)
        p, q = x / x.sum(), y / y.sum()
        assert row.shared_fraction == pytest.approx(np.minimum(p, q).sum())
        assert (row.n_gained, row.n_lost) == (((x == 0) & (y > 0)).sum(), ((x > 0) & (y == 0)).sum())
        both = np.array([x, y])[:, (x + y).to_numpy() > 0]
        assert row.p_value < 1e-6
        assert chi2_contingency(both).pvalue < 1e-6


def test_sizes_are_broader_than_neutral(graft):
    counts, _, sizes = graft
    assert set(size_departure(sizes)["shape"]) == {"broader"}
    spectrum = size_spectrum(sizes)
    assert len(spectrum) == 60 * counts.shape[1]
    ranks = rank_abundance(sizes)
    assert len(ranks) == (counts > 0).to_numpy().sum()
    assert ranks.loc[ranks["rank"] == 1, "fraction"].max() == pytest.approx(
        (counts / counts.sum()).max().max()
    )


def test_figures_of_real_clones(graft):
    _, _, sizes = graft
    few = sizes[sizes["site"].isin(sorted(set(sizes["site"]))[-2:])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        figures = [
            plot_diversity(clone_diversity(few)),
            plot_ranks(rank_abundance(few)),
            plot_spectrum(size_spectrum(few)),
            plot_turnover(clone_turnover(few), subject_similarity(few)),
        ]
    for figure in figures:
        figure.draw_without_rendering()
