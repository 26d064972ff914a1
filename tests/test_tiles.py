"""Images larger than memory: cells found and measured tile by tile are those of the whole."""

import io
from dataclasses import replace

import imagecodecs
import numpy as np
import pandas as pd
import pytest
import tifffile

from rgbtrack import CorrectParams, SegmentParams, SignatureParams, Stack, simulate_scene
from rgbtrack.correct import apply_correction, correct_stack, find_correction
from rgbtrack.errors import DataError
from rgbtrack.files import labels_file, read_labels, read_table, write_labels
from rgbtrack.pipeline import task, tiles
from rgbtrack.pipeline.image import process_image
from rgbtrack.pipeline.looked import quality
from rgbtrack.pipeline.processes import Processes
from rgbtrack.pipeline.seams import Tile, blocks_of, cells_of, number_cells
from rgbtrack.pipeline.task import ImageTask
from rgbtrack.review import Redraw
from rgbtrack.segment import find_cells, survey_cells
from rgbtrack.segment.regions import label_places
from rgbtrack.signature import measure_signatures, survey_surroundings
from rgbtrack.simulate import PRESETS

LIGHT = np.array([[0.1, -0.05, 0.02, 0.0, -0.08, *[0.01] * 9]] * 3)
SHIFT = np.array([[0.0, 0.0, 0.0], [0.0, 1.4, -0.6], [0.0, -2.0, 3.0]])


@pytest.fixture(scope="module")
def scenes():
    """Scenes by preset and settings, each made once."""
    known = {}

    def make(preset, **settings):
        key = preset, *sorted(settings.items())
        if key not in known:
            known[key] = simulate_scene(PRESETS[preset].model_copy(update=settings), seed=3)
        return known[key]

    return make


@pytest.fixture
def work(tmp_path, monkeypatch):
    """Work on a stack as a whole, or in tiles of so many pixels: record, labels and table."""

    def work_on(stack, name, *, tile_px=None, workers=1, folder=None, **settings):
        file = tmp_path / "image.ome.tif"
        if not file.exists():
            write_image(file, stack)
        out = tmp_path / (folder or name)
        (out / ".parts").mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(task, "LARGE_PX", 2**25 if tile_px is None else 1000)
        channels = {name: name for name in stack.channels}
        given = {"correct": CorrectParams(), "segment": SegmentParams(), "signature": SignatureParams()}
        one = ImageTask("image", (file,), channels, out, **given | settings, tile_px=tile_px or 2560)
        with Processes(workers) as crew:
            record = process_image(one, crew)
        if record["status"] != "done":
            return record, None, None
        labels = read_labels(labels_file(out / "labels", "image"))
        return record, labels, read_table(out / ".parts" / "image.parquet")

    return work_on


def write_image(path, stack):
    pixels = np.asarray(stack.pixels)  # (t, c, z, y, x)
    axes = "".join(name for name, n in zip("TCZYX", pixels.shape, strict=True) if n > 1 or name in "CYX")
    metadata = {"axes": axes, "Channel": {"Name": list(stack.channels)}}
    for axis in "XY":
        metadata |= {f"PhysicalSize{axis}": stack.pixel_size_um, f"PhysicalSize{axis}Unit": "µm"}
    if "Z" in axes:
        metadata |= {"PhysicalSizeZ": stack.z_step_um, "PhysicalSizeZUnit": "µm"}
    shape = [n for name, n in zip("TCZYX", pixels.shape, strict=True) if name in axes]
    tifffile.imwrite(path, pixels.reshape(shape), metadata=metadata, photometric="minisblack")


def assert_same_cells(whole, parts):
    """Labels alike but for their numbers, and tables alike."""
    (first, labels, cells), (second, others, table) = whole, parts
    pairs = np.unique(np.stack([labels.ravel(), others.ravel()]), axis=1)
    assert pairs.shape[1] == labels.max() + 1 == others.max() + 1
    number = dict(pairs.T.tolist())
    cells = cells.assign(cell=cells["cell"].map(number)).sort_values(["frame", "cell"], ignore_index=True)
    pd.testing.assert_frame_equal(
        cells[table.columns],
        table.sort_values(["frame", "cell"], ignore_index=True),
        rtol=1e-5,
        check_dtype=False,
    )
    for known in ("n_cells", "rejected", "diameter_um", "noise", "saturated_fraction", "shape"):
        assert first[known] == second[known], known


