"""Damaged and hostile files: a clear error in bounded time and memory, and nothing outside the folder of results."""

import ast
import csv
import importlib.util
import json
import struct
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

import rgbtrack
from rgbtrack import DataError, RgbtrackWarning
from rgbtrack.files import (
    check_names,
    read_ctc,
    read_geff,
    read_labels,
    read_stack,
    read_table,
    read_trackmate,
    read_tracks,
    write_geff,
    write_labels,
    write_table,
    write_trackmate,
)
from rgbtrack.pipeline import read_experiment
from rgbtrack.tables import whole_numbers

ROOT = Path(rgbtrack.__file__).parents[1]
MB = 2**20


def load_fuzzer():
    spec = importlib.util.spec_from_file_location("fuzz_readers", ROOT / "benchmarks" / "fuzz_readers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzzer = pytest.importorskip("resource") and load_fuzzer()  # resource: not on Windows


def refused(read, path, match, most_mb=8.0):
    """Check that a file is refused, and that little was allocated for it."""
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RgbtrackWarning)
            with pytest.raises(DataError, match=match):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < most_mb * MB
    finally:
        tracemalloc.stop()


def tiff(path, width, height, *, bits=8, packing=1, content=b"\0" * 600, tile=None, description=b""):
    """Write a TIFF of one page whose header says whatever is asked."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, packing), (262, 3, 1), (277, 3, 1)]
    start = 8 + 2 + 12 * (len(entries) + 4 + bool(description)) + 4
    if description:
        entries.append((270, 2, start + len(content)))
    where = [(322, 3, tile), (323, 3, tile), (324, 4, start), (325, 4, len(content))]
    entries += where if tile else [(273, 4, start), (278, 4, height), (279, 4, len(content)), (282, 3, 0)]
    header = b"II*\0" + struct.pack("<IH", 8, len(entries))
    for tag, kind, value in sorted(entries):
        header += struct.pack("<HHII", tag, kind, len(description) if tag == 270 else 1, value)
    path.write_bytes(header + bytes(4) + content + description)
    return path


def png(path, width, height, bits=8, kind=2):
    """Write a PNG of little content under a header that claims much."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(900))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


# ---------------------------------------------------------------- every reader


@pytest.mark.parametrize(
    ("reader", "n"),
    [
        ("stack", 300),
        ("labels", 150),
        ("outlines", 300),
        ("tables", 100),
        ("tracks", 40),
        ("counts", 100),
        ("bleed", 100),
        ("experiment", 60),
        ("json", 150),
        ("review", 200),
    ],
)
def test_damaged_files_are_read_or_refused(tmp_path, reader, n):
    make, read = fuzzer.READERS[reader]
    samples = make()
    found = {}
    for case in range(n):
        path = fuzzer.make_case(samples, f"{reader} 7 {case}", tmp_path / str(case))
        came = fuzzer.try_case(read, path)
        if came not in ("read", "refused"):
            found[case] = came
    assert not found


@pytest.mark.parametrize("reader", [name for name in fuzzer.READERS if name not in ("clones", "labels")])
def test_the_fuzzer_begins_with_valid_files(tmp_path, reader):
    make, read = fuzzer.READERS[reader]
    for k, sample in enumerate(make()):
        for name, content in sample.files.items():
            file = tmp_path / str(k) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        assert fuzzer.try_case(read, tmp_path / str(k) / sample.entry) == "read"


# ---------------------------------------------------------------- headers that claim much


@pytest.mark.parametrize("packing", [1, 5, 8, 32773, 50000, 7, 34712])
@pytest.mark.parametrize("tile", [None, 256])
def test_a_tiff_of_1_kb_that_claims_60000_by_60000_allocates_nothing(tmp_path, packing, tile):
    refused(
        read_stack, tiff(tmp_path / "a.tif", 60_000, 60_000, packing=packing, tile=tile), "header tells of"
    )


