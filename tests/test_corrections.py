"""Corrections of colour in the whole flow: what is planted is found, undone, and told."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage as ndi

from rgbtrack import (
    ParamError,
    correct_stack,
    load_clones,
    measure_signatures,
    read_experiment,
    run,
    simulate_scene,
)
from rgbtrack.correct import estimate_falloff, pool_fadings
from rgbtrack.correct.light import field
from rgbtrack.files import read_bleed_through, read_json, read_labels, read_table
from rgbtrack.pipeline import called_cells, correct_frame, remeasure_cells
from rgbtrack.pipeline.batches import judge_batches, look_at_batches
from rgbtrack.pipeline.processes import ALONE
from rgbtrack.pipeline.runs import image_tasks
from rgbtrack.report.corrections import correction_rows, correction_warnings
from rgbtrack.report.results import read_results
from rgbtrack.simulate import PRESETS, simulate_founders
from rgbtrack.simulate.optics import illumination_of

pytestmark = pytest.mark.usefixtures("quick_runs")

CHANNELS = {"red": "mCherry", "green": "Venus", "blue": "Cerulean"}
MOVES = np.array([[0, 0, 0], [0.3, 1.0, -0.6], [-0.2, -0.8, 1.1]])
TOML = """
[experiment]
name = "corrections"
control = "a"
[channels]
markers = { red = "mCherry", green = "Venus", blue = "Cerulean" }
[segment]
diameter_um = 14.0
"""


def write_experiment(folder, stacks, settings):
    rows = []
    for i, stack in enumerate(stacks):
        calibration = {"PhysicalSizeX": stack.pixel_size_um, "Channel": {"Name": list(stack.channels)}}
        if stack.z_step_um:
            calibration["PhysicalSizeZ"] = stack.z_step_um
        if stack.frame_interval_h:
            calibration |= {"TimeIncrement": stack.frame_interval_h, "TimeIncrementUnit": "h"}
        pixels = np.clip(np.asarray(stack.pixels).round(), 0, 65535).astype(np.uint16)
        tifffile.imwrite(
            folder / f"i{i}.ome.tif",
            pixels.transpose(0, 2, 1, 3, 4),
            metadata={"axes": "TZCYX", **calibration},
            photometric="minisblack",
        )
        rows.append({"image": f"i{i}.ome.tif", "subject": f"m{i}", "treatment": "ab"[i % 2], "timepoint": 0})
    pd.DataFrame(rows).to_csv(folder / "samples.csv", index=False)
    (folder / "experiment.toml").write_text(TOML + settings, encoding="utf-8")


def moved(stack, moves):
    pixels = stack.pixels.astype(np.float32)
    for c, move in enumerate(moves):
        if move.any():
            pixels[0, c] = ndi.shift(pixels[0, c], move, order=3, mode="nearest")
    return stack.__class__(
        pixels, stack.channels, stack.pixel_size_um, stack.z_step_um, source="moved", step=1.0
    )


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Four confocal volumes that fade, of channels beside each other, run with everything on auto."""
    folder = tmp_path_factory.mktemp("volumes")
    params = PRESETS["volume"].model_copy(
        update={"n_slices": 20, "attenuation_um": 35, "size_px": 208, "n_clones": 6, "size_sd": 0.5}
    )
    founders = simulate_founders(params, np.random.default_rng(5))
    scenes = [simulate_scene(params, seed=70 + i, founders=founders) for i in range(4)]
    stacks = [moved(scene.stack, MOVES) for scene in scenes]
    write_experiment(folder, stacks, '[correct]\nbleed_through = "auto"\n')
    run(folder)
    table = read_table(folder / "results" / "corrections.csv")
    return folder, table, scenes[0].bleed_through


def values(table, correction):
    return table[table["correction"] == correction].set_index("channel")["value"]


def test_channels_that_lie_beside_each_other_are_found_in_a_run(volumes):
    found = values(volumes[1], "chromatic shift").to_numpy().reshape(3, 3)
    reference = int(np.flatnonzero((found == 0).all(axis=1))[0])
    np.testing.assert_allclose(found, MOVES - MOVES[reference], atol=0.2)


def test_depth_is_restored_in_a_run(volumes):
    rates = values(volumes[1], "attenuation")
    np.testing.assert_allclose(
        rates[["red", "green", "blue"]], 1 / np.array([70, 52.5, 35]), rtol=0.35, atol=0.003
    )
    # differences between channels are what colours hang on
    assert rates["blue"] - rates["red"] == pytest.approx(1 / 35 - 1 / 70, abs=0.004)


def test_blind_bleed_through_is_found_in_a_run_and_can_be_read_again(volumes):
    folder, table, truth = volumes
    matrix = read_bleed_through(folder / "results" / "bleed_through.csv", CHANNELS)
    np.testing.assert_allclose(matrix, truth, atol=0.03)
    assert values(table, "bleed-through")["blue into green"] == pytest.approx(0.05, abs=0.03)


