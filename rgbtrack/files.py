"""Files: images in, tables and labels out, every write atomic."""

import hashlib
import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import dask.array as da
import numpy as np
import pandas as pd
import tifffile
import zarr
from numpy.typing import NDArray

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.stack import Stack

logging.getLogger("tifffile").setLevel(logging.CRITICAL)

TIFF_ENDINGS = (".tif", ".tiff", ".btf", ".tf8")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg")
MICROMETRES = {
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
    "inch": 25400.0,
    "in": 25400.0,
    "\\u00b5m": 1.0,
}
HOURS = {"ms": 1 / 3.6e6, "s": 1 / 3600, "sec": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0}


def read_stack(
    path: str | Path | Sequence[str | Path],
    *,
    pixel_size_um: float | None = None,
    z_step_um: float | None = None,
    frame_interval_h: float | None = None,
) -> Stack:
    """Open an image lazily, with axes, channel names and calibration as recorded.

    Parameters
    ----------
    path
        TIFF, OME-TIFF, ImageJ hyperstack, PNG or JPEG; several for one file per channel, in channel order.
    pixel_size_um, z_step_um, frame_interval_h
        Override what the file says.

    Returns
    -------
    stack
        Pixels are a dask array (t, c, z, y, x): nothing but the header is read.

    Raises
    ------
    DataError
        If a file is missing, empty, truncated, of another format, or files of one image differ in shape.
    """
    paths = [Path(path)] if isinstance(path, str | Path) else [Path(p) for p in path]
    if not paths:
        raise DataError("no image file given")
    stacks = [_read_file(p) for p in paths]
    first = stacks[0]
    channels = first.channels
    pixels = first.pixels
    if len(stacks) > 1:
        sizes = {p.name: (s.pixels.shape[0], *s.pixels.shape[2:]) for p, s in zip(paths, stacks, strict=True)}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{name} {shape}" for name, shape in sizes.items())
            raise DataError(f"files of one image differ in (t, z, y, x): {told}: give files of one field")
        pixels = da.concatenate([s.pixels for s in stacks], axis=1)
        channels = _names_of_files(paths, stacks)

    def first_known(given: float | None, name: str) -> float | None:
        return (
            given if given is not None else next((getattr(s, name) for s in stacks if getattr(s, name)), None)
        )

    return Stack(
        pixels,
        channels,
        pixel_size_um=first_known(pixel_size_um, "pixel_size_um"),
        z_step_um=first_known(z_step_um, "z_step_um"),
        frame_interval_h=first_known(frame_interval_h, "frame_interval_h"),
        source="; ".join(p.name for p in paths),
    )


def _names_of_files(paths: Sequence[Path], stacks: Sequence[Stack]) -> tuple[str, ...]:
    """Channel names of several files: as recorded, else the part of the file names that differs."""
    names = [name for stack in stacks for name in stack.channels]
    recorded = len(set(names)) == len(names) and not any(name.startswith("channel ") for name in names)
    if not recorded and len(names) == len(paths):
        parts = [re.split(r"[^A-Za-z0-9]+", file_stem(p)) for p in paths]
        if len({len(p) for p in parts}) == 1:
            differing = [column for column in zip(*parts, strict=True) if len(set(column)) == len(paths)]
            if differing:
                names = list(differing[-1])
    return tuple(name if names.count(name) == 1 else f"channel {i}" for i, name in enumerate(names))


def file_stem(path: Path) -> str:
    """File name without its endings (``.ome.tif`` counts as one)."""
    return re.sub(r"(\.ome)?\.[A-Za-z0-9]{2,5}$", "", path.name)


def _read_file(path: Path) -> Stack:
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, an image file is needed")
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty")
    ending = path.suffix.lower()
    if ending in PICTURE_ENDINGS:
        return _read_picture(path)
    if ending not in TIFF_ENDINGS:
        raise DataError(
            f"{path}: {ending or 'a file without ending'} is not read: TIFF, OME-TIFF, ImageJ "
            "TIFF, PNG and JPEG are; "
            f"export the image as OME-TIFF"
        )
    try:
        return _read_tiff(path)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: not readable as TIFF ({_short(error)}): is the file whole?") from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix("<tifffile.TiffFile").strip()[:160]


def _read_picture(path: Path) -> Stack:
    import cv2

    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise DataError(f"{path}: not readable as a picture: is the file whole?")
    if image.ndim == 2:
        return Stack(image[None, None, None], ("grey",), source=path.name)
    rgb = image[..., 2::-1]  # OpenCV keeps blue first; alpha is dropped
    warnings.warn(
        f"{path.name}: an RGB picture: its channels were mixed and scaled for the eye, colours "
        "are approximate",
        RgbtrackWarning,
        stacklevel=5,
    )
    return Stack(np.moveaxis(rgb, -1, 0)[None, :, None], ("red", "green", "blue"), source=path.name)


