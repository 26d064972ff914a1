"""Damaged files by the thousand: every reader tells a clear error, in bounded time and memory.

    python benchmarks/fuzz_readers.py [stack labels ...] [--cases 2000] [--seed 0] [--keep FOLDER]

Small valid files of every kind are damaged (bytes, fields of headers, text, values in JSON) and read to the
end in a process of its own, of limited memory. A finding is whatever is neither read nor refused with an
`RgbtrackError`: another exception, a warning that is none of ours, a crash, more than 300 MB, more than 5 s.
A case follows from reader, seed and number alone: `--first N --cases 1 --keep FOLDER` makes that file again.
"""

import argparse
import gzip
import io
import json
import os
import random
import resource
import selectors
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rgbtrack.errors import RgbtrackError, RgbtrackWarning

MOST_MB = 300
MOST_S = 5.0
MOST_BYTES = 1 << 20
EXTRA_MB = 1500
"""Address space that a reader has beyond what is taken before."""

# ---------------------------------------------------------------- valid files


@dataclass(frozen=True)
class Sample:
    """A valid file with what lies beside it: content by path, and the path that is given to the reader."""

    files: dict[str, bytes]
    entry: str


def _one(name: str, content: bytes) -> Sample:
    return Sample({name: content}, name)


def _tiff(image: Any, **settings: Any) -> bytes:
    import tifffile

    file = io.BytesIO()
    tifffile.imwrite(file, image, **{"photometric": "minisblack", **settings})
    return file.getvalue()


def _picture(ending: str, image: Any) -> bytes:
    import cv2

    return bytes(cv2.imencode(ending, image)[1].tobytes())


def stack_samples() -> list[Sample]:
    """Images of every kind."""
    rng = np.random.default_rng(0)
    plane = rng.integers(0, 4000, (24, 31), np.uint16)
    movie = rng.integers(0, 4000, (2, 3, 3, 24, 31), np.uint16)
    byte = (plane // 16).astype(np.uint8)
    rgb = rng.integers(0, 255, (32, 32, 3), np.uint8)
    ome = {
        "axes": "TCZYX",
        "Channel": {"Name": ["mCherry", "Venus", "Cerulean"]},
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeZ": 2.0,
        "TimeIncrement": 30.0,
    }
    imagej = {"axes": "TZCYX", "spacing": 2.0, "unit": "um", "finterval": 30.0}
    by_channel = np.moveaxis(movie, 1, 2)
    tiffs = {
        "plain.tif": _tiff(plane),
        "float.tif": _tiff(plane.astype(np.float32)),
        "big_endian.tif": _tiff(plane, byteorder=">"),
        "pages.tif": _tiff(movie[0], photometric="minisblack", metadata=None),
        "planar.tif": _tiff(np.moveaxis(rgb, -1, 0), photometric="rgb", planarconfig="separate"),
        "rgb.tif": _tiff(rgb, photometric="rgb"),
        "bigtiff.tif": _tiff(movie[0], bigtiff=True, photometric="minisblack"),
        "imagej.tif": _tiff(by_channel, imagej=True, metadata=imagej, resolution=(2, 2)),
        "image.ome.tif": _tiff(movie, metadata=ome, photometric="minisblack"),
        "tiled.ome.tif": _tiff(movie, tile=(16, 16), compression="zlib", metadata=ome),
        "strips.tif": _tiff(plane, rowsperstrip=5, compression="lzw", predictor=True),
    }
    for packing in ("lzw", "zlib", "zstd", "jpeg", "lzma", "packbits", "png", "webp", "jpeg2000"):
        settings = {"photometric": "rgb"} if packing == "webp" else {}
        tiffs[f"{packing}.tif"] = _tiff(rgb if packing == "webp" else byte, compression=packing, **settings)
        tiffs[f"{packing}_tiled.tif"] = _tiff(
            rgb if packing == "webp" else byte, compression=packing, tile=(16, 16), **settings
        )
    pictures = {
        "grey.png": _picture(".png", plane),
        "rgb.png": _picture(".png", rgb),
        "rgba.png": _picture(".png", np.dstack([rgb, rgb[..., :1]])),
        "rgb.jpg": _picture(".jpg", rgb),
        "grey.jpg": _picture(".jpg", byte),
    }
    return [_one(name, content) for name, content in {**tiffs, **pictures}.items()]


def zarr_samples() -> list[Sample]:
    """OME-Zarr images and labels, of both versions and several codecs."""
    import zarr

    rng = np.random.default_rng(0)
    image = rng.integers(0, 4000, (3, 24, 31), np.uint16)
    axes = [{"name": "c", "type": "channel"}] + [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "yx"
    ]
    scale = [{"type": "scale", "scale": [1.0, 0.5, 0.5]}]
    told = {
        "multiscales": [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}],
        "omero": {"channels": [{"label": name} for name in ("red", "green", "blue")]},
    }

    def make(version: int, **settings: Any) -> Callable[[Path], Any]:
        def write(root: Path) -> None:
            group = zarr.open_group(root / "image.zarr", mode="w", zarr_format=version)
            array = group.create_array("0", shape=image.shape, chunks=(1, 16, 16), dtype="u2", **settings)
            array[:] = image
            group.attrs.update(told if version == 2 else {"ome": {"version": "0.5", **told}})

        return write

    def labels(root: Path) -> None:
        from rgbtrack.files import write_label_zarr

        write_label_zarr(root / "labels.zarr", MASKS.shape, [((slice(None),) * 4, MASKS)])

    blosc = zarr.codecs.BloscCodec()
    kinds = {
        "image.zarr": [
            make(2),
            make(2, compressors=None),
            make(3),
            make(3, compressors=blosc),
            make(3, shards=(1, 32, 32)),
            make(3, shards=(1, 32, 32), compressors=blosc),
        ],
        "labels.zarr": [labels],
    }
    return [Sample(_folder(write), entry) for entry, writers in kinds.items() for write in writers]


