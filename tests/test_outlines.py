"""Ready masks from other programs: QuPath's GeoJSON, Fiji's ROIs and binary masks."""

import json
import shutil
import warnings
import zipfile

import cv2
import numpy as np
import pytest
import tifffile

from rgbtrack import DataError, RgbtrackWarning, read_experiment, run
from rgbtrack.files import read_labels, read_table, write_table
from rgbtrack.pipeline import check_experiment

SHAPE = (1, 1, 20, 30)


def box(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


def feature(*rings, kind="Polygon", plane=None, **properties):
    geometry = {"type": kind, "coordinates": list(rings)}
    if plane is not None:
        geometry["plane"] = {"c": -1, **plane}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.fixture
def geojson(tmp_path):
    def make(*features, name="cells.geojson", bare=False):
        content = list(features) if bare else {"type": "FeatureCollection", "features": list(features)}
        (tmp_path / name).write_text(json.dumps(content))
        return tmp_path / name

    return make


@pytest.mark.parametrize("bare", [True, False])
def test_polygons_hold_the_pixels_whose_centre_is_inside(geojson, bare):
    labels = read_labels(geojson(feature(box(2, 3, 7, 5)), feature(box(10, 0, 11, 1)), bare=bare), SHAPE)
    expected = np.zeros(SHAPE, np.uint32)
    expected[0, 0, 3:5, 2:7] = 1
    expected[0, 0, 0, 10] = 2
    assert labels.dtype == np.uint32
    assert np.array_equal(labels, expected)


def test_one_feature_is_enough(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(feature(box(0, 0, 2, 2))))
    assert (read_labels(tmp_path / "one.json", SHAPE) > 0).sum() == 4


def test_holes_and_parts(geojson):
    ring = [box(1, 1, 9, 9), box(3, 3, 6, 6)]
    labels = read_labels(geojson(feature(ring, [box(20, 10, 22, 12)], kind="MultiPolygon")), SHAPE)
    assert labels[0, 0, 4, 4] == 0
    assert labels[0, 0, 2, 2] == labels[0, 0, 11, 21] == 1
    assert (labels > 0).sum() == 64 - 9 + 4


def test_overlaps_are_counted_and_the_first_keeps_its_pixels(geojson):
    path = geojson(feature(box(0, 0, 4, 4)), feature(box(2, 0, 8, 4)), feature(box(1, 1, 3, 3)))
    with (
        pytest.warns(RgbtrackWarning, match="2 of 3 cells overlap earlier ones"),
        pytest.warns(RgbtrackWarning, match="1 of 3 cells lie wholly under earlier ones"),
    ):
        labels = read_labels(path, SHAPE)
    assert (labels == 1).sum() == 16
    assert (labels == 2).sum() == 16
    assert labels.max() == 2


def test_cells_are_cut_at_the_border_and_left_out_beyond(geojson):
    path = geojson(feature(box(-3, -3, 2, 2)), feature(box(40, 40, 50, 50)), feature(box(28, 18, 99, 99)))
    with pytest.warns(RgbtrackWarning, match="1 of 3 outlines cover no pixel"):
        labels = read_labels(path, SHAPE)
    assert [(labels == n).sum() for n in (1, 2)] == [4, 4]


def test_regions_around_cells_are_no_cells(geojson):
    region = feature(box(0, 0, 30, 20), objectType="annotation")
    old = feature(box(5, 5, 8, 8)) | {"id": "PathCellObject"}
    path = geojson(region, feature(box(1, 1, 3, 3), objectType="detection"), old)
    with pytest.warns(RgbtrackWarning, match="1 annotations left out: only areas are cells"):
        assert read_labels(path, SHAPE).max() == 2
    alone = geojson(feature(box(1, 1, 3, 3), objectType="annotation"))
    assert read_labels(alone, SHAPE).max() == 1


def test_points_are_no_cells(geojson):
    point = feature(kind="Point") | {"geometry": {"type": "Point", "coordinates": [3, 3]}}
    with pytest.warns(RgbtrackWarning, match="1 Points left out"):
        assert read_labels(geojson(point, feature(box(1, 1, 3, 3))), SHAPE).max() == 1
    with (
        pytest.warns(RgbtrackWarning, match="1 Points left out"),
        pytest.raises(DataError, match="holds no areas"),
    ):
        read_labels(geojson(point), SHAPE)


def test_planes_of_qupath(geojson):
    path = geojson(
        feature(box(0, 0, 2, 2)),  # the first plane is not written
        feature(box(0, 0, 2, 2), plane={"z": 1, "t": 0}),
        feature(box(5, 5, 7, 7), plane={"z": 1, "t": 2}),
    )
    labels = read_labels(path, (3, 2, 20, 30))
    assert [labels[0, 0, 0, 0], labels[0, 1, 0, 0], labels[2, 1, 5, 5]] == [1, 2, 1]
    assert np.count_nonzero(labels) == 12


@pytest.mark.parametrize(
    ("made", "shape", "match"),
    [
        (feature(box(0, 0, 2, 2)), (3, 1, 20, 30), "does not tell its t, the image has 3"),
        (feature(box(0, 0, 2, 2)), (1, 4, 20, 30), "does not tell its z, the image has 4"),
        (feature(box(0, 0, 2, 2), plane={"z": 9, "t": 0}), (1, 4, 20, 30), "at z = 9 .from 0., the image has 4"),
        (feature(box(99, 99, 120, 120)), SHAPE, "none of 1 outlines covers a pixel of the image, 30 x 20"),
        (feature([[0, 0], [1, 1]]), SHAPE, "outline 1 is not a whole Polygon"),
        (feature([["a", 0], [1, 1], [2, 2]]), SHAPE, "outline 1 is not a whole Polygon"),
        (feature(kind="MultiPolygon"), SHAPE, "outline 1 is not a whole MultiPolygon"),
        (feature() | {"geometry": {"type": "Polygon"}}, SHAPE, "outline 1 is not a whole Polygon"),
        ({"type": "Polygon"}, SHAPE, "not GeoJSON with features"),
        (feature(box(0, 0, 2, 2)), None, "outlines do not tell the size"),
    ],
)  # fmt: skip
def test_geojson_that_cannot_be_used(geojson, made, shape, match):
    with pytest.raises(DataError, match=match):
        read_labels(geojson(made), shape)


def test_json_that_is_none(tmp_path):
    (tmp_path / "a.json").write_text('{"type": "FeatureColl')
    with pytest.raises(DataError, match="not readable as JSON"):
        read_labels(tmp_path / "a.json", SHAPE)


# ---------------------------------------------------------------- Fiji


@pytest.fixture
def rois(tmp_path):
    """Write ROIs as Fiji does: `rois(polygon, (type, {attribute: value}), ...)`."""
    roifile = pytest.importorskip("roifile")

    def make(*wanted, name="RoiSet.zip"):
        made = []
        for corners, change in wanted:
            if corners is not None:
                roi = roifile.ImagejRoi.frompoints(np.array(corners[:-1]))
            else:
                roi = roifile.ImagejRoi()
            for key, value in change.items():
                setattr(roi, key, roifile.ROI_TYPE[value] if key == "roitype" else value)
            made.append(roi)
        path = tmp_path / name
        if name.endswith(".roi"):
            made[0].tofile(path)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                for i, roi in enumerate(made):
                    archive.writestr(f"{i:04}.roi", roi.tobytes())
        return path

    return make


RECT = {"roitype": "RECT", "left": 10, "top": 2, "right": 14, "bottom": 5}


def test_rois_of_fiji(rois):
    oval = {"roitype": "OVAL", "left": 18, "top": 5, "right": 28, "bottom": 15}
    with pytest.warns(RgbtrackWarning, match="1 point ROIs left out"):
        labels = read_labels(
            rois((box(2, 3, 7, 5), {}), (None, RECT), (None, oval), (box(1, 1, 2, 2), {"roitype": "POINT"})),
            SHAPE,
        )
    assert (labels[0, 0, 3:5, 2:7] == 1).all()
    assert (labels[0, 0, 2:5, 10:14] == 2).all()
    assert [(labels == n).sum() for n in (1, 2)] == [10, 12]
    assert (labels == 3).sum() == pytest.approx(np.pi * 25, rel=0.05)


def test_one_roi(rois):
    assert (read_labels(rois((box(2, 3, 7, 5), {}), name="cell.roi"), SHAPE) > 0).sum() == 10


def test_a_composite_roi_has_holes(rois):
    path = []
    for ring in (box(1, 1, 9, 9), box(3, 3, 6, 6)):
        path += [0, *ring[0]] + [n for corner in ring[1:-1] for n in (1, *corner)] + [4]
    composite = {
        "roitype": "RECT", "left": 1, "top": 1, "right": 9, "bottom": 9,
        "multi_coordinates": np.array(path, np.float32), "shape_roi_size": len(path),
    }  # fmt: skip
    assert (read_labels(rois((None, composite)), SHAPE) > 0).sum() == 64 - 9


def test_positions_of_rois(rois):
    here = box(0, 0, 2, 2)
    hyper = rois((here, {"z_position": 2, "t_position": 3}), (here, {"z_position": 1, "t_position": 1}))
    labels = read_labels(hyper, (3, 2, 20, 30))
    assert labels[2, 1, 0, 0] == labels[0, 0, 0, 0] == 1
    assert np.count_nonzero(labels) == 8
    plain = rois((here, {"position": 2}))
    assert read_labels(plain, (1, 4, 20, 30))[0, 1, 0, 0] == 1
    assert read_labels(plain, (4, 1, 20, 30))[1, 0, 0, 0] == 1
    assert read_labels(plain, SHAPE)[0, 0, 0, 0] == 1
    with pytest.raises(DataError, match="does not tell its t, the image has 3"):
        read_labels(plain, (3, 2, 20, 30))


@pytest.mark.parametrize(
    ("name", "write", "match"),
    [
        ("a.zip", lambda p: p.write_bytes(b"PK no"), "not readable as Fiji ROIs"),
        ("a.roi", lambda p: p.write_bytes(b"Iout" + bytes(9)), "not readable as Fiji ROIs"),
        ("a.zip", lambda p: zipfile.ZipFile(p, "w").close(), "no .roi in it: in Fiji's ROI Manager"),
    ],
)
def test_files_that_are_no_rois(tmp_path, name, write, match):
    pytest.importorskip("roifile")
    write(tmp_path / name)
    with pytest.raises(DataError, match=match):
        read_labels(tmp_path / name, SHAPE)


@pytest.mark.parametrize(("value", "name"), [(255, "mask.tif"), (1, "mask.tif"), (255, "mask.png")])
def test_pieces_of_a_binary_mask_are_cells(tmp_path, value, name):
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 2:5] = mask[5:7, 5:7] = mask[10:14, 20:25] = value  # the first two touch at a corner
    if name.endswith("png"):
        cv2.imwrite(str(tmp_path / name), mask)
    else:
        tifffile.imwrite(tmp_path / name, mask)
    with pytest.warns(RgbtrackWarning, match=f"0 and {value}, not labels: each of its 2 connected pieces"):
        labels = read_labels(tmp_path / name, SHAPE)
    assert [(labels == n).sum() for n in (1, 2)] == [13, 20]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1, np.uint32), (1, np.uint16), (7, np.uint8)],
    ids=["ours", "16 bit", "a cell of id 7"],
)
def test_labels_are_no_mask(tmp_path, value, kind):
    labels = np.zeros((20, 30), kind)
    labels[2:5, 2:5] = labels[10:14, 20:25] = value
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    assert np.array_equal(read_labels(tmp_path / "labels.tif", SHAPE)[0, 0], labels)


