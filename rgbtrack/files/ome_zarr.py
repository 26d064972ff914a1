"""OME-Zarr: images in, of versions 0.4 and 0.5, and labels out, of version 0.5, chunk by chunk."""

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import dask.array as da
import numpy as np
import zarr
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files.atomic import write_folder_atomically
from rgbtrack.files.lazily import PIECE_COLUMNS, PIECE_ROWS, lazy_array, pieces
from rgbtrack.files.messages import short
from rgbtrack.files.metadata import HOURS, MICROMETRES, Metadata, positive, stack_of
from rgbtrack.files.scenes import find_scene, source_of
from rgbtrack.files.sizes import check_pixels
from rgbtrack.stack import Stack

HEADERS = ("zarr.json", ".zgroup", ".zattrs")
PACKED = 33_000
"""How many times smaller an empty chunk may be packed."""
CODECS = {
    *("blosc", "zstd", "gzip", "zlib", "lz4", "lzma", "bz2", "delta", "shuffle", "fixedscaleoffset"),
    *("bytes", "crc32c", "transpose", "sharding_indexed", "packbits", "bitround", "quantize", "crc32"),
}
"""Codecs that unpack pixels and do nothing else: one of zarr's runs code."""
SPACE = {
    "angstrom": 1e-4,
    "nanometer": 1e-3,
    "micrometer": 1.0,
    "millimeter": 1e3,
    "centimeter": 1e4,
    "meter": 1e6,
    "inch": 25400.0,
}
TIME = {"millisecond": 1 / 3.6e6, "second": 1 / 3600, "minute": 1 / 60, "hour": 1.0, "day": 24.0}
MOST_CHUNKS = 2**22
LABELS = "cells"
"""Name of the label image in an OME-Zarr of labels."""
CHUNK_PX = 1024
LEAST_PX = 512
"""The pyramid goes on until a plane has no more rows and columns than this."""


def is_ome_zarr(path: Path) -> bool:
    """Whether a path is a folder that is a Zarr group."""
    return path.is_dir() and any((path / name).is_file() for name in HEADERS)


def read_scene(path: Path, scene: str | int | None) -> Stack:
    """Open one image of an OME-Zarr, lazily; see `read_ome_zarr`."""
    return read_ome_zarr(path, scene=scene)


