"""The model as ONNX graphs: small files that name the weights in the safetensors beside them.

ONNX Runtime maps those weights as they are (4-bit blocks go to MatMulNBits; 8-bit and float16 become float32 at load).
The graphs are `trunk.onnx` (word embeddings to weighted sums of outputs, in 8-bit integers), `media.onnx` (the same for
sequences with soft tokens, in 4-bit blocks, with the adapters of a model that has any), `vision-260.onnx`, `vision-160.onnx`
and `audio.onnx` (a tower and its connector).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from panvec.models.nano.config import CONFIG, NanoConfig
from panvec.models.nano.integers import ACTIVATIONS, INPUTS
from panvec.models.nano.towers import LEAST_VARIANCE, MobileBlock, SameConv, VisionTower, windows
from panvec.models.nano.weights import BLOCK, read_header, read_tensors

_ONNX_TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "U8": TensorProto.UINT8, "I8": TensorProto.INT8}
_CONTRIB = "com.microsoft"
Map: TypeAlias = tuple[str, int]
"""The name of a value `[batch, channels, size, size]`, and its size."""


class Graph:
    """An ONNX graph under construction, over the weights of one folder; a name in two files is the first one's."""

    def __init__(self, folder: Path, *files: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.folder = folder
        self.where: dict[str, tuple[str, int, dict[str, Any]]] = {}
        for file in files:
            header, start = read_header(folder / file)
            self.where = {name: (file, start, entry) for name, entry in header.items()} | self.where

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """Append a node; the name of its first output."""
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names[0]

    def split(self, x: str, count: int) -> list[str]:
        """Equal parts along the last axis."""
        first = self.op("Split", x, outputs=count, axis=-1, num_outputs=count)
        return [f"{first[:-1]}{part}" for part in range(count)]

    def stored(self, name: str, shape: list[int] | None = None, kind: int | None = None) -> str:
        """A tensor of the safetensors files, as it is stored (or the same bytes in another shape and type)."""
        if name not in self.initializers:
            file, start, entry = self.where[name]
            begin, end = entry["data_offsets"]
            tensor = TensorProto(name=name, dims=shape or entry["shape"], data_type=kind or _ONNX_TYPES[entry["dtype"]])
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", file), ("offset", start + begin), ("length", end - begin)):
                tensor.external_data.add(key=key, value=str(value))
            self.initializers[name] = tensor
        return name

    def made(self, name: str, shape: list[int], kind: int = TensorProto.FLOAT) -> str:
        """A tensor that is made when the graph is loaded."""
        tensor = TensorProto(name=name, dims=shape, data_type=kind, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="made-at-load")
        self.initializers[name] = tensor
        return name

    def constant(self, value: object, dtype: type[np.generic] = np.float32) -> str:
        """A small tensor inside the graph itself."""
        name = f"constant_{len(self.initializers)}"
        self.initializers[name] = onnx.numpy_helper.from_array(np.asarray(value, dtype), name)
        return name

    def value(self, name: str) -> np.ndarray:
        """The values of a stored tensor."""
        return np.asarray(read_tensors(self.folder / self.where[name][0])[name])

    def has(self, name: str) -> bool:
        """Whether the files hold a tensor, whichever way it is stored."""
        return name in self.where or f"{name}.q8" in self.where

    def weight(self, name: str) -> str:
        """A tensor as float32, whichever way it is stored (folded at load)."""
        if f"{name}.q8" in self.where:
            codes = self.op("Cast", self.stored(f"{name}.q8"), to=TensorProto.FLOAT)
            rank = len(self.where[f"{name}.q8"][2]["shape"])
            scale = self.op("Reshape", self.stored(f"{name}.scale"), self.constant([-1] + [1] * (rank - 1), np.int64))
            return self.op("Mul", codes, scale)
        if self.where[name][2]["dtype"] == "F16":
            return self.op("Cast", self.stored(name), to=TensorProto.FLOAT)
        return self.stored(name)

    def linear4(self, x: str, name: str, bias: bool = True) -> str:
        """A linear layer whose matrix is in 4-bit blocks, its activations in 8-bit blocks (accuracy level 4)."""
        rows, half = self.where[f"{name}.weight.q4"][2]["shape"]
        blocks = [rows, half * 2 // BLOCK, BLOCK // 2]
        inputs = [x, self.stored(f"{name}.weight.q4", blocks), self.stored(f"{name}.weight.scale")]
        inputs += ["", "", self.weight(f"{name}.bias")] if bias else []
        return self.op("MatMulNBits", *inputs, domain=_CONTRIB, K=half * 2, N=rows, bits=4, block_size=BLOCK, accuracy_level=4)

    def linear8(self, x: str, layer: str, kind: str) -> str:
        """The product of an input of a layer with its matrices, one after the other, in 8-bit integers (see `integers`)."""
        name, inputs = f"{layer}.{kind}", len(self.value(f"{layer}.{kind}.factor"))
        outputs = sum(self.where[f"{layer}.{part}.weight.q4"][2]["shape"][0] for part in INPUTS[kind])
        zero, codes = self.stored(f"{name}.zero"), self.made(f"{name}.codes", [inputs, outputs], TensorProto.INT8)
        step, bias = (self.made(f"{name}.{part}", [outputs]) for part in ("step", "bias"))
        one = self.constant(1.0)
        x8 = self.op("QuantizeLinear", self.op("Mul", x, self.weight(f"{name}.factor")), one, zero)
        y = self.op("MatMulIntegerToFloat", x8, codes, one, step, zero, "", bias, domain=_CONTRIB)
        kept = np.flatnonzero(self.value(f"{name}.factor") == 0)
        if not len(kept):
            return y
        channels = self.op("Gather", x, self.constant(kept, np.int64), axis=-1)
        return self.op("Add", y, self.op("MatMul", channels, self.made(f"{name}.rows", [len(kept), outputs])))

    def linear(self, x: str, name: str) -> str:
        """A linear layer on float weights `[out, in]`."""
        product = self.op("MatMul", x, self.op("Transpose", self.weight(f"{name}.weight"), perm=[1, 0]))
        return self.op("Add", product, self.weight(f"{name}.bias"))

    def adapter(self, x: str, name: str) -> str:
        """A low-rank map on float weights."""
        for part in ("reduce", "expand"):
            x = self.op("MatMul", x, self.op("Transpose", self.weight(f"{name}.{part}.weight"), perm=[1, 0]))
        return x

    def norm(self, x: str, name: str, epsilon: float) -> str:
        """A layer normalisation."""
        weights = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", x, *weights, epsilon=epsilon)

    def attention(self, x: str, name: str, heads: int, mask: str = "") -> str:
        """Multi-head self-attention without its output projection."""
        query, value = (self.linear4(x, f"{name}.{part}") for part in ("query", "value"))
        key = self.linear4(x, f"{name}.key", bias=f"{name}.key.bias" in self.where)
        return self.op("MultiHeadAttention", query, key, value, "", mask, domain=_CONTRIB, num_heads=heads)

    def save(self, path: Path, inputs: dict[str, tuple[int, list[int | str]]], outputs: dict[str, str]) -> None:
        """Check and write the graph. `inputs`: name to type and shape; `outputs`: name to the value it takes."""
        for name, value in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            list(self.initializers.values()),
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(_CONTRIB, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="panvec"), path)


def _sums(g: Graph, config: NanoConfig, attention: Callable[[str, str], list[str]], linear: Callable[[str, str], str]) -> str:
    """Weighted sums of the trunk's outputs `[batch, 384]`.

    `attention` gives the query, key and value of an input in the layer of a name; `linear` the output of the named layer.
    """
    trunk = config.trunk
    length = g.op("Shape", "embeddings", start=1, end=2)
    zero, axis = g.constant([0], np.int64), g.constant([0], np.int64)
    x = g.op("Add", "embeddings", g.op("Slice", g.weight("positions"), zero, length, axis))
    x = g.norm(x, "norm", trunk.epsilon)
    for name in (f"layers.{number}" for number in range(trunk.layers)):
        parts = attention(x, name)
        attended = g.op("MultiHeadAttention", *parts, "", "mask", domain=_CONTRIB, num_heads=trunk.heads)
        x = g.norm(g.op("Add", x, linear(attended, f"{name}.out")), f"{name}.attention_norm", trunk.epsilon)
        hidden = g.op("Gelu", linear(x, f"{name}.up"))
        x = g.norm(g.op("Add", x, linear(hidden, f"{name}.down")), f"{name}.hidden_norm", trunk.epsilon)
    one = g.constant([1], np.int64)
    return g.op("Squeeze", g.op("MatMul", g.op("Unsqueeze", "weights", one), x), one)


def _save_trunk(g: Graph, path: Path, sums: str, config: NanoConfig, *more: str) -> None:
    inputs: dict[str, tuple[int, list[int | str]]] = {
        "embeddings": (TensorProto.FLOAT, ["batch", "tokens", config.dim]),
        "mask": (TensorProto.INT32, ["batch", "tokens"]),
        "weights": (TensorProto.FLOAT, ["batch", "tokens"]),
    }
    g.save(path, inputs | {name: (TensorProto.FLOAT, ["batch", "tokens"]) for name in more}, {"sums": sums})


def export_trunk(folder: Path, config: NanoConfig = CONFIG) -> None:
    """`trunk.onnx`, for texts: embeddings `[batch, tokens, 384]`, mask, weights `[batch, tokens]` to sums `[batch, 384]`."""
    g = Graph(folder, "trunk.safetensors", ACTIVATIONS)

    def attention(x: str, layer: str) -> list[str]:
        return g.split(g.linear8(x, layer, "attention"), 3)

    def linear(x: str, name: str) -> str:
        layer, _, kind = name.rpartition(".")
        return g.linear4(x, name) if kind == "out" else g.linear8(x, layer, kind)

    _save_trunk(g, folder / "trunk.onnx", _sums(g, config, attention, linear), config)


def export_media(folder: Path, config: NanoConfig = CONFIG) -> None:
    """`media.onnx`, for sequences with soft tokens: as `trunk.onnx`, with adapters where `soft` `[batch, tokens]` is 1."""
    g = Graph(folder, "trunk.safetensors", "connectors.safetensors")
    adapted = any(name.startswith("adapters.") for name in g.where)
    soft = g.op("Unsqueeze", "soft", g.constant([2], np.int64)) if adapted else ""

    def linear(x: str, name: str) -> str:
        y = g.linear4(x, name)
        return g.op("Add", y, g.adapter(g.op("Mul", x, soft), name.replace("layers", "adapters"))) if adapted else y

    def attention(x: str, layer: str) -> list[str]:
        return [linear(x, f"{layer}.{part}") for part in ("query", "key", "value")]

    _save_trunk(g, folder / "media.onnx", _sums(g, config, attention, linear), config, "soft")


def vision_cells(g: Graph, config: NanoConfig, side: int) -> str:
    """The vision tower from `pixels` to grid cells `[batch, 13, 4608]`: an image's 3 x 3, then a video frame's 2 x 2.

    Those of a small picture are the mean of what the tower makes of it and of its mirror image, where each cell lies in both.
    """
    if side != config.vision.small_pixels:
        return _tower_cells(g, config, "pixels", side)
    backwards = (g.constant([i], np.int64) for i in (-1, np.iinfo(np.int64).min, 3, -1))
    both = g.op("Concat", "pixels", g.op("Slice", "pixels", *backwards), axis=0)
    cells = _tower_cells(g, config, both, side)
    split = g.op("Reshape", cells, g.constant([2, -1, len(config.vision.mirrored), config.vision.features], np.int64))
    plain, mirrored = (g.op("Gather", split, g.constant(i, np.int64), axis=0) for i in (0, 1))
    mirrored = g.op("Gather", mirrored, g.constant(config.vision.mirrored, np.int64), axis=1)
    return g.op("Mul", g.op("Add", plain, mirrored), g.constant(0.5))


def _tower_cells(g: Graph, config: NanoConfig, pixels: str, side: int) -> str:
    tower = VisionTower(config.vision)

    def convolution(x: Map, name: str, layer: SameConv) -> Map:
        weights = g.weight(f"{name}.weight"), g.weight(f"{name}.bias")
        values, size = x
        before, after = layer.pads(size)
        pads = [before, before, after, after]
        y = g.op("Conv", values, *weights, strides=list(layer.stride), pads=pads, group=layer.groups)
        return y, layer.out_size(size)

    def relu6(x: Map) -> Map:
        return g.op("Clip", x[0], g.constant(0.0), g.constant(6.0)), x[1]

    x = expanded = relu6(convolution((pixels, side), "stem", tower.stem))
    stages: list[Map] = []
    for index, block in enumerate(tower.blocks):
        assert isinstance(block, MobileBlock)  # noqa: S101
        name = f"blocks.{index}"
        expanded = relu6(convolution(x, f"{name}.expand", block.expand)) if block.expand is not None else x
        y = convolution(relu6(convolution(expanded, f"{name}.depthwise", block.depthwise)), f"{name}.project", block.project)
        x = (g.op("Add", x[0], y[0]), y[1]) if block.residual else y
        if index in tower.read:
            stages.append(x)
    maps = [relu6(convolution(x, "head", tower.head)), expanded, *stages]
    grids = [_cells(g, maps, grid) for grid in config.vision.grids]
    return g.op("Transpose", g.op("Concat", *grids, axis=2), perm=[0, 2, 1])


def _cells(g: Graph, maps: list[Map], grid: int) -> str:
    """As `towers.pool`, features first: `[batch, 4608, grid * grid]`."""

    def mean(values: str, size: int) -> str:
        kernel, stride = windows(size, grid)
        pooled = g.op("AveragePool", values, kernel_shape=[kernel, kernel], strides=[stride, stride])
        return g.op("Reshape", pooled, g.constant([0, 0, -1], np.int64))

    features = [mean(*maps[0])]
    for values, size in maps[1:]:
        middle, squares = mean(values, size), mean(g.op("Mul", values, values), size)
        variance = g.op("Sub", squares, g.op("Mul", middle, middle))
        features += [middle, g.op("Sqrt", g.op("Max", variance, g.constant(LEAST_VARIANCE)))]
    return g.op("Concat", *features, axis=1)


def export_vision(folder: Path, config: NanoConfig = CONFIG) -> None:
    """`vision-260.onnx` and `vision-160.onnx`: pixels `[batch, 3, side, side]` to soft tokens and skips `[batch, 13, 384]`."""
    for side in config.vision.sides:
        _export_vision(folder, config, side)


def _export_vision(folder: Path, config: NanoConfig, side: int) -> None:
    g = Graph(folder, "vision.safetensors", "connectors.safetensors")
    cells = vision_cells(g, config, side)

    def read(features: str) -> str:
        return g.op("Slice", features, *(g.constant([i], np.int64) for i in (0, config.vision.dim, 2)))

    sharpness = "vision.sharpness"
    if side == config.vision.small_pixels:
        cells = g.op("Add", g.op("Mul", cells, g.weight("vision.small_gain")), g.weight("vision.small_shift"))
        sharpness = "vision.small_sharpness"
    shares = g.op("Softmax", g.op("Mul", g.linear(read(cells), "classifier"), g.weight(sharpness)), axis=-1)
    centred = g.op("Mul", g.op("Sub", cells, g.weight("vision.mean")), g.weight("vision.gain"))
    words = g.op("MatMul", shares, g.weight("vision.classes"))
    tokens = g.op("Add", words, g.linear(read(centred), "vision.token"))
    skips = g.linear(centred, "vision.skip")
    if g.has("vision.class_skips"):
        skips = g.op("Add", g.op("MatMul", shares, g.weight("vision.class_skips")), skips)
    outputs = {"tokens": tokens, "skips": skips}
    g.save(folder / f"vision-{side}.onnx", {"pixels": (TensorProto.FLOAT, ["batch", 3, side, side])}, outputs)


def audio_states(g: Graph, config: NanoConfig) -> str:
    """The audio tower from `mel` `[1, 80, frames]` to pooled states `[tokens, 2, 7, 512]`."""
    audio = config.audio

    def convolution(x: str, name: str, stride: int) -> str:
        weights = g.weight(f"{name}.weight"), g.weight(f"{name}.bias")
        return g.op("Gelu", g.op("Conv", x, *weights, strides=[stride], pads=[1, 1]))

    x = g.op("Transpose", convolution(convolution("mel", "conv1", 1), "conv2", 2), perm=[0, 2, 1])
    length = g.op("Shape", x, start=1, end=2)
    x = g.op("Add", x, g.op("Slice", g.weight("positions"), g.constant([0], np.int64), length, g.constant([0], np.int64)))
    states = [x]
    for layer in range(audio.layers):
        name = f"layers.{layer}"
        attended = g.attention(g.norm(x, f"{name}.attention_norm", 1e-5), name, audio.heads)
        x = g.op("Add", x, g.linear4(attended, f"{name}.out"))
        hidden = g.op("Gelu", g.linear4(g.norm(x, f"{name}.hidden_norm", 1e-5), f"{name}.up"))
        x = g.op("Add", x, g.linear4(hidden, f"{name}.down"))
        states.append(x)
    states[-1] = g.norm(x, "norm", 1e-5)
    per_token = audio.hz // audio.hop // 2 // audio.tokens_per_second
    shape = g.constant([-1, per_token, len(states), audio.dim], np.int64)
    axis = g.constant([1], np.int64)
    stacked = g.op("Reshape", g.op("Concat", *(g.op("Unsqueeze", s, g.constant([2], np.int64)) for s in states), axis=2), shape)
    mean = g.op("ReduceMean", stacked, axis)
    centred = g.op("Sub", stacked, mean)
    variance = g.op("Div", g.op("ReduceSum", g.op("Mul", centred, centred), axis), g.constant(per_token - 1.0))
    return g.op("Concat", mean, g.op("Sqrt", variance), axis=1)


def export_audio(folder: Path, config: NanoConfig = CONFIG) -> None:
    """`audio.onnx`: log-mel `[1, 80, frames]` (whole half seconds) to soft tokens and skips `[tokens, 384]`."""
    g = Graph(folder, "audio.safetensors", "connectors.safetensors")
    flat = g.op("Reshape", audio_states(g, config), g.constant([0, -1], np.int64))
    centred = g.op("Mul", g.op("Sub", flat, g.weight("audio.mean")), g.weight("audio.gain"))
    reduced = g.op("MatMul", centred, g.op("Transpose", g.weight("audio.reduce.weight"), perm=[1, 0]))
    outputs = {"tokens": g.linear(reduced, "audio.token"), "skips": g.linear(reduced, "audio.skip")}
    g.save(folder / "audio.onnx", {"mel": (TensorProto.FLOAT, [1, config.audio.mels, "frames"])}, outputs)


def export(folder: Path, config: NanoConfig = CONFIG) -> None:
    """Write all graphs beside the weights in `folder`."""
    export_trunk(folder, config)
    export_media(folder, config)
    export_vision(folder, config)
    export_audio(folder, config)
