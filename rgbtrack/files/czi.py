"""Zeiss CZI: images of one or several scenes, mosaics put together, read plane by plane."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.files.extras import need_extra
from rgbtrack.files.lazily import lazy_planes
from rgbtrack.files.metadata import Metadata, positive, stack_of
from rgbtrack.files.scenes import distinct, find_scene, source_of
from rgbtrack.files.sizes import check_pixels
from rgbtrack.stack import Stack

PACKED = 33_000
"""How many times smaller an empty block may be packed, by zstd."""
UNKNOWN_AXES = {
    "V": "views",
    "H": "phases",
    "I": "illumination directions",
    "R": "rotations",
    "B": "acquisition blocks",
}


@dataclass(frozen=True)
class _Block:
    """One stored rectangle: where it lies in the file and in its scene."""

    position: int
    compression: int
    dtype: np.dtype[Any]
    start: dict[str, int]
    size: dict[str, int]
    samples: int

    def first(self, axis: str) -> int:
        return self.start.get(axis, 0)

    def stop(self, axis: str) -> int:
        return self.first(axis) + self.size.get(axis, 1)


def list_scenes(path: Path) -> tuple[str, ...]:
    """Names of the scenes of a CZI file."""
    with _opened(path) as file:
        return _scene_names(_blocks(path, file), _xml(file))


def read_scene(path: Path, scene: str | int | None) -> Stack:
    """Open one scene of a CZI file, lazily.

    Raises
    ------
    DataError
        If the file is damaged, was cut short, or has axes that are no (t, c, z, y, x).
    """
    with _opened(path) as file:
        blocks, xml = _blocks(path, file), _xml(file)
    names = _scene_names(blocks, xml)
    index = find_scene(path, names, scene)
    wanted = sorted({block.first("S") for block in blocks})[index]
    blocks = [block for block in blocks if block.first("S") == wanted]
    for axis, what in UNKNOWN_AXES.items():
        n = len({block.first(axis) for block in blocks})
        if n > 1:
            raise DataError(f"{path}: has {n} {what}: process it in ZEN, or export one of them")
    kinds = {(block.dtype, block.samples) for block in blocks}
    if len(kinds) > 1:
        raise DataError(f"{path}: its channels are of different types: export it with one type of pixels")
    dtype, samples = kinds.pop()
    origin = {axis: min(block.first(axis) for block in blocks) for axis in "TCZYX"}
    shape = tuple(max(block.stop(axis) for block in blocks) - origin[axis] for axis in "TCZYX")
    check_pixels(path, (samples, *shape), dtype, PACKED)
    planes: dict[tuple[int, ...], list[_Block]] = {}
    for block in blocks:
        planes.setdefault(tuple(block.first(axis) - origin[axis] for axis in "TCZ"), []).append(block)
    n_planes = int(np.prod(shape[:3]))
    if len(planes) < n_planes:
        raise DataError(
            f"{path}: {n_planes - len(planes)} of {n_planes} planes are missing, the recording was stopped: "
            "export what is whole as OME-TIFF"
        )

    def read(plane: tuple[int, int, int], part: tuple[slice, slice]) -> NDArray[Any]:
        result = np.zeros((samples, *(cut.stop - cut.start for cut in part)), dtype)
        with _opened(path) as opened:
            for block in planes[plane]:
                inner, outer = [], []
                for axis, cut in zip("YX", part, strict=True):
                    first, stop = (edge - origin[axis] for edge in (block.first(axis), block.stop(axis)))
                    low, high = max(first, cut.start), min(stop, cut.stop)
                    inner.append(slice(low - first, high - first))
                    outer.append(slice(low - cut.start, high - cut.start))
                if all(cut.stop > cut.start for cut in inner):
                    # (y, x, sample) to (sample, y, x)
                    result[:, outer[0], outer[1]] = np.moveaxis(_pixels(opened, block)[*inner], -1, 0)
        return result

    pixels = lazy_planes(path, read, shape, dtype, samples)
    return stack_of(pixels, _metadata(xml), source_of(path, names, index))


def _opened(path: Path) -> Any:
    """The file, as a context."""
    return need_extra("czifile", "readers").CziFile(path)


def _blocks(path: Path, file: Any) -> list[_Block]:
    """Blocks at full resolution: the others are of a pyramid."""
    blocks, size = [], path.stat().st_size
    for entry in file.subblock_directory:
        dims = {dim.dimension: dim for dim in entry.dimension_entries}
        if any(dims[axis].size != dims[axis].stored_size for axis in "YX"):
            continue
        kind = np.dtype(entry.dtype)
        samples = kind.shape[0] if kind.shape else 1
        if not 0 <= entry.file_position < size:
            raise DataError(f"{path}: pixels lie past the end of the file: it is truncated")
        blocks.append(
            _Block(
                entry.file_position,
                entry.compression,
                kind.base,
                {axis: int(dim.start) for axis, dim in dims.items()},
                {axis: int(dim.size) for axis, dim in dims.items()},
                samples,
            )
        )
    if not blocks:
        raise DataError(f"{path}: the file holds no image")
    for block in blocks:
        if min(block.size.values()) < 1:
            raise DataError(f"{path}: the image has no pixels, shape {block.size}")
    return sorted(blocks, key=lambda block: block.first("M"))


def _pixels(file: Any, block: _Block) -> NDArray[Any]:
    """Pixels of a block, (y, x, sample), red first."""
    from czifile.czifile import Segment

    height, width = block.size["Y"], block.size["X"]
    n_bytes = height * width * block.samples * block.dtype.itemsize
    stored = Segment(file._fh, block.position).data()
    if stored.data_size > file._fh.size:
        raise DataError("a block of pixels is larger than the file")
    content = _unpack(stored.data(raw=True), block.compression, n_bytes)
    if isinstance(content, bytes | bytearray | memoryview):
        content = np.frombuffer(content, block.dtype, height * width * block.samples)
    array = np.asarray(content).reshape(height, width, block.samples)
    # Zeiss keeps blue first, but for JPEG XR, which is decoded to red first
    return array[..., ::-1] if block.samples == 3 and block.compression != 4 else array


def _unpack(packed: bytes, compression: int, n_bytes: int) -> Any:
    """Content of a block, as the format's description has it: JPEG, LZW, JPEG XR, two kinds of zstd."""
    match compression:
        case 0:
            return packed
        case 1:
            return imagecodecs.jpeg8_decode(packed)
        case 2:
            return imagecodecs.lzw_decode(packed, out=n_bytes)
        case 4:
            return imagecodecs.jpegxr_decode(packed)
        case 5:
            return imagecodecs.zstd_decode(packed, out=n_bytes)
        case 6:  # a small header tells whether low and high bytes were sorted apart
            head = packed[0]
            content = imagecodecs.zstd_decode(packed[head:], out=n_bytes)
            if head == 3 and packed[2] & 1:
                low, high = np.frombuffer(content, np.uint8).reshape(2, -1)
                return np.stack([low, high], axis=1).tobytes()
            return content
    raise DataError(f"packed in a way (number {compression}) that is not read: export it as OME-TIFF")


