"""Outlines of cells: QuPath's GeoJSON and Fiji's ROI files, drawn into labels."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

from rgbtrack.errors import DataError, RgbtrackWarning
from rgbtrack.files.json_files import read_json
from rgbtrack.files.messages import short
from rgbtrack.files.sizes import check_claim

GEOJSON_ENDINGS = (".geojson", ".json")
ROI_ENDINGS = (".zip", ".roi")
OUTLINE_ENDINGS = (*GEOJSON_ENDINGS, *ROI_ENDINGS)
Ring = NDArray[np.float64]
"""Corners (n, 2) of x and y in pixels, (0, 0) is the corner of the first pixel."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One cell.

    Attributes
    ----------
    parts
        One or more pieces, each of rings: a pixel is inside where an odd number of rings holds it, so that a
        ring within a ring is a hole.
    t, z
        Plane, from 0; None where the file does not tell.
    """

    parts: tuple[tuple[Ring, ...], ...]
    t: int | None = None
    z: int | None = None


def read_outlines(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """Draw the outlines of a file as labels.

    A pixel belongs to a cell where its centre is inside. Where cells overlap, a pixel stays with the first.

    Parameters
    ----------
    path
        GeoJSON as QuPath writes it, or a Fiji ROI (.roi) or set of them (.zip).
    shape
        Of the image, (t, z, y, x).

    Returns
    -------
    labels
        Shape (t, z, y, x), cells from 1 in each frame.

    Raises
    ------
    DataError
        If the file is not readable, holds no areas, or does not tell the planes of a z-stack or time series.
    """
    geojson = path.suffix.lower() in GEOJSON_ENDINGS
    outlines, ignored = _read_geojson(path) if geojson else _read_rois(path, shape)
    if ignored:
        told = ", ".join(f"{n} {what}" for what, n in sorted(ignored.items()))
        warnings.warn(f"{path.name}: {told} left out: only areas are cells", RgbtrackWarning, stacklevel=3)
    if not outlines:
        raise DataError(f"{path}: holds no areas: export the cells' outlines (polygons, freehand, ovals)")
    return _draw(path, outlines, shape)


def _draw(path: Path, outlines: Sequence[Outline], shape: tuple[int, ...]) -> NDArray[np.uint32]:
    labels = np.zeros(shape, np.uint32)
    count = [0] * shape[0]
    overlapping = outside = 0
    for outline in outlines:
        t, z = _plane(path, outline, shape)
        window, inside = _rasterise(outline, shape[2:])
        seen = labels[t, z][window]
        free = inside & (seen == 0)
        if not inside.any():
            outside += 1
        overlapping += bool((inside & ~free).any())
        if free.any():
            count[t] += 1
            seen[free] = count[t]
    if outside == len(outlines):
        raise DataError(
            f"{path}: none of {len(outlines)} outlines covers a pixel of the image, {shape[3]} x {shape[2]}: "
            f"coordinates must be pixels of this very image"
        )
    lost = len(outlines) - outside - sum(count)
    for n, what in (
        (outside, "of {all} outlines cover no pixel of the image: they are left out"),
        (overlapping, "of {all} cells overlap earlier ones: shared pixels stay with the first"),
        (lost, "of {all} cells lie wholly under earlier ones: they are left out"),
    ):
        if n:
            text = f"{path.name}: {n} {what.format(all=len(outlines))}"
            warnings.warn(text, RgbtrackWarning, stacklevel=4)
    return labels


def _rasterise(outline: Outline, size: tuple[int, ...]) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Where in (y, x) the outline is, and which pixels there are inside."""
    corners = np.concatenate([ring for rings in outline.parts for ring in rings])
    most = [size[1], size[0]]  # x, y
    low = np.clip(np.floor(corners.min(axis=0)), 0, most).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), low, most).astype(int)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    inside = np.zeros((high[1] - low[1], high[0] - low[0]), bool)
    if not inside.size:
        return window, inside
    for rings in outline.parts:
        part = np.zeros_like(inside)
        for ring in rings:
            # the centre of the first pixel is at (0.5, 0.5)
            part ^= polygon2mask(inside.shape, (ring - low - 0.5)[:, ::-1])
        inside |= part
    return window, inside


def _plane(path: Path, outline: Outline, shape: tuple[int, ...]) -> tuple[int, int]:
    place = []
    for name, told, n in (("t", outline.t, shape[0]), ("z", outline.z, shape[1])):
        if n == 1:
            place.append(0)
        elif told is None:
            raise DataError(
                f"{path}: an outline does not tell its {name}, the image has {n}: set the position of "
                f"every outline (in Fiji: More > Options > Associate with slices), or give a label image"
            )
        elif not 0 <= told < n:
            raise DataError(
                f"{path}: an outline at {name} = {told} (from 0), the image has {n}: is it this image's?"
            )
        else:
            place.append(told)
    return place[0], place[1]


# ---------------------------------------------------------------- QuPath


