"""Parts as training sees them: the sequence of positions with the frozen towers' outputs in it, made once, kept on disk.

What is trained (connectors, markers, head) comes after the towers, so a part is prepared once and for all; and a text
that stands alone is pooled once, since the trunk is frozen too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto

from panvec.content import Audio, Image, Limits, Medium, Part, Text
from panvec.data.augment import Chain, drawn, drawn_key, picture_augmentation, sound_augmentation, thumbnail
from panvec.data.pairs import PARTS, PartKey
from panvec.media.audio import read_audio
from panvec.media.image import read_image
from panvec.models.nano.builder import Builder
from panvec.models.nano.config import CONFIG, MARKERS, WEIGHTS, NanoConfig
from panvec.models.nano.engine import Engine
from panvec.models.nano.export import Graph, audio_states, vision_cells
from panvec.models.nano.features import log_mel, pixels
from panvec.models.nano.sequence import Array, Frame, Positions, Sequence, Window, join, time_code, windows

PromptedText: TypeAlias = tuple[str, str]
"""A prompt and a text."""
WORD, CELL, STATE, MARKER = range(4)
"""What stands at a position."""
CLASS = "class"
"""The modality of a made-up picture of one of the vision tower's classes, by its number (`panvec.training.classes`)."""
_MOST_KEPT = 4_000_000_000
"""Bytes of prepared media that are kept in memory."""
_VERSION = "6"
_KEY = 16
_HZ = 16_000
_TOGETHER = 1024


@dataclass(frozen=True)
class Prepared:
    """A part: the kind of each position `[n]` and its row (of a word: its id) `[n]`, and what the rows are of.

    `cells` float16 `[cells, 4608]` and which of them are of `small` pictures `[cells]`, `states` float16
    `[states, 2, 7, 512]`, `markers` `[markers]` with `times` `[markers, 384]` to be added.
    """

    kinds: NDArray[np.int64]
    rows: NDArray[np.int64]
    cells: NDArray[np.float16]
    small: NDArray[np.bool_]
    states: NDArray[np.float16]
    markers: NDArray[np.int64]
    times: Array

    def __len__(self) -> int:
        return len(self.kinds)


@dataclass(frozen=True)
class Augmentation:
    """Which draw of a medium's augmentation (`panvec.data.augment`); pictures with letters in them are not flipped."""

    seed: int
    letters: bool = False
    small: bool = False
    """A thumbnail of a picture, and a sound as it is."""

    def of(self, modality: str) -> tuple[Chain[Any], int] | None:
        """The transform of a modality and the draw's seed, if it has one."""
        if modality == "image":
            chain = thumbnail if self.small else picture_augmentation
            return chain(letters=self.letters), self.seed
        return (sound_augmentation(), self.seed) if modality == "audio" and not self.small else None