@pytest.mark.parametrize(
    ("preset", "settings", "known"),
    [
        ("confluent", {"size_px": 640}, {}),
        ("typical", {"size_px": 640, "nucleus": True}, {}),
        ("dim_crowded", {"size_px": 640, "pixel_size_um": 0.4}, {"light": LIGHT, "shift_px": SHIFT}),
        ("volume", {"size_px": 300, "n_slices": 8}, {}),
        ("volume", {"size_px": 300, "n_slices": 8}, {"segment": SegmentParams(projection="max")}),
    ],
)
def test_cells_at_seams_are_those_of_the_whole(scenes, work, preset, settings, known):
    stack = scenes(preset, **settings).stack
    whole, parts = work(stack, "whole", **known), work(stack, "tiles", tile_px=256, **known)
    assert whole[0]["n_cells"] > 50
    assert_same_cells(whole, parts)


@pytest.mark.parametrize("pixels", ["noise", "flat", "wide"])
@pytest.mark.filterwarnings("ignore::rgbtrack.errors.RgbtrackWarning")
def test_images_without_cells(work, pixels):
    shape = (1, 3, 1, 6, 9000) if pixels == "wide" else (1, 3, 1, 300, 400)
    counts = np.random.default_rng(0).poisson(100, shape) if pixels != "flat" else np.full(shape, 7)
    stack = Stack(counts.astype(np.uint16), ("a", "b", "c"), pixel_size_um=0.65)
    record, labels, cells = work(stack, "tiles", tile_px=256)
    assert (record["status"], len(cells), labels.max()) == ("done", record["n_cells"], record["n_cells"])
    assert record["n_cells"] < 3


def test_tiles_of_any_size_and_any_crew_give_the_same(scenes, work, monkeypatch):
    stack = scenes("typical", size_px=700).stack
    # what is known of the whole comes from parts of it
    monkeypatch.setattr(tiles, "SURVEY_PX", 2 * 256**2)
    monkeypatch.setattr(tiles, "SURVEY_SIDE", 256)
    _, labels, cells = work(stack, "small", tile_px=256)
    for name, tile_px, workers in (("large", 600, 1), ("two", 256, 2)):
        _, others, table = work(stack, name, tile_px=tile_px, workers=workers)
        np.testing.assert_array_equal(others, labels)
        pd.testing.assert_frame_equal(table, cells, rtol=1e-5)


def test_little_is_lost_where_parts_speak_for_the_whole(scenes, work, monkeypatch):
    stack = scenes("typical", size_px=700).stack
    record, labels, _ = work(stack, "whole")
    monkeypatch.setattr(tiles, "SURVEY_PX", 2 * 256**2)
    monkeypatch.setattr(tiles, "SURVEY_SIDE", 256)
    parts, others, _ = work(stack, "tiles", tile_px=400)
    assert parts["n_cells"] == pytest.approx(record["n_cells"], rel=0.03)
    assert ((labels > 0) == (others > 0)).mean() > 0.98


def test_frames_of_a_large_time_series(scenes, work):
    stack = scenes("timelapse", size_px=300, n_frames=2).stack
    settings = {"correct": CorrectParams(drift="none"), "frame_interval_h": 0.5}
    whole, parts = (
        work(stack, name, tile_px=px, **settings) for name, px in (("whole", None), ("tiles", 256))
    )
    assert parts[2].groupby("frame")["cell"].max().tolist() == parts[2].groupby("frame").size().tolist()
    for t in range(2):
        pairs = np.unique(np.stack([whole[1][t].ravel(), parts[1][t].ravel()]), axis=1)
        assert pairs.shape[1] == whole[1][t].max() + 1 == parts[1][t].max() + 1


def test_correction_of_a_part_is_that_of_the_whole(scenes):
    stack = scenes("volume", size_px=300, n_slices=8).stack
    known = {"shift_px": SHIFT, "dark_field": np.random.default_rng(0).normal(5, 1, (300, 300))}
    whole = correct_stack(stack, **known)
    correction, small = find_correction(stack, **known)
    window = slice(2, 7), slice(31, 222), slice(117, 300)
    part = apply_correction(stack, correction, window)
    for name in ("pixels", "variance", "saturated"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[(..., *window)])
    # in small it is what the whole is
    assert small.pixels.mean() == pytest.approx(whole.pixels.mean(), abs=0.5)


