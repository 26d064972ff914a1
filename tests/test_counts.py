import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, RgbtrackWarning, clone_diversity, read_counts, sizes_from_counts
from rgbtrack.tables import CLONE_SIZES

COUNTS = pd.DataFrame({"a": [10, 90, 0], "b": [60, 30, 0], "c": [1, 2, 0]}, index=["ACGT", "TTGA", "CCCC"])
SAMPLES = pd.DataFrame(
    {"sample": ["c", "a", "b"], "subject": "m1", "treatment": "none", "timepoint": [0, 7, 14]}
)


def test_the_contract_of_clone_sizes():
    sizes = sizes_from_counts(COUNTS, SAMPLES)
    CLONE_SIZES.check(sizes)
    assert list(sizes.columns) == [
        *(column.name for column in CLONE_SIZES.columns if column.required),
        "clone_name",
    ]
    assert sizes["timepoint"].to_list() == [
        0,
        0,
        7,
        7,
        14,
        14,
    ]  # each sample's own counts, not the sheet's order
    assert sizes["n_cells"].to_list() == [2, 1, 90, 10, 30, 60]
    assert (
        sizes["clone_name"].to_list() == ["TTGA", "ACGT"] * 3
    )  # 1 is the largest; what is never seen is left out
    assert sizes["fraction"].to_list() == pytest.approx([2 / 3, 1 / 3, 0.9, 0.1, 1 / 3, 2 / 3])
    assert ((sizes["fraction_low"] < sizes["fraction"]) & (sizes["fraction"] < sizes["fraction_high"])).all()
    assert set(sizes["site"]) == {"primary"}


def test_order_of_columns_and_rows_does_not_matter():
    shuffled = sizes_from_counts(COUNTS.iloc[::-1, ::-1], SAMPLES.iloc[::-1])
    pd.testing.assert_frame_equal(shuffled, sizes_from_counts(COUNTS, SAMPLES))


def test_zeros_can_be_left_out():
    counts = COUNTS.assign(a=[0, 5, 0])
    assert len(sizes_from_counts(counts, SAMPLES)) == 6
    sparse = sizes_from_counts(counts, SAMPLES, zeros=False)
    assert len(sparse) == 5
    with pytest.warns(RgbtrackWarning, match="fewer than 20"):
        dense = clone_diversity(sizes_from_counts(counts, SAMPLES))
    with pytest.warns(RgbtrackWarning, match="fewer than 20"):
        pd.testing.assert_frame_equal(clone_diversity(sparse), dense)


def test_counts_of_reads_are_scaled_to_cells():
    sizes = sizes_from_counts(COUNTS, SAMPLES.assign(cells=[np.nan, 50, 9]))
    assert sizes["n_cells"].to_list() == [2, 1, 45, 5, 3, 6]


def test_columns_of_one_sample_are_added_up_aloud():
    with pytest.warns(RgbtrackWarning, match="2 columns share .* added up: a, b; tell them apart in site"):
        sizes = sizes_from_counts(COUNTS, SAMPLES.assign(timepoint=[0, 7, 7]))
    assert sizes["n_cells"].to_list() == [2, 1, 120, 70]


def test_fractions_keep_their_values_and_have_no_interval():
    sizes = sizes_from_counts(COUNTS / 8, SAMPLES)
    assert sizes["n_cells"].sum() == pytest.approx(193 / 8)
    assert sizes[["fraction_low", "fraction_high"]].isna().all(axis=None)


def test_an_empty_sample_has_no_fractions():
    sizes = sizes_from_counts(COUNTS.assign(b=0), SAMPLES)
    late = sizes[sizes["timepoint"] == 14]
    assert late["n_cells"].to_list() == [0, 0]
    assert late[["fraction", "fraction_low", "fraction_high"]].isna().all(axis=None)
    assert sizes_from_counts(COUNTS * 0, SAMPLES).empty


@pytest.mark.parametrize(
    ("counts", "samples", "message"),
    [
        (COUNTS, SAMPLES.rename(columns={"sample": "SAMPLENAME"}), "lacks column sample; found SAMPLENAME"),
        (COUNTS, SAMPLES.iloc[1:], "1 columns of the counts are not in the sheet of samples: c"),
        (COUNTS.drop(columns="a"), SAMPLES, "1 samples of the sheet are not columns of the counts: a"),
        (COUNTS.T, SAMPLES, r"samples are the rows of the counts: give counts\.T"),
        (
            COUNTS,
            SAMPLES.assign(timepoint=["0", "sac", "7"]),
            "timepoint .* should hold numbers, found 'sac'",
        ),
        (COUNTS.assign(a="x"), SAMPLES, "1 columns of the counts hold no numbers: a"),
        (COUNTS.assign(a=-1), SAMPLES, "3 counts are negative, the least is -1"),
        (COUNTS.assign(a=[1, np.nan, 2]), SAMPLES, "1 counts are missing"),
        (pd.concat([COUNTS, COUNTS[:1]]), SAMPLES, "1 clones are named more than once: ACGT"),
        (COUNTS, pd.concat([SAMPLES, SAMPLES[:1]]), "1 samples are named more than once: c"),
        (COUNTS.set_axis(["x", None, "y"]), SAMPLES, "1 clones have no name"),
        (COUNTS, SAMPLES.assign(subject=["m1", None, "m1"]), "1 samples have no subject"),
    ],
)
def test_what_does_not_fit_is_told(counts, samples, message):
    with pytest.raises(DataError, match=message):
        sizes_from_counts(counts, samples)


def test_all_mistakes_at_once():
    with pytest.raises(DataError) as told:
        sizes_from_counts(COUNTS.assign(d=-1), SAMPLES.assign(timepoint="x"))
    assert all(part in str(told.value) for part in ("not in the sheet", "negative", "timepoint"))


@pytest.mark.parametrize(
    "text",
    [
        "a\tb\tc\nACGT\t10\t60\t1\nTTGA\t90\t30\t2\nCCCC\t0\t0\t0\n",
        ",a,b,c\nACGT,10,60,1\nTTGA,90,30,2\nCCCC,0,0,0\n",
        "clone;a;b;c\nACGT;10;60;1\nTTGA;90;30;2\nCCCC;0;0;0\n",
        '"","a","b","c"\n"ACGT",10,60,1\n"TTGA",90,30,2\n"CCCC",0,0,0\n',
    ],
    ids=["as R leaves it", "blank heading", "named heading", "quoted"],
)
def test_files_of_counts(tmp_path, text):
    path = tmp_path / "counts.txt"
    path.write_text(text)
    found = read_counts(path)
    found.index.name = None
    pd.testing.assert_frame_equal(found, COUNTS, check_index_type=False, check_column_type=False)


def test_compressed_files_and_sheets(tmp_path):
    COUNTS.to_csv(tmp_path / "counts.csv.gz")
    assert read_counts(tmp_path / "counts.csv.gz").to_numpy().tolist() == COUNTS.to_numpy().tolist()
    SAMPLES.to_csv(tmp_path / "samples.csv", index=False)
    pd.testing.assert_frame_equal(
        read_counts(tmp_path / "samples.csv"), SAMPLES, check_dtype=False, check_column_type=False
    )


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_counts(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="not readable as a table"):
        read_counts(tmp_path / "empty.csv")