def test_a_tile_that_claims_much_allocates_nothing(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((24, 31), np.uint8), tile=(16, 16), compression="lzw")
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(struct.pack("<HHII", 323, 4, 1, 16)) + 8, 2**32 - 16)
    path.write_bytes(content)
    refused(read_stack, path, "header tells of")


def test_labels_of_another_shape_are_refused_before_they_are_unpacked(tmp_path):
    write_labels(tmp_path / "a.tif", np.zeros((1, 1, 4096, 4096), np.uint32))
    refused(lambda path: read_labels(path, (1, 1, 24, 31)), tmp_path / "a.tif", "labels have shape")


@pytest.mark.parametrize("packing", ["zlib", "zstd", "lzw", "lzma"])
def test_an_empty_image_is_packed_tightly_and_read_all_the_same(tmp_path, packing):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2048, 2048), np.uint16), compression=packing)
    assert read_stack(tmp_path / "a.tif").pixels.shape == (1, 1, 1, 2048, 2048)


def test_labels_of_a_large_image_without_cells_are_read(tmp_path):
    write_labels(tmp_path / "a.tif", np.zeros((1, 1, 8192, 8192), np.uint32))
    assert read_stack(tmp_path / "a.tif").pixels.shape == (1, 1, 1, 8192, 8192)


@pytest.mark.parametrize("size", [(30_000, 30_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_png_that_claims_much_allocates_nothing(tmp_path, size):
    refused(read_stack, png(tmp_path / "a.png", *size), "header tells of")


def test_a_jpeg_that_claims_much_allocates_nothing(tmp_path):
    import cv2

    content = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, 30_000, 30_000)
    (tmp_path / "a.jpg").write_bytes(content)
    refused(read_stack, tmp_path / "a.jpg", "header tells of")


def test_a_chunk_of_a_png_that_claims_much_allocates_nothing(tmp_path):
    content = bytearray(png(tmp_path / "a.png", 16, 16).read_bytes())
    struct.pack_into(">I", content, 33, 2**30)
    (tmp_path / "a.png").write_bytes(content)
    refused(read_stack, tmp_path / "a.png", "not readable as a picture")


def test_only_png_and_jpeg_are_decoded_as_pictures(tmp_path):
    (tmp_path / "a.png").write_bytes(b"P5 30000 30000 255\n" + bytes(900))
    refused(read_stack, tmp_path / "a.png", "not readable as a picture")


def test_an_empty_picture_is_packed_tightly_and_read_all_the_same(tmp_path):
    import cv2

    for name in ("a.png", "a.jpg"):
        cv2.imwrite(str(tmp_path / name), np.zeros((4096, 4096), np.uint8))
        assert read_stack(tmp_path / name).pixels.shape == (1, 1, 1, 4096, 4096)


@pytest.mark.parametrize("kind", ["'|O'", "'<u4'"])
def test_numpy_files_are_not_opened(tmp_path, kind):
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': (60000, 60000), }}".ljust(117) + "\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode())
    refused(lambda path: read_labels(path, (1, 1, 24, 31)), tmp_path / "a.npy", "can run code")


def test_a_zip_of_rois_that_unpacks_to_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", bytes(64 * MB))
    refused(lambda path: read_labels(path, (1, 1, 24, 31)), tmp_path / "a.zip", "header tells of 67,108,864")


def test_names_in_a_zip_of_rois_write_nothing(tmp_path):
    import roifile

    square = roifile.ImagejRoi.frompoints([[2, 3], [9, 3], [9, 11]]).tobytes()
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.zip", "w") as archive:
        archive.writestr("../../x.roi", square)
    assert read_labels(tmp_path / "in" / "a.zip", (1, 1, 24, 31)).max() == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "in"]


@pytest.mark.parametrize("far", [1e9, 1e300, -1e300])
def test_outlines_far_outside_take_no_memory(tmp_path, far):
    corners = [[far, far], [far + 9, far], [far, far * 1.1], [far, far]]
    shape = {"type": "Polygon", "coordinates": [corners]}
    (tmp_path / "a.geojson").write_text(json.dumps([{"type": "Feature", "geometry": shape}]))
    refused(
        lambda path: read_labels(path, (1, 1, 24, 31)), tmp_path / "a.geojson", "none of 1 outlines covers"
    )


def test_an_outline_around_everything_takes_the_memory_of_the_image(tmp_path):
    corners = [[-1e9, -1e9], [1e9, -1e9], [1e9, 1e9], [-1e9, 1e9]]
    shape = {"type": "Polygon", "coordinates": [corners]}
    (tmp_path / "a.geojson").write_text(json.dumps([{"type": "Feature", "geometry": shape}]))
    assert read_labels(tmp_path / "a.geojson", (1, 1, 24, 31)).min() == 1


def test_ids_up_to_the_largest_take_no_memory(tmp_path):
    labels = np.zeros((1, 1, 24, 31), np.uint32)
    labels[..., 3:6, 4:9] = 2**32 - 1
    write_labels(tmp_path / "a.tif", labels)
    (tmp_path / "movie").mkdir()
    tifffile.imwrite(tmp_path / "movie" / "mask000.tif", labels[0, 0])
    (tmp_path / "movie" / "res_track.txt").write_text(f"{2**32 - 1} 0 0 0\n")
    tracemalloc.start()
    try:
        assert read_labels(tmp_path / "a.tif", labels.shape).max() == 2**32 - 1
        assert read_ctc(tmp_path / "movie")["label"].tolist() == [2**32 - 1]
        assert tracemalloc.get_traced_memory()[1] < 64 * MB
    finally:
        tracemalloc.stop()


def test_a_geff_that_claims_much_allocates_nothing(tmp_path):
    pytest.importorskip("geff")
    write_geff(tmp_path / "a.geff", fuzzer._cells())
    for file in (tmp_path / "a.geff").rglob("*"):
        if file.name in (".zarray", "zarr.json"):
            content = json.loads(file.read_text())
            if "shape" in content:
                content["shape"][0] = 10**11
                file.write_text(json.dumps(content))
    refused(read_geff, tmp_path / "a.geff", "header tells of")


# ---------------------------------------------------------------- text that grows, nests or lies


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b0 "ha">'
    + "".join(f'<!ENTITY b{k + 1} "{f"&b{k};" * 10}">' for k in range(9))
    + ']><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="&b9;"/></OME>'
)