def vendor_samples() -> list[Sample]:
    """CZI and LIF as the tests write them, and the ND2 of shared/real where it is."""
    root = Path(__file__).parents[1]
    sys.path.insert(0, str(root / "tests"))
    from vendor.czi import write_czi
    from vendor.lif import write_lif

    image = np.random.default_rng(0).integers(0, 4000, (2, 3, 2, 24, 31), np.uint16)

    def zipped(root: Path) -> None:
        import imagecodecs

        write_czi(root / "a.czi", [image], pack=imagecodecs.zstd_encode, compression=5, z_step_um=2.0)

    writers: dict[str, list[Callable[[Path], Any]]] = {
        "a.czi": [
            lambda root: write_czi(root / "a.czi", [image, image], tile_px=16, pyramid=True, interval_s=60.0),
            zipped,
        ],
        "a.lif": [
            lambda root: write_lif(
                root / "a.lif", {"one": image[None].swapaxes(2, 3), "two": image[None, :1].swapaxes(2, 3)}
            )
        ],
    }
    samples = [Sample(_folder(write), entry) for entry, each in writers.items() for write in each]
    real = root.parent / "shared" / "real" / "readers" / "cluster.nd2"
    return samples + ([_one("a.nd2", real.read_bytes())] if real.exists() else [])


def events_samples() -> list[Sample]:
    """FCS files, with and without a spillover matrix."""
    import flowio

    events = np.random.default_rng(0).normal(100, 30, (50, 4)).astype(np.float32)
    names = ["FSC-A", "mCherry-A", "Venus-A", "Cerulean-A"]
    samples = []
    for metadata in ({}, {"spill": "2,mCherry-A,Venus-A,1,0.2,0.05,1"}):
        file = io.BytesIO()
        flowio.create_fcs(file, events.ravel().tolist(), names, metadata_dict=metadata)
        samples.append(_one("a.fcs", file.getvalue()))
    return samples


def _read_events(path: Path) -> None:
    from rgbtrack.files.fcs import read_events

    read_events(path, {"red": "mCherry", "green": "Venus"})


MASKS = np.zeros((1, 1, 24, 31), np.uint32)
for _k, (_y, _x) in enumerate([(2, 2), (2, 12), (12, 3), (14, 20)], 1):
    MASKS[0, 0, _y : _y + 6, _x : _x + 7] = _k