def _read_tiff(path: Path) -> Stack:
    with tifffile.TiffFile(path) as tiff:
        if not tiff.series:
            raise DataError(f"{path}: the file holds no image")
        series = tiff.series[0]
        axes, shape, dtype = series.axes.upper(), series.shape, np.dtype(series.dtype)
        if dtype.kind not in "uif" or dtype.itemsize > 8:
            raise DataError(f"{path}: pixels of type {dtype} are not read: 8, 16 or 32 bit or float are")
        _check_size(path, tiff, series)
        names, calibration = _metadata(tiff, series)
    order = _axes(axes, shape, path)
    pixels = _lazy(path, axes, shape, dtype)
    expand = tuple(i for i, name in enumerate("TCZYX") if name not in order)
    pixels = pixels.transpose([order.index(name) for name in "TCZYX" if name in order])
    for axis in expand:
        pixels = da.expand_dims(pixels, axis)
    n = pixels.shape[1]
    if len(names) != n:
        names = ["red", "green", "blue"] if "S" in axes and n == 3 and "C" not in axes else []
    if len(set(names)) < len(names):
        warnings.warn(
            f"{path.name}: channel names repeat ({', '.join(names)}): those are numbered instead",
            RgbtrackWarning,
            stacklevel=4,
        )
    unique = [name if name and names.count(name) == 1 else f"channel {i}" for i, name in enumerate(names)]
    return Stack(
        pixels,
        tuple(unique) or tuple(f"channel {i}" for i in range(n)),
        pixel_size_um=calibration["pixel_size_um"],
        z_step_um=calibration["z_step_um"],
        frame_interval_h=calibration["frame_interval_h"],
        source=path.name,
    )


def _lazy(path: Path, axes: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Dask array whose planes are read when they are asked for."""

    def read(block_info: Any = None) -> NDArray[Any]:
        where = block_info[None]["array-location"]
        try:
            with tifffile.TiffFile(path) as tiff:
                store = tiff.series[0].aszarr()
                array = zarr.open(store, mode="r")
                if not isinstance(array, zarr.Array):
                    array = array["0"]
                return np.asarray(array[tuple(slice(a, b) for a, b in where)])
        except Exception as error:
            raise DataError(f"{path}: pixels cannot be read ({_short(error)}): is the file whole?") from error

    chunks = tuple((n,) if axis in "YXS" else (1,) * n for axis, n in zip(axes, shape, strict=True))
    return da.map_blocks(read, chunks=chunks, dtype=dtype, meta=np.empty((0,) * len(shape), dtype))


def _check_size(path: Path, tiff: tifffile.TiffFile, series: Any) -> None:
    """Refuse a header that claims more than the file can hold."""
    if not series.size or 0 in series.shape:
        raise DataError(f"{path}: the image has no pixels, shape {series.shape}")
    page = series.keyframe
    size = path.stat().st_size
    claimed = int(np.prod(series.shape, dtype=object)) * np.dtype(series.dtype).itemsize
    # no codec of microscopy packs more than a thousand to one
    if claimed > size * (1.0 if page.compression == 1 else 1000.0) + 4096:
        raise DataError(
            f"{path}: the header tells of {claimed:,} bytes of pixels, the file holds {size:,}: it "
            "is truncated"
        )
    for p in series.pages:
        if (
            p is not None
            and p.dataoffsets
            and max(o + n for o, n in zip(p.dataoffsets, p.databytecounts, strict=False)) > size
        ):
            raise DataError(f"{path}: pixels lie past the end of the file: it is truncated")


def _axes(axes: str, shape: tuple[int, ...], path: Path) -> str:
    """Axes as letters of TCZYX, one for each axis of the file."""
    axes = axes.replace("S", "C") if "C" not in axes else axes
    unknown = [name for name in axes if name not in "TCZYX"]
    for name in unknown:
        n = shape[axes.index(name)]
        free = [a for a in ("CZT" if n <= 7 else "ZTC") if a not in axes]
        if not free:
            raise DataError(f"{path}: axes {axes} {shape} are not understood: save it as OME-TIFF")
        axes = axes.replace(name, free[0], 1)
        what = {"C": "channels", "Z": "slices", "T": "frames"}[free[0]]
        if n > 1:
            warnings.warn(
                f"{path.name}: an axis of length {n} without a name is taken for {what}: save as "
                "OME-TIFF to be sure",
                RgbtrackWarning,
                stacklevel=6,
            )
    if len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise DataError(f"{path}: axes {axes} {shape} are not understood: save it as OME-TIFF")
    return axes


def _metadata(tiff: tifffile.TiffFile, series: Any) -> tuple[list[str], dict[str, float | None]]:
    """Channel names and calibration as recorded."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_metadata(tiff.ome_metadata)
    calibration: dict[str, float | None] = {
        "pixel_size_um": None,
        "z_step_um": None,
        "frame_interval_h": None,
    }
    names: list[str] = []
    tags = tiff.pages[0].tags
    unit: float | None = None
    if tiff.is_imagej:
        meta = tiff.imagej_metadata or {}
        unit = MICROMETRES.get(str(meta.get("unit", "")).strip().lower())
        if unit and meta.get("spacing") and series.shape[series.axes.find("Z")] and "Z" in series.axes:
            calibration["z_step_um"] = float(meta["spacing"]) * unit
        if meta.get("finterval"):
            scale = HOURS.get(str(meta.get("tunit", "s")).strip().lower(), 1 / 3600)
            calibration["frame_interval_h"] = float(meta["finterval"]) * scale or None
        labels = meta.get("Labels") or []
        names = [str(label).strip() for label in ([labels] if isinstance(labels, str) else labels)]
    elif "ResolutionUnit" in tags:
        unit = {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value))
    if unit and "XResolution" in tags:
        numerator, denominator = tags["XResolution"].value
        size = unit * denominator / numerator if numerator else 0.0
        # 72 or 300 dots per inch are for printers
        if 0.005 < size < 50:
            calibration["pixel_size_um"] = size
    return names, calibration


