"""Files of microscopes and of several images: read right, whole, and refused in words where damaged."""

import re
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from vendor.czi import write_czi
from vendor.lif import write_lif

from rgbtrack import DataError, ParamError, RgbtrackWarning, read_stack, run, simulate_scene
from rgbtrack.files import find_doubts, list_scenes
from rgbtrack.pipeline import check_experiment, init_experiment, read_experiment
from rgbtrack.simulate import PRESETS
from rgbtrack.stack import Stack

READERS = Path(__file__).parents[2] / "shared" / "real" / "readers"
needs_real = pytest.mark.skipif(
    not READERS.exists(), reason="the real files are not here (shared/real/readers)"
)
PARAMS = PRESETS["sample"].model_copy(update={"size_px": 224})
MARKERS = ("mCherry", "Venus", "Cerulean")


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 4096, (2, 3, 4, 33, 40)).astype(np.uint16)


def same(found, expected):
    return np.array_equal(np.asarray(found), np.asarray(expected))


def zstd1(raw):
    """Low bytes, then high bytes, packed, behind a header that says so."""
    low_high = np.frombuffer(raw, np.uint8).reshape(-1, 2).T
    return bytes([3, 1, 1]) + imagecodecs.zstd_encode(np.ascontiguousarray(low_high).tobytes())


@pytest.mark.parametrize(
    ("compression", "pack"),
    [(0, bytes), (5, imagecodecs.zstd_encode), (6, zstd1), (2, imagecodecs.lzw_encode)],
    ids=["plain", "zstd", "zstd sorted", "lzw"],
)
@pytest.mark.parametrize("tile_px", [None, 16])
def test_czi(tmp_path, pixels, tile_px, compression, pack):
    settings = {"compression": compression, "pack": pack, "tile_px": tile_px, "pyramid": True}
    path = write_czi(
        tmp_path / "a.czi",
        [pixels, pixels + 1],
        scene_names=("lung", "liver"),
        z_step_um=2,
        interval_s=1800,
        **settings,
    )
    assert list_scenes(path) == ("lung", "liver")
    stack = read_stack(path, scene="liver")
    assert same(stack.pixels, pixels + 1)
    assert (stack.channels, stack.source) == (MARKERS, "a.czi, liver")
    assert (stack.pixel_size_um, stack.z_step_um, stack.frame_interval_h) == pytest.approx((0.5, 2, 0.5))
    # a part of a plane comes from the tiles that it meets
    assert same(stack.crop((slice(10, 30), slice(15, 20))).pixels, pixels[..., 10:30, 15:20] + 1)


def test_czi_of_colours_is_red_first(tmp_path, pixels):
    path = write_czi(
        tmp_path / "a.czi", [(pixels[:1, :1, :1] % 250).astype(np.uint8)], bgr=True, names=("RGB",)
    )
    with pytest.warns(RgbtrackWarning, match=r"1 channel name \(RGB\) for 3 channels"):
        stack = read_stack(path)
    blue = pixels[0, 0, 0] % 250
    assert same(stack.pixels[0, :, 0], np.stack([blue + 2, blue + 1, blue]))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"skip": {1}}, "1 of 24 planes are missing, the recording was stopped"),
        ({"extra": ("H", range(3))}, "has 3 phases: process it in ZEN"),
        ({"compression": 77}, r"packed in a way \(number 77\) that is not read"),
    ],
)
def test_czi_that_is_not_read(tmp_path, pixels, settings, match):
    path = write_czi(tmp_path / "a.czi", [pixels], **settings)
    with pytest.raises(DataError, match=match):
        np.asarray(read_stack(path).pixels)


def test_lif(tmp_path, pixels):
    series = pixels[None].transpose(0, 1, 3, 2, 4, 5)  # (m, t, z, c, y, x)
    tiles = np.stack([pixels[0, :, 0], pixels[1, :, 0]])[:, None, None]
    path = write_lif(tmp_path / "a.lif", {"series": series, "scan": tiles}, interval_s=3600)
    assert list_scenes(path) == ("series", "scan tile 0", "scan tile 1")
    stack = read_stack(path, scene=0)
    assert same(stack.pixels, pixels)
    assert (stack.channels, stack.source) == (MARKERS, "a.lif, series")
    assert (stack.pixel_size_um, stack.z_step_um, stack.frame_interval_h) == pytest.approx((0.5, 2, 1))
    tile = read_stack(path, scene="scan tile 1")
    assert same(tile.pixels[0, :, 0], pixels[1, :, 0])
    assert (tile.z_step_um, tile.frame_interval_h) == (None, None)


