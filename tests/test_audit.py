"""Audits: cells drawn at random and looked at, and the share of wrong calls that follows."""

import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from rgbtrack import DataError, ParamError, append_correction, apply_review, read_review, run
from rgbtrack.files import read_table
from rgbtrack.review import (
    Undo,
    assign_cells,
    audit_rates,
    audit_sample,
    exclude_cells,
    give_verdict,
    merge_clones,
)
from rgbtrack.review.audit import _bound
from rgbtrack.tables import AUDITS


@pytest.fixture(scope="module")
def cells():
    """A hundred cells in three clones on a grid of two images, ten without a clone."""
    n = 100
    table = pd.DataFrame(
        {
            "image_id": np.repeat(["a", "b"], n // 2),
            "frame": 0,
            "cell": np.tile(np.arange(1, n // 2 + 1), 2),
            "z_um": 0.0,
            "y_um": 20.0 * (np.arange(n) % 50 // 10),
            "x_um": 20.0 * (np.arange(n) % 10),
            "area_um2": 150.0,
            "clone": pd.array([None if k % 10 == 9 else 1 + k % 3 for k in range(n)], dtype="Int64"),
            "clone_probability": 0.9,
        }
    )
    reason = np.where(table["clone"].isna(), "doublet", None)
    return table.assign(unassigned_reason=pd.array(reason, dtype="string"))


def judge(cells, verdicts, **settings):
    """Verdicts on the first cells of a draw."""
    keys = audit_sample(cells, len(verdicts))
    return [give_verdict(cells, key, one, **settings) for key, one in zip(keys, verdicts, strict=True)]


# ---------------------------------------------------------------- draw


def test_every_called_cell_is_drawn_with_the_same_chance(cells):
    drawn = [key for seed in range(300) for key in audit_sample(cells, 9, seed)]
    counts = pd.Series(drawn).value_counts()
    assert len(counts) == 90
    assert ((counts - 30).abs() < 5 * np.sqrt(30)).all()


def test_a_longer_draw_begins_with_a_shorter_one(cells):
    assert audit_sample(cells, 40, 3)[:10] == audit_sample(cells, 10, 3)
    assert audit_sample(cells, 40, 3) != audit_sample(cells, 40, 4)
    assert audit_sample(cells.sample(frac=1, random_state=0), 10, 3) == audit_sample(cells, 10, 3)


def test_all_are_drawn_where_there_are_fewer(cells):
    keys = audit_sample(cells, 1000)
    assert len(set(keys)) == len(keys) == 90


def test_cells_that_a_person_decided_on_are_not_drawn(cells):
    corrected, _ = apply_review(cells, [assign_cells(cells, [("a", 0, 1)], 2), merge_clones(cells, [1, 3])])
    keys = audit_sample(corrected, 1000)
    assert ("a", 0, 1) not in keys
    assert len(keys) == 89


# ---------------------------------------------------------------- judge


def test_a_verdict_changes_no_cell(cells):
    verdicts = judge(cells, ["right", "wrong", "unclear"])
    after, outcomes = apply_review(cells, verdicts)
    assert outcomes["status"].eq("applied").all()
    assert outcomes["n_cells"].eq(0).all()
    assert after["corrected_by"].isna().all()
    pd.testing.assert_frame_equal(after[list(cells.columns)], cells)


def test_what_is_corrected_after_a_verdict_does_not_lower_the_rate(cells):
    verdicts = judge(cells, ["wrong", "right"])
    place = verdicts[0].cell
    mend = assign_cells(cells, [(place.image_id, 0, place.cell)], None)
    corrections = [*verdicts, mend]
    assert audit_rates(corrections, apply_review(cells, corrections)[1])["n_wrong"].item() == 1
    corrections = [mend, *verdicts]
    _, outcomes = apply_review(cells, corrections)
    assert outcomes["status"].tolist() == ["applied", "stale", "applied"]
    assert f"its clone is from {mend.id} now" in outcomes["outcome"].iloc[1]


def test_a_cell_that_is_called_otherwise_now_makes_its_verdict_stale(cells):
    (verdict,) = judge(cells, ["wrong"])
    key = (cells["image_id"] == verdict.cell.image_id) & (cells["cell"] == verdict.cell.cell)
    was = cells.loc[key, "clone"].item()
    refit = cells.assign(clone=cells["clone"].map({1: 3, 2: 1, 3: 2}).astype("Int64"))
    assert apply_review(refit, [verdict])[1]["status"].item() == "applied"
    refit.loc[key, "clone"] = was % 3 + 1 if refit.loc[key, "clone"].item() != was % 3 + 1 else was
    _, outcomes = apply_review(refit, [verdict])
    assert outcomes["status"].item() == "stale"
    assert "does not count: it is of clone" in outcomes["outcome"].item()
    rates = audit_rates([verdict], outcomes)
    assert rates[["n_cells", "n_stale"]].to_numpy().tolist() == [[0, 1]]
    assert np.isnan(rates["error"].item())


def test_clones_and_cells_that_are_gone_do_not_count(cells):
    (verdict,) = judge(cells, ["right"])
    mixed = cells.assign(clone=pd.array(1 + np.arange(100) // 3 % 3, dtype="Int64"))
    assert "no longer agree" in apply_review(mixed, [verdict])[1]["outcome"].item()
    gone = cells[~((cells["image_id"] == verdict.cell.image_id) & (cells["cell"] == verdict.cell.cell))]
    assert apply_review(gone, [verdict])[1]["status"].item() == "conflict"


def test_a_later_verdict_replaces_the_former_in_the_same_audit(cells):
    (first,), (second,) = judge(cells, ["wrong"]), judge(cells, ["right"])
    (other,) = judge(cells, ["wrong"], audit="second")
    corrections = [first, other, second]
    _, outcomes = apply_review(cells, corrections)
    assert outcomes["status"].tolist() == ["replaced", "applied", "applied"]
    assert outcomes["outcome"].tolist()[2] == f"counts in 'audit'; replaces {first.id}"
    for rates in (audit_rates(corrections), audit_rates(corrections, outcomes)):
        assert rates[["audit", "n_right", "n_wrong"]].to_numpy().tolist() == [
            ["audit", 1, 0],
            ["second", 0, 1],
        ]
    taken_back = [*corrections, Undo(of=second.id)]
    for rates in (audit_rates(taken_back), audit_rates(taken_back, apply_review(cells, taken_back)[1])):
        assert rates["n_wrong"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("key", "verdict", "settings", "error", "said"),
    [
        (("a", 0, 1), "maybe", {}, ParamError, "verdict is 'maybe': say right, wrong or unclear"),
        (("a", 0, 1), "right", {"audit": " "}, ParamError, "an audit without a name"),
        (("a", 0, 99), "right", {}, DataError, "no cell a:0:99"),
        (("a", 0, 10), "right", {}, DataError, "a:0:10 has no clone"),
        (("a", 0, 2), "right", {}, DataError, "a:0:2 has its clone from a person"),
    ],
)
def test_mistakes_are_told(cells, key, verdict, settings, error, said):
    by_hand, _ = apply_review(cells, [assign_cells(cells, [("a", 0, 2)], 1)])
    with pytest.raises(error, match=said):
        give_verdict(by_hand, key, verdict, **settings)


def test_an_empty_audit_is_refused(cells):
    with pytest.raises(ParamError, match="an audit of 0 cells: draw 1 or more"):
        audit_sample(cells, 0)


# ---------------------------------------------------------------- rate


@pytest.mark.parametrize(("wrong", "right"), [(0, 30), (1, 29), (7, 23), (5, 0)])
def test_the_interval_is_that_of_clopper_and_pearson(cells, wrong, right):
    row = audit_rates(judge(cells, ["wrong"] * wrong + ["right"] * right)).iloc[0]
    exact = binomtest(wrong, wrong + right).proportion_ci(0.95, "exact")
    assert row["error"] == pytest.approx(wrong / (wrong + right))
    assert (row["error_low"], row["error_high"]) == pytest.approx((exact.low, exact.high))
    assert (row["error_least"], row["error_most"]) == pytest.approx((exact.low, exact.high))
    assert row["expected_error"] == pytest.approx(0.1)


def test_the_interval_holds_the_true_share_in_95_of_100_audits():
    for share in (0.01, 0.05, 0.3):
        wrong = np.random.default_rng(1).binomial(100, share, 2000)
        ends = {
            int(k): (_bound(int(k), 100, upper=False), _bound(int(k), 100, upper=True)) for k in set(wrong)
        }
        assert np.mean([ends[k][0] <= share <= ends[k][1] for k in wrong]) >= 0.95


def test_unclear_cells_bound_the_share(cells):
    row = audit_rates(judge(cells, ["wrong"] * 2 + ["unclear"] * 3 + ["right"] * 15)).iloc[0]
    assert row["error"] == pytest.approx(2 / 17)
    assert row["error_least"] == pytest.approx(binomtest(2, 20).proportion_ci(0.95, "exact").low)
    assert row["error_most"] == pytest.approx(binomtest(5, 20).proportion_ci(0.95, "exact").high)
    assert row["words"] == (
        "Of 17 cells drawn at random and looked at, 2 were of another clone than called: 11.8 % (95 % interval "
        "1.5 to 36.4 %). By the model's probabilities 10.0 % were expected. A look did not tell of 3 cells more. "
        "Whatever these are, the interval lies within 1.2 to 49.1 %."
    )


def test_no_verdicts_make_no_audit(cells):
    assert audit_rates([exclude_cells(cells, [("a", 0, 1)], "debris")]).empty
    (verdict,) = judge(cells, ["right"])
    undone = audit_rates([verdict, Undo(of=verdict.id)])
    assert undone["words"].item() == "No verdict counts: all were taken back."
    assert list(undone.columns) == [column.name for column in AUDITS.columns]


# ---------------------------------------------------------------- run


def test_from_verdicts_to_the_report(small_experiment, finished, tmp_path):
    results = shutil.copytree(finished, tmp_path / "results")
    before = read_table(results / "cells.parquet")
    for verdict in judge(before, ["wrong", *["right"] * 19], who="anna"):
        append_correction(results / "review.jsonl", verdict)
    run(small_experiment, results, workers=1)
    pd.testing.assert_frame_equal(read_table(results / "cells.parquet"), before)
    rates = audit_rates(read_review(results / "review.jsonl"))
    pd.testing.assert_frame_equal(AUDITS.check(read_table(results / "audit.csv")), rates, check_dtype=False)
    report = (results / "report.html").read_text(encoding="utf-8")
    assert "Of 20 cells drawn at random and looked at, 1 was of another clone than called: 5.0 %" in report
    assert "a look at a cell tells its colour, not its founder" in report
    assert "Corrections by hand" not in report.split("<h2>Files")[0]
    sizes = read_table(results / "clone_sizes.csv")
    pd.testing.assert_frame_equal(sizes, read_table(finished / "clone_sizes.csv"))

    (results / "review.jsonl").unlink()
    run(small_experiment, results, workers=1, steps=("clones",))
    assert not (results / "audit.csv").exists()