def test_a_survey_of_the_whole_changes_nothing(sparse):
    stack = sparse.stack
    alone, known = find_cells(stack), find_cells(stack, survey=survey_cells([stack]))
    np.testing.assert_array_equal(alone.labels, known.labels)
    pd.testing.assert_frame_equal(alone.cells, known.cells)
    around = survey_surroundings([(stack, alone.labels)], SignatureParams())
    pd.testing.assert_frame_equal(
        measure_signatures(stack, alone.labels), measure_signatures(stack, alone.labels, surroundings=around)
    )
    assert quality([stack], stack)["noise"]["red"] == quality([stack, stack], stack)["noise"]["red"]


def test_parts_are_surveyed_where_light_is(scenes):
    stack = scenes("sparse", size_px=640).stack
    pixels = np.array(stack.pixels)
    pixels[..., 320:] = np.random.default_rng(0).poisson(100, (1, 3, 1, 640, 320))
    _, small = find_correction(replace(stack, pixels=pixels))
    windows = tiles.survey_windows(small, (1, 4096, 6000))
    assert 1 < len(windows) <= tiles.SURVEY_PARTS
    assert np.mean([window[2].start < 3000 for window in windows]) > 0.7


def test_ready_masks_are_measured_as_they_are(scenes, work, tmp_path):
    scene = scenes("typical", size_px=640)
    labels = np.where(scene.labels > 0, scene.labels * 3, 0)  # numbers of their own
    write_labels(tmp_path / "masks.tif", labels)
    whole, parts = (
        work(scene.stack, name, tile_px=px, labels=tmp_path / "masks.tif")
        for name, px in (("whole", None), ("tiles", 256))
    )
    np.testing.assert_array_equal(parts[1], labels)
    pd.testing.assert_frame_equal(whole[2], parts[2], rtol=1e-5, check_dtype=False)


def test_a_label_in_two_places_is_refused(scenes, work, tmp_path):
    scene = scenes("typical", size_px=640)
    labels = np.array(scene.labels)
    labels[labels == labels[0, 0, 600:].max()] = labels[0, 0, :40].max()
    write_labels(tmp_path / "masks.tif", labels)
    record, _, _ = work(scene.stack, "tiles", tile_px=256, labels=tmp_path / "masks.tif")
    assert "several places far apart: number each cell of its own" in record["error"]


def test_only_the_signature_is_done_again(scenes, work, monkeypatch):
    stack = scenes("typical", size_px=640).stack
    _, labels, cells = work(stack, "tiles", tile_px=256)
    monkeypatch.setattr(tiles, "find_cells", None)  # is not called
    record, again, table = work(stack, "tiles", tile_px=256, signature=SignatureParams(core=0.5))
    assert record["status"] == "done"
    np.testing.assert_array_equal(again, labels)
    assert (table["mCherry"] != cells["mCherry"]).any()
    np.testing.assert_allclose(table["cell_probability"], cells["cell_probability"])


def test_what_was_found_in_tiles_before_a_run_was_killed_is_taken_over(scenes, work, monkeypatch):
    stack, calls, find = scenes("typical", size_px=640).stack, [], tiles.find_cells

    def find_until(last):
        def found(*given):
            calls.append(given)
            if len(calls) == last:
                raise KeyboardInterrupt
            return find(*given)

        monkeypatch.setattr(tiles, "find_cells", found)

    whole = work(stack, "whole")
    find_until(5)  # the survey, three tiles, and one that is not done
    with pytest.raises(KeyboardInterrupt):
        work(stack, "tiles", tile_px=256)
    calls.clear()
    find_until(None)
    parts = work(stack, "tiles", tile_px=256)
    assert len(calls) == 1 + 9 - 3
    assert_same_cells(whole, parts)


def test_a_worker_that_dies_is_told(scenes, work, monkeypatch):
    def die(work, tasks, crew, lost):
        yield 0, lost(tasks[0])

    monkeypatch.setattr(tiles, "map_tasks", die)
    record, _, _ = work(scenes("typical", size_px=640).stack, "tiles", tile_px=256)
    assert record["status"] == "failed"
    assert "the worker process died at one of its tiles" in record["error"]
    assert "smaller --tile-px" in record["error"]


