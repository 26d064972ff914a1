import numpy as np
import pandas as pd
import pytest

from rgbtrack import DataError, ParamError, RgbtrackWarning
from rgbtrack.link import (
    MotilityParams,
    clone_motility,
    describe_tracks,
    furth,
    mean_squared_displacement,
    motility_by_treatment,
    poisson_interval,
)
from rgbtrack.plot import (
    plot_by_subject,
    plot_flower,
    plot_lineages,
    plot_msd,
    plot_rates,
    plot_trajectories,
)
from rgbtrack.tables import CLONE_MOTILITY, MOTILITY_BY_TREATMENT, MSD, TRACKS


def walk(
    rng, n=40, n_frames=30, interval_h=0.25, speed=20.0, persistence_h=0.7, error_um=1.0, dimensions=2, **more
):
    """Persistent random walkers, exact in small steps; n tracks of n_frames."""
    fine = 20
    step = interval_h / fine
    decay, sd = np.exp(-step / persistence_h), speed / np.sqrt(dimensions)
    velocity = rng.normal(0, sd, (n, dimensions))
    place, frames = rng.uniform(100, 900, (n, dimensions)), []
    for t in range(n_frames):
        seen = place + rng.normal(0, error_um, place.shape)
        table = pd.DataFrame(seen, columns=["y_um", "x_um", "z_um"][:dimensions])
        frames.append(table.assign(frame=t, cell=np.arange(1, n + 1), track=np.arange(1, n + 1)))
        for _ in range(fine):
            new = velocity * decay + rng.normal(0, sd * np.sqrt(1 - decay**2), velocity.shape)
            place = place + (velocity + new) / 2 * step
            velocity = new
    more = {"image_id": "a", "frame_interval_h": interval_h} | more
    return pd.concat(frames, ignore_index=True).assign(**more)


def straight(n_frames=5, speed=4.0, **more):
    """One cell that goes right, and one that rests in a corner far off."""
    t = np.arange(n_frames)
    a = pd.DataFrame({"frame": t, "cell": 1, "track": 1, "y_um": 50.0, "x_um": 20 + 0.5 * speed * t})
    b = pd.DataFrame({"frame": t, "cell": 2, "track": 2, "y_um": 0.0, "x_um": 100.0})
    return pd.concat([a, b], ignore_index=True).assign(image_id="a", frame_interval_h=0.5, **more)


DIVIDING = pd.DataFrame(
    [
        *[(t, 1, 1, None, 50, 50) for t in range(4)],
        *[(t, 1, 2, 1, 45, 50) for t in range(4, 8)],
        *[(t, 2, 3, 1, 55, 50) for t in range(4, 6)],
        *[(t, 3, 4, None, 2, 40) for t in range(3)],
        *[(t, 4, 5, None, k, k) for t in range(8) for k in (0,)],
        *[(t, 5, 6, None, 100, 100) for t in range(8)],
    ],
    columns=["frame", "cell", "track", "parent", "y_um", "x_um"],
).assign(image_id="a", parent=lambda t: t["parent"].astype("Int64"), clone=1, frame_interval_h=0.5)
"""1 divides, 2 lives on, 3 is lost, 4 leaves at the top, 5 and 6 stay in the corners."""


def test_a_straight_track_is_measured():
    tracks = describe_tracks(straight())
    TRACKS.check(tracks)
    row = tracks.iloc[0]
    assert (row["path_um"], row["displacement_um"], row["duration_h"], row["speed_um_h"]) == (8, 8, 2, 4)
    assert (row["straightness"], row["speed_median_um_h"], row["fate"]) == (1, 4, "end of movie")
    assert np.isnan(tracks.iloc[1]["straightness"])  # it never moved


def test_the_drift_of_the_stage_is_no_movement():
    cells = straight()
    drift = cells["frame"] * 7.0
    moved = cells.assign(
        x_um=cells["x_um"] + drift, drift_x_um=drift, y_um=cells["y_um"] - 1, drift_y_um=-1.0
    )
    pd.testing.assert_frame_equal(
        describe_tracks(moved)[["path_um", "displacement_um"]],
        describe_tracks(cells)[["path_um", "displacement_um"]],
    )


def test_fates():
    tracks = describe_tracks(DIVIDING, MotilityParams(border_um=5)).set_index("track")
    assert tracks["fate"].to_dict() == {
        1: "division",
        2: "end of movie",
        3: "lost",
        4: "left image",
        5: "end of movie",
        6: "end of movie",
    }
    assert tracks["n_daughters"].tolist() == [2, 0, 0, 0, 0, 0]
    assert tracks["tree"].tolist() == [1, 1, 1, 4, 5, 6]
    # half an interval at each end that is an event
    assert tracks["observed_h"].tolist() == pytest.approx([1.75, 1.75, 1.0, 1.25, 3.5, 3.5])


