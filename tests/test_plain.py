import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, ParamError, ResponseParams, clone_diversity, clone_growth, clone_response
from rgbtrack.dynamics import (
    clone_times,
    clone_turnover,
    diversity_by_treatment,
    growth_by_treatment,
    rank_abundance,
    response_heterogeneity,
    site_enrichment,
    site_overlap,
    size_departure,
    subject_similarity,
    turnover_by_treatment,
    wide_table,
)
from rgbtrack.dynamics.names import name_of
from rgbtrack.dynamics.plain import plain
from rgbtrack.plot.bands import clone_bands
from rgbtrack.plot.dots import subject_dots
from rgbtrack.plot.growth import growth_curves, growth_rates
from rgbtrack.plot.sites import site_heatmap

ASKED = {
    "response": lambda sizes, control: clone_response(sizes, control=control),
    "heterogeneity": lambda sizes, control: response_heterogeneity(sizes, control=control, rotations=99),
    "growth": lambda sizes, control: clone_growth(sizes),
    "growth by treatment": lambda sizes, control: growth_by_treatment(sizes, control=control),
    "times": lambda sizes, control: clone_times(sizes),
    "diversity": lambda sizes, control: diversity_by_treatment(clone_diversity(sizes), control=control),
    "turnover": lambda sizes, control: turnover_by_treatment(clone_turnover(sizes), control=control),
    "ranks": lambda sizes, control: rank_abundance(sizes),
    "overlap": lambda sizes, control: site_overlap(sizes),
    "enrichment": lambda sizes, control: site_enrichment(sizes, control=control).arms,
}


@pytest.fixture(scope="module")
def sizes() -> pd.DataFrame:
    """Clone sizes of three subjects an arm, two timepoints and two sites, with ties and zeros."""
    rng = np.random.default_rng(3)
    share = rng.dirichlet(np.full(5, 2.0))
    rows = [
        (clone, f"{arm}{s}", str(arm), float(day), site, int(n))
        for arm in (1, 2)
        for s in range(3)
        for day in (0, 7)
        for site in ("primary", "lung")
        for clone, n in enumerate(rng.multinomial(120, rng.dirichlet(30 * share)), 1)
    ]
    return pd.DataFrame(rows, columns=["clone", "subject", "treatment", "timepoint", "site", "n_cells"])


@pytest.fixture(scope="module")
def expected(sizes) -> dict[str, pd.DataFrame]:
    """What the plain table tells."""
    return {name: ask(sizes, "1") for name, ask in ASKED.items()}