def read_ome_zarr(path: Path, longest_px: int | None = None, scene: str | int | None = None) -> Stack:
    """Open an OME-Zarr image, lazily.

    Parameters
    ----------
    path
        The folder.
    scene
        Which of the images in it; None where there is one.
    longest_px
        The smallest level of its pyramid is opened whose longer side is no less; None: the full resolution.

    Raises
    ------
    DataError
        If it holds no image or several, is damaged, or is packed by something that is no codec of images.
    """
    names = list_scenes(path)
    index = find_scene(path, names, scene)
    group = path / names[index]
    attributes = _ome(group)
    multiscales = _dictionary(_list(attributes.get("multiscales"), "multiscales", group)[0], group)
    axes = _axes(multiscales, group)
    levels = [_dictionary(one, group) for one in _list(multiscales.get("datasets"), "datasets", group)]
    dataset = levels[0]
    for level in levels[1:] if longest_px is not None else []:
        if max(_open(_within(group, level.get("path"))).shape[-2:]) >= longest_px:
            dataset = level
    folder = _within(group, dataset.get("path"))
    array = _open(folder)
    if array.ndim != len(axes):
        raise DataError(f"{folder}: {array.ndim} axes, but {len(axes)} names ({', '.join(axes)}): damaged")
    kind = np.dtype(array.dtype)
    stored = array.shards or array.chunks
    for shape in (array.shape, stored):
        check_pixels(folder, shape, kind, PACKED)
    order = list(axes)
    least = {"t": 1, "c": 1, "z": 1, "y": PIECE_ROWS, "x": PIECE_COLUMNS}
    sizes = [1 if name in "tc" else size for name, size in zip(order, stored, strict=True)]
    many = [-(-n // size) for n, size in zip(array.shape, sizes, strict=True)]
    if int(np.prod(many, dtype=object)) > MOST_CHUNKS:
        raise DataError(f"{path}: {array.shape} in chunks of {stored}: export the image in larger chunks")
    chunks = [pieces(n, size, least[name]) for name, n, size in zip(order, array.shape, sizes, strict=True)]
    codecs = _packing(folder)

    def read(where: tuple[slice, ...]) -> NDArray[Any]:
        if "blosc" in codecs:
            _check_blosc(folder, array, where)
        return np.asarray(array[where])

    pixels = lazy_array(path, read, chunks, kind)
    pixels = pixels.transpose([order.index(name) for name in "tczyx" if name in order])
    for i, name in enumerate("tczyx"):
        if name not in order:
            pixels = da.expand_dims(pixels, i)
    scale = _scale(multiscales, dataset, len(axes))
    size = {
        name: _calibration(scale[i], unit, TIME if name == "t" else SPACE)
        for i, (name, unit) in enumerate(axes.items())
    }
    tall, wide = size.get("y"), size.get("x")
    if tall and wide and abs(tall / wide - 1) > 0.01:
        warnings.warn(
            f"{path.name}: pixels are {wide:g} x {tall:g} um: taken for squares of {wide:g}",
            RgbtrackWarning,
            stacklevel=4,
        )
    known = Metadata(
        _channel_names(attributes, pixels.shape[1]),
        wide or tall,
        size.get("z") if pixels.shape[2] > 1 else None,
        size.get("t") if pixels.shape[0] > 1 else None,
    )
    return stack_of(pixels, known, source_of(path, names, index))


def list_scenes(path: Path) -> tuple[str, ...]:
    """Images of an OME-Zarr, as paths in it: fields of a plate, series of a converted file, or itself."""
    attributes = _ome(path)
    if "multiscales" in attributes:
        return (".",)
    if "plate" in attributes:
        wells = _list(_dictionary(attributes["plate"], path).get("wells"), "wells", path)
        places = [_within(path, _dictionary(well, path).get("path")) for well in wells]
        return tuple(
            f"{place.relative_to(path).as_posix()}/{name}" for place in places for name in _fields(place)
        )
    if "well" in attributes:
        return tuple(_fields(path))
    series = [p for p in path.iterdir() if p.name.isdigit() and is_ome_zarr(p) and "multiscales" in _ome(p)]
    if not series:
        raise DataError(f"{path}: a Zarr folder without an OME image in it: export the image as OME-Zarr")
    return tuple(p.name for p in sorted(series, key=lambda p: int(p.name)))


def _fields(well: Path) -> list[str]:
    """Fields of a well of a plate."""
    told = _dictionary(_ome(well).get("well", {}), well)
    images = _list(told.get("images"), "images", well)
    return [_within(well, _dictionary(one, well).get("path")).name for one in images]


def _ome(group: Path) -> dict[str, Any]:
    """OME attributes of a group, of either version."""
    version3 = group / "zarr.json"
    if version3.is_file():
        attributes = _dictionary(_json(version3).get("attributes", {}), group)
        return _dictionary(attributes.get("ome", attributes), group)
    return _json(group / ".zattrs") if (group / ".zattrs").is_file() else {}


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: not readable ({short(error)}): is the folder whole?") from error
    return _dictionary(content, file)


def _dictionary(content: Any, where: Path) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise DataError(f"{where}: not as OME-Zarr has it: export the image again")
    return content


def _list(content: Any, what: str, where: Path) -> list[Any]:
    if not isinstance(content, list) or not content:
        raise DataError(f"{where}: its {what} are missing: export the image again as OME-Zarr 0.4 or 0.5")
    return content


def _within(group: Path, name: Any) -> Path:
    """Folder of an array, which must be in its group."""
    folder = group / str(name)
    if not isinstance(name, str) or not folder.resolve().is_relative_to(group.resolve()):
        raise DataError(f"{group}: names {name!r} as the place of its pixels: it must be a folder within")
    if not folder.is_dir():
        raise DataError(f"{folder}: is not there: the OME-Zarr is not whole")
    return folder


def _axes(multiscales: Mapping[str, Any], group: Path) -> dict[str, str | None]:
    """Axes in the order of the file, and their units."""
    found: dict[str, str | None] = {}
    for axis in _list(multiscales.get("axes"), "axes", group):
        known = {"name": axis} if isinstance(axis, str) else _dictionary(axis, group)
        name, unit = str(known.get("name")).lower(), known.get("unit")
        found[name] = unit if isinstance(unit, str) else None
    if not {"y", "x"} <= set(found) or not set(found) <= set("tczyx"):
        raise DataError(f"{group}: axes {', '.join(found)} are not understood: t, c, z, y and x are")
    return found


def _open(folder: Path) -> "zarr.Array[Any]":
    """Open an array whose codecs do nothing but unpack."""
    named = _codecs(_header(folder))
    unknown = sorted(named - CODECS)
    if unknown:
        raise DataError(
            f"{folder}: packed by {', '.join(unknown)}, which is not read: use zstd, blosc or gzip"
        )
    try:
        array = zarr.open_array(folder, mode="r")
    except Exception as error:  # whatever a header may hold
        raise DataError(f"{folder}: not readable as Zarr ({short(error)}): is the folder whole?") from error
    return array


def _header(folder: Path) -> dict[str, Any]:
    """What an array says of itself, of either version."""
    return _json(folder / ("zarr.json" if (folder / "zarr.json").is_file() else ".zarray"))


def _codecs(content: Any) -> set[str]:
    """Names of all codecs, compressors and filters in the header of an array."""
    if isinstance(content, list):
        return set().union(*(_codecs(one) for one in content)) if content else set()
    if not isinstance(content, dict):
        return set()
    named = set()
    for key in ("codecs", "index_codecs", "filters", "compressor"):
        listed = content.get(key) or []
        for one in listed if isinstance(listed, list) else [listed]:
            name = one.get("id", one.get("name")) if isinstance(one, dict) else one
            named |= {str(name).lower().removeprefix("numcodecs.")} | _codecs(
                one.get("configuration") if isinstance(one, dict) else None
            )
    return named


def _packing(folder: Path) -> list[str]:
    """What chunks were packed by at last; of shards, that and what the chunks in them were packed by."""
    packing: list[str] = []
    holder: Any = _header(folder)
    while isinstance(holder, dict):
        last = holder.get("compressor") or (holder.get("codecs") or [None])[-1]
        if not isinstance(last, dict):
            break
        packing.append(str(last.get("id", last.get("name"))).lower())
        holder = last.get("configuration")
    return packing


def _check_blosc(folder: Path, array: "zarr.Array[Any]", where: tuple[slice, ...]) -> None:
    """Refuse chunks that are not as long as they say: Blosc would read on, past their end."""
    stored = array.shards or array.chunks
    size = int(np.prod(array.chunks)) * np.dtype(array.dtype).itemsize
    n = int(np.prod([a // b for a, b in zip(stored, array.chunks, strict=True)]))
    first = [cut.start // side for cut, side in zip(where, stored, strict=True)]
    after = [-(-cut.stop // side) for cut, side in zip(where, stored, strict=True)]
    for place in np.ndindex(*(b - a for a, b in zip(first, after, strict=True))):
        key = array.metadata.encode_chunk_key(tuple(a + i for a, i in zip(first, place, strict=True)))
        file = folder / key
        if not file.is_file():
            continue  # nothing but background
        length = file.stat().st_size
        with file.open("rb") as stream:
            chunks = [(0, length)] if array.shards is None else _in_shard(stream, length, n)
            for at, long in chunks:
                stream.seek(at)
                head = stream.read(16)
                packed, unpacked = (int.from_bytes(head[i : i + 4], "little") for i in (12, 4))
                if len(head) < 16 or at + long > length or packed != long or unpacked != size:
                    raise DataError(f"chunk {key} is not whole")


def _in_shard(stream: BinaryIO, length: int, n: int) -> list[tuple[int, int]]:
    """Place and length of each chunk that is there, by the index at the end of a shard."""
    stream.seek(max(0, length - 16 * n - 4))
    index = stream.read(16 * n)
    if len(index) < 16 * n:
        raise DataError("the index of a shard is not whole")
    places = np.frombuffer(index, "<u8").reshape(n, 2)
    return [(int(at), int(long)) for at, long in places if int(at) < 2**64 - 1]


def _scale(multiscales: Mapping[str, Any], dataset: Mapping[str, Any], n: int) -> NDArray[np.float64]:
    """Size of a pixel along each axis, of all transformations together."""
    scale = np.ones(n)
    for holder in (multiscales, dataset):
        transformations = holder.get("coordinateTransformations")
        for one in transformations if isinstance(transformations, list) else []:
            given = one.get("scale") if isinstance(one, dict) else None
            if isinstance(given, list) and len(given) == n and all(isinstance(s, int | float) for s in given):
                scale = scale * np.array(given, float)
    return scale


def _calibration(scale: float, unit: str | None, units: Mapping[str, float]) -> float | None:
    """Size of a pixel in um, or of a frame in h; None where it has no unit."""
    factor = units.get(str(unit).lower()) or (MICROMETRES if units is SPACE else HOURS).get(str(unit).lower())
    return positive(scale * factor) if factor else None


def _channel_names(attributes: Mapping[str, Any], n: int) -> list[str]:
    """Names of the channels, as OMERO's settings have them; empty where these are of another image."""
    omero = attributes.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    channels = channels if isinstance(channels, list) and len(channels) == n else []
    return [str(one.get("label") or "").strip() if isinstance(one, dict) else "" for one in channels]


@dataclass(frozen=True)
class Scale:
    """Size of a voxel in um, and of a frame in h; None where nobody knows."""

    pixel_size_um: float | None = None
    z_step_um: float | None = None
    frame_interval_h: float | None = None


def write_label_zarr(
    path: str | Path,
    shape: tuple[int, ...],
    blocks: Iterable[tuple[tuple[slice, ...], NDArray[Any]]],
    scale: Scale = Scale(),
    chunk_px: int = CHUNK_PX,
) -> None:
    """Write labels as OME-Zarr 0.5, block by block, with a pyramid.

    The folder itself opens as a label image, and so does ``labels/cells`` in it, where readers of OME-Zarr
    look for the labels of an image.

    Parameters
    ----------
    path
        Folder; one that holds labels already is replaced.
    shape
        Of the labels, (t, z, y, x).
    blocks
        Places in the labels, and what is there; what is nowhere is 0.
    scale
        Calibration.
    chunk_px
        Rows and columns of a chunk: blocks of whole chunks are written fastest.
    """

    def write(folder: Path) -> None:
        axes = "".join(name for name, n in zip("tzyx", shape, strict=True) if n > 1 or name in "yx")
        n_levels = 1
        while max(shape[2:]) > LEAST_PX * 2 ** (n_levels - 1):
            n_levels += 1
        levels = [
            _new_array(folder / "labels" / LABELS / str(i), _thinned(shape, 2**i), axes, chunk_px)
            for i in range(n_levels)
        ]
        for where, block in blocks:
            for i, level in enumerate(levels):
                # every other row and column: labels are not averaged
                (rows, y), (columns, x) = (
                    _every(cut, n, 2**i) for cut, n in zip(where[2:], shape[2:], strict=True)
                )
                few = block[..., rows, columns]
                at = dict(zip("tzyx", (*where[:2], y, x), strict=True))
                level[tuple(at[name] for name in axes)] = few.reshape(
                    [n for n, name in zip(few.shape, "tzyx", strict=True) if name in axes]
                )
        _describe(folder, axes, n_levels, scale)

    write_folder_atomically(path, write, is_label_zarr)


def _thinned(shape: tuple[int, ...], step: int) -> tuple[int, ...]:
    return (*shape[:2], *(-(-n // step) for n in shape[2:]))


def _every(cut: slice, n: int, step: int) -> tuple[slice, slice]:
    """Of a part of n rows, the rows that are multiples of a step, and their places among all such rows."""
    start, stop, _ = cut.indices(n)
    first = -(-start // step)
    return slice(first * step - start, None, step), slice(first, -(-stop // step))


def is_label_zarr(path: Path) -> bool:
    """Whether a folder is an OME-Zarr of labels."""
    try:
        return is_ome_zarr(path) and "image-label" in _ome(path)
    except DataError:
        return False


def _new_array(path: Path, shape: tuple[int, ...], axes: str, chunk_px: int) -> "zarr.Array[Any]":
    size = dict(zip("tzyx", shape, strict=True))
    chunk = {"t": 1, "z": 1, "y": chunk_px, "x": chunk_px}
    return zarr.create_array(
        path,
        shape=[size[name] for name in axes],
        chunks=[min(size[name], chunk[name]) for name in axes],
        dtype=np.uint32,
        zarr_format=3,
        fill_value=0,
        compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=4),
        dimension_names=list(axes),
    )


def _describe(folder: Path, axes: str, levels: int, scale: Scale) -> None:
    """Write what the folder, ``labels`` and ``labels/cells`` in it are."""
    pixel = scale.pixel_size_um
    size = {
        "t": scale.frame_interval_h,
        "z": scale.z_step_um or pixel,
        "y": pixel,
        "x": pixel,
    }
    unit = {"t": "hour", "z": "micrometer", "y": "micrometer", "x": "micrometer"}
    described = [
        {"name": name, "type": "time" if name == "t" else "space"}
        | ({"unit": unit[name]} if size[name] else {})
        for name in axes
    ]

    def multiscales(prefix: str) -> list[dict[str, Any]]:
        datasets = [
            {
                "path": f"{prefix}{level}",
                "coordinateTransformations": [
                    {
                        "type": "scale",
                        "scale": [(size[name] or 1.0) * (2**level if name in "yx" else 1) for name in axes],
                    }
                ],
            }
            for level in range(levels)
        ]
        return [{"name": LABELS, "axes": described, "datasets": datasets, "type": "nearest"}]

    named: dict[str, dict[str, Any]] = {
        "": {"multiscales": multiscales(f"labels/{LABELS}/"), "image-label": {}},
        "labels": {"labels": [LABELS]},
        f"labels/{LABELS}": {"multiscales": multiscales(""), "image-label": {"source": {"image": "../../"}}},
    }
    for name, content in named.items():
        group = zarr.open_group(folder / name, mode="a", zarr_format=3)
        group.attrs["ome"] = {"version": "0.5", **content}
