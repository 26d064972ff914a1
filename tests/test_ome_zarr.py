import json
import shutil

import numpy as np
import pytest
import zarr

from rgbtrack import read_stack, run, simulate_experiment
from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files import labels_in_small, list_scenes, read_labels
from rgbtrack.files.ome_zarr import Scale, write_label_zarr
from rgbtrack.pipeline import verify_results

UNITS = {"t": "minute", "z": "micrometer", "y": "micrometer", "x": "micrometer"}


def write_image(path, pixels, axes, *, version="0.4", scale=None, names=(), units=UNITS, **changes):
    """Write an OME-Zarr as other programs do; `changes` replace what it says of itself."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    chunks = [1 if axis in "tcz" else 16 for axis in axes]
    array = group.create_array("0", shape=pixels.shape, chunks=chunks, dtype=pixels.dtype)
    array[:] = pixels
    kind = {"t": "time", "c": "channel"}
    described = [
        {"name": a, "type": kind.get(a, "space")} | ({"unit": units[a]} if a != "c" else {}) for a in axes
    ]
    transformation = {"type": "scale", "scale": list(scale or [1.0] * len(axes))}
    datasets = [{"path": "0", "coordinateTransformations": [transformation]}]
    content = {"multiscales": [{"axes": described, "datasets": datasets}]}
    if names:
        content["omero"] = {"channels": [{"label": name} for name in names]}
    content |= changes
    if version == "0.4":
        group.attrs.update(content)
    else:
        group.attrs["ome"] = {"version": version, **content}
    return path


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 4096, (2, 3, 4, 33, 40)).astype(np.uint16)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_pixels_names_and_calibration(tmp_path, pixels, version):
    scale = [30, 1, 2.5, 0.5, 500]
    path = write_image(
        tmp_path / "a.ome.zarr",
        pixels,
        "tczyx",
        version=version,
        scale=scale,
        names=["mCherry", "", "CFP"],
        units=UNITS | {"x": "nanometer"},
    )
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.pixels, pixels)
    assert stack.channels == ("mCherry", "channel 1", "CFP")
    assert (stack.pixel_size_um, stack.z_step_um, stack.frame_interval_h) == (0.5, 2.5, 0.5)


@pytest.mark.parametrize(("axes", "shape"), [("yx", (33, 40)), ("cyx", (3, 33, 40)), ("zyx", (4, 33, 40))])
def test_fewer_axes(tmp_path, pixels, axes, shape):
    part = pixels.reshape(-1, 33, 40)[: int(np.prod(shape[:-2]))].reshape(shape)
    stack = read_stack(write_image(tmp_path / "a.zarr", part, axes))
    full = tuple(dict(zip(axes, shape, strict=True)).get(axis, 1) for axis in "tczyx")
    np.testing.assert_array_equal(stack.pixels, part.reshape(full))


def test_axes_in_another_order(tmp_path, pixels):
    path = write_image(tmp_path / "a.zarr", pixels[0, :, 0].transpose(1, 2, 0), "yxc")
    np.testing.assert_array_equal(read_stack(path).pixels[0, :, 0], pixels[0, :, 0])


def test_the_only_series_of_a_converter(tmp_path, pixels):
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    write_image(tmp_path / "a.zarr" / "0", pixels[0, :, 0], "cyx")
    assert read_stack(tmp_path / "a.zarr").pixels.shape == (1, 3, 1, 33, 40)
    write_image(tmp_path / "a.zarr" / "1", pixels[0, :, 0], "cyx")
    with pytest.raises(DataError, match=r"holds 2 images \(0, 1\): name one"):
        read_stack(tmp_path / "a.zarr")
    assert list_scenes(tmp_path / "a.zarr") == ("0", "1")
    assert read_stack(tmp_path / "a.zarr", scene="1").source == "a.zarr, 1"


def test_pixels_that_are_no_squares_are_told(tmp_path, pixels):
    path = write_image(tmp_path / "a.zarr", pixels[0, :, 0], "cyx", scale=[1, 1, 0.5])
    with pytest.warns(RgbtrackWarning, match=r"0.5 x 1 um: taken for squares of 0.5"):
        assert read_stack(path).pixel_size_um == 0.5


def no_arrays(path):
    shutil.rmtree(path / "0")


def no_json(path):
    (path / ".zattrs").write_text("{")


def runs_code(path):
    header = json.loads((path / "0" / ".zarray").read_text())
    header["filters"] = [{"id": "pickle", "protocol": 5}]
    (path / "0" / ".zarray").write_text(json.dumps(header))


def claims(path):
    header = json.loads((path / "0" / ".zarray").read_text())
    header["shape"] = [3, 6_000_000, 6_000_000]
    (path / "0" / ".zarray").write_text(json.dumps(header))


def many_chunks(path):
    header = json.loads((path / "0" / ".zarray").read_text())
    header |= {"shape": [3, 5000, 5000], "chunks": [1, 1, 1]}
    (path / "0" / ".zarray").write_text(json.dumps(header))
    (path / "filling").write_bytes(b"0" * 2**20)
    (path / "0" / "filling").write_bytes(b"0" * 2**20)


def complex_pixels(path):
    header = json.loads((path / "0" / ".zarray").read_text())
    (path / "0" / ".zarray").write_text(json.dumps(header | {"dtype": "<c8", "fill_value": None}))


def elsewhere(path):
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"][0]["datasets"][0]["path"] = "../other/0"
    (path / ".zattrs").write_text(json.dumps(attributes))


def axes_of_others(path):
    attributes = json.loads((path / ".zattrs").read_text())
    attributes["multiscales"][0]["axes"][0]["name"] = "angle"
    (path / ".zattrs").write_text(json.dumps(attributes))


def one_axis_less(path):
    attributes = json.loads((path / ".zattrs").read_text())
    del attributes["multiscales"][0]["axes"][0]
    (path / ".zattrs").write_text(json.dumps(attributes))


def empty(path):
    (path / ".zattrs").write_text("{}")


def plate(path):
    (path / ".zattrs").write_text('{"plate": {}}')


def a_list(path):
    (path / ".zattrs").write_text('{"multiscales": {}}')


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (no_arrays, "is not there: the OME-Zarr is not whole"),
        (no_json, "not readable"),
        (runs_code, "packed by pickle, which is not read"),
        (claims, "the header tells of 216,000,000,000,000 bytes"),
        (many_chunks, "export the image in larger chunks"),
        (complex_pixels, "pixels of type complex64 are not read"),
        (elsewhere, "must be a folder within"),
        (axes_of_others, "axes angle, y, x are not understood"),
        (one_axis_less, "3 axes, but 2 names"),
        (empty, "without an OME image in it"),
        (plate, "its wells are missing"),
        (a_list, "its multiscales are missing"),
    ],
)
def test_what_is_no_image(tmp_path, pixels, spoil, match):
    path = write_image(tmp_path / "a.zarr", pixels[0, :, 0], "cyx")
    (tmp_path / "other" / "0").mkdir(parents=True)
    spoil(path)
    with pytest.raises(DataError, match=match):
        read_stack(path)


@pytest.mark.parametrize("spoil", [lambda b: b[:20], lambda b: b[:3], lambda b: b[:4] + b"\xff" * 4 + b[8:]])
def test_a_damaged_chunk_is_told_when_it_is_read(tmp_path, pixels, spoil):
    path = write_image(tmp_path / "a.zarr", pixels[0, :, 0], "cyx")
    chunk = path / "0" / "0.0.0"
    chunk.write_bytes(spoil(chunk.read_bytes()))
    with pytest.raises(DataError, match=r"a\.zarr: pixels cannot be read"):
        read_stack(path).frame(0)


@pytest.mark.parametrize("at", [12, 4])
def test_a_damaged_chunk_in_a_shard_is_told(tmp_path, pixels, at):
    path = write_image(tmp_path / "a.zarr", pixels[0, :, 0], "cyx", version="0.5")
    shutil.rmtree(path / "0")
    blosc = {"compressors": zarr.codecs.BloscCodec(), "shards": (1, 32, 32), "chunks": (1, 16, 16)}
    array = zarr.open_group(path).create_array("0", shape=(3, 33, 40), dtype=np.uint16, **blosc)
    array[:] = pixels[0, :, 0]
    np.testing.assert_array_equal(read_stack(path).pixels[0, :, 0], pixels[0, :, 0])
    shard = path / "0" / "c" / "0" / "0" / "0"
    content = bytearray(shard.read_bytes())
    content[at : at + 4] = (60_000).to_bytes(4, "little")  # the header of the first chunk
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"chunk c/0/0/0 is not whole"):
        read_stack(path).frame(0)


def test_labels_and_their_pyramid(tmp_path):
    labels = np.random.default_rng(1).integers(0, 9, (2, 3, 600, 1300)).astype(np.uint32)
    halves = [slice(0, 333), slice(333, 600)]
    blocks = [
        ((slice(t, t + 1), slice(0, 3), rows, slice(0, 1300)), labels[t : t + 1, :, rows])
        for t in range(2)
        for rows in halves
    ]
    path = tmp_path / "a.ome.zarr"
    write_label_zarr(path, labels.shape, blocks, Scale(0.5, 2.0, 0.25))
    np.testing.assert_array_equal(read_labels(path), labels)
    np.testing.assert_array_equal(read_labels(path / "labels" / "cells"), labels)
    stack = read_stack(path)
    assert (stack.pixel_size_um, stack.z_step_um, stack.frame_interval_h) == (0.5, 2.0, 0.25)
    np.testing.assert_array_equal(labels_in_small(path, 1, 600), labels[1, :, ::2, ::2])
    np.testing.assert_array_equal(labels_in_small(path, 1, 2000), labels[1])
    root = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]
    assert root["version"] == "0.5"
    assert "image-label" in root
    inside = json.loads((path / "labels" / "zarr.json").read_text())["attributes"]["ome"]
    assert inside["labels"] == ["cells"]
    scales = [d["coordinateTransformations"][0]["scale"] for d in root["multiscales"][0]["datasets"]]
    assert scales == [[0.25, 2.0, 0.5 * 2**i, 0.5 * 2**i] for i in range(len(scales))]


def test_labels_replace_labels_and_nothing_else(tmp_path):
    labels = np.ones((1, 1, 8, 9), np.uint32)
    whole = [((slice(None),) * 4, labels)]
    for _ in range(2):
        write_label_zarr(tmp_path / "a.ome.zarr", labels.shape, whole)
    (tmp_path / "b.ome.zarr").mkdir()
    (tmp_path / "b.ome.zarr" / "thesis.docx").touch()
    with pytest.raises(DataError, match="holds something else"):
        write_label_zarr(tmp_path / "b.ome.zarr", labels.shape, whole)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_an_experiment_of_ome_zarr(tmp_path, rgbtrack):
    folder = tmp_path / "experiment"
    simulate_experiment(folder, "sample", seed=1, subjects=1, timepoints=[0])
    for image in sorted((folder / "images").glob("*.ome.tif")):
        stack = read_stack(image)
        stored = image.with_name(image.name.replace(".ome.tif", ".ome.zarr"))
        pixels = np.asarray(stack.pixels)[0, :, 0]
        pixel = stack.pixel_size_um
        write_image(stored, pixels, "cyx", scale=[1, pixel, pixel], names=stack.channels)
    before = run(folder / "experiment.toml", folder / "tiff", workers=1)
    sheet = folder / "samples.csv"
    sheet.write_text(sheet.read_text().replace(".ome.tif", ".ome.zarr"))
    after = run(folder / "experiment.toml", folder / "zarr", workers=1)
    assert not before.failed, before.failed
    assert not after.failed, after.failed
    assert after.counts == before.counts
    name = sorted(p.name for p in (folder / "zarr" / "labels").iterdir())[0]
    assert name.endswith(".ome.zarr")
    tiff = folder / "tiff" / "labels" / name.replace(".ome.zarr", ".tif")
    np.testing.assert_array_equal(read_labels(folder / "zarr" / "labels" / name), read_labels(tiff))
    assert verify_results(folder / "zarr").problems == ()
    code, told, _ = rgbtrack("run", folder, "--out", folder / "zarr", "--dry-run")
    assert (code, told.strip()) == (0, "everything is up to date: a run would do nothing")


def test_init_finds_ome_zarr(tmp_path, pixels, rgbtrack):
    names = ["mCherry", "Venus", "Cerulean"]
    for name in ("m1_d0.ome.zarr", "m2_d0.zarr"):
        write_image(tmp_path / name, pixels[0, :, 0], "cyx", scale=[1, 0.5, 0.5], names=names)
    code, _, error = rgbtrack("init", tmp_path)
    assert code == 0, error
    assert (tmp_path / "samples.csv").read_text().count(".zarr") == 2
    code, told, error = rgbtrack("check", tmp_path)
    assert "no such file" not in told + error


def test_a_folder_that_is_no_ome_zarr(tmp_path):
    with pytest.raises(DataError, match="is a folder, an image file or an OME-Zarr is needed"):
        read_stack(tmp_path)