class Recorder:
    """Stands where connectors would make soft tokens, and keeps what they would be made from."""

    def __init__(self, towers: Towers, config: NanoConfig) -> None:
        self.towers, self.config = towers, config
        self.cells: list[NDArray[np.float16]] = []
        self.small: list[bool] = []
        self.states: list[NDArray[np.float16]] = []
        self.markers: list[int] = []
        self.times: list[Array] = []

    def picture(self, picture: NDArray[np.uint8]) -> Positions:  # noqa: D102
        return self._see(picture, slice(self.config.vision.image_grid**2))

    def frame(self, picture: NDArray[np.uint8]) -> Positions:  # noqa: D102
        return self._see(picture, slice(self.config.vision.image_grid**2, None))

    def sound(self, samples: Array) -> Positions:  # noqa: D102
        states = self.towers.hear(log_mel(samples, self.config.audio))
        return self._keep(STATE, self.states, list(states))

    def marker(self, name: str, seconds: float | None = None) -> Positions:  # noqa: D102
        dim = self.config.dim
        self.times.append(np.zeros(dim, np.float32) if seconds is None else time_code(seconds, dim))
        return self._keep(MARKER, self.markers, [MARKERS.index(name)])

    def keep_cells(self, cells: list[NDArray[np.float16]], *, small: bool) -> Positions:
        """Cells `[4608]` as they are, of a small picture or another."""
        self.small += [small] * len(cells)
        return self._keep(CELL, self.cells, cells)

    def _see(self, picture: NDArray[np.uint8], grid: slice) -> Positions:
        square = pixels(picture, self.config.vision)
        small = square.shape[-1] == self.config.vision.small_pixels
        return self.keep_cells(list(self.towers.see(square)[grid]), small=small)

    def _keep(self, kind: int, kept: list[Any], new: list[Any]) -> Positions:
        rows = np.arange(len(kept), len(kept) + len(new))
        kept.extend(new)
        nothing = np.broadcast_to(np.float32(0), (len(new), self.config.dim))
        return Positions(-(1 + rows * 4 + kind), nothing, nothing, np.ones(len(new), np.float32))

    def prepared(self, positions: Positions) -> Prepared:
        """What was recorded, in the order of `positions`."""
        word, code = positions.ids >= 0, -positions.ids - 1
        audio, vision = self.config.audio, self.config.vision
        return Prepared(
            np.where(word, WORD, code % 4),
            np.where(word, positions.ids, code // 4),
            np.array(self.cells, np.float16).reshape(-1, vision.features),
            np.array(self.small, np.bool_),
            np.array(self.states, np.float16).reshape(-1, 2, audio.layers + 1, audio.dim),
            np.array(self.markers, np.int64),
            np.array(self.times, np.float32).reshape(-1, self.config.dim),
        )


class Towers:
    """The frozen towers alone."""

    def __init__(self, folder: Path, config: NanoConfig, threads: int | None) -> None:
        audio = Graph(folder, "audio.safetensors")
        self._vision = {side: _vision(folder, config, side, threads) for side in config.vision.sides}
        mel: list[int | str] = [1, config.audio.mels, "frames"]
        self._audio = _session(folder, audio, {"mel": (TensorProto.FLOAT, mel)}, audio_states(audio, config), threads)

    def see(self, pixels: Array) -> NDArray[np.float16]:
        """Pixels `[3, side, side]` to cells `[13, 4608]`."""
        cells: Array = self._vision[pixels.shape[-1]].run(None, {"pixels": pixels[None]})[0][0]
        return cells.astype(np.float16)

    def hear(self, mel: Array) -> NDArray[np.float16]:
        """Log-mel `[80, frames]` to pooled states `[tokens, 2, 7, 512]`."""
        states: Array = self._audio.run(None, {"mel": mel[None]})[0]
        return states.astype(np.float16)


class Preparer:
    """Prepares parts and pools texts, and keeps both in `cache`: a part by its file's content, a text by its words.

    Args:
        cache: a folder that any number of runs may share.
        folder: the weights whose frozen parts are used.
        threads: of the towers and the trunk.
    """

    def __init__(self, cache: Path, folder: Path = WEIGHTS, config: NanoConfig = CONFIG, threads: int | None = None) -> None:
        self.config, self.cache = config, cache
        self.engine = Engine(folder, threads)
        self._towers = Towers(folder, config, threads)
        self._builder = Builder(Recorder(self._towers, config), folder, config)
        revision = _frozen(folder)
        self._parts = cache / f"parts-{revision}"
        self._parts.mkdir(parents=True, exist_ok=True)
        self._texts = TextVectors(cache / f"texts-{revision}", config.dim)
        self._hashes: dict[str, str] = {}
        self._kept: dict[tuple[PartKey, Augmentation | None], Prepared] = {}
        self._bytes = 0
        self.class_cells: dict[bool, NDArray[np.float16]] = {}
        """Of made-up pictures, and of small ones: `[classes, variants, 9, 4608]`."""

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, without `<s>` and `</s>`."""
        return self._builder.tokenizer.encode(text)

    def part(self, key: PartKey, augmentation: Augmentation | None = None) -> Prepared:
        """A part, from the cache if it is there; a picture or a sound in another draw of itself, if one is asked for.

        Raises:
            PanvecError: the part cannot be read or is over a limit.
        """
        if key[0] == "text":
            return self._made(Text(key[1]))
        if key[0] == CLASS:
            return self._imagined(int(key[1]), augmentation or Augmentation(0))
        if (key, augmentation) not in self._kept:
            with np.load(self.prepare(key, augmentation), allow_pickle=False) as stored:
                part = Prepared(**{name: stored[name] for name in stored.files})
            if self._bytes > _MOST_KEPT:
                return part
            self._bytes += sum(array.nbytes for array in vars(part).values())
            self._kept[key, augmentation] = part
        return self._kept[key, augmentation]

    def medium(self, part: Part) -> Prepared:
        """A part of any source, from the cache if it is a file.

        Raises:
            PanvecError: it cannot be read or is over a limit.
        """
        if isinstance(part, Medium) and isinstance(part.source, str | os.PathLike):
            return self.part((part.modality, os.fsdecode(part.source)))
        return self._made(part)

    def prepare(self, key: PartKey, augmentation: Augmentation | None = None) -> Path:
        """The file in the cache that holds a medium, made if it is not there. Raises as `part` does."""
        modality, value = key
        draw = augmentation.of(modality) if augmentation else None
        name = f"{self._hash(value)}-{modality}" + (f"-{drawn_key(*draw)}" if draw else "")
        path = self._parts / f"{name}.npz"
        if not path.exists():
            medium = PARTS[modality](value)
            _save(path, self._made(_redrawn(medium, draw) if draw else medium))
        return path

    def pooled(self, texts: list[PromptedText]) -> Array:
        """The trunk's weighted sums of outputs `[texts, 384]`, as the engine gives them, made where they are missing."""
        self.pool(texts)
        return self._texts.get(texts)

    def pool(self, texts: Iterable[PromptedText], progress: Callable[[int], None] | None = None) -> None:
        """Make what is missing of `pooled`; `progress` is told how many more are done."""
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        for start in range(0, len(new), _TOGETHER):
            together = new[start : start + _TOGETHER]
            cut = [self._windows(*text) for text in together]
            sums = self.engine.sums([window for group in cut for window in group])
            ends = np.cumsum([0, *map(len, cut)])
            self._texts.add(together, np.add.reduceat(sums, ends[:-1]))
            if progress:
                progress(len(together))

    def reload(self) -> None:
        """Take up what other processes have pooled."""
        self._texts.reload()

    def _windows(self, prompt: str, text: str) -> list[Window]:
        trunk, dim = self.config.trunk, self.config.dim
        before = Positions.words([trunk.begin_id, *self.ids(prompt.rstrip())], dim)
        frame = Frame(before, Positions.words([trunk.end_id], dim))
        return windows(Positions.words(self.ids(text), dim), frame, trunk.positions, self.config.overlap)

    def _imagined(self, number: int, augmentation: Augmentation) -> Prepared:
        recorder = Recorder(self._towers, self.config)
        variants = self.class_cells[augmentation.small][number]
        cells = list(variants[augmentation.seed % len(variants)])
        pieces = [recorder.marker("image"), recorder.keep_cells(cells, small=augmentation.small), recorder.marker("/image")]
        return recorder.prepared(join(pieces, self.config.dim))

    def _made(self, part: Part) -> Prepared:
        recorder = self._builder.soft = Recorder(self._towers, self.config)
        sequence = Sequence(self.config.dim)
        self._builder.add(part, sequence, Limits())
        return recorder.prepared(sequence.whole())

    def _hash(self, path: str) -> str:
        if path not in self._hashes:
            with Path(path).open("rb") as file:
                self._hashes[path] = hashlib.file_digest(file, "sha256").hexdigest()[:32]
        return self._hashes[path]


class TextVectors:
    """Vectors of texts in two files that only grow: hashes of the texts, and rows of float32. Processes may share them."""

    def __init__(self, path: Path, dim: int) -> None:
        self.path, self.dim = path, dim
        self._keys, self._rows = path.with_suffix(".keys"), path.with_suffix(".f32")
        self._index: dict[bytes, int] = {}
        self.reload()

    def reload(self) -> None:
        """Take up what other processes have added."""
        keys = self._keys.read_bytes() if self._keys.exists() else b""
        whole = min(len(keys) // _KEY, self._rows.stat().st_size // (4 * self.dim)) if keys else 0
        self._index = {keys[i * _KEY : (i + 1) * _KEY]: i for i in range(whole)}
        self._count = whole

    def __contains__(self, text: PromptedText) -> bool:
        return _key(text) in self._index

    def add(self, texts: list[PromptedText], vectors: Array) -> None:
        """Keep the vectors `[texts, dim]`; the rows first, so that a cut leaves no key without its row."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.reload()
            new = [i for i, text in enumerate(texts) if text not in self]
            data = np.ascontiguousarray(vectors[new], np.float32).tobytes(), b"".join(_key(texts[i]) for i in new)
            for file, size, more in zip((self._rows, self._keys), (4 * self.dim, _KEY), data, strict=True):
                with file.open("ab") as out:
                    out.truncate(self._count * size)
                    out.write(more)
        self.reload()

    def get(self, texts: list[PromptedText]) -> Array:
        """The vectors `[texts, dim]`."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        stored = np.memmap(self._rows, np.float32, "r", shape=(self._count, self.dim))
        return np.asarray(stored[[self._index[_key(text)] for text in texts]], np.float32)


def _key(text: PromptedText) -> bytes:
    return hashlib.blake2b("\0".join(text).encode("utf-8", "surrogatepass"), digest_size=_KEY).digest()


def _redrawn(medium: Part, draw: tuple[Chain[Any], int]) -> Part:
    if isinstance(medium, Image):
        return Image(drawn(draw[0], read_image(medium, Limits()), draw[1]))
    if isinstance(medium, Audio):
        sounds = list(read_audio(medium, Limits()))
        return Audio(drawn(draw[0], np.concatenate([sound.samples for sound in sounds]), draw[1]), hz=_HZ)
    return medium


def _save(path: Path, prepared: Prepared) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.new")
    with temporary.open("wb") as file:
        np.savez(file, **vars(prepared))
    temporary.replace(path)


def _frozen(folder: Path) -> str:
    """A name for what the cached outputs depend on: the frozen weights and this file's version."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    hashes = [manifest["files"][f"{name}.safetensors"]["sha256"] for name in ("words", "trunk", "vision", "audio")]
    return hashlib.sha256("".join([_VERSION, *hashes]).encode()).hexdigest()[:12]


def _vision(folder: Path, config: NanoConfig, side: int, threads: int | None) -> ort.InferenceSession:
    graph = Graph(folder, "vision.safetensors")
    pixels: list[int | str] = ["batch", 3, side, side]
    return _session(folder, graph, {"pixels": (TensorProto.FLOAT, pixels)}, vision_cells(graph, config, side), threads)


def _session(
    folder: Path, graph: Graph, inputs: dict[str, tuple[int, list[int | str]]], output: str, threads: int | None
) -> ort.InferenceSession:
    """A session of a graph that is not kept: it is written beside the weights that it names, and removed again."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry("session.force_spinning_stop", "1")
    path = folder / f"training-{os.getpid()}-{uuid.uuid4().hex}.onnx"
    graph.save(path, inputs, {"output": output})
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    finally:
        path.unlink()