@needs_real
def test_nd2():
    nd2 = pytest.importorskip("nd2")
    stack = read_stack(READERS / "cluster.nd2")
    assert same(stack.pixels, nd2.imread(READERS / "cluster.nd2").transpose(0, 2, 1, 3, 4))
    assert stack.channels == ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS")
    assert (stack.pixel_size_um, stack.z_step_um) == pytest.approx((0.1678, 0.5), abs=1e-4)


@needs_real
def test_real_czi_of_two_scenes():
    path = READERS / "xyz__multiple_images.czi"
    first, second = (read_stack(path, scene=i) for i in range(2))
    assert first.pixels.shape == second.pixels.shape == (1, 1, 2, 251, 251)
    assert not same(first.pixels, second.pixels)
    assert (first.pixel_size_um, first.z_step_um) == pytest.approx((0.19564, 0.3), abs=1e-5)


@needs_real
@pytest.mark.parametrize(
    ("name", "shape", "kind", "channels", "pixel"),
    [
        (
            "16b_3c_nueron-composite.tif",
            (1, 3, 1, 512, 512),
            "uint16",
            tuple(f"C{i}-Neuron-composite.tif" for i in (1, 2, 3)),
            0.16,
        ),
        ("8b_3c_composite_FluorescentCells.tif", (1, 3, 1, 512, 512), "uint8", None, None),
        ("8b_5c_rat_hippocampal_neuron.tif", (1, 5, 1, 512, 512), "uint8", None, 0.16),
        ("8b_rgb_stack_FluorescentCells.tif", (1, 3, 1, 512, 512), "uint8", ("Red", "Green", "Blue"), None),
        ("cluster.nd2", (3, 2, 10, 31, 38), "uint16", ("5-FAM/pH 9.0", "FM 4-64/2% CHAPS"), 0.168),
    ],
)
def test_real_files_are_read_right(name, shape, kind, channels, pixel):
    stack = read_stack(READERS / name)
    assert (stack.pixels.shape, stack.pixels.dtype) == (shape, kind)
    assert stack.channels == (channels or tuple(f"channel {i}" for i in range(shape[1])))
    assert stack.pixel_size_um == (pytest.approx(pixel, abs=5e-4) if pixel else None)
    if name.endswith(".tif"):
        assert same(stack.pixels[0, :, 0], tifffile.imread(READERS / name))


def test_images_of_an_ome_tiff_are_scenes_and_previews_are_not(tmp_path, pixels):
    names = {"Channel": {"Name": list(MARKERS)}}
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as tiff:
        for i, name in enumerate(("lung", "liver")):
            told = {"axes": "CYX", "Name": name, "PhysicalSizeX": 0.5 + i, **names}
            tiff.write(pixels[i, :, 0], photometric="minisblack", metadata=told)
    assert list_scenes(tmp_path / "a.ome.tif") == ("lung", "liver")
    stack = read_stack(tmp_path / "a.ome.tif", scene="liver")
    assert same(stack.pixels[0, :, 0], pixels[1, :, 0])
    assert (stack.pixel_size_um, stack.channels) == (1.5, MARKERS)
    with tifffile.TiffWriter(tmp_path / "b.tif") as tiff:
        tiff.write(pixels[0, 0, 0])
        tiff.write(pixels[0, 0, 0, ::4, ::4])
    assert read_stack(tmp_path / "b.tif").pixels.shape[3:] == (33, 40)


