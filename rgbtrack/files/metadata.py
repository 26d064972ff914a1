"""What an image file says of its channels and its calibration."""

from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from rgbtrack.stack import DetectorSettings

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


@dataclass(frozen=True)
class Metadata:
    """Channel names, calibration and detectors as recorded; empty or None where nothing is."""

    names: list[str] = field(default_factory=list)
    pixel_size_um: float | None = None
    z_step_um: float | None = None
    frame_interval_h: float | None = None
    detectors: tuple[DetectorSettings, ...] = ()


def read_metadata(tiff: tifffile.TiffFile, series: Any) -> Metadata:
    """What a TIFF records, as OME, ImageJ or plain tags."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_metadata(tiff.ome_metadata)
    pixel_size_um, z_step_um, frame_interval_h = None, None, None
    names: list[str] = []
    tags = tiff.pages[0].tags
    unit: float | None = None
    if tiff.is_imagej:
        meta = tiff.imagej_metadata or {}
        unit = MICROMETRES.get(str(meta.get("unit", "")).strip().lower())
        if unit and meta.get("spacing") and series.shape[series.axes.find("Z")] and "Z" in series.axes:
            z_step_um = float(meta["spacing"]) * unit
        if meta.get("finterval"):
            scale = HOURS.get(str(meta.get("tunit", "s")).strip().lower(), 1 / 3600)
            frame_interval_h = float(meta["finterval"]) * scale or None
        labels = meta.get("Labels") or []
        names = [str(label).strip() for label in ([labels] if isinstance(labels, str) else labels)]
    elif "ResolutionUnit" in tags:
        unit = {2: 25400.0, 3: 10000.0}.get(int(tags["ResolutionUnit"].value))
    if unit and "XResolution" in tags:
        numerator, denominator = tags["XResolution"].value
        size = unit * denominator / numerator if numerator else 0.0
        # 72 or 300 dots per inch are for printers
        if 0.005 < size < 50:
            pixel_size_um = size
    return Metadata(names, pixel_size_um, z_step_um, frame_interval_h)


def _ome_metadata(xml: str) -> Metadata:
    root = ElementTree.fromstring(xml)  # noqa: S314 - expat does not fetch, and tifffile has parsed it before
    pixels = next((node for node in root.iter() if node.tag.endswith("}Pixels")), None)
    if pixels is None:
        return Metadata()

    def measure(key: str, units: dict[str, float], default: str) -> float | None:
        scale = units.get(pixels.get(f"{key}Unit", default).lower())
        value = _number(pixels, key)
        return value * scale if scale and value is not None and value > 0 else None

    channels = [node for node in pixels if node.tag.endswith("}Channel")]
    instruments = {node.get("ID"): node for node in root.iter() if node.tag.endswith("}Detector")}
    detectors = tuple(_detector(channel, instruments) for channel in channels)
    return Metadata(
        [node.get("Name") or "" for node in channels],
        measure("PhysicalSizeX", MICROMETRES, "um"),
        measure("PhysicalSizeZ", MICROMETRES, "um"),
        measure("TimeIncrement", HOURS, "s"),
        detectors if any(known != DetectorSettings() for known in detectors) else (),
    )


def _detector(channel: ElementTree.Element, instruments: dict[str | None, Any]) -> DetectorSettings:
    """Gain and offset of a channel: as set for this image, else as the instrument has them."""
    settings = next((node for node in channel if node.tag.endswith("}DetectorSettings")), None)
    if settings is None:
        return DetectorSettings()
    nodes = [settings, instruments.get(settings.get("ID"), settings)]
    gain, offset = (
        next((value for node in nodes if (value := _number(node, key)) is not None), None)
        for key in ("Gain", "Offset")
    )
    return DetectorSettings(
        gain if gain is not None and gain > 0 else None,
        offset if offset is not None and offset >= 0 else None,
    )


def _number(node: ElementTree.Element, key: str) -> float | None:
    """Number of an attribute; None where there is none that is finite."""
    try:
        value = float(node.get(key, ""))
    except ValueError:
        return None
    return value if np.isfinite(value) else None