def test_one_piece_is_one_cell(tmp_path):
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 2:5] = 255
    tifffile.imwrite(tmp_path / "mask.tif", mask)
    assert np.array_equal(read_labels(tmp_path / "mask.tif", SHAPE)[0, 0], mask)


def test_pickles_are_not_opened(tmp_path):
    np.save(tmp_path / "image_seg.npy", {"masks": np.zeros((20, 30))}, allow_pickle=True)
    with pytest.raises(DataError, match=r"can run code when it is opened.*Save masks as PNG/tif"):
        read_labels(tmp_path / "image_seg.npy", SHAPE)


# ---------------------------------------------------------------- in an experiment


def outlines_of(labels):
    """Labels as QuPath would export them."""
    found = []
    for cell in np.unique(labels)[1:]:
        # twice as large, so that outlines run along the pixels' edges
        mask = np.kron(labels == cell, np.ones((2, 2), np.uint8))
        (ring, *_), _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        found.append(feature([[(x + 0.5) / 2, (y + 0.5) / 2] for x, y in ring[:, 0].tolist()]))
    return found


def test_outlines_in_the_sheet(small_experiment, tmp_path, geojson):
    folder = shutil.copytree(small_experiment, tmp_path / "experiment")
    sheet = read_table(folder / "samples.csv").iloc[:2].copy()
    names = [path.split("/")[1].split(".")[0] for path in sheet["image"]]
    truth = read_labels(folder / "truth" / "labels" / f"{names[0]}.tif")
    geojson(*outlines_of(truth[0, 0]), name="experiment/cells.geojson")
    (folder / "image_seg.npy").write_bytes(b"pickle")
    sheet["treatment"] = "vehicle"
    write_table(folder / "samples.csv", sheet.assign(labels=["cells.geojson", "image_seg.npy"]))
    found = check_experiment(read_experiment(folder))
    assert list(found.images) == [names[1]]
    assert "can run code" in found.images[names[1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        outcome = run(folder, tmp_path / "out", workers=1, steps=("segment",))
    assert list(outcome.failed) == [names[1]]
    drawn = read_labels(tmp_path / "out" / "labels" / f"{names[0]}.tif")
    assert drawn.max() == len(np.unique(truth)) - 1
    assert ((drawn > 0) == (truth > 0)).mean() > 0.97