def labels_samples() -> list[Sample]:
    """Label images."""
    from rgbtrack.files import write_labels

    with tempfile.TemporaryDirectory() as folder:
        write_labels(Path(folder) / "a.tif", MASKS)
        ours = (Path(folder) / "a.tif").read_bytes()
    array = io.BytesIO()
    np.save(array, MASKS)
    return [
        _one("ours.tif", ours),
        _one("plain.tif", _tiff(MASKS[0, 0].astype(np.uint16))),
        _one("float.tif", _tiff(MASKS[0, 0].astype(np.float32), compression="zlib")),
        _one("mask.png", _picture(".png", (MASKS[0, 0] > 0).astype(np.uint8) * 255)),
        _one("labels.png", _picture(".png", MASKS[0, 0].astype(np.uint16))),
        _one("labels.npy", array.getvalue()),
    ]


def outlines_samples() -> list[Sample]:
    """Outlines of QuPath and Fiji."""
    import roifile

    square = np.array([[2.0, 3.0], [9.0, 3.0], [9.0, 11.0], [2.0, 11.0]])
    features = [
        {
            "type": "Feature",
            "id": f"{k}",
            "geometry": {
                "type": "Polygon",
                "coordinates": [[*(square + k).tolist(), (square + k)[0].tolist()]],
                "plane": {"c": -1, "z": 0, "t": 0},
            },
            "properties": {"objectType": "detection", "name": f"cell {k}"},
        }
        for k in (0, 10)
    ]
    several = {"type": "MultiPolygon", "coordinates": [[square.tolist()], [(square + 11).tolist()]]}
    features.append({"type": "Feature", "geometry": several, "properties": {"objectType": "annotation"}})
    rois = [
        roifile.ImagejRoi.frompoints(square.astype(np.int32), position=1),
        roifile.ImagejRoi.frompoints(square + 0.5),
    ]
    oval = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, left=3, top=4, right=15, bottom=12)
    contents = [roi.tobytes() for roi in (*rois, oval)]
    samples = [
        _one("qupath.geojson", json.dumps({"type": "FeatureCollection", "features": features}).encode()),
        _one("list.json", json.dumps(features[:2]).encode()),
        *(_one(f"{k}.roi", content) for k, content in enumerate(contents)),
    ]
    for packing in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", packing) as archive:
            for k, content in enumerate(contents):
                archive.writestr(f"{k}.roi", content)
        samples.append(_one(f"set{packing}.zip", file.getvalue()))
    return samples


def _cells() -> pd.DataFrame:
    rows = [(t, 1, None, 8, 6 + t) for t in range(2)]
    rows += [(t, k, 1, 8 + 4 * k, 6 + 4 * t) for k in (2, 3) for t in range(2, 4)]
    table = pd.DataFrame(rows, columns=["frame", "track", "parent", "y_um", "x_um"])
    table["cell"] = table.groupby("frame").cumcount() + 1
    return table.assign(
        image_id="a", z_um=0.0, parent=table["parent"].astype("Int64"), clone=1, link_probability=0.9
    )


def _folder(make: Callable[[Path], Any]) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as root:
        make(Path(root))
        return {
            file.relative_to(root).as_posix(): file.read_bytes()
            for file in sorted(Path(root).rglob("*"))
            if file.is_file()
        }


def tables_samples() -> list[Sample]:
    """Tables of ours."""
    from rgbtrack.files import write_table

    cells = _cells().assign(subject="=m1", treatment="NA", flag=True)
    return [
        Sample(_folder(lambda root, name=name: write_table(root / name, cells)), name)  # type: ignore[misc]
        for name in ("cells.csv", "cells.parquet")
    ]


def tracks_samples() -> list[Sample]:
    """Tracks in all formats."""
    from rgbtrack.files import write_ctc, write_geff, write_table, write_trackmate

    cells = _cells()
    labels = np.zeros((4, 1, 40, 40), np.uint32)
    for row in cells.itertuples():
        labels[row.frame, 0, int(row.y_um) - 1 : int(row.y_um) + 2, int(row.x_um) - 1 : int(row.x_um) + 2] = (
            row.cell
        )
    mates = _folder(lambda root: write_trackmate(root, cells))
    alone = {"a-spots.csv": mates["a-spots.csv"]}
    geff = _folder(lambda root: write_geff(root / "tracks.geff", cells))
    return [
        Sample(geff, "tracks.geff"),
        Sample(_folder(lambda root: write_ctc(root / "ctc", cells, labels)), "ctc"),
        Sample(mates, "a-spots.csv"),
        Sample(alone, "a-spots.csv"),
        Sample(_folder(lambda root: write_table(root / "tracks.csv", cells)), "tracks.csv"),
        Sample(_folder(lambda root: write_table(root / "tracks.parquet", cells)), "tracks.parquet"),
    ]


