"""What training reuses at every step, computed once and kept on disk: tower outputs and text vectors."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from tokenizers import Tokenizer

from panvec.content import Audio, Image, Limits
from panvec.media.audio import read_audio
from panvec.media.image import read_image
from panvec.models.nano.config import CONFIG, WEIGHTS
from panvec.models.nano.engine import Engine
from panvec.models.nano.export import Graph, audio_states, vision_cells
from panvec.models.nano.features import log_mel, pixels
from panvec.models.nano.sequence import Array, Frame, Positions, windows


class Texts:
    """Texts as the frozen trunk pools them."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.engine = Engine(folder)

    def rows_of(self, ids: list[int]) -> torch.Tensor:
        """Word rows `[n, 384]`."""
        return torch.from_numpy(self.engine.words(np.asarray(ids, np.int64)))

    def rows(self, text: str) -> torch.Tensor:
        """The word rows of a text's tokens."""
        return self.rows_of(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def encode(self, texts: list[str], prompt: str, cache: Path) -> Array:
        """Sums of the trunk's outputs `[texts, 384]`, from `cache` if it holds them."""
        if cache.exists() and len(cached := np.load(cache)) == len(texts):
            return np.asarray(cached, np.float32)
        none = Frame(Positions.words([], CONFIG.dim), Positions.words([], CONFIG.dim))
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch([prompt + text for text in texts])]
        cut = [windows(Positions.words(i[:512], CONFIG.dim), none, CONFIG.trunk.positions, 0)[0] for i in ids]
        sums = np.concatenate([self.engine.sums(cut[i : i + 1024]) for i in range(0, len(cut), 1024)])
        np.save(cache, sums)
        return sums


def image_features(paths: list[Path], cache: Path) -> list[Array]:
    """Cells `[9, 1280]` of every picture, from `cache` if it holds them."""
    if not cache.exists():
        graph = Graph(WEIGHTS, "vision.safetensors")
        cells = vision_cells(graph, CONFIG)
        side = CONFIG.vision.pixels
        session = _session(graph, cache, {"pixels": (TensorProto.FLOAT, ["batch", 3, side, side])}, cells)
        pictures = (read_image(Image(path), Limits(), at_least=side) for path in paths)
        made = [session.run(None, {"pixels": pixels(p, CONFIG.vision)[None]})[0][0].astype(np.float16) for p in pictures]
        np.save(cache, np.stack(made))
    return list(np.load(cache)[:, : CONFIG.vision.image_grid**2])


def audio_features(paths: list[Path], cache: Path) -> list[Array]:
    """Pooled states `[tokens, 2, 7, 512]` of the first stretch of every sound, from `cache` if it holds them."""
    if not cache.exists():
        graph = Graph(WEIGHTS, "audio.safetensors")
        states = audio_states(graph, CONFIG)
        session = _session(graph, cache, {"mel": (TensorProto.FLOAT, [1, CONFIG.audio.mels, "frames"])}, states)
        made: list[NDArray[np.float16]] = []
        for path in paths:
            sound = next(read_audio(Audio(path), Limits()))
            made.append(session.run(None, {"mel": log_mel(sound.samples, CONFIG.audio)[None]})[0].astype(np.float16))
        np.savez(cache, *made)
    with np.load(cache) as stored:
        return [stored[name] for name in stored.files]


def _session(graph: Graph, cache: Path, inputs: dict[str, tuple[int, list[int | str]]], output: str) -> ort.InferenceSession:
    """A session of a graph that is needed once (it must lie beside the weights that it names)."""
    path = WEIGHTS / f"{cache.stem}.tmp.onnx"
    graph.save(path, inputs, {"output": output})
    try:
        return ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    finally:
        path.unlink()