def test_entities_in_ome_xml_do_not_grow(tmp_path):
    path = tiff(tmp_path / "a.ome.tif", 20, 30, description=LAUGHS.encode() + b"\0")
    refused(lambda path: read_stack(path).pixels.compute(), path, "amplification|undefined entity|limit")


@pytest.mark.parametrize("name", ["bleed.csv", "experiment.toml", "samples.csv"])
@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 20_000, "\0" * 99, "9" * 99_999, "a=" + "[" * 5000]
)
def test_text_that_is_no_experiment_is_refused(tmp_path, name, text):
    for file, content in fuzzer._experiment_files().items():
        (tmp_path / file).write_bytes(text.encode() if file == name else content)
    with pytest.raises(rgbtrack.ParamError):
        read_experiment(tmp_path)


@pytest.mark.parametrize("text", ["{" * 5000, "[" * 100_000, '{"a":' * 20_000, "9" * 5000, '"\ud800"'])
def test_json_that_nests_deeply_is_refused(tmp_path, text):
    (tmp_path / "a.geojson").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(
        lambda path: read_labels(path, (1, 1, 24, 31)), tmp_path / "a.geojson", "not readable|not GeoJSON"
    )


@pytest.mark.parametrize("wrong", [1e300, -1e300, 0.5, np.inf, "a", "9" * 5000, 2**63])
def test_numbers_of_tracks_are_whole(wrong):
    with pytest.raises(DataError, match="column track should hold whole numbers, found"):
        whole_numbers(pd.Series([1, wrong], name="track"))