def test_the_report_tells_of_corrections(volumes):
    results = volumes[0] / "results"
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "Colour corrections" in page
    assert "moved back" in page
    assert (results / "figures" / "correction_attenuation.svg").exists()
    for name in ("attenuation", "shift", "unmixing"):
        assert f"correction_{name}.svg" in page
    told = read_json(results / "run.json")["corrections"]
    assert {one["correction"] for one in told} >= {
        "chromatic shift",
        "illumination",
        "falloff",
        "attenuation",
        "bleed-through",
        "gain",
    }
    assert len(correction_rows(read_results(results))) == len(told) == len(volumes[1])


def test_a_second_run_finds_nothing_to_do(volumes):
    results = volumes[0] / "results"
    files = [
        path for path in (results / ".parts").iterdir() if path.name not in ("run.lock", "finished.json")
    ]
    before = {path: path.stat().st_mtime_ns for path in files}
    run(volumes[0], workers=1)
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_cells_measured_between_runs_are_corrected_as_the_run_corrected_them(volumes):
    results = volumes[0] / "results"
    cells = called_cells(results)
    own = cells[cells["image_id"] == "i0"].reset_index(drop=True).head(5)
    labels = read_labels(results / "labels" / "i0.tif")[0]
    model = load_clones(results / "clone_model.json")
    live = remeasure_cells(correct_frame(results, "i0", 0), results, labels, own["cell"], model)
    for column in ("red", "green", "blue", "red_se", "blue_systematic", "snr", "volume_um3", "x_um"):
        np.testing.assert_allclose(live[column], own[column], rtol=1e-5, atol=1e-4, err_msg=column)


def test_what_is_switched_off_is_not_looked_for(volumes, tmp_path):
    settings = (
        '[correct]\nflat_field = "none"\nchromatic_shift = "none"\nattenuation_um = { blue = 35.0 }\n'
        'bleaching = "none"\ndrift = "none"\nbleed_through = "none"\n'
    )
    for path in volumes[0].glob("i[01].ome.tif"):
        (tmp_path / path.name).symlink_to(path)
    sheet = pd.read_csv(volumes[0] / "samples.csv").head(2)
    sheet.to_csv(tmp_path / "samples.csv", index=False)
    (tmp_path / "experiment.toml").write_text(TOML + settings, encoding="utf-8")
    run(tmp_path, workers=1)
    table = read_table(tmp_path / "results" / "corrections.csv")
    assert set(table["correction"]) <= {"attenuation", "background", "gain"}
    assert values(table, "attenuation")["blue"] == pytest.approx(1 / 35)
    assert values(table, "attenuation")["red"] == 0
    cells = read_table(tmp_path / "results" / "cells.parquet")
    plain = read_table(tmp_path / "results" / ".parts" / "i0.parquet")
    first = cells[cells["image_id"] == "i0"].reset_index(drop=True)
    np.testing.assert_allclose(first["blue"], plain["blue"] * np.exp(plain["z_um"] / 35), rtol=1e-9)
    np.testing.assert_allclose(first["blue_se"], plain["blue_se"] * np.exp(plain["z_um"] / 35), rtol=1e-9)
    np.testing.assert_allclose(first["red"], plain["red"], rtol=1e-9)


def test_a_stage_that_drifts_is_told_in_the_table(tmp_path):
    scene = simulate_scene("timelapse", seed=8)
    stack = scene.stack
    pixels = stack.pixels.astype(np.float32)
    path = np.cumsum(np.vstack([[0, 0], np.tile([9.0, -6.0], (stack.n_frames - 1, 1))]), axis=0)
    for t in range(stack.n_frames):
        pixels[t] = ndi.shift(pixels[t], (0, 0, *path[t]), order=1, mode="nearest")
    moving = stack.__class__(pixels, stack.channels, stack.pixel_size_um, None, 0.5, "drifting")
    write_experiment(tmp_path, [moving], "")
    run(tmp_path, workers=1, steps=("segment", "measure"))
    cells = read_table(tmp_path / "results" / ".parts" / "i0.parquet")
    drift = cells.groupby("frame")[["drift_y_um", "drift_x_um"]].first().to_numpy()
    # the cells wander too: a few um over the series
    np.testing.assert_allclose(drift, path * stack.pixel_size_um, atol=5)
    run(tmp_path, workers=1, steps=("clones",))
    for name in ("drift_i0", "background"):
        assert (tmp_path / "results" / "figures" / f"correction_{name}.png").exists()
    table = read_table(tmp_path / "results" / "corrections.csv").set_index("correction")
    assert table.loc["background", "value"].between(90, 200).all()


LAMPS = ((0.35, 0.2, 0.0), (0.4, 0.3, 0.1), (0.3, -0.3, 0.3))


def lit(lamps, n=6):
    """Dim, crowded fields under lamps of their own."""
    params = PRESETS["dim_crowded"].model_copy(update={"lamps": lamps, "size_px": 320, "n_clones": 6})
    founders = simulate_founders(params, np.random.default_rng(3))
    return [simulate_scene(params, seed=90 + i, founders=founders) for i in range(n)]