def test_fields_of_a_plate_are_scenes(tmp_path, pixels):
    root = zarr.open_group(tmp_path / "p.zarr", mode="w", zarr_format=2)
    root.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space"} for n in "yx")]
    for well, fields in (("A/1", "01"), ("B/2", "0")):
        root.create_group(well).attrs["well"] = {"images": [{"path": name} for name in fields]}
        for name in fields:
            group = root.create_group(f"{well}/{name}")
            array = group.create_array("0", shape=pixels[0, :, 0].shape, dtype=pixels.dtype)
            array[:] = pixels[int(name), :, 0]
            group.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]
    assert list_scenes(tmp_path / "p.zarr") == ("A/1/0", "A/1/1", "B/2/0")
    assert same(read_stack(tmp_path / "p.zarr", scene="A/1/1").pixels[0, :, 0], pixels[1, :, 0])


@pytest.mark.parametrize(
    ("scene", "match"),
    [
        (None, r"holds 2 images \(0 lung, 1 liver\): name one"),
        ("livr", r"no scene 'livr' among its 2 .* did you mean 'liver'"),
        (7, "no scene '7' among its 2 .* give a name or a 0-based number"),
    ],
)
def test_a_scene_that_is_not_there(tmp_path, pixels, scene, match):
    path = write_czi(tmp_path / "a.czi", [pixels, pixels], scene_names=("lung", "liver"))
    with pytest.raises(DataError, match=match):
        read_stack(path, scene=scene)


def test_scenes_named_like_numbered_ones_are_apart(tmp_path, pixels):
    scenes = [pixels, pixels + 1, pixels + 2]
    for names in (("lung (1)", "lung", "lung"), ("scene 1", "", "")):
        path = write_czi(tmp_path / "a.czi", scenes, scene_names=names)
        told = list_scenes(path)
        assert len(set(told)) == 3
        assert [int(np.asarray(read_stack(path, scene=name).pixels)[0, 0, 0, 0, 0]) for name in told] == [
            int(scene[0, 0, 0, 0, 0]) for scene in scenes
        ]


def test_a_scene_of_a_file_of_one(tmp_path, pixels):
    tifffile.imwrite(tmp_path / "a.tif", pixels[0, 0, 0])
    assert read_stack(tmp_path / "a.tif", scene=0).pixels.shape[3:] == (33, 40)
    with pytest.raises(DataError, match="no scene 'lung'"):
        read_stack(tmp_path / "a.tif", scene="lung")


@pytest.mark.parametrize("name", ["a.czi", "a.lif", "a.nd2"])
def test_what_is_no_such_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"not an image" * 100)
    with pytest.raises(DataError, match=f"{name}: (not readable as|the header tells)"):
        read_stack(tmp_path / name)


def test_a_reader_that_is_not_installed_is_named(tmp_path, pixels, monkeypatch):
    path = write_czi(tmp_path / "a.czi", [pixels])
    monkeypatch.setitem(__import__("sys").modules, "czifile", None)
    with pytest.raises(DataError, match=r"czifile is not installed: pip install 'rgbtrack\[readers\]'"):
        read_stack(path)


def test_axes_named_wrongly_are_given_by_hand():
    pixels = np.arange(2 * 3 * 4 * 5).reshape(1, 2, 3, 4, 5)
    stack = Stack(pixels, ("a", "b"), z_step_um=2.0)
    renamed = stack.with_axes("ztyx")
    assert renamed.pixels.shape == (3, 1, 2, 4, 5)
    assert same(renamed.pixels[:, 0], np.swapaxes(pixels[0], 0, 1))
    assert (renamed.channels, renamed.z_step_um) == (("channel 0",), None)
    assert stack.with_axes("CZYX") is stack
    for wrong in ("tyx", "ccyx", "cqyx", "tczx"):
        with pytest.raises(
            DataError, match=rf"axes '{wrong}' do not fit: it has 4 longer than one, read as czyx"
        ):
            stack.with_axes(wrong)