def _ome_metadata(xml: str) -> tuple[list[str], dict[str, float | None]]:
    root = ElementTree.fromstring(xml)  # noqa: S314 - expat does not fetch, and tifffile has parsed it before
    calibration: dict[str, float | None] = {
        "pixel_size_um": None,
        "z_step_um": None,
        "frame_interval_h": None,
    }
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None:
        return [], calibration
    for name, key, units, default in (
        ("pixel_size_um", "PhysicalSizeX", MICROMETRES, "um"),
        ("z_step_um", "PhysicalSizeZ", MICROMETRES, "um"),
        ("frame_interval_h", "TimeIncrement", HOURS, "s"),
    ):
        scale = units.get(pixels.get(f"{key}Unit", default).lower())
        try:
            value = float(pixels.get(key, "")) * scale if scale else None
        except ValueError:
            value = None
        calibration[name] = value if value is not None and np.isfinite(value) and value > 0 else None
    names = [node.get("Name") or "" for node in pixels if node.tag.endswith("}Channel")]
    return names, calibration


def read_labels(path: str | Path, shape: tuple[int, ...] | None = None) -> NDArray[np.uint32]:
    """Read ready-made masks.

    Parameters
    ----------
    path
        TIFF or PNG of whole numbers, 0 is background.
    shape
        Of the image, (t, z, y, x); None: as the file tells.

    Returns
    -------
    labels
        Shape (t, z, y, x).

    Raises
    ------
    DataError
        If the file is not readable, differs in shape, or does not hold whole numbers.
    """
    path = Path(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RgbtrackWarning)
        labels = np.asarray(_read_file(path).pixels)
    if shape is None:
        shape = tuple(np.delete(labels.shape, 1))
    if labels.size != int(np.prod(shape)) or np.squeeze(labels).shape != tuple(n for n in shape if n > 1):
        raise DataError(
            f"{path}: labels have shape {np.squeeze(labels).shape}, the image (t, z, y, x) = {tuple(shape)}: "
            f"give one label for each pixel"
        )
    labels = labels.reshape(shape)
    if labels.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels == np.round(labels)).all()):
        raise DataError(f"{path}: labels are not whole numbers: export a label image, not a picture")
    if labels.size and (labels.min() < 0 or labels.max() > np.iinfo(np.uint32).max):
        raise DataError(
            f"{path}: labels run from {labels.min()} to {labels.max()}: 0 is background, cells count from 1"
        )
    return labels.astype(np.uint32)


def write_labels(path: str | Path, labels: NDArray[Any]) -> None:
    """Write labels (t, z, y, x) as a uint32 TIFF, singletons dropped; Fiji, QuPath and napari open it."""
    axes = "".join(name for name, n in zip("TZYX", labels.shape, strict=True) if n > 1 or name in "YX")
    image = labels.reshape([n for name, n in zip("TZYX", labels.shape, strict=True) if name in axes])
    write_atomically(
        path,
        lambda temporary: tifffile.imwrite(
            temporary,
            image.astype(np.uint32),
            compression="zlib",
            metadata={"axes": axes},
            photometric="minisblack",
            software="rgbtrack",
            datetime=None,
        ),
    )