def test_a_cell_that_is_cut_by_the_edge_has_left():
    cells = DIVIDING.assign(touches_border=(DIVIDING["track"] == 3) & (DIVIDING["frame"] == 5))
    tracks = describe_tracks(cells, MotilityParams(border_um=0)).set_index("track")
    assert tracks.loc[3, "fate"] == "left image"
    assert tracks.loc[4, "fate"] == "lost"


def test_a_cell_that_leaves_through_the_bottom_of_a_stack_has_left():
    cells = DIVIDING.assign(z_um=np.where(DIVIDING["track"] == 3, 0.0, 20.0))
    cells.loc[cells["track"] == 2, "z_um"] = 40
    tracks = describe_tracks(cells, MotilityParams(border_um=5)).set_index("track")
    assert tracks.loc[3, "fate"] == "left image"


def test_cells_without_a_track_tell_how_long_the_movie_is():
    late = pd.DataFrame(
        {"frame": [8], "cell": [1], "image_id": "a", "track": pd.array([None], dtype="Int64")}
    )
    tracks = describe_tracks(pd.concat([DIVIDING, late.assign(frame_interval_h=0.5)])).set_index("track")
    assert "end of movie" not in set(tracks["fate"])


def test_rates_are_events_over_cell_hours():
    row = clone_motility(DIVIDING, MotilityParams(border_um=5), by=["clone"]).iloc[0]
    assert (row["n_tracks"], row["n_divisions"], row["n_lost"], row["n_left"]) == (6, 1, 1, 1)
    assert row["observed_h"] == pytest.approx(12.75)
    assert row["division_rate_per_h"] == pytest.approx(1 / 12.75)
    assert row["doubling_h"] == pytest.approx(12.75 * np.log(2))
    assert row["doubling_low"] < row["doubling_h"] < row["doubling_high"]


def test_poisson_interval_is_exact():
    low, high = poisson_interval([0, 5], [10.0, 10.0])
    assert low.tolist() == pytest.approx([0, 0.1623], abs=1e-4)
    assert high.tolist() == pytest.approx([0.3689, 1.1668], abs=1e-4)
    assert np.isnan(poisson_interval(0, 0.0)[0])


def test_furth_is_straight_at_first_and_a_random_walk_at_last():
    assert furth(np.array(1e-5), 1.0, 3.0) == pytest.approx(9e-10, rel=1e-3)
    assert furth(np.array(1e4), 1.0, 3.0) == pytest.approx(2 * 9 * 1e4, rel=1e-3)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_planted_persistence_speed_and_error_are_found(dimensions):
    row = clone_motility(walk(np.random.default_rng(1), n=150, dimensions=dimensions), by=()).iloc[0]
    assert row["persistence_h"] == pytest.approx(0.7, rel=0.2)
    assert row["rms_speed_um_h"] == pytest.approx(20, rel=0.06)
    assert row["motility_um2_h"] == pytest.approx(400 * 0.7 / dimensions, rel=0.2)
    assert row["localisation_um"] == pytest.approx(1, abs=0.25)
    assert row["persistence_low"] < 0.7 < row["persistence_high"]
    assert row["interval_unit"] == "family"


def test_localisation_error_is_taken_from_slow_cells():
    cells = walk(np.random.default_rng(2), n=100, speed=2, error_um=2)
    row = clone_motility(cells, by=()).iloc[0]
    assert row["speed_um_h"] > 10
    assert row["speed_corrected_um_h"] < 4
    tracks = describe_tracks(cells)
    assert tracks["speed_corrected_um_h"].median() < 4 < tracks["speed_um_h"].median()


def test_cells_that_do_not_persist_have_no_persistence():
    rng = np.random.default_rng(0)
    cells = walk(rng, n=80, persistence_h=0.02, speed=60, error_um=0.01)
    row = clone_motility(cells, by=()).iloc[0]
    assert np.isnan(row["persistence_h"]) or np.isnan(row["persistence_low"])
    assert row["motility_um2_h"] == pytest.approx(60**2 * 0.02 / 2, rel=0.15)


def test_uneven_intervals_give_the_same_answer():
    cells = walk(np.random.default_rng(3), n=120, n_frames=40)
    keep = ~cells["frame"].isin([3, 7, 8, 15, 22, 23, 30])
    thin = cells[keep].assign(time_h=lambda t: t["frame"] * 0.25).drop(columns="frame_interval_h")
    thin["frame"] = thin["frame"].rank(method="dense").astype(int) - 1
    row = clone_motility(thin, by=()).iloc[0]
    assert row["persistence_h"] == pytest.approx(0.7, rel=0.25)
    assert row["rms_speed_um_h"] == pytest.approx(20, rel=0.08)