def known_batches(folder):
    experiment = read_experiment(folder)
    (folder / "results" / ".parts").mkdir(parents=True)
    tasks = image_tasks(experiment, folder / "results")
    look_at_batches(tasks, folder / "results", ALONE, lambda done, total: None)
    return judge_batches(tasks, folder / "results")


def test_uneven_light_of_a_batch_is_divided_out(tmp_path):
    scenes = lit(LAMPS)
    write_experiment(tmp_path, [scene.stack for scene in scenes], '[correct]\nchromatic_shift = "none"\n')
    run(tmp_path, workers=2, steps=("segment", "measure", "clones"))
    table = read_table(tmp_path / "results" / "corrections.csv").set_index("correction")
    assert table.loc["illumination", "applied"].all()
    assert len(list((tmp_path / "results" / "figures").glob("correction_illumination*.svg"))) == 1
    (shared,) = judge_batches(
        image_tasks(read_experiment(tmp_path), tmp_path / "results"), tmp_path / "results"
    ).values()
    true = illumination_of(PRESETS["dim_crowded"].model_copy(update={"lamps": LAMPS, "size_px": 320}))[:, 0]
    for light, beta in zip(true, shared.light, strict=True):
        light = light / light.mean()
        left = field(beta, light.shape) / light
        assert np.std(left) < 0.6 * np.std(light)


def test_even_light_is_left_alone(tmp_path):
    write_experiment(tmp_path, [scene.stack for scene in lit(((0.0, 0.0, 0.0),) * 3)], "")
    (shared,) = known_batches(tmp_path).values()
    assert shared.light is None
    assert not any(one.applied for one in shared.findings if one.correction == "illumination")


def test_images_of_different_sizes_have_no_light_in_common(tmp_path):
    first, *others = (scene.stack for scene in lit(LAMPS, 3))
    write_experiment(tmp_path, [first.crop((slice(0, 200), slice(0, 200))), *others], "")
    (shared,) = known_batches(tmp_path).values()
    assert shared.light is None
    assert "different sizes" in shared.findings[0].reason


@pytest.mark.parametrize(("vignetting", "evident"), [(0.0, False), (0.5, True)])
def test_light_that_falls_off_to_the_corners(vignetting, evident):
    params = PRESETS["typical"].model_copy(update={"vignetting": vignetting, "n_clones": 6, "size_px": 640})
    parts = []
    for seed in range(4):
        scene = simulate_scene(params, seed=40 + seed)
        cells = measure_signatures(correct_stack(scene.stack.select(CHANNELS)), scene.labels)
        half = params.size_px * params.pixel_size_um / 2
        corner = (((cells[["y_um", "x_um"]] - half) / half) ** 2).mean(axis=1)
        parts.append(estimate_falloff(cells.assign(corner=corner)))
    pooled = pool_fadings(parts)
    assert pooled.unit == "corner"
    assert pooled.evident.all() == evident
    assert pooled.evident.any() == evident
    if evident:
        assert np.all(np.abs(pooled.estimate + np.log(1 - vignetting)) < 3.5 * pooled.se)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ('[correct]\nflat_field = "flat.tif"\n', r"flat_field: .*flat\.tif: no such file"),
        ('[correct]\ndark_field = "dark.tif"\n', r"dark_field: .*dark\.tif: no such file"),
        ("[correct]\nattenuation_um = { blu = 30.0 }\n", "names 'blu', no marker: did you mean 'blue'"),
        ("[correct]\nattenuation_um = { blue = -30.0 }\n", "attenuation_um is blue -30: .* more than 0 um"),
        ('[correct]\nchromatic_shift = "yes"\n', "chromatic_shift is 'yes'"),
    ],
)
def test_settings_that_cannot_be(tmp_path, settings, match):
    write_experiment(tmp_path, [simulate_scene("one_cell", seed=0).stack], settings)
    with pytest.raises(ParamError, match=match):
        read_experiment(tmp_path)


def test_large_and_uncertain_corrections_are_warned_of(volumes):
    results = read_results(volumes[0] / "results")
    assert not list(correction_warnings(results))
    found = {"where": "b1", "channel": "red y", "se": 0.1, "unit": "px", "applied": True, "reason": ""}
    run_json = {
        "corrections": [
            {**found, "correction": "chromatic shift", "value": 4.0},
            {**found, "correction": "bleed-through", "channel": "blue into green", "value": 0.2},
            {**found, "correction": "illumination", "value": 0.9, "applied": False},
        ]
    }
    told = list(correction_warnings(results.__class__(**{**vars(results), "run": run_json})))
    assert ["channels lie more than 2 px" in told[0].text, "uncertain" in told[1].text] == [True, True]
    assert [list(one.items) for one in told] == [["b1 red y"], ["b1 blue into green"]]
