"""Results written for other programs, each opened in the library that reads it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import roifile
import tifffile

from rgbtrack import DataError, ParamError, RgbtrackWarning, simulate_scene
from rgbtrack.export.formats import FORMATS
from rgbtrack.export.polygons import trace_labels
from rgbtrack.export.results import Results, read_results
from rgbtrack.export.tables import write_csv
from rgbtrack.export.write import export_results
from rgbtrack.files import read_json, read_labels, read_table, write_json, write_labels, write_table
from rgbtrack.plot import clone_colours

THEIRS = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::PendingDeprecationWarning",
    "ignore::FutureWarning",
    "ignore::UserWarning",
)
"""For tests that call libraries which warn of their own insides."""

# ---------------------------------------------------------------- outlines


def drawn_again(plane):
    """A plane of labels drawn from its outlines: even-odd, at the middles of pixels."""
    from skimage.draw import polygon2mask

    result = np.zeros(plane.shape, plane.dtype)
    for label, pieces in trace_labels(plane):
        for piece in pieces:
            inside = polygon2mask(plane.shape, piece.outer[:, ::-1] - 0.5)
            for hole in piece.holes:
                inside &= ~polygon2mask(plane.shape, hole[:, ::-1] - 0.5)
            result[inside] = label
    return result


@pytest.mark.parametrize("seed", range(5))
def test_outlines_along_pixels_are_exact(seed):
    rng = np.random.default_rng(seed)
    plane = rng.integers(0, 4, (23, 31)).astype(np.uint32)  # pieces, holes, single pixels, corners that touch
    assert np.array_equal(drawn_again(plane), plane)


def test_outlines_of_cells():
    plane = simulate_scene("typical", seed=1).labels[0, 0]
    assert np.array_equal(drawn_again(plane), plane)
    assert {label for label, _ in trace_labels(plane)} == set(np.unique(plane)) - {0}


# ---------------------------------------------------------------- the formats


@pytest.fixture
def results(finished, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(finished, folder)
    return folder


@pytest.fixture
def image_id(results):
    return next(iter(read_json(results / "run.json")["images"]))


def of_image(results, image_id):
    cells = read_table(results / "cells.parquet")
    return cells[cells["image_id"] == image_id].reset_index(drop=True)


def test_csv_for_excel_and_its_limit(results, monkeypatch):
    (path,) = export_results(results, "csv")
    cells = read_table(results / "cells.parquet")
    assert len(pd.read_csv(path)) == len(cells)
    monkeypatch.setattr("rgbtrack.export.tables.SHEET_ROWS", 100)
    parts = write_csv(read_results(results), results / "cells.csv")
    assert [part.name for part in parts[:2]] == ["cells_1.csv", "cells_2.csv"]
    assert pd.concat(map(pd.read_csv, parts))["cell"].tolist() == cells["cell"].tolist()


def test_prism_has_a_column_for_each_subject(results):
    (folder,) = export_results(results, "prism")
    names = {p.name for p in folder.iterdir()}
    assert {"clone_shares.csv", "clone_cells.csv", "clone_growth.csv", "cells_area_um2.csv"} <= names
    areas = pd.read_csv(folder / "cells_area_um2.csv")
    cells = read_table(results / "cells.parquet")
    one = cells[(cells["subject"] == "m1") & (cells["timepoint"] == 7)]
    column = areas[f"{one['treatment'].iloc[0]}: m1, day 7, primary"].dropna()
    assert column.to_numpy() == pytest.approx(one["area_um2"].to_numpy(), rel=1e-5)


def test_qupath_outlines_are_read_back_as_the_same_labels(results, image_id):
    (folder,) = export_results(results, "qupath")
    labels = read_labels(results / "labels" / f"{image_id}.tif")
    file = folder / f"{image_id}.geojson"
    cells = of_image(results, image_id)
    features = json.loads(file.read_text())["features"]
    assert [int(feature["properties"]["name"]) for feature in features] == cells["cell"].tolist()
    assert np.array_equal(read_labels(file, labels.shape), labels)
    first, row = features[0]["properties"], cells.iloc[0]
    assert first["measurements"]["red"] == pytest.approx(row["red"])
    assert first["classification"]["name"] == f"clone {row['clone']}"
    colour = clone_colours(read_table(results / "clones.csv"), ["red", "green", "blue"])[row["clone"]]
    assert first["classification"]["color"] == [round(255 * value) for value in colour]


def test_fiji_outlines_and_colours(results, image_id):
    (folder,) = export_results(results, "fiji")
    labels = read_labels(results / "labels" / f"{image_id}.tif")
    file = folder / f"{image_id}.rois.zip"
    assert np.array_equal(read_labels(file, labels.shape), labels)
    cells = of_image(results, image_id)
    rois = roifile.roiread(file)
    assert [roi.name for roi in rois] == cells["cell"].astype(str).tolist()
    with tifffile.TiffFile(folder / f"{image_id}.clones.tif") as tiff:
        assert tiff.is_imagej
        page = tiff.pages[0]
        shown, table = page.asarray(), page.colormap // 257
        size = page.tags["XResolution"].value
    assert size[1] / size[0] == pytest.approx(
        read_json(results / "run.json")["images"][image_id]["pixel_size_um"]
    )
    number = np.zeros(labels.max() + 1, int)
    number[cells["cell"]] = cells["clone"].fillna(255)
    assert np.array_equal(shown, number[labels[0, 0]])
    for roi, clone in zip(rois, cells["clone"].fillna(255), strict=True):
        assert list(roi.stroke_color[1:]) == table[:, clone].tolist()
    assert np.array_equal(np.fromfile(folder / "clones.lut", np.uint8).reshape(3, 256), table)


def test_holes_and_many_clones_are_told_for_fiji(results, image_id):
    labels = read_labels(results / "labels" / f"{image_id}.tif")
    y, x = np.argwhere(labels[0, 0] == 3).mean(axis=0).round().astype(int)
    labels[0, 0, y, x] = 0
    write_labels(results / "labels" / f"{image_id}.tif", labels)
    clones = read_table(results / "clones.csv")
    many = pd.concat([clones] * 100, ignore_index=True).assign(clone=lambda t: np.arange(1, len(t) + 1))
    write_table(results / "clones.csv", many)
    with (
        pytest.warns(RgbtrackWarning, match="1 outlines have holes"),
        pytest.warns(RgbtrackWarning, match="clones from 255 on are grey"),
    ):
        export_results(results, "fiji")


def test_fcs(results, image_id):
    flowio = pytest.importorskip("flowio", reason="flowio is not installed")
    (folder,) = export_results(results, "fcs")
    assert len(list(folder.glob("*.fcs"))) == len(read_json(results / "run.json")["images"])
    data = flowio.FlowData(folder / f"{image_id}.fcs")
    events = pd.DataFrame(np.reshape(data.events, (-1, data.channel_count)), columns=data.pnn_labels)
    cells = of_image(results, image_id)
    assert events["red"].to_numpy() == pytest.approx(cells["red"].to_numpy(), rel=1e-5)
    assert events["clone"].tolist() == cells["clone"].fillna(0).tolist()
    assert data.text["subject"] == cells["subject"].iloc[0]


@THEIRS
def test_anndata_opens_in_scanpy_and_squidpy(results):
    anndata = pytest.importorskip("anndata", reason="the extra rgbtrack[export] is not installed here")
    (path,) = export_results(results, "anndata")
    adata = anndata.read_h5ad(path)
    cells = read_table(results / "cells.parquet")
    assert adata.var_names.tolist() == ["red", "green", "blue"]
    assert pytest.approx(cells[["red", "green", "blue"]].to_numpy(np.float32)) == adata.X
    assert adata.layers["se"] == pytest.approx(cells[["red_se", "green_se", "blue_se"]].to_numpy(np.float32))
    assert adata.obsm["spatial"] == pytest.approx(cells[["x_um", "y_um"]].to_numpy())
    assert len(adata.uns["clone_colors"]) == len(adata.obs["clone"].cat.categories)
    called = adata.obs["clone"].astype(object).where(adata.obs["clone"].notna(), None)
    assert called.tolist() == [None if pd.isna(n) else str(n) for n in cells["clone"]]
    assert adata.uns["clones"]["unique_probability"].notna().all()
    scanpy = pytest.importorskip("scanpy", reason="scanpy is not installed")
    scanpy.pl.embedding(adata, basis="spatial", color="clone", show=False)


@THEIRS
def test_spatialdata(results, image_id):
    spatialdata = pytest.importorskip(
        "spatialdata", reason="the extra rgbtrack[export] is not installed here"
    )
    (path,) = export_results(results, "spatialdata")
    opened = spatialdata.read_zarr(path)
    cells = of_image(results, image_id)
    labels = read_labels(results / "labels" / f"{image_id}.tif")
    assert np.array_equal(opened.labels[f"{image_id}_labels"], labels[0, 0])
    assert list(opened.images[image_id].coords["c"].values) == ["red", "green", "blue"]
    table = opened.tables["cells"]
    rows = table[table.obs["region"] == f"{image_id}_labels"]
    assert rows.obs["cell"].tolist() == cells["cell"].tolist()
    scale = spatialdata.transformations.get_transformation(opened.labels[f"{image_id}_labels"], get_all=True)
    pixel = read_json(results / "run.json")["images"][image_id]["pixel_size_um"]
    assert scale[image_id].to_affine_matrix(("x",), ("x",))[0, 0] == pytest.approx(pixel)
    _, joined = spatialdata.join_spatialelement_table(
        sdata=opened, spatial_element_names=[f"{image_id}_labels"], table_name="cells"
    )
    assert len(joined) == len(cells)


# ---------------------------------------------------------------- what is refused, what is never lost


@THEIRS
@pytest.mark.parametrize("to", [name for name, one in FORMATS.items() if one.module])
def test_writing_again_replaces_but_other_folders_are_left(results, to, tmp_path):
    module = {"anndata": "anndata", "spatialdata": "spatialdata", "fcs": "flowio"}.get(to)
    if module:
        pytest.importorskip(module, reason="the extra rgbtrack[export] is not installed here")
    out = tmp_path / ("out.csv" if to == "csv" else "out")
    first = export_results(results, to, out)
    assert export_results(results, to, out) == first
    if not first[0].is_dir():
        with pytest.raises(ParamError, match="is a folder: give the name of a file"):
            export_results(results, to, results)
        return
    ending = {"prism": "csv", "fcs": "fcs", "qupath": "geojson", "fiji": "tif"}.get(to, "zarr")
    for folder in (tmp_path / "other", out):  # of the same ending, in a folder of theirs or of an export
        folder.mkdir(exist_ok=True)
        (folder / f"mine.{ending}").write_text("mine")
        with pytest.raises(DataError, match="is there and holds something else"):
            export_results(results, to, folder)
        assert (folder / f"mine.{ending}").read_text() == "mine"
    with pytest.raises(DataError, match="is there and holds something else"):
        export_results(results, to, results / "labels")
    assert list((results / "labels").iterdir())


def test_a_table_has_the_ending_of_one(results, tmp_path):
    with pytest.raises(ParamError, match="a table is written as"):
        export_results(results, "csv", tmp_path / "cells.xlsx")


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda folder: (folder / "run.json").unlink(), "is no results folder"),
        (lambda folder: (folder / "cells.parquet").unlink(), "has no cells.parquet yet"),
        (lambda folder: write_json(folder / "run.json", {"images": 3}), "not as this version writes it"),
        (lambda folder: shutil.rmtree(folder / "labels"), "no such file: export needs the labels"),
    ],
)
def test_results_that_cannot_be_exported(results, spoil, match):
    spoil(results)
    with pytest.raises(DataError, match=match):
        export_results(results, "qupath")


def test_no_tables_for_prism(results):
    shutil.rmtree(results / "dynamics")
    with pytest.raises(DataError, match="has no tables of clone dynamics"):
        export_results(results, "prism")


def test_a_format_that_is_none(results, rgbtrack):
    with pytest.raises(ParamError, match="export to 'xlsx': give one of csv, prism, anndata"):
        export_results(results, "xlsx")
    code, _, err = rgbtrack("export", results, "--to", "xlsx")
    assert code == 2
    assert "give one of csv" in err


def test_an_extra_that_is_missing_is_named(results, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    with pytest.raises(DataError, match=r"anndata is not installed: pip install 'rgbtrack\[export\]'"):
        export_results(results, "anndata")


def test_erased_cells_have_no_outline_and_uncalled_ones_do(results, image_id):
    cells = read_table(results / "cells.parquet")
    mine = cells["image_id"] == image_id
    cells.loc[mine & (cells["cell"] == 2), "clone"] = pd.NA
    write_table(results / "cells.parquet", cells[~(mine & (cells["cell"] == 1))])
    (folder,) = export_results(results, "qupath")
    found = {
        feature["properties"]["name"]: feature["properties"]["classification"]["name"]
        for feature in json.loads((folder / f"{image_id}.geojson").read_text())["features"]
    }
    assert "1" not in found
    assert found["2"] == "unassigned"


def test_colours_are_those_of_the_report(results):
    read = read_results(results)
    assert isinstance(read, Results)
    assert read.colours == clone_colours(read_table(results / "clones.csv"), ["red", "green", "blue"])