def test_gaps_in_tracks_do_not_stretch_time():
    cells = walk(np.random.default_rng(4), n=100)
    holes = cells.sample(frac=0.85, random_state=0)
    row = clone_motility(holes, by=()).iloc[0]
    assert row["rms_speed_um_h"] == pytest.approx(20, rel=0.08)


def test_msd_has_its_curve_and_its_fit():
    msd = mean_squared_displacement(walk(np.random.default_rng(5), n=60), by=())
    MSD.check(msd)
    assert msd["lag_h"].iloc[0] == 0.25
    assert (msd["msd_low"] < msd["msd_um2"]).all()
    fitted = msd[msd["fit_um2"].notna()]
    np.testing.assert_allclose(fitted["fit_um2"], fitted["msd_um2"], rtol=0.15)
    assert fitted["lag_h"].max() < msd["lag_h"].max()


def arms(rng, n=4, ratio=1.0, clones=1):
    parts = []
    for k in range(2 * n):
        speed = 20 * np.exp(rng.normal(0, 0.1)) * (ratio if k % 2 else 1)
        cells = walk(rng, n=8 * clones, n_frames=12, speed=speed, image_id=f"i{k}", subject=f"m{k}")
        parts.append(
            cells.assign(treatment="drug" if k % 2 else "vehicle", clone=cells["track"] % clones + 1)
        )
    return pd.concat(parts, ignore_index=True)


def test_a_treatment_that_doubles_speed_is_found_with_the_subject_as_unit():
    table = motility_by_treatment(
        arms(np.random.default_rng(6), ratio=2, clones=2), MotilityParams(control="vehicle")
    )
    MOTILITY_BY_TREATMENT.check(table)
    speed = table[table["measure"] == "speed_um_h"].set_index("clone")
    assert speed["n_subjects"].tolist() == [4, 4, 4]
    assert (speed["p"] < 0.01).all()
    assert speed["ratio"].between(1.7, 2.3).all()
    assert (speed["difference_low"] > 0).all()
    assert (speed["q"] >= speed["p"]).all()
    straightness = table[table["measure"] == "straightness"]
    assert straightness["clone"].isna().sum() == 1


def test_all_tracks_together_where_no_clone_is_known():
    table = motility_by_treatment(
        arms(np.random.default_rng(7)).drop(columns="clone"), measures=["speed_um_h"]
    )
    assert len(table) == 1
    assert table["clone"].isna().all()
    assert table["control"].tolist() == ["drug"]


def test_one_subject_an_arm_gives_no_p():
    table = motility_by_treatment(arms(np.random.default_rng(8), n=1), measures=["speed_um_h"])
    assert table["p"].isna().all()
    assert table["difference"].notna().all()


def test_pools_of_several_subjects_vary_by_subject():
    table = clone_motility(arms(np.random.default_rng(9)), by=["treatment"])
    assert table["interval_unit"].tolist() == ["subject"] * 2
    assert table["n_units"].tolist() == table["n_subjects"].tolist() == [4, 4]
    own = clone_motility(arms(np.random.default_rng(9)))
    CLONE_MOTILITY.check(own)
    assert len(own) == 8
    assert set(own["interval_unit"]) == {"family"}


def test_a_subject_of_two_treatments_is_warned_about():
    cells = arms(np.random.default_rng(10), n=2)
    with pytest.warns(RgbtrackWarning, match="1 subjects had several treatments"):
        motility_by_treatment(cells.replace({"subject": {"m1": "m0"}}), measures=["speed_um_h"])


def test_nothing_and_one_cell_are_measured_as_such():
    cells = walk(np.random.default_rng(0), n=2, n_frames=1)
    for part in (cells[:0], cells[:1]):
        tracks = describe_tracks(part)
        assert len(tracks) == len(part)
        assert len(clone_motility(part, by=())) == len(part)
        assert mean_squared_displacement(part, by=()).empty
    assert np.isnan(describe_tracks(cells)["speed_um_h"]).all()


def test_few_tracks_are_not_fitted():
    assert np.isnan(clone_motility(walk(np.random.default_rng(0), n=4), by=()).loc[0, "persistence_h"])


def test_the_time_between_frames_must_be_known():
    cells = straight().drop(columns="frame_interval_h")
    with pytest.raises(
        DataError, match=r"time between frames is unknown in 1 images \(a\): give frame_interval_h"
    ):
        describe_tracks(cells)
    two = pd.concat([cells, cells.assign(image_id="b")], ignore_index=True)
    with pytest.raises(DataError, match=r"unknown in 2 images \(a, b\)"):
        describe_tracks(two)
    assert describe_tracks(cells, MotilityParams(frame_interval_h=0.5))["speed_um_h"][0] == 4
    with pytest.raises(DataError, match="time_h of image a does not grow from the frame before to frame 3"):
        describe_tracks(cells.assign(time_h=cells["frame"].replace({3: 2})))
    with pytest.raises(DataError, match="frame 0 of image a has several times"):
        describe_tracks(cells.assign(time_h=cells["frame"] + 0.1 * cells["cell"]))


