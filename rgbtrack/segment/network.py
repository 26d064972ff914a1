"""Small networks that judge parts and objects; their weights are fitted by benchmarks/fit_segmentation.py."""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROWS = 128
NETWORKS = files("rgbtrack.segment").joinpath("networks.json")


@dataclass(frozen=True, eq=False)
class Network:
    """One hidden layer of rectified units; answers with a probability.

    Attributes
    ----------
    names
        What the inputs are.
    centre, scale
        Of the inputs, shape (f,).
    weights, offsets
        Of the hidden layer, shapes (f, h) and (h,).
    out, bias
        Of the answer, shapes (h,) and ().
    """

    names: tuple[str, ...]
    centre: Array
    scale: Array
    weights: Array
    offsets: Array
    out: Array
    bias: float

    def __call__(self, features: Array) -> Array:
        """Probability of each row of features, shape (n, f) -> (n,)."""
        # few rows at a time: a large product would be shared among threads, which wait longer than they work
        parts = [self._answer(features[i : i + ROWS]) for i in range(0, len(features), ROWS)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _answer(self, features: Array) -> Array:
        # what lies far outside all that was seen is taken as lying at its edge
        inputs = np.clip((features - self.centre) / self.scale, -6, 6)
        hidden = inputs @ self.weights
        hidden += self.offsets
        np.maximum(hidden, 0, out=hidden)
        answer: Array = 1 / (1 + np.exp(-np.clip(hidden @ self.out + self.bias, -40, 40)))
        return answer

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Network":
        """Network from what `to_dict` gave."""
        arrays = {
            name: np.asarray(content[name], float)
            for name in ("centre", "scale", "weights", "offsets", "out")
        }
        return cls(names=tuple(content["names"]), bias=float(content["bias"]), **arrays)


@cache
def network(name: str) -> Network:
    """Network by name: ``seams``, ``objects``, ``objects_among``; of volumes with ``volume_`` before."""
    content = json.loads(NETWORKS.read_text(encoding="utf-8"))
    return Network.from_dict(content[name])
