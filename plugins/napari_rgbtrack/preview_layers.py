"""What was tried, as layers over the image it was tried on. Works without a window."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_rgbtrack.layers import UNASSIGNED
from napari_rgbtrack.preview import Tried

CELLS, ASIDE, CORRECTED = "cells tried", "set aside", "{} corrected"
OUTLINE, CROSS = "#FFFFFF", "#E69F00"
CROSS_PX = 4
PREVIEW = "preview"
RENEWED = {"scale", "translate", "metadata", "contrast_limits"}
NOTHING = pd.DataFrame(columns=["z_px", "y_px", "x_px", "reason"])
Made = tuple[Any, dict[str, Any], str]


def tried_layers(tried: Tried, channels: Sequence[Any]) -> list[Made]:
    """Layers of what was tried: outlines, crosses where something was set aside, corrected channels.

    Parameters
    ----------
    tried
        What came of settings.
    channels
        Layers of the image: their scale, units and colours are used.

    Returns
    -------
    layers
        (data, settings, type) each.
    """
    made: list[Made] = []
    like = channels[0]
    colours = {layer.name: layer.colormap for layer in channels}
    for name, pixels in zip(tried.channels, () if tried.corrected is None else tried.corrected, strict=False):
        low, high = (float(value) for value in np.percentile(pixels[..., ::2, ::2], (20, 99.8)))
        shown: dict[str, Any] = {
            "blending": "additive",
            "contrast_limits": (low, max(high, low + 1)),
            "gamma": 0.6,
        }
        if name in colours:
            shown["colormap"] = colours[name]
        data, settings = _placed(pixels, tried, like)
        made.append((data, {**settings, **shown, "name": CORRECTED.format(name)}, "image"))
    data, settings = _placed(tried.labels, tried, like)
    of_clones: dict[int | None, Any] = {cell: (*rgb, 1.0) for cell, rgb in (tried.clones or {}).items()}
    colormap: dict[int | None, Any] = {
        0: (0.0, 0.0, 0.0, 0.0),
        None: OUTLINE if tried.clones is None else UNASSIGNED,
        **of_clones,
    }
    made.append((data, {**settings, "name": CELLS, "colormap": colormap, "opacity": 0.7}, "labels"))
    aside = NOTHING if tried.set_aside is None else tried.set_aside
    points = aside[[f"{axis}_px" for axis in "zyx"][-data.ndim :]].to_numpy(float)
    crosses = {"symbol": "cross", "size": CROSS_PX, "face_color": CROSS, "border_width": 0}
    reasons = {"features": aside[["reason"]].astype("str").reset_index(drop=True)}
    made.append((points, {**settings, **crosses, **reasons, "name": ASIDE}, "points"))
    return made


def show_layers(viewer: Any, made: list[Made]) -> None:
    """Put layers into a viewer; a layer of ours of that name is renewed, and stays as it was shown.

    To take a layer away and put another there takes napari half a second, to renew it takes a hundredth.
    """
    from napari.layers import Layer

    ours = {layer.name: layer for layer in viewer.layers if "rgbtrack" in layer.metadata}
    chosen = set(viewer.layers.selection)
    for data, settings, kind in made:
        layer = ours.get(settings["name"])
        if layer is not None and (layer._type_string, layer.ndim) != (kind, _ndim(data, kind)):
            viewer.layers.remove(layer)
            layer = None
        if layer is None:
            layer = viewer.add_layer(Layer.create(data, settings, kind))
        else:
            layer.data = data
            for name in RENEWED & settings.keys():
                _set(layer, name, settings[name])
        if kind == "points":
            layer.features = settings["features"]
        if settings["name"] == CELLS:
            outlined = settings["colormap"][None] == OUTLINE
            if layer.contour != outlined or not outlined:
                layer.colormap = settings["colormap"]
            _set(layer, "contour", int(outlined))
            _set(layer, "editable", value=False)
    chosen &= set(viewer.layers)
    if chosen:
        viewer.layers.selection = chosen


def show_channels(viewer: Any, made: list[Made]) -> None:
    """Put the channels of an image into a viewer, in place of those of the image before, and nothing else."""
    names = {settings["name"] for _, settings, _ in made}
    for layer in [one for one in viewer.layers if "rgbtrack" in one.metadata]:
        if layer.name in (CELLS, ASIDE):
            layer.data = layer.data[:0] if layer.name == ASIDE else np.zeros_like(layer.data[..., :1, :1])
        elif PREVIEW in layer.metadata["rgbtrack"]:
            layer.visible = False
        elif layer.name not in names:
            viewer.layers.remove(layer)
    show_layers(viewer, made)


def _placed(pixels: NDArray[Any], tried: Tried, like: Any) -> tuple[Any, dict[str, Any]]:
    """Pixels (z, y, x) without singletons, and where they lie on the image."""
    data = pixels[0] if len(pixels) == 1 else pixels
    scale = like.scale[-data.ndim :]
    shift = np.zeros(data.ndim)
    shift[-2:] = np.array(tried.origin_px) * scale[-2:]
    settings = {"scale": scale, "translate": shift, "units": like.units[-data.ndim :]}
    return data, {**settings, "metadata": {"rgbtrack": {PREVIEW: True}}}


def _set(layer: Any, name: str, value: Any) -> None:
    """Set what is not so yet: all that is set is drawn anew."""
    now = getattr(layer, name)
    if not (np.array_equal(now, value) if name in ("scale", "translate") else now is value or now == value):
        setattr(layer, name, value)


def _ndim(data: Any, kind: str) -> int:
    return int(data.shape[1]) if kind == "points" else int(data.ndim)