def test_what_cannot_be_measured_is_refused():
    cells = straight(subject="m1", treatment="vehicle")
    with pytest.raises(DataError, match="2 tracked cells have no place"):
        describe_tracks(cells.assign(y_um=cells["y_um"].where(cells["frame"] > 0)))
    with pytest.raises(DataError, match="lacks column y_um"):
        describe_tracks(cells.drop(columns="y_um"))
    with pytest.raises(ParamError, match="cannot be pooled by clone: there are subject, treatment"):
        clone_motility(cells, by=["clone"])
    with pytest.raises(ParamError, match="no measure is named size"):
        motility_by_treatment(cells, measures=["size"])
    with pytest.raises(ParamError, match="no tracked cell had the control 'sham': there are vehicle"):
        motility_by_treatment(cells, MotilityParams(control="sham"))
    with pytest.raises(DataError, match="no subject or no treatment"):
        motility_by_treatment(cells.assign(subject=None))
    with pytest.raises(DataError, match="lacks column subject"):
        motility_by_treatment(cells.drop(columns="subject"))


COLOURS = {1: (1.0, 0.2, 0.2)}


def test_figures_show_every_track_or_say_how_many_they_leave_out():
    figure = plot_trajectories(DIVIDING, COLOURS, np.zeros((120, 120, 3)), pixel_size_um=1.0)
    assert figure.axes[0].get_title(loc="left") == "6 tracks, 1 divisions"
    figure = plot_lineages(describe_tracks(DIVIDING), COLOURS)
    assert figure.axes[0].get_title(loc="left") == "4 families, 6 tracks"
    figure = plot_lineages(describe_tracks(DIVIDING), COLOURS, most=3, title="a")
    assert figure.axes[0].get_title(loc="left") == "a: 1 largest of 4 families, 3 tracks"
    assert figure.legends[0].get_texts()[-1].get_text() == "3 tracks of smaller families not drawn"
    figure = plot_flower(DIVIDING, COLOURS, most=2)
    assert figure.axes[0].get_title(loc="left") == "all tracks\n(2 of 6 tracks)"


def test_figures_of_motility():
    cells = arms(np.random.default_rng(11), n=2, clones=2)
    figure = plot_flower(cells, COLOURS, first="vehicle")
    assert [axes.get_title(loc="left").split("\n")[0] for axes in figure.axes] == ["vehicle", "drug"]
    figure = plot_msd(mean_squared_displacement(cells, by=["treatment"]), first="vehicle")
    assert figure.axes[0].get_legend().get_texts()[0].get_text() == "vehicle (subject interval)"
    figure = plot_by_subject(clone_motility(cells, by=["subject", "treatment"]), first="vehicle")
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["vehicle\n(n = 2)", "drug\n(n = 2)"]
    figure = plot_rates(clone_motility(cells, by=["clone", "treatment"]), COLOURS, shown=1)
    assert figure.axes[0].get_title(loc="left") == "1 clones watched for fewer hours not drawn"
    figure = plot_rates(clone_motility(cells, by=["clone"]), COLOURS, "loss")
    assert figure.axes[0].get_xlabel() == "losses per cell and hour"


def test_figures_of_nothing_say_so():
    nothing = DIVIDING[:0]
    for figure, said in (
        (plot_trajectories(nothing, {}), "no cell is in a track"),
        (plot_flower(nothing, {}), "no cell is in a track"),
        (plot_lineages(describe_tracks(nothing), {}), "there are no tracks"),
        (plot_msd(mean_squared_displacement(nothing, by=())), "no track has two cells"),
        (plot_rates(clone_motility(nothing, by=["clone"]), {}), "no track is of a clone"),
        (
            plot_by_subject(
                clone_motility(nothing.assign(subject="", treatment=""), by=["subject", "treatment"])
            ),
            "no subject has a speed of steps (µm/h)",
        ),
    ):
        assert figure.axes[0].texts[0].get_text() == said


def test_figures_refuse_tables_of_several_pools():
    cells = arms(np.random.default_rng(12), n=1, clones=2)
    with pytest.raises(DataError, match="several curves of one treatment"):
        plot_msd(mean_squared_displacement(cells, by=["clone", "treatment"]))
    with pytest.raises(DataError, match="several rows of a subject"):
        plot_by_subject(clone_motility(cells))
    with pytest.raises(DataError, match="several rows of a clone"):
        plot_rates(clone_motility(cells, by=["clone", "subject"]), {})