def counts_samples() -> list[Sample]:
    """Count tables."""
    text = "barcode,m1,m2,m3\nAACG,10,0,3\nTTGC,5,7,11\nGGAA,1,2,3\n"
    tab = text.replace("barcode", "").replace(",", "\t")
    return [
        _one("counts.csv", text.encode()),
        _one("counts.tsv", tab.encode()),
        _one("counts.csv.gz", gzip.compress(text.encode(), mtime=0)),
    ]


BLEED = "detector,mCherry,Venus,Cerulean\nmCherry,1,0.02,0\nVenus,0.05,1,0.3\nCerulean,0,0.01,1\n"


def bleed_samples() -> list[Sample]:
    """Bleed-through matrices."""
    return [_one("bleed.csv", BLEED.encode()), _one("semi.csv", BLEED.replace(",", ";").encode())]


SHEET = (
    "image,subject,treatment,timepoint,image_id,site,batch,pixel_size_um,total_cells,dose\n"
    "a.tif,m1,vehicle,0,a,primary,b1,0.5,1000,1\n"
    "a.tif,m2,agonist,7.5,b,liver,b1,0.5,,2\n"
    '"a.tif;b.tif",m2,agonist,7,"c, d",liver,b2,0.5,12,x\n'
)
TOML = """[experiment]
name = "CRC"
samples = "samples.csv"
control = "vehicle"
[channels]
markers = { red = "mCherry", green = "Venus", blue = "Cerulean" }
nucleus = "DAPI"
[correct]
bleed_through = "bleed.csv"
attenuation_um = { red = 80.0 }
[segment]
diameter_um = 13.0
[clones]
palette = "subject"
min_probability = 0.9
[dynamics.response]
control = "vehicle"
"""


def _experiment_files() -> dict[str, bytes]:
    image = _tiff(np.zeros((4, 4), np.uint8))
    return {
        "experiment.toml": TOML.encode(),
        "samples.csv": SHEET.encode(),
        "bleed.csv": BLEED.encode(),
        "a.tif": image,
        "b.tif": image,
    }


def experiment_samples() -> list[Sample]:
    """Experiments with their sheet."""
    files = _experiment_files()
    utf16 = {**files, "samples.csv": SHEET.encode("utf-16")}
    return [Sample(files, "experiment.toml"), Sample(utf16, "experiment.toml")]


def json_samples() -> list[Sample]:
    """Notes of a run."""
    run = {"version": "1", "images": {"a": {"status": "done", "n_cells": 3}}, "configuration": {"x": [1.5]}}
    return [_one("run.json", json.dumps(run).encode())]


def review_samples() -> list[Sample]:
    """Corrections made by hand."""
    from rgbtrack.review import corrections as made

    place = made.Place(image_id="a", frame=0, cell=1, z_um=0, y_um=5, x_um=6, radius_um=3)
    mask = made.Mask(origin=(0, 1, 1), shape=(1, 2, 3), runs=(1, 2, 3))
    lines = [
        made.Merge(clones=((place,), (place,))),
        made.Rename(clone=(place,), name="=red"),
        made.Exclude(cells=(place,), reason="dirt"),
        made.Redraw(image_id="a", frame=0, outlines=(made.Outline(was=place, cell=1, mask=mask),)),
        made.Join(earlier=place, later=place.model_copy(update={"frame": 1})),
    ]
    lines.append(made.Undo(of=lines[0].id))
    return [_one("review.jsonl", "".join(line.model_dump_json() + "\n" for line in lines).encode())]


def clones_samples() -> list[Sample]:
    """Saved clones."""
    from rgbtrack.clones import fit_clones, save_clones

    rng = np.random.default_rng(0)
    means = np.array([[900.0, 50, 50], [50, 800, 60], [60, 500, 700]])
    light = means[rng.integers(0, 3, 300)] * rng.lognormal(0, 0.1, (300, 3)) + rng.normal(0, 5, (300, 3))
    table = pd.DataFrame(light, columns=["red", "green", "blue"])
    table = table.assign(red_se=5.0, green_se=5.0, blue_se=5.0)
    model = fit_clones(table)
    return [Sample(_folder(lambda root: save_clones(root / "clones.json", model)), "clones.json")]


