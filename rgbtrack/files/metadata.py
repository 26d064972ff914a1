"""What an image file says of its channels and its calibration."""

import warnings
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from rgbtrack.errors import RgbtrackWarning
from rgbtrack.stack import DetectorSettings, Stack

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


def positive(value: float) -> float | None:
    """A size or an interval; None for one that is none.

    >>> positive(0.5), positive(0.0), positive(float("nan"))
    (0.5, None, None)
    """
    return float(value) if np.isfinite(value) and value > 0 else None


def stack_of(pixels: Any, known: Metadata, source: str) -> Stack:
    """Pixels (t, c, z, y, x) with what is known of them; channels without a name are numbered."""
    names, n = known.names, pixels.shape[1]
    if len(names) != n and any(names):
        warnings.warn(
            f"{source}: {len(names)} channel name{'s' * (len(names) > 1)} ({', '.join(names)}) for {n} "
            "channels: they are numbered instead",
            RgbtrackWarning,
            stacklevel=5,
        )
    names = names if len(names) == n else [""] * n
    repeated = dict.fromkeys(name for name in names if name and names.count(name) > 1)
    if repeated:
        warnings.warn(
            f"{source}: channel names repeat ({', '.join(repeated)}): those are numbered instead",
            RgbtrackWarning,
            stacklevel=5,
        )
    return Stack(
        pixels,
        tuple(name if name and name not in repeated else f"channel {i}" for i, name in enumerate(names)),
        pixel_size_um=known.pixel_size_um,
        z_step_um=known.z_step_um,
        frame_interval_h=known.frame_interval_h,
        source=source,
        detectors=known.detectors if len(known.detectors) == n else (),
    )


def read_metadata(tiff: tifffile.TiffFile, series: Any, index: int) -> Metadata:
    """What a TIFF records of its image of this index, as OME, ImageJ or plain tags."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_metadata(tiff.ome_metadata, index)
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


def ome_names(xml: str) -> list[str]:
    """Names of the images that OME metadata tell of."""
    root = ElementTree.fromstring(xml)  # noqa: S314 - expat does not fetch, and tifffile has parsed it before
    return [node.get("Name") or "" for node in root if node.tag.endswith("}Image")]


def _ome_metadata(xml: str, index: int) -> Metadata:
    root = ElementTree.fromstring(xml)  # noqa: S314 - as above
    images = [node for node in root.iter() if node.tag.endswith("}Pixels")]
    if not images:
        return Metadata()
    pixels = images[index if index < len(images) else 0]

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