def _read_geojson(path: Path) -> tuple[list[Outline], dict[str, int]]:
    features = content = read_json(path)
    if isinstance(content, dict):
        features = content.get("features") if content.get("type") == "FeatureCollection" else [content]
    if not isinstance(features, list) or not all(map(_is_feature, features)):
        raise DataError(
            f"{path}: not GeoJSON with features: in QuPath, File > Export objects as GeoJSON, "
            f"as a FeatureCollection"
        )
    kinds = [_kind(feature) for feature in features]
    ignored: dict[str, int] = {}
    if {"cell", "detection"} & set(kinds):
        # an annotation is then the region in which cells were looked for
        for kind in kinds:
            if kind not in ("cell", "detection"):
                ignored[f"{kind}s"] = ignored.get(f"{kind}s", 0) + 1
        features = [f for f, kind in zip(features, kinds, strict=True) if kind in ("cell", "detection")]
    geometries = [feature.get("geometry") or {} for feature in features]
    # QuPath leaves the plane out where it is the first
    first = 0 if any("plane" in geometry for geometry in geometries) else None
    outlines: list[Outline] = []
    for number, geometry in enumerate(geometries, 1):
        if geometry.get("type") not in ("Polygon", "MultiPolygon"):
            what = f"{geometry.get('type')}s"
            ignored[what] = ignored.get(what, 0) + 1
            continue
        try:
            outlines.append(_outline(geometry, first))
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise DataError(
                f"{path}: outline {number} is not a whole {geometry['type']} of numbers: export it again"
            ) from error
    return outlines, ignored


def _outline(geometry: dict[str, Any], first: int | None) -> Outline:
    """A polygon or several; `first` is the plane of those that do not tell theirs."""
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    parts = tuple(
        tuple(np.array([corner[:2] for corner in ring], float).reshape(-1, 2) for ring in polygon)
        for polygon in polygons
    )
    if not parts or not all(part and all(_is_ring(ring) for ring in part) for part in parts):
        raise ValueError("a ring of fewer than three corners, or not of numbers")
    plane = geometry.get("plane") or {}
    t, z = (None if (n := plane.get(axis, first)) is None else int(n) for axis in "tz")
    return Outline(parts, t, z)


def _is_feature(feature: Any) -> bool:
    return (
        isinstance(feature, dict)
        and feature.get("type") == "Feature"
        and all(isinstance(feature.get(name) or {}, dict) for name in ("geometry", "properties"))
    )


def _is_ring(ring: Ring) -> bool:
    return len(ring) >= 3 and bool(np.isfinite(ring).all())


def _kind(feature: dict[str, Any]) -> str:
    """cell, detection, annotation ...: QuPath's word for what a feature is."""
    properties = feature.get("properties") or {}
    kind = properties.get("objectType") or properties.get("object_type") or feature.get("id") or "object"
    return str(kind).removeprefix("Path").removesuffix("Object").casefold()


# ---------------------------------------------------------------- Fiji


def _read_rois(path: Path, shape: tuple[int, ...]) -> tuple[list[Outline], dict[str, int]]:
    import roifile

    try:
        rois = [roifile.ImagejRoi.frombytes(content) for content in _roi_files(path)]
    except DataError:
        raise
    except Exception as error:  # a library that reads bytes
        raise DataError(f"{path}: not readable as Fiji ROIs ({short(error)}): is the file whole?") from error
    areas = {
        roifile.ROI_TYPE.POLYGON,
        roifile.ROI_TYPE.FREEHAND,
        roifile.ROI_TYPE.TRACED,
        roifile.ROI_TYPE.RECT,
        roifile.ROI_TYPE.OVAL,
    }
    outlines: list[Outline] = []
    ignored: dict[str, int] = {}
    for roi in rois:
        rings = _roi_rings(roi) if roi.roitype in areas else ()
        if rings:
            outlines.append(Outline((rings,), *_roi_plane(roi, shape)))
        else:
            kind = f"{roi.roitype.name.lower()} ROIs"
            ignored[kind] = ignored.get(kind, 0) + 1
    return outlines, ignored


def _roi_files(path: Path) -> Iterator[bytes]:
    if path.suffix.lower() == ".roi":
        yield path.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if member.filename.lower().endswith(".roi")]
        if not members:
            raise DataError(f"{path}: no .roi in it: in Fiji's ROI Manager, More > Save")
        check_claim(path, sum(member.file_size for member in members), 100)
        for member in members:
            yield archive.read(member)


def _roi_rings(roi: Any) -> tuple[Ring, ...]:
    """Rings of an area; a composite has several, of which one in another is a hole."""
    import roifile

    if roi.roitype == roifile.ROI_TYPE.OVAL and not roi.composite:
        angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
        centre = np.array([roi.left + roi.right, roi.top + roi.bottom]) / 2
        radius = np.array([roi.right - roi.left, roi.bottom - roi.top]) / 2
        return (centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1),)
    with np.errstate(invalid="ignore"):  # what is no number is no ring
        rings = [np.asarray(ring, float).reshape(-1, 2) for ring in roi.coordinates(multi=True)]
    return tuple(ring for ring in rings if _is_ring(ring))


def _roi_plane(roi: Any, shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    """The plane (t, z) from 0; Fiji counts from 1, and 0 is not told."""
    t, z = (n - 1 if n > 0 else None for n in (roi.t_position, roi.z_position))
    if t is None and z is None and roi.position > 0 and 1 in shape[:2]:
        # a plain stack has one position, whatever its axis means
        t, z = roi.position - 1, roi.position - 1
    return t, z