def write_atomically(path: str | Path, write: Callable[[Path], Any]) -> None:
    """Write a file whole or not at all: beside its place, to disk, then moved there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV or Parquet, by its ending.

    Text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        write_atomically(path, lambda temporary: table.to_parquet(temporary, index=False, engine="pyarrow"))
        return
    safe = table.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]) and not pd.api.types.is_bool_dtype(safe[name]):
            safe[name] = safe[name].map(_harmless, na_action="ignore")
    safe.columns = pd.Index([_harmless(name) for name in safe.columns])
    write_atomically(
        path, lambda temporary: safe.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
    )


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV or Parquet table that rgbtrack wrote."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, engine="pyarrow")
        text = dict.fromkeys(("image_id", "subject", "treatment", "site", "batch"), "str")
        table = pd.read_csv(path, dtype=text, keep_default_na=True)
    except Exception as error:
        raise DataError(f"{path}: not readable as a table ({_short(error)}): is the file whole?") from error
    return table


def write_json(path: str | Path, content: Any) -> None:
    """Write JSON; numbers that are not finite become null."""
    text = json.dumps(_plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _plain(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, np.ndarray):
        return _plain(content.tolist())
    if isinstance(content, np.generic):
        content = content.item()
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content if isinstance(content, str | int | float | bool | None) else str(content)


def read_json(path: str | Path) -> Any:
    """Read JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as JSON ({_short(error)})") from error


def sha256(path: str | Path) -> str:
    """Checksum of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_bleed_through(path: str | Path, channels: Mapping[str, str | int]) -> pd.DataFrame:
    """Read a bleed-through matrix.

    Parameters
    ----------
    path
        CSV: first column the detectors, further columns the proteins, by channel or marker name, in any
        order.
    channels
        Marker to channel name.

    Returns
    -------
    matrix
        Rows detectors, columns markers, both by marker, in the order of `channels`.

    Raises
    ------
    DataError
        All that is wrong with it, at once.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file: bleed_through names a CSV file, or is 'none'")
    try:
        raw = pd.read_csv(
            path, sep=None, engine="python", dtype=str, encoding="utf-8-sig", skipinitialspace=True
        )
    except Exception as error:
        raise DataError(f"{path}: not readable as a table ({_short(error)})") from error
    if raw.shape[1] < 3:
        raise DataError(
            f"{path}: found {raw.shape[1]} columns: one of detector names and one per protein are needed"
        )
    known = {str(name).strip().casefold(): marker for marker, name in channels.items()}
    known |= {marker.casefold(): marker for marker in channels}
    told = ", ".join(f"{marker} ({name})" for marker, name in channels.items())
    problems: list[str] = []

    def translate(names: Sequence[Any], what: str) -> list[str | None]:
        found = [known.get(str(name).strip().casefold()) for name in names]
        for name, marker in zip(names, found, strict=True):
            if marker is None:
                problems.append(f"{path}: {what} {str(name)!r} is no marker: the markers are {told}")
        for marker in channels:
            if found.count(marker) != 1:
                how = "missing" if found.count(marker) == 0 else "there more than once"
                problems.append(f"{path}: {what} {marker} ({channels[marker]}) is {how}")
        return found

    rows = translate(list(raw.iloc[:, 0]), "detector")
    columns = translate(list(raw.columns[1:]), "protein")
    values = raw.iloc[:, 1:].map(lambda text: pd.to_numeric(str(text).replace(",", "."), errors="coerce"))
    if problems:
        raise DataError("\n".join(problems))
    matrix = values.set_axis(pd.Index(rows), axis=0).set_axis(pd.Index(columns), axis=1)
    matrix = matrix.loc[list(channels), list(channels)].astype(float)
    array = matrix.to_numpy()
    if not np.isfinite(array).all():
        raise DataError(f"{path}: some entries are not numbers: every detector needs one for every protein")
    if (array < 0).any():
        problems.append(f"{path}: negative entry {array.min():g}: shares of light are 0 or more")
    for marker, own in zip(channels, array.diagonal(), strict=True):
        if own <= 0:
            problems.append(
                f"{path}: {marker} does not show in its own detector: the diagonal must be positive"
            )
    if not problems and np.linalg.cond(array / array.diagonal()) > 100:
        problems.append(
            f"{path}: the matrix is singular or nearly so: two proteins look the same to all detectors"
        )
    if problems:
        raise DataError("\n".join(problems))
    return matrix
