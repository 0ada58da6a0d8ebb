"""A sentence-transformers model as a panvec model: contents in, vectors out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from panvec.content import Content, Limits
from panvec.errors import PanvecError
from panvec.models.blocks import Block, Reader
from panvec.models.embedder import WHOLE, Description, PartDescription, Span, Vector
from panvec.models.facts import Facts
from panvec.models.hub.runner import Made, Runner, Window
from panvec.models.parts import Once, typed_parts
from panvec.tasks import Task

_TOGETHER = 4
"""Batches whose contents are decoded before they are run, as long as that takes no more than `_BYTES`."""
_BYTES = 1 << 30
_SEGMENT = 400
"""Tokens of a segment of a text."""
_RESERVED = 64
"""Tokens of a sequence that are kept for the prompt and the model's own."""
_RANGE = 6.0
"""int8 reaches this many times the typical value of a unit vector: the ranges of these models were not measured."""


class HubModel:
    """See `panvec.models.embedder.Model` for what its methods give.

    Args:
        runner: runs the model.
        space_id: names the model and its revision.
        dims: the full dimension and the nested ones.
        modalities: what it takes of text, image, audio, video.
        prompts: by task.
        facts: of the model's card.
        towers: those that were asked for; None is all.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        space_id: str,
        dims: tuple[int, ...],
        modalities: tuple[str, ...],
        prompts: dict[Task | None, str],
        facts: Facts,
        towers: tuple[str, ...] | None,
    ) -> None:
        self.runner = runner
        self.space_id, self.dims, self.prompts = space_id, dims, prompts
        self.modalities = (*modalities, *(("document",) if "text" in modalities else ()))
        self.int8_ranges = {dim: min(1.0, _RANGE / dim**0.5) for dim in dims}
        self.settings = {
            **runner.settings,
            "towers": None if towers is None else sorted(towers),
            "frames_per_second": facts.fps,
            "most_frames": facts.frames,
        }
        longest = max(len(self._ids(prompt)) for prompt in prompts.values())
        self.reader = Reader(runner.name, facts, modalities, self.cut, max(16, runner.limit - longest - _RESERVED))

    def encode(self, contents: Sequence[Content], task: Task | None, limits: Limits) -> Iterator[Vector | PanvecError]:
        """A vector or the error of each content, in order."""
        for prepared in self._prepared(contents, limits):
            made = iter(self.runner.run([p for p in prepared if isinstance(p, Window)], self.prompts[task]))
            for item in prepared:
                row = next(made) if isinstance(item, Window) else item
                yield row.vector if isinstance(row, Made) else row

    def segments(self, content: Content, task: Task | None, limits: Limits) -> list[tuple[Vector, Span]]:
        """A vector for each stretch of text, page or stretch of seconds; a short content of several parts stays whole."""
        prompt = self.prompts[task]
        units = [unit for part in typed_parts(content, limits) for unit in self.reader.units(part, limits, _SEGMENT)]
        joined = Window(content.name, tuple(block for unit in units for block in unit.blocks))
        if all(unit.span.kind in ("whole", "text") for unit in units) and (len(units) == 1 or self._fits(joined, prompt)):
            spans, windows = [WHOLE], [joined]
        else:
            spans, windows = [unit.span for unit in units], [Window(content.name, tuple(unit.blocks)) for unit in units]
        return list(zip(map(_vector, self.runner.run(windows, prompt)), spans, strict=True))

    def describe(self, content: Content, task: Task | None, limits: Limits) -> Description:
        """What the content would become."""
        parts, blocks = [], list[Block]()
        for part in typed_parts(content, limits):
            units = self.reader.units(part, limits, _SEGMENT)
            detail = f"{len(units)} units, {units[0].span} to {units[-1].span}" if len(units) > 1 else str(units[0].span)
            window = Window(part.name, tuple(self.reader.whole(Content(part), limits)))
            parts.append(PartDescription(part.modality, part.name, detail, self.runner.tokens(window, "")))
            blocks += window.blocks
        tokens = self.runner.tokens(Window(content.name, tuple(blocks)), self.prompts[task])
        return Description(parts, tokens, -(-tokens // self.runner.limit))

    def cut(self, text: str, tokens: int) -> list[tuple[str, int, int]]:
        """A text in pieces of at most `tokens`, each with where it begins and ends in characters."""
        tokenizer = self._tokenizer()
        if tokenizer is None or len(text.encode()) <= tokens:
            return [(text, 0, len(text))]
        ends = [
            end
            for _, end in tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)[
                "offset_mapping"
            ]
        ]
        cuts = [0, *ends[tokens - 1 : -1 : tokens], len(text)]
        return [(text[a:b], a, b) for a, b in pairwise(cuts) if b > a]

    def _fits(self, window: Window, prompt: str) -> bool:
        return self.runner.tokens(window, prompt) <= min(self.runner.limit, _SEGMENT + _RESERVED)

    def _prepared(self, contents: Sequence[Content], limits: Limits) -> Iterator[list[Window | PanvecError]]:
        """Contents that were read, as many at a time as are run together."""
        read, most = self.reader.once(limits), _TOGETHER * self.runner.batch
        group, size = list[Window | PanvecError](), 0
        for content in contents:
            window = self._prepare(content, limits, read)
            group.append(window)
            size += sum(block.bytes for block in window.blocks) if isinstance(window, Window) else 0
            if len(group) == most or size > _BYTES:
                yield group
                group, size = [], 0
        yield group

    def _prepare(self, content: Content, limits: Limits, read: Once[list[Block]]) -> Window | PanvecError:
        try:
            return Window(content.name, tuple(self.reader.whole(content, limits, read)))
        except PanvecError as error:
            return error

    def _tokenizer(self) -> Any:
        tokenizer = getattr(self.runner.model[0], "tokenizer", None)
        return tokenizer if getattr(tokenizer, "is_fast", False) else None

    def _ids(self, text: str) -> list[int]:
        tokenizer = self._tokenizer()
        return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if tokenizer is not None else []


def _vector(made: Made | PanvecError) -> Vector:
    if isinstance(made, PanvecError):
        raise made
    return made.vector
