"""The head without torch: what `panvec.models.nano.module.Head` does to one content's pooled sum."""

import numpy as np

from panvec.models.embedder import Vector, shorten
from panvec.models.nano.sequence import Array
from panvec.models.nano.weights import Tensors


class Head:
    """Pooled sums to vectors, by the trained tensors of a weights folder. Older ones have no bias, or no bridge."""

    def __init__(self, trained: Tensors) -> None:
        self.weight = trained["head.weight"]
        self.dim = len(self.weight)
        self.bias = trained.get("head.bias", np.zeros(self.dim, np.float32))
        self._bridge = {name: tensor for name, tensor in trained.items() if name.startswith("head.bridge.")}

    def __call__(self, total: Array, spoken: bool) -> Vector:
        """A pooled sum `[384]` as a vector of length 1; over the bridge, if there is one and the content is `spoken`."""
        x = shorten(total, self.dim)
        return shorten(self.weight @ (self._bridged(x) if self._bridge and spoken else x) + self.bias, self.dim)

    def _bridged(self, x: Array) -> Array:
        mean, gain, reduce, reduced, expand, expanded = (
            self._bridge[f"head.bridge.{name}"]
            for name in ("mean", "gain", "reduce.weight", "reduce.bias", "expand.weight", "expand.bias")
        )
        added: Array = expand @ np.maximum(reduce @ ((x - mean) * gain) + reduced, 0) + expanded
        return np.add(x, added / gain, dtype=np.float32)