# ---------------------------------------------------------------- readers


def _read_scenes(path: Path) -> None:
    from rgbtrack.files import list_scenes

    for scene in list_scenes(path)[:3]:
        _read_stack(path, scene)


def _read_stack(path: Path, scene: str | None = None) -> None:
    from rgbtrack.files import read_stack

    stack = read_stack(path, scene=scene)
    if stack.pixels.nbytes < 64 * 2**20:
        np.asarray(stack.pixels)
    elif hasattr(stack.pixels, "blocks"):
        first = stack.pixels.blocks[(0,) * stack.pixels.ndim]
        if first.nbytes < 64 * 2**20:
            np.asarray(first)


def _read_labels(path: Path) -> None:
    from rgbtrack.files import read_labels

    read_labels(path, MASKS.shape)


def _read_tracks(path: Path) -> None:
    from rgbtrack.files import read_tracks

    read_tracks(path, pixel_size_um=0.5)


def _read_table(path: Path) -> None:
    from rgbtrack.files import read_table

    read_table(path)


def _read_counts(path: Path) -> None:
    from rgbtrack.files import read_counts

    read_counts(path)


def _read_bleed(path: Path) -> None:
    from rgbtrack.files import read_bleed_through

    read_bleed_through(path, {"red": "mCherry", "green": "Venus", "blue": "Cerulean"})


def _read_experiment(path: Path) -> None:
    from rgbtrack.pipeline import read_experiment

    read_experiment(path)


def _read_json(path: Path) -> None:
    from rgbtrack.files import read_json

    read_json(path)


def _read_review(path: Path) -> None:
    from rgbtrack.review import read_review

    read_review(path)


def _load_clones(path: Path) -> None:
    from rgbtrack.clones import load_clones

    load_clones(path)


READERS: dict[str, tuple[Callable[[], list[Sample]], Callable[[Path], None]]] = {
    "stack": (stack_samples, _read_stack),
    "zarr": (zarr_samples, _read_stack),
    "vendor": (vendor_samples, _read_scenes),
    "events": (events_samples, _read_events),
    "labels": (labels_samples, _read_labels),
    "outlines": (outlines_samples, _read_labels),
    "tables": (tables_samples, _read_table),
    "tracks": (tracks_samples, _read_tracks),
    "counts": (counts_samples, _read_counts),
    "bleed": (bleed_samples, _read_bleed),
    "experiment": (experiment_samples, _read_experiment),
    "json": (json_samples, _read_json),
    "review": (review_samples, _read_review),
    "clones": (clones_samples, _load_clones),
}
"""What makes valid files, and what reads them."""

# ---------------------------------------------------------------- damage