def _xml(file: Any) -> ElementTree.Element | None:
    """What the file tells of itself."""
    try:
        text = file.metadata()
        return ElementTree.fromstring(text)  # noqa: S314 - expat does not fetch, and bounds expansion
    except Exception:  # metadata are not pixels: what they would tell can be given by hand
        return None


def _scene_names(blocks: list[_Block], xml: ElementTree.Element | None) -> tuple[str, ...]:
    numbers = sorted({block.first("S") for block in blocks})
    told = {} if xml is None else {node.get("Index"): node.get("Name") for node in xml.iter("Scene")}
    return distinct([told.get(str(number)) or "" for number in numbers])


def _metadata(xml: ElementTree.Element | None) -> Metadata:
    """Names and calibration; gains are volts and dials in these files, and left alone."""
    if xml is None:
        return Metadata()

    def metres(axis: str) -> float | None:
        value = xml.findtext(f".//Scaling/Items/Distance[@Id='{axis}']/Value")
        return _positive(value, 1e6)

    channels = xml.findall(".//Information/Image/Dimensions/Channels/Channel")
    return Metadata(
        [channel.get("Name") or channel.findtext("Fluor") or "" for channel in channels],
        metres("X"),
        metres("Z"),
        _positive(xml.findtext(".//Dimensions/T/Positions/Interval/Increment"), 1 / 3600),
    )


def _positive(text: str | None, scale: float) -> float | None:
    try:
        return positive(float(text or "") * scale)
    except ValueError:
        return None