@pytest.mark.parametrize(
    ("shape", "known", "match"),
    [
        ((1, 2, 1, 64, 64), {"pixel_size_um": 1.0}, "exactly 1 um"),
        ((1, 2, 1, 64, 64), {"pixel_size_um": 2540.0}, "2540 um is none of a light microscope"),
        ((1, 2, 5, 64, 64), {"pixel_size_um": 0.5, "z_step_um": 200.0}, "z step of 200 um"),
        ((9, 2, 1, 64, 64), {"pixel_size_um": 0.5}, "9 frames without an interval"),
        ((1, 30, 1, 64, 64), {"pixel_size_um": 0.5}, "30 channels: if they are slices"),
        ((64, 2, 64, 64, 3), {"pixel_size_um": 0.5, "frame_interval_h": 1.0}, "planes of 64 x 3 pixels"),
    ],
)
def test_doubtful_metadata(shape, known, match):
    stack = Stack(np.zeros(shape, np.uint16), tuple(f"marker {i}" for i in range(shape[1])), **known)
    assert any(match in doubt for doubt in find_doubts(stack))


def test_plain_metadata_leave_no_doubt():
    stack = Stack(np.zeros((1, 3, 1, 64, 64), np.uint16), MARKERS, pixel_size_um=0.5)
    assert find_doubts(stack) == []
    nameless = Stack(np.zeros((1, 2, 1, 64, 64), np.uint8), ("channel 0", "channel 1"), pixel_size_um=0.5)
    assert [doubt.split(":")[0] for doubt in find_doubts(nameless)] == [
        "channels have no names of their own",
        "8 bit",
    ]


@pytest.fixture(scope="module")
def microscope(tmp_path_factory):
    """A folder as a microscope leaves it: one CZI for each mouse and day, with two scenes."""
    folder = tmp_path_factory.mktemp("microscope")
    seed, founders = 0, simulate_scene(PARAMS, seed=9).founders
    for treatment in ("vehicle", "drug"):
        for mouse in ("m1", "m2"):
            scenes = []
            for _ in range(2):
                scene = simulate_scene(PARAMS, seed=seed, founders=founders)
                scenes.append(np.asarray(scene.stack.pixels))
                seed += 1
            path = folder / treatment / f"{mouse}_d7.czi"
            path.parent.mkdir(exist_ok=True)
            write_czi(path, scenes, scene_names=("primary", "lung"), pixel_size_um=scene.stack.pixel_size_um)
    return folder


def test_from_a_folder_of_czi_to_a_report(microscope, tmp_path):
    folder = tmp_path / "microscope"
    shutil.copytree(microscope, folder)
    said = init_experiment(folder)
    assert "8 images; the first has channels mCherry, Venus, Cerulean" in said
    assert any("names are read as {treatment}/{subject}_d{timepoint}/{site}" in line for line in said)
    sheet = pd.read_csv(folder / "samples.csv")
    assert set(sheet["image_id"]) >= {"drug_m1_d7_lung", "vehicle_m2_d7_primary"}
    assert sheet["scene"].tolist() == ["primary", "lung"] * 4
    assert sheet["subject"].tolist() == ["m1", "m1", "m2", "m2"] * 2
    # what a glance at the sheet mends: mice of two arms are different ones
    sheet["subject"] = sheet["treatment"] + " " + sheet["subject"]
    sheet.to_csv(folder / "samples.csv", index=False)
    found = check_experiment(read_experiment(folder))
    assert not found
    assert found.doubts == {}
    outcome = run(folder, workers=2)
    assert outcome.failed == {}
    assert (outcome.results / "report.html").exists()
    cells = pd.read_parquet(outcome.results / "cells.parquet")
    assert cells.groupby("image_id").size().min() > 20
    assert set(cells["site"]) == {"primary", "lung"}
    # each scene is an image of its own: another scene is other cells
    one, other = (
        cells.loc[cells["image_id"] == f"drug_m1_d7_{site}", "x_um"] for site in ("primary", "lung")
    )
    assert not set(one.round(6)) <= set(other.round(6))


def test_another_scene_is_done_again(microscope, tmp_path):
    folder = tmp_path / "microscope"
    shutil.copytree(microscope, folder)
    init_experiment(folder)
    sheet = pd.read_csv(folder / "samples.csv").iloc[:2].assign(subject=["a", "b"], treatment="drug")
    text = (folder / "experiment.toml").read_text().replace('control = "vehicle"', 'control = "drug"')
    (folder / "experiment.toml").write_text(text)
    sheet.to_csv(folder / "samples.csv", index=False)
    first = run(folder, workers=1, steps=("segment",))
    mask = first.results / "labels" / f"{sheet['image_id'][0]}.tif"
    was = tifffile.imread(mask)
    sheet.assign(scene=["lung", "lung"]).to_csv(folder / "samples.csv", index=False)
    run(folder, workers=1, steps=("segment",))
    now, other = (tifffile.imread(mask.with_name(f"{name}.tif")) for name in sheet["image_id"])
    assert same(now, other)
    assert not same(now, was)