def test_outlines_by_hand_are_not_applied_and_that_is_told(scenes, work):
    stack = scenes("typical", size_px=640).stack
    record, _, _ = work(stack, "tiles", tile_px=256, redraws=(Redraw.model_construct(image_id="image"),))
    assert any("outlines changed by hand are not applied" in text for text in record["warnings"])


def test_cells_larger_than_what_is_seen_are_told(scenes, work, tmp_path):
    scene = scenes("sparse", size_px=640)
    labels = np.zeros((1, 1, 640, 640), np.uint32)
    labels[..., 10:630, 10:630] = 1
    labels[..., :8, :8] = 2
    for i in range(60):
        labels[..., 632:638, 10 * i : 10 * i + 6] = 3 + i
    write_labels(tmp_path / "masks.tif", labels)
    record, _, _ = work(scene.stack, "tiles", tile_px=256, labels=tmp_path / "masks.tif")
    assert any("larger than what is seen around a tile" in text for text in record["warnings"])


def tile_of(folder, number, core, labels, cells):
    """A tile as kept on disk, of labels of its own cells in a window from 0."""
    inner = np.ascontiguousarray(labels[core])
    beside = labels.copy()
    beside[core] = 0
    places = np.nonzero(beside)
    content = io.BytesIO()
    packed = np.frombuffer(imagecodecs.zstd_encode(inner.tobytes()), np.uint8)
    np.savez(content, core=packed, places=np.stack(places), labels=beside[places])
    (folder / f"{number}.npz").write_bytes(content.getvalue())
    cells.assign(frame=0, z_px=0.0).to_parquet(folder / f"{number}.parquet")
    return Tile(0, core, folder / f"{number}.parquet", folder / f"{number}.npz", None)


def test_a_cell_that_two_tiles_tell_of_is_counted_once(tmp_path):
    left, right = ((slice(0, 1), slice(0, 10), cut) for cut in (slice(0, 10), slice(10, 20)))
    one, other = (np.zeros((1, 10, 20), np.uint32) for _ in range(2))
    one[0, 2:8, 7:13] = 1
    one[0, 0:2, 0:2] = 2
    other[0, 2:8, 8:14] = 1
    other[0, 8:10, 16:20] = 2
    tables = [
        pd.DataFrame({"cell": [1, 2], "n_px": [36, 4], "y_px": [4.5, 0.5], "x_px": [9.5, 0.5]}),
        pd.DataFrame({"cell": [1, 2], "n_px": [36, 8], "y_px": [4.5, 8.5], "x_px": [10.5, 17.5]}),
    ]
    found = [tile_of(tmp_path, 0, left, one, tables[0]), tile_of(tmp_path, 1, right, other, tables[1])]
    with pytest.warns(UserWarning, match="1 cells were seen from two tiles and are counted once"):
        numbered = number_cells(found, "image", ready=False)
    cells = cells_of(numbered, ready=False)
    assert cells["cell"].tolist() == [1, 2, 4]
    whole = np.zeros((1, 1, 10, 20), np.uint32)
    for where, labels in blocks_of(numbered, None)():
        whole[where] = labels
    assert set(np.unique(whole)) == {0, 1, 2, 4}
    assert (whole == 2).sum() == 36
    assert (whole == 4).sum() == 8


def test_places_of_labels_with_large_numbers():
    labels = np.zeros((1, 4, 6), np.uint32)
    labels[0, 1:3, 2:5] = 3_000_000_000
    labels[0, 0, 0] = 7
    found = label_places(labels)
    assert found.labels.tolist() == [7, 3_000_000_000]
    assert found.n_px.tolist() == [1, 6]
    assert found.centre.tolist() == [[0, 0, 0], [0, 1.5, 3.0]]
    assert found.low.tolist() == [[0, 0, 0], [0, 1, 2]]
    assert found.high.tolist() == [[1, 1, 1], [1, 3, 5]]


def test_no_pixels_are_told_before_anything_is_done(scenes):
    stack = scenes("sparse", size_px=640).stack
    with pytest.raises(DataError, match="the image has no pixels"):
        find_correction(replace(stack, pixels=np.zeros((1, 3, 1, 0, 5), np.uint16)))
