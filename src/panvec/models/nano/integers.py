"""The trunk's linear layers on 8-bit integers, for texts: activations by fixed scales, weights made from the 4-bit blocks.

An activation x of channel k becomes the code round(x * factor[k]) + zero, a weight w of row n the code
round(w / factor[k] / step[n]) of at most 64: with those, no sum of two products leaves the 16 bits that AVX2 adds in.
The codes of weights are made when they are loaded, so they are not stored. What their rounding adds for the mean
activation goes into the bias; the few channels that weigh most stay floats.
"""

from pathlib import Path

import numpy as np

from panvec.models.nano.weights import Tensors, read_tensors, unpack4

ACTIVATIONS = "activations.safetensors"
INPUTS = {"attention": ("query", "key", "value"), "up": ("up",), "down": ("down",)}
"""Inputs in 8 bits and the matrices that they are multiplied with. `out` stays in 4-bit blocks: attended values have no
channel-wise ranges that hold for all texts, and it is a twelfth of the work."""
KEPT = {"attention": 0, "up": 8, "down": 8}
"""Channels of each input that stay floats."""
LARGEST = 64


def integers(folder: Path) -> Tensors:
    """What `trunk.onnx` multiplies with. For each of `layers.N.INPUT`, its matrices one after the other:

    `.codes` int8 `[inputs, outputs]`, `.step` float32 `[outputs]`, `.bias` float32 `[outputs]`, and of inputs that have
    kept channels `.rows` float32 `[kept, outputs]`.
    """
    trunk, activations = read_tensors(folder / "trunk.safetensors"), read_tensors(folder / ACTIVATIONS)
    made: Tensors = {}
    for name in (key.removesuffix(".factor") for key in activations if key.endswith(".factor")):
        layer, _, kind = name.rpartition(".")
        matrices = [f"{layer}.{part}" for part in INPUTS[kind]]
        codes, scales = ([trunk[f"{matrix}.weight.{part}"] for matrix in matrices] for part in ("q4", "scale"))
        weight = unpack4(np.concatenate(codes), np.concatenate(scales))
        factor = activations[f"{name}.factor"].astype(np.float32)
        kept = np.flatnonzero(factor == 0)
        if len(kept):
            made[f"{name}.rows"] = np.ascontiguousarray(weight[:, kept].T)
        weight *= np.divide(1, factor, out=np.zeros_like(factor), where=factor != 0)
        step = np.maximum(weight.max(1), -weight.min(1)) / LARGEST
        weight /= step[:, None]
        rounded = np.rint(weight)
        made[f"{name}.codes"] = np.ascontiguousarray(rounded.astype(np.int8).T)
        made[f"{name}.step"] = step
        weight -= rounded
        # Not a BLAS: its threads may spin for ever where this runs beside others' and stands back for them.
        lost = np.einsum("ok,k->o", weight, activations[f"{name}.mean"].astype(np.float32)) * step
        made[f"{name}.bias"] = np.concatenate([trunk[f"{matrix}.bias"] for matrix in matrices]).astype(np.float32) + lost
    return made
