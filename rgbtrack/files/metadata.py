"""What an image file says of its channels and its calibration."""

from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

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


def read_metadata(tiff: tifffile.TiffFile, series: Any) -> tuple[list[str], dict[str, float | None]]:
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