def test_init_by_pattern(tmp_path, pixels):
    for name in ("A01_control_w3.tif", "B02_drugX_w4.tif", "odd.tif"):
        tifffile.imwrite(tmp_path / name, pixels[0, :, 0], photometric="minisblack", metadata={"axes": "CYX"})
    said = init_experiment(tmp_path, "{subject}_{treatment}_w{timepoint}")
    sheet = pd.read_csv(tmp_path / "samples.csv", dtype=str, keep_default_na=False)
    assert sheet["subject"].tolist() == ["A01", "B02", ""]
    assert sheet["treatment"].tolist() == ["control", "drugX", ""]
    assert sheet["timepoint"].tolist() == ["3", "4", ""]
    assert "the pattern does not fit 1 of 3 images, 'odd' first" in said


def test_a_name_that_tells_all_tells_how_to_read_the_others(tmp_path, pixels):
    for name in ("drugX_m3_d7", "vehicle_m1_d0", "vehicle_m1_d7"):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", pixels[0, :, 0], photometric="minisblack", metadata={"axes": "CYX"}
        )
    said = init_experiment(tmp_path)
    sheet = pd.read_csv(tmp_path / "samples.csv", dtype=str)
    assert sheet["treatment"].tolist() == ["drugX", "vehicle", "vehicle"]
    assert any(
        "names are read as {treatment}_{subject}_d{timepoint}, for vehicle_m1_d0" in line for line in said
    )


def test_dates_in_names_are_imaging_sessions(tmp_path, pixels):
    for name in ("20260301_m1_control_d0", "20260315_m1_control_d14", "2026-03-15_m2_drug_d14"):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", pixels[0, :, 0], photometric="minisblack", metadata={"axes": "CYX"}
        )
    said = init_experiment(tmp_path)
    sheet = pd.read_csv(tmp_path / "samples.csv", dtype=str)
    assert sorted(sheet["batch"]) == ["2026-03-15", "20260301", "20260315"]
    assert any(line.startswith("batch guessed from dates") for line in said)


@pytest.mark.parametrize(
    ("pattern", "match"),
    [
        ("plain", "names no column"),
        ("{subject}_{subject}", "'subject' should be the name of a column, once"),
        ("{two words}", "'two words' should be the name of a column"),
        ("{image}", "'image' is not read from names: subject, treatment"),
        ("{subject}_{clone}", "'clone' is not read from names"),
        (
            "{subject}_{treatment}_{timepoint}",
            "fits none of 1 images, 'm1_drug_d7' first: timepoint should be a number",
        ),
        ("{subject}.tif", "fits none of 1 images, 'm1_drug_d7' first: look where they differ; endings"),
    ],
)
def test_a_pattern_that_is_none(tmp_path, pixels, pattern, match):
    tifffile.imwrite(tmp_path / "m1_drug_d7.tif", pixels[0, 0, 0])
    with pytest.raises(ParamError, match=re.escape(match) if "{" in match else match):
        init_experiment(tmp_path, pattern)
    assert not (tmp_path / "samples.csv").exists()


def test_info_tells_scenes_and_doubts(tmp_path, pixels, rgbtrack):
    path = write_czi(tmp_path / "a.czi", [pixels, pixels], scene_names=("lung", "liver"), pixel_size_um=1.0)
    code, out, _ = rgbtrack("info", path)
    assert code == 0
    assert "2 images; --scene NAME tells more of one" in out
    code, out, err = rgbtrack("info", path, "--scene", "liver")
    assert code == 0
    assert "t 2, c 3, z 4, y 33, x 40" in out
    assert "warning: pixel size of exactly 1 um" in err
