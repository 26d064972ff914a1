"""Cellpose, versions 3 and 4 (Stringer et al., Nat. Methods 18 (2021) 100; 22 (2025) 592)."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rgbtrack.errors import DataError
from rgbtrack.segment.diameter import estimate_diameter
from rgbtrack.segment.filters import Image
from rgbtrack.segment.methods import load_model
from rgbtrack.segment.noise import marker_strength, noise_units
from rgbtrack.segment.params import SegmentParams
from rgbtrack.segment.working import split_channels
from rgbtrack.stack import NUCLEUS, Stack


def segment_with_cellpose(stack: Stack, params: SegmentParams) -> NDArray[Any]:
    """Find cells with Cellpose.

    The network sees one grey image, the root sum of squares over markers in noise units, and the nuclear
    stain as a second channel where there is one; z-stacks are segmented in 3-D.

    Parameters
    ----------
    stack
        Corrected stack.
    params
        ``model`` is a name ("cyto3" in Cellpose 3, "cpsam" in Cellpose 4), or the path of a model file.
        Without ``diameter_um``, Cellpose 4 and models of one's own need none, and the models of Cellpose 3
        are given one estimated from the image.

    Returns
    -------
    labels
        Shape (t, z, y, x).

    Raises
    ------
    DataError
        If the model cannot be loaded.
    """
    model, classic, own = _load(params.model)
    pixel_um = stack.pixel_size_um or 1.0
    frames = [noise_units(stack, t) for t in range(stack.n_frames)]  # each (c, z, y, x)
    diameter = None if params.diameter_um is None else params.diameter_um / pixel_um
    if diameter is None and classic and not own:
        diameter = estimate_diameter(stack, stack.n_frames // 2, split_channels(stack)[0])
    labels = []
    for units in frames:
        image, has_nucleus = _image(units, stack)  # (z, y, x), or (z, y, x, 2)
        options: dict[str, Any] = {"diameter": diameter}
        if classic:
            options["channels"] = [1, 2] if has_nucleus else [0, 0]
        if len(image) > 1:
            options |= {"do_3D": True, "z_axis": 0, "anisotropy": (stack.z_step_um or pixel_um) / pixel_um}
        else:
            image = image[0]
        if has_nucleus:
            options["channel_axis"] = image.ndim - 1
        masks = np.asarray(model.eval(image, **options)[0])
        labels.append(masks.reshape(units.shape[1:]))
    return np.stack(labels)


def _image(units: Image, stack: Stack) -> tuple[NDArray[np.float32], bool]:
    """What the network sees of one frame in noise units, channels last."""
    grey = marker_strength(units, stack)
    if NUCLEUS not in stack.channels:
        return grey, False
    return np.stack([grey, units[stack.channels.index(NUCLEUS)]], axis=-1), True


@lru_cache(maxsize=1)
def _load(name: str | None) -> tuple[Any, bool, bool]:
    """The model, whether Cellpose is of version 3, and whether the model is one's own."""
    from cellpose import core, models

    classic = hasattr(models, "Cellpose")  # version 4 has CellposeModel only
    gpu = bool(core.use_gpu())
    own = name is not None and Path(name).exists()
    if not own and name is not None:
        known = [*models.MODEL_NAMES, *models.get_user_models()]
        if name not in known:  # Cellpose would take its default model, and say so in its log only
            raise DataError(
                f"Cellpose has no model {name!r}, and there is no such file: there are "
                f'{", ".join(map(repr, known))}; of your own, give a path: [segment] model = "path"'
            )
    options: dict[str, Any] = {"gpu": gpu}
    if own:
        options["pretrained_model"] = str(name)
    elif classic:
        options["model_type"] = name or "cyto3"
    elif name is not None:
        options["pretrained_model"] = name
    said = name or ("cyto3" if classic else "default")
    return load_model("Cellpose", said, lambda: models.CellposeModel(**options)), classic, own
