"""panvec-nano: contents in, vectors out, through the ONNX engine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panvec.content import Content, Limits
from panvec.errors import InputError, LimitError, ModelError, PanvecError
from panvec.models.embedder import WHOLE, Description, PartDescription, Span, Vector
from panvec.models.nano.builder import Builder, SoftTokens
from panvec.models.nano.config import CONFIG, PROMPTS, WEIGHTS, NanoConfig
from panvec.models.nano.engine import Engine
from panvec.models.nano.head import Head
from panvec.models.nano.sequence import Frame, Positions, Window, windows
from panvec.models.nano.sequence import Sequence as Tokens
from panvec.models.nano.weights import dequantize, read_tensors
from panvec.models.parts import Once, TypedPart, typed_parts
from panvec.tasks import Task

_TOGETHER = 64
"""Contents whose windows are batched together."""


class Nano:
    """The embedded default. See `panvec.models.embedder.Model` for what its methods give.

    Raises:
        ModelError: the weights are missing or damaged.
    """

    def __init__(
        self, folder: Path = WEIGHTS, *, engine: str = "onnx", threads: int | None = None, config: NanoConfig = CONFIG
    ) -> None:
        manifest = read_manifest(folder)
        self.config = config
        self.space_id: str = manifest["space_id"]
        self.dims = config.dims
        self.modalities: tuple[str, ...] = ("text", "image", "audio", "video", "document")
        self.prompts = PROMPTS
        self.int8_ranges = {int(dim): float(np.max(ranges)) for dim, ranges in manifest["int8_ranges"].items()}
        self.engine = _engine(engine, folder, threads)
        self.settings = {
            "engine": engine,
            "threads": self.engine.threads,
            "frames_per_second": config.frames_per_second,
            "most_frames": None,
        }
        trained = dequantize(read_tensors(folder / "connectors.safetensors"))
        self._head = Head(trained)
        self._builder = Builder(SoftTokens(self.engine, trained, config), folder, config)
        self.tokenizer = self._builder.tokenizer
        self._frames: dict[tuple[str, float], Frame] = {}
        self._around = float(trained["markers.gates"][-1])  # of <s> and </s> around a content without words

    def encode(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Iterator[Vector | PanvecError]:
        """A vector or the error of each content, in order."""
        built = self._built(limits)
        for start in range(0, len(contents), _TOGETHER):
            prepared = [self._prepare(content, limits, built) for content in contents[start : start + _TOGETHER]]
            vectors = iter(self._vectors([p for p in prepared if isinstance(p, Positions)], PROMPTS[task]))
            for item in prepared:
                yield next(vectors) if isinstance(item, Positions) else item

    def segments(self, content: Content, task: Task | None, limits: Limits) -> list[tuple[Vector, Span]]:
        """A vector for each window, page or stretch of a content."""
        capacity = self.config.trunk.positions - len(self._frame(PROMPTS[task]))
        pieces = list(self.build(content, limits).segments(capacity))
        if len(pieces) == 1:
            pieces = [(WHOLE if pieces[0][0].kind == "text" else pieces[0][0], pieces[0][1])]
        vectors: list[Vector] = []
        for start in range(0, len(pieces), _TOGETHER):
            vectors += self._vectors([positions for _, positions in pieces[start : start + _TOGETHER]], PROMPTS[task])
        return [(vector, span) for vector, (span, _) in zip(vectors, pieces, strict=True)]

    def describe(self, content: Content, task: Task | None, limits: Limits) -> Description:
        """What the content would become."""
        parts = []
        whole, built = Tokens(self.config.dim), self._built(limits)
        for part in typed_parts(content, limits):
            sequence = built(part)
            units = [str(span) for span, _ in sequence.units if str(span)]
            detail = units[0] if len(units) == 1 else f"{len(units)} units, {units[0]} to {units[-1]}" if units else ""
            parts.append(PartDescription(part.modality, part.name, detail, len(sequence)))
            whole.units += sequence.units
        positions = whole.whole()
        cut = self.windows(positions, PROMPTS[task])
        return Description(parts, len(whole) + len(self._frame_of(positions, PROMPTS[task])), len(cut))

    def _prepare(self, content: Content, limits: Limits, built: Once[Tokens]) -> Positions | PanvecError:
        try:
            return self.build(content, limits, built).whole()
        except PanvecError as error:
            return error

    def _built(self, limits: Limits) -> Once[Tokens]:
        """Of a part, its positions, decoded and seen and heard."""

        def make(part: TypedPart) -> Tokens:
            sequence = Tokens(self.config.dim)
            self._builder.add(part, sequence, limits)
            return sequence

        return Once(make)

    def build(self, content: Content, limits: Limits, built: Once[Tokens] | None = None) -> Tokens:
        """The positions of a content, decoded and seen and heard; of its parts as `built`, where that is shared.

        Raises:
            PanvecError: a part cannot be read or is over a limit.
        """
        built = built or self._built(limits)
        sequence = Tokens(self.config.dim)
        for part in typed_parts(content, limits):
            sequence.units += built(part).units
            if len(sequence) > limits.tokens:
                raise LimitError(f"{content.name} has over {limits.tokens} tokens: split it, or raise Limits(tokens=...)")
        return sequence

    def _vectors(self, contents: list[Positions], prompt: str) -> list[Vector]:
        cut = [self.windows(positions, prompt) for positions in contents]
        sums = self.engine.sums([window for group in cut for window in group])
        vectors, row = [], 0
        for positions, group in zip(contents, cut, strict=True):
            total = sums[row : row + len(group)].sum(0) + positions.skips.sum(0)
            row += len(group)
            vectors.append(self._head(total, positions.spoken))
        return vectors

    def windows(self, positions: Positions, prompt: str) -> list[Window]:
        """The windows in which positions are run, `prompt` in each unless there is no word among them."""
        trunk = self.config.trunk
        return windows(positions, self._frame_of(positions, prompt), trunk.positions, self.config.overlap)

    def _frame_of(self, positions: Positions, prompt: str) -> Frame:
        return self._frame(prompt) if positions.spoken else self._frame("", self._around)

    def _frame(self, prompt: str, gate: float = 1) -> Frame:
        if (prompt, gate) not in self._frames:
            trunk, dim = self.config.trunk, self.config.dim
            before = [trunk.begin_id, *self.tokenizer.encode(prompt.rstrip())]
            self._frames[prompt, gate] = Frame(Positions.words(before, dim, gate), Positions.words([trunk.end_id], dim, gate))
        return self._frames[prompt, gate]


def _engine(name: str, folder: Path, threads: int | None) -> Any:
    if name == "onnx":
        engine = Engine(folder, threads)
        engine.prepare()
        return engine
    if name == "torch":
        from panvec.models.nano.torch_engine import TorchEngine

        return TorchEngine(folder, threads)
    raise InputError(f"unknown engine {name!r}: use 'onnx' or 'torch' (needs panvec[train])")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a weights folder, every file that it names there and of the size that it says.

    Raises:
        ModelError: it is missing, or a file is missing or of another size.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"no manifest of weights in {folder} ({error}): install panvec again") from error
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != entry["bytes"]:
            raise ModelError(f"{path} is missing or not of {entry['bytes']} bytes: install panvec again")
    return manifest