FORMS = {
    "rows in another order": lambda t: t.sample(frac=1, random_state=0),
    "subjects in the index": lambda t: t.set_index(["subject", "clone"], drop=False),
    "repeated index": lambda t: t.set_axis([0] * len(t)),
    "categories": lambda t: t.astype(dict.fromkeys(["clone", "subject", "treatment", "site"], "category")),
    "unused categories": lambda t: t.assign(treatment=pd.Categorical(t["treatment"], ["9", "2", "1"])),
    "Arrow": lambda t: t.convert_dtypes(dtype_backend="pyarrow"),
    "nullable": lambda t: t.convert_dtypes(),
    "text from a spreadsheet": lambda t: t.astype({"n_cells": str, "timepoint": str}),
    "objects": lambda t: t.astype(object),
    "arms that are numbers": lambda t: t.astype({"treatment": int, "subject": int}),
    "arms that are decimals": lambda t: t.astype({"treatment": float}),
    "blanks around names": lambda t: t.assign(
        treatment=t["treatment"].where(t.index % 2 == 0, " 1 ").where(t["treatment"] == "1", t["treatment"])
    ),
    "columns of our own names": lambda t: t.assign(_size=1, after=True, shown=3, value=2, total=0, q=1, n=1),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_table_tells_the_same_in_whatever_form_it_comes(sizes, expected, form):
    for name, ask in ASKED.items():
        pd.testing.assert_frame_equal(
            ask(FORMS[form](sizes), "1"), expected[name], check_dtype=False, check_categorical=False, obj=name
        )


@pytest.mark.parametrize("control", [1, 1.0, " 1"])
def test_a_control_may_be_a_number(sizes, expected, control):
    for name, ask in ASKED.items():
        pd.testing.assert_frame_equal(ask(sizes, control), expected[name], obj=name)
    wide = wide_table(sizes, "n_cells", ["clone", "timepoint", "site"], control=control)
    assert wide.columns[3] == "1: 10"


def test_sizes_come_back_from_csv_as_they_were(sizes, expected, tmp_path):
    sizes.to_csv(tmp_path / "sizes.csv", index=False)
    read = pd.read_csv(tmp_path / "sizes.csv")
    assert read["treatment"].dtype == "int64"
    pd.testing.assert_frame_equal(clone_response(read, control="1"), expected["response"])


def test_clones_may_have_any_names(sizes):
    named = sizes.assign(clone="barcode " + sizes["clone"].astype(str))
    told = site_enrichment(named, control="1")
    assert set(told.subjects["clone"]) == set(named["clone"])
    assert set(told.arms["clone"]) == set(named["clone"])


def test_a_subject_in_two_arms_has_its_sites_in_each(sizes):
    crossed = sizes.assign(subject=sizes["subject"].str[1:])
    assert len(site_overlap(crossed)) == 6
    assert not site_enrichment(crossed).subjects.duplicated(["subject", "treatment", "clone"]).any()


@pytest.mark.parametrize(
    ("column", "wrong", "said"),
    [
        ("timepoint", pd.Timestamp("2024-01-01"), "timepoint should hold numbers, found 2024-01-01"),
        ("timepoint", "day 7", "found day 7 in 1 rows: give days"),
        ("timepoint", np.inf, "found inf"),
        ("n_cells", "many", "n_cells should hold numbers, found many in 1 rows"),
        ("n_cells", np.inf, "n_cells should hold numbers, found inf"),
    ],
)
def test_what_is_no_number_is_refused(sizes, column, wrong, said):
    sizes = sizes.astype({column: object})
    sizes.loc[4, column] = wrong
    for ask in ASKED.values():
        with pytest.raises(DataError, match=said):
            ask(sizes, "1")


def test_what_is_missing_stays_missing():
    table = pd.DataFrame({"subject": [1.0, np.nan], "n_cells": pd.array([1, None], dtype="Int64")})
    told = plain(table)
    assert told["subject"].isna().tolist() == told["n_cells"].isna().tolist() == [False, True]
    assert told["subject"].iloc[0] == "1"


def test_names_are_text():
    assert [name_of(v) for v in (np.float64(2.0), 2.5, True, "01", "β")] == ["2", "2.5", "True", "01", "β"]
    assert ResponseParams(control=3).control == "3"
    with pytest.raises(ParamError, match="control"):
        ResponseParams().with_settings({"control": True})


def test_subjects_that_are_copies_of_each_other_tell_nothing(sizes):
    flat = sizes.assign(n_cells=10)
    assert (clone_response(flat, control="1")["p_value"] == 1).all()
    assert (response_heterogeneity(flat, control="1", rotations=99)["p_value"] == 1).all()


def test_similarity_and_departure_take_any_form(sizes):
    arrow = sizes.convert_dtypes(dtype_backend="pyarrow")
    for tell in (subject_similarity, size_departure):
        pd.testing.assert_frame_equal(tell(arrow), tell(sizes), check_dtype=False)


@pytest.mark.parametrize("form", ["Arrow", "subjects in the index", "arms that are numbers", "mixed names"])
def test_figures_take_tables_in_whatever_form_they_come(sizes, form):
    total = sizes.groupby(["subject", "timepoint", "site"])["n_cells"].transform("sum")
    sizes = sizes.assign(fraction=sizes["n_cells"] / total)
    mixed = sizes.assign(clone=[f"b{k}" if k % 2 else k for k in sizes["clone"]])
    given = mixed if form == "mixed names" else FORMS[form](sizes)
    one = given[given["site"] == "lung"]
    assert len(clone_bands(one, first="1").axes) == len(clone_bands(one, first=1).axes) > 1
    for draw in (growth_curves, subject_dots):
        names = [text.get_text() for text in draw(one, first=1).legends[0].get_texts()]
        assert names.index("1") < names.index("2")
    assert site_heatmap(given, {}, control="1").axes
    assert growth_rates(growth_by_treatment(given, control=1), first=1).axes