EXTREMES = (0, 1, 2, 255, 2**15 - 1, 2**16 - 1, 60_000, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (
    *("", "0", "-1", "1e999", "-1e308", "1e-320", "NaN", "inf", "4294967295", "9" * 25, "9" * 5000, "0x10"),
    *("null", "true", "=1+1", "../../x", "\0", "\ufeff", "é", "a,b", '"', "'", "\n", "\r", ";", "2026-01-01"),
    *("[" * 100_000, "{" * 5000, '{"a":' * 20_000, "x" * 70_000),
)
VALUES = (
    *(None, True, 0, -1, 1.5, 1e308, -1e308, 2**31, 2**63, 2**64, 10**30, "", "x", "NaN", [], {}, [[]]),
    *([None], ["x"], {"a": 1}, [1, [2]], "é\0", float("nan"), float("inf"), "../x", [1e308] * 3),
)


def damage(content: bytes, name: str, rng: random.Random) -> bytes:
    """Damage a file once to three times."""
    text = Path(name).suffix in (".csv", ".tsv", ".txt", ".json", ".jsonl", ".toml", ".geojson", "")
    ways: list[Callable[[bytes, random.Random], bytes]] = [
        _flip,
        _field,
        _cut,
        _double,
        _remove,
        _noise,
        _tail,
    ]
    if text:
        ways += [_number, _word, _line, _utf8] * 2
    if name.endswith((".json", ".geojson", ".jsonl", ".zattrs", ".zarray", ".zgroup")):
        ways += [_json_value] * 10
    if name.endswith(".tif"):
        ways += [_tiff_field] * 12
    if name.endswith(".png"):
        ways += [_png_field] * 4
    if name.endswith(".gz"):
        return (
            gzip.compress(damage(gzip.decompress(content), name[:-3], rng))
            if rng.random() < 0.5
            else _flip(content, rng)
        )
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        content = rng.choice(ways)(content, rng)[:MOST_BYTES]
    return content


def _at(content: bytes, rng: random.Random) -> int:
    """A place, often in the header."""
    return rng.randrange(max(1, min(len(content), rng.choice((32, 256, len(content) or 1)))))


def _flip(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 2, 8))):
        if changed:
            changed[_at(content, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _field(content: bytes, rng: random.Random) -> bytes:
    size, at = rng.choice((1, 2, 4, 8)), _at(content, rng)
    at -= at % min(size, 4)
    value = rng.choice(EXTREMES) % 256**size
    return content[:at] + value.to_bytes(size, rng.choice(("little", "big"))) + content[at + size :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _double(content: bytes, rng: random.Random) -> bytes:
    at, size = _at(content, rng), rng.choice((1, 16, 200))
    return content[: at + size] + content[at : at + size] * rng.choice((1, 1, 50)) + content[at + size :]


def _remove(content: bytes, rng: random.Random) -> bytes:
    at = _at(content, rng)
    return content[:at] + content[at + rng.choice((1, 4, 100)) :]


def _noise(content: bytes, rng: random.Random) -> bytes:
    at, size = _at(content, rng), rng.choice((4, 64))
    return content[:at] + rng.randbytes(size) + content[at + size :]


def _tail(content: bytes, rng: random.Random) -> bytes:
    head = content[: rng.choice((8, 64, len(content)))]
    return head + rng.randbytes(rng.choice((1, 300, 5000)))


def _tiff_field(content: bytes, rng: random.Random) -> bytes:
    """Change kind, count or value of a tag, or the place of the next page."""
    try:
        order = {b"II": "<", b"MM": ">"}[content[:2]]
        big = struct.unpack_from(f"{order}H", content, 2)[0] == 43
        offset = struct.unpack_from(f"{order}Q" if big else f"{order}I", content, 8 if big else 4)[0]
        pages = []
        while offset and offset not in pages and len(pages) < 50:
            pages.append(offset)
            n = struct.unpack_from(f"{order}Q" if big else f"{order}H", content, offset)[0]
            start, width = offset + (8 if big else 2), 20 if big else 12
            offset = struct.unpack_from(f"{order}Q" if big else f"{order}I", content, start + n * width)[0]
        page = rng.choice(pages[:2] or [8])
        n = struct.unpack_from(f"{order}Q" if big else f"{order}H", content, page)[0]
        start, width = page + (8 if big else 2), 20 if big else 12
        k = rng.randrange(n + 1)
        at, changed = start + k * width, bytearray(content)
        word = "Q" if big else "I"
        if k == n:
            struct.pack_into(f"{order}{word}", changed, at, rng.choice([*pages, 1, 2**31, 2**32 - 1]))
            return bytes(changed)
        what = rng.choice(("tag", "kind", "count", "value", "value", "value", "values"))
        if what == "tag":
            tags = (
                254,
                256,
                257,
                258,
                259,
                262,
                270,
                273,
                277,
                278,
                279,
                284,
                317,
                322,
                323,
                324,
                325,
                330,
                339,
            )
            struct.pack_into(f"{order}H", changed, at, rng.choice(tags))
        elif what == "kind":
            struct.pack_into(f"{order}H", changed, at + 2, rng.choice([*range(20), 65535]))
        elif what == "count":
            struct.pack_into(
                f"{order}{word}", changed, at + 4, rng.choice(EXTREMES) % 256 ** (8 if big else 4)
            )
        elif what == "value":
            kind = struct.unpack_from(f"{order}H", content, at + 2)[0]
            place = at + (12 if big else 8)
            form = {1: "B", 2: "B", 3: "H", 16: "Q"}.get(kind, "I")
            values = (*EXTREMES, page, 3, 7, 8, 16, 34, 64, 1000, 32946, 50000, 34712, 34925)
            struct.pack_into(
                f"{order}{form}", changed, place, rng.choice(values) % 256 ** struct.calcsize(form)
            )
        else:
            place = struct.unpack_from(f"{order}{word}", content, at + (12 if big else 8))[0]
            struct.pack_into(f"{order}I", changed, place + 4 * rng.randrange(4), rng.choice(EXTREMES) % 2**32)
        return bytes(changed)
    except (struct.error, KeyError, IndexError, OverflowError):
        return _field(content, rng)


def _png_field(content: bytes, rng: random.Random) -> bytes:
    """Change a field of the header, its checksum too."""
    if len(content) < 33:
        return _field(content, rng)
    header = bytearray(content[12:29])
    if rng.random() < 0.7:
        struct.pack_into(">I", header, rng.choice((4, 8)), rng.choice(EXTREMES) % 2**32)
    else:
        header[12 + rng.randrange(5)] = rng.randrange(256)
    return content[:12] + bytes(header) + struct.pack(">I", zlib.crc32(header)) + content[33:]


def _number(content: bytes, rng: random.Random) -> bytes:
    """Put something else in the place of a number."""
    places = [
        i for i, c in enumerate(content) if 48 <= c <= 57 and (i == 0 or not 48 <= content[i - 1] <= 57)
    ]
    if not places:
        return _word(content, rng)
    start = end = rng.choice(places)
    while end < len(content) and 48 <= content[end] <= 57:
        end += 1
    return content[:start] + rng.choice(WORDS).encode() + content[end:]


def _word(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(WORDS).encode() + content[at + rng.choice((0, 1, 5)) :]


def _line(content: bytes, rng: random.Random) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    k = rng.randrange(len(lines))
    lines[k : k + 1] = rng.choice(([], [lines[k]] * 2, [lines[k], b"\n"], [lines[k]] * 200, [lines[-1]]))
    return b"".join(lines)


def _utf8(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice((b"\xff", b"\xc3", b"\xed\xa0\x80", b"\0", b"\xff\xfe")) + content[at:]


def _json_value(content: bytes, rng: random.Random) -> bytes:
    """Put something else in the place of a value, or leave it out."""
    lines = content.splitlines() if b"}\n{" in content else [content]
    k = rng.randrange(len(lines)) if lines else 0
    try:
        tree = json.loads(lines[k])
    except (ValueError, IndexError, RecursionError):
        return _word(content, rng)
    places = list(_places(tree))
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    node, key = rng.choice(places)
    if rng.random() < 0.2:
        del node[key]
    else:
        node[key] = rng.choice(VALUES)
    lines[k] = json.dumps(tree).encode()
    return b"\n".join(lines) + (b"\n" if len(lines) > 1 else b"")


def _places(tree: Any) -> Any:
    keys = tree.keys() if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


# ---------------------------------------------------------------- cases


def make_case(samples: list[Sample], seed: str, folder: Path) -> Path:
    """Write a damaged sample into a folder; what is given to the reader."""
    rng = random.Random(seed)
    sample = rng.choice(samples)
    damaged = rng.choice(
        [name for name in sample.files if not (name.endswith(".tif") and sample.entry[-4:] == "toml")]
    )
    for name, content in sample.files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(damage(content, name, rng) if name == damaged else content)
    return folder / sample.entry


def try_case(read: Callable[[Path], None], path: Path) -> str:
    """What came of reading: "read", "refused", or a finding."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", RgbtrackWarning)
            read(path)
    except RgbtrackError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, MemoryError) or "Insufficient memory" in str(cause):
                return f"memory: {_where(cause)}"
            cause = cause.__cause__ or cause.__context__
        return "refused"
    except BaseException as error:
        return f"{type(error).__name__}: {_where(error)}"
    return "read"


def _where(error: BaseException) -> str:
    steps = [step for step in traceback.extract_tb(error.__traceback__) if "/rgbtrack/" in step.filename]
    step = steps[-1] if steps else None
    place = f"{Path(step.filename).name}:{step.lineno}" if step else "?"
    return f"{place}: {' '.join(str(error).split())[:150]}"


def _memory_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(name)) / 1024


def work(reader: str, first: int, last: int, seed: int) -> None:
    """Read cases one after the other; one line each on stdout: number, seconds, MB, what came of it."""
    import dask

    dask.config.set(scheduler="synchronous")
    make, read = READERS[reader]
    samples = make()
    for sample in samples:  # valid files are read, and everything is imported
        with tempfile.TemporaryDirectory() as folder:
            for name, content in sample.files.items():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / name).write_bytes(content)
            came = try_case(read, Path(folder) / sample.entry)
            if came != "read" and not sample.entry.endswith(".npy"):
                print(f"{sample.entry} is valid, but: {came}", file=sys.stderr)
    limit = int((_memory_mb("VmSize") + EXTRA_MB) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for case in range(first, last):
        with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
            path = make_case(samples, f"{reader} {seed} {case}", Path(folder))
            print(f"start {case}", flush=True)
            Path("/proc/self/clear_refs").write_text("5")
            before, start = _memory_mb("VmRSS"), time.perf_counter()
            came = try_case(read, path)
            took, most = time.perf_counter() - start, _memory_mb("VmHWM") - before
            print(f"end {case}\t{took:.2f}\t{most:.0f}\t{came}", flush=True)


def fuzz(reader: str, first: int, cases: int, seed: int) -> tuple[Counter[str], dict[str, int], float, float]:
    """Try cases; how many came to what, an example of each finding, the most seconds and MB."""
    last, counts, examples, slowest, most = first + cases, Counter[str](), dict[str, int](), 0.0, 0.0
    at = first

    def count(case: int, came: str) -> None:
        counts[came] += 1
        if came not in ("read", "refused"):
            examples.setdefault(came, case)

    while at < last:
        command = [sys.executable, __file__, "--work", reader, str(at), str(last), str(seed)]
        with tempfile.TemporaryFile() as said:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)
            assert child.stdout is not None
            waiting = selectors.DefaultSelector()
            waiting.register(child.stdout, selectors.EVENT_READ)
            running, rest = at - 1, b""
            while True:
                patience = 120 if running < at else 4 * MOST_S
                if not waiting.select(patience):
                    child.kill()
                    break
                chunk = os.read(child.stdout.fileno(), 1 << 16)
                if not chunk:
                    break
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    what, _, told = line.decode().partition(" ")
                    if what == "start":
                        running = int(told)
                        at = running
                        continue
                    number, took, mb, came = told.split("\t", 3)
                    slowest, most = max(slowest, float(took)), max(most, float(mb))
                    if float(took) > MOST_S:
                        came = f"slow: {took} s, {came}"
                    elif float(mb) > MOST_MB:
                        came = f"memory: {mb} MB, {came}"
                    count(int(number), came)
                    at, running = int(number) + 1, int(number)
            code = child.wait()
            waiting.close()
            said.seek(0)
            text = said.read().decode(errors="replace").strip()
            if at < last:
                if running < at:
                    raise SystemExit(f"{reader}: the worker ended before its first case: {text[-600:]}")
                count(at, f"crash: exit code {code}" if code != -9 else "hang: no end after 20 s")
                at += 1
    return counts, examples, slowest, most


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("readers", nargs="*", choices=[*READERS, []], help="default: all")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write the damaged files here, and do not read them")
    parser.add_argument("--work", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work[0], *map(int, given.work[1:]))
        return
    for reader in given.readers or READERS:
        if given.keep:
            samples = READERS[reader][0]()
            for case in range(given.first, given.first + given.cases):
                folder = given.keep / f"{reader}_{case}"
                shutil.rmtree(folder, ignore_errors=True)
                print(make_case(samples, f"{reader} {given.seed} {case}", folder))
            continue
        start = time.perf_counter()
        counts, examples, slowest, most = fuzz(reader, given.first, given.cases, given.seed)
        found = sum(counts.values()) - counts["read"] - counts["refused"]
        print(
            f"{reader}: {sum(counts.values())} cases, {counts['read']} read, {counts['refused']} refused, "
            f"{found} findings; at most {slowest:.2f} s and {most:.0f} MB; "
            f"{time.perf_counter() - start:.0f} s",
            flush=True,
        )
        for came, case in sorted(examples.items(), key=lambda item: -counts[item[0]]):
            print(f"  {counts[came]:5d} x (case {case}) {came}", flush=True)


if __name__ == "__main__":
    main()
