"""The trunk's linear layers on 8-bit integers, for texts: activations by fixed scales, weights made from the 4-bit blocks.

An activation x of channel k becomes the code round(x * factor[k]) + zero, a weight w of row n the code
round(w / factor[k] / step[n]) of at most 64: with those, no sum of two products leaves the 16 bits that AVX2 adds in.
The codes of weights are folded by ONNX Runtime when it loads the graph (`session.disable_quant_qdq` lets it), so they are
not stored. What their rounding adds for the mean activation goes into the bias; the few channels that weigh most stay floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

if TYPE_CHECKING:
    from panvec.models.nano.export import Graph

ACTIVATIONS = "activations.safetensors"
INPUTS = {"attention": ("query", "key", "value"), "up": ("up",), "down": ("down",)}
"""Inputs in 8 bits and the matrices that they are multiplied with. `out` stays in 4-bit blocks: attended values have no
channel-wise ranges that hold for all texts, and it is a twelfth of the work."""
KEPT = {"attention": 0, "up": 8, "down": 8}
"""Channels of each input that stay floats."""
LARGEST = 64


def linear8(g: Graph, x: str, layer: str, kind: str) -> str:
    """The product of an input with its matrices (one after the other along the last axis), biases added."""
    name, matrices = f"{layer}.{kind}", [f"{layer}.{part}" for part in INPUTS[kind]]
    factor, zero = g.weight(f"{name}.factor"), g.stored(f"{name}.zero")
    weight = _joined(g, [g.dense4(matrix) for matrix in matrices])
    bias = _joined(g, [g.weight(f"{matrix}.bias") for matrix in matrices])
    codes, step, bias = _integers(g, g.op("Mul", weight, _inverse(g, factor)), bias, g.weight(f"{name}.mean"))
    one = g.constant(1.0)
    x8 = g.op("QuantizeLinear", g.op("Mul", x, factor), one, zero)
    y = g.op("MatMulIntegerToFloat", x8, codes, one, step, zero, "", bias, domain="com.microsoft")
    kept = np.flatnonzero(g.value(f"{name}.factor") == 0)
    return g.op("Add", y, _channels(g, x, weight, kept)) if len(kept) else y


def _joined(g: Graph, parts: list[str]) -> str:
    return g.op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]


def _inverse(g: Graph, factor: str) -> str:
    """1 / factor, and 0 where the factor is 0."""
    nothing = g.constant(0.0)
    return g.op("Where", g.op("Greater", factor, nothing), g.op("Reciprocal", factor), nothing)


def _integers(g: Graph, weight: str, bias: str, mean: str) -> tuple[str, str, str]:
    """Weights `[outputs, inputs]` as codes `[inputs, outputs]`, steps `[outputs]`, and the corrected bias."""
    axis = g.constant([1], np.int64)
    step = g.op("Div", g.op("ReduceMax", g.op("Abs", weight), axis, keepdims=1), g.constant(float(LARGEST)))
    rounded = g.op("Round", g.op("Div", weight, step))
    lost = g.op("MatMul", g.op("Sub", weight, g.op("Mul", rounded, step)), mean)
    codes = g.op("Transpose", g.op("Cast", rounded, to=TensorProto.INT8), perm=[1, 0])
    return codes, g.op("Squeeze", step, axis), g.op("Add", bias, lost)


def _channels(g: Graph, x: str, weight: str, kept: np.ndarray) -> str:
    """The product of some channels alone, in floats."""
    which = g.constant(kept, np.int64)
    rows = g.op("Transpose", g.op("Gather", weight, which, axis=1), perm=[1, 0])
    return g.op("MatMul", g.op("Gather", x, which, axis=-1), rows)