def test_blank_frames_of_trackmate_are_told(tmp_path):
    (tmp_path / "a-spots.csv").write_text("ID,TRACK_ID,FRAME,POSITION_X,POSITION_Y\n1,1,,3,4\n")
    with pytest.raises(DataError, match="FRAME should hold whole numbers"):
        read_trackmate(tmp_path / "a-spots.csv")


def test_edges_of_a_geff_that_name_no_node_are_told(tmp_path):
    pytest.importorskip("geff")
    import zarr

    write_geff(tmp_path / "a.geff", fuzzer._cells())
    zarr.open(tmp_path / "a.geff", mode="r+")["edges/ids"][0] = 77
    with pytest.raises(DataError, match=r"not a valid GEFF|name nodes that are not there"):
        read_geff(tmp_path / "a.geff")


# ---------------------------------------------------------------- names that lead elsewhere


@pytest.mark.parametrize(
    "image_id", ["../../x", "a/b", "..\\x", "CON", "nul.txt", ".", "..", "x" * 300, "a\0b", "/etc/x", "C:x"]
)
def test_no_image_id_leads_out_of_the_folder(tmp_path, image_id):
    cells = fuzzer._cells().assign(image_id=image_id)
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match="image_id"):
        write_trackmate(tmp_path / "out", cells)
    assert [path.name for path in tmp_path.rglob("*")] == ["out"]


def test_good_image_ids_are_names():
    check_names(["a", "m1_d7 field 2", "Maus-3.größer", "x" * 150])


# ---------------------------------------------------------------- text that a spreadsheet computes


EVIL = ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=HYPERLINK("http://x")']


def test_no_text_in_a_csv_is_a_formula(tmp_path):
    table = pd.DataFrame({"=name": EVIL, "n": range(len(EVIL)), "kind": pd.Categorical(EVIL)})
    write_table(tmp_path / "a.csv", table)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\n", "＝")]
    back = read_table(tmp_path / "a.csv")
    assert back["=name"].tolist() == [text.replace("\r", "\n") for text in EVIL]


def test_no_image_id_in_a_table_of_trackmate_is_a_formula(tmp_path):
    cells = fuzzer._cells().assign(image_id="=1+1")
    spots = write_trackmate(tmp_path, cells)[0]
    assert ",=1+1" not in spots.read_text(encoding="utf-8")
    assert set(read_tracks(spots)["image_id"]) == {"=1+1"}


# ---------------------------------------------------------------- the code itself


SOURCES = sorted([*(ROOT / "rgbtrack").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
OWN_PIPE = {"plugins/napari_rgbtrack/helper.py": ["import of pickle"]}
"""Pickles go between the window and a process that it started itself, never by way of a file."""
NETWORK = {"socket", "requests", "http", "ftplib", "smtplib", "xmlrpc", "aiohttp", "httpx"}
CODE = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}


def _imports(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _dangers(tree):
    for node in ast.walk(tree):
        for name in _imports(node):
            if name.split(".")[0] in NETWORK | CODE or name.startswith("urllib.request"):
                yield f"import of {name}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("eval", "exec", "compile", "__import__", "os.system", "os.popen", "pd.read_pickle"):
                yield f"{called}"
            if called.endswith(".to_csv"):
                yield "to_csv"
            for keyword in node.keywords:
                if keyword.arg in ("allow_pickle", "shell") and ast.unparse(keyword.value) != "False":
                    yield f"{keyword.arg}={ast.unparse(keyword.value)}"


def test_no_code_of_a_file_is_run_no_network_is_used_and_tables_are_written_in_one_place():
    found = {
        path.relative_to(ROOT).as_posix(): dangers
        for path in SOURCES
        if (dangers := list(_dangers(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found == {"rgbtrack/files/table_files.py": ["to_csv"], **OWN_PIPE}
    assert len(SOURCES) > 100
