"""Windows of blocks through a sentence-transformers model: batches, and what is too long in halves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from panvec.errors import InputError, LimitError, ModelError, PanvecError
from panvec.models.blocks import Block
from panvec.models.embedder import Vector, shorten
from panvec.models.hub.sound import SOUND

_ENDLESS = 10**9
"""Tokenizers without a limit say a number above this."""


@dataclass(frozen=True, eq=False)
class Window:
    """Blocks that go into the model as one sequence, and whose they are, for messages."""

    name: str
    blocks: tuple[Block, ...]

    @property
    def kind(self) -> tuple[str, ...]:
        """What may share a batch: windows of the same modalities, whose videos are all silent or all with sound."""
        kinds = {block.kind for block in self.blocks} | (
            {"heard"} if any(block.sound is not None for block in self.blocks) else set()
        )
        return tuple(sorted(kinds))

    @property
    def characters(self) -> int:
        """Of all its texts: windows of a like length share a batch."""
        return sum(len(block.text) for block in self.blocks)

    def halves(self) -> list[Window]:
        """Itself in two, between blocks, or within a text that is its only one; one medium or character stays alone."""
        blocks = self.blocks
        if len(blocks) == 1 and len(blocks[0].text) > 1:
            text = blocks[0].text
            middle = len(text) // 2
            blocks = replace(blocks[0], text=text[:middle]), replace(blocks[0], text=text[middle:], continues=True)
        middle = len(blocks) // 2
        return [Window(self.name, part) for part in (blocks[:middle], blocks[middle:]) if part]


@dataclass(frozen=True, eq=False)
class Made:
    """A unit vector `[dim]` and the tokens it was made of."""

    vector: Vector
    tokens: int


class Runner:
    """Runs a `SentenceTransformer`.

    Args:
        model: in evaluation mode, on its device.
        name: of the model, for messages.
        tokens: the most tokens of a sequence, as far as known.
        batch: windows that are run together.
    """

    def __init__(self, model: Any, name: str, tokens: int | None, batch: int) -> None:
        self.model, self.name, self.batch = model, name, batch
        self.limit = token_limit(model, tokens)
        self.messages = "message" in model.modalities
        self._placeholders = placeholders(getattr(model[0], "processor", None))
        self._lock = threading.Lock()

    @property
    def settings(self) -> dict[str, Any]:
        """How it runs the model, for JSON."""
        weights = next(self.model.parameters(), None)
        return {
            "dtype": None if weights is None else str(weights.dtype).removeprefix("torch."),
            "device": str(self.model.device),
            "threads": torch.get_num_threads(),
            "batch": self.batch,
            "tokens": None if self.limit == _ENDLESS else self.limit,
        }

    def run(self, windows: Sequence[Window], prompt: str) -> list[Made | PanvecError]:
        """The vector or the error of each window."""
        made: dict[int, Made | PanvecError] = {}
        places = sorted(range(len(windows)), key=lambda i: (windows[i].kind, windows[i].characters))
        for batch in _batches(places, windows, self.batch):
            made.update(zip(batch, self._batch([windows[i] for i in batch], prompt), strict=True))
        return [made[i] for i in range(len(windows))]

    def tokens(self, window: Window, prompt: str) -> int:
        """The tokens of a window with its prompt and the model's own.

        Raises:
            PanvecError: the model cannot take it.
        """
        return int(self._lengths(self.features([window], prompt), 1)[0])

    def _batch(self, batch: list[Window], prompt: str) -> list[Made | PanvecError]:
        try:
            features = self.features(batch, prompt)
            lengths = self._lengths(features, len(batch))
            if len(batch) == 1 and lengths[0] > self.limit:
                return [self._halved(batch[0], int(lengths[0]), prompt)]
            if (lengths <= self.limit).all():
                vectors = self._forward(features, batch)
                return [Made(vector, int(length)) for vector, length in zip(vectors, lengths, strict=True)]
        except PanvecError as error:
            if len(batch) == 1:
                return [error]
        return [made for window in batch for made in self._batch([window], prompt)]

    def _halved(self, window: Window, length: int, prompt: str) -> Made | PanvecError:
        """The mean of both halves of a window that is too long, each by its tokens."""
        halves = window.halves()
        if len(halves) == 1:
            kind = window.blocks[0].kind
            return LimitError(
                f"{window.name}: {kind} of {length} tokens is over the {self.limit} of {self.name}: make it smaller"
            )
        made = [self._batch([half], prompt)[0] for half in halves]
        for half in made:
            if isinstance(half, PanvecError):
                return half
        good = [half for half in made if isinstance(half, Made)]
        total = np.sum([half.vector * half.tokens for half in good], axis=0)
        return Made(shorten(total, len(total)), sum(half.tokens for half in good))

    def features(self, batch: list[Window], prompt: str) -> dict[str, Any]:
        """What the model takes, of windows of one kind.

        Raises:
            PanvecError: the model cannot take one of them.
        """
        inputs = [self._input(window) for window in batch]
        try:
            with self._lock:
                features: dict[str, Any] = self.model.preprocess(
                    inputs, prompt=prompt or None, processing_kwargs=self._processing([b for w in batch for b in w.blocks])
                )
        except PanvecError:
            raise
        except Exception as error:
            raise ModelError(f"{_names(batch)}: {self.name} cannot take it: {error}") from error
        return features

    def _input(self, window: Window) -> Any:
        """What sentence-transformers takes: never a bare str, which it would open if it looks like a path or a URL."""
        if self.messages:
            return [{"role": "user", "content": [self._message(block) for block in window.blocks]}]
        kinds = {block.kind for block in window.blocks}
        if kinds == {"text"}:
            return {"text": _joined(window.blocks)}
        if len(window.blocks) > 1:
            raise InputError(
                f"{window.name}: {self.name} reads one part at a time, not several together: embed them one by one"
            )
        block = window.blocks[0]
        return {block.kind: {"array": block.media, "sampling_rate": 16_000} if block.kind == "audio" else block.media}

    def _message(self, block: Block) -> dict[str, Any]:
        if block.kind == "text":
            text = block.text
            for placeholder in self._placeholders:
                text = text.replace(placeholder, f"{placeholder[0]} {placeholder[1:]}")
            return {"type": "text", "text": text}
        message = {"type": block.kind, block.kind: block.media}
        return message if block.sound is None else {**message, SOUND: block.sound}

    def _processing(self, blocks: list[Block]) -> dict[str, Any]:
        """Nothing is cut, and frames are not sampled again; words of a text that look like control tokens stay words."""
        videos = [block for block in blocks if block.kind == "video"]
        given: dict[str, Any] = {"text": {"truncation": False}}
        if self.messages:
            given["chat_template"] = {"sanitize_control_tokens": True}
        if videos:
            given["video"] = {"video_metadata": [block.metadata() for block in videos], "do_sample_frames": False}
        if any(block.sound is not None for block in videos):
            given["video"]["add_timestamps"] = True
        return given

    def _lengths(self, features: dict[str, Any], rows: int) -> NDArray[np.int64]:
        mask = features.get("attention_mask")
        return np.zeros(rows, np.int64) if mask is None else np.asarray(mask.sum(1).cpu(), np.int64)

    def _forward(self, features: dict[str, Any], batch: list[Window]) -> list[Vector]:
        device = self.model.device
        try:
            with torch.inference_mode():
                moved = {key: value.to(device) if torch.is_tensor(value) else value for key, value in features.items()}
                rows = self.model(moved)["sentence_embedding"].float().cpu().numpy()
            return [shorten(row, len(row)) for row in rows]
        except PanvecError:
            raise
        except Exception as error:
            raise ModelError(f"{_names(batch)}: {self.name} failed: {error}") from error


def token_limit(model: Any, known: int | None) -> int:
    """The most tokens of a sequence: the least of what is known, of the tokenizer's limit and of the trunk's positions."""
    config = getattr(getattr(model[0], "model", None), "config", None)
    text = config.get_text_config() if config is not None else None
    limits = [known, model.max_seq_length, getattr(text, "max_position_embeddings", None)]
    return min((int(limit) for limit in limits if limit is not None and limit < _ENDLESS), default=_ENDLESS)


def placeholders(processor: Any) -> tuple[str, ...]:
    """What stands for a medium in a rendered message. Processors count these, so a text that holds one is read with a blank."""
    tokens = (getattr(processor, f"{kind}_token", None) for kind in ("image", "video", "audio"))
    return tuple(token for token in tokens if isinstance(token, str) and len(token) > 1)


def _batches(places: list[int], windows: Sequence[Window], size: int) -> list[list[int]]:
    """`places` in batches of one kind each."""
    batches: list[list[int]] = []
    for place in places:
        if batches and len(batches[-1]) < size and windows[batches[-1][0]].kind == windows[place].kind:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


def _joined(blocks: tuple[Block, ...]) -> str:
    """Texts as one, a line each but where one was cut."""
    return "".join(("" if not i or block.continues else "\n") + block.text for i, block in enumerate(blocks))


def _names(batch: list[Window]) -> str:
    return batch[0].name if len(batch) == 1 else f"{batch[0].name} and {len(batch) - 1} more"
